"""The curves' view driven as a person does: real mouse events, and what is drawn compared with the data put in."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QMenu, QStackedWidget

from widgets.curves.axis import Axis, label
from widgets.curves.draw import mix, without_lone_lows
from widgets.curves.legend import Entry
from widgets.curves.plot import CurvesView
from widgets.curves.series import number
from widgets.theme import TERMS, theme

STEPS = np.arange(0, 3000)
RNG = np.random.default_rng(0)
ELBO = -240 - 200 * np.exp(-STEPS / 300) + RNG.normal(size=3000)
KL = 15 * (1 - np.exp(-STEPS / 300)) + 0.1 + np.abs(RNG.normal(size=3000))
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def view(qtbot: Any) -> CurvesView:
    """One run with an objective of two terms and a held-out metric, drawn."""
    view = CurvesView()
    qtbot.addWidget(view)
    view.resize(900, 400)
    view.set_series("now", "elbo", TERMS["blue"], "ELBO")
    view.set_series("now", "kl", TERMS["purple"])
    view.set_series("now", "held_out/elbo", None)
    view.append("now", "elbo", STEPS, ELBO)
    view.append("now", "kl", STEPS, KL)
    view.append("now", "held_out/elbo", STEPS[::500], ELBO[::500] - 2)
    view.show()
    qtbot.waitExposed(view)
    view.redraw()
    QApplication.processEvents()
    return view


def pixel(view: CurvesView, x: float, y: float | None = None) -> QPoint:
    """Where step ``x`` (and value ``y``, else the middle) is on the canvas."""
    y0, y1 = view.canvas.box.viewRange()[1]
    at = QPointF(x, (y0 + y1) / 2 if y is None else y)
    return view.canvas.mapFromScene(view.canvas.box.mapViewToScene(at))


def drawn(view: CurvesView, name: str, faint: bool = False, run: str = "now") -> tuple[Any, Any]:
    curve = view.canvas._curves[(run, name, faint)]
    return curve.xData, curve.yData


def wheel(view: CurvesView, at: QPoint, turns: int = 1, modifiers: Any = Qt.KeyboardModifier.NoModifier) -> None:
    port = view.canvas.viewport()
    event = QWheelEvent(
        QPointF(at),
        QPointF(port.mapToGlobal(at)),
        QPoint(),
        QPoint(0, 120 * turns),
        Qt.MouseButton.NoButton,
        modifiers,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(port, event)


def values(view: CurvesView) -> dict[str, str]:
    """What each chip reads."""
    return {e.key[1]: " ".join(text for _, text in e.values) for e in view.legend.entries()}


def test_objective_is_on_and_the_rest_waits_as_chips(view: CurvesView) -> None:
    assert view.visible() == [("now", "elbo"), ("now", "kl")]
    assert [(e.label, e.on) for e in view.legend.entries()] == [
        ("ELBO", True),
        ("kl", True),
        ("held_out/elbo", False),
    ]


def test_all_is_in_view_and_extremes_are_drawn(view: CurvesView) -> None:
    (x0, x1), (y0, y1) = view.canvas.box.viewRange()
    assert x0 < 0
    assert x1 > 2999
    assert y0 < ELBO.min()
    assert y1 > KL.max()
    assert y1 - y0 < 1.3 * (KL.max() - ELBO.min())
    _, ys = drawn(view, "elbo")
    assert (ys.min(), ys.max()) == (ELBO.min(), ELBO.max())


def test_zoom_asks_for_the_range_in_view_only(view: CurvesView) -> None:
    view.canvas.look_at((1000, 1050), (-300, 0))
    xs, ys = drawn(view, "elbo")
    assert (xs == np.arange(999, 1052)).all()
    assert (ys == ELBO[999:1052]).all()


def test_view_follows_until_the_hand_zooms_then_never_moves_again(view: CurvesView, qtbot: Any) -> None:
    view.append("now", "elbo", [3000, 4000], [-240, -240])
    qtbot.waitUntil(lambda: view.canvas.box.viewRange()[0][1] > 4000)
    assert view.following
    with qtbot.waitSignal(view.following_changed) as told:
        wheel(view, pixel(view, 2000))
    assert told.args == [False]
    assert not view.tools.follow.isChecked()
    kept = view.canvas.box.viewRange()
    assert kept[0][1] < 4000
    view.append("now", "elbo", [5000, 6000], [500, 500])
    view.redraw()
    view.set_visible(None, "held_out/elbo", True)
    view.redraw()
    assert view.canvas.box.viewRange() == kept
    qtbot.mouseClick(view.tools.follow, LEFT)
    view.redraw()
    assert view.following
    assert view.canvas.box.viewRange()[0][1] > 6000
    assert view.canvas.box.viewRange()[1][1] > 500


def test_dragging_pans_and_stops_following(view: CurvesView, qtbot: Any) -> None:
    port, start = view.canvas.viewport(), pixel(view, 1500)
    before = view.canvas.box.viewRange()
    qtbot.mousePress(port, LEFT, pos=start)
    for i in range(1, 6):
        qtbot.mouseMove(port, start + QPoint(20 * i, 0))
        QApplication.processEvents()
    qtbot.mouseRelease(port, LEFT, pos=start + QPoint(100, 0))
    after = view.canvas.box.viewRange()
    per_pixel = (before[0][1] - before[0][0]) / view.canvas.box.width()
    assert after[0][0] == pytest.approx(before[0][0] - 100 * per_pixel, abs=per_pixel)
    assert after[1] == pytest.approx(before[1])
    assert not view.following


def test_shift_and_ctrl_zoom_one_axis(view: CurvesView) -> None:
    before = view.canvas.box.viewRange()
    wheel(view, pixel(view, 1500), modifiers=Qt.KeyboardModifier.ShiftModifier)
    along = view.canvas.box.viewRange()
    assert along[1] == before[1]
    assert along[0][1] - along[0][0] < before[0][1] - before[0][0]
    wheel(view, pixel(view, 1500), modifiers=Qt.KeyboardModifier.ControlModifier)
    assert view.canvas.box.viewRange()[0] == along[0]
    assert view.canvas.box.viewRange()[1][1] < along[1][1]


def test_double_click_shows_all_but_does_not_follow(view: CurvesView, qtbot: Any) -> None:
    wheel(view, pixel(view, 2000), 5)
    assert view.canvas.box.viewRange()[0][0] > 500
    qtbot.mouseDClick(view.canvas.viewport(), LEFT, pos=pixel(view, 2000))
    assert view.canvas.box.viewRange()[0][0] < 0
    assert not view.following


def test_crosshair_reads_the_data_of_the_nearest_step(view: CurvesView, qtbot: Any) -> None:
    view.set_visible(None, "held_out/elbo", True)
    view.redraw()
    for step in (7, 1234, 2500):
        at = pixel(view, step)
        expected = round(view.canvas.box.mapSceneToView(view.canvas.mapToScene(at)).x())
        with qtbot.waitSignal(view.cursor_moved) as moved:
            qtbot.mouseMove(view.canvas.viewport(), at)
        assert moved.args == [expected]
        assert view.canvas.cursor_shown
        coarse = round(expected / 500) * 500
        assert values(view) == {
            "elbo": number(ELBO[expected]),
            "kl": number(KL[expected]),
            "held_out/elbo": number(ELBO[min(coarse, 2500)] - 2),
        }
    with qtbot.waitSignal(view.cursor_left):
        qtbot.mouseMove(view.canvas.viewport(), QPoint(1, 1))
    assert not view.canvas.cursor_shown
    assert values(view)["elbo"] == number(ELBO[-1])


def test_cursor_can_be_set_from_outside_without_an_echo(view: CurvesView, qtbot: Any) -> None:
    with qtbot.assertNotEmitted(view.cursor_moved):
        view.set_cursor(100)
    assert values(view)["kl"] == number(KL[100])
    view.set_cursor(None)
    assert values(view)["kl"] == number(KL[-1])


def test_keys_move_the_crosshair(view: CurvesView, qtbot: Any) -> None:
    view.set_cursor(100)
    for key, modifier, step in (
        (Qt.Key.Key_Right, Qt.KeyboardModifier.NoModifier, 101),
        (Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier, 91),
        (Qt.Key.Key_End, Qt.KeyboardModifier.NoModifier, 2999),
        (Qt.Key.Key_Right, Qt.KeyboardModifier.NoModifier, 2999),
        (Qt.Key.Key_Home, Qt.KeyboardModifier.NoModifier, 0),
    ):
        with qtbot.waitSignal(view.cursor_moved) as moved:
            qtbot.keyClick(view.canvas, key, modifier)
        assert moved.args == [step]
    qtbot.keyClick(view.canvas, Qt.Key.Key_Escape)
    assert view.cursor_step() is None


def test_clicking_a_snapshot_tick_tells_its_step(view: CurvesView, qtbot: Any) -> None:
    view.set_markers([500, 1000, 2000])
    bottom = view.canvas.box.viewRange()[1][0]
    near = pixel(view, 1000, bottom) + QPoint(3, -5)
    with qtbot.waitSignal(view.marker_clicked) as clicked:
        qtbot.mouseClick(view.canvas.viewport(), LEFT, pos=near)
    assert clicked.args == [1000]
    with qtbot.assertNotEmitted(view.marker_clicked, wait=50):
        qtbot.mouseClick(view.canvas.viewport(), LEFT, pos=near - QPoint(0, 60))
        qtbot.mouseClick(view.canvas.viewport(), LEFT, pos=pixel(view, 1500, bottom) + QPoint(0, -5))
    view.set_log(True, False)
    at = QPoint(pixel(view, np.log10(2000)).x(), near.y())
    with qtbot.waitSignal(view.marker_clicked) as clicked:
        qtbot.mouseClick(view.canvas.viewport(), LEFT, pos=at)
    assert clicked.args == [2000]


def test_chips_toggle_and_ctrl_click_leaves_one(view: CurvesView, qtbot: Any) -> None:
    qtbot.mouseClick(view.legend.chip("metric", "held_out/elbo"), LEFT)
    qtbot.mouseClick(view.legend.chip("metric", "kl"), LEFT)
    assert view.visible() == [("now", "elbo"), ("now", "held_out/elbo")]
    assert values(view)["kl"] == ""
    qtbot.mouseClick(view.legend.chip("metric", "kl"), LEFT, Qt.KeyboardModifier.ControlModifier)
    assert view.visible() == [("now", "kl")]
    assert view.canvas.box.viewRange()[1][0] > -5, "alone, KL has the axis to itself"


def test_smoothing_draws_the_mean_over_the_raw_curve(view: CurvesView, qtbot: Any) -> None:
    colour = view.canvas._curves[("now", "elbo", False)].opts["pen"].color().name()
    for _ in range(6):
        qtbot.keyClick(view.tools.slider, Qt.Key.Key_Right)
    view.redraw()
    xs, ys = drawn(view, "elbo")
    inner = (xs > 200) & (xs < 2800)
    assert np.abs(ys - (-240 - 200 * np.exp(-xs / 300)))[inner].max() < 2.5
    assert np.abs(np.diff(ys)).max() < np.abs(np.diff(ELBO)).max()
    raw = view.canvas._curves[("now", "elbo", True)]
    assert (raw.yData.min(), raw.yData.max()) == (ELBO.min(), ELBO.max())
    assert raw.zValue() < view.canvas._curves[("now", "elbo", False)].zValue()
    assert raw.opts["pen"].color().name() == mix(colour, theme.colours.plot, 0.7)
    assert "200 steps" in view.tools.slider.toolTip()
    qtbot.mouseDClick(view.tools.slider, LEFT)
    view.redraw()
    assert ("now", "elbo", True) not in view.canvas._curves


def test_log_y_is_refused_with_its_reason_where_all_is_negative(view: CurvesView) -> None:
    assert view.tools.log_y.isEnabled()
    view.set_log(False, True)
    assert view.canvas.log_y
    view.set_visible(None, "kl", False)
    view.redraw()
    assert not view.canvas.log_y
    assert not view.tools.log_y.isEnabled()
    assert not view.tools.log_y.isChecked()
    assert "above 0" in view.tools.log_y.toolTip()
    view.set_log(False, True)
    assert not view.canvas.log_y


def test_log_axes_draw_logarithms_and_leave_out_what_has_none(view: CurvesView, qtbot: Any) -> None:
    signs = np.where(np.arange(100) % 10 == 0, -1.0, 5.0)
    view.set_series("now", "signs", TERMS["green"])
    view.append("now", "signs", np.arange(100), signs)
    qtbot.mouseClick(view.tools.log_x, LEFT)
    qtbot.mouseClick(view.tools.log_y, LEFT)
    xs, ys = drawn(view, "signs")
    assert np.allclose(10**xs, np.arange(1, 100))
    assert np.isnan(ys[9::10]).all()
    assert np.allclose(ys[np.isfinite(ys)], np.log10(5))
    assert "gaps" in view.legend.chip("metric", "signs").toolTip()
    assert "gaps" not in view.legend.chip("metric", "kl").toolTip()
    assert not view.canvas._curves[("now", "elbo", False)].isVisible()
    assert view.canvas.box.viewRange()[0][1] == pytest.approx(np.log10(2999), rel=0.02)
    view.set_log(False, False)
    assert (drawn(view, "signs")[1] == signs).all()


def test_lone_lows_do_not_tear_a_logarithmic_line() -> None:
    y = np.array([5, -1, 6, 7, -1, -2, 8, -1, -2, -3, -4, 9.0])
    xs, ys = without_lone_lows(np.arange(12.0), y)
    assert xs.tolist() == [0, 2, 3, 6, 7, 8, 9, 10, 11]
    assert ys.tolist() == [5, 6, 7, 8, -1, -2, -3, -4, 9]


def test_zoomed_in_until_both_ends_are_one_number_it_still_draws(view: CurvesView) -> None:
    view.canvas.box.viewRange = lambda: [[3e15, 3e15], [0.5, 0.5]]  # type: ignore[method-assign]  # where a wheel ends
    assert view.canvas.pixels_per_value > 1e12
    view.redraw()


def test_runs_are_overlaid_and_read_out_together(view: CurvesView, qtbot: Any) -> None:
    view.set_series("old", "elbo", TERMS["blue"])
    view.append("old", "elbo", STEPS[:1000], ELBO[:1000] - 50)
    view.append("old", "other", STEPS[:10], STEPS[:10])
    view.redraw()
    assert view.visible() == [("old", "elbo"), ("now", "elbo"), ("now", "kl")]
    own, other = (view.canvas._curves[(run, "elbo", False)].opts["pen"] for run in ("now", "old"))
    assert own.widthF() > other.widthF() or own.color() != other.color()
    assert other.color().name() == mix(TERMS["blue"], theme.colours.plot, 0.5)
    view.set_cursor(500)
    assert values(view)["old"] == number(ELBO[500] - 50)
    view.set_cursor(2500)
    assert values(view)["old"] == "–", "the old run had ended by then"
    view.set_current("old")
    view.set_cursor(500)
    assert values(view)["elbo"] == number(ELBO[500] - 50)
    assert values(view)["now"] == f"{number(ELBO[500])} {number(KL[500])}"
    view.redraw()
    qtbot.mouseClick(view.legend.chip("run", "now"), LEFT)
    assert view.visible() == [("old", "elbo")]
    view.set_run_visible("now", True)
    view.set_visible("now", "elbo", False)
    assert view.visible() == [("now", "kl"), ("old", "elbo")]
    view.remove_run("now")
    view.redraw()
    assert set(view.canvas._curves) == {("old", "elbo", False)}


def test_going_back_replaces_what_came_after(view: CurvesView) -> None:
    view.drop_after("now", 1000)
    view.append("now", "elbo", [1001, 1002], [-1, -2])
    view.append("now", "kl", [500, 501], [99, 98])
    view.redraw()
    assert drawn(view, "elbo")[0][-1] == 1002
    assert values(view) == {"elbo": number(-2), "kl": number(98), "held_out/elbo": ""}
    assert view.canvas.box.viewRange()[0][1] < 1100


def test_vectors_become_one_curve_per_dimension_kept_in_a_menu(view: CurvesView, qtbot: Any) -> None:
    view.append("now", "kl_dim", STEPS[:5], np.arange(30.0).reshape(5, 6))
    view.redraw()
    assert ("now", "kl_dim/3") not in view.visible()
    menu = view.legend.more_menu()
    below = menu.actions()[0].menu()
    assert isinstance(below, QMenu)
    names = [a.text() for a in below.actions()]
    assert names == [f"kl_dim/{i}" for i in range(6)]
    below.actions()[3].trigger()
    menu.close()
    assert ("now", "kl_dim/3") in view.visible()
    assert drawn(view, "kl_dim/3")[1].tolist() == [3, 9, 15, 21, 27]
    assert view.legend.chip("metric", "kl_dim/3").isVisible()


def test_legend_hides_what_is_off_before_what_is_on(view: CurvesView) -> None:
    view.legend.max_rows = 1
    view.legend.resize(300, 22)
    view.legend.set_entries(
        [Entry(("metric", str(i)), f"metric {i}", "#ff0000", i % 2 == 0, quiet=True) for i in range(8)]
    )
    shown = [int(e.key[1]) for e in view.legend.entries() if view.legend.chip(*e.key).isVisible()]
    assert 0 < len(shown) < 8
    assert all(i % 2 == 0 for i in shown)
    assert all(view.legend.chip("metric", str(i)).geometry().right() < 300 for i in shown)


def test_gaps_and_a_lone_value_can_be_seen(view: CurvesView) -> None:
    view.clear()
    view.append("r", "loss", [1], [np.nan])
    view.redraw()
    assert values(view) == {"loss": "not a number"}
    view.append("r", "loss", [2], [3.0])
    view.redraw()
    QApplication.processEvents()
    at = pixel(view, 2, 3)
    shot = view.canvas.grab().toImage()
    assert shot.pixelColor(at).name() != theme.colours.plot
    (x0, x1), (y0, y1) = view.canvas.box.viewRange()
    assert x0 < 1 < 2 < x1
    assert y0 < 3 < y1


def test_an_empty_view_says_what_would_be_there(view: CurvesView) -> None:
    view.clear()
    view.redraw()
    assert "Train" in view.canvas._empty.text()
    assert not view.canvas._curves
    assert view.legend.entries() == []
    view.append("r", "loss", [1, 2], [1, 2])
    view.redraw()
    assert not view.canvas._empty.isVisible()
    view.set_visible(None, "loss", False)
    view.redraw()
    assert "switched on" in view.canvas._empty.text()


def test_redraws_are_bundled_and_rest_when_nothing_comes(view: CurvesView, qtbot: Any, monkeypatch: Any) -> None:
    qtbot.wait(80)
    counted: list[bool] = []
    plain = view._draw
    monkeypatch.setattr(view, "_draw", lambda fit: (counted.append(fit), plain(fit)))
    for step in range(3000, 3200):
        view.append("now", "elbo", [step], [-240])
    assert counted == []
    qtbot.waitUntil(lambda: len(counted) > 0, timeout=10_000)
    qtbot.wait(120)
    assert len(counted) == 1
    assert drawn(view, "elbo")[0][-1] == 3199
    assert not any(t.isActive() for t in view.findChildren(QTimer))
    view.hide()
    view.append("now", "elbo", [3200], [-240])
    assert not any(t.isActive() for t in view.findChildren(QTimer))
    view.show()
    qtbot.waitUntil(lambda: drawn(view, "elbo")[0][-1] == 3200)


def test_a_view_that_is_gone_is_not_called(qtbot: Any) -> None:
    view = CurvesView()
    view.append("now", "loss", [1, 2], [3, 4])
    view.show()
    gone = weakref.ref(view)
    view.deleteLater()
    QCoreApplication.sendPostedEvents(view, QEvent.Type.DeferredDelete)
    del view
    gc.collect()
    assert gone() is None
    theme.changed.emit()
    qtbot.wait(60)


def test_theme_is_followed(view: CurvesView) -> None:
    before = view.grab().toImage().pixelColor(2, 2).name()
    theme.set_mode("light")
    try:
        QApplication.processEvents()
        assert before != theme.colours.plot
        assert view.grab().toImage().pixelColor(2, 2).name() == theme.colours.plot
        assert view.canvas.backgroundBrush().color().name() == theme.colours.plot
    finally:
        theme.set_mode("dark")


@pytest.mark.parametrize(
    ("lo", "hi", "expected"),
    [
        (-2.0, 3.0, ["0.01", "0.1", "1", "10", "100", "1,000"]),
        (-8.0, -5.0, ["10⁻⁸", "10⁻⁷", "10⁻⁶", "10⁻⁵"]),
        (np.log10(150), np.log10(2500), ["200", "500", "1,000", "2,000"]),
        (np.log10(210), np.log10(290), ["220", "240", "260", "280"]),
    ],
)
def test_log_ticks_are_right_at_any_zoom(qtbot: Any, lo: float, hi: float, expected: list[str]) -> None:
    axis = Axis("left")
    axis.setLogMode(True, True)
    ticks = axis.labels(lo, hi, 400)
    assert [text for _, text in ticks] == expected
    for share, text in ticks:
        if "⁻" not in text:
            assert 10 ** (lo + share * (hi - lo)) == pytest.approx(float(text.replace(",", "")))


@pytest.mark.parametrize(
    ("value", "spacing", "text"),
    [(1500, 500, "1,500"), (-0.25, 0.05, "−0.25"), (1_500_000, 500_000, "1.5M"), (0, 10, "0"), (2e-6, 1e-6, "2e−06")],
)
def test_tick_labels(value: float, spacing: float, text: str) -> None:
    assert label(value, spacing) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(-241.17, "−241.2"), (15, "15.00"), (0, "0.000"), (1.25e-5, "1.25e−5"), (12345.6, "12,346"), (None, "–")],
)
def test_numbers_have_four_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_it_can_be_made_as_narrow_as_tools_and_chips_below_one_another_need(qtbot: Any) -> None:
    """However wide it is now, and where it is a hidden tab, which nobody resizes."""
    tabs = QStackedWidget()
    qtbot.addWidget(tabs)
    view, hidden = CurvesView(), CurvesView()
    for page in (view, hidden):
        tabs.addWidget(page)
    tabs.resize(900, 400)
    with qtbot.waitExposed(tabs):
        tabs.show()
    least = tabs.minimumSizeHint().width()
    assert least < 300 < view.legend.minimumSizeHint().width() + view.tools.minimumSizeHint().width()
    tabs.resize(least, 300)
    qtbot.waitUntil(lambda: view.width() == least)
    qtbot.waitUntil(lambda: view.tools.y() >= view.legend.geometry().bottom())
