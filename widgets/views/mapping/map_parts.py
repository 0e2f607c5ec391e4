"""The small parts on a latent map: the card of the hovered item, the bar of a drawn path. Know no plot."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QElapsedTimer, QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QWidget

from widgets.theme import RADIUS, icon, theme
from widgets.views.images import make_atlas
from widgets.views.paint import caption_font

THUMB = 56
PATH_SECONDS = 4.0
PATH_INTERVAL_MS = 33


class HoverCard(QWidget):
    """An item's thumbnail, label and number, beside the mouse; never in the mouse's way."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._thumb: QImage | None = None
        self.lines: tuple[str, ...] = ()
        self.hide()

    def show_item(self, thumb: NDArray[Any] | None, lines: tuple[str, ...], at: QPointF) -> None:
        """``thumb`` (h, w, ch) or None; ``at`` is the mouse in the parent's pixels."""
        self.lines = lines
        self._thumb = None
        if thumb is not None:
            sheet = make_atlas(thumb[None])
            factor = THUMB / max(sheet.width, sheet.height)
            factor = max(1, int(factor)) if factor >= 1 else factor
            size = QSize(round(sheet.width * factor), round(sheet.height * factor))
            how = (
                Qt.TransformationMode.FastTransformation if factor >= 1 else Qt.TransformationMode.SmoothTransformation
            )
            self._thumb = sheet.image.copy().scaled(size, Qt.AspectRatioMode.IgnoreAspectRatio, how)
        metrics = QFontMetricsF(caption_font(self))
        text = max((metrics.horizontalAdvance(line) for line in lines), default=0.0)
        picture = self._thumb.width() + 8 if self._thumb else 0
        tall = max(self._thumb.height() if self._thumb else 0, metrics.height() * len(lines))
        self.resize(round(picture + text + 17), round(tall + 12))
        room = self.parentWidget().rect()  # type: ignore[union-attr]  # made with a parent
        x = at.x() + 16 if at.x() + 16 + self.width() <= room.right() else at.x() - 16 - self.width()
        y = at.y() + 16 if at.y() + 16 + self.height() <= room.bottom() else at.y() - 16 - self.height()
        self.move(round(max(0.0, x)), round(max(0.0, y)))
        self.show()
        self.raise_()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(caption_font(self))
        painter.setPen(QColor(theme.colours.line))
        painter.setBrush(QColor(theme.colours.raised))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
        x = 6.0
        if self._thumb is not None:
            painter.drawImage(QPointF(6, (self.height() - self._thumb.height()) // 2), self._thumb)
            x += self._thumb.width() + 8
        height = QFontMetricsF(painter.font()).height()
        y = (self.height() - height * len(self.lines)) / 2
        painter.setPen(QColor(theme.colours.text))
        for line in self.lines:
            painter.drawText(QRectF(x, y, self.width() - x, height), Qt.AlignmentFlag.AlignLeft, line)
            painter.setPen(QColor(theme.colours.quiet))
            y += height


class PathBar(QWidget):
    """Play, Loop and Clear for a drawn path; while it plays, ``walked`` tells how far along, 0..1."""

    walked = Signal(float)
    stopped = Signal()
    cleared = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.seconds = PATH_SECONDS
        self._clock = QElapsedTimer()
        self._timer = QTimer(self, interval=PATH_INTERVAL_MS)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self.play_button, self.loop_button, self.clear_button = QToolButton(), QToolButton(), QToolButton()
        self.loop_button.setCheckable(True)
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 4, 4, 4)
        row.setSpacing(4)
        for button, text, tip in (
            (self.play_button, "Play", "Walk z along the path"),
            (self.loop_button, "Loop", "Begin again at the end"),
            (self.clear_button, "Clear", "Take the path away (Esc)"),
        ):
            button.setText(text)
            button.setToolTip(tip)
            button.setAccessibleName(tip)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            row.addWidget(button)
        self.play_button.clicked.connect(self.toggle)
        self.clear_button.clicked.connect(self.cleared)
        self.hide()
        self.restyle()

    @property
    def playing(self) -> bool:
        return self._timer.isActive()

    def toggle(self) -> None:
        """Starts from the path's beginning, or stops."""
        if self.playing:
            self.stop()
            return
        self._clock.start()
        self._timer.start()
        self.restyle()
        self.walked.emit(0.0)

    def stop(self) -> None:
        """Stops where it is; ``stopped`` follows if it was playing."""
        if self.playing:
            self._timer.stop()
            self.restyle()
            self.stopped.emit()

    def restyle(self) -> None:
        self.play_button.setIcon(icon("pause" if self.playing else "play"))
        self.play_button.setText("Stop" if self.playing else "Play")
        self.loop_button.setIcon(icon("repeat"))
        self.clear_button.setIcon(icon("x"))

    def _tick(self) -> None:
        part = self._clock.elapsed() / 1000 / self.seconds
        if part < 1:
            self.walked.emit(part)
        elif self.loop_button.isChecked():
            self._clock.start()
            self.walked.emit(0.0)
        else:
            self.walked.emit(1.0)
            self.stop()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(theme.colours.line))
        painter.setBrush(QColor(theme.colours.raised))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)


def along(path: NDArray[Any], part: float) -> tuple[float, float]:
    """The point that lies ``part`` (0..1) of the length along ``path`` (M, 2)."""
    steps = np.hypot(*np.diff(path, axis=0).T)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    here = part * length[-1]
    return float(np.interp(here, length, path[:, 0])), float(np.interp(here, length, path[:, 1]))
