"""The view of :class:`Bars`: values with whiskers beside the picture that they are about. Painted by hand.

Knows that whiskers are compared with a standard normal: its ±1 is the faint band.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from PySide6.QtCore import QEvent, QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from engine.payloads import Bars, Payload
from widgets.theme import TERMS, theme
from widgets.views.base import View
from widgets.views.canvas import ImageCanvas
from widgets.views.paint import caption_font, chip, number, ticks
from widgets.views.timeline.text import wrapped

MARGIN = 12
HEAD, LINE = 22, 15
"""Pixels of the line with the key, and of each line of a caption that has no room beside it."""
FOOT = 20
AXIS = 40
WIDEST_BAR = 40.0


def _tick(value: float) -> str:
    return f"{value:g}".replace("-", "−")


class BarPlot(QWidget):
    """Bars over names; the scale grows at once and shrinks only when half of it is empty, so that it does not jump."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Bars")
        self.bars: Bars | None = None
        self._values = np.zeros(0)
        self._spread: np.ndarray | None = None
        self._lo, self._hi = 0.0, 0.0
        self._lines = 0
        """Lines of the caption below the key: kept once they were needed, so that numbers of another width move
        nothing."""
        self._mouse: QPointF | None = None

    def set_bars(self, bars: Bars | None) -> None:
        self.bars = bars
        self._lines = max(self._lines, len(self._caption_lines())) if bars is not None else 0
        self._values = np.zeros(0) if bars is None else np.nan_to_num(np.asarray(bars.values, np.float64))
        spread = None if bars is None else bars.spread
        self._spread = None if spread is None else np.nan_to_num(np.asarray(spread, np.float64))
        if len(self._values):
            reach = 0.0 if self._spread is None else self._spread
            lo = min(0.0, float((self._values - reach).min()), -1.1 if self._spread is not None else 0.0)
            hi = max(0.0, float((self._values + reach).max()), 1.1 if self._spread is not None else 0.0)
            if hi == lo:
                hi = lo + 1.0
            old = self._hi - self._lo
            if lo < self._lo or hi > self._hi or hi - lo < 0.5 * old:
                pad = 0.08 * (hi - lo)
                self._lo, self._hi = lo - (pad if lo < 0 else 0.0), hi + (pad if hi > 0 else 0.0)
        self.update()

    # ---- geometry

    def field(self) -> QRectF:
        """Where the bars are."""
        head = HEAD + LINE * self._lines
        high = max(1, self.height() - head - FOOT - 8)
        metrics = QFontMetricsF(caption_font(self))
        widest = max((metrics.horizontalAdvance(_tick(v)) for v in self._ticks(high)), default=0.0)
        axis = max(AXIS, round(widest) + 14)
        return QRectF(axis, head, max(1, self.width() - axis - MARGIN), high)

    def _ticks(self, high: float) -> list[float]:
        """The values beside the axis of so many pixels."""
        return ticks(self._lo, self._hi, max(2, int(high / 48)))

    def _key(self) -> list[tuple[str, str]]:
        """What is drawn, and its colour."""
        assert self.bars is not None
        key = [(self.bars.value_name or "value", theme.colours.accent)]
        if self._spread is not None:
            key += [(f"± {self.bars.spread_name or 'spread'}", theme.colours.text), ("prior N(0, 1)", TERMS["purple"])]
        return key

    def _beside_key(self, metrics: QFontMetricsF) -> float:
        """The room for the caption in the line of the key."""
        return self.width() - 2 * MARGIN - sum(metrics.horizontalAdvance(text) + 26 for text, _ in self._key())

    def _caption_lines(self) -> list[str]:
        """The caption where it needs lines of its own; [] where it stands beside the key."""
        metrics = QFontMetricsF(caption_font(self))
        if self.bars is None or metrics.horizontalAdvance(self.bars.caption) <= self._beside_key(metrics):
            return []
        return wrapped(metrics, self.bars.caption, self.width() - 2 * MARGIN)

    def y_of(self, value: float) -> float:
        """The height on screen of a value."""
        field = self.field()
        return field.bottom() - (value - self._lo) / ((self._hi - self._lo) or 1.0) * field.height()

    def bar_rect(self, index: int) -> QRectF:
        """The bar of entry ``index``, between zero and its value."""
        field = self.field()
        pitch = field.width() / max(1, len(self._values))
        width = min(pitch * 0.64, WIDEST_BAR)
        middle = field.left() + (index + 0.5) * pitch
        zero, top = self.y_of(0.0), self.y_of(float(self._values[index]))
        return QRectF(middle - width / 2, min(zero, top), width, abs(zero - top))

    def bar_at(self, at: QPointF) -> int | None:
        """The entry in whose column a point lies."""
        field = self.field()
        if not len(self._values) or not field.left() <= at.x() < field.right():
            return None
        return int((at.x() - field.left()) / field.width() * len(self._values))

    def describe(self, index: int) -> list[str]:
        """Name, value and spread of an entry, in words."""
        assert self.bars is not None
        lines = [self._name(index), f"{self.bars.value_name or 'value'} {number(float(self._values[index]))}"]
        if self._spread is not None:
            lines.append(f"{self.bars.spread_name or 'spread'} {number(float(self._spread[index]))}")
        return lines

    def _name(self, index: int) -> str:
        names = self.bars.names if self.bars is not None else ()
        return names[index] if index < len(names) else str(index + 1)

    # ---- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.bars is None or not len(self._values):
            return
        painter = QPainter(self)
        painter.setFont(caption_font(self))
        metrics = QFontMetricsF(painter.font())
        colours, field = theme.colours, self.field()
        if self._spread is not None:
            band = QColor(TERMS["purple"])
            band.setAlpha(34)
            painter.fillRect(QRectF(QPointF(field.left(), self.y_of(1)), QPointF(field.right(), self.y_of(-1))), band)
        for value in self._ticks(field.height()):
            y = round(self.y_of(value)) + 0.5
            zero = abs(value) < 1e-12
            painter.setPen(QPen(QColor(colours.quiet if zero else colours.line), 1))
            painter.drawLine(QLineF(field.left(), y, field.right(), y))
            painter.setPen(QColor(colours.quiet))
            box = QRectF(0, y - 8, field.left() - 8, 16)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, _tick(value))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        hovered = self.bar_at(self._mouse) if self._mouse is not None else None
        for i in range(len(self._values)):
            rect = self.bar_rect(i)
            fill = QColor(colours.accent)
            fill.setAlpha(255 if i == hovered else 190)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(fill)
            painter.drawRoundedRect(rect, 1.5, 1.5)
            if self._spread is not None:
                self._paint_whisker(painter, rect, float(self._values[i]), float(self._spread[i]))
        self._paint_names(painter, metrics)
        self._paint_head(painter, metrics)
        if hovered is not None and self._mouse is not None:
            chip(painter, QRectF(self.rect()), self._mouse, self.describe(hovered))

    def _paint_whisker(self, painter: QPainter, rect: QRectF, value: float, spread: float) -> None:
        x, lo, hi = rect.center().x(), self.y_of(value - spread), self.y_of(value + spread)
        cap = min(4.0, rect.width() / 2)
        painter.setPen(QPen(QColor(theme.colours.text), 1.4))
        painter.drawLine(QLineF(x, lo, x, hi))
        for y in (lo, hi):
            painter.drawLine(QLineF(x - cap, y, x + cap, y))

    def _paint_names(self, painter: QPainter, metrics: QFontMetricsF) -> None:
        n, field = len(self._values), self.field()
        pitch = field.width() / n
        widest = max(metrics.horizontalAdvance(self._name(i)) for i in range(n)) + 6
        every = max(1, int(np.ceil(min(widest, 64) / pitch)))
        painter.setPen(QColor(theme.colours.quiet))
        for i in range(0, n, every):
            middle = field.left() + (i + 0.5) * pitch
            box = QRectF(middle - pitch * every / 2, field.bottom() + 6, pitch * every, 16)
            text = metrics.elidedText(self._name(i), Qt.TextElideMode.ElideRight, box.width())
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_head(self, painter: QPainter, metrics: QFontMetricsF) -> None:
        """The key, at the right above the bars, and the caption beside or below it."""
        assert self.bars is not None
        colours = theme.colours
        x = float(self.width() - MARGIN)
        lines = self._caption_lines()
        painter.setPen(QColor(colours.quiet))
        for i, text in enumerate(lines or [self.bars.caption]):
            y = 2 + LINE * (i + 1) if lines else 2
            painter.drawText(QRectF(MARGIN, y, self.width() - 2 * MARGIN, 16), Qt.AlignmentFlag.AlignVCenter, text)
        for text, colour in reversed(self._key()):
            width = metrics.horizontalAdvance(text)
            if x - width - 14 < MARGIN:
                return
            painter.setPen(QColor(colours.quiet))
            painter.drawText(QRectF(x - width, 2, width + 1, 16), Qt.AlignmentFlag.AlignVCenter, text)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colour))
            painter.drawRoundedRect(QRectF(x - width - 13, 6, 8, 8), 2, 2)
            x -= width + 26

    # ---- hands

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._lines = len(self._caption_lines())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._mouse = event.position()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._mouse = None
        self.update()


class BarsView(View):
    """Bars with whiskers, the picture that they are about at their left; hover reads the numbers."""

    accepts = Bars

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plot = BarPlot()
        self.image = ImageCanvas()
        self.image.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.image.setAccessibleName("What the bars are about")
        self.image.hide()
        body = QWidget()
        row = QHBoxLayout(body)
        row.setContentsMargins(0, 8, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.image, 2)
        row.addWidget(self.plot, 5)
        self.set_body(body)
        self.setFocusProxy(self.plot)

    def draw_payload(self, payload: Payload) -> None:
        bars = cast(Bars, payload)
        values = np.asarray(bars.values)
        if values.ndim != 1 or not len(values):
            raise ValueError(f"Bars need one row of numbers; these are {values.shape}.")
        if bars.spread is not None and np.shape(bars.spread) != values.shape:
            raise ValueError(f"There are {len(values)} values and {np.size(bars.spread)} spreads.")
        if bars.image is not None:
            self.image.set_images(np.asarray(bars.image)[None])
        self.image.setVisible(bars.image is not None)
        self.plot.set_bars(bars)

    def forget(self) -> None:
        self.plot.set_bars(None)
        self.image.clear()

    def restyle(self) -> None:
        self.plot.update()

    def picture(self) -> QImage:
        self.plot.leaveEvent(QEvent(QEvent.Type.Leave))
        self.image.picture()
        return super().picture()
