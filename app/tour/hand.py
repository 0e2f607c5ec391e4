"""A hand on the real window: looks for buttons, tabs and rows and uses them with mouse and keyboard as a person does.

Knows Qt's widgets and the layout of the window, nothing of what is computed. Everything runs on the GUI thread.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QElapsedTimer, QEvent, QEventLoop, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QImage, QMouseEvent, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractItemView, QApplication, QComboBox, QTabBar, QWidget

LEFT = Qt.MouseButton.LeftButton
NONE = Qt.KeyboardModifier.NoModifier
POLL_MS = 10
DRAG_MS = 16
"""Milliseconds between two moves of a drag: a mouse at 60 Hz."""


class Hand:
    """Drives ``window``, which is shown already."""

    def __init__(self, window: QWidget) -> None:
        self.window = window

    # ---- waiting ----

    def rest(self, seconds: float) -> None:
        """Lets the window live for a while."""
        loop = QEventLoop()
        QTimer.singleShot(max(0, round(1000 * seconds)), loop, loop.quit)
        loop.exec()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)

    def wait(self, condition: Callable[[], object], seconds: float) -> bool:
        """Waits until ``condition`` holds; False if it did not in time."""
        clock = QElapsedTimer()
        clock.start()
        while not condition():
            if clock.elapsed() > 1000 * seconds:
                return False
            self.rest(POLL_MS / 1000)
        return True

    # ---- mouse ----

    def point(self, widget: QWidget, at: QPoint | None = None) -> None:
        """Moves the pointer onto ``widget``, so that it is the one under the mouse."""
        QTest.mouseMove(widget, at or widget.rect().center())
        self.rest(0.03)

    def click(self, widget: QWidget, at: QPoint | None = None, button: Qt.MouseButton = LEFT) -> None:
        self.point(widget, at)
        QTest.mouseClick(widget, button, NONE, at or widget.rect().center())

    def move(self, widget: QWidget, at: QPoint) -> None:
        """One move of the mouse with the left button held down."""
        place = QPointF(at)
        event = QMouseEvent(
            QEvent.Type.MouseMove, place, widget.mapToGlobal(place), Qt.MouseButton.NoButton, LEFT, NONE
        )  # fmt: skip
        QCoreApplication.sendEvent(widget, event)

    def drag(self, widget: QWidget, path: list[QPoint]) -> None:
        """Presses at the first point, follows the others at the pace of a hand, lets go at the last."""
        self.point(widget, path[0])
        QTest.mousePress(widget, LEFT, NONE, path[0])
        for at in path[1:]:
            self.move(widget, at)
            self.rest(DRAG_MS / 1000)
        QTest.mouseRelease(widget, LEFT, NONE, path[-1])

    # ---- keyboard ----

    def key(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = NONE) -> None:
        """Presses a key wherever the keyboard is now."""
        QTest.keyClick(self.focus(), key, modifiers)

    def type(self, text: str) -> None:
        QTest.keyClicks(self.focus(), text)

    def focus(self) -> QWidget:
        return QApplication.focusWidget() or QApplication.activePopupWidget() or self.window

    # ---- the window's parts ----

    def tab(self, title: str) -> bool:
        """Clicks the tab of this title, if it can be seen; whether there was one."""
        for bar in self.window.findChildren(QTabBar):
            for i in range(bar.count() if bar.isVisible() else 0):
                place = bar.tabRect(i)
                if bar.tabText(i) == title and bar.rect().contains(place.center()):
                    self.click(bar, place.center())
                    return True
        return False

    def pick(self, box: QComboBox, text: str) -> bool:
        """Opens a drop-down and clicks the line that begins with ``text``; whether it could be chosen."""
        self.click(box)
        index = next((i for i in range(box.count()) if box.itemText(i).startswith(text)), -1)
        view = box.view()
        if not self.wait(view.isVisible, 2.0):
            return False
        able = index >= 0 and bool(box.model().index(index, 0).flags() & Qt.ItemFlag.ItemIsEnabled)
        if able:
            self.rest(0.3)  # Qt takes a click that follows the opening at once for the end of that one
            self.row(view, index)
        else:
            box.hidePopup()
        return able

    def row(self, view: QAbstractItemView, index: int) -> None:
        """Clicks a row of a list."""
        item = view.model().index(index, 0)
        view.scrollTo(item)
        self.click(view.viewport(), view.visualRect(item).center())

    # ---- the picture ----

    def picture(self) -> QImage:
        """The window as it stands, with the pop-ups, dialogs and floating docks that lie over it."""
        image = self.window.grab().toImage()
        ratio = image.devicePixelRatio()
        painter = QPainter(image)
        for other in QApplication.topLevelWidgets():
            if other is not self.window and other.isVisible() and other.windowType() != Qt.WindowType.ToolTip:
                at = other.mapToGlobal(QPoint(0, 0)) - self.window.mapToGlobal(QPoint(0, 0))
                painter.drawImage(at, _scaled(other.grab().toImage(), ratio))
        painter.end()
        return image

    def save(self, path: Path) -> bool:
        """Writes the picture as PNG."""
        return self.picture().save(str(path))


def _scaled(image: QImage, ratio: float) -> QImage:
    image.setDevicePixelRatio(ratio)
    return image


def line(start: QPoint, end: QPoint, moves: int) -> list[QPoint]:
    """A straight path of ``moves`` moves."""
    return [start + (end - start) * (i / moves) for i in range(moves + 1)]
