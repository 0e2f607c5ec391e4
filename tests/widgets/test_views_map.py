"""The latent map: plane and code agree under the mouse, snapping, paths, marker, what stays with new weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication

from engine.payloads import LatentMap
from widgets.views.mapping.latent_map import LatentMapView
from widgets.views.mapping.map_parts import along
from widgets.views.mapping.map_plot import tile_sheet

RNG = np.random.default_rng(3)
D = 5
BASIS = np.linalg.qr(RNG.normal(size=(D, 2)))[0].T.astype(np.float32)
ORIGIN = RNG.normal(size=D).astype(np.float32)
POINTS = np.array([[-1.0, -1.0], [1.0, 1.0], [1.0, -1.0]], np.float32)


def payload(**changes: Any) -> LatentMap:
    codes = ORIGIN + POINTS @ BASIS + 0.25  # their own codes are not in the plane
    tiles = RNG.random((4, 4, 6, 6, 1), np.float32)
    plain = LatentMap(
        points=POINTS.copy(),
        labels=np.array([0, 1, 1]),
        label_names=("zero", "one"),
        items=np.array([10, 20, 30]),
        codes=codes.astype(np.float32),
        origin=ORIGIN.copy(),
        basis=BASIS.copy(),
        tiles=tiles,
        extent=(-2.0, 2.0, -2.0, 2.0),
        thumbs=RNG.integers(0, 256, (3, 6, 6, 1)).astype(np.uint8),
        axes=("z2", "z5"),
        control="code",
    )
    return dataclasses.replace(plain, **changes)


class Heard:
    """The values that the view asked for."""

    def __init__(self, view: LatentMapView) -> None:
        self.all: list[tuple[str, tuple[float, ...], str]] = []
        view.control_set.connect(lambda name, value, phase: self.all.append((name, value, phase)))

    @property
    def phases(self) -> list[str]:
        return [phase for _, _, phase in self.all]


@pytest.fixture
def view(qtbot: Any) -> LatentMapView:
    view = LatentMapView()
    qtbot.addWidget(view)
    view.resize(520, 480)
    view.show_payload(payload(), 1)
    with qtbot.waitExposed(view):
        view.show()
    QApplication.processEvents()
    return view


def pixel(view: LatentMapView, u: float, v: float) -> QPoint:
    assert view.plot is not None
    return view.plot.to_pixel(u, v).toPoint()


def plane(view: LatentMapView, at: QPoint) -> tuple[float, float]:
    """The plane point of a pixel from the visible range alone: an independent way to compute it."""
    assert view.plot is not None
    (u0, u1), (v0, v1) = view.plot.box.viewRange()
    area = view.plot.box.mapRectToScene(view.plot.box.rect())
    return (
        u0 + (at.x() - area.left()) / area.width() * (u1 - u0),
        v1 - (at.y() - area.top()) / area.height() * (v1 - v0),
    )


def closed_form(u: float, v: float) -> np.ndarray:
    return ORIGIN.astype(float) + u * BASIS[0].astype(float) + v * BASIS[1].astype(float)


def test_a_click_asks_for_the_code_of_that_place(qtbot: Any, view: LatentMapView) -> None:
    heard = Heard(view)
    at = pixel(view, 0.3, -0.4)
    qtbot.mouseClick(view.plot.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert len(heard.all) == 1
    name, code, phase = heard.all[0]
    assert (name, phase) == ("code", "settled")
    assert all(type(x) is float for x in code)
    np.testing.assert_allclose(code, closed_form(*plane(view, at)), atol=1e-6)
    np.testing.assert_allclose(view.plane_of(code), (0.3, -0.4), atol=0.02)


def test_u_grows_to_the_right_and_v_upwards(view: LatentMapView) -> None:
    middle = pixel(view, 0, 0)
    assert pixel(view, 1, 0).x() > middle.x() + 20
    assert pixel(view, 0, 1).y() < middle.y() - 20
    one_u, one_v = pixel(view, 1, 0) - middle, pixel(view, 0, 1) - middle
    assert abs(one_u.x() + one_v.y()) <= 2, "one unit is as long in both directions"


def test_a_click_near_an_item_takes_its_own_full_code(qtbot: Any, view: LatentMapView) -> None:
    heard = Heard(view)
    at = pixel(view, 1, 1)
    qtbot.mouseClick(view.plot.viewport(), Qt.MouseButton.LeftButton, pos=at + QPoint(4, -3))
    np.testing.assert_allclose(heard.all[0][1], ORIGIN + POINTS[1] @ BASIS + 0.25, atol=1e-6)
    qtbot.wait(QApplication.doubleClickInterval() + 20)
    qtbot.mouseClick(view.plot.viewport(), Qt.MouseButton.LeftButton, pos=at + QPoint(8, 0))
    np.testing.assert_allclose(heard.all[1][1], closed_form(*plane(view, at + QPoint(8, 0))), atol=1e-6)


def test_a_hidden_label_is_neither_snapped_to_nor_hovered(qtbot: Any, view: LatentMapView) -> None:
    heard = Heard(view)
    at = pixel(view, 1, 1)
    view.legend._chips[1].click()
    assert not view.plot.clouds[1].isVisible()
    qtbot.mouseClick(view.plot.viewport(), Qt.MouseButton.LeftButton, pos=at)
    np.testing.assert_allclose(heard.all[0][1], closed_form(*plane(view, at)), atol=1e-6)
    assert view.nearest(1.0, 1.0)[0] == 0, "the only item that is left"


def test_dragging_moves_z_live_and_settles(qtbot: Any, view: LatentMapView) -> None:
    heard = Heard(view)
    port = view.plot.viewport()
    places = [pixel(view, u, 0.5) for u in (-0.8, -0.4, 0.0, 0.4)]
    qtbot.mousePress(port, Qt.MouseButton.LeftButton, pos=places[0])
    assert heard.all == []
    for place in places[1:]:
        qtbot.mouseMove(port, place)
    qtbot.mouseRelease(port, Qt.MouseButton.LeftButton, pos=places[-1])
    assert heard.phases == ["drag", "drag", "drag", "settled"]
    for (_, code, _), place in zip(heard.all, places[1:] + places[-1:], strict=True):
        np.testing.assert_allclose(code, closed_form(*plane(view, place)), atol=1e-6)


def test_hover_shows_the_nearest_item(qtbot: Any, view: LatentMapView) -> None:
    at = pixel(view, 1, -1)
    qtbot.mouseMove(view.plot.viewport(), at + QPoint(5, 5))
    qtbot.waitUntil(view.hover_card.isVisible, timeout=2000)
    assert view.hover_card.lines == ("one", "held-out 30")
    qtbot.mouseMove(view.plot.viewport(), pixel(view, 0, 0))
    qtbot.waitUntil(lambda: not view.hover_card.isVisible(), timeout=2000)


def draw(qtbot: Any, view: LatentMapView, corners: list[tuple[float, float]]) -> None:
    port = view.plot.viewport()
    places = [pixel(view, *corner) for corner in corners]
    qtbot.mousePress(port, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier, places[0])
    for place in places[1:]:
        qtbot.mouseMove(port, place)
    qtbot.mouseRelease(port, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier, places[-1])


def test_a_drawn_path_is_walked_from_its_beginning_to_its_end(qtbot: Any, view: LatentMapView) -> None:
    heard = Heard(view)
    draw(qtbot, view, [(-1.5, 0.2), (0.0, 0.2), (0.0, 1.4)])
    assert heard.all == [], "drawing moves nothing yet"
    assert view.path_bar.isVisible()
    view.path_bar.seconds = 0.4
    qtbot.mouseClick(view.path_bar.play_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not view.path_bar.playing, timeout=3000)
    assert heard.phases[-1] == "settled"
    assert set(heard.phases[:-1]) == {"drag"}
    assert len(heard.all) >= 5
    places = np.array([view.plane_of(code) for _, code, _ in heard.all])
    progress = (places[:, 0] + 1.5) + (places[:, 1] - 0.2)  # the length walked on these two legs
    assert (np.diff(progress) >= -1e-6).all()
    np.testing.assert_allclose(places[0], (-1.5, 0.2), atol=0.02)
    np.testing.assert_allclose(places[-1], (0.0, 1.4), atol=0.02)


def test_a_looping_walk_goes_on_until_stopped_and_then_settles(qtbot: Any, view: LatentMapView) -> None:
    heard = Heard(view)
    draw(qtbot, view, [(-1.0, 0.3), (1.0, 0.3)])
    view.path_bar.seconds = 0.15
    view.path_bar.loop_button.setChecked(True)
    view.path_bar.toggle()
    qtbot.waitUntil(lambda: len(heard.all) > 12, timeout=3000)
    assert "settled" not in heard.phases
    qtbot.mouseClick(view.path_bar.play_button, Qt.MouseButton.LeftButton)
    assert heard.phases[-1] == "settled"
    assert heard.all[-1][1] == heard.all[-2][1]
    view.path_bar.toggle()
    view.close()
    assert not view.path_bar.playing


def test_a_hand_on_the_map_ends_the_walk(qtbot: Any, view: LatentMapView) -> None:
    draw(qtbot, view, [(-1.0, 0.3), (1.0, 0.3)])
    view.path_bar.toggle()
    heard = Heard(view)
    qtbot.mouseClick(view.plot.viewport(), Qt.MouseButton.LeftButton, pos=pixel(view, 0.0, -1.5))
    assert heard.phases == ["settled"]
    np.testing.assert_allclose(view.plane_of(heard.all[0][1]), (0.0, -1.5), atol=0.02)
    assert not view.path_bar.playing
    qtbot.mouseClick(view.path_bar.clear_button, Qt.MouseButton.LeftButton)
    assert not view.path_bar.isVisible()


def test_along_is_by_length() -> None:
    path = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 1.0]])
    assert along(path, 0.0) == (0.0, 0.0)
    assert along(path, 0.5) == (2.0, 0.0)
    np.testing.assert_allclose(along(path, 0.875), (3.0, 0.5))
    assert along(np.array([[1.0, 2.0]]), 0.7) == (1.0, 2.0)


def test_the_marker_is_the_projection_of_the_code(view: LatentMapView) -> None:
    normal = np.linalg.svd(BASIS.astype(float))[2][2]  # orthogonal to both rows of the basis
    view.set_marker(tuple(closed_form(0.7, -1.1)))
    np.testing.assert_allclose(view.marker_at(), (0.7, -1.1), atol=1e-5)
    assert len(view.plot.marker.data) == 3, "in the plane the ring is filled"
    view.set_marker(tuple(closed_form(0.7, -1.1) + 2.0 * normal))
    np.testing.assert_allclose(view.marker_at(), (0.7, -1.1), atol=1e-5)
    assert len(view.plot.marker.data) == 2
    view.set_marker((0.0, 0.0))
    assert view.marker_at() is None, "a code of another length belongs to another study"


def test_new_weights_keep_the_zoom_and_the_marker(qtbot: Any, view: LatentMapView) -> None:
    view.set_marker(tuple(closed_form(0.5, 0.5)))
    at = pixel(view, 0.5, 0.5)
    before = view.plot.box.viewRange()
    where = QPointF(at)
    wheel = QWheelEvent(
        where,
        QPointF(view.plot.viewport().mapToGlobal(at)),
        QPoint(),
        QPoint(0, 240),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(view.plot.viewport(), wheel)
    zoomed = view.plot.box.viewRange()
    assert zoomed[0][1] - zoomed[0][0] < 0.8 * (before[0][1] - before[0][0])
    assert (pixel(view, 0.5, 0.5) - at).manhattanLength() <= 2, "the wheel zooms about the mouse"
    view.show_payload(payload(origin=ORIGIN + 1, extent=(-3.0, 3.0, -3.0, 3.0)), 2)
    np.testing.assert_allclose(view.plot.box.viewRange(), zoomed)
    np.testing.assert_allclose(view.marker_at(), np.array([0.5, 0.5]) - BASIS.sum(1), atol=1e-5)
    view.resize(600, 500)
    QApplication.processEvents()
    assert view.plot.box.viewRange()[0][1] < before[0][1], "a zoom of the hand outlives a resize"
    qtbot.keyClick(view.plot, Qt.Key.Key_F)
    (u0, u1), (v0, v1) = view.plot.box.viewRange()
    assert min(u0, v0) < -2.99
    assert max(u1, v1) > 2.99
    view.show_payload(payload(axes=("a", "b"), extent=(-9.0, 9.0, -9.0, 9.0)), 3)
    assert view.plot.box.viewRange()[1][1] > 8.9, "other axes are another map"


def test_the_right_button_pans_and_opens_the_menu_only_when_still(qtbot: Any, view: LatentMapView) -> None:
    heard, port, opened = Heard(view), view.plot.viewport(), []
    view.plot.menu_asked.disconnect(view.open_menu)
    view.plot.menu_asked.connect(opened.append)
    start, (u, v) = pixel(view, 0, 0), plane(view, pixel(view, 0, 0))
    qtbot.mousePress(port, Qt.MouseButton.RightButton, pos=start)
    qtbot.mouseMove(port, start + QPoint(30, 10))
    qtbot.mouseMove(port, start + QPoint(60, 20))
    qtbot.mouseRelease(port, Qt.MouseButton.RightButton, pos=start + QPoint(60, 20))
    assert (pixel(view, u, v) - start - QPoint(60, 20)).manhattanLength() <= 2
    assert opened == []
    qtbot.mouseClick(port, Qt.MouseButton.RightButton, pos=start)
    assert len(opened) == 1
    assert heard.all == []


def test_a_double_click_fits_and_leaves_z_where_it_was(qtbot: Any, view: LatentMapView) -> None:
    heard, port = Heard(view), view.plot.viewport()
    view.set_marker(tuple(closed_form(0.25, 0.75)))
    view.plot.box.scaleBy((0.3, 0.3))
    at = view.plot.viewport().rect().center()
    qtbot.mouseClick(port, Qt.MouseButton.LeftButton, pos=at)
    qtbot.mouseDClick(port, Qt.MouseButton.LeftButton, pos=at)
    np.testing.assert_allclose(heard.all[-1][1], closed_form(0.25, 0.75), atol=1e-6)
    assert view.plot.box.viewRange()[1][1] > 1.99


def test_arrow_keys_move_z(qtbot: Any, view: LatentMapView) -> None:
    heard = Heard(view)
    view.set_marker(tuple(closed_form(0.0, 0.0)))
    qtbot.keyClick(view.plot, Qt.Key.Key_Right)
    qtbot.keyClick(view.plot, Qt.Key.Key_Up)
    np.testing.assert_allclose(heard.all[1][1], closed_form(0.08, 0.08), atol=1e-6)


def test_tiles_lie_where_they_were_decoded(view: LatentMapView) -> None:
    tiles = np.zeros((2, 3, 2, 2, 1), np.float32)
    tiles[1, 2, 0] = 1.0  # the upper line of the tile at high v, high u
    sheet = tile_sheet(tiles)
    assert sheet.shape == (4, 6, 3)
    expected = np.zeros((4, 6), np.uint8)
    expected[3, 4:] = 255  # the sheet's last row is the highest v
    np.testing.assert_array_equal(sheet[..., 0], expected)
    view.show_payload(payload(tiles=tiles, points=POINTS[:0], labels=np.zeros(0, int)), 2)
    view.opacity.setValue(100)
    QApplication.processEvents()
    picture = view.plot.grab().toImage()
    bright = pixel(view, 2 / 3 + 0.6, 1.5)
    assert picture.pixelColor(bright).red() > 250
    assert picture.pixelColor(pixel(view, 2 / 3 + 0.6, 0.5)).red() < 5
    assert picture.pixelColor(pixel(view, -1.0, 1.5)).red() < 5
    view.tiles_button.click()
    QApplication.processEvents()
    assert picture.pixelColor(bright) != view.plot.grab().toImage().pixelColor(bright)


def test_maps_without_tiles_thumbnails_or_labels_are_drawn(qtbot: Any, view: LatentMapView) -> None:
    bare = payload(tiles=np.zeros(0, np.float32), thumbs=None, labels=None, label_names=(), items=None)
    view.show_payload(bare, 2)
    assert not view.card.isVisible()
    qtbot.mouseMove(view.plot.viewport(), pixel(view, 1, 1))
    qtbot.waitUntil(view.hover_card.isVisible, timeout=2000)
    assert view.hover_card.lines == ("no label", "held-out 1")
    view.show_payload(payload(points=np.zeros((3, 3), np.float32)), 3)
    assert view.card.isVisible()


def test_four_thousand_points_are_searched_within_a_millisecond(view: LatentMapView) -> None:
    import time

    many = RNG.normal(size=(4000, 2)).astype(np.float32)
    view.show_payload(payload(points=many, labels=np.arange(4000) % 2), 2)
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        found = view.nearest(0.1, 0.2)
        seconds.append(time.perf_counter() - start)
    assert found is not None
    assert found[0] == int(np.argmin(((many - [0.1, 0.2]) ** 2).sum(1)))
    assert min(seconds) < 0.001
