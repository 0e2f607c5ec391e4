"""The slider under real mouse, wheel and keyboard events."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QScrollArea, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from widgets.controls.fields import NumberBox, NumberEdit
from widgets.controls.slider import ValueSlider

LEFT, SHIFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.NoModifier


class Watch:
    """What a control said."""

    def __init__(self, control: Any) -> None:
        self.moved: list[Any] = []
        self.settled: list[Any] = []
        control.moved.connect(self.moved.append)
        control.settled.connect(self.settled.append)


def shown(qtbot: QtBot, widget: QWidget, width: int = 300) -> Watch:
    qtbot.addWidget(widget)
    widget.resize(width, widget.sizeHint().height())
    widget.show()
    qtbot.waitExposed(widget)
    widget.activateWindow()
    return Watch(widget)


def at(slider: ValueSlider, fraction: float) -> QPoint:
    track = slider.track_rect()
    return QPoint(round(track.left() + fraction * track.width()), slider.height() // 2)


def move(slider: ValueSlider, spot: QPointF, modifiers: Qt.KeyboardModifier = NONE, down: bool = True) -> None:
    buttons = LEFT if down else Qt.MouseButton.NoButton
    there = slider.mapToGlobal(spot)
    event = QMouseEvent(QEvent.Type.MouseMove, spot, there, Qt.MouseButton.NoButton, buttons, modifiers)
    QApplication.sendEvent(slider, event)


def wheel(widget: QWidget, notches: int, modifiers: Qt.KeyboardModifier = NONE) -> bool:
    spot = QPointF(widget.rect().center())
    event = QWheelEvent(
        spot,
        widget.mapToGlobal(spot),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        modifiers,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


def test_a_drag_moves_along_and_settles_once_with_the_final_value(qtbot: QtBot) -> None:
    slider = ValueSlider(0.0, 10.0, 5.0)
    watch = shown(qtbot, slider)
    QTest.mousePress(slider, LEFT, NONE, at(slider, 0.1))
    assert slider.value() == pytest.approx(1.0, abs=0.1)
    assert watch.settled == []
    for fraction in (0.3, 0.5, 0.8):
        QTest.mouseMove(slider, at(slider, fraction))
    assert slider.value() == pytest.approx(8.0, abs=0.1)
    QTest.mouseRelease(slider, LEFT, NONE, at(slider, 0.8))
    assert len(watch.moved) == 4
    assert watch.settled == [slider.value()]
    assert watch.moved[-1] == watch.settled[0]
    qtbot.wait(220)
    assert len(watch.settled) == 1


def test_a_hand_that_rests_with_the_button_down_settles_but_not_twice(qtbot: QtBot) -> None:
    slider = ValueSlider(0.0, 10.0, 5.0)
    watch = shown(qtbot, slider)
    QTest.mousePress(slider, LEFT, NONE, at(slider, 0.1))
    qtbot.waitUntil(lambda: len(watch.settled) == 1, timeout=600)
    QTest.mouseRelease(slider, LEFT, NONE, at(slider, 0.1))
    qtbot.wait(220)
    assert watch.settled == [slider.value()]


def test_settling_at_release_only(qtbot: QtBot) -> None:
    slider = ValueSlider(0.0, 10.0, 5.0, settle_at_rest=False)
    watch = shown(qtbot, slider)
    QTest.mousePress(slider, LEFT, NONE, at(slider, 0.1))
    qtbot.wait(220)
    assert watch.settled == []
    QTest.mouseRelease(slider, LEFT, NONE, at(slider, 0.1))
    assert watch.settled == [slider.value()]
    slider.setFocus()
    QTest.keyClick(slider, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: len(watch.settled) == 2, timeout=600)


def test_a_press_on_the_handle_moves_nothing(qtbot: QtBot) -> None:
    slider = ValueSlider(0.0, 10.0, 5.03)
    watch = shown(qtbot, slider)
    QTest.mouseClick(slider, LEFT, NONE, at(slider, 0.503) + QPoint(3, 0))
    assert slider.value() == 5.03
    assert (watch.moved, watch.settled) == ([], [])


def test_shift_makes_the_drag_ten_times_finer_and_nothing_jumps(qtbot: QtBot) -> None:
    slider = ValueSlider(0.0, 10.0, 5.0)
    shown(qtbot, slider, 400)
    per_pixel = 10.0 / slider.track_rect().width()
    start = QPointF(slider.handle_x(), slider.height() / 2)
    QTest.mousePress(slider, LEFT, SHIFT, start.toPoint() + QPoint(40, 0))
    assert slider.value() == 5.0
    move(slider, QPointF(start.toPoint() + QPoint(140, 0)), SHIFT)
    assert slider.value() == pytest.approx(5.0 + 100 * per_pixel / 10, abs=0.02)
    fine = slider.value()
    move(slider, QPointF(start.toPoint() + QPoint(140, 0)), NONE)
    assert slider.value() == fine
    move(slider, QPointF(start.toPoint() + QPoint(150, 0)), NONE)
    assert slider.value() == pytest.approx(fine + 10 * per_pixel, abs=0.1)
    QTest.mouseRelease(slider, LEFT)


def test_a_release_that_went_elsewhere_still_settles(qtbot: QtBot) -> None:
    slider = ValueSlider(0.0, 10.0, 5.0)
    watch = shown(qtbot, slider)
    QTest.mousePress(slider, LEFT, NONE, at(slider, 0.2))
    value = slider.value()
    move(slider, QPointF(at(slider, 0.9)), down=False)
    assert slider.value() == value
    assert watch.settled == [value]
    assert not slider.busy


def test_hiding_in_mid_drag_settles(qtbot: QtBot) -> None:
    slider = ValueSlider(0.0, 10.0, 5.0)
    watch = shown(qtbot, slider)
    QTest.mousePress(slider, LEFT, NONE, at(slider, 0.2))
    slider.hide()
    assert watch.settled == [slider.value()]


def test_code_does_not_pull_the_handle_from_the_hand(qtbot: QtBot) -> None:
    slider = ValueSlider(0.0, 10.0, 5.0)
    watch = shown(qtbot, slider)
    QTest.mousePress(slider, LEFT, NONE, at(slider, 0.2))
    held = slider.value()
    slider.set_value(9.0)
    assert slider.value() == held
    QTest.mouseRelease(slider, LEFT)
    assert watch.settled == [held]


def test_an_echo_of_the_value_does_not_swallow_the_settling(qtbot: QtBot) -> None:
    slider = ValueSlider(0.0, 10.0, 5.0)
    watch = shown(qtbot, slider)
    slider.moved.connect(slider.set_value)
    slider.setFocus()
    QTest.keyClick(slider, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: watch.settled == [5.1], timeout=600)


def test_keys(qtbot: QtBot) -> None:
    slider = ValueSlider(0.0, 10.0, 5.0)
    watch = shown(qtbot, slider)
    slider.setFocus()
    for key, modifiers, value in (
        (Qt.Key.Key_Right, NONE, 5.1),
        (Qt.Key.Key_Up, SHIFT, 5.11),
        (Qt.Key.Key_Left, NONE, 5.01),
        (Qt.Key.Key_PageUp, NONE, 6.01),
        (Qt.Key.Key_PageDown, NONE, 5.01),
        (Qt.Key.Key_Home, NONE, 0.0),
        (Qt.Key.Key_End, NONE, 10.0),
    ):
        QTest.keyClick(slider, key, modifiers)
        assert slider.value() == pytest.approx(value)
    assert watch.settled == []
    qtbot.waitUntil(lambda: watch.settled == [10.0], timeout=600)
    assert len(watch.moved) == 7


def test_the_wheel_turns_the_slider_only_with_the_focus(qtbot: QtBot) -> None:
    area, column = QScrollArea(), QWidget()
    layout = QVBoxLayout(column)
    slider = ValueSlider(0.0, 10.0, 5.0)
    layout.addWidget(slider)
    filler = QLabel()
    filler.setFixedHeight(600)
    layout.addWidget(filler)
    area.setWidget(column)
    qtbot.addWidget(area)
    area.resize(300, 200)
    area.show()
    qtbot.waitExposed(area)
    area.activateWindow()
    area.setFocus()
    watch = Watch(slider)
    assert not slider.hasFocus()
    assert not wheel(slider, -1)
    assert slider.value() == 5.0
    slider.setFocus()
    qtbot.waitUntil(slider.hasFocus)
    assert wheel(slider, 1)
    assert slider.value() == pytest.approx(5.1)
    wheel(slider, -2, SHIFT)
    assert slider.value() == pytest.approx(5.08)
    qtbot.waitUntil(lambda: watch.settled == [pytest.approx(5.08)], timeout=600)


def test_double_click_goes_back_to_the_default(qtbot: QtBot) -> None:
    slider = ValueSlider(0.0, 10.0, 2.5)
    watch = shown(qtbot, slider)
    slider.set_value(9.0)
    spot = at(slider, 0.9)
    QTest.mouseClick(slider, LEFT, NONE, spot)
    QTest.mouseDClick(slider, LEFT, NONE, spot)
    assert slider.value() == 2.5
    assert watch.settled[-1] == 2.5


def type_into(slider: ValueSlider, text: str) -> NumberEdit:
    QTest.mouseClick(slider, LEFT, NONE, slider.value_rect().center())
    edit = slider.findChild(NumberEdit)
    assert edit is not None
    QTest.keyClicks(edit, text)
    return edit


def test_typing_a_number(qtbot: QtBot) -> None:
    slider = ValueSlider(0.0, 10.0, 5.0)
    watch = shown(qtbot, slider)
    edit = type_into(slider, "7.25")
    assert watch.settled == []
    QTest.keyClick(edit, Qt.Key.Key_Return)
    assert slider.value() == 7.25
    assert (watch.moved, watch.settled) == ([7.25], [7.25])
    assert not slider.busy


@pytest.mark.parametrize("text", ["99", "-1", "abc", "1e", ""])
def test_bad_text_is_refused_and_the_value_kept(qtbot: QtBot, text: str) -> None:
    slider = ValueSlider(0.0, 10.0, 5.0)
    watch = shown(qtbot, slider)
    edit = type_into(slider, text)
    if not text:
        edit.clear()
    QTest.keyClick(edit, Qt.Key.Key_Return)
    assert edit.toolTip().startswith("Refused: ")
    assert slider.busy  # the text stays, to be mended
    assert slider.value() == 5.0
    QTest.keyClick(edit, Qt.Key.Key_Escape)
    assert not slider.busy
    assert slider.value() == 5.0
    assert (watch.moved, watch.settled) == ([], [])


def test_escape_leaves_the_value_though_the_text_was_good(qtbot: QtBot) -> None:
    slider = ValueSlider(0.0, 10.0, 5.0)
    watch = shown(qtbot, slider)
    edit = type_into(slider, "7")
    QTest.keyClick(edit, Qt.Key.Key_Escape)
    assert slider.value() == 5.0
    assert watch.settled == []


def test_limits_let_a_person_type_beyond_the_track(qtbot: QtBot) -> None:
    slider = ValueSlider(-3.0, 3.0, 0.0, limits=(-8.0, 8.0))
    shown(qtbot, slider)
    QTest.keyClick(type_into(slider, "5"), Qt.Key.Key_Return)
    assert slider.value() == 5.0
    assert slider.handle_x() == pytest.approx(slider.track_rect().right())


def test_whole_numbers_are_ints(qtbot: QtBot) -> None:
    slider = ValueSlider(2, 64, 8, integer=True)
    watch = shown(qtbot, slider)
    QTest.mouseClick(slider, LEFT, NONE, at(slider, 0.5))
    assert slider.value() == pytest.approx(33, abs=1)
    assert all(isinstance(v, int) for v in (slider.value(), *watch.moved, *watch.settled))


def test_the_middle_of_a_log_track_is_the_geometric_mean(qtbot: QtBot) -> None:
    slider = ValueSlider(1e-4, 1.0, 1e-3, log=True)
    shown(qtbot, slider, 500)
    QTest.mouseClick(slider, LEFT, NONE, at(slider, 0.5))
    assert slider.value() == pytest.approx(1e-2, rel=0.05)
    slider.set_value(1e-2)
    assert slider.handle_x() == pytest.approx(slider.track_rect().center().x())


def test_the_figure_never_changes_its_width(qtbot: QtBot) -> None:
    slider = ValueSlider(-100.0, 100.0, 0.0)
    shown(qtbot, slider)
    places = set()
    for value in (0.0, -100.0, 3.25, 99.9):
        slider.set_value(value)
        places.add((slider.value_rect().getRect(), slider.track_rect().getRect()))
    assert len(places) == 1


def test_a_bipolar_track_is_filled_from_its_centre(qtbot: QtBot) -> None:
    slider = ValueSlider(-3.0, 3.0, 0.0, bipolar=True)
    shown(qtbot, slider)
    slider.clearFocus()

    def inked(fraction: float) -> bool:
        image = slider.grab().toImage()
        bare = image.pixelColor(at(slider, 0.02))
        return image.pixelColor(at(slider, fraction)) != bare

    slider.set_value(2.9)
    assert inked(0.7)
    assert not inked(0.3)
    slider.set_value(-2.0)
    assert inked(0.3)
    assert not inked(0.7)


def test_disabled_says_why_and_does_nothing(qtbot: QtBot) -> None:
    slider = ValueSlider(0.0, 10.0, 5.0)
    slider.setToolTip("weight of the KL term")
    watch = shown(qtbot, slider)
    slider.set_enabled_reason("There is nothing to train.")
    slider.set_enabled_reason("The model is being built.")
    assert slider.toolTip() == "The model is being built."
    spot = QPointF(at(slider, 0.1))
    press = QMouseEvent(QEvent.Type.MouseButtonPress, spot, slider.mapToGlobal(spot), LEFT, LEFT, NONE)
    QApplication.sendEvent(slider, press)
    assert (slider.value(), watch.moved) == (5.0, [])
    slider.set_enabled_reason(None)
    assert slider.isEnabled()
    assert slider.toolTip() == "weight of the KL term"


def test_quiet_is_quiet(qtbot: QtBot) -> None:
    slider = ValueSlider(0.0, 10.0, 5.0)
    watch = shown(qtbot, slider)
    slider.set_value(6.0)
    assert watch.settled == []
    slider.set_value(7.0, quiet=False)
    slider.reset()
    slider.reset()
    assert (watch.moved, watch.settled) == ([], [7.0, 5.0])


def test_a_number_box_types_steps_and_refuses(qtbot: QtBot) -> None:
    box = NumberBox(7, 0, None, integer=True)
    watch = shown(qtbot, box)
    edit = box.findChild(NumberEdit)
    assert edit is not None
    edit.setFocus()
    edit.selectAll()
    QTest.keyClicks(edit, "-3")
    QTest.keyClick(edit, Qt.Key.Key_Return)
    assert box.value() == 7
    assert "from 0 up" in edit.toolTip()
    QTest.keyClick(edit, Qt.Key.Key_Escape)
    assert edit.text() == "7"
    edit.selectAll()
    QTest.keyClicks(edit, "41")
    QTest.keyClick(edit, Qt.Key.Key_Return)
    assert watch.settled == [41]
    QTest.keyClick(edit, Qt.Key.Key_Up)
    QTest.keyClick(edit, Qt.Key.Key_Up)
    assert box.value() == 43
    qtbot.waitUntil(lambda: watch.settled == [41, 43], timeout=600)
