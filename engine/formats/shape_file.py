"""One shape to study, from a file or by name: a mesh or a cloud, moved into the box [-0.9, 0.9]^3.

Knows the readers of scenes and the procedural shapes, no study.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from engine.formats.scene import READERS, SceneFileError, read_all
from engine.geometry import measures, sampling
from engine.geometry.mesh_distance import MeshDistance
from engine.geometry.shapes import SHAPES
from engine.params import BadValue
from engine.scene import Mesh, Points, Thing

ENDINGS = tuple(READERS)
"""Of files that may hold a shape."""
REACH = 0.9
"""Half the side of the box that every shape is moved into."""
DETAIL = 48
"""The resolution at which procedural shapes are made."""
MOST_POINTS = 200_000
"""Of a larger cloud that many are kept, evenly by their order in the file."""
NEIGHBOURS = 16
"""How many neighbours a normal is estimated from, where the file has none."""


@dataclass(frozen=True, eq=False)
class Shape:
    """A mesh (``vertices`` float32 (V, 3), ``faces`` int32 (F, 3), both empty for a cloud) or a cloud (``points``
    float32 (N, 3) with unit ``normals`` (N, 3), estimated where ``guessed``). ``scale`` and ``centre`` lead back to the
    file: file = shape / scale + centre."""

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    guessed: bool = False
    scale: float = 1.0
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def is_mesh(self) -> bool:
        return len(self.faces) > 0

    @cached_property
    def closed(self) -> bool:
        """Whether it is a mesh with an inside: every edge lies in two triangles."""
        return self.is_mesh and bool(measures.watertight(self.faces))

    @cached_property
    def distance(self) -> MeshDistance:
        """Distances to the mesh; of a closed one only are they signed."""
        return MeshDistance(self.vertices, self.faces)

    def sample(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """``count`` places float32 (count, 3) on the surface, evenly, and their unit normals; of a cloud some of its
        points (with repetition where it has fewer)."""
        if self.is_mesh:
            points, normals, _ = sampling.uniform(self.vertices, self.faces, count, seed)
            return np.asarray(points, np.float32), np.asarray(normals, np.float32)
        random = np.random.default_rng(seed)
        pick = random.permutation(len(self.points))[:count]
        if len(pick) < count:
            pick = np.concatenate([pick, random.integers(0, len(self.points), count - len(pick))])
        return self.points[pick], self.normals[pick]


@lru_cache(maxsize=32)
def named(name: str, resolution: int = DETAIL) -> Shape:
    """A procedural shape by its name in :data:`engine.geometry.shapes.SHAPES`; the same one each time."""
    vertices, faces = SHAPES[name](resolution)
    return _mesh(name, np.asarray(vertices, np.float64), np.asarray(faces, np.int32))


def from_file(knob: str, path: str) -> Shape:
    """The meshes of a file as one or, where it has none, its clouds as one; :class:`BadValue` in one line that names
    ``knob`` where it cannot be read or holds no surface."""
    name = Path(path).name
    try:
        things = read_all(Path(path).expanduser())
    except SceneFileError as e:
        raise BadValue(f"{knob}: {e}") from None
    meshes = [thing for thing in things if isinstance(thing, Mesh) and len(thing.faces)]
    if meshes:
        starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
        vertices = np.concatenate([_world(mesh, mesh.vertices) for mesh in meshes])
        faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)])
        return _mesh(name, vertices, faces.astype(np.int32))
    clouds = [thing for thing in things if isinstance(thing, Points) and len(thing.xyz)]
    if not clouds:
        raise BadValue(f"{knob}: {name} holds neither a mesh nor points; choose another file")
    points = np.concatenate([_world(cloud, cloud.xyz) for cloud in clouds])
    known = all(cloud.normals is not None for cloud in clouds)
    normals = np.concatenate([_turned(cloud, cloud.normals) for cloud in clouds]) if known else None
    return cloud_of(name, points, normals, knob)


def cloud_of(name: str, points: np.ndarray, normals: np.ndarray | None = None, knob: str = "file") -> Shape:
    """A cloud as a shape: points that are not finite are left out, missing normals estimated."""
    good = np.isfinite(points).all(1)
    if normals is not None:
        good &= np.isfinite(normals).all(1) & (np.square(normals).sum(1) > 1e-12)
    points, normals = points[good], normals[good] if normals is not None else None
    if len(points) < 2 * NEIGHBOURS:
        raise BadValue(f"{knob}: {name} has {len(points)} usable points; {2 * NEIGHBOURS} are the least for a surface")
    some = np.linspace(0, len(points) - 1, min(len(points), MOST_POINTS)).astype(np.int64)
    points, normals = points[some], normals[some] if normals is not None else None
    centre, scale = _fit(knob, name, points)
    xyz = ((points - centre) * scale).astype(np.float32)
    guessed = normals is None
    if normals is None:
        normals, _ = sampling.pca_normals(xyz, NEIGHBOURS)
        normals = sampling.orient_normals(xyz, normals, NEIGHBOURS)
    normals = (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32)
    none = np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    return Shape(name, *none, xyz, normals, guessed, scale, _triple(centre))


def _mesh(name: str, vertices: np.ndarray, faces: np.ndarray) -> Shape:
    """A mesh as a shape; corners at one place become one, so that what is closed to the eye is closed."""
    if not np.isfinite(vertices[np.unique(faces)]).all():
        raise BadValue(f"file: {name} has corners that are not finite numbers; repair it or choose another")
    used, faces = np.unique(vertices.astype(np.float32)[faces.ravel()], axis=0, return_inverse=True)
    faces = faces.reshape(-1, 3)
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    faces = faces[distinct].astype(np.int32)
    centre, scale = _fit("file", name, used)
    vertices = ((used - centre) * scale).astype(np.float32)
    none = np.zeros((0, 3), np.float32)
    return Shape(name, vertices, faces, none, none, False, scale, _triple(centre))


def _fit(knob: str, name: str, points: np.ndarray) -> tuple[np.ndarray, float]:
    low, high = points.min(0).astype(np.float64), points.max(0).astype(np.float64)
    widest = float((high - low).max())
    if widest <= 0:
        raise BadValue(f"{knob}: all of {name} lies at one place; choose another file")
    return (low + high) / 2, 2 * REACH / widest


def _triple(place: np.ndarray) -> tuple[float, float, float]:
    return float(place[0]), float(place[1]), float(place[2])


def _world(thing: Thing, xyz: np.ndarray) -> np.ndarray:
    out = np.asarray(xyz, np.float64) + np.asarray(thing.origin, np.float64)
    if thing.transform is None:
        return out
    placed: np.ndarray = out @ np.asarray(thing.transform)[:3, :3].T + np.asarray(thing.transform)[:3, 3]
    return placed


def _turned(thing: Thing, normals: np.ndarray) -> np.ndarray:
    if thing.transform is None:
        return np.asarray(normals, np.float64)
    turned: np.ndarray = np.asarray(normals, np.float64) @ np.linalg.inv(np.asarray(thing.transform)[:3, :3])
    return turned
