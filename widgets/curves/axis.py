"""Axes whose ticks are right on linear and logarithmic scales at any zoom. Know no data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike, NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QFont

from widgets.theme import CAPTION, tabular, theme

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Axis(pg.AxisItem):
    """``left``, ``right`` or ``bottom``: labels of 11 px and a faint grid, no line. In log mode its range is in log10
    units."""

    def __init__(self, orientation: str) -> None:
        super().__init__(orientation, maxTickLength=0)
        font = QFont()
        font.setPixelSize(CAPTION)
        # Only ever widening keeps the plot from twitching while numbers change.
        self.setStyle(tickFont=tabular(font), maxTickLevel=0, maxTextLevel=0, autoReduceTextSpace=False)
        if orientation != "bottom":
            self.setStyle(tickTextWidth=36)
            self.textWidth = 36
        self.enableAutoSIPrefix(False)
        self.setGrid(255)
        self.apply_theme()

    def boundingRect(self) -> QRectF:
        """A little more than the axis itself: a label at its very end is drawn whole or, by pyqtgraph, not at all."""
        across, along = (14, 0) if self.orientation == "bottom" else (0, 6)
        return QRectF(super().boundingRect()).adjusted(-across, -along, across, along)

    def apply_theme(self) -> None:
        c = theme.colours
        self.setPen(None)
        self.setPen(pg.mkPen(None))
        self.setTickPen(pg.mkPen(c.line))
        self.setTextPen(pg.mkPen(c.quiet))

    def forget_width(self) -> None:
        """Lets the next drawing choose the width of the labels afresh."""
        self.textWidth = 36
        self.picture = None

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float | None, list[float]]]:
        """Tick places by level, (spacing, places); only the first level is labelled."""
        if not self.logMode:
            return list(super().tickValues(minVal, maxVal, size))
        lo, hi = sorted((minVal, maxVal))
        decades = range(math.floor(lo), math.ceil(hi) + 1)
        every = max(1, math.ceil(len(decades) * 40 / max(size, 1)))
        major = [float(d) for d in decades if lo <= d <= hi and d % every == 0]
        minor = [d + math.log10(m) for d in decades for m in range(2, 10)] if every == 1 else []
        minor = [v for v in minor if lo <= v <= hi]
        if len(major) >= 2:
            return [(None, major), (None, minor)]
        labelled = [v for v in minor if round(10 ** (v - math.floor(v))) in (2, 5)]
        if len(major) + len(labelled) >= 2:
            return [(None, sorted(major + labelled))]
        # Less than half a decade: a linear scale's ticks, placed where the logarithm puts them.
        values = [v for _, level in self._linear(10.0**lo, 10.0**hi, size) for v in level]
        return [(None, [math.log10(v) for v in values if v > 0])]

    def tickStrings(self, values: list[float], scale: float, spacing: float | None) -> list[str]:
        """Labels of the places ``values``; in log mode of ten to their power."""
        if not self.logMode:
            return [label(v * scale, (spacing or 1.0) * scale) for v in values]
        real = [10.0**v for v in values]
        if all(v == round(v) for v in values):
            return [_power(round(v)) for v in values]
        gaps = np.diff(sorted(real))
        return [label(v, float(gaps.min()) if len(gaps) else v) for v in real]

    def labels(self, lo: float, hi: float, size: float) -> list[tuple[float, str]]:
        """The labelled ticks as (share of the axis from its start, text), for a picture drawn by other means."""
        spacing, values = self.tickValues(lo, hi, size)[0]
        texts = self.tickStrings(values, 1.0, spacing)
        return [((v - lo) / (hi - lo), text) for v, text in zip(values, texts, strict=True)]

    def _linear(self, lo: float, hi: float, size: float) -> Any:
        self.logMode = False
        try:
            return super().tickValues(lo, hi, size)
        finally:
            self.logMode = True


class ShareAxis(Axis):
    """At the right: a scale of its own over the same height. ``span`` (low, high, bottom, top) says which of its values
    lie at which heights of the view; None takes the axis away."""

    def __init__(self) -> None:
        super().__init__("right")
        self.setGrid(False)
        self.span: tuple[float, float, float, float] | None = None
        self.hide()

    def set_span(self, span: tuple[float, float, float, float] | None) -> None:
        if span != self.span:
            self.span, self.picture = span, None
            self.setVisible(span is not None)
            self.update()

    def heights(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where values are in the view."""
        low, high, bottom, top = self.span or (0.0, 1.0, 0.0, 1.0)
        return np.asarray(bottom + (values - low) * ((top - bottom) / (high - low)))

    def _values(self, heights: ArrayLike) -> NDArray[np.float64]:
        low, high, bottom, top = self.span or (0.0, 1.0, 0.0, 1.0)
        return np.asarray(low + (np.asarray(heights, np.float64) - bottom) * ((high - low) / (top - bottom)))

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float | None, list[float]]]:
        lo, hi = self._values([minVal, maxVal]).tolist()
        return [
            (spacing, self.heights(np.array(places, np.float64)).tolist())
            for spacing, places in super().tickValues(lo, hi, size)
        ]

    def tickStrings(self, values: list[float], scale: float, spacing: float | None) -> list[str]:
        return super().tickStrings(self._values(values).tolist(), scale, spacing)


def label(value: float, spacing: float) -> str:
    """A tick's label, with the digits that neighbours ``spacing`` apart need."""
    unit, suffix = (1e6, "M") if abs(value) >= 1e6 and spacing >= 1e3 else (1.0, "")
    places = max(0, math.ceil(-math.log10(spacing / unit) - 1e-6)) if spacing > 0 else 0
    if abs(value) < spacing * 1e-6:
        return "0"
    small = abs(value) < 1e-4
    text = f"{value:.2g}" if small or places > 8 else f"{value / unit:,.{places}f}{suffix}"
    return text.replace("-", "−")


def _power(exponent: int) -> str:
    if -3 <= exponent <= 4:
        return f"{10.0**exponent:,.{max(0, -exponent)}f}"
    return "10" + str(exponent).translate(_SUPERSCRIPT)
