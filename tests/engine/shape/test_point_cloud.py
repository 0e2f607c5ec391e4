"""The study of clouds: shading, sampling, farthest points and the lines between two clouds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from engine.params import BadValue
from engine.payloads import Payload
from engine.registry import find
from engine.session import Session

STUDY = find().studies["point_cloud"]


def built(**knobs: Any) -> Session:
    return Session.build("point_cloud", STUDY, {"shape": "sphere", **knobs}, 1, torch.device("cpu"), None)


def asked(session: Session, probe: str, **values: Any) -> list[Any]:
    return [part for part in session.answer(probe, values) if isinstance(part, Payload)]


def test_a_lit_point_is_as_bright_as_the_cosine_says() -> None:
    (scene,) = asked(built(), "sample", count=800, turn=90.0, height=0.0)
    cloud, lamp = scene.things
    light = np.array([0.0, 1.0, 0.0])
    cosine = np.clip(cloud.normals @ light, 0, 1)
    assert np.abs(cloud.rgb[:, 0] / 255 - (0.12 + 0.88 * cosine)).max() < 0.01
    assert np.allclose(np.cross(lamp.vectors[0], light), 0, atol=1e-6)
    assert lamp.vectors[0] @ light < 0, "light travels away from the lamp"
    (flat,) = asked(built(), "sample", count=800, shading=False)
    assert flat.things[0].rgb is None


def test_the_ways_of_sampling_differ_in_the_spread_of_neighbours() -> None:
    spread = {
        how: asked(built(), "sample", how=how, count=600)[0].readings["spread of that"]
        for how in ("uniform", "Poisson disk", "crowded")
    }
    assert spread["Poisson disk"] < 0.25 < spread["uniform"]
    (scene,) = asked(built(), "sample", how="crowded", count=4000, strength=3.0)
    z = scene.things[0].xyz[:, 2]
    # On a sphere even points have an even height; the density e^(3 t) over t in 0..1 has the mean 0.719 there.
    assert (z / 0.9).mean() == pytest.approx(2 * 0.7191 - 1, abs=0.03)


def test_normals_of_a_sphere_point_outwards_and_noise_turns_them() -> None:
    (scene,) = asked(built(), "normals", count=600)
    assert scene.readings["mean angle to the true ones"] < 6
    assert scene.readings["wrong way"] == 0
    cloud, arrows = scene.things
    assert ((cloud.xyz * cloud.normals).sum(1) > 0).all()
    assert np.allclose(arrows.vectors / 0.06, cloud.normals[: len(arrows.vectors)], atol=1e-5)
    (noisy,) = asked(built(), "normals", count=600, noise=0.05)
    assert noisy.readings["mean angle to the true ones"] > 10


def test_farthest_points_come_in_the_order_of_the_definition() -> None:
    frames = asked(built(), "farthest", steps=12, count=300)
    points = frames[0].things[0].xyz
    chosen = [0]
    for _ in range(11):
        chosen.append(int(cdist(points, points[chosen]).min(1).argmax()))
    last = frames[-1]
    assert np.array_equal(last.things[1].xyz, points[chosen])
    radii = [frame.readings["covering radius"] for frame in frames]
    assert radii == sorted(radii, reverse=True)
    assert radii[-1] == pytest.approx(cdist(points, points[chosen]).min(1).max(), abs=1e-5)
    assert radii[-1] < last.readings["of points at random"]
    assert [frame.index for frame in frames] == list(range(12))


def test_the_lines_of_the_matching_are_the_assignment() -> None:
    (scene,) = asked(built(), "two_clouds", count=120, move=0.4, noise=0.05)
    first, second, lines = scene.things
    cost = cdist(first.xyz, second.xyz)
    rows, columns = linear_sum_assignment(cost)
    assert scene.readings["EMD"] == pytest.approx(cost[rows, columns].mean(), rel=1e-5)
    assert np.array_equal(lines.ends[:, 0], first.xyz)
    assert np.allclose(np.linalg.norm(lines.ends[:, 1] - lines.ends[:, 0], axis=1).mean(), scene.readings["EMD"])
    assert len(np.unique(lines.ends[:, 1], axis=0)) == 120, "one to one"
    squared = (cost.min(1) ** 2).mean() + (cost.min(0) ** 2).mean()
    assert scene.readings["chamfer"] == pytest.approx(squared, rel=1e-4)


def test_the_same_points_moved_a_little_are_matched_with_themselves() -> None:
    (scene,) = asked(built(), "two_clouds", other="same points", count=60, move=0.01)
    assert scene.readings["EMD"] == pytest.approx(0.01, rel=1e-4)
    assert scene.readings["chamfer"] == pytest.approx(2e-4, rel=1e-3)
    (turned,) = asked(built(), "two_clouds", other="same points", count=60, move=0.0, turn=180.0)
    xyz = turned.things[0].xyz
    assert np.allclose(turned.things[1].xyz, xyz * [-1, -1, 1], atol=1e-6)


def test_many_points_are_matched_by_sinkhorn_which_is_near_and_never_below() -> None:
    session = built()
    (scene,) = asked(session, "two_clouds", count=610, move=0.5, lines="nearest")
    assert "Sinkhorn" in scene.caption
    first, second, there, back = scene.things
    cost = cdist(first.xyz, second.xyz)
    rows, columns = linear_sum_assignment(cost)
    exact = cost[rows, columns].mean()
    assert exact <= scene.readings["EMD"] + 1e-6 < 1.1 * exact
    assert np.allclose(np.linalg.norm(there.ends[:, 1] - there.ends[:, 0], axis=1), cost.min(1), atol=1e-5)
    assert np.allclose(np.linalg.norm(back.ends[:, 1] - back.ends[:, 0], axis=1), cost.min(0), atol=1e-5)


def test_a_cloud_from_a_file_takes_the_place_of_the_shape_while_it_is_open(tmp_path: Path) -> None:
    cloud = tmp_path / "plane.xyz"
    grid = np.stack(np.meshgrid(np.arange(20.0), np.arange(20.0)), -1).reshape(-1, 2)
    np.savetxt(cloud, np.c_[grid, 0.01 * grid[:, 0]])
    session = built()
    session.set_knob("file", str(cloud))
    (scene,) = asked(session, "sample", how="Poisson disk", count=50)
    assert len(scene.things[0].xyz) == 50
    assert np.abs(scene.things[0].xyz[:, 2]).max() < 0.02
    with pytest.raises(BadValue, match=r"file: .*gone"):
        session.set_knob("file", str(tmp_path / "gone.ply"))
    assert session.knobs["file"] == str(cloud)
    assert len(asked(session, "sample", count=50)[0].things[0].xyz) == 50
