"""What a book of series looks like: its lines on a canvas, its colours, what its chips say.

Knows the book, the canvas and the theme; keeps nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from widgets.curves.canvas import Canvas
from widgets.curves.legend import Entry
from widgets.curves.pyramid import Floats
from widgets.curves.series import Book, Metric, Series, number
from widgets.theme import theme

_RUN_VALUES = 4
"""Values on the chip of another run; its tool tip has all."""

_CROWD = 8
"""So many curves are drawn as finely as the screen; of more, each a little less, down to a third."""


def draw(canvas: Canvas, book: Book, span: float, fit: bool) -> None:
    """Brings the lines up to date, smoothed over ``span`` steps where it is above 0; ``fit`` shows them whole."""
    series = [s for s in book.visible() if len(s.data)]
    apart = any(s.is_share for s in series) and not all(s.is_share for s in series)
    # Whether shares would lie flat at the foot of the others' scale, and so have one of their own.
    whole = _whole(series, canvas.log_x) if fit else None
    x0, x1 = whole or canvas.x_range()
    lines: list[tuple[Series, bool, Floats, Floats]] = []
    low, high = math.inf, -math.inf
    least, most = 1.0, 0.0
    columns = max(canvas.columns // 3, min(canvas.columns, canvas.columns * _CROWD // max(1, len(series))))
    for s in series:
        for faint, (xs, ys) in _lines(canvas, s, span, x0, x1, columns):
            own = apart and s.is_share
            height = ys if own else canvas.to_y(ys)
            lines.append((s, faint, canvas.to_x(xs), height))
            inside = height[np.isfinite(height) & (xs >= x0) & (xs <= x1)]
            if len(inside) and own:
                least, most = min(least, float(inside.min())), max(most, float(inside.max()))
            elif len(inside):
                low, high = min(low, float(inside.min())), max(high, float(inside.max()))
    if whole and low <= high:  # first, because how a line is best drawn depends on its length in pixels
        ends = canvas.to_x(np.array(whole))
        canvas.look_at(padded(float(ends[0]), float(ends[1]), 0.01), padded(low, high, 0.07))
    if not apart:
        canvas.shares.set_span(None)
    elif whole or canvas.shares.span is None:
        y0, y1 = canvas.box.viewRange()[1]
        room, tenths = 0.07 * (y1 - y0), (math.floor(10 * least) / 10, math.ceil(10 * most) / 10)
        canvas.shares.set_span((*(tenths if tenths[0] < tenths[1] else (0.0, 1.0)), y0 + room, y1 - room))
    if apart:
        lines = [(s, f, x, canvas.shares.heights(y) if s.is_share else y) for s, f, x, y in lines]
    for order, (s, faint, at, height) in enumerate(lines):
        curve = canvas.curve((s.run, s.name, faint), z=order if faint else len(lines) + order)
        width = 1.6 if s.run == book.current and not faint else 1.0
        curve.show_points(at, height, line_colour(book, s, faint), width, canvas.pixels_per_value)
    canvas.keep({(s.run, s.name, faint) for s, faint, _, _ in lines})


def padded(low: float, high: float, share: float) -> tuple[float, float]:
    """A range with ``share`` of its width added on either side; never empty, so that one value has room too."""
    room = (high - low) * share or max(0.5, abs(low) * 0.05)
    return low - room, high + room


def without_lone_lows(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """For a logarithmic axis: leaves out extremes of 0 and less beside positive ones, which would tear the line.

    Three in a row are a bucket without a positive value, so a gap indeed, and stay.
    """
    bad = np.concatenate([[False, False], ~(y > 0), [False, False]])
    three = bad[:-2] & bad[1:-1] & bad[2:]
    gap = np.concatenate([[False, False], three]) | np.concatenate([[False], three, [False]])
    gap |= np.concatenate([three, [False, False]])
    keep = (~bad | gap)[2:-2]
    return x[keep], y[keep]


def _lines(
    canvas: Canvas, s: Series, span: float, x0: float, x1: float, columns: int
) -> list[tuple[bool, tuple[Floats, Floats]]]:
    """The lines of a series as (faint, points): itself, and above it the smooth one where that is on."""
    xs, ys = s.data.view(x0, x1, columns, canvas.log_x, margin=1)
    if canvas.log_y and len(xs) > 2 and len(xs) < _samples(s, xs):
        xs, ys = without_lone_lows(xs, ys)
    if span <= 0:
        return [(False, (xs, ys))]
    return [(True, (xs, ys)), (False, s.data.smooth(x0, x1, columns // 2, span, canvas.log_x))]


def _samples(s: Series, xs: Floats) -> int:
    """How many samples there are from the first to the last of ``xs``."""
    first, last = np.searchsorted(s.data.x, xs[[0, -1]])
    return int(last - first) + 1


def _whole(series: Sequence[Series], log_x: bool) -> tuple[float, float] | None:
    """From the first to the last step of all; on a logarithmic axis from the first above 0."""
    ends: list[float] = []
    for s in series:
        x = s.data.x[int(np.searchsorted(s.data.x, 0.0, "right")) :] if log_x else s.data.x
        ends += [float(x[0]), float(x[-1])] if len(x) else []
    return (min(ends), max(ends)) if ends else None


def mix(colour: str, other: str, share: float) -> str:
    """``colour`` with ``share`` (0..1) of ``other`` in it; both #rrggbb."""
    pairs = [(int(colour[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def ink(book: Book, series: Series) -> str:
    """The colour of a series at full strength; one side of another metric (held out) leans to the text's colour."""
    metric = book.metrics[series.name]
    return series.colour or tint(metric)


def tint(metric: Metric) -> str:
    """The colour of a metric's chip."""
    return mix(metric.colour, theme.colours.text, 0.45) if metric.derived else metric.colour


def line_colour(book: Book, series: Series, faint: bool) -> str:
    """A line's colour, mixed with the ground beforehand: drawing translucent lines costs five times as much."""
    strength = (1.0 if series.run == book.current else 0.5) * (0.3 if faint else 1.0)
    return mix(ink(book, series), theme.colours.plot, 1 - strength)


def entries(book: Book, step: float | None, log_y: bool) -> list[Entry]:
    """One chip per metric with the current run's value at ``step`` (the latest for None), one per other run."""
    found = []
    here = book.runs.get(book.current, {})
    for name, metric in book.metrics.items():
        own = here.get(name)
        on = book.on(name) if own is None or own.on is None else own.on
        values: tuple[tuple[str, str], ...] = ()
        if on and own is not None:
            values = (("", number(own.reading(step))),)
        tip = _tip(metric, own, on, log_y)
        found.append(
            Entry(
                ("metric", name),
                metric.label,
                tint(metric),
                on,
                values,
                tip,
                quiet=not metric.declared,
                crowd=metric.crowd,
            )
        )
    for run, held in book.runs.items():
        if run == book.current or not held:
            continue
        on = run not in book.hidden
        shown = [s for s in held.values() if book.shown(s)]
        values = tuple((ink(book, s), number(s.reading(step))) for s in shown[:_RUN_VALUES])
        lines = [f"{s.label}: {number(s.reading(step))}" for s in shown]
        tip = "\n".join([f"Run {run}: click to {'hide' if on else 'show'} it.", *lines])
        found.append(Entry(("run", run), run, theme.colours.quiet, on, values, tip, faint=True))
    return found


def dots(book: Book, step: float | None) -> list[tuple[float, float, str, bool]]:
    """Where the visible curves are at ``step``: (step, value, colour, whether a share), each on its own nearest
    sample."""
    found = []
    for s in book.visible() if step is not None else ():
        sample = s.sample(step)
        if sample is not None:
            found.append((*sample, ink(book, s), s.is_share))
    return found


def _tip(metric: Metric, own: Series | None, on: bool, log_y: bool) -> str:
    tip = f"{metric.name}: click to {'hide' if on else 'show'} it, Ctrl+click to see it alone."
    if own is not None and own.is_share:
        tip += "\nBeside other curves its scale is the one at the right."
        return tip
    bounds = own.data.bounds() if own is not None and log_y else None
    if bounds is not None and bounds[0] <= 0:
        tip += "\nIts values of 0 and less are gaps on the logarithmic axis."
    return tip
