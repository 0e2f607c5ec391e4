"""Scenes to files: PLY, OBJ, GLB, XYZ, and splats by :mod:`engine.formats.splats`. Knows no study and no window.

A file has no list of things with transforms, but for GLB: positions are written as they stand in the world, with
origins and transforms applied, in double precision where single would not hold them. What is hidden is written too.
Where only points, lines and meshes can be, splats are points of their colours without what changes with the view.
"""

from __future__ import annotations

import io
import json
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine.formats.atomic import write_atomic
from engine.formats.scene.common import origin_for, refuse
from engine.formats.splats import ENDINGS, encode, points_of
from engine.scene import Lines, Mesh, Points, Splats, Thing

SLICE = 50_000
WHITE = (204, 204, 204)
COLOURS = {"orange": "#e69f00", "purple": "#b07cd8", "blue": "#56b4e9", "green": "#2bb07f", "red": "#e0524d"}


def write(path: str | Path, things: Sequence[Thing]) -> None:
    """Writes the points, meshes and, in GLB and OBJ, lines of a scene, or its splats; :class:`SceneFileError` if that
    cannot be."""
    target = Path(path)
    writer = WRITERS.get(max((e for e in WRITERS if target.name.lower().endswith(e)), key=len, default=""))
    if writer is None:
        refuse(target, f"its ending {target.suffix!r} is unknown", f"use one of {' '.join(WRITERS)}")
    try:
        write_atomic(target, writer(target, things))
    except OSError as e:
        refuse(target, f"cannot be written ({e.strerror})", "choose another folder")


def world(thing: Thing, local: Any) -> np.ndarray:
    """Positions of a thing as they stand in the world, float64 (N, 3)."""
    places = np.asarray(local, np.float64) + np.asarray(thing.origin, np.float64)
    if thing.transform is None:
        return places
    matrix = np.asarray(thing.transform, np.float64)
    return places @ matrix[:3, :3].T + matrix[:3, 3]


def _turned(thing: Thing, normals: Any) -> np.ndarray:
    """Normals as they stand in the world, float32 (N, 3)."""
    if thing.transform is None:
        return np.asarray(normals, np.float32)
    matrix = np.asarray(thing.transform, np.float64)[:3, :3]
    if abs(np.linalg.det(matrix)) < 1e-300:
        return np.asarray(normals, np.float32)
    turned = np.asarray(normals, np.float64) @ np.linalg.inv(matrix)
    length = np.linalg.norm(turned, axis=1, keepdims=True)
    return np.divide(turned, length, out=turned, where=length > 0).astype(np.float32)


def _faces(mesh: Mesh) -> np.ndarray:
    """Corners, still counter-clockwise from outside where the transform mirrors."""
    faces = np.asarray(mesh.faces)
    mirrored = mesh.transform is not None and np.linalg.det(np.asarray(mesh.transform, np.float64)[:3, :3]) < 0
    return faces[:, ::-1] if mirrored else faces


def _solid(target: Path, things: Sequence[Thing]) -> list[Points | Mesh]:
    chosen = [t for t in _pointed(things) if isinstance(t, Points | Mesh)]
    if not chosen:
        refuse(target, f"holds points and meshes, and this scene has neither among its {len(things)} things")
    return chosen


def _pointed(things: Sequence[Thing]) -> list[Thing]:
    """The things with points for splats."""
    return [points_of(t) if isinstance(t, Splats) else t for t in things]


def _local(thing: Points | Mesh) -> Any:
    return thing.xyz if isinstance(thing, Points) else thing.vertices


def _column(things: Sequence[Points | Mesh], name: str) -> list[np.ndarray] | None:
    """A column of every thing; None where one lacks it."""
    columns = [getattr(t, name, None) for t in things]
    return None if any(c is None for c in columns) else columns  # type: ignore[return-value]  # none is None


def _rgb(things: Sequence[Points | Mesh]) -> list[np.ndarray] | None:
    """Colours of every thing, of those that have none their one colour; None where no thing has any."""
    if all(t.rgb is None for t in things):
        return None
    return [np.tile(np.array(_one(t), np.uint8), (len(_local(t)), 1)) if t.rgb is None else t.rgb for t in things]


def _one(thing: Thing) -> tuple[int, int, int]:
    """The colour of a thing that has one for all."""
    text = COLOURS.get(thing.colour, thing.colour)
    try:
        r, g, b = bytes.fromhex(text.removeprefix("#"))
    except ValueError:
        return WHITE
    return r, g, b


# ---- PLY ------------------------------------------------------------------------------------------------------------


def _ply(target: Path, things: Sequence[Thing]) -> bytes:
    if any(isinstance(t, Splats) for t in things):
        if any(isinstance(t, Points | Mesh) for t in things):
            refuse(target, "holds either splats or points and meshes, not both", "mark the ones and export those")
        return _splats(target, things)
    chosen = _solid(target, things)
    places = [world(t, _local(t)) for t in chosen]
    sample = np.concatenate([p[:: max(1, len(p) // 512)] for p in places])
    real = "<f8" if any(origin_for(sample)) else "<f4"
    fields: list[tuple[str, str]] = [(axis, real) for axis in "xyz"]
    columns: dict[str, list[np.ndarray]] = {}
    normals = _column(chosen, "normals")
    if normals is not None:
        turned = [_turned(t, n) for t, n in zip(chosen, normals, strict=True)]
        columns |= {f"n{axis}": [n[:, k] for n in turned] for k, axis in enumerate("xyz")}
        fields += [(f"n{axis}", "<f4") for axis in "xyz"]
    rgb = _rgb(chosen)
    if rgb is not None:
        columns |= {name: [c[:, k] for c in rgb] for k, name in enumerate(("red", "green", "blue"))}
        fields += [(name, "u1") for name in ("red", "green", "blue")]
    labels = _column(chosen, "labels")
    if labels is not None:
        columns["label"] = labels
        fields.append(("label", "<i4"))
    for name in [n for n in chosen[0].scalars if all(n in t.scalars for t in chosen)]:
        word = "_".join(name.split()) or "scalar"
        if word not in columns and word not in "xyz":
            columns[word] = [t.scalars[name] for t in chosen]
            fields.append((word, "<f4"))
    starts = np.cumsum([0, *(len(p) for p in places)])
    records = np.empty(int(starts[-1]), fields)
    for i, place in enumerate(places):
        part = records[starts[i] : starts[i + 1]]
        for k, axis in enumerate("xyz"):
            part[axis] = place[:, k]
        for name, values in columns.items():
            part[name] = values[i]
    meshes = [(t, start) for t, start in zip(chosen, starts.tolist(), strict=False) if isinstance(t, Mesh)]
    corners = np.concatenate([_faces(t) + start for t, start in meshes]) if meshes else np.zeros((0, 3), np.int64)
    faces = np.empty(len(corners), [("n", "u1"), ("corners", "<i4", (3,))])
    faces["n"], faces["corners"] = 3, corners
    words = {"<f4": "float", "<f8": "double", "u1": "uchar", "<i4": "int"}
    head = ["ply", "format binary_little_endian 1.0", "comment written by Mutoscope", f"element vertex {len(records)}"]
    head += [f"property {words[kind]} {name}" for name, kind in fields]
    if meshes:
        head += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
    return "\n".join([*head, "end_header", ""]).encode("utf-8") + records.tobytes() + faces.tobytes()


# ---- text -----------------------------------------------------------------------------------------------------------


def _text(out: io.StringIO, line: str, columns: Sequence[np.ndarray]) -> None:
    """A line of text for each row of some columns, (N,) or (N, k) each."""
    count = len(columns[0])
    wide = [c if c.ndim == 2 else c[:, None] for c in columns]
    for at in range(0, count, SLICE):
        part = [c[at : at + SLICE].tolist() for c in wide]
        for values in zip(*part, strict=True):
            out.write(line % tuple(v for value in values for v in value))


def _xyz(target: Path, things: Sequence[Thing]) -> bytes:
    """Points, and vertices of meshes, a line each; a comment names the columns."""
    chosen = _solid(target, things)
    rgb, normals = _rgb(chosen), _column(chosen, "normals")
    out = io.StringIO()
    names, line = "x y z", "%.12g %.12g %.12g"
    if rgb is not None:
        names, line = f"{names} r g b", f"{line} %d %d %d"
    if normals is not None:
        names, line = f"{names} nx ny nz", f"{line} %.6g %.6g %.6g"
    out.write(f"# {names}\n")
    for i, thing in enumerate(chosen):
        columns = [_rounded(thing)]
        if rgb is not None:
            columns.append(np.asarray(rgb[i]))
        if normals is not None:
            columns.append(_turned(thing, normals[i]))
        _text(out, f"{line}\n", columns)
    return out.getvalue().encode("ascii")


def _rounded(thing: Points | Mesh) -> np.ndarray:
    """World positions without the figures behind those that single precision holds."""
    local = np.asarray(_local(thing), np.float64)
    reach = float(np.abs(local).max(initial=0.0))
    digits = max(0, 8 - math.ceil(math.log10(reach))) if reach > 0 else 0
    return np.round(world(thing, local), digits) if thing.transform is None and digits < 12 else world(thing, local)


def _obj(target: Path, things: Sequence[Thing]) -> bytes:
    """An object for each thing; pictures and materials go into files beside it."""
    chosen = [t for t in _pointed(things) if isinstance(t, Points | Mesh | Lines)]
    if not chosen:
        refuse(target, f"holds points, meshes and lines, and this scene has none among its {len(things)} things")
    out, materials = io.StringIO(), []
    textured = [t for t in chosen if isinstance(t, Mesh) and t.uv is not None and t.texture is not None]
    out.write("# written by Mutoscope\n")
    if textured:
        out.write(f"mtllib {target.stem}.mtl\n")
    at = at_uv = at_normal = 1
    for i, thing in enumerate(chosen):
        out.write(f"o {thing.name}\n")
        if isinstance(thing, Lines):
            ends = world(thing, np.asarray(thing.ends).reshape(-1, 3))
            _text(out, "v %.9g %.9g %.9g\n", [ends])
            _text(out, "l %d %d\n", [np.arange(len(ends)).reshape(-1, 2) + at])
            at += len(ends)
            continue
        places = world(thing, _local(thing))
        if thing.rgb is not None:
            _text(out, "v %.12g %.12g %.12g %.4g %.4g %.4g\n", [places, np.asarray(thing.rgb) / 255])
        else:
            _text(out, "v %.12g %.12g %.12g\n", [places])
        if isinstance(thing, Points):
            _text(out, "p %d\n", [np.arange(len(places)) + at])
        else:
            faces = _faces(thing).astype(np.int64)
            corner, columns = "%d", [faces + at]
            if thing in textured or thing.uv is not None:
                _text(out, "vt %.7g %.7g\n", [np.asarray(thing.uv)])
                corner, columns = "%d/%d", [*columns, faces + at_uv]
                at_uv += len(thing.uv)
            if thing.normals is not None:
                _text(out, "vn %.6g %.6g %.6g\n", [_turned(thing, thing.normals)])
                corner = "%d/%d/%d" if len(columns) == 2 else "%d//%d"
                columns.append(faces + at_normal)
                at_normal += len(thing.normals)
            if thing.texture is not None and thing.uv is not None:
                name = f"{target.stem}_texture{'' if len(textured) == 1 else i + 1}.png"
                write_atomic(target.with_name(name), _png(thing.texture))
                materials.append(f"newmtl material{i + 1}\nKd 1 1 1\nmap_Kd {name}\n")
                out.write(f"usemtl material{i + 1}\n")
            _text(out, f"f {corner} {corner} {corner}\n", [np.stack(columns, 2).reshape(len(faces), -1)])
        at += len(places)
    if materials:
        write_atomic(target.with_suffix(".mtl"), "\n".join(materials).encode("utf-8"))
    return out.getvalue().encode("utf-8")


def _png(texture: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.asarray(texture)).save(out, "PNG")
    return out.getvalue()


# ---- GLB ------------------------------------------------------------------------------------------------------------


class _Glb:
    """The parts of a glTF document, as they are added."""

    def __init__(self) -> None:
        self.binary = bytearray()
        self.document: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "Mutoscope"},
            "scene": 0,
            "scenes": [{"nodes": []}],
        }

    def put(self, kind: str, entry: dict[str, Any]) -> int:
        entries = self.document.setdefault(kind, [])
        entries.append(entry)
        return len(entries) - 1

    def view(self, data: bytes) -> int:
        self.binary += b"\0" * (-len(self.binary) % 4)
        start = len(self.binary)
        self.binary += data
        return self.put("bufferViews", {"buffer": 0, "byteOffset": start, "byteLength": len(data)})

    def accessor(self, values: np.ndarray, code: int, kind: str, **more: Any) -> int:
        view = self.view(np.ascontiguousarray(values).tobytes())
        entry = {"bufferView": view, "componentType": code, "count": len(values), "type": kind, **more}
        return self.put("accessors", entry)

    def places(self, values: Any) -> int:
        values = np.asarray(values, np.float32)
        least, most = values.min(0).tolist(), values.max(0).tolist()
        return self.accessor(values, 5126, "VEC3", min=least, max=most)


def _glb(target: Path, things: Sequence[Thing]) -> bytes:
    """A node with its own transform for each thing; the origin is part of that."""
    chosen = [t for t in _pointed(things) if isinstance(t, Points | Mesh | Lines)]
    chosen = [t for t in chosen if len(t.ends if isinstance(t, Lines) else _local(t))]
    if not chosen:
        refuse(target, f"holds points, meshes and lines, and this scene has none among its {len(things)} things")
    glb = _Glb()
    for thing in chosen:
        node: dict[str, Any] = {"name": thing.name, "mesh": glb.put("meshes", {"primitives": [_primitive(glb, thing)]})}
        matrix = np.eye(4) if thing.transform is None else np.array(thing.transform, np.float64)
        shift = np.eye(4)
        shift[:3, 3] = thing.origin
        matrix = matrix @ shift
        if not np.array_equal(matrix, np.eye(4)):
            node["matrix"] = matrix.T.ravel().tolist()
        glb.document["scenes"][0]["nodes"].append(glb.put("nodes", node))
    glb.document["buffers"] = [{"byteLength": len(glb.binary)}]
    text = json.dumps(glb.document, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 4)
    binary = bytes(glb.binary) + b"\0" * (-len(glb.binary) % 4)
    length = 12 + 8 + len(text) + 8 + len(binary)
    head = struct.pack("<4sII", b"glTF", 2, length)
    return head + struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary


def _primitive(glb: _Glb, thing: Points | Mesh | Lines) -> dict[str, Any]:
    lines = isinstance(thing, Lines)
    local = np.asarray(thing.ends).reshape(-1, 3) if isinstance(thing, Lines) else _local(thing)
    attributes = {"POSITION": glb.places(local)}
    primitive: dict[str, Any] = {"attributes": attributes, "mode": 1 if lines else 0}
    if thing.rgb is not None:
        rgb = np.repeat(np.asarray(thing.rgb), 2, axis=0) if lines else np.asarray(thing.rgb)
        rgba = np.column_stack([rgb, np.full(len(rgb), 255, np.uint8)]).astype(np.uint8)
        attributes["COLOR_0"] = glb.accessor(rgba, 5121, "VEC4", normalized=True)
    if not isinstance(thing, Lines) and thing.normals is not None:
        attributes["NORMAL"] = glb.accessor(np.asarray(thing.normals, np.float32), 5126, "VEC3")
    if not isinstance(thing, Mesh):
        return primitive
    primitive["mode"] = 4
    primitive["indices"] = glb.accessor(np.asarray(thing.faces, np.uint32).ravel(), 5125, "SCALAR")
    base: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 0.9}
    if thing.uv is not None and thing.texture is not None:
        uv = np.asarray(thing.uv, np.float32)
        attributes["TEXCOORD_0"] = glb.accessor(np.stack([uv[:, 0], 1 - uv[:, 1]], 1), 5126, "VEC2")
        image = glb.put("images", {"bufferView": glb.view(_png(thing.texture)), "mimeType": "image/png"})
        base["baseColorTexture"] = {"index": glb.put("textures", {"source": image})}
    elif thing.rgb is None and thing.colour:
        share = np.array(_one(thing)) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        base["baseColorFactor"] = [*linear.tolist(), thing.opacity]
    material: dict[str, Any] = {"pbrMetallicRoughness": base, "doubleSided": True}
    if thing.opacity < 1:
        material["alphaMode"] = "BLEND"
        base.setdefault("baseColorFactor", [1.0, 1.0, 1.0, thing.opacity])
    primitive["material"] = glb.put("materials", material)
    return primitive


# ---- splats ---------------------------------------------------------------------------------------------------------


def _splats(target: Path, things: Sequence[Thing]) -> bytes:
    chosen = [t for t in things if isinstance(t, Splats)]
    if not chosen:
        found = ", ".join(sorted({type(t).__name__.lower() for t in things})) or "nothing"
        refuse(target, f"is for splats, and there are none, only {found}", "write a .ply, .obj, .glb or .xyz file")
    steps = encode(target, chosen)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value[1]


WRITERS = {".ply": _ply, ".obj": _obj, ".glb": _glb, ".xyz": _xyz}
WRITERS |= {ending: _splats for ending in ENDINGS if ending not in WRITERS}
"""By the ending: the bytes of a file of some things."""
