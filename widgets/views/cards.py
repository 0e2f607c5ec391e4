"""What covers a picture or lies on its edge: the card of a failure or an empty state, the thin line of progress.

Knows neither payloads nor why anything failed: it is told.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QElapsedTimer, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QScrollArea, QToolButton, QVBoxLayout, QWidget

from widgets.theme import icon, refresh_style, theme

WIDEST = 420
"""Pixels that a card's text may take: longer lines are hard to read."""
PATIENCE_MS = 100
"""An answer that comes sooner shows no progress: a line that flashes is worse than none."""


class Card(QWidget):
    """Title, what happened, what to do, at most one button; fills its parent and hides what is below."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._action: Callable[[], None] | None = None
        self._icon = QLabel()
        self._title, self._reason, self._advice = QLabel(), QLabel(), QLabel()
        self._title.setProperty("role", "head")
        self._advice.setProperty("role", "quiet")
        for label in (self._icon, self._title, self._reason, self._advice):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            label.setWordWrap(label is not self._icon)
        self._reason.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.button = QPushButton()
        self.button.setProperty("role", "primary")
        self.button.clicked.connect(self._act)
        column = QWidget()
        column.setMaximumWidth(WIDEST)
        stack = QVBoxLayout(column)
        stack.setContentsMargins(16, 12, 16, 12)
        stack.setSpacing(8)
        stack.addStretch(1)
        for label in (self._icon, self._title, self._reason, self._advice):
            stack.addWidget(label)
        stack.addSpacing(4)
        stack.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        stack.addStretch(1)
        middle = QWidget()
        row = QHBoxLayout(middle)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(column, 100)  # the text takes all it may; the stretches share the rest
        row.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(middle)
        scroll.viewport().setAutoFillBackground(False)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(scroll)
        self.hide()

    def tell(
        self,
        title: str,
        reason: str,
        advice: str = "",
        *,
        bad: bool,
        action_text: str = "",
        action: Callable[[], None] | None = None,
    ) -> None:
        """Fills the card and shows it; ``bad`` marks a failure, else it is an empty state."""
        self._action = action
        if bad:
            self._icon.setPixmap(icon("warning-circle", theme.colours.bad).pixmap(28, 28))
        self._icon.setVisible(bad)
        self._reason.setProperty("role", "" if bad else "quiet")
        refresh_style(self._reason)
        for label, text in ((self._title, title), (self._reason, reason), (self._advice, advice)):
            label.setText(text)
            label.setVisible(bool(text))
        self.button.setText(action_text)
        self.button.setVisible(bool(action_text and action))
        self.setAccessibleName(f"{title}. {reason} {advice}".strip())
        self.show()
        self.raise_()

    @property
    def texts(self) -> tuple[str, str, str]:
        """Title, reason, advice, as shown."""
        return self._title.text(), self._reason.text(), self._advice.text()

    def _act(self) -> None:
        if self._action is not None:
            self._action()

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(event.rect(), QColor(theme.colours.ground))


class BusyLine(QWidget):
    """A line of 3 px on the upper edge and a Cancel button; appears after :data:`PATIENCE_MS` only."""

    cancelled = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._host = parent
        self._progress: float | None = None
        self._cancellable = False
        self.corner = (8, 8)
        """How far from the right and the upper edge the button stands."""
        self.busy = False
        self._clock = QElapsedTimer()
        self._patience = QTimer(self, singleShot=True, interval=PATIENCE_MS)
        self._patience.timeout.connect(self._appear)
        self._slide = QTimer(self, interval=33)
        self._slide.timeout.connect(self.update)
        self.button = QToolButton(parent)
        self.button.setText("Cancel")
        self.button.setToolTip("Stop this computation; what has arrived stays")
        self.button.clicked.connect(self._cancel)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()
        self.button.hide()

    def start(self, progress: float | None, cancellable: bool) -> None:
        """Busy, ``progress`` of the way in 0..1, or for nobody knows how long (None)."""
        self._progress = None if progress is None else min(max(progress, 0.0), 1.0)
        self._cancellable = cancellable
        if not self.busy:
            self.busy = True
            self._clock.start()
            self._patience.start()
        elif self.isVisibleTo(self._host):
            self._appear()

    def stop(self) -> None:
        """Not busy any more."""
        self.busy = False
        self.sleep()
        self.hide()
        self.button.hide()

    def sleep(self) -> None:
        """Stops the timers; the view is not on screen."""
        self._patience.stop()
        self._slide.stop()

    def wake(self) -> None:
        """The view is on screen again."""
        if self.busy:
            self._appear()

    def place(self) -> None:
        """Follows the parent's size."""
        self.setGeometry(0, 0, self._host.width(), 3)
        size = self.button.sizeHint()
        right, top = self.corner
        self.button.setGeometry(self._host.width() - size.width() - right, top, size.width(), size.height())

    def _appear(self) -> None:
        self.place()
        colours = theme.colours
        self.button.setStyleSheet(f"QToolButton {{ background: {colours.raised}; border: 1px solid {colours.line}; }}")
        self.button.setVisible(self._cancellable)
        self.show()
        self.raise_()
        self.button.raise_()
        if self._progress is None:
            self._slide.start()
        else:
            self._slide.stop()
        self.update()

    def _cancel(self) -> None:
        self.stop()
        self.cancelled.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.colours.line))
        width = self.width()
        if self._progress is not None:
            bar = QRectF(0, 0, width * self._progress, self.height())
        else:
            part = (self._clock.elapsed() % 1200) / 1200
            bar = QRectF(width * (1.25 * part - 0.25), 0, width * 0.25, self.height())
        painter.fillRect(bar, QColor(theme.colours.accent))
