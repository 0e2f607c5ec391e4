"""Small files of every kind, made by each test itself: what the readers are tried on. Knows no window."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
CUBE_FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
     [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]], np.int32
)  # fmt: skip
RGB = np.stack([np.arange(8) * 30, 255 - np.arange(8) * 30, np.full(8, 7)], 1).astype(np.uint8)


def ply(binary: str = "<", points: int = 0) -> bytes:
    """A coloured cube, or ``points`` random ones with a label and a scalar."""
    order = {"<": "binary_little_endian", ">": "binary_big_endian", "": "ascii"}[binary]
    if points:
        rng = np.random.default_rng(1)
        xyz, rgb = rng.random((points, 3)).astype(np.float32), rng.integers(0, 256, (points, 3), np.uint8)
        kinds = [("x", "f4"), ("y", "f4"), ("z", "f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1"), ("label", "i4")]
        extra = "property int label\nproperty double heat\n"
        kinds.append(("heat", "f8"))
    else:
        xyz, rgb, extra = CUBE, RGB, ""
        kinds = [("x", "f4"), ("y", "f4"), ("z", "f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")]
    head = f"ply\nformat {order} 1.0\ncomment a cube\nelement vertex {len(xyz)}\n"
    head += "".join(f"property float {a}\n" for a in "xyz")
    head += "".join(f"property uchar {c}\n" for c in ("red", "green", "blue")) + extra
    if not points:
        head += f"element face {len(CUBE_FACES)}\nproperty list uchar int vertex_indices\n"
    data = head.encode() + b"end_header\n"
    records = np.zeros(len(xyz), [(n, (binary or "<") + k) for n, k in kinds])
    for k, name in enumerate("xyz"):
        records[name] = xyz[:, k]
    for k, name in enumerate(("red", "green", "blue")):
        records[name] = rgb[:, k]
    if points:
        records["label"] = np.arange(points) % 4
        records["heat"] = np.arange(points) / points
    if not binary:
        lines = [" ".join(str(v) for v in record) for record in records.tolist()]
        lines += [] if points else ["3 " + " ".join(map(str, face)) for face in CUBE_FACES.tolist()]
        return data + "\n".join(lines).encode() + b"\n"
    data += records.tobytes()
    if not points:
        faces = np.zeros(len(CUBE_FACES), [("n", "u1"), ("i", binary + "i4", (3,))])
        faces["n"], faces["i"] = 3, CUBE_FACES
        data += faces.tobytes()
    return data


def obj() -> bytes:
    lines = ["# a cube", "mtllib cube.mtl", "usemtl red"]
    lines += [f"v {x} {y} {z}" for x, y, z in CUBE.tolist()]
    lines += ["vt 0 0", "vt 1 0", "vt 1 1", "vt 0 1", "vn 0 0 1"]
    lines += [f"f {a + 1}/1/1 {b + 1}/2/1 {c + 1}/3/1" for a, b, c in CUBE_FACES.tolist()]
    return "\n".join(lines).encode() + b"\n"


def stl(text: bool = False) -> bytes:
    corners = CUBE[CUBE_FACES]
    if text:
        body = "".join(
            "facet normal 0 0 0\nouter loop\n"
            + "".join(f"vertex {x} {y} {z}\n" for x, y, z in tri)
            + "endloop\nendfacet\n"
            for tri in corners.tolist()
        )
        return f"solid cube\n{body}endsolid cube\n".encode()
    records = np.zeros(len(corners), [("n", "<f4", (3,)), ("c", "<f4", (3, 3)), ("a", "<u2")])
    records["c"] = corners
    return b"cube".ljust(80) + struct.pack("<I", len(corners)) + records.tobytes()


def off() -> bytes:
    lines = ["OFF", f"{len(CUBE)} {len(CUBE_FACES)} 0"]
    lines += [f"{x} {y} {z}" for x, y, z in CUBE.tolist()]
    lines += [f"3 {a} {b} {c}" for a, b, c in CUBE_FACES.tolist()]
    return "\n".join(lines).encode() + b"\n"


def png() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]], np.uint8)).save(out, "PNG")
    return out.getvalue()


def gltf_document() -> tuple[dict, bytes]:
    """A textured cube below two nodes: moved by (10, 0, 0) and there turned by a quarter about z."""
    uv = np.tile(np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32), (2, 1))
    parts = [CUBE.tobytes(), CUBE_FACES.astype("<u2").tobytes(), uv.tobytes(), png()]
    binary, views = b"", []
    for part in parts:
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(part)})
        binary += part + b"\0" * (-len(part) % 4)
    half = 2**-0.5
    return {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [
            {"children": [1], "translation": [10, 0, 0]},
            {"mesh": 0, "name": "cube", "rotation": [0, 0, half, half]},
        ],
        "meshes": [
            {"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 2}, "indices": 1, "material": 0}]}
        ],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "textures": [{"source": 0}],
        "images": [{"bufferView": 3, "mimeType": "image/png"}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 8, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 36, "type": "SCALAR"},
            {"bufferView": 2, "componentType": 5126, "count": 8, "type": "VEC2"},
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": len(binary)}],
    }, binary  # fmt: skip


def glb(document: dict | None = None, binary: bytes | None = None) -> bytes:
    known, bytes_ = gltf_document()
    text = json.dumps(known if document is None else document).encode()
    text += b" " * (-len(text) % 4)
    body = bytes_ if binary is None else binary
    length = 20 + len(text) + 8 + len(body)
    head = struct.pack("<4sII", b"glTF", 2, length) + struct.pack("<I4s", len(text), b"JSON")
    return head + text + struct.pack("<I4s", len(body), b"BIN\0") + body


def compress_lzf(data: bytes) -> bytes:
    """A plain LZF: repeats of three bytes and more, by a table of what was seen last."""
    out, literal, seen, at = bytearray(), bytearray(), {}, 0

    def flush() -> None:
        for i in range(0, len(literal), 32):
            part = literal[i : i + 32]
            out.append(len(part) - 1)
            out.extend(part)
        literal.clear()

    while at < len(data):
        key = data[at : at + 3]
        back = seen.get(key, -1)
        seen[key] = at
        if len(key) == 3 and back >= 0 and at - back <= 8192:
            n = 3
            while n < 264 and at + n < len(data) and data[back + n] == data[at + n]:
                n += 1
            flush()
            distance, length = at - back - 1, n - 2
            if length < 7:
                out += bytes([(length << 5) | (distance >> 8), distance & 255])
            else:
                out += bytes([(7 << 5) | (distance >> 8), length - 7, distance & 255])
            at += n
        else:
            literal.append(data[at])
            at += 1
    flush()
    return bytes(out)


def pcd(kind: str = "binary") -> bytes:
    """60 points, every fifth of them unseen, with packed colours."""
    n = 60
    records = np.zeros(n, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4")])
    grid = np.arange(n, dtype=np.float32)
    records["x"], records["y"], records["z"] = grid % 8, grid // 8, 0.5
    records["rgb"] = (np.arange(n) * 4 << 16) | (100 << 8) | 7
    records["x"][::5] = np.nan
    head = f"# .PCD v0.7\nVERSION 0.7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F {'U' if kind == 'ascii' else 'F'}\n"
    head += f"COUNT 1 1 1 1\nWIDTH {n}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {n}\nDATA {kind}\n"
    if kind == "ascii":
        body = "\n".join(" ".join(map(str, r)) for r in records.tolist()).encode() + b"\n"
    elif kind == "binary":
        body = records.tobytes()
    else:
        plain = b"".join(records[name].tobytes() for name in records.dtype.names or ())
        packed = compress_lzf(plain)
        body = struct.pack("<II", len(packed), len(plain)) + packed
    return head.encode() + body


def table(kind: str = "xyz") -> bytes:
    rng = np.random.default_rng(3)
    rows = np.column_stack([rng.random((50, 3)) * 10, rng.integers(0, 256, (50, 3))])
    lines = [" ".join(f"{v:g}" for v in row) for row in rows.tolist()]
    if kind == "pts":
        lines.insert(0, "50")
    if kind == "csv":
        lines = ["x,y,z,red,green,blue", *(line.replace(" ", ",") for line in lines)]
    return "\n".join(lines).encode() + b"\n"


def las(compressed: bool = False, version: str = "1.2", form: int = 3) -> bytes:
    import laspy

    header = laspy.LasHeader(version=version, point_format=form)
    header.scales, header.offsets = np.array([0.01] * 3), np.array([600_000.0, 5_000_000.0, 0.0])
    data = laspy.LasData(header)
    grid = np.arange(200)
    data.x, data.y, data.z = 600_000 + grid % 20, 5_000_000 + grid // 20, grid * 0.05
    data.classification = (2 + 3 * (grid % 2)).astype(np.uint8)
    data.intensity = grid.astype(np.uint16)
    data.red, data.green, data.blue = (np.full(200, v, np.uint16) << 8 for v in (10, 20, 30))
    out = io.BytesIO()
    data.write(out, do_compress=compressed)
    return out.getvalue()


def npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.column_stack([CUBE, RGB]).astype(np.float32))
    return out.getvalue()


def npz() -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, points=CUBE, colors=RGB, labels=np.arange(8), heat=np.linspace(0, 1, 8))
    return out.getvalue()


SEEDS: dict[str, Callable[[], bytes]] = {
    "little.ply": ply,
    "big.ply": lambda: ply(">"),
    "ascii.ply": lambda: ply(""),
    "cloud.ply": lambda: ply("<", 100),
    "cube.obj": obj,
    "cube.stl": stl,
    "ascii.stl": lambda: stl(True),
    "cube.off": off,
    "cube.glb": glb,
    "ascii.pcd": lambda: pcd("ascii"),
    "binary.pcd": pcd,
    "packed.pcd": lambda: pcd("binary_compressed"),
    "table.xyz": table,
    "table.pts": lambda: table("pts"),
    "table.csv": lambda: table("csv"),
    "scan.las": las,
    "scan.laz": lambda: las(True),
    "layers.laz": lambda: las(True, "1.4", 7),
    "rows.npy": npy,
    "named.npz": npz,
}


@pytest.fixture(scope="session")
def seeds() -> dict[str, bytes]:
    """A file of every kind and variant, by its name."""
    return {name: make() for name, make in SEEDS.items()}


@pytest.fixture
def put(seeds: dict[str, bytes], tmp_path: Path) -> Callable[..., Path]:
    """Writes a seed, or other bytes, under a name."""

    def write(name: str, data: bytes | None = None) -> Path:
        path = tmp_path / name
        path.write_bytes(seeds[name] if data is None else data)
        return path

    return write
