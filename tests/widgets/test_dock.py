"""Docks with a quiet title line, and the order of the Tab key."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QEnterEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QTabBar,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot

from widgets.dock import Dock, DockWindow

Left, Right = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea


def form(*names: str) -> QWidget:
    widget = QWidget()
    layout = QVBoxLayout(widget)
    for name in names:
        line = QLineEdit()
        line.setObjectName(name)
        layout.addWidget(line)
    return widget


@pytest.fixture
def window(qtbot: QtBot) -> DockWindow:
    """Two docks beside a centre: ``left`` with lines a and b, ``right`` with c."""
    made = DockWindow()
    qtbot.addWidget(made)
    made.setCentralWidget(form("middle"))
    made.addDockWidget(Right, Dock("right", "Right", "", form("c"), made))
    made.addDockWidget(Left, Dock("left", "Left one", "a sentence", form("a", "b"), made))
    made.resize(900, 300)
    with qtbot.waitExposed(made):
        made.show()
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow)
    return made


def dock(window: DockWindow, name: str) -> Dock:
    found = window.findChild(Dock, name)
    assert found is not None
    return found


def stops(window: DockWindow) -> list[str]:
    return [w.objectName() for w in window.tab_order()]


def test_the_title_is_in_capitals_and_follows_the_dock(window: DockWindow) -> None:
    left = dock(window, "left")
    assert left.bar.title.text() == "LEFT ONE"
    left.setWindowTitle("Other")
    assert left.bar.title.text() == "OTHER"


def test_buttons_come_with_the_mouse_and_nothing_moves(window: DockWindow) -> None:
    bar = dock(window, "left").bar
    place = bar.hint.geometry()
    assert not bar._close.isVisible()
    bar.enterEvent(QEnterEvent(QPointF(), QPointF(), QPointF()))
    assert bar._close.isVisible()
    assert bar._float.isVisible()
    QApplication.processEvents()
    assert bar.hint.geometry() == place
    bar.leaveEvent(QEvent(QEvent.Type.Leave))
    assert not bar._float.isVisible()


def test_the_buttons_float_and_close(window: DockWindow) -> None:
    left = dock(window, "left")
    left.bar.enterEvent(QEnterEvent(QPointF(), QPointF(), QPointF()))
    QTest.mouseClick(left.bar._float, Qt.MouseButton.LeftButton)
    assert left.isFloating()
    QTest.mouseClick(left.bar._float, Qt.MouseButton.LeftButton)
    assert not left.isFloating()
    QTest.mouseClick(left.bar._close, Qt.MouseButton.LeftButton)
    assert left.isHidden()
    left.toggleViewAction().trigger()
    assert left.isVisible()


def test_a_long_hint_is_shortened_and_asks_for_no_room(window: DockWindow) -> None:
    left = dock(window, "left")
    before = window.minimumSizeHint().width()
    left.bar.hint.set_text("a very long sentence " * 40)
    QApplication.processEvents()
    assert window.minimumSizeHint().width() == before
    assert left.bar.hint.text().endswith("…")
    assert left.bar.hint.toolTip().startswith("a very long sentence a very")


def test_tabs_stand_on_top_and_keep_their_words(window: DockWindow, qtbot: QtBot) -> None:
    window.tabifyDockWidget(dock(window, "right"), dock(window, "left"))

    def bars() -> list[QTabBar]:
        return [b for b in window.findChildren(QTabBar) if b.isVisible() and b.count() == 2]

    qtbot.waitUntil(lambda: bool(bars()))
    bar = bars()[0]
    assert bar.elideMode() == Qt.TextElideMode.ElideNone
    assert not bar.drawBase()
    assert window.tabPosition(Right) == QTabWidget.TabPosition.North


def test_tab_goes_from_dock_to_dock_from_left_to_right(window: DockWindow) -> None:
    assert stops(window) == ["a", "b", "middle", "c"]
    window.tab_order()[0].setFocus()
    for name in ("b", "middle", "c", "a", "b"):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        assert QApplication.focusWidget().objectName() == name
    for name in ("a", "c", "middle"):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Backtab, Qt.KeyboardModifier.ShiftModifier)
        assert QApplication.focusWidget().objectName() == name


def test_tab_passes_over_what_cannot_be_seen_or_used(window: DockWindow) -> None:
    a, b, middle, c = window.tab_order()
    a.setEnabled(False)
    assert stops(window) == ["b", "middle", "c"]
    b.hide()
    assert stops(window) == ["middle", "c"]
    middle.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
    assert stops(window) == ["c"]
    dock(window, "right").setFloating(True)
    assert stops(window) == []
    assert not window.focusNextPrevChild(True)
    c.setFocusPolicy(Qt.FocusPolicy.NoFocus)


def test_a_dock_behind_another_tab_is_passed_over(window: DockWindow) -> None:
    window.tabifyDockWidget(dock(window, "right"), dock(window, "left"))
    dock(window, "right").raise_()
    QApplication.processEvents()
    assert [s for s in stops(window) if s in "abc"] == ["c"]


def test_widgets_made_late_are_where_they_are_seen(window: DockWindow) -> None:
    body = dock(window, "left").widget()
    late = QLineEdit()
    late.setObjectName("late")
    body.layout().insertWidget(1, late)  # type: ignore[union-attr]
    QApplication.processEvents()
    assert stops(window) == ["a", "late", "b", "middle", "c"]


def test_tab_scrolls_to_where_it_goes_and_skips_the_scrolling_itself(window: DockWindow) -> None:
    area = QScrollArea()
    area.setObjectName("area")
    area.setWidgetResizable(True)
    area.setWidget(form(*(f"line {i}" for i in range(40))))
    dock(window, "left").setWidget(area)
    QApplication.processEvents()
    order = window.tab_order()
    assert [w.objectName() for w in order[:3]] == ["line 0", "line 1", "line 2"]
    assert "area" not in stops(window)
    order[20].setFocus()
    QTest.keyClick(order[20], Qt.Key.Key_Tab)
    assert area.verticalScrollBar().value() > 0
    assert not QApplication.focusWidget().visibleRegion().isEmpty()


def test_a_window_within_hands_tab_to_the_whole(window: DockWindow) -> None:
    inner = DockWindow()
    inner.addDockWidget(Left, Dock("inner", "Inner", "", form("d"), inner))
    inner.setCentralWidget(QPushButton("e"))
    window.setCentralWidget(inner)
    QApplication.processEvents()
    assert stops(window) == ["a", "b", "d", "", "c"]
    order = window.tab_order()
    order[2].setFocus()
    QTest.keyClick(order[2], Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is order[3]
    assert not window.tabbing
