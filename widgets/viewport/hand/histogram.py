"""A histogram with two handles that enclose a range: what is drawn, dragged and moved by keys. Knows no scene.

Positions along the axis are even shares of it; what numbers they stand for is told by the edges of the bins.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.theme import theme
from widgets.views.paint import caption_font, number

SIDE, FOOT = 8.0, 14.0
"""Pixels left and right of the bars, and below them for the numbers."""
STEP = 0.01
"""Share of the axis that an arrow key moves a handle by."""


class Histogram(QWidget):
    """Counts over bins and a range in them."""

    changed = Signal(float, float, bool)
    """The least and greatest number of the range, and whether the hand has let go."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Histogram with a range")
        self.setToolTip("Drag the ends of the range, or what is between them; arrow keys move the upper end, with "
                        "Shift the lower one; a double click takes all")  # fmt: skip
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(58)
        self._counts = np.zeros(0)
        self._edges = np.array([0.0, 1.0])
        self._log = False
        self.ends = [0.0, 1.0]
        """The range as shares of the axis."""
        self._held = -1
        self._from = 0.0

    def sizeHint(self) -> QSize:
        return QSize(300, 58)

    def show_counts(self, counts: Any, edges: Any, log: bool, keep: bool) -> None:
        """Another histogram; ``keep`` leaves the range's numbers as they are where they still lie on the axis."""
        low, high = self.range()
        whole = self.ends == [0.0, 1.0] or not keep
        self._counts, self._edges, self._log = np.asarray(counts, np.float64), np.asarray(edges, np.float64), log
        self.ends = [0.0, 1.0] if whole else sorted((self._share(low), self._share(high)))
        self.update()

    @property
    def whole(self) -> bool:
        """Whether the range is the whole axis."""
        return self.ends == [0.0, 1.0]

    def number_at(self, share: float) -> float:
        """What a share of the axis stands for."""
        low, high = float(self._edges[0]), float(self._edges[-1])
        if not self._log:
            return low + share * (high - low)
        return 10.0 ** (math.log10(low) + share * (math.log10(high) - math.log10(low)))

    def range(self) -> tuple[float, float]:
        """The least and greatest number; at the ends of the axis infinite, so that rounding leaves none out."""
        low, high = self.ends
        return (-math.inf if low <= 0 else self.number_at(low)), (math.inf if high >= 1 else self.number_at(high))

    def _share(self, value: float) -> float:
        low, high = float(self._edges[0]), float(self._edges[-1])
        if not math.isfinite(value):
            return 0.0 if value < 0 else 1.0
        if self._log:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, 1e-300))
        return min(max((value - low) / (high - low), 0.0), 1.0)

    # ---- geometry

    def _field(self) -> QRectF:
        return QRectF(SIDE, 2, max(1.0, self.width() - 2 * SIDE), self.height() - FOOT - 2)

    def x_of(self, share: float) -> float:
        """The pixel of a share of the axis."""
        field = self._field()
        return field.left() + share * field.width()

    def _at(self, x: float) -> float:
        field = self._field()
        return min(max((x - field.left()) / field.width(), 0.0), 1.0)

    # ---- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(caption_font(self))
        colours, field = theme.colours, self._field()
        left, right = (self.x_of(end) for end in self.ends)
        if len(self._counts):
            # by the logarithm: few are to be seen beside many
            heights = np.log1p(self._counts) / np.log1p(max(float(self._counts.max()), 1.0))
            width = field.width() / len(heights)
            inside, outside = QColor(colours.accent), QColor(colours.quiet)
            outside.setAlpha(90)
            for k, height in enumerate(heights.tolist()):
                if height <= 0:
                    continue
                x, tall = field.left() + k * width, max(1.0, height * field.height())
                within = left <= x + width / 2 <= right
                bar = QRectF(x, field.bottom() - tall, max(1.0, width - 1), tall)
                painter.fillRect(bar, inside if within else outside)
        painter.setPen(QPen(QColor(colours.line), 1))
        painter.drawLine(QPointF(field.left(), field.bottom()), QPointF(field.right(), field.bottom()))
        metrics = painter.fontMetrics()
        texts = [number(self.number_at(end)) for end in self.ends]
        wide = [metrics.horizontalAdvance(text) for text in texts]
        places = [left - wide[0] / 2, right - wide[1] / 2]
        places[0] = min(max(places[0], 2.0), self.width() - wide[0] - wide[1] - 14.0)
        places[1] = min(max(places[1], places[0] + wide[0] + 10), self.width() - wide[1] - 2.0)
        for x, at, text in zip((left, right), places, texts, strict=True):
            painter.setPen(QPen(QColor(colours.text), 1.5))
            painter.drawLine(QPointF(x, field.top()), QPointF(x, field.bottom() + 3))
            painter.setPen(QColor(colours.text if self.hasFocus() else colours.quiet))
            painter.drawText(QPointF(at, self.height() - 2), text)
        painter.end()

    # ---- the hand

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        share = self._at(event.position().x())
        away = [abs(share - end) for end in self.ends]
        near = 10 / max(self._field().width(), 1.0)
        inside = self.ends[0] < share < self.ends[1]
        if min(away) > near and inside and not self.whole:
            self._held = 2
        else:
            self._held = 0 if away[0] < away[1] or (away[0] == away[1] and share <= self.ends[0]) else 1
        self._from = share
        self._drag(share, False)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._held >= 0:
            self._drag(self._at(event.position().x()), False)
        else:
            near = min(abs(event.position().x() - self.x_of(end)) for end in self.ends) < 10
            self.setCursor(Qt.CursorShape.SizeHorCursor if near else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._held >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self._drag(self._at(event.position().x()), True)
            self._held = -1

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._held = -1
        self.ends = [0.0, 1.0]
        self._say(True)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Left: -STEP, Qt.Key.Key_Right: STEP}
        step = steps.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
            return
        lower = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        moved = self.ends[0 if lower else 1] + step
        if lower:
            self.ends[0] = min(max(moved, 0.0), self.ends[1])
        else:
            self.ends[1] = max(min(moved, 1.0), self.ends[0])
        self._say(True)

    def _drag(self, share: float, settled: bool) -> None:
        if self._held == 2:
            by = min(max(share - self._from, -self.ends[0]), 1.0 - self.ends[1])
            self.ends = [self.ends[0] + by, self.ends[1] + by]
            self._from = share
        else:
            self.ends[self._held] = share
            if self.ends[0] > self.ends[1]:
                self.ends.reverse()
                self._held = 1 - self._held
        self._say(settled)

    def _say(self, settled: bool) -> None:
        self.update()
        self.changed.emit(*self.range(), settled)
