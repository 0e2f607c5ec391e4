"""Fitting a network to a shape: what is found after a second, what cannot be fitted, codes between shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.params import BadValue
from engine.payloads import Payload
from engine.registry import find
from engine.scene import Mesh, Points, Render, Scene, SceneFrames
from engine.session import Session

STUDY = find().studies["implicit_fit"]
SMALL = dict(shape="sphere", encoding="none", points=1000, width=24, depth=2, batch=200, rate=5e-3)


def built(**knobs: Any) -> Session:
    return Session.build("implicit_fit", STUDY, {**SMALL, **knobs}, 1, torch.device("cpu"), None)


def trained(steps: int, **knobs: Any) -> Session:
    session = built(**knobs)
    for _ in range(steps):
        session.train_step()
    return session


def asked(session: Session, probe: str, dragging: bool = False, **values: Any) -> list[Any]:
    return [part for part in session.answer(probe, values, dragging) if isinstance(part, Payload)]


@pytest.mark.parametrize(
    ("method", "iou", "distance"), [("IGR", 0.96, 0.012), ("SDF", 0.96, 0.012), ("occupancy", 0.88, 0.04)]
)
def test_a_second_of_training_finds_the_sphere(method: str, iou: float, distance: float) -> None:
    session = trained(100, method=method)
    (found,) = asked(session, "surface", resolution=24)
    readings = found.readings
    assert readings["IoU"] > iou
    assert readings["mean distance"] < distance
    assert readings["chamfer"] < 4 * distance**2
    assert readings["normal consistency"] > 0.97
    mesh = found.things[0]
    assert isinstance(mesh, Mesh)
    assert np.linalg.norm(mesh.vertices, axis=1).mean() == pytest.approx(0.9, abs=0.03)
    if method == "occupancy":
        assert set(session.read_metrics()["eikonal"][1]) == {0.0}
    if method == "IGR":
        assert readings["eikonal residual"] < 0.1


def test_points_alone_are_enough_without_normals() -> None:
    (found,) = asked(trained(100, normals=0.0), "surface", resolution=24)
    assert found.readings["IoU"] > 0.93


def test_the_figures_come_as_curves_at_the_first_step_and_now_and_then() -> None:
    points = trained(3).read_metrics()
    for name in ("chamfer", "mean_distance", "iou", "normal_consistency", "eikonal_residual"):
        assert list(points[name][0]) == [1]
    assert list(points["data"][0]) == [1, 2, 3]


def test_the_step_size_is_halved_and_a_moved_knob_counts_at_once() -> None:
    session = trained(51, halve=50)
    study: Any = session.study
    assert study.optimizer.param_groups[0]["lr"] == pytest.approx(5e-3 / 2)
    session.set_knob("rate", 1e-3)
    session.train_step()
    assert study.optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * 0.5 ** (51 / 50))


def test_at_rest_the_surface_is_coarse_first_then_fine_and_while_it_learns_coarse_only() -> None:
    session = built()
    first, last = asked(session, "surface", resolution=64)
    assert (first.progress, last.progress) == (0.1, 1.0)
    assert len(last.things[0].faces) > 2 * len(first.things[0].faces)
    answer = session.answer("surface", {"resolution": 64})
    next(answer)
    session.train_step()  # between two advances, as the worker does
    rest = [part for part in answer if isinstance(part, Scene)]
    assert [scene.progress for scene in rest] == [1.0]
    assert "40³" in rest[0].caption
    assert "64³" in last.caption


def test_the_truth_stands_beside_and_is_uploaded_once() -> None:
    session = built()
    meshes = [asked(session, "surface", resolution=20, truth="mesh")[0].things[1] for _ in range(2)]
    assert meshes[0].vertices is meshes[1].vertices
    (cloud,) = asked(session, "surface", resolution=20, truth="points")[0].things[1:]
    assert np.allclose(np.linalg.norm(cloud.xyz, axis=1), 0.9, atol=0.01)
    surface = asked(session, "surface", resolution=20, colour="distance")[0].things[0]
    radius = np.linalg.norm(surface.vertices, axis=1)
    assert np.allclose(surface.scalars["distance"], np.abs(0.9 - radius), atol=0.01)


def test_several_shapes_have_codes_and_a_way_between_them() -> None:
    session = trained(80, method="SDF", shapes=2, code=4)
    study: Any = session.study
    assert [shape.name for shape in study.shapes] == ["sphere", "ellipsoid"]
    volumes = []
    for which in (0.0, 0.5, 1.0):
        (found,) = asked(session, "surface", which=which, resolution=20)
        volumes.append(np.ptp(found.things[0].vertices[:, 2]))
    assert volumes[0] > volumes[1] > volumes[2], "a ball is higher than an ellipsoid"
    frames = asked(session, "interpolate", dragging=True, steps=3)
    assert [frame.total for frame in frames] == [3, 3, 3]
    assert all(isinstance(frame, SceneFrames) for frame in frames)
    assert frames[0].readings["volume"] > frames[2].readings["volume"]
    assert frames[0].caption == "100% sphere, 0% ellipsoid"
    assert session.latest == {} or session.latest["codes"] > 0


def test_a_single_shape_has_levels_in_place_of_codes() -> None:
    frames = asked(trained(60), "interpolate", dragging=True, steps=4)
    sizes = [float(np.linalg.norm(frame.things[0].vertices, axis=1).mean()) for frame in frames]
    assert sizes == sorted(sizes)
    assert "f = -0.100" in frames[0].caption


def test_the_slice_names_both_levels_and_the_error() -> None:
    (scene,) = asked(trained(60), "slice", axis="x", offset=0.2)
    assert {"values", "true zero level", "learned zero level"} == {thing.name for thing in scene.things}
    assert scene.readings["mean error"] < 0.1


def test_the_picture_has_the_depth_of_the_sphere() -> None:
    session = trained(80)
    (picture,) = asked(session, "render", camera="0,-4,0/0,0,0/0,0,1/40", width=41, height=31)
    assert isinstance(picture, Render)
    assert picture.image.shape == (31, 41, 3)
    assert picture.depth[15, 20] == pytest.approx(4 - 0.9, abs=0.06)
    assert picture.alpha[15, 20] == 1
    assert picture.depth[0, 0] == picture.alpha[0, 0] == 0


def test_a_cloud_is_for_igr_alone_and_a_bad_file_is_one_clear_line(tmp_path: Path) -> None:
    random = np.random.default_rng(0).standard_normal((500, 3))
    ball = random / np.linalg.norm(random, axis=1, keepdims=True) * 50 + [1000, 0, 0]
    cloud = tmp_path / "ball.xyz"
    np.savetxt(cloud, ball)
    with pytest.raises(BadValue, match=r"^method: ball.xyz is a cloud of points, .* set the method to IGR"):
        built(file=str(cloud), method="SDF")
    session = trained(80, file=str(cloud))
    (found,) = asked(session, "surface", resolution=28, truth="points")
    assert "IoU" not in found.readings
    assert found.readings["mean distance"] < 0.06  # of 500 points the nearest one is that far
    assert np.linalg.norm(found.things[0].vertices, axis=1).mean() == pytest.approx(0.9, abs=0.06)
    assert isinstance(found.things[1], Points)
    for name, said in (("missing.ply", "missing.ply"), ("few.xyz", "few.xyz")):
        if name == "few.xyz":
            np.savetxt(tmp_path / name, ball[:5])
        with pytest.raises(BadValue, match=rf"^file: .*{said}") as caught:
            built(file=str(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_an_open_mesh_is_for_igr_alone(tmp_path: Path) -> None:
    mesh = tmp_path / "half.off"
    mesh.write_text("OFF\n4 3 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 0 3 2\n")
    with pytest.raises(BadValue, match="mesh with holes"):
        built(file=str(mesh), method="occupancy")
    assert "IoU" not in asked(built(file=str(mesh)), "surface", resolution=20)[0].readings


def test_a_minute_of_igr_on_the_bunny_begins_well(shared_data: Path) -> None:
    session = trained(40, file=str(shared_data / "meshes" / "bunny.off"), width=64)
    (found,) = asked(session, "surface", resolution=32)
    assert found.up == "y"
    assert found.readings["IoU"] > 0.7
    assert found.readings["mean distance"] < 0.05
