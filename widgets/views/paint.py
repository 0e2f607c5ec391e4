"""Small painting that the views share: fonts, chips of text, numbers, axis ticks. Knows the theme, no payload."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter
from PySide6.QtWidgets import QWidget

from widgets.theme import CAPTION, RADIUS, tabular, theme


def caption_font(widget: QWidget) -> QFont:
    """The 11 px font with digits of one width."""
    font = tabular(widget.font())
    font.setPixelSize(CAPTION)
    return font


def number(value: float) -> str:
    """A short text of a number: three significant digits, a real minus sign, no trailing jitter of width."""
    if not math.isfinite(value):
        return "not finite"
    size = abs(value)
    if size >= 1e5 or 0 < size < 1e-3:
        text = f"{value:.1e}"
    else:
        text = f"{value:.{0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3}f}"
    return text.replace("-", "−")


def ticks(lo: float, hi: float, most: int) -> list[float]:
    """Round numbers in ``lo``..``hi``, at most about ``most`` of them."""
    if not (hi > lo and most > 0):
        return []
    raw = (hi - lo) / most
    base = 10.0 ** math.floor(math.log10(raw))
    step = next(base * m for m in (1, 2, 5, 10) if base * m >= raw * (1 - 1e-9))
    first = math.ceil(lo / step - 1e-9)
    return [k * step for k in range(first, math.floor(hi / step + 1e-9) + 1)]


def chip(painter: QPainter, bounds: QRectF, at: QPointF, lines: Sequence[str]) -> QRectF:
    """A small raised box of text near ``at`` that stays inside ``bounds``; returns where it was drawn."""
    metrics = QFontMetricsF(painter.font())
    room = max(40.0, bounds.width() - 16)
    shown = [metrics.elidedText(line, Qt.TextElideMode.ElideRight, room) for line in lines if line]
    if not shown:
        return QRectF()
    width = max(metrics.horizontalAdvance(line) for line in shown) + 16
    height = metrics.height() * len(shown) + 8
    x, y = at.x() + 12, at.y() + 16
    if x + width > bounds.right():
        x = max(bounds.left(), at.x() - 12 - width)
    if y + height > bounds.bottom():
        y = max(bounds.top(), at.y() - 8 - height)
    x = min(x, max(bounds.left(), bounds.right() - width))
    box = QRectF(x, y, width, height)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QColor(theme.colours.line))
    painter.setBrush(QColor(theme.colours.raised))
    painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), RADIUS - 2, RADIUS - 2)
    painter.setPen(QColor(theme.colours.text))
    for i, line in enumerate(shown):
        where = QRectF(x + 8, y + 4 + i * metrics.height(), width - 16, metrics.height())
        painter.drawText(where, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, line)
        painter.setPen(QColor(theme.colours.quiet))
    painter.restore()
    return box
