"""Clipping: a turned box keeps exactly what is inside, and dragging its grips does what the hand does."""

from __future__ import annotations

import numpy as np
import pytest

from engine.geometry.viewing import inside_planes
from widgets.viewport import camera as c
from widgets.viewport.camera import Camera
from widgets.viewport.hand.clip import BOX_EDGES, ClipBox, ClipPlane, along, box_round

CAMERA = Camera((4.0, -5.0, 3.0), (0.1, 0.2, 0.3), (0, 0, 1), 40.0)
SIZE = (640.0, 480.0)


def turned_box() -> ClipBox:
    turn = c.rotation((0.3, -0.4, 0.8), 37.0)
    rows = tuple(c.vector(row) for row in turn)
    return ClipBox((0.2, -0.1, 0.4), (0.5, 0.9, 0.3), rows)  # type: ignore[arg-type]


def ray_to(place: object) -> tuple[np.ndarray, np.ndarray]:
    x, y, _ = c.project(CAMERA, place, *SIZE)[0]  # type: ignore[arg-type]
    return c.ray(CAMERA, x, y, *SIZE)


def test_a_turned_box_keeps_exactly_the_points_inside() -> None:
    box = turned_box()
    points = np.random.default_rng(1).uniform(-2, 2, (20_000, 3))
    local = (points - box.centre) @ np.asarray(box.turn).T
    expected = (np.abs(local) <= box.half).all(1)
    assert 100 < expected.sum() < 2000
    np.testing.assert_array_equal(inside_planes(points, box.planes()), expected)
    corners = box.corners()
    assert inside_planes(corners * 0.999 + np.asarray(box.centre) * 0.001, box.planes()).all()
    lengths = [np.linalg.norm(corners[a] - corners[b]) for a, b in BOX_EDGES]
    assert len(lengths) == 12
    np.testing.assert_allclose(sorted(lengths), np.repeat([0.6, 1.0, 1.8], 4))


def test_a_plane_keeps_its_side_and_the_other_when_flipped() -> None:
    plane = ClipPlane((0, 0, 1), (0, 1, 1))
    points = np.array([[0, 0.1, 1], [0, -0.1, 1], [5, 2, -0.5], [5, 2, -1.5]])
    np.testing.assert_array_equal(inside_planes(points, plane.planes()), [True, False, True, False])
    np.testing.assert_array_equal(inside_planes(points, plane.flipped().planes()), [False, True, False, True])
    np.testing.assert_allclose((plane.corners() - plane.place) @ plane.normal, 0, atol=1e-12)


def test_dragging_a_face_moves_that_face_only() -> None:
    box = turned_box()
    back = c.frame_of(CAMERA)[2]
    for grip in box.grips():
        if grip.kind != "face":
            continue
        axis = np.asarray(box.turn)[grip.axis] * grip.sign
        new = box.dragged(grip, ray_to(grip.place), ray_to(np.asarray(grip.place) + axis * 0.25), back)
        opposite = np.asarray(box.centre) - axis * box.half[grip.axis]
        np.testing.assert_allclose(np.asarray(new.centre) - axis * new.half[grip.axis], opposite, atol=1e-9)
        assert new.half[grip.axis] == pytest.approx(box.half[grip.axis] + 0.125)
        inside_out = box.dragged(grip, ray_to(grip.place), ray_to(np.asarray(grip.place) - axis * 9), back)
        assert inside_out.half[grip.axis] > 0


def test_dragging_a_turn_grip_turns_about_its_axis_and_back_is_back() -> None:
    box = ClipBox((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    grip = next(g for g in box.grips() if g.kind == "turn" and g.axis == 2)
    there = c.rotation((0, 0, 1), 30.0) @ np.asarray(grip.place)
    new = box.dragged(grip, ray_to(grip.place), ray_to(there), c.frame_of(CAMERA)[2])
    np.testing.assert_allclose(np.asarray(new.turn).T, c.rotation((0, 0, 1), 30.0), atol=1e-9)
    np.testing.assert_allclose(np.asarray(new.turn) @ np.asarray(new.turn).T, np.eye(3), atol=1e-12)
    same = box.dragged(grip, ray_to(grip.place), ray_to(grip.place), c.frame_of(CAMERA)[2])
    np.testing.assert_allclose(same.turn, box.turn, atol=1e-12)


def test_dragging_the_middle_follows_the_pointer() -> None:
    box, back = turned_box(), c.frame_of(CAMERA)[2]
    grip = box.grips()[0]
    x, y, _ = c.project(CAMERA, grip.place, *SIZE)[0]
    new = box.dragged(grip, c.ray(CAMERA, x, y, *SIZE), c.ray(CAMERA, x + 60, y - 20, *SIZE), back)
    np.testing.assert_allclose(c.project(CAMERA, new.centre, *SIZE)[0, :2], [x + 60, y - 20], atol=1e-9)
    plane = ClipPlane((0, 0, 0), (0, 0, 1), 2.0)
    raised = plane.dragged(plane.grips()[0], ray_to((0, 0, 0)), ray_to((0, 0, 0.7)), back)
    np.testing.assert_allclose(raised.place, (0, 0, 0.7), atol=1e-9)
    tip = plane.grips()[1]
    tilted = plane.dragged(tip, ray_to(tip.place), ray_to((0.5, 0, 1)), back)
    assert np.linalg.norm(tilted.normal) == pytest.approx(1)
    assert tilted.normal[0] > 0.1


def test_nearest_on_an_axis() -> None:
    ray = (np.array([3.0, -7.0, 2.0]), np.array([0.0, 1.0, 0.0]))
    assert along(ray, (0, 0, 0), (1, 0, 0)) == pytest.approx(3.0)
    assert along(ray, (0, 0, 0), (0, 1, 0)) == 0.0  # side by side: no place is nearer than another


def test_box_round_holds_all_and_is_never_flat() -> None:
    corners = np.array([[0, 0, 0], [2, 4, 0]])
    box = box_round(corners)
    assert inside_planes(corners, box.planes()).all()
    assert min(box.half) > 0
