"""What all readers of 3-D files share: complaints in one line, numbers from text, checked clouds and surfaces.

Knows no format and no window. Nothing here follows a path out of the folder of the file that is read.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import IO, Any, NoReturn, TypeVar

import numpy as np
from PIL import Image

from engine.scene import Mesh, Points, Thing

T = TypeVar("T")
Reading = Generator[float, None, T]
"""Yields how far it is, 0..1, at least every 50 ms of work; each is a place to be given up."""

TEXT_SLICE = 1 << 18
"""Bytes of text that are turned into numbers between two reports: about 10 ms."""
FAR, NEAR_SHARE = 8192.0, 32.0
"""Coordinates beyond either, the second in units of the extent, are kept relative to an origin."""
TEXTURE_SIDE = 8192
"""Pixels along the longer side of a texture at most."""
LABEL_NAMES = {"label", "labels", "class", "classes", "classification", "category", "segment", "object", "scalar_label"}
CAREFUL = "save it again with the program that made it, or fetch it anew"


class SceneFileError(Exception):
    """A 3-D file that cannot be read; the message is one line: the file, the reason, what to do."""


def refuse(path: Path, reason: str, advice: str = CAREFUL) -> NoReturn:
    """Raises :class:`SceneFileError`."""
    line = " ".join(f"{path.name}: {reason}; {advice}".split())
    raise SceneFileError(line if len(line) <= 300 else line[:299] + "…")


def need(path: Path, count: int, each: float, there: int, what: str) -> None:
    """Complains where ``count`` items of at least ``each`` bytes cannot be in the ``there`` bytes that are left."""
    if count < 0:
        refuse(path, f"says that it has {count} {what}")
    if count * each > there:
        refuse(path, f"says that it has {count:,} {what}, of which its {there:,} bytes can hold {int(there / each):,}")


def numbers(path: Path, lines: Iterable[bytes], most: int = 0) -> np.ndarray:
    """The numbers of some lines, float64 (N,); with ``most``, only so many of each line."""
    try:
        if most:
            words = itertools.chain.from_iterable(line.split(None, most)[:most] for line in lines)
            return np.fromiter(map(float, words), np.float64)
        return np.fromiter(map(float, b" ".join(lines).split()), np.float64)
    except ValueError as e:
        word = str(e).rpartition(": ")[2]
        refuse(path, f"has {word[:40]} where a number should be")


def table(path: Path, lines: list[bytes], columns: int) -> np.ndarray:
    """Lines of ``columns`` numbers each, float64 (N, columns); more on a line is ignored."""
    flat = numbers(path, lines)
    if len(flat) != len(lines) * columns:
        short = next((line for line in lines if len(line.split()) < columns), None)
        if short is not None:
            words = short.strip()[:40].decode("ascii", "replace")
            refuse(path, f"has a line with fewer than {columns} numbers: {words!r}")
        flat = numbers(path, lines, columns)
    return flat.reshape(-1, columns)


def whole(path: Path, values: np.ndarray, most: int, what: str) -> np.ndarray:
    """Float64 values as int64, each within 0..``most``-1."""
    if len(values) and not (values.min() >= 0 and values.max() < most):  # not a number fails both
        bad = values[~((values >= 0) & (values < most))][0]
        refuse(path, f"names {what} {bad:g}, and there are {most:,}")
    return values.astype(np.int64)


def lines_of(file: IO[bytes], size: int = TEXT_SLICE) -> Iterable[list[bytes]]:
    """The rest of a file as lists of whole lines."""
    while lines := file.readlines(size):
        yield lines


# ---- places ---------------------------------------------------------------------------------------------------------


def origin_for(sample: np.ndarray) -> tuple[float, float, float]:
    """Where coordinates like ``sample`` (N, 3) are measured from, so that float32 holds them: (0, 0, 0) where it does
    anyway, else whole numbers in their midst."""
    sample = np.asarray(sample, np.float64)
    sample = sample[np.isfinite(sample).all(1)]
    if not len(sample):
        return (0.0, 0.0, 0.0)
    lo, hi = sample.min(0), sample.max(0)
    extent, reach = float((hi - lo).max()), float(np.abs(sample).max())
    if reach <= FAR and reach <= NEAR_SHARE * extent:
        return (0.0, 0.0, 0.0)
    middle = np.round((lo + hi) / 2)
    return (float(middle[0]), float(middle[1]), float(middle[2]))


def placed(xyz: np.ndarray) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Float64 (N, 3) as float32 relative to an origin. What float32 cannot hold becomes infinite."""
    origin = origin_for(xyz)
    with np.errstate(over="ignore", invalid="ignore"):
        return (xyz - np.array(origin) if any(origin) else xyz).astype(np.float32, order="C"), origin


def rgb8(values: np.ndarray) -> np.ndarray:
    """Colours (N, 3) as uint8: bytes, 16-bit words, or fractions 0..1 (0..255, 0..65535 where any exceeds it)."""
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    values = np.nan_to_num(np.asarray(values, np.float64), posinf=0.0, neginf=0.0)
    top = float(values.max(initial=0.0))
    scale = 255.0 if top <= 1.0 else 1.0 if top <= 255.0 else 1 / 257
    return np.clip(np.round(values * scale), 0, 255).astype(np.uint8, order="C")


# ---- things ---------------------------------------------------------------------------------------------------------


def cloud(
    path: Path,
    xyz: np.ndarray,
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    *,
    rgb: np.ndarray | None = None,
    normals: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    label_names: Mapping[int, str] | None = None,
    scalars: Mapping[str, np.ndarray] | None = None,
    finite: bool | None = None,
    name: str = "",
) -> Points:
    """A cloud of float32 (N, 3) of which points that are no place are dropped; complains where none is left.
    ``finite``: whether it is known that all are places."""
    parts: dict[str, Any] = {"rgb": rgb, "normals": normals, "labels": labels}
    scalars = dict(scalars or {})
    if finite is None:
        finite = is_finite(xyz)
    if not finite:
        kept = np.isfinite(xyz).all(1)
        xyz = xyz[kept]
        parts = {key: None if value is None else value[kept] for key, value in parts.items()}
        scalars = {key: value[kept] for key, value in scalars.items()}
    if not len(xyz):
        refuse(path, "holds no point", "open a file that has some")
    if parts["normals"] is not None:
        parts["normals"] = unit(parts["normals"])
    return Points(
        name=name or path.stem,
        origin=origin,
        xyz=xyz,
        label_names=label_names or {},
        scalars={key: _tame(value) for key, value in scalars.items()},
        **parts,
    )


def is_finite(values: np.ndarray) -> bool:
    """Whether all are finite numbers, without an array of answers: what is not a number spreads to both ends."""
    return bool(values.size) and math.isfinite(float(values.min())) and math.isfinite(float(values.max()))


def all_finite(values: np.ndarray) -> bool:
    """As :func:`is_finite`, in one pass where no two numbers are huge: then their sum is finite only where all are."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(float(np.add.reduce(values, axis=None))) or is_finite(values)


def _tame(values: np.ndarray) -> np.ndarray:
    """A scalar as float32; what is not a number becomes 0."""
    if values.dtype == np.float32 and is_finite(values):
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        return np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def unit(normals: np.ndarray) -> np.ndarray | None:
    """Normals of length 1, float32; None where all are nothing. One that is nothing or no number points up."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        normals = np.ascontiguousarray(normals, np.float32)
        length = np.sqrt(np.einsum("ij,ij->i", normals, normals))
        good = np.isfinite(length) & (length > 0)
        if not good.any():
            return None
        if good.all() and np.abs(length - 1).max() < 1e-3:
            return normals
        return np.where(good[:, None], normals / length[:, None], np.array([0, 0, 1], np.float32)).astype(np.float32)


def surface(
    path: Path,
    vertices: np.ndarray,
    faces: np.ndarray,
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    *,
    name: str = "",
    **more: Any,
) -> Mesh:
    """A mesh of float32 (V, 3) and faces (F, 3); corners that are not there are complained of, faces with a corner that
    is no place are dropped, and with them such corners."""
    if len(faces) and not (faces.min() >= 0 and faces.max() < len(vertices)):
        bad = int(faces.min()) if faces.min() < 0 else int(faces.max())
        refuse(path, f"has a face with corner {bad}, and there are {len(vertices):,}")
    good = np.isfinite(vertices).all(1)
    if not good.all():
        faces = np.cumsum(good)[faces[good[faces].all(1)]] - 1
        vertices = vertices[good]
        more = {k: v[good] if k in ("normals", "rgb", "uv") and v is not None else v for k, v in more.items()}
        more["scalars"] = {k: v[good] for k, v in more.get("scalars", {}).items()}
    if not len(faces):
        refuse(path, "holds no face", "open a file that has some")
    if more.get("normals") is not None:
        more["normals"] = unit(more["normals"])
    if more.get("uv") is not None:
        more["uv"] = _tame(more["uv"])
    more["scalars"] = {k: _tame(v) for k, v in more.get("scalars", {}).items()}
    faces = np.ascontiguousarray(faces, np.int32)
    return Mesh(name=name or path.stem, origin=origin, vertices=np.ascontiguousarray(vertices), faces=faces, **more)


def fans(corners: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Polygons, their corners one after the other with ``sizes`` of each, as triangles (F, 3) round their first."""
    starts = np.cumsum(sizes) - sizes
    triangles = np.maximum(sizes - 2, 0)
    first = np.repeat(starts, triangles)
    nth = np.arange(len(first)) - np.repeat(np.cumsum(triangles) - triangles, triangles)
    return np.stack([corners[first], corners[first + nth + 1], corners[first + nth + 2]], 1)


def beside(path: Path, named: str) -> Path | None:
    """The file ``named`` in a file's own folder or below it; None where it is not there or lies elsewhere."""
    text = named.replace("\\", "/").strip().strip('"')
    if not text or "\0" in text or len(text) > 500:
        return None
    try:
        folder = path.resolve().parent
        for candidate in (folder / text, folder / Path(text).name):
            found = candidate.resolve()
            if found.is_relative_to(folder) and found.is_file():
                return found
    except (OSError, RuntimeError, ValueError):
        return None
    return None


def picture(source: Path | IO[bytes]) -> np.ndarray | None:
    """A texture, uint8 (H, W, 3 or 4); None where it is no picture that can be read."""
    try:
        with Image.open(source) as image:
            if max(image.size) > TEXTURE_SIDE:
                return None
            alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            return np.asarray(image.convert("RGBA" if alpha else "RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None


def named_apart(things: Iterable[Thing]) -> list[str]:
    """Names of things, none twice."""
    taken: set[str] = set()
    names = []
    for thing in things:
        name, n = thing.name, 2
        while name in taken:
            name, n = f"{thing.name} {n}", n + 1
        taken.add(name)
        names.append(name)
    return names
