"""Splats as compressed PLY (PlayCanvas, SuperSplat): 16 bytes each, in steps of the range of their 256 neighbours.

A chunk has the least and greatest place, log deviation and (in newer files) colour of 256 splats; a splat has four
words of 32 bits: place and deviations in 11, 10 and 11 bits, the quaternion's three smaller numbers in 10 bits each
below the number of the largest, red, green, blue and alpha in 8. Harmonics above degree 0 have 8 bits for -4..4. Knows
no other format.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from engine.formats.scene.common import Reading, need, refuse
from engine.formats.scene.ply import Element, Header
from engine.formats.scene.records import Column, read_columns
from engine.formats.splats.common import C0, SLICE, logit, sigmoid, splats_of, unit_turns
from engine.formats.splats.inria import ANTIALIASED, antialiased
from engine.scene import Splats, Thing

CHUNK = 256
PLACE = tuple(f"{end}_{axis}" for end in ("min", "max") for axis in "xyz")
SCALE = tuple(f"{end}_scale_{axis}" for end in ("min", "max") for axis in "xyz")
COLOUR = tuple(f"{end}_{c}" for end in ("min", "max") for c in "rgb")
WORDS = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
REST = (9, 24, 45)
BITS = ((21, 0x7FF), (11, 0x3FF), (0, 0x7FF))
"""Of three numbers in one word: how far up each is, and its greatest."""
HARMONICS = ((np.concatenate([[0], np.arange(1.5, 255), [256]]) / 256 - 0.5) * 8).astype(np.float32)
"""What each byte stands for: the middle of its step, but for the first and last, which are the ends."""
SCALES = 20.0
"""Log deviations are written within plus and minus this, as other writers do."""


def is_compressed(header: Header) -> bool:
    """Whether a PLY file is of this kind."""
    names = {e.name: {p.name for p in e.properties} for e in header.elements}
    return set(WORDS) <= names.get("vertex", set()) and set(PLACE + SCALE) <= names.get("chunk", set())


def read(path: Path, header: Header) -> Reading[tuple[Thing, ...]]:
    """The splats of a file whose header was read and whose counts were checked."""
    if not header.order:
        refuse(path, "is a compressed PLY in ascii", "save it as binary")
    size = path.stat().st_size
    places: dict[str, tuple[Element, int]] = {}
    at = header.end
    for e in header.elements:
        if not e.plain:
            refuse(path, f"has lists in its element {e.name[:30]!r}")
        need(path, e.count, e.record(header.order).itemsize, size - at, e.name)
        places[e.name] = (e, at)
        at += e.count * e.record(header.order).itemsize
    count, chunks = places["vertex"][0].count, places["chunk"][0].count
    if chunks * CHUNK < count:
        refuse(path, f"has {chunks:,} chunks for {count:,} splats, of which each holds {CHUNK}")
    single, word = np.dtype(np.float32), np.dtype(np.uint32)

    def columns(name: str, wanted: dict[str, Column]) -> Reading[dict[str, np.ndarray]]:
        element, offset = places[name]
        return (yield from read_columns(path, offset, element.record(header.order), element.count, wanted))[0]

    groups = {"place": PLACE, "scale": SCALE}
    groups |= {"colour": COLOUR} if set(COLOUR) <= {p.name for p in places["chunk"][0].properties} else {}
    chunk = yield from columns("chunk", {key: Column(names, single) for key, names in groups.items()})
    packed = yield from columns("vertex", {name: Column((name,), word) for name in WORDS})
    sh = None
    if "sh" in places:
        rest = len(places["sh"][0].properties)
        names = tuple(f"f_rest_{c * rest // 3 + k}" for k in range(rest // 3) for c in range(3))
        if rest not in REST or set(names) != {p.name for p in places["sh"][0].properties}:
            refuse(path, f"has {rest} harmonics for each splat, which no degree has", "there can be 9, 24 or 45")
        if places["sh"][0].count != count:
            refuse(path, f"has harmonics for {places['sh'][0].count:,} of its {count:,} splats")
        if any(p.kind != "u1" for p in places["sh"][0].properties):
            refuse(path, "has harmonics that are not bytes")
        sh = (yield from columns("sh", {"sh": Column(names, np.dtype(np.uint8))}))["sh"]
    arrays = _empty(count, 1 if sh is None else 1 + sh.shape[1] // 3)
    for start in range(0, count, SLICE):
        part = slice(start, min(count, start + SLICE))
        _unpack(arrays, part, {name: packed[name][part] for name in WORDS}, chunk, None if sh is None else sh[part])
        yield part.stop / count
    return (splats_of(path, **arrays, antialiased=antialiased(header)),)


def _empty(count: int, coefficients: int) -> dict[str, Any]:
    shapes: dict[str, tuple[int, ...]] = {"xyz": (3,), "scales": (3,), "turns": (4,), "opacity": ()}
    shapes["sh"] = (coefficients, 3)
    return {name: np.empty((count, *shape), np.float32) for name, shape in shapes.items()}


def _unpack(
    arrays: dict[str, Any],
    part: slice,
    packed: dict[str, np.ndarray],
    chunk: dict[str, np.ndarray],
    sh: np.ndarray | None,
) -> None:
    """Fills a part of the arrays."""
    number = np.arange(part.start, part.stop) // CHUNK

    def between(share: np.ndarray, ends: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", over="ignore"):
            low, high = ends[number, :3], ends[number, 3:]
            return low * (1 - share) + high * share

    def three(words: np.ndarray) -> np.ndarray:
        return np.stack([((words >> up) & most) / np.float32(most) for up, most in BITS], 1)

    arrays["xyz"][part] = between(three(packed["packed_position"]), chunk["place"])
    arrays["scales"][part] = between(three(packed["packed_scale"]), chunk["scale"])
    arrays["turns"][part] = _turns(packed["packed_rotation"])
    colour = np.stack([(packed["packed_color"] >> up) & 255 for up in (24, 16, 8, 0)], 1) / 255.0
    rgb = between(colour[:, :3], chunk["colour"]) if "colour" in chunk else colour[:, :3]
    arrays["opacity"][part] = logit(colour[:, 3])
    arrays["sh"][part, 0] = (rgb - 0.5) / C0
    if sh is not None:
        arrays["sh"][part, 1:] = HARMONICS[sh].reshape(len(sh), -1, 3)


def _turns(words: np.ndarray) -> np.ndarray:
    """Quaternions w x y z of words: the number of the largest in the two highest bits, below the others in order."""
    small = np.stack([(words >> up) & 1023 for up in (20, 10, 0)], 1) / 1023.0
    small = (small - 0.5) * 2**0.5
    largest = np.sqrt(np.maximum(0, 1 - np.square(small).sum(1)))
    return _with_largest(small, largest, (words >> 30).astype(np.int64))


def _with_largest(small: np.ndarray, largest: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Four numbers of three and one, which stands at ``which``."""
    four = np.empty((len(small), 4), np.float32)
    at = np.arange(len(small))
    for k in range(3):
        four[at, k + (k >= which)] = small[:, k]
    four[at, which] = largest
    return four


# ---- writing --------------------------------------------------------------------------------------------------------


def encode(splats: Splats) -> Iterator[bytes]:
    """A file of splats in the order in which they come, piece by piece: neighbours in it should be so in space."""
    count, coefficients = splats.sh.shape[:2]
    chunks = -(-count // CHUNK)
    rest = 3 * (coefficients - 1)
    head = ["ply", "format binary_little_endian 1.0", "comment written by Mutoscope"]
    head += [f"comment {ANTIALIASED}"] if splats.antialiased else []
    head += [f"element chunk {chunks}", *(f"property float {name}" for name in (*PLACE, *SCALE, *COLOUR))]
    head += [f"element vertex {count}", *(f"property uint {name}" for name in WORDS)]
    if rest:
        head += [f"element sh {count}", *(f"property uchar f_rest_{i}" for i in range(rest))]
    yield "\n".join([*head, "end_header\n"]).encode("ascii")
    ends, words = np.empty((chunks, 18), "<f4"), np.empty((count, 4), "<u4")
    origin = np.asarray(splats.origin)
    for start in range(0, count, SLICE):
        part = slice(start, min(count, start + SLICE))
        few = slice(start // CHUNK, -(-part.stop // CHUNK))
        place = (splats.xyz[part] + origin).astype(np.float32)
        scale = np.clip(splats.scales[part], -SCALES, SCALES)
        rgb = 0.5 + C0 * splats.sh[part, 0]
        for k, (values, words_of) in enumerate(((place, _word), (scale, _word), (rgb, None))):
            low, high = _ends(values)
            ends[few, 6 * k : 6 * k + 3], ends[few, 6 * k + 3 : 6 * k + 6] = low, high
            number = np.arange(len(values)) // CHUNK
            width = np.where(high > low, high.astype(np.float64) - low, 1)
            share = np.clip((values - low[number].astype(np.float64)) / width[number], 0, 1)
            if words_of is not None:
                words[part, 2 * k] = words_of(share)
            else:
                rgba = np.column_stack([share, sigmoid(splats.opacity[part])])
                eight = np.round(rgba * 255).astype(np.uint32)
                words[part, 3] = eight[:, 0] << 24 | eight[:, 1] << 16 | eight[:, 2] << 8 | eight[:, 3]
        words[part, 1] = _turn_words(splats.turns[part])
    yield ends.tobytes()
    yield words.tobytes()
    for start in range(0, count if rest else 0, SLICE):
        sh = splats.sh[start : start + SLICE, 1:].transpose(0, 2, 1).reshape(-1, rest)
        yield np.clip(np.floor(sh * 32 + 128), 0, 255).astype(np.uint8).tobytes()


def _ends(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and greatest of each chunk, float32 (chunks, 3)."""
    starts = np.arange(0, len(values), CHUNK)
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return low.astype(np.float32), high.astype(np.float32)


def _word(share: np.ndarray) -> np.ndarray:
    """Three numbers 0..1 in one word each."""
    word = np.zeros(len(share), np.uint32)
    for k, (up, most) in enumerate(BITS):
        word |= np.round(share[:, k] * most).astype(np.uint32) << np.uint32(up)
    return word


def _turn_words(turns: np.ndarray) -> np.ndarray:
    unit = unit_turns(turns)
    at = np.arange(len(unit))
    which = np.abs(unit).argmax(1)
    unit *= np.where(unit[at, which] < 0, -1, 1)[:, None]
    word = which.astype(np.uint32) << np.uint32(30)
    for k in range(3):
        share = unit[at, k + (k >= which)] * 0.5**0.5 + 0.5
        word |= np.clip(np.round(share * 1023), 0, 1023).astype(np.uint32) << np.uint32((20, 10, 0)[k])
    return word
