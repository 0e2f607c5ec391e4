"""Splat files in the study of files: upright beside others, coarse at first, and exported as they came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.formats import export
from engine.formats.scene import read_all
from engine.scene import Mesh, Scene, Splats
from engine.session import Session
from engine.studies.shape import scene_files
from engine.studies.shape.scene_files import SceneFiles
from tests.engine.formats import splat_files as files
from tests.engine.formats.conftest import ply


def scenes(*paths: Path, up: str = "auto") -> list[Any]:
    session = Session.build("scene_files", SceneFiles, {}, 0, torch.device("cpu"), None)
    found = session.answer("scene", {"files": tuple(map(str, paths)), "up": up})
    return [part for part in found if isinstance(part, Scene)]


@pytest.mark.parametrize("up", ["z", "y"])
def test_splats_stand_upright_with_the_mesh_beside_them_and_go_back_as_they_came(up: str, tmp_path: Path) -> None:
    t = files.truth(120, 1)
    (tmp_path / "a.ply").write_bytes(files.inria(t))
    (tmp_path / "cube.ply").write_bytes(ply())
    scene = scenes(tmp_path / "a.ply", tmp_path / "cube.ply", up=up)[-1]
    splats, mesh = scene.things
    assert isinstance(splats, Splats)
    assert isinstance(mesh, Mesh)
    assert scene.readings["splats"] == 120
    upwards = {"z": [0, 0, 1], "y": [0, 1, 0]}[up]
    for thing in scene.things:
        assert np.allclose(thing.transform[:3, :3] @ [0, -1, 0], upwards)
    export.write(str(tmp_path / "b.ply"), [Scene((splats,), up, world=scene.world)])
    export.write(str(tmp_path / "c.obj"), [Scene((mesh,), up, world=scene.world)])
    (again,) = read_all(tmp_path / "b.ply")
    (cube,) = read_all(tmp_path / "c.obj")
    for name in ("xyz", "scales", "turns", "opacity", "sh"):
        assert np.array_equal(getattr(again, name), getattr(splats, name)), name
    assert isinstance(cube, Mesh)
    assert np.abs(np.ptp(cube.vertices, axis=0) - 1).max() < 1e-6
    assert cube.vertices.min() == pytest.approx(0, abs=1e-6)


def test_many_splats_are_coarse_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_files, "LARGE", 1_000)
    monkeypatch.setattr(scene_files, "COARSE", 160)
    (tmp_path / "a.ply").write_bytes(files.inria(files.truth(2_000, 0)))
    first, *_, last = scenes(tmp_path / "a.ply")
    assert first.progress < 1 == last.progress
    assert isinstance(first.things[0], Splats)
    assert len(first.things[0].xyz) == 160
    assert len(last.things[0].xyz) == 2_000
    assert np.array_equal(first.things[0].transform, last.things[0].transform)
