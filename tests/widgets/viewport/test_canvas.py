"""What the canvas draws, by its pixels: known shapes at predicted places, depth, clipping, masks, sizes, modes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication

from engine.scene import Arrows, Handles, Lines, Mesh, Points, Sheet, Thing, Words
from widgets.viewport.canvas import Canvas, Style

PLAIN = Style(light="none", background="#000000", grid=False, axes=False)
SIDE = 100
X, Y = np.eye(3, dtype=np.float32)[:2]
RED, GREEN, BLUE = "#ff0000", "#00ff00", "#0000ff"


def ortho(half: float = 1.0, near: float = 0.0, far: float = 10.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Looks down the z axis from z = 5: the square -half..half fills the picture, x to the right, y up."""
    view, projection = np.eye(4), np.diag([1 / half, 1 / half, -2 / (far - near), 1.0])
    view[2, 3] = -5.0
    projection[2, 3] = -(far + near) / (far - near)
    return view, projection


def perspective(distance: float, fov: float = 90.0, near: float = 0.1, far: float = 100.0) -> Any:
    """Looks down the z axis at the origin from ``distance``."""
    view, projection = np.eye(4), np.zeros((4, 4))
    view[2, 3] = -distance
    projection[0, 0] = projection[1, 1] = 1 / math.tan(math.radians(fov) / 2)
    projection[2, 2], projection[2, 3] = -(far + near) / (far - near), -2 * far * near / (far - near)
    projection[3, 2] = -1
    return view, projection


@pytest.fixture(scope="module")
def shown(qapp: QApplication) -> Iterator[Canvas]:
    canvas = Canvas()
    canvas.resize(SIDE, SIDE)
    canvas.show()
    QCoreApplication.processEvents()
    if canvas.failed:
        pytest.skip(canvas.failed)
    yield canvas
    canvas.close()
    canvas.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def canvas(shown: Canvas) -> Canvas:
    shown.set_things([])
    shown._changes.clear()
    shown.set_clip([])
    shown.set_style(PLAIN)
    shown.interacting(False)
    shown.set_camera(*ortho())
    return shown


def complete(canvas: Canvas, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not canvas.complete:
        assert time.monotonic() < end
        QCoreApplication.processEvents()


def picture(canvas: Canvas, *things: Thing, **options: Any) -> NDArray[np.int64]:
    canvas.set_things(things)
    return canvas.render_image(SIDE, SIDE, **options).astype(np.int64)


def square(
    name: str,
    z: float = 0.0,
    half: float = 0.5,
    colour: str = RED,
    centre: tuple[float, float] = (0.0, 0.0),
    **more: Any,
) -> Mesh:
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32) * np.float32(half)
    corners += np.array([*centre, z], np.float32)
    return Mesh(name=name, vertices=corners, faces=np.array([[0, 1, 2], [0, 2, 3]], np.int32), colour=colour, **more)


def is_red(image: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (image[..., 0] > 200) & (image[..., 1] < 50) & (image[..., 2] < 50)


# ---- where things are drawn -----------------------------------------------------------------------------------------


def test_a_triangle_covers_exactly_the_pixels_whose_middle_it_covers(canvas: Canvas) -> None:
    corners = np.array([[-0.71, -0.63, 0], [0.83, -0.27, 0], [-0.13, 0.77, 0]], np.float32)
    image = picture(canvas, Mesh(name="t", vertices=corners, faces=np.array([[0, 1, 2]], np.int32), colour=RED))
    middles = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    x, y = np.meshgrid(middles, -middles)
    inside = np.ones((SIDE, SIDE), bool)
    for k in range(3):
        a, b = corners[k, :2].astype(np.float64), corners[(k + 1) % 3, :2].astype(np.float64)
        inside &= (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) > 0
    assert 1000 < inside.sum() < 3000
    assert np.array_equal(is_red(image), inside)
    assert (image[~inside] == [0, 0, 0, 255]).all()


def test_the_nearer_thing_hides_the_farther_whatever_the_order(canvas: Canvas) -> None:
    near, far = square("near", 0.5, 0.3, RED), square("far", -0.5, 0.6, GREEN)
    for things in ((near, far), (far, near)):
        image = picture(canvas, *things)
        assert is_red(image).sum() == 30 * 30
        assert (image[..., 1] > 200).sum() == 60 * 60 - 30 * 30


def test_transform_and_origin_place_a_thing_in_double_precision(canvas: Canvas) -> None:
    far_away = 5_000_000.0
    view, projection = ortho()
    view[0, 3] = -far_away
    canvas.set_camera(view, projection)
    moved = np.diag([2.0, 1.0, 1.0, 1.0])
    moved[0, 3] = -far_away
    thing = square("s", half=0.25, origin=(far_away, 0.0, 0.0), transform=moved)
    image = picture(canvas, thing)
    assert is_red(image).sum() == 50 * 25
    assert is_red(image)[:, 25:75].sum() == 50 * 25


def test_the_outlines_changes_are_kept_over_new_things_of_the_same_name(canvas: Canvas) -> None:
    moved = np.eye(4)
    moved[1, 3] = 0.5
    canvas.set_transform("s", moved)
    canvas.set_colour("s", GREEN)
    image = picture(canvas, square("s", half=0.25))
    assert (image[12:38, 37:63, 1] > 200).sum() == 25 * 25
    again = picture(canvas, square("s", half=0.25, colour=BLUE))
    assert np.array_equal(image, again)
    canvas.set_hidden("s", True)
    assert picture(canvas, square("s")).sum() == SIDE * SIDE * 255
    canvas.set_hidden("s", False)
    assert (picture(canvas, square("s", visible=False))[..., 1] > 200).any()


@pytest.mark.parametrize("style", [PLAIN, Style(light="head", background="#000000", grid=False, axes=False)])
def test_a_clip_plane_halves_the_pixels_of_every_kind(canvas: Canvas, style: Style) -> None:
    canvas.set_style(style)
    grid = (np.stack(np.meshgrid(np.arange(20), np.arange(20)), -1).reshape(-1, 2) - 9.5) / 20
    xyz = np.concatenate([grid, np.zeros((400, 1))], 1).astype(np.float32)
    image = np.full((4, 4, 3), 255, np.uint8)
    kinds: list[Thing] = [
        square("mesh", half=0.5),
        Points(name="p", xyz=xyz, size=3, colour=RED),
        Lines(name="l", ends=np.array([[[-0.5, 0.005, 0], [0.5, 0.005, 0]]], np.float32), width=4, colour=RED),
        Sheet(name="sh", corner=np.float32([-0.5, -0.5, 0]), u=X, v=Y, image=image),
    ]  # fmt: skip
    for thing in kinds:
        canvas.set_clip([])
        whole = picture(canvas, thing)[..., 0] > 100
        canvas.set_clip([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
        half = picture(canvas, thing)[..., 0] > 100
        assert whole[:, :50].sum() == pytest.approx(whole.sum() / 2, abs=4), thing.name
        assert half[:, :49].sum() == 0, thing.name
        assert np.array_equal(half[:, 52:], whole[:, 52:]), thing.name
    with pytest.raises(ValueError, match="at most 7"):
        canvas.set_clip(np.ones((8, 4)))


# ---- what is left out, what is marked -------------------------------------------------------------------------------


def test_a_mask_takes_points_and_faces_away_and_gives_them_back(canvas: Canvas) -> None:
    xyz = np.array([[-0.5, 0, 0], [0, 0, 0], [0.5, 0, 0]], np.float32)
    cloud = Points(name="p", xyz=xyz, size=4, colour=RED)
    assert is_red(picture(canvas, cloud)).sum() == pytest.approx(3 * 14, abs=8)
    canvas.set_mask("p", np.array([True, False, True]))
    image = is_red(picture(canvas, cloud))
    assert not image[:, 40:60].any()
    assert image[:, 20:30].any()
    assert image[:, 70:80].any()
    canvas.set_mask("p", None)
    assert is_red(picture(canvas, cloud))[:, 40:60].any()
    canvas.set_mask("s", np.array([False, True]))
    assert is_red(picture(canvas, square("s"))).sum() == pytest.approx(1250, abs=50)


def test_what_is_marked_looks_selected_and_only_that(canvas: Canvas) -> None:
    canvas.set_marked("s", np.array([True, False]))
    image = picture(canvas, square("s", colour=BLUE))
    marked = image[..., 0] > 100
    assert marked.sum() == pytest.approx(1250, abs=50)
    assert (image[..., 2] > 200).sum() == pytest.approx(1250, abs=50)


def test_masks_of_many_faces_are_right_beyond_a_row_of_the_texture(canvas: Canvas) -> None:
    n = 5000
    base = np.array([[-0.9, -0.9, 0], [0.9, -0.9, 0], [0.9, 0.9, 0]], np.float32)
    vertices = np.concatenate([base, base * np.float32(0.5)])
    faces = np.tile(np.array([[0, 1, 2]], np.int32), (n, 1))
    faces[4500] = [3, 4, 5]
    keep = np.zeros(n, bool)
    keep[4500] = True
    canvas.set_mask("m", keep)
    image = is_red(picture(canvas, Mesh(name="m", vertices=vertices, faces=faces, colour=RED)))
    assert image.sum() == pytest.approx(45 * 45 / 2, abs=50)


# ---- sizes and colours ----------------------------------------------------------------------------------------------


def test_points_in_world_units_shrink_with_the_distance_and_those_in_pixels_do_not(canvas: Canvas) -> None:
    one = np.zeros((1, 3), np.float32)
    canvas.set_style(Style(light="none", background="#000000", grid=False, axes=False, round_points=False))
    for world, sizes in ((True, (25, 12.5, 5)), (False, (12, 12, 12))):
        found = []
        for distance in (2.0, 4.0, 10.0):
            canvas.set_camera(*perspective(distance))
            image = picture(
                canvas, Points(name="p", xyz=one, size=1.0 if world else 12.0, world_size=world, colour=RED)
            )
            found.append(math.sqrt(is_red(image).sum()))
        assert found == pytest.approx(sizes, abs=0.6)


def test_pixels_scale_in_pictures_of_higher_resolution(canvas: Canvas) -> None:
    cloud = Points(name="p", xyz=np.zeros((1, 3), np.float32), size=8, colour=RED)
    small, large = is_red(picture(canvas, cloud)).sum(), is_red(picture(canvas, cloud, scale=3.0)).sum()
    assert small == pytest.approx(math.pi * 16, abs=6)
    assert large == pytest.approx(9 * math.pi * 16, rel=0.05)


def test_colours_of_points_by_rgb_label_scalar_height_and_normal(canvas: Canvas) -> None:
    xyz = np.array([[-0.5, 0.4, 0], [0, 0, 0.2], [0.5, -0.4, 0.1]], np.float32)
    cloud = Points(
        name="p", xyz=xyz, size=5, rgb=np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8),
        labels=np.array([0, 10, -1], np.int32), scalars={"t": np.array([0.0, np.nan, 2.0], np.float32)},
        normals=np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32),
    )  # fmt: skip
    at = [(30, 25), (50, 50), (70, 75)]

    def colours() -> NDArray[np.int64]:
        image = picture(canvas, cloud)
        return np.array([image[y, x, :3] for y, x in at])

    assert colours().tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    canvas.set_colour_by("p", "label")
    first, tenth, none = colours()
    assert first.tolist() == tenth.tolist() == [0x4E, 0x9F, 0xE5]
    assert none.tolist() == [110, 110, 110]
    canvas.set_colour_by("p", "scalar:t")
    low, unknown, high = colours()
    assert low == pytest.approx([0x44, 0x01, 0x54], abs=4)
    assert high == pytest.approx([0xFD, 0xE7, 0x25], abs=4)
    assert unknown == pytest.approx([110, 110, 110], abs=1)
    assert canvas.range_of("p") == ("scalar:t", 0.0, 2.0)
    canvas.set_range("p", (2.0, 4.0))
    assert colours()[2] == pytest.approx([0x44, 0x01, 0x54], abs=4)
    canvas.set_colour_by("p", "height")
    assert colours()[0] == pytest.approx([0x44, 0x01, 0x54], abs=4)
    assert colours()[1] == pytest.approx([0xFD, 0xE7, 0x25], abs=4)
    assert canvas.range_of("p") == ("height", pytest.approx(0.0), pytest.approx(0.2))
    canvas.set_colour_by("p", "normal")
    assert colours() == pytest.approx(np.array([[255, 128, 128], [128, 128, 255], [128, 0, 128]]), abs=2)
    assert canvas.range_of("p") is None


def test_a_scalar_that_has_a_sign_is_centred_on_zero(canvas: Canvas) -> None:
    cloud = Points(
        name="p", xyz=np.array([[0, 0, 0], [0.5, 0, 0]], np.float32), size=5,
        scalars={"signed distance": np.array([0.0, 3.0], np.float32)},
    )  # fmt: skip
    image = picture(canvas, cloud)
    assert image[50, 50, :3] == pytest.approx([0xDD, 0xDC, 0xDC], abs=4)
    assert canvas.range_of("p") == ("scalar:signed distance", -3.0, 3.0)


def test_a_mesh_takes_its_texture_from_the_lower_left(canvas: Canvas) -> None:
    texture = np.zeros((2, 2, 3), np.uint8)
    texture[0, 0] = 255, 0, 0
    texture[1, 1] = 0, 0, 255
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    image = picture(canvas, square("s", half=1.0, uv=uv, texture=texture))
    assert image[25, 25, 0] > 200
    assert image[75, 75, 2] > 200
    assert image[75, 25, :3].max() < 50


def test_a_sheet_shows_its_picture_upright_with_its_alpha(canvas: Canvas) -> None:
    image = np.zeros((2, 2, 4), np.uint8)
    image[0, 0] = 255, 0, 0, 255
    image[1, 1] = 0, 0, 255, 128
    sheet = Sheet(
        name="s", corner=np.float32([-1, -1, 0]), u=2 * X, v=2 * Y, image=image, smooth=False
    )  # fmt: skip
    found = picture(canvas, sheet)
    assert found[25, 25].tolist() == [255, 0, 0, 255]
    assert found[75, 75, :3] == pytest.approx([0, 0, 128], abs=2)
    assert found[25, 75, :3].tolist() == [0, 0, 0]


# ---- shading and modes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shading", ["smooth", "flat"])
def test_the_normal_mode_encodes_the_worlds_normal(canvas: Canvas, shading: str) -> None:
    canvas.set_style(Style(mode="normal", background="#000000"))
    tilt = math.radians(35)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[math.cos(tilt), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]]
    stretch = np.diag([1.0, 1.0, 3.0, 1.0])  # normals go by the inverse transpose
    found = picture(canvas, square("s", transform=stretch @ turn, shading=shading))[50, 50, :3]
    normal = np.array([0, -math.sin(tilt), math.cos(tilt) / 3])
    assert found == pytest.approx((normal / np.linalg.norm(normal) * 0.5 + 0.5) * 255, abs=1.5)


def test_the_depth_mode_is_light_near_and_dark_far(canvas: Canvas) -> None:
    canvas.set_style(Style(mode="depth"))
    near, middle, far = (square(str(z), z, 0.2, centre=(z / 2, 0.0)) for z in (1.0, 0.0, -1.0))
    image = picture(canvas, near, middle, far)
    assert [int(image[50, x, 0]) for x in (75, 50, 25)] == pytest.approx([255, 127.5, 0], abs=1.5)


def test_the_headlight_shades_by_the_angle_and_back_faces_can_be_hidden_or_tinted(canvas: Canvas) -> None:
    style = Style(light="head", background="#000000", grid=False, axes=False)
    canvas.set_style(style)
    grey = "#808080"
    assert picture(canvas, square("s", colour=grey))[50, 50, 0] == pytest.approx(128, abs=1)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[0.5, -math.sqrt(0.75)], [math.sqrt(0.75), 0.5]]
    tilted = square("s", colour=grey, transform=turn)
    assert picture(canvas, tilted)[50, 50, 0] == pytest.approx(128 * (0.2 + 0.8 * 0.5), abs=1)
    behind = square("s", colour=grey, transform=np.diag([-1.0, 1.0, -1.0, 1.0]))
    assert picture(canvas, behind)[50, 50, 0] == pytest.approx(128, abs=1)
    canvas.set_style(Style(light="head", background="#000000", grid=False, axes=False, backface="cull"))
    assert picture(canvas, behind)[50, 50, 0] == 0
    mirrored = square("s", colour=grey, transform=np.diag([-1.0, 1.0, 1.0, 1.0]))
    assert picture(canvas, mirrored)[50, 50, 0] == pytest.approx(128, abs=1)  # a mirror image keeps its outside
    canvas.set_style(Style(light="head", background="#000000", grid=False, axes=False, backface="tint"))
    red, green, _, _ = picture(canvas, behind)[50, 50]
    assert red > green + 40


def test_smooth_normals_are_worked_out_for_a_mesh_without(canvas: Canvas) -> None:
    """A pyramid's tip looks straight up when it is smooth; next to it its faces do not when it is flat."""
    canvas.set_style(Style(mode="normal", background="#000000"))
    vertices = np.array([[-1, -1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1], [0, 0, 0]], np.float32)
    faces = np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]], np.int32)
    smooth = picture(canvas, Mesh(name="m", vertices=vertices, faces=faces))
    assert smooth[49, 50, :3] == pytest.approx([128, 128, 255], abs=6)
    flat = picture(canvas, Mesh(name="m", vertices=vertices, faces=faces, shading="flat"))
    assert flat[30, 50, :3] == pytest.approx((np.array([0, math.sqrt(0.5), math.sqrt(0.5)]) / 2 + 0.5) * 255, abs=2)


def test_the_wireframe_darkens_the_edges_only(canvas: Canvas) -> None:
    plain, wired = (
        picture(canvas, square("s", colour="#ffffff")),
        picture(canvas, square("s", colour="#ffffff", wireframe=True)),
    )
    changed = (plain != wired).any(-1)
    assert 40 <= changed[26:74, 26:74].sum() <= 150  # the diagonal
    assert not changed[:23].any()


def test_eye_dome_lighting_darkens_behind_a_step_in_depth(canvas: Canvas) -> None:
    canvas.set_camera(*perspective(3.0, 40.0))
    near, far = square("near", 0.5, 0.3, "#ffffff"), square("far", -0.5, 0.9, "#ffffff")
    before = picture(canvas, near, far)
    canvas.set_style(Style(light="none", background="#000000", grid=False, axes=False, edl=True))
    after = picture(canvas, near, far)
    edge = np.flatnonzero(before[50, :, 0] - after[50, :, 0] > 100)
    assert 2 <= len(edge) <= 8  # each side of the near square, and the ground round the far one
    assert (after[50, 48:52, 0] > 240).all()


# ---- pictures and what they say of the scene ------------------------------------------------------------------------


def test_a_transparent_picture_has_straight_alpha(canvas: Canvas) -> None:
    canvas.set_style(Style(light="none"))
    canvas.set_opacity("s", 0.5)
    image = picture(canvas, square("s"), transparent=True)
    assert image[2, 2].tolist() == [0, 0, 0, 0]
    assert image[45, 55] == pytest.approx([255, 0, 0, 128], abs=2)


def test_see_through_things_are_mixed_from_far_to_near(canvas: Canvas) -> None:
    near, far = square("near", 0.5, colour=RED, opacity=0.5), square("far", -0.5, colour=GREEN, opacity=0.5)
    for things in ((near, far), (far, near)):
        assert picture(canvas, *things)[45, 55, :3] == pytest.approx([128, 64, 0], abs=2)


def test_a_picture_of_tiles_is_the_picture_in_one(canvas: Canvas, monkeypatch: pytest.MonkeyPatch) -> None:
    canvas.set_camera(*perspective(3.0, 40.0))
    rng = np.random.default_rng(0)
    cloud = Points(name="p", xyz=rng.uniform(-1, 1, (300, 3)).astype(np.float32), size=9, colour=GREEN)
    things = (square("s"), cloud, Words(name="w", at=np.zeros((1, 3), np.float32), texts=("tiles",)))
    canvas.set_style(Style(light="none", grid=False, axes=True))
    canvas.set_things(things)
    whole = canvas.render_image(400, 300).astype(np.int64)
    monkeypatch.setattr("widgets.viewport.drawing.tiles.TILE", 228)
    parts = canvas.render_image(400, 300).astype(np.int64)
    assert np.abs(whole - parts).max() > -1
    assert (np.abs(whole - parts).max(-1) > 8).mean() < 0.002


def test_depth_and_place_under_a_pixel(canvas: Canvas) -> None:
    canvas.set_camera(*perspective(4.0, 60.0))
    canvas.set_things([square("s", 1.0, 0.5)])
    complete(canvas)
    assert canvas.read_depth(50, 50) == pytest.approx(3.0, abs=1e-3)
    assert canvas.place_under(60, 45) == pytest.approx(
        [10.5 / 50 * 3 * math.tan(math.radians(30)), 4.5 / 50 * 3 * math.tan(math.radians(30)), 1.0], abs=1e-3
    )
    assert canvas.read_depth(3, 3) is None
    canvas.set_camera(*ortho())
    complete(canvas)
    assert canvas.read_depth(50, 50) == pytest.approx(4.0, abs=1e-3)


def test_bounds_are_those_of_what_is_visible(canvas: Canvas) -> None:
    canvas.set_things([square("a", 1.0, 0.5), square("b", 0.0, 3.0, origin=(1.0, 0.0, 0.0))])
    complete(canvas)
    found = canvas.bounds()
    assert found is not None
    assert found[0] == pytest.approx([-2, -3, 0])
    assert found[1] == pytest.approx([4, 3, 1])
    canvas.set_hidden("b", True)
    found = canvas.bounds()
    assert found is not None
    assert found[1] == pytest.approx([0.5, 0.5, 1])


# ---- thin things ----------------------------------------------------------------------------------------------------


def test_lines_have_the_width_asked_for_and_stop_behind_the_eye(canvas: Canvas) -> None:
    ends = np.array([[[-2, 0, 0], [2, 0, 0]]], np.float32)
    image = picture(canvas, Lines(name="l", ends=ends, width=6, colour=RED))
    assert image[:, 50, 0].sum() / 255 == pytest.approx(6, abs=0.1)
    canvas.set_camera(*perspective(2.0))
    through = np.array([[[0.0, -0.5, -5.0], [0.0, -0.5, 50.0]]], np.float32)
    image = picture(canvas, Lines(name="l", ends=through, width=2, colour=RED))
    column = image[:, 50, 0] > 100
    assert column[60:].all()
    assert not column[:50].any()


def test_arrows_end_in_a_head_and_handles_in_discs(canvas: Canvas) -> None:
    at, way = np.array([[-0.8, 0, 0]], np.float32), np.array([[1.6, 0, 0]], np.float32)
    image = picture(canvas, Arrows(name="a", at=at, vectors=way, width=2, colour=RED))
    across = (image[..., 0] > 128).sum(0)
    assert across[:9].sum() == 0
    assert (across[12:75] == 2).all()
    assert 8 <= across[80:90].max() <= 11
    assert across[91:].sum() == 0
    handles = Handles(name="h", at=np.array([[0, 0, -4.0]], np.float32), control="c", colour=RED)
    image = picture(canvas, square("s", colour=GREEN), handles)
    assert image[50, 50, 0] > 200  # over what stands before it
    assert (image[..., 1] < 200)[40:60, 40:60].sum() == pytest.approx(math.pi * 5.5**2, abs=15)
    canvas.set_hover("h", 0)
    image = picture(canvas, square("s", colour=GREEN), handles)
    assert image[50, 50, :3].min() > 200


def test_words_stand_at_their_place_in_the_themes_colour(canvas: Canvas) -> None:
    words = Words(name="w", at=np.array([[0.5, 0.5, 0]], np.float32), texts=("MMMM",))
    lit = picture(canvas, words)[..., :3].max(-1) > 128
    rows, columns = np.nonzero(lit)
    assert 20 < lit.sum() < 600
    assert rows.mean() == pytest.approx(25, abs=3)
    assert columns.mean() == pytest.approx(75, abs=3)
