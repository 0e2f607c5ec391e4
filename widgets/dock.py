"""Docks with a quiet title line and tab bars that keep their words whole. Knows nothing of what is docked."""

from __future__ import annotations

from PySide6.QtCore import QChildEvent, QEvent, QPoint, QSize, Qt
from PySide6.QtGui import QEnterEvent, QResizeEvent
from PySide6.QtWidgets import (
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QScrollArea,
    QTabBar,
    QTabWidget,
    QToolButton,
    QWidget,
)

from widgets.theme import icon, theme


class _Elided(QLabel):
    """A caption that ends in … where there is no room, and asks for none."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self.setProperty("role", "caption")
        self.setToolTip(text)

    def set_text(self, text: str) -> None:
        self._text = text
        self.setToolTip(text)
        self._elide()

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._elide()

    def _elide(self) -> None:
        self.setText(self.fontMetrics().elidedText(self._text, Qt.TextElideMode.ElideRight, self.width()))


class TitleBar(QWidget):
    """Title, one quiet sentence, and two buttons that appear under the mouse; dragging it moves the dock."""

    def __init__(self, dock: QDockWidget, hint: str) -> None:
        super().__init__(dock)
        self._dock = dock
        self.title = QLabel()
        self.title.setProperty("role", "dock")
        self.hint = _Elided(hint)
        self._float = self._button("Float or dock", lambda: dock.setFloating(not dock.isFloating()))
        self._close = self._button("Close; the View menu brings it back", dock.close)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 4, 4)
        row.setSpacing(8)
        row.addWidget(self.title)
        row.addWidget(self.hint, 1)
        row.addWidget(self._float)
        row.addWidget(self._close)
        dock.windowTitleChanged.connect(self._retitle)
        theme.changed.connect(self._icons)
        self._retitle(dock.windowTitle())
        self._icons()

    def add(self, widget: QWidget) -> None:
        """A small control at the right end of the line."""
        widget.setMaximumHeight(22)
        row = self.layout()
        assert isinstance(row, QHBoxLayout)
        row.insertWidget(2, widget)

    def _button(self, tip: str, act: object) -> QToolButton:
        button = QToolButton()
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.setFixedSize(20, 20)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setStyleSheet("padding: 0;")
        policy = button.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        button.setSizePolicy(policy)
        button.hide()
        button.clicked.connect(act)
        return button

    def _retitle(self, title: str) -> None:
        self.title.setText(title.upper())

    def _icons(self) -> None:
        quiet = theme.colours.quiet
        self._float.setIcon(icon("arrow-square-out", quiet))
        self._close.setIcon(icon("x", quiet))

    def enterEvent(self, event: QEnterEvent) -> None:
        self._float.show()
        self._close.show()

    def leaveEvent(self, event: QEvent) -> None:
        self._float.hide()
        self._close.hide()


class Dock(QDockWidget):
    """A dock with a :class:`TitleBar`; ``hint`` is its quiet sentence."""

    def __init__(self, name: str, title: str, hint: str, widget: QWidget, parent: QWidget) -> None:
        super().__init__(title, parent)
        self.setObjectName(name)
        self.bar = TitleBar(self, hint)
        self.setTitleBarWidget(self.bar)
        self.setWidget(widget)


class DockWindow(QMainWindow):
    """A main window whose dock tabs stand on top, are never shortened to dots and have no line under them.

    The Tab key goes through it as the eye does: dock by dock, line by line. Qt's own order is that in which widgets
    were made, and forms are made anew with every study.
    """

    def __init__(self, parent: QWidget | None = None, flags: Qt.WindowType = Qt.WindowType.Window) -> None:
        super().__init__(parent, flags)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.tabbing = False
        """Whether the keyboard is on its way by the Tab key, which means nothing by itself."""
        self.setDockOptions(QMainWindow.DockOption.AllowNestedDocks | QMainWindow.DockOption.AllowTabbedDocks)

    def childEvent(self, event: QChildEvent) -> None:
        child = event.child()
        if event.type() == QEvent.Type.ChildPolished and isinstance(child, QTabBar):
            child.setDrawBase(False)
            child.setElideMode(Qt.TextElideMode.ElideNone)
            child.setUsesScrollButtons(True)
            child.setExpanding(False)
        super().childEvent(event)

    def focusNextPrevChild(self, forward: bool) -> bool:
        if not self.isWindow():  # a main window within another: the order is that of the whole
            return bool(self.window().focusNextPrevChild(forward))
        order = self.tab_order()
        if not order:
            return False
        here = self.focusWidget()
        at = order.index(here) if here in order else (-1 if forward else 0)
        goal = order[(at + (1 if forward else -1)) % len(order)]
        self.tabbing = True
        goal.setFocus(Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason)
        self.tabbing = False
        area = goal.parentWidget()
        while area is not None:
            if isinstance(area, QScrollArea):
                area.ensureWidgetVisible(goal, 8, 8)
            area = area.parentWidget()
        return True

    def tab_order(self) -> list[QWidget]:
        """The widgets that Tab stops at, in the order in which it does."""
        stops: list[tuple[tuple[int, ...], QWidget]] = []
        inside: set[QWidget | None] = set()
        for widget in self.findChildren(QWidget):
            if not widget.focusPolicy() & Qt.FocusPolicy.TabFocus or not widget.isVisible() or not widget.isEnabled():
                continue
            if widget.focusProxy() is not None or widget.window() is not self or isinstance(widget.parent(), QTabBar):
                continue
            group = _group(widget)
            if isinstance(group, QDockWidget) and group.visibleRegion().isEmpty():  # behind another tab
                continue
            first, place = group.mapTo(self, QPoint(0, 0)), widget.mapTo(self, widget.rect().center())
            stops.append(((first.y(), first.x(), place.y() // _LINE, place.x()), widget))
            area = widget.parentWidget()
            while area is not None and area is not group:
                inside.add(area)
                area = area.parentWidget()
        # An area that scrolls is a stop only where nothing in it is one.
        stops = [stop for stop in stops if not (isinstance(stop[1], QScrollArea) and stop[1] in inside)]
        return [widget for _, widget in sorted(stops, key=lambda stop: stop[0])]


_LINE = 12
"""Widgets whose middles are within so many pixels count as in one line."""


def _group(widget: QWidget) -> QWidget:
    """The part of a main window that a widget is in: a dock, a bar, or what is in the middle."""
    group = widget
    while (parent := group.parentWidget()) is not None and not isinstance(parent, QMainWindow):
        group = parent
    return group
