"""A photograph over the picture of a field: drawn up to the line, which hand and keys move; gone with the camera."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from engine.scene import Field, Scene
from tests.widgets.viewport.acts import drag, show
from widgets.viewport import sights
from widgets.viewport.camera import Camera
from widgets.viewport.over import colour_bar
from widgets.viewport.style import Style
from widgets.viewport.view import SceneView

CAMERA = Camera(eye=(0.0, -3.0, 0.0), target=(0.0, 0.0, 0.0), up=(0.0, 0.0, 1.0), fov=40.0)
PLAIN = Style(light="none", background="#000000", grid=False, axes=False)
WIDE, TALL = 200, 100


def field(truth: bool = True, camera: Camera = CAMERA, **given: Any) -> Field:
    """A green wall at distance 3; its photograph is red, see-through in its upper half, and shows nothing at the very
    left fifth."""
    image = np.zeros((TALL, WIDE, 3), np.float32)
    image[..., 1] = 1
    ones = np.ones((TALL, WIDE), np.float32)
    photo = np.zeros((50, 100, 4), np.uint8)
    photo[:, 20:] = (255, 0, 0, 255)
    photo[:25, 20:] = (128, 0, 0, 128)
    return Field(name="field", image=image, alpha=ones, depth=3 * ones, camera=sights.text_of(camera, WIDE, TALL),
                 truth=photo if truth else None, **given)  # fmt: skip


def scene(*things: Any, **given: Any) -> Scene:
    return Scene(things, camera_control="camera", **given)


@pytest.fixture
def looking(view: SceneView) -> SceneView:
    view.viewport.canvas.set_style(PLAIN)
    view.show_payload(scene(field()), 0)
    return view


def drawn(view: SceneView) -> np.ndarray:
    try:
        return np.asarray(view.viewport.shots.render(CAMERA, WIDE, TALL), np.int64)
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("share", [0.5, 0.7])
def test_the_photograph_is_drawn_up_to_the_line(looking: SceneView, share: float) -> None:
    looking.viewport.wipe.set_share(share)
    picture = drawn(looking)
    line = round(share * WIDE)
    np.testing.assert_allclose(
        picture[60:, 45 : line - 1, :3].reshape(-1, 3), [[255, 0, 0]] * (40 * (line - 46)), atol=1
    )
    np.testing.assert_allclose(picture[5:40, 45 : line - 1, 0], 128, atol=2)  # over black
    assert (picture[:, :35, :3] == 0).all()  # there is nothing of it, nor of what is rendered
    np.testing.assert_allclose(
        picture[:, line + 1 :, :3].reshape(-1, 3), [[0, 255, 0]] * (TALL * (WIDE - line - 1)), atol=1
    )


def test_without_a_photograph_there_is_no_line(looking: SceneView) -> None:
    assert looking.viewport.wipe.on
    assert looking.viewport.wipe.isVisible()
    looking.show_payload(scene(field(truth=False)), 0)
    assert not looking.viewport.wipe.on
    assert looking.viewport.wipe.isHidden()
    np.testing.assert_allclose(drawn(looking)[..., 1], 255, atol=1)


def test_the_hand_and_the_keys_move_the_line(looking: SceneView) -> None:
    wipe, canvas = looking.viewport.wipe, looking.viewport.canvas
    assert wipe.geometry().center().x() == pytest.approx(canvas.width() / 2, abs=1)
    start = wipe.rect().center() + QPoint(3, 40)
    eye = looking.viewport.navigator.camera
    QTest.mousePress(wipe, Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(wipe, start + QPoint(60, 5))
    QTest.mouseRelease(wipe, Qt.MouseButton.LeftButton, pos=start)
    assert wipe.share == pytest.approx(0.5 + 60 / canvas.width(), abs=2 / canvas.width())
    assert looking.viewport.navigator.camera == eye
    before = wipe.share
    QTest.keyClick(wipe, Qt.Key.Key_Left)
    assert wipe.share == pytest.approx(before - 0.02)
    for _ in range(60):
        QTest.keyClick(wipe, Qt.Key.Key_Left)
    assert wipe.share == 0
    np.testing.assert_allclose(drawn(looking)[..., 1], 255, atol=1)  # all of it is what was rendered
    looking.resize(500, 400)
    assert wipe.geometry().center().x() == pytest.approx(0, abs=1)


def test_the_line_goes_with_the_camera_and_stays_through_better_pictures(looking: SceneView) -> None:
    viewport = looking.viewport
    viewport.wipe.set_share(0.3)
    looking.show_payload(scene(field()), 1)  # the same again, finer
    assert viewport.wipe.on
    assert viewport.wipe.share == 0.3
    drag(looking, (300, 200), (340, 215))
    assert not viewport.wipe.on
    looking.show_payload(scene(field()), 2)  # an answer of before: the view is elsewhere
    assert not viewport.wipe.on
    viewport.look_through(CAMERA)
    looking.show_payload(scene(field()), 3)
    assert viewport.wipe.on
    looking.clear()
    assert not viewport.wipe.on


def test_a_saved_picture_has_the_line_and_what_lies_on_its_sides(looking: SceneView) -> None:
    drawn(looking)
    picture = looking.picture()
    middle = round(0.5 * picture.width())
    assert picture.pixelColor(middle, 30).lightness() > 240
    assert picture.pixelColor(middle - 20, picture.height() - 60).red() > 250
    assert picture.pixelColor(middle + 20, picture.height() - 60).green() > 250


def test_a_field_of_its_own_colours_has_their_legend(looking: SceneView) -> None:
    viewport = looking.viewport
    assert viewport.layers.bar() is None
    marks = ((0.0, "0"), (0.5, "0.1"), (1.0, "0.25"))
    looking.show_payload(scene(field(legend=("|difference|", marks))), 0)
    bar = viewport.layers.bar()
    assert isinstance(bar, colour_bar.Bar)
    assert (bar.title, bar.marks) == ("|difference|", marks)
    np.testing.assert_allclose(bar.table[0], (68, 1, 84), atol=3)  # viridis, as the engine paints it
    np.testing.assert_allclose(bar.table[-1], (253, 231, 37), atol=3)
    image = looking.picture()
    assert not image.isNull()


def test_numbers_of_a_bar_stand_at_their_shares() -> None:
    found = colour_bar._numbers(colour_bar.Bar("t", 2.0, 6.0, None), 160.0)
    assert [share for share, _ in found] == [0, 0.25, 0.5, 0.75, 1]
    assert [float(text) for _, text in found] == [2, 3, 4, 5, 6]


def test_an_orthographic_view_of_a_field_shows_no_photograph(looking: SceneView) -> None:
    looking.viewport.navigator.set_camera(replace(CAMERA, ortho=True))
    assert not looking.viewport.wipe.on
    show(looking)
