"""A coarse picture of a large cloud before it is read: blocks of a few points evenly over the file.

For PLY, PCD and LAS with records, LAZ, and tables of text; other kinds are read whole or not at all. Knows no window.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engine.formats.scene import las, pcd, ply, table
from engine.formats.scene.common import SceneFileError, origin_for
from engine.formats.scene.records import Column, fill_columns
from engine.scene import Points, Splats, Thing

BLOCK = 16
"""Points that are read together: one seek for each."""
TEXT_BLOCK = 2048
LAZ_BLOCK = 500


def glimpse(path: str | Path, count: int, least: int) -> Points | Splats | None:
    """About ``count`` of the points or splats of a file; None where it has no more than ``least``, or its kind gives
    none."""
    target = Path(path)
    looks = {".ply": _ply, ".pcd": _pcd, ".las": _las, ".laz": _laz}
    looks |= dict.fromkeys((".xyz", ".pts", ".csv", ".txt", ".asc"), _table)
    look = looks.get(target.suffix.lower())
    try:
        thing = look(target, count, least) if look is not None else None
    except BaseException as e:  # what is wrong with the file is told when it is read
        if isinstance(e, GeneratorExit | KeyboardInterrupt | SystemExit):
            raise
        return None
    return thing if isinstance(thing, Points | Splats) else None


def _ply(path: Path, count: int, least: int) -> Thing | None:
    with path.open("rb") as file:
        h = ply.read_header(path, file)
    first = h.elements[0]
    if not h.order or first.name != "vertex" or first.count <= least or any(e.count for e in h.elements[1:]):
        return None
    from engine.formats.splats import ply as splats  # reads headers by that module

    if splats.holds_splats(h):
        record = first.record(h.order)
        return splats.glimpse(path, h, lambda c: _sampled(path, h.end, record, first.count, c, count)[0])
    columns = ply.columns_of(first)
    arrays, origin = _sampled(path, h.end, first.record(h.order), first.count, columns, count)
    return ply.thing_of(path, h, first, arrays, origin, None, None)


def _pcd(path: Path, count: int, least: int) -> Thing | None:
    h = pcd.read_header(path)
    if h.data != "binary" or h.points <= least:
        return None
    arrays, origin = _sampled(path, h.end, h.record, h.points, pcd.columns_of(path, h.record), count)
    return pcd.thing_of(path, arrays, origin, None)


def _las(path: Path, count: int, least: int) -> Thing | None:
    h = las.read_header(path, path.stat().st_size)
    if h.count <= least:
        return None
    arrays, _ = _sampled(path, h.at, las.record_of(h), h.count, las.columns_of(h), count)
    return las.thing_of(path, h, arrays, np.zeros(3))


def _laz(path: Path, count: int, least: int) -> Thing | None:
    h = las.read_header(path, path.stat().st_size)
    if h.count <= least:
        return None
    starts = np.linspace(0, h.count - LAZ_BLOCK, max(1, count // LAZ_BLOCK)).astype(np.int64)
    # Points lie in chunks of 50,000 nearly always, and a chunk is unpacked from its beginning.
    starts = np.unique(starts // las.CHUNK * las.CHUNK)
    arrays = las.unpack_at(path, h, starts.tolist(), LAZ_BLOCK)
    return las.thing_of(path, h, arrays, np.zeros(3))


def _table(path: Path, count: int, least: int) -> Thing | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = table.read_head(path, file)
        line = len(head.peek[0]) + 1
        if size <= least * line:
            return None
        blocks = []
        for start in np.linspace(head.start, size - TEXT_BLOCK, max(1, count * line // TEXT_BLOCK)).astype(np.int64):
            file.seek(int(start))
            lines = file.read(TEXT_BLOCK).split(b"\n")[1:-1]
            blocks.append(table.rows_of(path, lines, head.width))
    return table.thing_of(path, np.concatenate(blocks), head.names)


def _sampled(
    path: Path, offset: int, record: np.dtype, count: int, columns: Mapping[str, Column], most: int
) -> tuple[dict[str, np.ndarray], tuple[float, float, float]]:
    """Columns of about ``most`` of the records; SceneFileError where the file ends too soon."""
    starts = np.linspace(0, count - BLOCK, most // BLOCK).astype(np.int64)
    found = np.empty((len(starts), BLOCK), record)
    with path.open("rb", buffering=0) as file:
        for block, start in zip(found, starts.tolist(), strict=True):
            file.seek(offset + start * record.itemsize)
            if file.readinto(block.view(np.uint8).data) != block.nbytes:
                raise SceneFileError("too short")
    flat = found.reshape(-1)
    place = next((c for c in columns.values() if c.place), None)
    origin = (0.0, 0.0, 0.0)
    if place is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            origin = origin_for(np.stack([flat[name].astype(np.float64) for name in place.fields], 1))
    return fill_columns(flat, columns, origin), origin
