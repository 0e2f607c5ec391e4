"""What all views share (cards, progress, menu, saving, the table), the bars and the curves."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QContextMenuEvent, QGuiApplication
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu

from engine.payloads import Bars, Curves, Frames, ImageGrid, LatentMap, Payload, PlaneFrames, Planes, SeedPlane, Strips
from engine.scene import Render, Scene, SceneFrames
from widgets.theme import theme
from widgets.views import VIEWS, View, view_for
from widgets.views.bars import BarsView
from widgets.views.curves import CurvesPayloadView
from widgets.views.grid import ImageGridView
from widgets.views.mapping.latent_map import LatentMapView
from widgets.views.paint import number, ticks
from widgets.views.timeline.frames import FramesView
from widgets.views.unknown import UnknownView

GRID = ImageGrid(np.linspace(0, 1, 2 * 16, dtype=np.float32).reshape(2, 4, 4, 1))


@dataclass(frozen=True)
class Special(ImageGrid):
    """A payload that has no view of its own, but a base that has."""


@dataclass(frozen=True)
class Sound(Payload):
    """A payload that nobody draws."""


def shown(qtbot: Any, view: View, width: int = 420, height: int = 320) -> Any:
    qtbot.addWidget(view)
    view.resize(width, height)
    with qtbot.waitExposed(view):
        view.show()
    return view


def test_the_table_finds_views_along_the_bases() -> None:
    assert {kind: view_for(kind).__name__ for kind in VIEWS} == {
        ImageGrid: "ImageGridView",
        Frames: "FramesView",
        LatentMap: "LatentMapView",
        Bars: "BarsView",
        Curves: "CurvesPayloadView",
        Planes: "PlanesView",
        PlaneFrames: "PlaneFramesView",
        SeedPlane: "SeedPlaneView",
        Strips: "StripsView",
        Render: "RenderView",
        Scene: "SceneView",
        SceneFrames: "SceneFramesView",
        Payload: "UnknownView",
    }
    assert view_for(Special) is ImageGridView
    assert view_for(Sound) is UnknownView


def test_an_unknown_payload_says_so_and_offers_its_data(qtbot: Any) -> None:
    view = shown(qtbot, UnknownView())
    payload = Sound()
    view.show_payload(payload, 3)
    assert view.card.isVisible()
    assert "Sound" in view.card.texts[0]
    qtbot.mouseClick(view.card.button, Qt.MouseButton.LeftButton)
    dialog = view.findChild(QFileDialog)
    assert dialog is not None
    dialog.reject()
    assert view.payloads_for_data() == (payload,)


@pytest.mark.parametrize("kind", [view_for(payload) for payload in VIEWS])
def test_every_view_begins_empty_and_is_small_enough_for_a_small_dock(qtbot: Any, kind: type[View]) -> None:
    view = shown(qtbot, kind(), 320, 240)
    assert (view.width(), view.height()) == (320, 240)
    assert view.card.isVisible()
    assert view.card.geometry() == view.rect()
    view.show_empty("No items yet", "Train for a step, and they appear here.")
    assert view.card.texts[:2] == ("No items yet", "Train for a step, and they appear here.")
    assert not view.card.button.isVisible()


def test_a_payload_of_another_kind_is_a_card(qtbot: Any) -> None:
    view = shown(qtbot, BarsView())
    view.show_payload(GRID, 1)
    assert view.card.isVisible()
    assert "ImageGrid" in view.card.texts[1]


def test_a_failure_covers_the_picture_until_the_next_payload(qtbot: Any) -> None:
    view = shown(qtbot, ImageGridView())
    view.show_payload(GRID, 1)
    assert not view.card.isVisible()
    pressed: list[int] = []
    view.show_failure("Out of memory", "The batch did not fit.", "Take fewer.", "Halve it", lambda: pressed.append(1))
    assert view.childAt(QPoint(5, 5)) is not view.canvas
    assert view.card.texts == ("Out of memory", "The batch did not fit.", "Take fewer.")
    qtbot.mouseClick(view.card.button, Qt.MouseButton.LeftButton)
    assert pressed == [1]
    view.show_failure("Again", "No button this time.")
    assert not view.card.button.isVisible()
    view.show_payload(GRID, 2)
    assert not view.card.isVisible()
    view.clear()
    assert view.card.isVisible()
    assert view.payload is None


def test_progress_appears_only_after_a_while_and_can_be_cancelled(qtbot: Any) -> None:
    view = shown(qtbot, ImageGridView())
    view.set_busy(None)
    assert not view.busy_line.isVisible()
    view.show_payload(GRID, 1)
    qtbot.wait(160)
    assert not view.busy_line.isVisible(), "the answer came in time"
    view.set_busy(0.25, cancellable=True)
    qtbot.waitUntil(view.busy_line.isVisible, timeout=1000)
    picture = view.busy_line.grab().toImage()
    assert picture.pixelColor(view.width() // 8, 1).name() == theme.colours.accent
    assert picture.pixelColor(view.width() // 2, 1).name() == theme.colours.line
    with qtbot.waitSignal(view.cancel_requested, timeout=1000):
        qtbot.mouseClick(view.busy_line.button, Qt.MouseButton.LeftButton)
    assert not view.busy_line.isVisible()
    view.set_busy(0.5, cancellable=False)
    qtbot.waitUntil(view.busy_line.isVisible, timeout=1000)
    assert not view.busy_line.button.isVisible()


def test_no_timer_lives_in_a_closed_view(qtbot: Any) -> None:
    view = shown(qtbot, FramesView())
    for i in range(3):
        view.show_payload(Frames(GRID.images, index=i, total=4), 1)
    view.set_busy(None)
    view.toggle_play()
    qtbot.wait(130)
    assert view.playing
    view.close()
    timers = [view._clock, view.busy_line._patience, view.busy_line._slide]
    assert not any(timer.isActive() for timer in timers)
    view.set_busy(None)
    assert not any(timer.isActive() for timer in timers), "nor does a hidden one start any"


def test_the_menu_is_the_same_everywhere_and_disabled_without_a_picture(qtbot: Any) -> None:
    for payload in VIEWS:
        view = view_for(payload)()
        qtbot.addWidget(view)
        menu = view.menu()
        assert [a.text() for a in menu.actions()] == ["Copy picture", "Save picture…", "Save data…"]
        assert not any(a.isEnabled() for a in menu.actions())
    grid = shown(qtbot, ImageGridView())
    grid.show_payload(GRID, 1)
    middle = QPoint(200, 150)
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, middle, grid.mapToGlobal(middle))
    QApplication.sendEvent(grid.canvas, event)
    menu = grid.findChild(QMenu)
    assert menu is not None
    assert menu.isVisible()
    menu.actions()[0].trigger()
    menu.close()
    copied = QGuiApplication.clipboard().image()
    assert copied.size() == grid.canvas.size()
    QGuiApplication.clipboard().clear()


def test_saving_asks_for_a_place_and_hands_the_payloads_on(qtbot: Any, tmp_path: Any) -> None:
    view = shown(qtbot, ImageGridView())
    view.show_payload(GRID, 120)
    view.file_stem = "samples"
    heard: list[tuple[Any, str]] = []
    view.export_requested.connect(lambda payloads, path: heard.append((payloads, path)))
    view.save_data()
    dialog = view.findChild(QFileDialog)
    assert dialog.defaultSuffix() == "npz"
    assert dialog.selectedFiles()[0].endswith("samples-120.npz")
    view.show_payload(ImageGrid(np.zeros((1, 2, 2, 1), np.float32)), 121)
    dialog.setDirectory(str(tmp_path))
    dialog.selectFile(str(tmp_path / "mine"))
    dialog.accept()
    assert heard == [((GRID,), str(tmp_path / "mine.npz"))], "what was on screen when the dialog opened"


def test_a_view_without_pictures_saves_itself_as_one(qtbot: Any) -> None:
    view = shown(qtbot, BarsView())
    view.show_payload(Bars(np.ones(3, np.float32)), 1)
    (picture,) = view.payloads_for_picture()
    assert isinstance(picture, ImageGrid)
    assert picture.images.shape == (1, 320, 420, 3)
    assert picture.images.dtype == np.float32


def test_bars_stand_between_zero_and_their_values(qtbot: Any) -> None:
    values = np.array([1.0, -2.0, 0.0, 0.5], np.float32)
    view = shown(qtbot, BarsView(), 500, 300)
    view.show_payload(Bars(values, spread=np.array([0.1, 0.2, 1.0, 0.5], np.float32)), 1)
    plot = view.plot
    unit = plot.y_of(0.0) - plot.y_of(1.0)
    assert unit > 20
    for i, value in enumerate(values):
        rect = plot.bar_rect(i)
        assert rect.height() == pytest.approx(abs(value) * unit)
        assert (rect.bottom() if value >= 0 else rect.top()) == pytest.approx(plot.y_of(0.0))
        assert plot.bar_at(rect.center()) == i
    assert plot.field().top() <= plot.y_of(1.1), "the prior's band and every whisker lie inside"
    assert plot.y_of(-2.2) <= plot.field().bottom()
    assert plot.bar_at(QPointF(3, 50)) is None


def test_bars_keep_their_scale_while_values_wobble(qtbot: Any) -> None:
    view = shown(qtbot, BarsView())
    view.show_payload(Bars(np.array([2.0, -2.0], np.float32)), 1)
    before = view.plot.y_of(1.0)
    view.show_payload(Bars(np.array([1.7, -1.9], np.float32)), 2)
    assert view.plot.y_of(1.0) == before
    view.show_payload(Bars(np.array([4.0, -2.0], np.float32)), 3)
    grown = view.plot.y_of(1.0)
    assert grown != before
    view.show_payload(Bars(np.array([0.5, -0.5], np.float32)), 4)
    assert view.plot.y_of(1.0) != grown


@pytest.mark.parametrize("n", [2, 16, 64])
def test_bars_of_any_number_do_not_touch_and_read_out(qtbot: Any, n: int) -> None:
    view = shown(qtbot, BarsView(), 400, 240)
    names = tuple(f"z{i}" for i in range(n))
    values = np.linspace(-1, 1, n, dtype=np.float32)
    view.show_payload(Bars(values, np.full(n, 0.5, np.float32), names, "mu", "sigma", GRID.images[0], "item 3"), 1)
    rects = [view.plot.bar_rect(i) for i in range(n)]
    assert all(a.right() < b.left() for a, b in pairwise(rects))
    assert view.plot.describe(n - 1) == [f"z{n - 1}", "mu 1.000", "sigma 0.500"]
    assert view.image.isVisible()
    view.grab()
    view.show_payload(Bars(values), 2)
    assert not view.image.isVisible()


def test_bars_that_do_not_fit_together_are_a_card(qtbot: Any) -> None:
    view = shown(qtbot, BarsView())
    view.show_payload(Bars(np.ones(3, np.float32), spread=np.ones(2, np.float32)), 1)
    assert view.card.texts[1] == "There are 3 values and 2 spreads."
    view.show_payload(Bars(np.array([np.nan, 1.0], np.float32)), 1)
    assert not view.card.isVisible()
    view.grab()


def test_curves_draw_their_lines_and_the_legend_hides_them(qtbot: Any) -> None:
    view = shown(qtbot, CurvesPayloadView())
    x = np.linspace(0, 1, 9, dtype=np.float32)
    view.show_payload(Curves(x, {"alpha": x**2, "sigma": 1 - x}, "t", "value"), 1)
    got_x, got_y = view.lines["alpha"].getData()
    np.testing.assert_array_equal(got_x, x)
    np.testing.assert_array_equal(got_y, x**2)
    view.legend._chips[0].click()
    assert not view.lines["alpha"].isVisible()
    assert view.lines["sigma"].isVisible()
    view.show_payload(Curves(x, {"sigma": x}), 2)
    assert list(view.lines) == ["sigma"]
    view.show_payload(Curves(x, {"short": x[:3]}), 3)
    assert view.card.isVisible()


def test_themes_change_what_is_drawn(qtbot: Any) -> None:
    views = [shown(qtbot, kind()) for kind in (BarsView, CurvesPayloadView, LatentMapView, FramesView)]
    views[0].show_payload(Bars(np.ones(3, np.float32), np.ones(3, np.float32)), 1)
    x = np.linspace(0, 1, 9, dtype=np.float32)
    views[1].show_payload(Curves(x, {"a": x}), 1)
    empty = np.zeros(0, np.float32)
    zero = np.zeros((1, 2), np.float32)
    plane = np.eye(2, dtype=np.float32)
    views[2].show_payload(LatentMap(zero, None, (), None, zero, zero[0], plane, empty, (-1, 1, -1, 1), None), 1)
    views[3].show_payload(Frames(GRID.images, index=0, total=1), 1)
    try:
        grounds = []
        for mode in ("light", "dark"):
            theme.set_mode(mode)
            QApplication.processEvents()
            grounds.append([view.grab().toImage().pixelColor(2, 2).name() for view in views])
        assert all(a != b for a, b in zip(*grounds, strict=True))
    finally:
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.setStyleSheet("")


def test_hover_in_bars_goes_with_the_mouse(qtbot: Any) -> None:
    view = shown(qtbot, BarsView(), 500, 300)
    view.show_payload(Bars(np.array([1.0, -1.0], np.float32)), 1)
    before = view.plot.grab().toImage()
    qtbot.mouseMove(view.plot, view.plot.bar_rect(1).center().toPoint())
    qtbot.waitUntil(lambda: view.plot.grab().toImage() != before, timeout=2000)
    QApplication.sendEvent(view.plot, QEvent(QEvent.Type.Leave))
    assert view.plot.grab().toImage() == before


def test_numbers_and_ticks() -> None:
    assert [number(v) for v in (0.0, -1.5, 12.345, 1234.5, 1e-9, float("nan"))] == [
        "0.000",
        "−1.500",
        "12.35",
        "1234",
        "1.0e−09",
        "not finite",
    ]
    assert ticks(-1.2, 2.3, 5) == [-1.0, 0.0, 1.0, 2.0]
    assert ticks(0.0, 0.0, 5) == []


def test_importing_the_views_loads_no_plot_library() -> None:
    code = "import sys, widgets.views; sys.exit('pyqtgraph' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
