"""glTF 2.0 as .glb or .gltf: meshes, points and lines under their nodes, with colours and base-colour textures.

Read by ourselves: of a file from anywhere every index, offset and count is looked at before it is used, nodes may not
run in circles, and buffers and pictures come from the file or its own folder only. Animation and skins are left out.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.formats.scene.common import Reading, beside, cloud, picture, placed, refuse, rgb8, surface
from engine.formats.scene.common import named_apart as apart
from engine.scene import Lines, Thing

COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
JSON_CHUNK, BIN_CHUNK = 0x4E4F534A, 0x004E4942
PACKED = {"KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_mesh_quantization_v0"}
MOST_THINGS = 10_000
POINTS, LINES, LOOP, STRIP_OF_LINES, TRIANGLES, STRIP, FAN = range(7)


def read(path: Path) -> Reading[tuple[Thing, ...]]:
    """A thing per primitive of each node, with the node's transform."""
    document = yield from _load(path)
    file = _File(path, *document)
    things: list[Thing] = []
    nodes = list(file.placed_meshes())
    made: dict[int, list[Thing]] = {}
    for i, (matrix, mesh, name) in enumerate(nodes):
        if mesh not in made:
            made[mesh] = []
            for primitive in file.entry("meshes", mesh).get("primitives", []):
                made[mesh].append(file.primitive(primitive))
                yield 0.1 + 0.9 * i / len(nodes)
        for n, thing in enumerate(made[mesh]):
            own = name if len(made[mesh]) == 1 else f"{name} {n + 1}"
            things.append(_with(thing, own, matrix))
        if len(things) > MOST_THINGS:
            refuse(path, f"holds more than {MOST_THINGS:,} things", "join those that belong together")
    if not things:
        refuse(path, "holds no mesh in its scene", "open a file that has one")
    if len(things) == 1:
        return (_with(things[0], path.stem, things[0].transform),)
    return tuple(_with(t, name, t.transform) for t, name in zip(things, apart(things), strict=True))


def _with(thing: Thing, name: str, matrix: np.ndarray | None) -> Thing:
    same = matrix is None or np.array_equal(matrix, np.eye(4))
    return replace(thing, name=name, transform=None if same else matrix)


def _load(path: Path) -> Reading[tuple[dict[str, Any], bytes]]:
    """The JSON part and the binary chunk."""
    data = path.read_bytes()
    yield 0.05
    binary = b""
    if data[:4] == b"glTF":
        if len(data) < 20:
            refuse(path, "ends within its header")
        version, length = struct.unpack_from("<II", data, 4)
        if version != 2:
            refuse(path, f"is of version {version} of glTF", "export version 2")
        if length > len(data):
            refuse(path, f"says that it has {length:,} bytes, and has {len(data):,}")
        at, text = 12, b""
        while at + 8 <= length:
            size, kind = struct.unpack_from("<II", data, at)
            if size > length - at - 8:
                refuse(path, f"says that a chunk has {size:,} bytes, of which there are {length - at - 8:,}")
            part = data[at + 8 : at + 8 + size]
            text = part if kind == JSON_CHUNK and not text else text
            binary = part if kind == BIN_CHUNK and not binary else binary
            at += 8 + size
    else:
        text = data
    try:
        document = json.loads(text.decode("utf-8-sig").rstrip("\0 "))
    except (ValueError, RecursionError):
        refuse(path, "its description is no JSON")
    if not isinstance(document, dict):
        refuse(path, "its description is no JSON object")
    hard = PACKED & set(map(str, document.get("extensionsRequired") or []))
    if hard:
        refuse(path, f"is compressed by {', '.join(sorted(hard))}", "export it without compression")
    yield 0.1
    return document, binary


class _File:
    """The parts of a document, each index looked at."""

    def __init__(self, path: Path, document: dict[str, Any], binary: bytes) -> None:
        self.path, self.document = path, document
        self._binary = binary
        self._buffers: dict[int, bytes] = {}
        self._pictures: dict[int, np.ndarray | None] = {}

    def entry(self, kind: str, index: Any) -> dict[str, Any]:
        entries = self.document.get(kind)
        if not isinstance(entries, list) or not isinstance(index, int) or not 0 <= index < len(entries):
            refuse(self.path, f"refers to number {str(index)[:20]} of its {kind}, which is not there")
        if not isinstance(entries[index], dict):
            refuse(self.path, f"its {kind} number {index} are no object")
        return dict(entries[index])

    # ---- the tree ----

    def placed_meshes(self) -> list[tuple[np.ndarray, int, str]]:
        """Every node with a mesh: its matrix to the world, the mesh, its name."""
        document = self.document
        if document.get("scenes"):
            roots = self.entry("scenes", document.get("scene", 0)).get("nodes", [])
        else:
            children = {c for n in document.get("nodes", []) for c in n.get("children", [])}
            roots = [i for i in range(len(document.get("nodes", []))) if i not in children]
            if not document.get("nodes"):
                return [(np.eye(4), i, f"{self.path.stem}") for i in range(len(document.get("meshes", [])))]
        found = []
        seen: set[int] = set()
        stack = [(root, np.eye(4)) for root in reversed(roots)]
        while stack:
            index, above = stack.pop()
            node = self.entry("nodes", index)
            if index in seen:
                refuse(self.path, f"its node {index} stands below itself or in two places")
            seen.add(index)
            matrix = above @ self._matrix(node)
            if "mesh" in node:
                name = node.get("name") or self.entry("meshes", node["mesh"]).get("name") or self.path.stem
                found.append((matrix, node["mesh"], " ".join(str(name).split())[:60] or self.path.stem))
            stack += [(child, matrix) for child in reversed(node.get("children", []))]
        return found

    def _matrix(self, node: dict[str, Any]) -> np.ndarray:
        if "matrix" in node:
            matrix = np.array(node["matrix"], np.float64).reshape(4, 4).T
        else:
            matrix = np.eye(4)
            x, y, z, w = np.array(node.get("rotation", (0, 0, 0, 1)), np.float64)
            n = x * x + y * y + z * z + w * w
            s = 2 / n if n > 0 else 0.0
            matrix[:3, :3] = [
                [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
                [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
                [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
            ]
            matrix[:3, :3] *= np.array(node.get("scale", (1, 1, 1)), np.float64)
            matrix[:3, 3] = np.array(node.get("translation", (0, 0, 0)), np.float64)
        if not np.isfinite(matrix).all():
            refuse(self.path, "a node's transform has a number that is not finite")
        return matrix

    # ---- arrays ----

    def _buffer(self, index: Any) -> bytes:
        if index not in self._buffers:
            buffer = self.entry("buffers", index)
            uri = buffer.get("uri")
            if uri is None:
                data = self._binary
            else:
                data = self._bytes_of(str(uri), "buffer")
            if not isinstance(buffer.get("byteLength"), int) or not 0 <= buffer["byteLength"] <= len(data):
                said = str(buffer.get("byteLength"))[:20]
                refuse(self.path, f"says that a buffer has {said} bytes, and it has {len(data):,}")
            self._buffers[index] = data
        return self._buffers[index]

    def _bytes_of(self, uri: str, what: str) -> bytes:
        if uri.startswith("data:"):
            try:
                return base64.b64decode(uri.partition(",")[2], validate=True)
            except (binascii.Error, ValueError):
                refuse(self.path, f"a {what} within it is damaged")
        found = beside(self.path, uri.replace("%20", " "))
        if found is None:
            refuse(self.path, f"its {what} {uri[:60]!r} is not in its folder", "put both into one folder")
        return found.read_bytes()

    def _view(self, index: Any) -> tuple[bytes, int, int, int]:
        """Of a buffer view: the buffer, where it begins, how long it is, its stride or 0."""
        view = self.entry("bufferViews", index)
        data = self._buffer(view.get("buffer"))
        start, length, stride = view.get("byteOffset", 0), view.get("byteLength"), view.get("byteStride", 0)
        for n in (start, length, stride):
            if not isinstance(n, int) or n < 0:
                refuse(self.path, f"its buffer view {index} has {str(n)[:20]} where a whole number should be")
        if start + int(length or 0) > len(data) or stride > 255:
            refuse(self.path, f"its buffer view {index} lies outside of its buffer")
        return data, int(start), int(length or 0), int(stride)

    def accessor(self, index: Any, widths: tuple[int, ...]) -> np.ndarray:
        """Values (N, width) in the type that they are stored in; whole numbers that stand for 0..1 as float32."""
        a = self.entry("accessors", index)
        count, width = a.get("count"), WIDTHS.get(str(a.get("type")), 0)
        code = a.get("componentType")
        if not isinstance(count, int) or count < 0 or code not in COMPONENTS or width not in widths:
            refuse(self.path, f"its accessor {index} is {str(count)[:20]} of {str(a.get('type'))[:10]} {code}")
        dtype = np.dtype(COMPONENTS[code])
        if "bufferView" in a:
            values = self._strided(index, a["bufferView"], a.get("byteOffset", 0), dtype, count, width)
        elif "sparse" in a and count <= 1 << 22:
            values = np.zeros((count, width), dtype)
        else:
            refuse(self.path, f"its accessor {index} has no data")
        if "sparse" in a:
            values = self._sparse(index, a["sparse"], values, dtype, width)
        if a.get("normalized") and dtype.kind in "iu":
            values = np.maximum(values.astype(np.float32) / np.float32(np.iinfo(dtype).max), -1)
        return values

    def _strided(self, index: Any, view: Any, offset: Any, dtype: np.dtype, count: int, width: int) -> np.ndarray:
        data, start, length, stride = self._view(view)
        each = dtype.itemsize * width
        stride = stride or each
        if not isinstance(offset, int) or offset < 0 or (count and offset + stride * (count - 1) + each > length):
            refuse(self.path, f"its accessor {index} has {count:,} values, more than its buffer view holds")
        if not count:
            return np.zeros((0, width), dtype)
        return np.ndarray((count, width), dtype, data, start + offset, (stride, dtype.itemsize))

    def _sparse(self, index: Any, sparse: Any, values: np.ndarray, dtype: np.dtype, width: int) -> np.ndarray:
        n, where, what = sparse["count"], sparse["indices"], sparse["values"]
        kind = np.dtype(COMPONENTS.get(where.get("componentType"), "u1"))
        if not isinstance(n, int) or not 0 <= n <= len(values) or kind.kind != "u":
            refuse(self.path, f"its accessor {index} replaces values that are not there")
        at = self._strided(index, where.get("bufferView"), where.get("byteOffset", 0), kind, n, 1)[:, 0]
        new = self._strided(index, what.get("bufferView"), what.get("byteOffset", 0), dtype, n, width)
        if n and int(at.max()) >= len(values):
            refuse(self.path, f"its accessor {index} replaces values that are not there")
        values = values.copy()
        values[at] = new
        return values

    # ---- things ----

    def primitive(self, primitive: dict[str, Any]) -> Thing:
        attributes = primitive.get("attributes") or {}
        if "POSITION" not in attributes:
            packed = PACKED & set(map(str, primitive.get("extensions") or {}))
            if packed:
                refuse(self.path, f"is compressed by {', '.join(packed)}", "export it without compression")
            refuse(self.path, "has a mesh without positions")
        xyz, origin = placed(self.accessor(attributes["POSITION"], (3,)).astype(np.float64))
        n = len(xyz)

        def attribute(name: str, widths: tuple[int, ...]) -> np.ndarray | None:
            if name not in attributes:
                return None
            values = self.accessor(attributes[name], widths)
            if len(values) != n:
                refuse(self.path, f"has {len(values):,} values of {name} for {n:,} positions")
            return values

        colour = attribute("COLOR_0", (3, 4))
        if colour is not None:
            colour = np.clip(colour[:, :3], 0, 1) if colour.dtype.kind == "f" else colour[:, :3]
        rgb = None if colour is None else rgb8(colour)
        normals = attribute("NORMAL", (3,))
        mode = primitive.get("mode", TRIANGLES)
        if "indices" in primitive:
            flat = self.accessor(primitive["indices"], (1,))[:, 0].astype(np.int64)
            if len(flat) and (flat.min() < 0 or flat.max() >= n):
                refuse(self.path, f"has a face with corner {int(flat.max())}, and there are {n:,}")
        else:
            flat = np.arange(n)
        look = self._material(primitive.get("material"))
        if mode == POINTS:
            return cloud(self.path, xyz[flat] if "indices" in primitive else xyz, origin, rgb=rgb, normals=normals)
        if mode in (LINES, LOOP, STRIP_OF_LINES):
            return self._lines(xyz, origin, flat, mode, rgb)
        uv = attribute(f"TEXCOORD_{look['set']}", (2,)) if look["texture"] is not None else None
        if uv is not None:
            uv = np.stack([uv[:, 0], 1 - uv[:, 1]], 1).astype(np.float32)
        return surface(
            self.path,
            xyz,
            self._triangles(flat, mode),
            origin,
            rgb=rgb,
            normals=normals,
            uv=uv,
            texture=look["texture"] if uv is not None else None,
            colour=look["colour"] if uv is None else "",
            opacity=look["opacity"],
        )

    def _triangles(self, flat: np.ndarray, mode: Any) -> np.ndarray:
        if mode == TRIANGLES:
            if len(flat) % 3:
                refuse(self.path, f"has {len(flat):,} corners, which do not make triangles")
            return flat.reshape(-1, 3)
        if mode == STRIP and len(flat) >= 3:
            faces = np.stack([flat[:-2], flat[1:-1], flat[2:]], 1)
            faces[1::2] = faces[1::2, [1, 0, 2]]
            return faces
        if mode == FAN and len(flat) >= 3:
            return np.stack([np.full(len(flat) - 2, flat[0]), flat[1:-1], flat[2:]], 1)
        refuse(self.path, f"has a mesh of the unknown mode {str(mode)[:10]}")

    def _lines(self, xyz: np.ndarray, origin: Any, flat: np.ndarray, mode: Any, rgb: np.ndarray | None) -> Thing:
        if mode == LINES:
            ends = flat[: len(flat) // 2 * 2].reshape(-1, 2)
        else:
            chain = np.append(flat, flat[:1]) if mode == LOOP else flat
            ends = np.stack([chain[:-1], chain[1:]], 1)
        places = xyz[ends]
        good = np.isfinite(places).all((1, 2))
        if not good.any():
            refuse(self.path, "holds lines without a place")
        colour = None if rgb is None else rgb[ends[good, 0]]
        return Lines(name=self.path.stem, origin=origin, ends=places[good], rgb=colour)

    def _material(self, index: Any) -> dict[str, Any]:
        look: dict[str, Any] = {"texture": None, "set": 0, "colour": "", "opacity": 1.0}
        if index is None:
            return look
        material = self.entry("materials", index)
        base = material.get("pbrMetallicRoughness") or {}
        factor = np.clip(np.nan_to_num(np.array(base.get("baseColorFactor", (1, 1, 1, 1)), np.float64)), 0, 1)
        if factor.shape != (4,):
            refuse(self.path, "a material's colour is not four numbers")
        if material.get("alphaMode") == "BLEND":
            look["opacity"] = float(factor[3])
        if (factor[:3] < 1).any():  # linear light; colours on screen are not
            srgb = np.where(factor[:3] <= 0.0031308, 12.92 * factor[:3], 1.055 * factor[:3] ** (1 / 2.4) - 0.055)
            look["colour"] = "#" + "".join(f"{round(255 * c):02x}" for c in srgb)
        reference = base.get("baseColorTexture")
        if isinstance(reference, dict):
            source = self.entry("textures", reference.get("index")).get("source")
            look["texture"] = self._picture(source) if source is not None else None
            look["set"] = int(reference.get("texCoord", 0))
        return look

    def _picture(self, index: Any) -> np.ndarray | None:
        if index not in self._pictures:
            image = self.entry("images", index)
            if "bufferView" in image:
                data, start, length, _ = self._view(image["bufferView"])
                self._pictures[index] = picture(io.BytesIO(data[start : start + length]))
            else:
                self._pictures[index] = picture(io.BytesIO(self._bytes_of(str(image.get("uri", "")), "picture")))
        return self._pictures[index]
