"""The study of files: it shows an example first, keeps what it has read, stands bad files, and is coarse at first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.scene import Mesh, Points, Scene
from engine.session import Session, Working
from engine.studies.shape import scene_files
from engine.studies.shape.scene_files import SceneFiles
from tests.engine.formats.conftest import ply, stl, table


@pytest.fixture
def session() -> Session:
    return Session.build("scene_files", SceneFiles, {}, 0, torch.device("cpu"), None)


def ask(session: Session, *files: Path, up: str = "auto") -> list[Any]:
    return list(session.answer("scene", {"files": tuple(map(str, files)), "up": up}))


def last(session: Session, *files: Path, up: str = "auto") -> Scene:
    scene = ask(session, *files, up=up)[-1]
    assert isinstance(scene, Scene)
    assert scene.progress == 1.0
    return scene


def test_without_files_there_is_an_example_that_says_how_to_open_some(session: Session) -> None:
    scene = last(session)
    mesh, points = scene.things
    assert isinstance(mesh, Mesh)
    assert isinstance(points, Points)
    assert "Drop" in scene.caption
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(float) for k in range(3))
    assert np.einsum("ij,ij->i", a, np.cross(b, c)).sum() > 0  # faces outwards
    across = np.cross(b - a, c - a)
    outward = mesh.normals[mesh.faces].mean(1)
    assert (np.einsum("ij,ij->i", across, outward) > 0).all()
    edges = np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


def test_a_bad_file_is_a_line_and_the_others_stand(session: Session, tmp_path: Path) -> None:
    good, also, bad = tmp_path / "cube.ply", tmp_path / "b" / "cube.stl", tmp_path / "bad.ply"
    also.parent.mkdir()
    good.write_bytes(ply())
    also.write_bytes(stl())
    bad.write_bytes(ply()[:150])
    scene = last(session, good, bad, tmp_path / "none.obj", also)
    assert [t.name for t in scene.things] == ["cube", "cube 2"]
    assert [line.partition(":")[0] for line in scene.notices] == ["bad.ply", "none.obj"]
    assert scene.readings == {"vertices": 16.0, "triangles": 24.0}


def test_files_that_stand_far_apart_are_told_of(session: Session, tmp_path: Path) -> None:
    near, far = tmp_path / "near.xyz", tmp_path / "far.xyz"
    near.write_text("0 0 0\n2 0 0\n0 1 0\n", "utf-8")
    far.write_text("500000 0 0\n500002 0 0\n500000 1 0\n", "utf-8")
    assert last(session, near).notices == ()
    assert last(session, near, near).notices == ()
    (line,) = last(session, near, far).notices
    assert "5e+05 apart" in line
    assert "2 wide" in line


def test_files_are_read_again_only_when_they_change(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_bytes(table())
    first, again = last(session, path).things[0], last(session, path).things[0]
    assert isinstance(first, Points)
    assert isinstance(again, Points)
    assert first.xyz is again.xyz
    path.write_bytes(table()[: len(table()) // 2].rpartition(b"\n")[0])
    changed = last(session, path).things[0]
    assert isinstance(changed, Points)
    assert len(changed.xyz) < len(first.xyz)
    last(session)
    assert session.study._kept  # the example does not push out what was read
    other = tmp_path / "b.xyz"
    other.write_bytes(table())
    last(session, other)
    assert list(session.study._kept) == [str(other)]


@pytest.mark.parametrize("binary", ["<", ""])
def test_a_large_cloud_is_coarse_first_then_in_the_order_of_its_tree(
    binary: str, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene_files, "LARGE", 10_000)
    monkeypatch.setattr(scene_files, "COARSE", 2000)
    monkeypatch.setattr(scene_files, "CAPACITY", 256)
    path = tmp_path / "large.ply"
    path.write_bytes(ply(binary, 20_000))
    parts = ask(session, path)
    scenes = [p for p in parts if isinstance(p, Scene)]
    assert [s.progress < 1 for s in scenes] == [True, False]
    assert any(isinstance(p, Working) for p in parts[parts.index(scenes[0]) :])
    coarse, whole = (s.things[0] for s in scenes)
    assert isinstance(coarse, Points)
    assert isinstance(whole, Points)
    assert 1000 <= len(coarse.xyz) <= 2000
    assert coarse.xyz.max(0) == pytest.approx(np.ones(3), abs=0.05)
    assert len(whole.xyz) == 20_000
    assert whole.tree is not None
    assert int(np.asarray(whole.tree.count).sum()) == 20_000
    reference = np.random.default_rng(1).random((20_000, 3)).astype(np.float32)
    np.testing.assert_array_equal(whole.xyz, reference[whole.index])
    np.testing.assert_array_equal(whole.labels, whole.index % 4)
    np.testing.assert_allclose(whole.scalars["heat"], whole.index / 20_000, rtol=1e-6)


def test_up_goes_by_the_first_file(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_bytes(ply())
    assert last(session, tmp_path / "a.ply").up == "z"
    assert last(session, tmp_path / "a.ply", up="y").up == "y"
    assert last(session, tmp_path / "none.glb", tmp_path / "a.ply").up == "y"
