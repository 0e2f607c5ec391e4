"""Readers and writers against trimesh: the same surfaces from the same files, and our files read by somebody else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from engine.formats.scene import read_all
from engine.formats.scene.write import world, write
from engine.geometry.shapes import shape
from engine.scene import Mesh, Points

REAL = ("spot.obj", "spot.glb", "bunny.off", "armadillo_20k.ply", "fandisk.obj", "featuretype.stl", "suzanne.obj")


def measures(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area, and the area-weighted mean of the triangles' corners and of their squares: no order of vertices counts."""
    a, b, c = (np.asarray(vertices, np.float64)[faces[:, k]] for k in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    middle = (a + b + c) / 3
    return np.concatenate([[areas.sum()], areas @ middle, areas @ middle**2])


def peer(path: Path) -> np.ndarray:
    loaded = trimesh.load(path, force="mesh", process=False)
    return measures(loaded.vertices, loaded.faces)


def ours(path: Path) -> np.ndarray:
    meshes = [thing for thing in read_all(path) if isinstance(thing, Mesh)]
    return sum((measures(world(m, m.vertices), m.faces) for m in meshes), np.zeros(7))


@pytest.mark.parametrize("name", REAL)
def test_a_real_file_is_the_same_surface_as_trimesh_reads(name: str, shared_data: Path) -> None:
    path = shared_data / "meshes" / name
    np.testing.assert_allclose(ours(path), peer(path), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("ending", ["ply", "obj", "glb"])
def test_what_we_write_is_the_same_surface_to_trimesh(ending: str, tmp_path: Path) -> None:
    vertices, faces = shape("knot", 24)
    turn = np.array([[0, -2, 0, 1], [2, 0, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1]], np.float64)
    things = (Mesh(name="knot", vertices=vertices.astype(np.float32), faces=faces.astype(np.int32), transform=turn),)
    path = tmp_path / f"knot.{ending}"
    write(str(path), things)
    moved = vertices @ turn[:3, :3].T + turn[:3, 3]
    np.testing.assert_allclose(peer(path), measures(moved, faces), rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(ours(path), measures(moved, faces), rtol=2e-5, atol=2e-5)


def test_points_that_we_write_are_where_trimesh_reads_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    xyz, rgb = rng.normal(size=(50, 3)).astype(np.float32), rng.integers(0, 256, (50, 3)).astype(np.uint8)
    path = tmp_path / "cloud.ply"
    write(str(path), (Points(name="cloud", xyz=xyz, rgb=rgb),))
    cloud = trimesh.load(path)
    np.testing.assert_allclose(cloud.vertices, xyz, atol=1e-6)
    assert np.array_equal(np.asarray(cloud.colors)[:, :3], rgb)
