"""NumPy's own files: NPY with (N, 3 or more) numbers or records, NPZ with arrays by name. Never unpickles.

Of an NPZ the arrays xyz/points/positions/vertices, rgb/colors, normals, labels, faces are understood, other numbers of
the same length become scalars. Knows no other format.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from engine.formats.scene.common import Reading, cloud, need, origin_for, placed, refuse, rgb8, surface
from engine.scene import Thing

PLACES = ("xyz", "points", "positions", "vertices", "verts", "pos", "means", "pc", "coords")
COLOURS = ("rgb", "colors", "colours", "color", "colour", "points_rgb", "vertex_colors")
NORMALS = ("normals", "normal", "vertex_normals")
LABELS = ("labels", "label", "classes", "class", "classification")
FACES = ("faces", "triangles", "f")
MOST = 1 << 33
RATIO = 1100
"""Bytes that deflate makes of one at most, rounded up."""
SLICE = 1 << 20


def read_npy(path: Path) -> Reading[tuple[Thing, ...]]:
    """A cloud of the rows."""
    size = path.stat().st_size
    with path.open("rb") as file:
        shape, dtype, at, fortran = _head(path, file)
    _check(path, shape, dtype, size - at)
    yield 0.1
    whole = np.memmap(path, dtype, "r", at, shape, "F" if fortran else "C")
    if dtype.names:
        things = _thing(path, {name: whole[name] for name in dtype.names})
    else:
        things = _rows(path, whole)
    yield 0.9
    return things


def read_npz(path: Path) -> Reading[tuple[Thing, ...]]:
    """A cloud, or a mesh where there are faces."""
    found: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [e for e in archive.infolist() if e.filename.endswith(".npy")]
            for i, entry in enumerate(entries):
                yield 0.8 * i / len(entries)
                name = entry.filename.removesuffix(".npy")
                if entry.file_size > min(MOST, RATIO * max(1, entry.compress_size)):
                    refuse(path, f"its array {name[:30]!r} says that it has {entry.file_size:,} bytes")
                with archive.open(entry) as file:
                    shape, dtype, at, fortran = _head(path, file)
                    _check(path, shape, dtype, entry.file_size - at, rows=False)
                    if dtype.kind not in "fiub" or len(shape) not in (1, 2) or not shape[0]:
                        continue
                    flat = np.empty(int(np.prod(shape)) * dtype.itemsize, np.uint8)
                    yield from _fill(path, file, flat)
                    found[name] = flat.view(dtype).reshape(shape, order="F" if fortran else "C")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as e:
        refuse(path, f"is no NPZ archive that can be opened ({str(e)[:60]})")
    things = _thing(path, found)
    yield 1.0
    return things


def _fill(path: Path, file: IO[bytes], into: np.ndarray) -> Reading[None]:
    at = 0
    while at < len(into):
        part = file.read(min(SLICE, len(into) - at))
        if not part:
            refuse(path, "ends before all of an array")
        into[at : at + len(part)] = np.frombuffer(part, np.uint8)
        at += len(part)
        yield 0.8 * at / len(into)


def _head(path: Path, file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype, int, bool]:
    head = file.read(1 << 14)
    source = io.BytesIO(head)
    try:
        version = npy.read_magic(source)
        reader: Any = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, fortran, dtype = reader(source)
    except (ValueError, KeyError, SyntaxError, TypeError, RecursionError, MemoryError, OverflowError):
        refuse(path, "is no NPY array that can be opened")
    if dtype.hasobject:
        refuse(path, "holds Python objects, which could run a program", "save it as plain numbers")
    if any(n < 0 for n in shape):
        refuse(path, f"says that its shape is {shape}")
    if hasattr(file, "seek") and file.seekable():
        file.seek(source.tell())
    return shape, dtype, source.tell(), bool(fortran)


def _check(path: Path, shape: tuple[int, ...], dtype: np.dtype, there: int, rows: bool = True) -> None:
    count = 1
    for n in shape:
        count *= n
    need(path, count, dtype.itemsize, there, "numbers")
    if rows and (not count or len(shape) != (1 if dtype.names else 2) or (not dtype.names and shape[1] < 3)):
        refuse(path, f"its shape is {shape}", "save an array of one row x, y, z per point")
    if rows and not dtype.names and dtype.kind not in "fiu":
        refuse(path, f"its numbers are of type {dtype}", "save floating-point numbers")


def _rows(path: Path, rows: np.ndarray) -> tuple[Thing, ...]:
    """Rows x, y, z, and a colour or normal where three more columns look like one."""
    xyz, origin = _placed(rows[:, :3])
    rgb = normals = None
    if rows.shape[1] in (6, 7):
        three = np.asarray(rows[:, 3:6], np.float64)
        if three.min() < 0 and np.abs(three).max() <= 1.01:
            normals = three
        elif three.min() >= 0 and three.max() <= 255:
            rgb = rgb8(three)
    return (cloud(path, xyz, origin, rgb=rgb, normals=normals),)


def _placed(places: np.ndarray) -> tuple[np.ndarray, tuple[float, float, float]]:
    if places.dtype == np.float32 and not any(origin_for(places[:: max(1, len(places) // 512)])):
        return np.array(places, np.float32, order="C"), (0.0, 0.0, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        return placed(np.asarray(places, np.float64))


def _thing(path: Path, found: dict[str, np.ndarray]) -> tuple[Thing, ...]:
    lower = {name.lower(): value for name, value in found.items()}

    def pick(names: tuple[str, ...], columns: int, length: int = -1) -> np.ndarray | None:
        for name in names:
            value = lower.get(name)
            if value is not None and value.ndim == (2 if columns > 1 else 1) and (length < 0 or len(value) == length):
                if columns == 1:
                    return value
                if value.shape[1] >= columns:
                    return value[:, :columns]
        return None

    places = pick(PLACES, 3)
    if places is None and {"x", "y", "z"} <= set(lower):
        places = np.stack([np.asarray(lower[k], np.float64).reshape(-1) for k in "xyz"], 1)
    if places is None:
        there = ", ".join(sorted(found)[:8]) or "none"
        refuse(path, f"has no array xyz, points or vertices of three columns, but {there[:80]}", "name one so")
    n = len(places)
    xyz, origin = _placed(places)
    rgb = pick(COLOURS, 3, n)
    rgb = None if rgb is None else rgb8(rgb)
    normals = pick(NORMALS, 3, n)
    used = {*PLACES, *COLOURS, *NORMALS, *LABELS, *FACES, "x", "y", "z"}
    scalars = {k: v for k, v in found.items() if v.ndim == 1 and len(v) == n and k.lower() not in used}
    faces = pick(FACES, 3)
    if faces is not None and faces.dtype.kind in "iu" and lower.get("faces", faces).shape[1] == 3:
        return (surface(path, xyz, faces.astype(np.int64), origin, rgb=rgb, normals=normals, scalars=scalars),)
    labels = pick(LABELS, 1, n)
    if labels is not None and labels.dtype.kind not in "iub":
        scalars["label"], labels = labels, None
    labels = None if labels is None else labels.astype(np.int32)
    return (cloud(path, xyz, origin, rgb=rgb, normals=normals, labels=labels, scalars=scalars),)
