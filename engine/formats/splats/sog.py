"""Splats as SOG, version 2 (PlayCanvas): numbers as pixels of lossless WebP pictures, by a ``meta.json``. Read only.

Either a folder, of which ``meta.json`` is opened, or all of it in a zip file ``.sog``. Places are 16 bits of sign(x)
ln(1 + |x|) between two ends, low and high bytes in two pictures; deviations, colours and harmonics are numbers of
entries in code books of 256; of the quaternion's four numbers the largest is left out and named by alpha - 252.
Harmonics above degree 0 are one of some thousand sets each, 64 in a row of a picture. Knows no other format.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine.formats.scene.common import Reading, beside, need, refuse
from engine.formats.splats.common import logit, splats_of
from engine.scene import Thing

VERSION = 2
LEAST = 0.25
"""Bytes of pictures for each splat at least; real ones have ten times as many."""
META = 1 << 24
"""Bytes of ``meta.json`` at most."""
ACROSS = 64
"""Sets of harmonics side by side in their picture."""
REST = {1: 3, 2: 8, 3: 15}
Open = Callable[[str], bytes]


def read_folder(path: Path) -> Reading[tuple[Thing, ...]]:
    """The splats of a folder by its ``meta.json``."""

    def opened(name: str) -> bytes:
        found = beside(path, name)
        if found is None:
            refuse(path, f"names the picture {name[:60]!r}, which is not beside it", "copy the whole folder")
        return found.read_bytes()

    if path.stat().st_size > META:
        refuse(path, "is too large for what tells of splats")
    return (yield from _read(path, path.read_bytes(), opened, path.resolve().parent.name))


def read_zip(path: Path) -> Reading[tuple[Thing, ...]]:
    """The splats of a file that has all in it."""
    if not zipfile.is_zipfile(path):
        refuse(path, "is no SOG file: it is not packed by zip", "open the meta.json of a folder instead")
    with zipfile.ZipFile(path) as packed:
        sizes = {info.filename: info.file_size for info in packed.infolist()}

        def opened(name: str) -> bytes:
            if name not in sizes:
                refuse(path, f"has no {name[:60]!r} in it")
            if sizes[name] > 4 * path.stat().st_size + META:
                refuse(path, f"says that its {name[:60]!r} has {sizes[name]:,} bytes")
            with packed.open(name) as file:
                return file.read(sizes[name])

        return (yield from _read(path, opened("meta.json"), opened, path.stem))


def _read(path: Path, text: bytes, opened: Open, name: str) -> Reading[tuple[Thing, ...]]:
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError):
        refuse(path, "its meta.json is no JSON")
    if not isinstance(meta, dict) or "means" not in meta or "quats" not in meta:
        refuse(path, "is no SOG file: there are no means and quats in it", "open it by its true ending")
    if meta.get("version") != VERSION:
        refuse(path, f"is of version {meta.get('version', 1)} of SOG", "save it again with a newer program")
    count = meta.get("count")
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        refuse(path, f"says that it has {str(count)[:30]} splats")
    parts = [key for key in ("means", "scales", "quats", "sh0", "shN") if key in meta]
    files = {key: [opened(str(file)) for file in _field(path, meta, key, "files", list)] for key in parts}
    need(path, count, LEAST, sum(len(data) for key in parts for data in files[key]), "splats")
    yield 0.1
    low, high = (_pixels(path, "means", data, count) for data in _two(path, "means", files))
    ends = [_numbers(path, meta, "means", end, 3) for end in ("mins", "maxs")]
    share = (low[:, :3] + high[:, :3] * np.float64(256)) / 65535
    folded = ends[0] + (ends[1] - ends[0]) * share
    with np.errstate(over="ignore", invalid="ignore"):
        xyz = (np.sign(folded) * np.expm1(np.abs(folded))).astype(np.float32)
    yield 0.3
    turns = _turns(_pixels(path, "quats", files["quats"][0], count))
    yield 0.4
    scales = _coded(path, meta, "scales")[_pixels(path, "scales", files["scales"][0], count)[:, :3]]
    colours = _pixels(path, "sh0", files["sh0"][0], count)
    dc = _coded(path, meta, "sh0")[colours[:, :3]]
    yield 0.6
    sh = dc[:, None]
    if "shN" in parts:
        sh = np.concatenate([sh, _harmonics(path, meta, *_two(path, "shN", files), count)], axis=1)
    yield 0.9
    antialiased = meta.get("model") == "antialiased" or bool(meta.get("antialias"))
    found = splats_of(
        path, xyz, scales, turns, logit(colours[:, 3] / 255), np.ascontiguousarray(sh), antialiased, name=name
    )
    return (found,)


def _field(path: Path, meta: dict[str, Any], key: str, name: str, kind: type) -> Any:
    part = meta.get(key)
    if not isinstance(part, dict) or not isinstance(part.get(name), kind) or not part[name]:
        refuse(path, f"its meta.json has no {name} of {key}")
    return part[name]


def _two(path: Path, key: str, files: dict[str, list[bytes]]) -> tuple[bytes, bytes]:
    if len(files[key]) != 2:
        refuse(path, f"has {len(files[key])} pictures of {key}, and they are two")
    return files[key][0], files[key][1]


def _numbers(path: Path, meta: dict[str, Any], key: str, name: str, count: int) -> np.ndarray:
    values = _field(path, meta, key, name, list)
    if len(values) != count or not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
        refuse(path, f"the {name} of its {key} are not {count} numbers")
    return np.array(values, np.float64)


def _coded(path: Path, meta: dict[str, Any], key: str) -> np.ndarray:
    return _numbers(path, meta, key, "codebook", 256).astype(np.float32)


def _picture(path: Path, key: str, data: bytes, least: int, most: int) -> np.ndarray:
    """uint8 (H, W, 4), of so many pixels."""
    try:
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
            if not least <= image.width * image.height <= most:
                refuse(path, f"its picture of {key} is {image.width} x {image.height} pixels, for {least:,}")
            return np.asarray(image.convert("RGBA"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        refuse(path, f"its picture of {key} cannot be read")


def _pixels(path: Path, key: str, data: bytes, count: int) -> np.ndarray:
    """The pixels of as many splats, uint8 (N, 4)."""
    return _picture(path, key, data, count, 2 * count + (1 << 14)).reshape(-1, 4)[:count]


def _turns(pixels: np.ndarray) -> np.ndarray:
    """Quaternions w x y z; one that names no largest number turns nothing."""
    three = (pixels[:, :3] / 255 * 2 - 1) / 2**0.5
    which = pixels[:, 3].astype(np.int64) - 252
    known = which >= 0
    which[~known] = 0
    four, at = np.zeros((len(three), 4), np.float32), np.arange(len(three))
    for k in range(3):
        four[at, k + (k >= which)] = three[:, k]
    four[at, which] = np.sqrt(np.maximum(0, 1 - np.square(three).sum(1)))
    four[~known] = [1, 0, 0, 0]
    return four


def _harmonics(path: Path, meta: dict[str, Any], sets: bytes, labels: bytes, count: int) -> np.ndarray:
    """Coefficients above degree 0, float32 (N, K - 1, 3)."""
    known, bands = meta["shN"].get("count"), meta["shN"].get("bands")
    if bands not in REST or not isinstance(known, int) or not 0 < known <= 1 << 16:
        refuse(path, f"has {str(known)[:20]} sets of harmonics of degree {str(bands)[:20]}")
    rows = -(-known // ACROSS)
    wide = ACROSS * REST[bands]
    table = _picture(path, "shN", sets, wide * rows, 2 * wide * rows + wide * ACROSS)
    if table.shape[1] != wide:
        refuse(path, f"its picture of harmonics is {table.shape[1]} pixels wide, and {wide} hold {ACROSS} sets")
    pixels = _pixels(path, "shN", labels, count)
    label = pixels[:, 0] + pixels[:, 1].astype(np.int64) * 256
    if len(label) and label.max() >= known:
        refuse(path, f"names set {label.max():,} of harmonics, and there are {known:,}")
    values = _coded(path, meta, "shN")[table[..., :3]].reshape(-1, REST[bands], 3)
    return np.asarray(values[label])
