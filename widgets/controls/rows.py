"""How a row of a form is drawn: its label, track and figure. Knows neither events nor values, only where and what."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen

from widgets.controls.svg import paint_svg, svg_box
from widgets.theme import CAPTION, RADIUS, theme

HANDLE = 6
"""Radius of the handle, in pixels."""
GAP = 8
_LEFT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
_RIGHT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)


@dataclass(frozen=True)
class State:
    """What a track shows besides its value: the focus or the hand makes it ``lively``."""

    enabled: bool = True
    lively: bool = False
    hovered: bool = False


def paint_track(painter: QPainter, track: QRectF, at: float, start: float | None, state: State) -> None:
    """A track with its handle at ``at`` (0..1), filled from its left end, or from ``start`` where that is given."""
    c = theme.colours
    x, middle = track.left() + at * track.width(), track.center().y()
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(c.line))
    painter.drawRoundedRect(QRectF(track.left() - 2, middle - 2, track.width() + 4, 4), 2, 2)
    origin = track.left() - 2
    if start is not None:
        origin = track.left() + start * track.width()
        painter.drawRoundedRect(QRectF(origin - 1, middle - 5, 2, 10), 1, 1)
    painter.setBrush(QColor(c.line if not state.enabled else c.accent if state.lively else c.quiet))
    painter.drawRoundedRect(QRectF(min(origin, x), middle - 2, abs(x - origin), 4), 2, 2)
    if not state.enabled:
        painter.setBrush(QColor(c.quiet))
        painter.drawEllipse(QPointF(x, middle), HANDLE - 2, HANDLE - 2)
        return
    painter.setPen(QPen(QColor(c.ground), 2))  # a gap between the handle and the track
    painter.setBrush(QColor(c.accent if state.lively else c.text))
    radius = HANDLE + (1 if state.hovered or state.lively else 0)
    painter.drawEllipse(QPointF(x, middle), radius, radius)


def paint_label(painter: QPainter, place: QRect, label: str, symbol: str, font: QFont, enabled: bool) -> None:
    """The ``symbol`` (SVG) if there is one, else the label."""
    colour = theme.colours.text if enabled else theme.colours.quiet
    box = svg_box(symbol)
    if not box.isEmpty():
        top = place.top() + (place.height() - box.height()) / 2
        paint_svg(painter, symbol, colour, QRectF(place.left(), top, box.width(), box.height()))
        return
    painter.setFont(font)
    painter.setPen(QColor(colour))
    painter.drawText(place, _LEFT, QFontMetrics(font).elidedText(label, Qt.TextElideMode.ElideRight, place.width()))


def paint_figure(painter: QPainter, place: QRect, text: str, font: QFont, enabled: bool, hovered: bool) -> None:
    """The value, right-aligned, on a ground that shows under the mouse that it can be typed over."""
    c = theme.colours
    if hovered:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(c.hover))
        painter.drawRoundedRect(place.adjusted(-4, 0, 0, 0), RADIUS - 2, RADIUS - 2)
    painter.setFont(font)
    painter.setPen(QColor(c.text if enabled else c.quiet))
    painter.drawText(place.adjusted(0, 0, -2, 0), _RIGHT, text)


def paint_refusal(painter: QPainter, place: QRect, reason: str, font: QFont) -> None:
    """Why the typed text was refused, where the track was."""
    small = QFont(font)
    small.setPixelSize(CAPTION)
    painter.setFont(small)
    painter.setPen(QColor(theme.colours.bad))
    text = QFontMetrics(small).elidedText(reason, Qt.TextElideMode.ElideRight, place.width())
    painter.drawText(place, _RIGHT, text)
