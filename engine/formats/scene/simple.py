"""STL (ascii and binary) and OFF (with its colours and variants COFF, NOFF, STOFF). Knows no other format.

STL has no shared vertices: equal corners are welded, as a solid's have to be.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.formats.scene.common import Reading, fans, lines_of, need, numbers, placed, refuse, rgb8, surface
from engine.formats.scene.common import cloud as cloud_of
from engine.scene import Thing

STL_RECORD = np.dtype([("normal", "<f4", (3,)), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
SLICE = 200_000


def read_stl(path: Path) -> Reading[tuple[Thing, ...]]:
    """One mesh, equal corners welded."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(84)
    count = int.from_bytes(head[80:84], "little") if len(head) == 84 else -1
    if head[:5].lower() == b"solid" and size != 84 + 50 * count:
        corners = yield from _stl_text(path, size)
    else:
        if count < 0:
            refuse(path, f"is no STL file: it has {size} bytes, and its header alone 84")
        need(path, count, 50, size - 84, "triangles")
        if not count:
            refuse(path, "holds no triangle", "open a file that has some")
        corners = np.empty((3 * count, 3), np.float32)
        records = np.memmap(path, STL_RECORD, "r", 84, (count,))
        for at in range(0, count, SLICE):
            part = records["corners"][at : at + SLICE]
            corners[3 * at : 3 * (at + len(part))] = part.reshape(-1, 3)
            yield 0.3 * (at + len(part)) / count
    yield 0.4
    vertices, faces = yield from _welded(corners)
    xyz, origin = placed(vertices)
    return (surface(path, xyz, faces, origin),)


def _stl_text(path: Path, size: int) -> Reading[np.ndarray]:
    blocks = []
    done = 0
    with path.open("rb") as file:
        for lines in lines_of(file):
            done += sum(map(len, lines))
            found = [rest for word, _, rest in (line.strip().partition(b" ") for line in lines) if word == b"vertex"]
            flat = numbers(path, found)
            if len(flat) != 3 * len(found):
                refuse(path, "has a vertex that is not three numbers")
            blocks.append(flat.reshape(-1, 3))
            yield 0.4 * done / size
    corners = np.concatenate(blocks) if blocks else np.zeros((0, 3))
    if not len(corners) or len(corners) % 3:
        refuse(path, f"has {len(corners)} corners, which do not make triangles")
    return corners


def _welded(corners: np.ndarray) -> Reading[tuple[np.ndarray, np.ndarray]]:
    """Corners (3 F, 3) as different vertices and faces; faces without area by equal corners are dropped."""
    corners = np.ascontiguousarray(corners + 0.0)  # -0 and 0 are the same place
    yield 0.5
    key = corners.view(np.dtype((np.void, corners.dtype.itemsize * 3))).ravel()
    words = corners.view(np.uint32 if corners.dtype.itemsize == 4 else np.uint64).astype(np.uint64)
    mixed = words[:, 0] * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29)) ^ words[:, 1]) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(32)) ^ words[:, 2]) * np.uint64(0x94D049BB133111EB)
    yield 0.6
    _, first, index = np.unique(mixed, return_index=True, return_inverse=True)
    yield 0.9
    if not np.array_equal(key[first[index]], key):  # two places with one hash: once in many lifetimes
        _, first, index = np.unique(corners, axis=0, return_index=True, return_inverse=True)
    faces = index.reshape(-1, 3)
    flat = (faces[:, 0] == faces[:, 1]) | (faces[:, 1] == faces[:, 2]) | (faces[:, 0] == faces[:, 2])
    return corners[first], faces[~flat]


def read_off(path: Path) -> Reading[tuple[Thing, ...]]:
    """One mesh, or a cloud where there are no faces."""
    size = path.stat().st_size
    lines: list[bytes] = []
    done = 0
    with path.open("rb") as file:
        for part in lines_of(file):
            done += sum(map(len, part))
            lines += [line for line in (raw.partition(b"#")[0].strip() for raw in part) if line]
            yield 0.3 * done / max(1, size)
    if not lines or not lines[0][:8].upper().rstrip().partition(b"OFF")[1]:
        refuse(path, "is no OFF file: it does not begin with the word OFF", "open it by its true ending")
    kind, _, rest = lines[0].upper().partition(b"OFF")
    if kind not in (b"", b"C", b"N", b"CN", b"ST", b"STC", b"STCN") or b"BINARY" in rest:
        refuse(path, f"is the variant {lines[0][:20].decode('latin-1')!r} of OFF", "save it as plain text OFF or PLY")
    lines = [rest.strip(), *lines[1:]] if rest.strip() else lines[1:]
    counts = numbers(path, lines[:1])
    if len(counts) < 2 or not np.isfinite(counts).all() or (counts != counts.round()).any():
        refuse(path, "does not say how many vertices and faces it has")
    v, f = int(counts[0]), int(counts[1])
    need(path, v, 6, size, "vertices")
    need(path, f, 4, size, "faces")
    if len(lines) < 1 + v + f:
        refuse(path, f"ends after {len(lines) - 1:,} of its {v:,} vertices and {f:,} faces")
    blocks: list[np.ndarray] = []
    width = len(lines[1].split()) if v else 3
    for at in range(1, 1 + v, 20_000):
        part = lines[at : min(1 + v, at + 20_000)]
        flat = numbers(path, part)
        if len(flat) != len(part) * width or width < 3:
            refuse(path, f"has vertices that are not {max(3, width)} numbers each")
        blocks.append(flat.reshape(-1, width))
        yield 0.3 + 0.3 * at / len(lines)
    rows = np.concatenate(blocks) if blocks else np.zeros((0, 3))
    xyz, origin = placed(rows[:, :3])
    at = 3 + 3 * (b"N" in kind)
    normals = rows[:, 3:6] if b"N" in kind and width >= 6 else None
    rgb = rgb8(rows[:, at : at + 3]) if b"C" in kind and width >= at + 3 else None
    if not f:
        return (cloud_of(path, xyz, origin, rgb=rgb, normals=normals),)
    corners: list[np.ndarray] = []
    sizes: list[np.ndarray] = []
    for begin in range(1 + v, 1 + v + f, 20_000):
        part = lines[begin : min(1 + v + f, begin + 20_000)]
        words = [line.split() for line in part]
        try:
            n = np.array([int(w[0]) for w in words], np.int64)
            flat_words = [w for line, k in zip(words, n.tolist(), strict=True) for w in line[1 : 1 + max(0, k)]]
            found = np.array([int(w) for w in flat_words], np.int64)
        except (ValueError, OverflowError):
            refuse(path, "has a face that is not a count and as many whole numbers")
        if len(found) != n.sum() or (len(n) and n.min() < 0):
            refuse(path, "has a face with fewer corners than it says")
        corners.append(found)
        sizes.append(n)
        yield 0.6 + 0.4 * begin / len(lines)
    faces = fans(np.concatenate(corners), np.concatenate(sizes))
    return (surface(path, xyz, faces, origin, rgb=rgb, normals=normals),)
