"""Docks with a quiet title line and tab bars that keep their words whole. Knows nothing of what is docked."""

from __future__ import annotations

from PySide6.QtCore import QChildEvent, QEvent, QSize, Qt
from PySide6.QtGui import QEnterEvent, QResizeEvent
from PySide6.QtWidgets import QDockWidget, QHBoxLayout, QLabel, QMainWindow, QTabBar, QTabWidget, QToolButton, QWidget

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
    """A main window whose dock tabs stand on top, are never shortened to dots and have no line under them."""

    def __init__(self, parent: QWidget | None = None, flags: Qt.WindowType = Qt.WindowType.Window) -> None:
        super().__init__(parent, flags)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.setDockOptions(QMainWindow.DockOption.AllowNestedDocks | QMainWindow.DockOption.AllowTabbedDocks)

    def childEvent(self, event: QChildEvent) -> None:
        child = event.child()
        if event.type() == QEvent.Type.ChildPolished and isinstance(child, QTabBar):
            child.setDrawBase(False)
            child.setElideMode(Qt.TextElideMode.ElideNone)
            child.setUsesScrollButtons(True)
            child.setExpanding(False)
        super().childEvent(event)
