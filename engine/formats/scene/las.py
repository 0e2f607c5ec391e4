"""LAS and LAZ: airborne laser scans. Knows no other format.

LAS records are read by ourselves, LAZ is unpacked by laspy with lazrs after its counts have been checked. Colours of 16
bits become 8, the classification labels with the names of the standard, intensity a scalar.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from engine.formats.scene.common import Reading, cloud, need, origin_for, refuse
from engine.formats.scene.records import Column, read_columns
from engine.scene import Thing

CLASSES = {
    0: "never classified", 1: "unclassified", 2: "ground", 3: "low vegetation", 4: "medium vegetation",
    5: "high vegetation", 6: "building", 7: "low noise", 8: "key point", 9: "water", 10: "rail", 11: "road surface",
    12: "overlap", 13: "wire guard", 14: "wire conductor", 15: "transmission tower", 16: "wire connector",
    17: "bridge deck", 18: "high noise",
}  # fmt: skip
LENGTHS = (20, 28, 26, 34, 57, 63, 30, 36, 38, 59, 67)
"""Bytes of a record at least, by point format."""
RGB_AT = {2: 20, 3: 28, 5: 28, 7: 30, 8: 30, 10: 30}
LEAST_LAZ = 0.1
"""Bytes of a compressed point at least; real scans take two to eight."""
CHUNK = 50_000
"""Points unpacked between two reports, some 30 ms."""
SLICE = 1 << 19


@dataclass
class Header:
    """What is needed of the file's header; ``at`` is the byte where the points begin."""

    at: int
    format: int
    compressed: bool
    length: int
    count: int
    scales: np.ndarray
    offsets: np.ndarray

    @property
    def extended(self) -> bool:
        """Whether it is one of the formats of LAS 1.4."""
        return self.format >= 6


def read(path: Path) -> Reading[tuple[Thing, ...]]:
    """One cloud."""
    size = path.stat().st_size
    h = read_header(path, size)
    yield 0.0
    if h.compressed:
        arrays = yield from _unpacked(path, h)
    else:
        arrays, _, _ = yield from read_columns(path, h.at, record_of(h), h.count, columns_of(h))
    whole = arrays["xyz"]
    origin = origin_for(whole[:: max(1, h.count // 512)] * h.scales + h.offsets)
    xyz = whole.view(np.float32)  # filled in place: the whole numbers are not needed again
    for at in range(0, h.count, SLICE):
        with np.errstate(over="ignore", invalid="ignore"):
            xyz[at : at + SLICE] = whole[at : at + SLICE] * h.scales + (h.offsets - origin)
        yield 0.9 + 0.1 * at / h.count
    arrays["xyz"] = xyz
    return (thing_of(path, h, arrays, np.array(origin)),)


def thing_of(path: Path, h: Header, arrays: dict[str, np.ndarray], origin: np.ndarray) -> Thing:
    """The cloud of columns as :func:`columns_of` names them; places as whole numbers are still to be scaled."""
    xyz = arrays["xyz"]
    if xyz.dtype.kind == "i":
        places = xyz * h.scales + h.offsets
        origin = np.array(origin_for(places))
        xyz = (places - origin).astype(np.float32)
    labels = arrays["class"] if h.extended or h.compressed else arrays["class"] & 31
    rgb = arrays.get("rgb")
    if rgb is not None:
        top = int(rgb.max(initial=0))
        rgb = (rgb if top <= 255 else rgb >> 8).astype(np.uint8) if top else None
    known = np.flatnonzero(np.bincount(labels, minlength=1)).tolist()
    return cloud(
        path,
        xyz,
        (float(origin[0]), float(origin[1]), float(origin[2])),
        rgb=rgb,
        labels=labels.astype(np.int32) if known != [0] else None,
        label_names={k: CLASSES.get(k, f"class {k}") for k in known},
        scalars={"intensity": arrays["intensity"]} if arrays["intensity"].any() else {},
    )


def read_header(path: Path, size: int) -> Header:
    with path.open("rb") as file:
        head = file.read(375)
    if head[:4] != b"LASF":
        refuse(path, "is no LAS file: it does not begin with LASF", "open it by its true ending")
    if len(head) < 227:
        refuse(path, "ends within its header")
    minor = head[25]
    header_size, at, vlrs, kind, length, count = struct.unpack_from("<HIIBHI", head, 94)
    if minor >= 4 and len(head) >= 255 and header_size >= 375:
        (long_count,) = struct.unpack_from("<Q", head, 247)
        count = long_count or count
    scales = np.array(struct.unpack_from("<3d", head, 131))
    offsets = np.array(struct.unpack_from("<3d", head, 155))
    compressed, kind = bool(kind & 0xC0), kind & 0x3F
    if kind >= len(LENGTHS):
        refuse(path, f"its point format {kind} is unknown", "use one of 0 to 10")
    if length < LENGTHS[kind]:
        refuse(path, f"its records have {length} bytes, and those of format {kind} {LENGTHS[kind]} at least")
    if not (np.isfinite(scales).all() and np.isfinite(offsets).all() and scales.all()):
        refuse(path, f"its scales {scales.tolist()} and offsets {offsets.tolist()} place no point")
    if not header_size <= at <= size:
        refuse(path, f"its points begin at byte {at:,}, and it has {size:,}")
    need(path, vlrs, 54, size, "variable records")
    if count == 0:
        refuse(path, "holds no point", "open a file that has some")
    need(path, count, LEAST_LAZ if compressed else length, size - at, "points")
    return Header(at, kind, compressed, length, count, scales, offsets)


def record_of(h: Header) -> np.dtype:
    names, formats, offsets = ["X", "Y", "Z", "intensity"], ["<i4", "<i4", "<i4", "<u2"], [0, 4, 8, 12]
    names.append("class")
    formats.append("u1")
    offsets.append(16 if h.extended else 15)
    if h.format in RGB_AT:
        for k, name in enumerate(("red", "green", "blue")):
            names.append(name)
            formats.append("<u2")
            offsets.append(RGB_AT[h.format] + 2 * k)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": h.length})


def columns_of(h: Header) -> dict[str, Column]:
    """What is read of a record."""
    columns = {
        "xyz": Column(("X", "Y", "Z"), np.dtype(np.int32)),
        "class": Column(("class",), np.dtype(np.uint8)),
        "intensity": Column(("intensity",), np.dtype(np.uint16)),
    }
    if h.format in RGB_AT:
        columns["rgb"] = Column(("red", "green", "blue"), np.dtype(np.uint16))
    return columns


# ---- compressed -----------------------------------------------------------------------------------------------------


def _unpacked(path: Path, h: Header) -> Reading[dict[str, np.ndarray]]:
    _check_chunks(path, h)
    import laspy  # a fifth of a second

    arrays = _room(h, h.count)
    at = 0
    with laspy.open(path, laz_backend=laspy.LazBackend.Lazrs, read_evlrs=False) as reader:
        if reader.header.point_count != h.count or reader.header.point_format.size != h.length:
            refuse(path, "its header contradicts itself on its points")
        for chunk in reader.chunk_iterator(CHUNK):
            if at + len(chunk) > h.count:
                refuse(path, f"has more than the {h.count:,} points that it says")
            at = _put(arrays, chunk, at)
            yield 0.9 * at / h.count
    if at < h.count:
        refuse(path, f"ends after {at:,} of its {h.count:,} points")
    return arrays


def unpack_at(path: Path, h: Header, starts: Sequence[int], count: int) -> dict[str, np.ndarray]:
    """``count`` points from each of some places on."""
    _check_chunks(path, h)
    import laspy

    arrays = _room(h, len(starts) * count)
    at = 0
    with laspy.open(path, laz_backend=laspy.LazBackend.Lazrs, read_evlrs=False) as reader:
        for start in starts:
            reader.seek(start)
            at = _put(arrays, reader.read_points(count), at)
    return {name: array[:at] for name, array in arrays.items()}


def _room(h: Header, count: int) -> dict[str, np.ndarray]:
    columns = columns_of(h)
    return {k: np.empty((count,) if len(c.fields) == 1 else (count, 3), c.dtype) for k, c in columns.items()}


def _put(arrays: dict[str, np.ndarray], chunk: Any, at: int) -> int:
    """Points of laspy's into the columns from ``at`` on; where they end."""
    end = at + len(chunk)
    for k, name in enumerate("XYZ"):
        arrays["xyz"][at:end, k] = chunk[name]
    arrays["class"][at:end] = chunk["classification"]
    arrays["intensity"][at:end] = chunk["intensity"]
    if "rgb" in arrays:
        for k, name in enumerate(("red", "green", "blue")):
            arrays["rgb"][at:end, k] = chunk[name]
    return end


def _check_chunks(path: Path, h: Header) -> None:
    """The counts that the unpacking library would believe: chunks, and what a record is made of."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(94)
        header_size, _, vlrs = struct.unpack("<HII", file.read(10))
        file.seek(header_size)
        laszip = b""
        for _ in range(vlrs):
            head = file.read(54)
            if len(head) < 54:
                refuse(path, "ends within its variable records")
            user, number, length = head[2:18].rstrip(b"\0"), *struct.unpack_from("<HH", head, 18)
            data = file.read(length)
            if len(data) < length:
                refuse(path, "ends within its variable records")
            if user == b"laszip encoded" and number == 22204:
                laszip = data
        if len(laszip) < 34:
            refuse(path, "is compressed but does not say how")
        compressor, coder = struct.unpack_from("<HH", laszip, 0)
        chunk_size, items = struct.unpack_from("<I", laszip, 12)[0], struct.unpack_from("<H", laszip, 32)[0]
        sizes = [struct.unpack_from("<HHH", laszip, 34 + 6 * i) for i in range(items) if 40 + 6 * i <= len(laszip)]
        if compressor not in (2, 3) or coder != 0 or len(sizes) != items or sum(s for _, s, _ in sizes) != h.length:
            refuse(path, "says in a damaged way how it is compressed")
        known = {10: 9, 11: 1, 12: 2, 13: 1, 14: 0} if h.extended else {0: 0, 6: 0, 7: 0, 8: 0, 9: 0}
        if compressor != (3 if h.extended else 2) or any(kind not in known for kind, _, _ in sizes):
            refuse(path, "is compressed in a way that does not fit its point format")
        layers = sum(size if kind == 14 else known[kind] for kind, size, _ in sizes)
        if not chunk_size:
            refuse(path, "says that its chunks are empty")
        file.seek(h.at)
        start = file.read(8)
        if len(start) < 8:
            refuse(path, "ends before its points")
        (table,) = struct.unpack("<q", start)
        if table == -1:
            file.seek(size - 8)
            (table,) = struct.unpack("<q", file.read(8))
        if not h.at + 8 <= table <= size - 8:
            refuse(path, "its table of chunks lies outside of it", "it may still be being written; open it again")
        file.seek(table)
        _, chunks = struct.unpack("<II", file.read(8))
        need(path, chunks, 1, table - h.at, "chunks")
        if chunk_size != 2**32 - 1 and chunks != -(-h.count // chunk_size):
            refuse(path, f"says that its {h.count:,} points lie in {chunks:,} chunks of {chunk_size:,}")
        if layers and chunks:
            _check_layers(path, h, file, laszip, table, layers)


def _check_layers(path: Path, h: Header, file: IO[bytes], laszip: bytes, table: int, layers: int) -> None:
    """Of chunks in layers, that each layer lies within its chunk: after the first point as it stands and the number of
    points, a chunk says how many bytes each of its layers has."""
    import lazrs

    file.seek(h.at)
    at = h.at + 8
    for _, length in lazrs.read_chunk_table(file, lazrs.LazVlr(laszip)):
        file.seek(at)
        head = file.read(h.length + 4 + 4 * layers)
        sizes = np.frombuffer(head[h.length + 4 :], "<u4", len(head[h.length + 4 :]) // 4)
        if at + length > table or len(sizes) != layers or int(sizes.sum(dtype=np.int64)) > length - len(head):
            refuse(path, f"has a damaged chunk at byte {at:,}")
        at += length
