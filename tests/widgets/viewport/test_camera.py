"""Cameras against closed forms: matrices, rays, moves that come back, framing and text."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from widgets.viewport import camera as c
from widgets.viewport.camera import Camera

SOME = Camera((3.0, -4.0, 2.5), (0.2, 0.1, -0.3), (0.1, 0.2, 1.0), 37.0)
W, H = 640.0, 480.0


def cameras() -> list[Camera]:
    far = Camera((637_000.5, 849_003.25, 120.0), (636_990.0, 849_010.0, 100.0), (0, 0, 1), 60.0)
    return [SOME, replace(SOME, ortho=True), far, replace(far, ortho=True)]


def test_view_takes_eye_to_nought_and_target_down_the_axis() -> None:
    view = c.view_matrix(SOME)
    np.testing.assert_allclose(view @ [*SOME.eye, 1], [0, 0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(view @ [*SOME.target, 1], [0, 0, -SOME.distance, 1], atol=1e-12)
    np.testing.assert_allclose(view[:3, :3] @ view[:3, :3].T, np.eye(3), atol=1e-14)
    assert np.linalg.det(view[:3, :3]) == pytest.approx(1)
    assert (view[:3, :3] @ SOME.up)[0] == pytest.approx(0, abs=1e-12)  # up stays upright
    assert (view[:3, :3] @ SOME.up)[1] > 0


def test_projection_of_the_frustum_corners() -> None:
    near, far, aspect = 0.5, 20.0, W / H
    matrix = c.projection_matrix(SOME, aspect, near, far)
    t = math.tan(math.radians(SOME.fov) / 2)
    for depth, expected in ((near, -1.0), (far, 1.0)):
        clip = matrix @ [depth * t * aspect, -depth * t, -depth, 1]
        np.testing.assert_allclose(clip[:3] / clip[3], [1, -1, expected], atol=1e-12)
    flat = replace(SOME, ortho=True)
    clip = c.projection_matrix(flat, aspect, near, far) @ [flat.half_height * aspect, flat.half_height, -far, 1]
    np.testing.assert_allclose(clip, [1, 1, 1, 1], atol=1e-12)


@pytest.mark.parametrize("camera", cameras())
def test_project_agrees_with_the_matrices_and_rays_come_back(camera: Camera) -> None:
    places = np.asarray(camera.target) + np.random.default_rng(0).normal(size=(50, 3)) * 0.4
    near, far = c.near_far(camera, camera.target, 3.0)
    matrix = c.projection_matrix(camera, W / H, near, far) @ c.view_matrix(camera)
    clip = np.c_[places, np.ones(50)] @ matrix.T
    seen = c.project(camera, places, W, H)
    np.testing.assert_allclose((clip[:, 0] / clip[:, 3] + 1) * W / 2, seen[:, 0], atol=1e-4)
    np.testing.assert_allclose((1 - clip[:, 1] / clip[:, 3]) * H / 2, seen[:, 1], atol=1e-4)
    tolerance = 1e-9 * max(1.0, float(np.abs(camera.eye).max()))
    for place, (x, y, _) in zip(places, seen, strict=True):
        origin, direction = c.ray(camera, x, y, W, H)
        off = np.cross(place - origin, direction)
        assert np.linalg.norm(off) < tolerance
        np.testing.assert_allclose(c.on_target_plane(camera, x, y, W, H, place), place, atol=tolerance)


def test_orthographic_and_perspective_agree_at_the_target_plane() -> None:
    right, up, back = c.frame_of(SOME)
    inside = np.asarray(SOME.target) + np.outer([0.3, -0.5], right) + np.outer([0.2, 0.4], up)
    flat = replace(SOME, ortho=True)
    np.testing.assert_allclose(c.project(SOME, inside, W, H)[:, :2], c.project(flat, inside, W, H)[:, :2], atol=1e-9)
    before = inside + back * 0.5
    assert np.abs(c.project(SOME, before, W, H)[:, :2] - c.project(flat, before, W, H)[:, :2]).max() > 1


def test_a_place_behind_the_eye_has_no_pixel() -> None:
    behind = np.asarray(SOME.eye) + np.subtract(SOME.eye, SOME.target)
    assert np.isnan(c.project(SOME, behind, W, H)[0, :2]).all()


def test_drag_out_and_back_is_the_same_camera() -> None:
    level = c.levelled(SOME, (0, 0, 1))
    for move in (c.orbit, c.trackball, c.look, lambda s, x, y: c.pan(s, x, y, H)):
        assert move(level, 0, 0) == level  # one drag that returns: the very same numbers
        there = move(level, 53.0, -31.0)
        assert there != level
        if move is c.orbit or move is c.look:  # two drags of one axis each, back in the other order
            back = move(move(move(move(level, 53, 0), 0, 17), 0, -17), -53, 0)
        else:
            back = move(there, -53.0, 31.0)
        np.testing.assert_allclose(back.eye, level.eye, atol=1e-12)
        np.testing.assert_allclose(back.target, level.target, atol=1e-12)
        np.testing.assert_allclose(c.frame_of(back), c.frame_of(level), atol=1e-12)


def test_orbit_keeps_distance_and_level_and_stops_above() -> None:
    level = c.levelled(SOME, (0, 0, 1))
    turned = c.orbit(level, 90 / c.PER_PIXEL, 0)
    a, b = np.subtract(level.eye, level.target), np.subtract(turned.eye, turned.target)
    assert turned.distance == pytest.approx(level.distance)
    np.testing.assert_allclose(b, [a[1], -a[0], a[2]], atol=1e-12)  # a drag to the right turns the world to the right
    assert c.frame_of(turned)[0] @ (0, 0, 1) == pytest.approx(0, abs=1e-12)
    top = c.orbit(level, 0, 5000)
    np.testing.assert_allclose(c.frame_of(top)[2], [0, 0, 1], atol=1e-9)
    assert np.isfinite(c.view_matrix(c.orbit(top, 30, -10))).all()


def test_pan_moves_the_target_by_the_drag_and_zoom_keeps_the_pixel() -> None:
    moved = c.pan(SOME, 40, -25, H)
    np.testing.assert_allclose(c.project(moved, SOME.target, W, H)[0, :2], [W / 2 + 40, H / 2 - 25], atol=1e-9)
    for camera in (SOME, replace(SOME, ortho=True)):
        place = c.on_target_plane(camera, 100, 77, W, H)
        closer = c.zoomed(camera, 0.3, place)
        np.testing.assert_allclose(c.project(closer, place, W, H)[0, :2], [100, 77], atol=1e-9)
        assert closer.distance == pytest.approx(camera.distance * 0.3)
        np.testing.assert_allclose(c.zoomed(closer, 1 / 0.3, place).eye, camera.eye, atol=1e-12)


@pytest.mark.parametrize("aspect", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("ortho", [False, True])
def test_framed_shows_every_corner_and_no_more_than_it_must(aspect: float, ortho: bool) -> None:
    corners = np.array([[x, y, z] for x in (-1, 7) for y in (2, 3) for z in (-4, 0.5)], float)
    camera = c.framed(replace(SOME, ortho=ortho), corners, aspect)
    seen = c.project(camera, corners, 300 * aspect, 300)
    x, y = np.abs(seen[:, 0] / (150 * aspect) - 1).max(), np.abs(seen[:, 1] / 150 - 1).max()
    assert x < 1
    assert y < 1
    assert max(x, y) > 0.85
    np.testing.assert_allclose(c.frame_of(camera), c.frame_of(SOME), atol=1e-12)


def test_axis_views_in_both_worlds() -> None:
    for up in ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0)):
        top = c.seen_from(SOME, "top", up)
        np.testing.assert_allclose(c.frame_of(top)[2], up, atol=1e-12)
        front = c.seen_from(SOME, "front", up)
        np.testing.assert_allclose(c.frame_of(front)[1], up, atol=1e-12)
        np.testing.assert_allclose(c.frame_of(front)[0], [1, 0, 0], atol=1e-12)
        right = c.seen_from(SOME, "right", up)
        np.testing.assert_allclose(c.frame_of(right)[2], [1, 0, 0], atol=1e-12)


def test_near_and_far_enclose_the_scene() -> None:
    near, far = c.near_far(SOME, SOME.target, 1.0)
    assert near < SOME.distance - 1 < SOME.distance + 1 < far
    inside = replace(SOME, target=(0, 0, 0), eye=(0.01, 0, 0))
    near, far = c.near_far(inside, (0, 0, 0), 1.0)
    assert 0 < near < 0.001
    assert far > 0.99


def test_text_round_trip_and_what_is_refused() -> None:
    for camera in cameras():
        assert c.from_text(c.to_text(camera)) == camera
    assert c.from_text(" 1,2,3 / 0,0,0 ") == Camera((1, 2, 3), (0, 0, 0))
    for text, word in (
        ("", "eye/target/up/fov"),
        ("1,2/0,0,0/0,0,1/40", "eye '1,2'"),
        ("1,2,3/0,0,nan/0,0,1/40", "target"),
        ("1,2,3/0,0,0/0,0,1/wide", "'wide'"),
        ("1,2,3/0,0,0/0,0,1/0", "not within"),
        ("1,2,3/1,2,3/0,0,1/40", "same place"),
        ("1,2,3/0,0,0/0,0,0/40", "up has no direction"),
    ):
        with pytest.raises(ValueError, match=word):
            c.from_text(text)
