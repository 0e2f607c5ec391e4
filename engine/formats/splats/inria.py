"""Splats as PLY the way training leaves them (graphdeco-inria/gaussian-splatting): a property for each number.

Properties are found by their names, in any order and of any type, beside others; any degree of harmonics up to 3, what
is above is left out. Without ``scale_2`` (2-D splats) the third deviation is nothing. Knows no other format.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from engine.formats.scene.common import TEXT_SLICE, Reading, need, refuse, table
from engine.formats.scene.ply import Element, Header
from engine.formats.scene.records import Column, read_columns
from engine.formats.splats.common import COEFFICIENTS, SLICE, splats_of
from engine.scene import Splats, Thing

TURN = ("rot_0", "rot_1", "rot_2", "rot_3")
NEEDED = ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", *TURN)
"""What a vertex has that is a splat."""
REST = {0: 1, 9: 4, 24: 9, 45: 16, 72: 16}
"""Properties f_rest_0 ... there may be, and the coefficients of each colour that are read then."""
ANTIALIASED = "SplatRenderMode: mip"
"""The comment by which Brush, and after it others, tell that splats were trained with antialiasing."""
OTHER_ANTIALIASED = "antialiased 1"
"""The same by Postshot."""


def is_inria(header: Header) -> bool:
    """Whether the vertices of a PLY file are splats."""
    vertex = next((e for e in header.elements if e.name == "vertex"), None)
    return vertex is not None and set(NEEDED) <= {p.name for p in vertex.properties}


def antialiased(header: Header) -> bool:
    """Whether a comment says so; the last one that says anything counts."""
    said = False
    for comment in header.comments:
        text = " ".join(comment.lower().split())
        if text.startswith(("splatrendermode:", "antialiased ")):
            said = text in (ANTIALIASED.lower(), OTHER_ANTIALIASED)
    return said


def read(path: Path, header: Header) -> Reading[tuple[Thing, ...]]:
    """The splats of a file whose header was read and whose counts were checked."""
    vertex, at = _vertices(path, header)
    columns = columns_of(path, vertex)
    arrays: dict[str, Any] = {}
    finite = False
    if header.order:
        record = vertex.record(header.order)
        need(path, vertex.count, record.itemsize, path.stat().st_size - at, "splats")
        arrays, _, finite = yield from read_columns(path, at, record, vertex.count, columns)
    else:
        rows = yield from _rows(path, header, vertex)
        names = [p.name for p in vertex.properties]
        with np.errstate(over="ignore"):
            for key, c in columns.items():
                picked = rows[:, [names.index(name) for name in c.fields]].astype(c.dtype)
                arrays[key] = picked if len(c.fields) > 1 else picked[:, 0]
    return (thing_of(path, header, arrays, finite),)


def thing_of(path: Path, header: Header, arrays: dict[str, Any], finite: bool = False) -> Splats:
    """Splats of the columns of :func:`columns_of`."""
    scales = arrays["scales"]
    if scales.shape[1] == 2:
        arrays["scales"] = np.column_stack([scales, np.full(len(scales), -np.inf, np.float32)])
        finite = False
    arrays["sh"] = arrays["sh"].reshape(len(scales), arrays["sh"].shape[1] // 3, 3)
    return splats_of(path, **arrays, antialiased=antialiased(header), finite=finite)


def _vertices(path: Path, header: Header) -> tuple[Element, int]:
    """The element of the splats and the byte at which they begin."""
    at = header.end
    for e in header.elements:
        if not e.plain:
            refuse(path, f"has lists in its element {e.name[:30]!r}", "export splats as single numbers")
        if e.name == "vertex":
            break
        at += e.count * (e.record(header.order).itemsize if header.order else 0)
    return e, at


def columns_of(path: Path, vertex: Element) -> dict[str, Column]:
    """What is read of a splat. The harmonics of a file go colour by colour, those here coefficient by coefficient."""
    rest = sum(p.name.startswith("f_rest_") for p in vertex.properties)
    wanted = {f"f_rest_{i}" for i in range(rest)}
    if rest not in REST or not wanted <= {p.name for p in vertex.properties}:
        known = ", ".join(map(str, REST))
        refuse(path, f"has {rest} properties f_rest_, which no degree of harmonics has", f"there can be {known}")
    single = np.dtype(np.float32)
    kinds = {p.name: p.kind for p in vertex.properties}
    exact = np.dtype(np.float64) if any(kinds[axis] in ("f8", "i8", "u8", "i4", "u4") for axis in "xyz") else single
    per = rest // 3
    sh = [f"f_dc_{c}" for c in range(3)]
    sh += [f"f_rest_{c * per + k}" for k in range(REST[rest] - 1) for c in range(3)]
    scales = tuple(name for name in ("scale_0", "scale_1", "scale_2") if name in kinds)
    fields = {"scales": scales, "turns": TURN, "opacity": ("opacity",), "sh": tuple(sh)}
    columns = {name: Column(names, single, checked=True) for name, names in fields.items()}
    return {"xyz": Column(("x", "y", "z"), exact, checked=True), **columns}


def _rows(path: Path, header: Header, vertex: Element) -> Reading[np.ndarray]:
    """The numbers of an ascii file, float64 (N, properties)."""
    blocks = []
    with path.open("rb") as file:
        file.seek(header.end)
        for e in itertools.takewhile(lambda e: e is not vertex, header.elements):
            for _ in itertools.islice(file, e.count):
                pass
        left, width = vertex.count, len(vertex.properties)
        while left:
            batch = max(1, min(left, TEXT_SLICE // (8 * width)))
            lines = list(itertools.islice(file, batch))
            if len(lines) < batch:
                refuse(path, f"ends after {vertex.count - left + len(lines):,} of its {vertex.count:,} splats")
            blocks.append(table(path, lines, width))
            left -= batch
            yield 1 - left / vertex.count
    return np.concatenate(blocks) if blocks else np.zeros((0, width))


def encode(splats: Splats) -> Iterator[bytes]:
    """A file of splats as they stand in the world, piece by piece; normals of nothing, as other programs expect."""
    count, coefficients = splats.sh.shape[:2]
    per = coefficients - 1
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *(f"f_rest_{i}" for i in range(3 * per))]
    names += ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    head = ["ply", "format binary_little_endian 1.0", "comment written by Mutoscope"]
    head += [f"comment {ANTIALIASED}"] if splats.antialiased else []
    head += [f"element vertex {count}", *(f"property float {name}" for name in names), "end_header\n"]
    yield "\n".join(head).encode("ascii")
    origin = np.asarray(splats.origin)
    for start in range(0, count, SLICE):
        part = slice(start, start + SLICE)
        sh = splats.sh[part]
        rows = np.zeros((len(sh), len(names)), "<f4")
        rows[:, :3] = splats.xyz[part] + origin if origin.any() else splats.xyz[part]
        rows[:, 6:9] = sh[:, 0]
        rows[:, 9 : 9 + 3 * per] = sh[:, 1:].transpose(0, 2, 1).reshape(len(sh), -1)
        rows[:, -8] = splats.opacity[part]
        rows[:, -7:-4] = splats.scales[part]
        rows[:, -4:] = splats.turns[part]
        yield rows.tobytes()


DEGREES = {k: d for d, k in enumerate(COEFFICIENTS)}
"""By the number of coefficients of each colour."""
