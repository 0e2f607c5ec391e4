"""The software pictures: coverage and depth of known triangles, shading, transparency, all kinds of things."""

from __future__ import annotations

import numpy as np
import pytest

from engine.geometry.measures import vertex_normals
from engine.geometry.shapes import shape
from engine.params import BadValue
from engine.render.raster import Camera, camera_for, picture, render
from engine.scene import Arrows, Handles, Lines, Mesh, Points, Scene, Sheet, Words

FRONT = Camera((0, 0, 2), (0, 0, 0), (0, 1, 0), 90.0)
"""Sees the square [-2, 2]^2 at z = 0."""


def triangle(corners, **more) -> Mesh:
    given = {"name": "t", "shading": "none", "colour": "#ff0000", **more}
    return Mesh(vertices=np.float32(corners), faces=np.int32([[0, 1, 2]]), **given)


def test_a_triangle_covers_exactly_the_pixels_whose_middles_it_holds() -> None:
    corners = np.array([[-1.31, -1.02, 0], [1.47, -0.63, 0], [-0.24, 1.55, 0]])
    image, depth, alpha = render([triangle(corners)], FRONT, 64, 64)
    middle = (np.arange(64) + 0.5) / 16 - 2
    x, y = np.meshgrid(middle, -middle)
    inside = np.ones((64, 64), bool)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        inside &= (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) >= 0
    assert np.array_equal(alpha == 1, inside)
    assert np.array_equal(np.isfinite(depth), inside)
    assert np.allclose(depth[inside], 2)
    assert np.allclose(image[inside], [1, 0, 0])
    assert np.allclose(image[~inside], 0)


@pytest.mark.parametrize("ortho", [False, True])
def test_depth_over_a_slanted_plane_is_that_of_the_ray(ortho: bool) -> None:
    camera = Camera((0.3, 0.2, 2), (0.1, 0.1, 0), (0, 1, 0), 60.0, ortho)
    corners = np.array([[-3, -2, -1.0], [3, -2, 1.2], [0, 3, -0.5]])
    _, depth, _ = render([triangle(corners)], camera, 40, 30)
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    right, up, back = camera.axes()
    half = np.tan(np.radians(30))
    for i, j in ((15, 20), (9, 13), (20, 30)):
        u, v = (j + 0.5 - 20) / 15 * half, (15 - i - 0.5) / 15 * half
        size = np.linalg.norm(np.subtract(camera.eye, camera.target))
        start = np.array(camera.eye) + (u * right + v * up) * size * ortho
        ray = -back if ortho else u * right + v * up - back
        t = (corners[0] - start) @ normal / (ray @ normal)
        assert depth[i, j] == pytest.approx(t, rel=1e-5)


def test_the_nearest_wins_whatever_the_order_and_shared_sides_leave_no_gap() -> None:
    near, far = ([[-9, -9, z], [9, -9, z], [0, 9, z]] for z in (0.5, -0.5))
    red, blue = triangle(near), triangle(far, name="b", colour="#0000ff")
    for things in ((red, blue), (blue, red)):
        image, depth, _ = render(things, FRONT, 8, 8)
        assert np.allclose(image, [1, 0, 0])
        assert np.allclose(depth, 1.5)
    vertices, faces = shape("blob", 60)
    _, _, alpha = render([Mesh(name="m", vertices=vertices, faces=faces)], FRONT, 90, 90)
    rows = np.flatnonzero(alpha.any(axis=1))
    filled = [alpha[r, np.flatnonzero(alpha[r])[0] : np.flatnonzero(alpha[r])[-1] + 1].all() for r in rows]
    assert np.mean(filled) == 1


def test_a_floor_that_passes_under_the_eye_is_cut_and_not_lost() -> None:
    floor = Mesh(
        name="floor", shading="none", faces=np.int32([[0, 1, 2], [0, 2, 3]]),
        vertices=np.float32([[-50, -1, 50], [50, -1, 50], [50, -1, -50], [-50, -1, -50]]),
    )  # fmt: skip
    _, depth, alpha = render([floor], FRONT, 40, 40)
    assert alpha[21:].all()
    assert not alpha[:20].any()
    assert depth[39, 20] == pytest.approx(20 / 19.5, rel=1e-5)
    assert np.isinf(render([floor], Camera((0, -3, 0), (0, -9, 0)), 8, 8)[1]).all()


def test_the_headlight_shades_by_the_angle_and_smooth_normals_make_a_ball_round() -> None:
    vertices, faces = shape("sphere", 80)
    ball = Mesh(
        name="b", vertices=vertices, faces=faces, normals=vertex_normals(vertices, faces), colour="#ffffff"
    )  # fmt: skip
    image, depth, _ = render([ball], Camera((0, 0, 20), (0, 0, 0), (0, 1, 0), 6.0), 101, 101)
    half = np.tan(np.radians(3)) * 20
    y, x = ((50 - np.indices((101, 101))[k]) / 50.5 * half for k in range(2))
    r = np.hypot(x, y) / 0.9
    seen = r < 0.8
    assert np.allclose(image[seen][:, 0], 0.2 + 0.8 * np.sqrt(1 - r[seen] ** 2), atol=0.02)
    assert depth[50, 50] == pytest.approx(19.1, abs=0.002)
    flat = Mesh(name="f", vertices=vertices, faces=faces, shading="flat", colour="#ffffff")
    assert len(np.unique(render([flat], FRONT, 60, 60)[0].round(5))) < 400


def test_half_transparent_things_let_the_ground_and_others_through() -> None:
    near, far = ([[-9, -9, z], [9, -9, z], [0, 9, z]] for z in (0.5, -0.5))
    veil = triangle(near, opacity=0.25)
    solid = triangle(far, name="b", colour="#0000ff")
    image, depth, alpha = render([veil, solid], FRONT, 6, 6)
    assert np.allclose(image, [0.25, 0, 0.75])
    assert np.allclose(depth, 2.5)
    assert np.allclose(alpha, 1)
    image, _, alpha = render([veil], FRONT, 6, 6, background=(1, 1, 1))
    assert np.allclose(image, [1, 0.75, 0.75])
    assert np.allclose(alpha, 0.25)
    behind = triangle(far, name="v", opacity=0.5, colour="#00ff00")
    assert np.allclose(render([behind, triangle(near)], FRONT, 6, 6)[0], [1, 0, 0])
    assert np.allclose(render([veil, behind], FRONT, 6, 6)[0], [0.25, 0.375, 0])


def test_points_are_discs_of_their_size() -> None:
    for size, area in ((1.0, 1), (12.0, np.pi * 36), (30.0, np.pi * 225)):
        dot = Points(name="p", xyz=np.float32([[0.02, 0.01, 0]]), size=size, colour="#ffffff")
        _, _, alpha = render([dot], FRONT, 100, 100)
        assert alpha.sum() == pytest.approx(area, rel=0.06, abs=0.1)
    world = Points(name="p", xyz=np.float32([[0, 0, 0], [0, 0, 1]]), size=0.5, world_size=True, colour="#ffffff")
    _, depth, _ = render([world], FRONT, 200, 200)
    assert (depth == 1).sum() == pytest.approx(np.pi * 25**2, rel=0.03)
    many = Points(
        name="p",
        xyz=np.float32([[0, 0, -1], [0, 0, 1], [np.nan, 0, 0]]),
        rgb=np.uint8([[255, 0, 0], [0, 255, 0], [0, 0, 0]]),
    )
    assert np.allclose(render([many], FRONT, 9, 9)[0][4, 4], [0, 1, 0])


def test_lines_have_their_width_and_are_cut_behind_the_eye() -> None:
    line = Lines(name="l", ends=np.float32([[[-9, 0, 0], [9, 0, 0]]]), width=4.0, colour="#ffffff")
    _, _, alpha = render([line], FRONT, 60, 60)
    assert alpha.sum() == pytest.approx(240, rel=0.05)
    towards = Lines(name="l", ends=np.float32([[[0, -1, -5], [0, -1, 30]]]), width=1.0, colour="#ffffff")
    _, depth, alpha = render([towards], FRONT, 60, 60)
    assert alpha[45:, 29:31].any(axis=1).all()
    assert depth[59, 29:31].min() == pytest.approx(1.0, rel=0.05)


def test_a_sheet_shows_its_picture_the_right_way_up() -> None:
    image = np.zeros((2, 2, 4), np.uint8)
    image[..., 3] = 255
    image[0, 0] = (255, 0, 0, 255)  # upper left
    image[1, 1] = (0, 255, 0, 128)  # lower right
    sheet = Sheet(name="s", corner=(-2, -2, 0), u=(4, 0, 0), v=(0, 4, 0), image=image, smooth=False)
    found, _, alpha = render([sheet], FRONT, 20, 20)
    assert np.allclose(found[2, 2], [1, 0, 0])
    assert np.allclose(found[17, 17], [0, 128 / 255, 0], atol=1e-3)
    assert alpha[17, 17] == pytest.approx(128 / 255, abs=1e-3)
    assert np.allclose(found[2, 17], 0)


def test_a_texture_is_laid_from_the_lower_left() -> None:
    texture = np.zeros((4, 4, 3), np.uint8)
    texture[:2, :2] = (255, 0, 0)  # upper left quarter
    quad = Mesh(
        name="q", shading="none", vertices=np.float32([[-2, -2, 0], [2, -2, 0], [2, 2, 0], [-2, 2, 0]]),
        faces=np.int32([[0, 1, 2], [0, 2, 3]]), uv=np.float32([[0, 0], [1, 0], [1, 1], [0, 1]]), texture=texture,
    )  # fmt: skip
    found = render([quad], FRONT, 40, 40)[0]
    assert np.allclose(found[10, 10], [1, 0, 0])
    assert np.allclose(found[30, 10], 0)
    assert np.allclose(found[10, 30], 0)


def test_transforms_origins_and_hidden_things() -> None:
    matrix = np.eye(4)
    matrix[0, 3] = 1.0
    dot = Points(name="p", xyz=np.float32([[0, 0, 0]]), transform=matrix, origin=(0, 0.5, 0), size=1.0)
    _, _, alpha = render([dot], FRONT, 40, 40)
    assert np.argwhere(alpha).tolist() == [[15, 30]] or np.argwhere(alpha).tolist() == [[14, 30]]
    hidden = Points(name="p", xyz=np.float32([[0, 0, 0]]), visible=False)
    assert not render([hidden], FRONT, 9, 9)[2].any()


def test_whole_scenes_fill_their_picture() -> None:
    vertices, faces = shape("creature", 32)
    things = (
        Mesh(
            name="m", vertices=vertices, faces=faces, wireframe=True,
            scalars={"x": vertices[:, 0]}, colour_by="scalar:x",
        ),
        Arrows(name="a", at=vertices[::40], vectors=vertices[::40] * 0.3),
        Handles(name="h", at=vertices[::60], control="c", links=np.int32([[0, 1]])),
        Words(name="w", at=np.float32([[0, 0, 0]]), texts=("a",)),
    )  # fmt: skip
    for up in ("z", "y"):
        scene = Scene(things=things, up=up)
        image = picture(scene, 160, 120, background=(1, 1, 1))
        assert image.shape == (120, 160, 3)
        touched = (image < 250).any(axis=2)
        rows, columns = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
        assert not touched[[0, -1]].any()
        assert not touched[:, [0, -1]].any()
        assert np.ptp(rows) > 75 or np.ptp(columns) > 100
    clear = picture(Scene(things=things), 64, 64, background=None)
    assert clear.shape == (64, 64, 4)
    assert set(np.unique(clear[[0, -1]])) == {0}
    far = camera_for(Scene(things=(), home=((1, 2, 3), (0, 0, 0))))
    assert far.eye == (1, 2, 3)
    assert not picture(Scene(things=()), 8, 8, background=(0, 0, 0)).any()


def test_bad_sizes_and_cameras_are_named() -> None:
    with pytest.raises(BadValue, match="pixels"):
        render([], FRONT, 0, 10)
    with pytest.raises(BadValue, match="pixels"):
        render([], FRONT, 100_000, 100_000)
    with pytest.raises(BadValue, match="camera"):
        render([], Camera((0, 0, 0), (0, 0, 0)), 8, 8)
    assert render([], ((0, 0, 1), (0, 0, 0), (0, 0, 1), 50.0), 8, 4)[0].shape == (4, 8, 3)


def test_heights_are_measured_along_the_camera_s_up_and_normals_turn_with_their_thing() -> None:
    corners = np.float32([[-9, -9, 0], [9, -9, 0], [0, 9, 0]])
    tall = Mesh(name="m", vertices=corners, faces=np.int32([[0, 1, 2]]), colour_by="height", shading="none")
    image = render([tall], FRONT, 20, 20)[0]
    assert np.ptp(image[:, 10], axis=0).max() > 0.1
    assert np.ptp(image[10], axis=0).max() < 1e-6
    turn = np.eye(4)
    turn[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    normals = np.float32([[1, 0, 0]] * 3)
    turned = Mesh(
        name="n", vertices=corners, faces=np.int32([[0, 1, 2]]), normals=normals, colour_by="normal", transform=turn
    )
    assert np.allclose(render([turned], FRONT, 8, 8)[0][4, 4], [0.5, 1, 0.5], atol=1e-6)
