"""Lines and opinions in planes: drawn where they are, in colours with a fixed middle, on the screen and in files."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPointF
from pytestqt.qtbot import QtBot

from engine.formats import planes_picture
from engine.formats.planes_picture import draw_planes, heat_pixels
from engine.payloads import Plane, Planes
from widgets.views.images import from_qimage
from widgets.views.planes import parts as planes_parts
from widgets.views.planes.parts import EVEN_LEVELS, OPINION, contour_lines, heat_image, prepare
from widgets.views.planes.view import PlanesView

SQUARE = (-2.0, 2.0, -2.0, 2.0)


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def test_an_opinion_has_its_ends_and_its_middle_whatever_the_maximum_is() -> None:
    heat = np.array([[0.0, 0.5], [1.0, 0.5]], np.float32)
    for pixels in (heat_pixels(heat, (0.0, 1.0)), np.round(from_qimage(heat_image(heat, (0.0, 1.0)))[0] * 255)):
        assert np.abs(pixels[1, 0] - np.array(rgb(OPINION[0]))).max() <= 2  # row 0 lies at the bottom
        assert np.abs(pixels[0, 0] - np.array(rgb(OPINION[-1]))).max() <= 2
        assert np.abs(pixels[0, 1] - np.array(rgb(OPINION[2]))).max() <= 2
    even = np.full((3, 3), 0.5, np.float32)
    assert np.abs(heat_pixels(even, (0.0, 1.0)) - np.array(rgb(OPINION[2]))).max() <= 2
    assert (planes_picture.OPINION, planes_picture.EVEN_LEVELS) == (OPINION, EVEN_LEVELS)


def test_contours_of_an_opinion_lie_between_its_ends_not_at_shares_of_its_maximum() -> None:
    ramp = np.tile((np.arange(40) + 0.5) / 40 * 0.4, (40, 1))  # from 0 to 0.4: only 0.1 and 0.3 of EVEN_LEVELS
    places = np.unique(contour_lines(ramp, ends=(0.0, 1.0))[:, 0].round(2))
    assert places == pytest.approx([0.25, 0.75], abs=0.01)
    assert len(np.unique(contour_lines(ramp)[:, 0].round(2))) == 4
    dark = draw_planes([Plane(SQUARE, contours=ramp, heat_ends=(0.0, 1.0))], side=200).convert("L")
    found = np.flatnonzero(np.asarray(dark)[100] < 200)
    assert len(found)
    assert np.minimum(np.abs(found - 50), np.abs(found - 150)).max() <= 2
    assert {int(x > 100) for x in found} == {0, 1}


def test_lines_are_drawn_where_they_are_in_files() -> None:
    lines = np.array([[[-1.0, -1.0], [1.0, -1.0]], [[-1.0, 1.0], [np.nan, 1.0]]])
    picture = np.asarray(draw_planes([Plane(SQUARE, lines=lines)], side=200).convert("L"))
    row = np.flatnonzero(picture.min(1) < 250)
    assert np.abs(row - 150).max() <= 1
    column = np.flatnonzero(picture[150] < 250)
    assert (column.min(), column.max()) == pytest.approx((50, 150), abs=2)


def test_lines_are_drawn_where_they_are_on_the_screen(qtbot: QtBot) -> None:
    view = PlanesView()
    qtbot.addWidget(view)
    view.resize(400, 400)
    with qtbot.waitExposed(view):
        view.show()
    view.show_payload(Planes((Plane(SQUARE, lines=np.array([[[-1.0, 0.5], [0.0, 0.5], [1.0, 0.5]]])),)), 1)
    canvas = view.canvas
    image = canvas.picture()

    def blue(x: float, y: float) -> int:
        px, py = canvas.frames()[0].to_pixels(np.array([[x, y]]))[0]
        at = (QPointF(px, py) * image.devicePixelRatio()).toPoint()
        return max(image.pixelColor(at.x(), at.y() + d).blue() for d in (-1, 0, 1))

    assert blue(-0.5, 0.5) > 150
    assert blue(0.5, 0.5) > 150
    assert blue(0.5, -0.5) < 80
    assert blue(1.5, 0.5) < 80


@pytest.mark.parametrize("ends", [(1.0, 0.0), (0.0, float("nan"))])
def test_ends_and_lines_that_do_not_fit_are_named(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="low < high"):
        prepare(Plane(SQUARE, heat=np.eye(3), heat_ends=ends))
    with pytest.raises(ValueError, match="lines must be"):
        prepare(Plane(SQUARE, lines=np.zeros((3, 2))))


def test_one_array_shown_as_density_and_as_opinion_is_drawn_as_both() -> None:
    heat = np.full((4, 4), 0.5, np.float32)
    density, opinion = (planes_parts.prepare(Plane(SQUARE, heat=heat, heat_ends=e)).heat for e in (None, (0.0, 1.0)))
    assert density is not None
    assert opinion is not None
    assert density.pixelColor(0, 0) != opinion.pixelColor(0, 0)
