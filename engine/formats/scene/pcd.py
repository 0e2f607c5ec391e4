"""PCD of the Point Cloud Library: ascii, binary and binary_compressed (LZF). Knows no other format.

Colours are packed into one number named rgb or rgba; points that are not a number (what a depth camera did not see) are
dropped; the viewpoint of the header is not applied, since the points already stand in its world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.formats.scene.common import (
    LABEL_NAMES,
    Reading,
    cloud,
    lines_of,
    need,
    placed,
    refuse,
    table,
)
from engine.formats.scene.records import Column, read_columns
from engine.scene import Thing

KINDS = {
    "F": {4: "<f4", 8: "<f8"},
    "I": {1: "i1", 2: "<i2", 4: "<i4", 8: "<i8"},
    "U": {1: "u1", 2: "<u2", 4: "<u4", 8: "<u8"},
}
HEADER = 1 << 14
LZF_RATIO = 90
"""Bytes that LZF makes of one at most: three bytes stand for up to 264."""
LZF_SLICE = 20_000
"""Tokens of LZF between two reports, some ten milliseconds."""


_Columns = tuple[dict[str, np.ndarray], tuple[float, float, float]]
"""Arrays by the key of what they mean, and the origin of the places."""


@dataclass
class Header:
    record: np.dtype
    points: int
    data: str
    end: int


def read(path: Path) -> Reading[tuple[Thing, ...]]:
    """One cloud."""
    size = path.stat().st_size
    h = read_header(path)
    yield 0.0
    columns = columns_of(path, h.record)
    finite: bool | None = None
    if h.data == "ascii":
        need(path, h.points, 2 * len(h.record.names or ()), size, "points")
        arrays, origin = yield from _text(path, h, columns, size)
    elif h.data == "binary":
        need(path, h.points, h.record.itemsize, size - h.end, "points")
        if h.points == 0:
            refuse(path, "holds no point", "open a file that has some")
        arrays, origin, finite = yield from read_columns(path, h.end, h.record, h.points, columns)
    else:
        arrays, origin = yield from _compressed(path, h, columns, size)
    return (thing_of(path, arrays, origin, finite),)


def thing_of(
    path: Path, arrays: dict[str, np.ndarray], origin: tuple[float, float, float], finite: bool | None
) -> Thing:
    """The cloud of columns as :func:`columns_of` names them."""
    rgb = arrays.get("rgb")
    scalars = {key.partition(":")[2]: value for key, value in arrays.items() if key.startswith("scalar:")}
    return cloud(
        path,
        arrays["xyz"],
        origin,
        rgb=None if rgb is None else np.ascontiguousarray(rgb.view(np.uint8).reshape(-1, 4)[:, 2::-1]),
        normals=arrays.get("normals"),
        labels=arrays.get("label"),
        scalars=scalars,
        finite=finite,
    )


def read_header(path: Path) -> Header:
    with path.open("rb") as file:
        text = file.read(HEADER)
    found: dict[str, list[str]] = {}
    at = 0
    while "DATA" not in found:
        end = text.find(b"\n", at)
        if end < 0:
            refuse(path, "is no PCD file: its header has no line DATA", "open it by its true ending")
        words = text[at:end].decode("latin-1").split()
        at = end + 1
        if words and not words[0].startswith("#"):
            found[words[0].upper()] = words[1:]
    names = found.get("FIELDS") or found.get("COLUMNS") or []
    try:
        sizes = [int(w) for w in found["SIZE"]]
        counts = [int(w) for w in found.get("COUNT", ["1"] * len(names))]
        kinds = found["TYPE"]
        points = int(found["POINTS"][0]) if found.get("POINTS") else int(found["WIDTH"][0]) * int(found["HEIGHT"][0])
        data = found["DATA"][0].lower()
    except (KeyError, IndexError, ValueError):
        refuse(path, "its header lacks a line or has words where numbers should be")
    if not len(names) == len(sizes) == len(counts) == len(kinds) or not names:
        refuse(path, "its lines FIELDS, SIZE, TYPE and COUNT are not equally long")
    fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
    for i, (name, size, kind, count) in enumerate(zip(names, sizes, kinds, counts, strict=True)):
        dtype = KINDS.get(kind.upper(), {}).get(size)
        if dtype is None or not 0 < count <= 4096:
            refuse(path, f"its field {name[:20]} is {count} of type {kind[:5]}{size}")
        unique = name if name != "_" and name not in names[:i] else f"_{i}"
        fields.append((unique, dtype) if count == 1 else (unique, dtype, (count,)))
    if data not in ("ascii", "binary", "binary_compressed"):
        refuse(path, f"its data are {data[:20]!r}", "save it as ascii or binary")
    if points < 0:
        refuse(path, f"says that it has {points} points")
    return Header(np.dtype(fields), points, data, at)


def columns_of(path: Path, record: np.dtype) -> dict[str, Column]:
    single = np.dtype(np.float32)
    plain = {n: k[0] for n, k in (record.fields or {}).items() if not k[0].shape}
    if not {"x", "y", "z"} <= set(plain):
        refuse(path, "has no fields x, y and z", "save it with them")
    columns = {"xyz": Column(("x", "y", "z"), single, place=True)}
    used = {"x", "y", "z"}
    colour = next((n for n in ("rgb", "rgba") if n in plain and plain[n].itemsize == 4), None)
    if colour is not None:
        columns["rgb"] = Column((colour,), plain[colour])
        used.add(colour)
    for names in (("normal_x", "normal_y", "normal_z"), ("nx", "ny", "nz")):
        if set(names) <= set(plain) and "normals" not in columns:
            columns["normals"] = Column(names, single)
            used.update(names)
    for name in plain:
        if name in used or name.startswith("_"):
            continue
        if name.lower() in LABEL_NAMES and "label" not in columns and plain[name].kind in "iu":
            columns["label"] = Column((name,), np.dtype(np.int32))
        else:
            columns[f"scalar:{name}"] = Column((name,), single)
    return columns


def _text(path: Path, h: Header, columns: dict[str, Column], size: int) -> Reading[_Columns]:
    names, starts, width = [], [], 0
    for name in h.record.names or ():
        names.append(name)
        starts.append(width)
        shape = h.record[name].shape
        width += int(np.prod(shape)) if shape else 1
    blocks: list[np.ndarray] = []
    have, done = 0, h.end
    with path.open("rb") as file:
        file.seek(h.end)
        for lines in lines_of(file):
            done += sum(map(len, lines))
            rows = [line for line in lines if line.strip()][: h.points - have]
            if rows:
                blocks.append(table(path, rows, width))
            have += len(rows)
            yield 0.9 * done / size
    if have < h.points:
        refuse(path, f"ends after {have:,} of its {h.points:,} points")
    rows_ = np.concatenate(blocks) if blocks else np.zeros((0, width))
    at = dict(zip(names, starts, strict=True))
    return _from(columns, lambda name: rows_[:, at[name]], h.record)


def _from(columns: dict[str, Column], take: Callable[[str], np.ndarray], record: np.dtype) -> _Columns:
    """Columns out of one array per field."""
    arrays: dict[str, np.ndarray] = {}
    origin = (0.0, 0.0, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        for key, column in columns.items():
            values = np.stack([take(name) for name in column.fields], 1)
            if column.place:
                arrays[key], origin = placed(values.astype(np.float64))
            elif key == "rgb":
                arrays[key] = np.ascontiguousarray(_packed(values[:, 0], record[column.fields[0]]))
            else:
                if column.dtype.kind == "i":
                    values = np.clip(np.nan_to_num(values), -(2**31), 2**31 - 1)
                arrays[key] = (values if len(column.fields) > 1 else values[:, 0]).astype(column.dtype)
    return arrays, origin


def _packed(values: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Colours as four bytes each. In text they are written as the whole number, or the float, that those would be."""
    if values.dtype != np.float64:
        return values
    values = np.nan_to_num(values)
    if kind.kind == "f" and not (np.abs(values) >= 1).any():
        return values.astype(np.float32)
    return np.clip(values, 0, 2**32 - 1).astype(np.uint32)


def _compressed(path: Path, h: Header, columns: dict[str, Column], size: int) -> Reading[_Columns]:
    """Two sizes, then LZF of all values of the first field, then of the second ..."""
    with path.open("rb") as file:
        file.seek(h.end)
        head = file.read(8)
        if len(head) < 8:
            refuse(path, "ends before its points")
        packed, plain = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")
        need(path, packed, 1, size - h.end - 8, "compressed bytes")
        if plain != h.points * h.record.itemsize:
            refuse(path, f"says that it has {h.points:,} points, which are not {plain:,} bytes")
        if plain > LZF_RATIO * packed:
            refuse(path, f"says that its {packed:,} bytes become {plain:,}, which they cannot")
        if not plain:
            refuse(path, "holds no point", "open a file that has some")
        data = file.read(packed)
    flat = yield from unpack_lzf(path, data, plain)
    starts: dict[str, int] = {}
    at = 0
    for name in h.record.names or ():
        starts[name] = at
        at += h.points * h.record[name].itemsize
    whole = np.frombuffer(flat, np.uint8)

    def field(name: str) -> np.ndarray:
        kind = h.record[name]
        return whole[starts[name] : starts[name] + h.points * kind.itemsize].view(kind)

    return _from(columns, field, h.record)


def unpack_lzf(path: Path, data: bytes, size: int) -> Reading[bytearray]:
    """``data`` compressed by LZF as ``size`` bytes. A control byte below 32 says how many bytes, and one more, follow
    as they are; else its upper 3 bits (7: plus the next byte) and two are how many to repeat from up to 8192 back."""
    out = bytearray(size)
    at = to = tokens = 0
    end = len(data)
    try:
        while at < end:
            tokens += 1
            if tokens % LZF_SLICE == 0:
                yield 0.9 * at / end
            control = data[at]
            at += 1
            if control < 32:
                stop = to + control + 1
                part = data[at : at + control + 1]
                if stop > size or len(part) != control + 1:
                    raise IndexError
                out[to:stop] = part
                at += control + 1
            else:
                n = control >> 5
                if n == 7:
                    n += data[at]
                    at += 1
                back = to - ((control & 31) << 8) - data[at] - 1
                at += 1
                n += 2
                stop = to + n
                if back < 0 or stop > size:
                    raise IndexError
                if back + n <= to:
                    out[to:stop] = out[back : back + n]
                else:  # what is repeated runs into what it makes
                    part = bytes(out[back:to])
                    out[to:stop] = (part * (n // len(part) + 1))[:n]
            to = stop
    except IndexError:
        refuse(path, f"its compressed points are damaged at byte {at:,}")
    if to != size:
        refuse(path, f"its compressed points end after {to:,} of {size:,} bytes")
    return out
