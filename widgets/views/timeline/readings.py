"""The numbers of a timeline: one line of what they are at the cursor, and small curves over all moments beneath.

Each reading has its own scale and colour. Knows names and numbers, no moment.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF, QResizeEvent
from PySide6.QtWidgets import QWidget

from widgets.theme import TERMS, theme
from widgets.views.timeline.filmstrip import Readings

Values = Mapping[str, float]
COLOURS = ("blue", "orange", "green", "purple", "red")
LINE, CURVES = 18, 52
"""Pixels of the line of text and of the curves beneath it."""
INSET = 4
FAINT = 0.3
LOG_FROM = 100
"""A reading that is always positive and spans more than this factor is drawn on a logarithmic scale."""


class Scale:
    """From a reading's values to 0 (its least) .. 1 (its greatest); all equal lie in the middle."""

    def __init__(self, values: Sequence[float]) -> None:
        known = [v for v in values if math.isfinite(v)]
        self.lo, self.hi = min(known, default=0.0), max(known, default=0.0)
        self.log = self.lo > 0 and self.hi / self.lo > LOG_FROM

    def __call__(self, value: float) -> float:
        if not self.hi > self.lo:
            return 0.5
        if self.log:
            return math.log(value / self.lo) / math.log(self.hi / self.lo)
        return (value - self.lo) / (self.hi - self.lo)


class ReadingsPlot(Readings):
    """Readings in one line, and as curves where the view is high enough (:meth:`set_low`); dragging scrubs."""

    picked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._now: list[Values | None] = []
        self._pinned: list[Values | None] = []
        self._position = 0
        self._low = self._tall = False
        self._scales: dict[str, Scale] = {}
        self._fresh: set[int] = set()
        self._picture: QPixmap | None = None
        self.setToolTip("What is read off at each moment, each on its own scale; drag to go there")

    # ---- what is shown

    def show_values(self, caption: str, values: Values) -> None:
        super().show_values(caption, values)
        self._fit()

    def set_moments(self, now: Sequence[Values | None], fresh: Collection[int]) -> None:
        """The readings of every moment, None where there is none yet; those not ``fresh`` are drawn faint."""
        self._now, self._fresh = list(now), set(fresh)
        self._rescale()

    def set_pinned(self, pinned: Sequence[Values | None]) -> None:
        """Readings of another timeline over the same axis, of any length, drawn dashed; () takes them away."""
        self._pinned = list(pinned)
        self._rescale()

    def set_position(self, index: int) -> None:
        """Where the cursor stands."""
        self._position = index
        self.update()

    def set_low(self, low: bool) -> None:
        """Whether there is room for the line of text only."""
        if low != self._low:
            self._low, self._picture = low, None
            self.updateGeometry()

    def scale(self, name: str) -> Scale:
        """The scale of a reading, the same for this timeline and the pinned one."""
        return self._scales[name]

    def colour_of(self, name: str) -> QColor | None:
        """The colour of a reading's curve: by its place among the names."""
        names = list(self._scales)
        return QColor(TERMS[COLOURS[names.index(name) % len(COLOURS)]]) if name in self._scales else None

    def has_curves(self) -> bool:
        return not self._low and bool(self._scales) and max(len(self._now), len(self._pinned)) > 1

    def _rescale(self) -> None:
        there = self.has_curves()
        values: dict[str, list[float]] = {}
        for moment in (*self._now, *self._pinned):
            for name, value in (moment or {}).items():
                values.setdefault(name, []).append(value)
        self._scales = {name: Scale(all_of) for name, all_of in values.items()}
        self._picture = None
        if there != self.has_curves():
            self.updateGeometry()
        self.update()

    # ---- geometry

    def rows(self) -> int:
        return 2 if self._tall and not self._low else 1

    def head(self) -> int:
        """Pixels above the curves."""
        return LINE * self.rows()

    def text_rect(self) -> QRectF:
        return QRectF(0, 0, self.width(), self.head())

    def _fit(self) -> None:
        """Takes a second line once the first is too short, and keeps it: nothing jumps from moment to moment."""
        if not self._tall and len(self._values) > 1 and self._caption and self.wanted_width() > self.width():
            self._tall = True
            self._picture = None
            self.updateGeometry()

    def x_of(self, index: int, total: int = 0) -> float:
        """Where moment ``index`` of ``total`` (of this timeline) lies."""
        last = max(1, (total or len(self._now)) - 1)
        return INSET + (self.width() - 2 * INSET) * index / last

    def y_of(self, name: str, value: float) -> float:
        """Where a value of a reading lies: its least at the bottom of the plot."""
        return self.height() - INSET - (self.height() - self.head() - 2 * INSET) * self._scales[name](value)

    def index_at(self, x: float) -> int:
        """The moment whose place is nearest."""
        last = max(0, len(self._now) - 1)
        return min(max(round((x - INSET) / max(1, self.width() - 2 * INSET) * last), 0), last)

    def sizeHint(self) -> QSize:
        return QSize(120, self.head() + (CURVES if self.has_curves() else 0))

    def minimumSizeHint(self) -> QSize:
        return QSize(40, self.sizeHint().height())

    # ---- painting

    def _polylines(self) -> list[tuple[QPen, QPolygonF]]:
        """The curves, the present ones last so that they lie above; a gap where a moment or a number lacks."""
        lines: list[tuple[QPen, QPolygonF]] = []
        fresh = [moment if i in self._fresh else None for i, moment in enumerate(self._now)]
        old = self._now if len(self._fresh) < len(self._now) else []
        for source, alpha, dashed in ((old, FAINT, False), (self._pinned, 1.0, True), (fresh, 1.0, False)):
            for name in self._scales:
                colour = self.colour_of(name) or QColor(theme.colours.text)
                colour.setAlphaF(alpha)
                pen = QPen(colour, 1.5)
                if dashed:
                    pen.setDashPattern([2.5, 2.5])
                points = QPolygonF()
                for i, moment in enumerate([*source, None]):
                    value = math.nan if moment is None else moment.get(name, math.nan)
                    if math.isfinite(value):
                        points.append(QPointF(self.x_of(i, len(source)), self.y_of(name, value)))
                    elif not points.isEmpty():
                        lines.append((pen, points))
                        points = QPolygonF()
        return lines

    def _curves(self) -> QPixmap:
        """The curves as a picture: while a hand scrubs, only the cursor moves."""
        dpr = self.devicePixelRatioF()
        picture = QPixmap(self.size() * dpr)
        picture.setDevicePixelRatio(dpr)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for pen, points in self._polylines():
            painter.setPen(pen)
            painter.drawPolyline(points)
        painter.end()
        return picture

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self.has_curves():
            return
        painter = QPainter(self)
        painter.setPen(QColor(theme.colours.line))
        painter.drawLine(QPointF(0, self.height() - 0.5), QPointF(self.width(), self.height() - 0.5))
        painter.setPen(QPen(QColor(theme.colours.accent), 1))
        x = round(self.x_of(self._position)) + 0.5
        painter.drawLine(QPointF(x, self.head() + 2), QPointF(x, self.height() - 1))
        if self._picture is None or self._picture.devicePixelRatioF() != self.devicePixelRatioF():
            self._picture = self._curves()
        painter.drawPixmap(0, 0, self._picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        here = self._now[self._position] if self._position < len(self._now) else None
        painter.setPen(Qt.PenStyle.NoPen)
        for name, value in (here or {}).items():
            colour = self.colour_of(name)
            if colour is not None and math.isfinite(value):
                painter.setBrush(colour)
                painter.drawEllipse(QPointF(self.x_of(self._position), self.y_of(name, value)), 3, 3)

    # ---- hands

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._picture = None
        if event.size().width() > event.oldSize().width() and self._tall:
            self._tall = False  # wider, one line may do again
            self.updateGeometry()
        self._fit()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._scrub(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._scrub(event)

    def _scrub(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton and self.has_curves():
            self.picked.emit(self.index_at(event.position().x()))
