"""The colour bar of a scalar or height, and the legend of labels, painted over the picture. Knows no thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QPainter, QPen

from widgets.theme import LABELS, RADIUS, theme
from widgets.views.paint import number, ticks

WIDTH, TALLEST, MARGIN = 10, 160, 12
"""Pixels of the bar, and to the picture's edge."""
LOWEST = 200
"""A lower picture has no bar."""
MOST_NAMES = 10


@dataclass(frozen=True)
class Bar:
    """What a bar says: ``title``, the range ``lo``..``hi`` and ``table`` uint8 (256, 3), low to high; ``marks`` are
    texts at shares 0..1 of it, where they are not the range's own numbers."""

    title: str
    lo: float
    hi: float
    table: Any
    marks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Names:
    """A legend of labels: pairs of the label's number and its name."""

    title: str
    names: Sequence[tuple[int, str]]


def place(bounds: QRectF) -> QRectF:
    """Where the bar itself is: low on the right, below the view cube."""
    tall = min(TALLEST, bounds.height() * 0.42)
    return QRectF(bounds.right() - MARGIN - WIDTH, bounds.bottom() - MARGIN - tall, WIDTH, tall)


def paint(painter: QPainter, bounds: QRectF, bar: Bar | Names | None) -> None:
    """Draws ``bar`` with numbers at its left, or the names of labels."""
    if bar is None or bounds.height() < LOWEST:
        return
    if isinstance(bar, Names):
        _paint_names(painter, bounds, bar)
        return
    box = place(bounds)
    metrics = QFontMetricsF(painter.font())
    marks = bar.marks or _numbers(bar, box.height())
    room = max(metrics.horizontalAdvance(text) for _, text in marks)
    title = metrics.elidedText(bar.title, Qt.TextElideMode.ElideRight, 110)
    left = min(box.left() - room - 10, box.right() - metrics.horizontalAdvance(title))
    _ground(painter, QRectF(left - 6, box.top() - 24, box.right() - left + 12, box.height() + 32))
    painter.setPen(QColor(theme.colours.text))
    painter.drawText(QRectF(left, box.top() - 21, box.right() - left, 16), Qt.AlignmentFlag.AlignRight, title)
    column = np.ascontiguousarray(np.asarray(bar.table, np.uint8)[::-1, None])
    image = QImage(column.data, 1, len(column), 3, QImage.Format.Format_RGB888)
    painter.drawImage(box, image.copy())
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(theme.colours.line), 1))
    painter.drawRect(box)
    for share, text in marks:
        y = box.bottom() - share * box.height()
        painter.setPen(QColor(theme.colours.quiet))
        painter.drawLine(QPointF(box.left() - 4, y), QPointF(box.left(), y))
        painter.setPen(QColor(theme.colours.text))
        align = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(left, y - 8, box.left() - 7 - left, 16), align, text)


def _numbers(bar: Bar, height: float) -> tuple[tuple[float, str], ...]:
    """The ends of the range and what has room between them: shares 0..1 and numbers."""
    size = bar.hi - bar.lo
    apart = size * 18 / height
    between = [v for v in ticks(bar.lo, bar.hi, max(2, int(height / 36))) if bar.lo + apart < v < bar.hi - apart]
    return tuple(((value - bar.lo) / size, number(value)) for value in (bar.lo, *between, bar.hi))


def _paint_names(painter: QPainter, bounds: QRectF, bar: Names) -> None:
    metrics = QFontMetricsF(painter.font())
    shown = [(n, metrics.elidedText(name, Qt.TextElideMode.ElideRight, 110)) for n, name in bar.names[:MOST_NAMES]]
    if len(bar.names) > MOST_NAMES:
        shown.append((-1, f"and {len(bar.names) - MOST_NAMES} more"))
    if not shown:
        return
    wide = max(metrics.horizontalAdvance(name) for _, name in shown) + 28
    tall = 16.0 * len(shown) + 8
    box = QRectF(bounds.right() - MARGIN - wide, bounds.bottom() - MARGIN - tall, wide, tall)
    _ground(painter, box)
    for i, (n, name) in enumerate(shown):
        y = box.top() + 4 + 16 * i
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(LABELS[n % len(LABELS)]) if n >= 0 else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(QPointF(box.left() + 11, y + 8), 4, 4)
        painter.setPen(QColor(theme.colours.text))
        painter.drawText(QRectF(box.left() + 22, y, wide, 16), Qt.AlignmentFlag.AlignVCenter, name)


def _ground(painter: QPainter, box: QRectF) -> None:
    """A quiet ground, so that the words can be read over any picture."""
    fill = QColor(theme.colours.ground)
    fill.setAlpha(190)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(fill)
    painter.drawRoundedRect(box, RADIUS - 2, RADIUS - 2)
