"""What a viewport paints over its picture: clipping, measurements, colour bar, readings, what is under the hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter

from engine.scene import Field, Mesh, Points, Splats
from widgets.theme import RADIUS, theme
from widgets.viewport.camera import project
from widgets.viewport.colours import table_of, value_range
from widgets.viewport.hand.picking import to_world
from widgets.viewport.hand.select import number_marked
from widgets.viewport.hand.state import best_colour_by
from widgets.viewport.over import colour_bar
from widgets.viewport.over.overlay import Overlay, paint_band, paint_clip, paint_measure, paint_ring
from widgets.views.paint import chip, number

if TYPE_CHECKING:
    from widgets.viewport.viewport import Viewport

MOST = 300_000
"""Of a longer column of numbers every n-th is looked at for the ends of a colour bar."""


def reading(value: float) -> str:
    """A number read off: whole ones in full."""
    whole = value.is_integer() and abs(value) < 1e9
    return f"{int(value):,}".replace("-", "−") if whole else number(value)


class Layers:
    """The layers of one viewport, in the order of painting."""

    def __init__(self, viewport: Viewport) -> None:
        self._view = viewport
        self.readings: Mapping[str, float] = {}
        self._ranges: dict[str, tuple[Any, tuple[float, float]]] = {}
        over: Overlay = viewport.overlay
        over.layers = [viewport.wipe.paint_over, self._clip, self._measure, self._readings, self._bar, self._hands]

    def _clip(self, painter: QPainter, bounds: QRectF) -> None:
        clip = self._view.state.clip
        if clip is not None:
            paint_clip(painter, bounds, self._view.navigator.camera, clip, self._view.hands.lit)

    def _measure(self, painter: QPainter, bounds: QRectF) -> None:
        view = self._view
        if view.touch.measure is None or not view.touch.measure.places:
            return
        ahead = float(project(view.navigator.camera, view.touch.measure.places[0], *view.size_of())[0, 2])
        step = view.step_at(ahead)
        lines = [view.touch.measure.text(step), view.touch.measure.more(step)]
        paint_measure(painter, bounds, view.navigator.camera, view.touch.measure, lines)

    def _readings(self, painter: QPainter, bounds: QRectF) -> None:
        """Numbers at the upper left, names quiet and figures in line; and how much is marked."""
        rows = [(name, reading(float(value))) for name, value in self.readings.items()]
        marked = number_marked(self._view.state.marks)
        if marked:
            rows.append(("selected", f"{marked:,}"))
        if not rows or bounds.width() < 240:
            return
        metrics = QFontMetricsF(painter.font())
        rows = rows[: max(1, int((bounds.height() - 24) / 16))]
        most = bounds.width() * 0.3
        names = [metrics.elidedText(name, Qt.TextElideMode.ElideRight, max(60, most)) for name, _ in rows]
        left = max(metrics.horizontalAdvance(name) for name in names)
        right = max(metrics.horizontalAdvance(value) for _, value in rows)
        fill = QColor(theme.colours.ground)
        fill.setAlpha(190)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fill)
        painter.drawRoundedRect(QRectF(8, 8, left + right + 28, 16 * len(rows) + 8), RADIUS - 2, RADIUS - 2)
        for k, (name, (_, value)) in enumerate(zip(names, rows, strict=True)):
            y = 12 + 16 * k
            painter.setPen(QColor(theme.colours.quiet))
            painter.drawText(QRectF(16, y, left + 4, 16), Qt.AlignmentFlag.AlignVCenter, name)
            painter.setPen(QColor(theme.colours.text))
            align = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
            painter.drawText(QRectF(16 + left, y, right + 12, 16), align, value)

    def _bar(self, painter: QPainter, bounds: QRectF) -> None:
        colour_bar.paint(painter, bounds, self.bar())

    def bar(self) -> colour_bar.Bar | colour_bar.Names | None:
        """What the colours of the first thing that has any say."""
        for thing in self._view.shown.things:
            if isinstance(thing, Field) and thing.legend[1] and self._view.shown.is_visible(thing, self._view.state):
                title, marks = thing.legend
                return colour_bar.Bar(title, 0.0, 1.0, table_of("scalar:"), marks)
        for thing in self._view.coloured():
            if isinstance(thing, Splats):  # what they are shown as stands for no numbers
                continue
            by = self._view.colour_by_of(thing) or best_colour_by(thing)
            if by == "label" and isinstance(thing, Points) and thing.labels is not None:
                return colour_bar.Names("label", sorted(thing.label_names.items()))
            if by == "height" or by.startswith("scalar:"):
                lo, hi = self._range(thing, by)
                return colour_bar.Bar(by.removeprefix("scalar:"), lo, hi, table_of(by))
        return None

    def _range(self, thing: Points | Mesh, by: str) -> tuple[float, float]:
        told = self._view.canvas.range_of(thing.name)
        if told is not None and told[0] == by:
            return float(told[1]), float(told[2])
        if by == "height":
            corners = to_world(self._view.shown.matrix(thing, self._view.state), self._view.shown.box(thing))
            up = corners @ np.asarray(self._view.navigator.world_up)
            return value_range(float(up.min()), float(up.max())) if len(up) else (0.0, 1.0)
        values = thing.scalars.get(by.removeprefix("scalar:"))
        if values is None or len(values) == 0:
            return 0.0, 1.0
        kept = self._ranges.get(thing.name + by)
        if kept is None or kept[0] is not values:
            part = np.asarray(values)[:: max(1, len(values) // MOST)]
            part = part[np.isfinite(part)]
            ends = (float(part.min()), float(part.max())) if len(part) else (0.0, 1.0)
            kept = (values, value_range(*ends, by.removeprefix("scalar:")))
            self._ranges[thing.name + by] = kept
        return kept[1]

    def _hands(self, painter: QPainter, bounds: QRectF) -> None:
        view = self._view
        paint_band(painter, view.hands.band, view.tools.tool == "rectangle")
        if view.through.named is not None:
            name, at = view.through.named
            chip(painter, bounds, at, [name, "click to look through it"])
            return
        found = view.touch.hovered
        if found is None:
            return
        hit, x, y = found
        seen = project(view.navigator.camera, hit.place, *view.size_of())[0]
        if np.isfinite(seen).all():
            paint_ring(painter, QPointF(seen[0], seen[1]))
        chip(painter, bounds, QPointF(x, y), view.touch.hover_words())
