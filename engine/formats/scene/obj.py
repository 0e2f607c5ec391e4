"""Wavefront OBJ with the texture of its MTL. Knows no other format; follows no path out of the file's folder.

Lines are sorted by their first word a slice at a time and each kind is read as one block of numbers. A corner v/vt/vn
is a vertex of its own where a position has several texture places or normals; without these, positions are kept.
Colours after the position (v x y z r g b) are read. Lines and curves are passed over.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.formats.scene.common import (
    Reading,
    beside,
    cloud,
    fans,
    lines_of,
    numbers,
    picture,
    placed,
    refuse,
    rgb8,
    surface,
    table,
)
from engine.scene import Thing

MTL_MOST = 1 << 22


class _Blocks:
    """What was read so far; the corners of faces, 0 where a part is missing."""

    def __init__(self) -> None:
        self.v: list[np.ndarray] = []
        self.rgb: list[np.ndarray] = []
        self.vt: list[np.ndarray] = []
        self.vn: list[np.ndarray] = []
        self.corners: list[np.ndarray] = []  # (K, 3) of v, vt, vn
        self.sizes: list[np.ndarray] = []
        self.library = ""
        self.materials: list[str] = []
        self.counts = [0, 0, 0]


def read(path: Path) -> Reading[tuple[Thing, ...]]:
    """One mesh of all groups, or a cloud where there are no faces."""
    size = path.stat().st_size
    b = _Blocks()
    done = 0
    with path.open("rb") as file:
        for lines in lines_of(file):
            done += sum(map(len, lines))
            if b"\0" in lines[0]:
                refuse(path, "is no OBJ file: it is not text", "open it by its true ending")
            _take(path, b, lines)
            yield 0.9 * done / max(1, size)
    if not b.v:
        refuse(path, "holds no vertex", "open a file that has some")
    xyz, origin = placed(np.concatenate(b.v))
    rgb = rgb8(np.concatenate(b.rgb)) if len(b.rgb) == len(b.v) else None
    if not b.sizes:
        return (cloud(path, xyz, origin, rgb=rgb),)
    corners, sizes = np.concatenate(b.corners), np.concatenate(b.sizes)
    used = [bool(corners[:, k].any()) for k in range(3)]
    limits = [len(xyz), sum(map(len, b.vt)), sum(map(len, b.vn))]
    for k, word in enumerate(("vertex", "texture place", "normal")):
        if len(corners) and corners[:, k].max() > limits[k]:
            refuse(path, f"has a face with {word} {corners[:, k].max()}, and there are {limits[k]:,}")
    if len(corners) and corners[:, 0].min() < 1:
        refuse(path, "has a face with vertex 0, and they are counted from 1")
    yield 0.93
    texture = _texture(path, b) if used[1] else None
    uv = normals = None
    if (used[1] and texture is not None) or used[2]:
        if texture is None:
            corners[:, 1] = 0
        flat, picks = _parted(corners)
        yield 0.97
        if texture is not None and used[1]:
            uv = np.concatenate([np.zeros((1, 2)), *b.vt])[picks[:, 1]].astype(np.float32)
        if used[2]:
            normals = np.concatenate([np.zeros((1, 3)), *b.vn])[picks[:, 2]].astype(np.float32)
        xyz = xyz[picks[:, 0] - 1]
        rgb = None if rgb is None else rgb[picks[:, 0] - 1]
    else:
        flat = corners[:, 0] - 1
    faces = fans(flat, sizes)
    return (surface(path, xyz, faces, origin, rgb=rgb, normals=normals, uv=uv, texture=texture),)


def _parted(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (K, 3) as numbers of vertices (K,), and the different ones (V, 3)."""
    spans = corners.max(0) + 1
    key = (corners[:, 0] * spans[1] + corners[:, 1]) * spans[2] + corners[:, 2]
    _, first, numbers_ = np.unique(key, return_index=True, return_inverse=True)
    return numbers_, corners[first]


def _take(path: Path, b: _Blocks, lines: list[bytes]) -> None:
    if any(line.endswith((b"\\\n", b"\\\r\n")) for line in lines):
        lines = b"".join(lines).replace(b"\\\r\n", b" ").replace(b"\\\n", b" ").splitlines()
    kinds: dict[bytes, list[bytes]] = {b"v": [], b"vt": [], b"vn": [], b"f": []}
    for line in lines:
        word, _, rest = line.lstrip().partition(b" ")
        if word in kinds:
            kinds[word].append(rest)
            if word == b"f" and b"-" in rest:
                kinds[word][-1] = _absolute(path, rest, b, kinds)
        elif b"\t" in word and word.partition(b"\t")[0] in kinds:
            head, _, tail = line.strip().partition(b"\t")
            kinds[head].append(tail)
        elif word == b"mtllib":
            b.library = b.library or rest.decode("utf-8", "replace").strip()
        elif word == b"usemtl":
            b.materials.append(rest.decode("utf-8", "replace").strip())
    if kinds[b"v"]:
        width = len(kinds[b"v"][0].split(b"#")[0].split())
        rows = table(path, _bare(kinds[b"v"]), 6 if width in (6, 7) and _even(kinds[b"v"], 6) else 3)
        b.v.append(rows[:, :3])
        if rows.shape[1] == 6:
            b.rgb.append(rows[:, 3:])
    for word, into, columns in ((b"vt", b.vt, 2), (b"vn", b.vn, 3)):
        if kinds[word]:
            into.append(table(path, _bare(kinds[word]), columns))
    if kinds[b"f"]:
        _faces(path, b, _bare(kinds[b"f"]))
    for k, into in enumerate((b.v, b.vt, b.vn)):
        b.counts[k] = sum(map(len, into))


def _bare(lines: list[bytes]) -> list[bytes]:
    """Lines without what stands behind a #."""
    return [line.partition(b"#")[0] if b"#" in line else line for line in lines]


def _even(lines: list[bytes], least: int) -> bool:
    return all(len(line.split()) >= least for line in lines)


def _absolute(path: Path, rest: bytes, b: _Blocks, kinds: dict[bytes, list[bytes]]) -> bytes:
    """A face that counts back from the newest vertex, counted from the first."""
    now = [b.counts[k] + len(kinds[word]) for k, word in enumerate((b"v", b"vt", b"vn"))]
    words = []
    for corner in rest.split():
        parts = corner.split(b"/")[:3]
        try:
            turned = [b"%d" % (int(p) + n + 1) if p.startswith(b"-") else p for p, n in zip(parts, now, strict=False)]
        except ValueError:
            refuse(path, f"has {corner[:20].decode('latin-1')!r} where a corner of a face should be")
        words.append(b"/".join(turned))
    return b" ".join(words)


def _faces(path: Path, b: _Blocks, lines: list[bytes]) -> None:
    sizes = np.array([len(line.split()) for line in lines], np.int64)
    joined = b" ".join(lines)
    slashes = joined.count(b"/")
    total = int(sizes.sum())
    corners = np.zeros((total, 3), np.int64)
    try:
        if not slashes:
            flat = numbers(path, [joined])
            corners[:, 0] = flat
        elif slashes == 2 * total and b"//" not in joined:
            corners[:] = numbers(path, [joined.replace(b"/", b" ")]).reshape(total, 3)
        elif slashes == 2 * total and joined.count(b"//") == total:
            corners[:, [0, 2]] = numbers(path, [joined.replace(b"//", b" ")]).reshape(total, 2)
        elif slashes == total and b"//" not in joined:
            corners[:, :2] = numbers(path, [joined.replace(b"/", b" ")]).reshape(total, 2)
        else:
            for i, word in enumerate(joined.split()):
                parts = (word.split(b"/") + [b"", b""])[:3]
                corners[i] = [int(part or b"0") for part in parts]
    except (ValueError, OverflowError):
        refuse(path, "has a face whose corners are no numbers v, v/vt or v/vt/vn")
    if total and (corners.min() < 0 or corners.max() > 2**40):
        bad = corners.min() if corners.min() < 0 else corners.max()
        refuse(path, f"has a face with corner {bad}, which is not there")
    b.corners.append(corners)
    b.sizes.append(sizes)


def _texture(path: Path, b: _Blocks) -> np.ndarray | None:
    """The picture of the first material in use that has one; without materials, that named like the file."""
    library = beside(path, b.library) if b.library else None
    if library is None:  # models are often handed on without it
        names = (f"{path.stem}{more}{kind}" for more in ("_texture", "") for kind in (".png", ".jpg", ".jpeg"))
        return next((t for n in names if (found := beside(path, n)) and (t := picture(found)) is not None), None)
    if library.stat().st_size > MTL_MOST:
        return None
    maps: dict[str, str] = {}
    current = ""
    for line in library.read_text("utf-8", "replace").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "newmtl":
            current = rest.strip()
        elif word == "map_Kd" and rest.strip():
            maps.setdefault(current, rest.strip())
    for name in [*b.materials, *([] if b.materials else maps)]:
        if name in maps:
            found = beside(path, maps[name]) or beside(path, maps[name].split()[-1])  # options stand before the name
            texture = picture(found) if found is not None else None
            if texture is not None:
                return texture
    return None
