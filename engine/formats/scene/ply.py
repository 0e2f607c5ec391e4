"""PLY: ascii and both binary orders, whatever properties the vertices have. Knows no other format.

Positions x y z, normals nx ny nz, colours red green blue (diffuse_...; f_dc_0.. of Gaussian splats), a class as
``label`` or the like, faces as lists of corners; every other number of a vertex becomes a scalar.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from engine.formats.scene.common import (
    LABEL_NAMES,
    TEXT_SLICE,
    Reading,
    beside,
    cloud,
    fans,
    need,
    picture,
    placed,
    refuse,
    rgb8,
    surface,
    table,
)
from engine.formats.scene.records import Column, read_columns
from engine.scene import Thing

TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "int64": "i8", "uint64": "u8",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
HEADER = 1 << 16
MOST_SCALARS = 24
SPLAT_SCALARS = ("f_rest_", "rot_", "scale_", "f_dc_")
UV_NAMES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))
C0 = 0.28209479177387814
"""Spherical harmonic of degree 0: a splat's colour is 0.5 + C0 * f_dc."""


@dataclass
class Property:
    name: str
    kind: str
    count_kind: str = ""
    """Of a list: the type of its length; '' for a single number."""


@dataclass
class Element:
    name: str
    count: int
    properties: list[Property] = field(default_factory=list)

    @property
    def plain(self) -> bool:
        return not any(p.count_kind for p in self.properties)

    def record(self, order: str, list_size: int = 0) -> np.dtype:
        """The record's type, its lists ``list_size`` long; a list's length is the field ``#name``."""
        fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
        for p in self.properties:
            if p.count_kind:
                fields += [(f"#{p.name}", order + p.count_kind), (p.name, order + p.kind, (list_size,))]
            else:
                fields.append((p.name, order + p.kind))
        return np.dtype(fields)


@dataclass
class Header:
    order: str
    elements: list[Element]
    texture: str
    end: int
    comments: tuple[str, ...] = ()


def read(path: Path) -> Reading[tuple[Thing, ...]]:
    """A cloud, a mesh where there are faces, or splats where the vertices are such."""
    from engine.formats.splats import ply as splats  # reads headers by this module

    size = path.stat().st_size
    with path.open("rb") as file:
        header = read_header(path, file)
    if splats.holds_splats(header):
        return (yield from splats.read(path, header))
    vertex = next((e for e in header.elements if e.name == "vertex"), None)
    if vertex is None or not {"x", "y", "z"} <= {p.name for p in vertex.properties}:
        refuse(path, "its vertices have no x, y and z", "export plain points, splats or a mesh")
    if not vertex.plain:
        refuse(path, "its vertices have lists as properties", "export them as single numbers")
    check_counts(path, header, size)
    yield 0.0
    return (yield from (_binary(path, header, size) if header.order else _ascii(path, header)))


def check_counts(path: Path, header: Header, size: int) -> None:
    """Complains of counts that a file of so many bytes cannot hold."""
    total = 0.0
    for e in header.elements:
        width = e.record(header.order).itemsize if header.order else 2 * max(1, len(e.properties))
        need(path, e.count, max(1, width) if header.order else 1, size, e.name)
        total += e.count * width
    if total - 1 > size - header.end:
        there, count = size - header.end, next((e.count for e in header.elements if e.name == "vertex"), 0)
        refuse(path, f"says that it has {count:,} vertices, more than its {there:,} bytes can hold")


def read_header(path: Path, file: IO[bytes]) -> Header:
    text = file.read(HEADER)
    if not text.startswith(b"ply"):
        refuse(path, "is no PLY file: it does not begin with the word ply", "open it by its true ending")
    order, elements, texture, at = None, [], "", 0
    comments: list[str] = []
    while True:
        end = text.find(b"\n", at)
        if end < 0:
            refuse(path, "its header has no end_header")
        line, at = text[at:end].decode("latin-1").strip(), end + 1
        words = line.split()
        match words:
            case ["end_header"]:
                break
            case ["format", kind, *_]:
                if kind not in ORDERS:
                    refuse(path, f"its format is {kind[:30]!r}", f"it must be one of {', '.join(ORDERS)}")
                order = ORDERS[kind]
            case ["comment", word, *rest]:
                comments.append(" ".join([word, *rest]))
                if word.lower().rstrip(":") == "texturefile":
                    texture = " ".join(rest)
            case ["element", name, number]:
                if not number.lstrip("-").isdecimal() or len(number) > 18:
                    refuse(path, f"says that it has {number[:30]} {name[:30]}")
                elements.append(Element(name, int(number)))
            case ["property", "list", count_kind, kind, name] if elements:
                if TYPES.get(count_kind, "f")[0] == "f" or kind not in TYPES:
                    refuse(path, f"its list {name[:30]!r} is of {count_kind[:20]} and {kind[:20]}")
                elements[-1].properties.append(Property(name, TYPES[kind], TYPES[count_kind]))
            case ["property", kind, name] if elements:
                if kind not in TYPES:
                    refuse(path, f"its property {name[:30]!r} is of the unknown type {kind[:20]!r}")
                elements[-1].properties.append(Property(name, TYPES[kind]))
            case ["ply"] | ["comment" | "obj_info", *_] | []:
                pass
            case _:
                refuse(path, f"its header has the line {line[:40]!r}")
    if order is None:
        refuse(path, "its header names no format")
    for e in elements:
        if len({p.name for p in e.properties}) != len(e.properties):
            refuse(path, f"its element {e.name[:30]!r} has a property twice")
    return Header(order, elements, texture, at, tuple(comments))


# ---- binary ---------------------------------------------------------------------------------------------------------


def _binary(path: Path, header: Header, size: int) -> Reading[tuple[Thing, ...]]:
    at = header.end
    faces: np.ndarray | None = None
    columns: dict[str, np.ndarray] = {}
    origin, finite = (0.0, 0.0, 0.0), True
    vertices = next(e for e in header.elements if e.name == "vertex")
    for e in header.elements:
        if e.name == "vertex":
            record = e.record(header.order)
            need(path, e.count, record.itemsize, size - at, "vertices")
            columns, origin, finite = yield from read_columns(path, at, record, e.count, columns_of(e))
            at += e.count * record.itemsize
        elif e.plain:
            need(path, e.count, e.record(header.order).itemsize, size - at, e.name)
            at += e.count * e.record(header.order).itemsize
        else:
            found, at = yield from _lists(path, header.order, e, at, size)
            if e.name == "face":
                faces = found
    return (thing_of(path, header, vertices, columns, origin, finite, faces),)


def _lists(path: Path, order: str, e: Element, at: int, size: int) -> Reading[tuple[np.ndarray, int]]:
    """An element with lists: the triangles of its list of corners (F, 3), and the byte behind it."""
    corners = next((p for p in e.properties if p.count_kind and "ind" in p.name), None)
    lists = [p for p in e.properties if p.count_kind]
    if not e.count:
        return np.zeros((0, 3), np.int64), at
    mapped = np.memmap(path, np.uint8, "r")
    if len(lists) == 1:  # nearly always all lists have the length of the first
        head = e.record(order)
        fields = dict(head.fields or {})
        first = int(mapped[at : at + head.itemsize].view(head)[f"#{lists[0].name}"][0])
        record = e.record(order, first) if 0 <= first < 1 << 16 and first * e.count <= size else None
        if record is not None and fields and e.count * record.itemsize <= size - at:
            whole = mapped[at : at + e.count * record.itemsize].view(record)
            if bool((whole[f"#{lists[0].name}"] == first).all()):
                yield 0.9
                at += e.count * record.itemsize
                if corners is None or first < 3:
                    return np.zeros((0, 3), np.int64), at
                k = np.arange(1, first - 1)
                every = np.stack([np.zeros_like(k), k, k + 1], 1)
                return np.ascontiguousarray(whole[corners.name][:, every.ravel()]).reshape(-1, 3).astype(np.int64), at
    return (yield from _mixed(path, order, e, corners, mapped, at))


def _mixed(
    path: Path, order: str, e: Element, corners: Property | None, mapped: np.ndarray, at: int
) -> Reading[tuple[np.ndarray, int]]:
    """Lists of different lengths, one by one."""
    data = mapped.data
    found: list[np.ndarray] = []
    sizes = []
    signed = "little" if order == "<" else "big"
    for i in range(e.count):
        if i % 20_000 == 0:
            yield i / e.count
        for p in e.properties:
            width = int(p.kind[1])
            n = 1
            if p.count_kind:
                step = int(p.count_kind[1])
                n = int.from_bytes(data[at : at + step], signed, signed=p.count_kind[0] == "i")  # type: ignore[arg-type]  # one of two words
                at += step
            if n < 0 or at + n * width > len(mapped):
                refuse(path, f"its {e.name} {i:,} has {n:,} entries, more than the file holds")
            if p is corners:
                found.append(np.frombuffer(data[at : at + n * width], order + p.kind))
                sizes.append(n)
            at += n * width
    flat = np.concatenate(found).astype(np.int64) if found else np.zeros(0, np.int64)
    return fans(flat, np.array(sizes, np.int64)), at


# ---- ascii ----------------------------------------------------------------------------------------------------------


def _ascii(path: Path, header: Header) -> Reading[tuple[Thing, ...]]:
    faces: np.ndarray | None = None
    columns: dict[str, np.ndarray] = {}
    origin = (0.0, 0.0, 0.0)
    vertices = next(e for e in header.elements if e.name == "vertex")
    total = sum(e.count for e in header.elements) or 1
    done = 0
    with path.open("rb") as file:
        file.seek(header.end)
        for e in header.elements:
            width = len(e.properties)
            blocks: list[np.ndarray] = []
            left = e.count
            while left:
                batch = max(1, min(left, TEXT_SLICE // (8 * max(1, width))))
                lines = list(itertools.islice(file, batch))
                if len(lines) < batch:
                    refuse(path, f"ends after {e.count - left + len(lines):,} of its {e.count:,} {e.name}")
                if e.plain and width:
                    blocks.append(table(path, lines, width))
                elif e.name == "face":
                    blocks.append(_text_faces(path, e, lines))
                left -= batch
                done += batch
                yield done / total
            if e.name == "vertex":
                columns, origin = _text_columns(e, np.concatenate(blocks) if blocks else np.zeros((0, width)))
            elif e.name == "face":
                faces = np.concatenate(blocks) if blocks else None
    return (thing_of(path, header, vertices, columns, origin, None, faces),)


def _text_faces(path: Path, e: Element, lines: list[bytes]) -> np.ndarray:
    corners = next((i for i, p in enumerate(e.properties) if p.count_kind and "ind" in p.name), None)
    if corners is None:
        return np.zeros((0, 3), np.int64)
    flat: list[int] = []
    sizes = []
    for line in lines:
        words = line.split()
        try:
            at = 0
            for i, p in enumerate(e.properties):
                n = int(words[at]) if p.count_kind else 1
                at += bool(p.count_kind)
                if i == corners:
                    part = words[at : at + n]
                    if n < 0 or len(part) < n:
                        raise ValueError
                    flat += map(int, part)
                    sizes.append(n)
                    break
                at += n
        except (ValueError, IndexError):
            refuse(path, f"has the line {line[:40].decode('latin-1').strip()!r} where a face should be")
    if flat and (max(flat) > 2**40 or min(flat) < 0):
        refuse(path, f"has a face with corner {max(flat) if max(flat) > 2**40 else min(flat)}")
    return fans(np.array(flat, np.int64), np.array(sizes, np.int64))


def _text_columns(e: Element, rows: np.ndarray) -> tuple[dict[str, np.ndarray], tuple[float, float, float]]:
    names = [p.name for p in e.properties]
    out: dict[str, np.ndarray] = {}
    origin = (0.0, 0.0, 0.0)
    for key, column in columns_of(e).items():
        values = rows[:, [names.index(name) for name in column.fields]]
        if column.place:
            out[key], origin = placed(values)
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.nan_to_num(values) if column.dtype.kind in "iu" else values
            if column.dtype.kind in "iu":
                limits = np.iinfo(column.dtype)
                values = np.clip(values, limits.min, limits.max)
            out[key] = (values if len(column.fields) > 1 else values[:, 0]).astype(column.dtype)
    return out, origin


# ---- both -----------------------------------------------------------------------------------------------------------


def columns_of(e: Element) -> dict[str, Column]:
    """What is read of a vertex: groups by the key of what they mean, ``scalar:NAME`` for the rest."""
    kinds = {p.name: p.kind for p in e.properties}
    single = np.dtype(np.float32)
    columns = {"xyz": Column(("x", "y", "z"), single, place=True)}
    used = {"x", "y", "z"}

    def group(key: str, names: Sequence[str], dtype: np.dtype) -> None:
        if key not in columns and set(names) <= set(kinds):
            columns[key] = Column(tuple(names), dtype)
            used.update(names)

    group("normals", ("nx", "ny", "nz"), single)
    for names in (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b")):
        if set(names) <= set(kinds):
            byte = all(kinds[name] == "u1" for name in names)
            group("rgb", names, np.dtype(np.uint8) if byte else single)
    if "rgb" not in columns:
        group("dc", ("f_dc_0", "f_dc_1", "f_dc_2"), single)
    for pair in UV_NAMES:
        group("uv", pair, single)
    for name in kinds:
        if "label" not in columns and name.lower().removeprefix("scalar_") in LABEL_NAMES:
            group("label", (name,), np.dtype(np.int32))
    rest = [n for n in kinds if n not in used and not n.startswith(SPLAT_SCALARS) and n not in ("alpha", "a")]
    for name in rest[:MOST_SCALARS]:
        columns[f"scalar:{name.removeprefix('scalar_')}"] = Column((name,), single)
    return columns


def thing_of(
    path: Path,
    header: Header,
    vertices: Element,
    columns: dict[str, np.ndarray],
    origin: tuple[float, float, float],
    finite: bool | None,
    faces: np.ndarray | None,
) -> Thing:
    rgb = columns.get("rgb")
    if rgb is not None:
        rgb = rgb8(rgb)
    elif "dc" in columns:
        rgb = rgb8(np.clip(0.5 + C0 * np.nan_to_num(columns["dc"].astype(np.float64)), 0, 1))
    scalars = {key.partition(":")[2]: value for key, value in columns.items() if key.startswith("scalar:")}
    if faces is None or not len(faces):
        return cloud(
            path,
            columns["xyz"],
            origin,
            rgb=rgb,
            normals=columns.get("normals"),
            labels=columns.get("label"),
            scalars=scalars,
            finite=finite if vertices.count else None,
        )
    if "label" in columns:
        scalars["label"] = columns["label"]
    uv, texture = columns.get("uv"), None
    if uv is not None and header.texture:
        found = beside(path, header.texture)
        texture = picture(found) if found is not None else None
    return surface(
        path,
        columns["xyz"],
        faces,
        origin,
        rgb=rgb,
        normals=columns.get("normals"),
        scalars=scalars,
        uv=uv if texture is not None else None,
        texture=texture,
    )
