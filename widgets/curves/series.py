"""Which runs and metrics there are, what is shown of them, and how numbers are written. Knows neither Qt nor a plot."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from widgets.curves.pyramid import MinMaxPyramid
from widgets.theme import LABELS

SHARES = ("ssim", "dssim", "l1", "opacity", "accuracy")
"""Metrics that lie in 0..1 whatever the model, so that beside others they need a scale of their own."""
CROWD = 4
"""More metrics than this under one prefix (``kl/0``, ``kl/1`` ...) are kept in a menu while they are off."""


@dataclass
class Series:
    """One metric of one run. ``colour`` #rrggbb where it belongs to the objective; ``on`` None follows the metric."""

    run: str
    name: str
    colour: str | None = None
    label: str = ""
    on: bool | None = None
    data: MinMaxPyramid = field(default_factory=MinMaxPyramid)

    @property
    def is_share(self) -> bool:
        """Whether it is one of :data:`SHARES`, of whatever part of the data."""
        return self.name.rpartition("/")[2] in SHARES

    def sample(self, step: float | None) -> tuple[float, float] | None:
        """The sample nearest to ``step`` as (step, value), the latest for None; None where there is no data."""
        x = self.data.x
        if not len(x):
            return None
        if step is None:
            return float(x[-1]), float(self.data.y[-1])
        apart = (x[-1] - x[0]) / max(1, len(x) - 1)
        return self.data.value_at(step) if x[0] - apart <= step <= x[-1] + apart else None

    def reading(self, step: float | None) -> float | None:
        """The value of :meth:`sample`."""
        found = self.sample(step)
        return None if found is None else found[1]


@dataclass(frozen=True)
class Metric:
    """What is the same for a metric in every run. ``derived``: it has the ``colour`` of the metric it is a side of."""

    name: str
    label: str
    colour: str
    declared: bool
    derived: bool
    crowd: bool
    on_at_first: bool


class Book:
    """The runs with their series, and which are shown."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Series]] = {}
        self.current = ""
        self.hidden: set[str] = set()
        """Runs that are switched off as a whole."""
        self._chosen: dict[str, bool] = {}
        self._metrics: dict[str, Metric] | None = None

    # ---- filling

    def series(self, run: str, name: str) -> Series:
        """The series, made if it is new; the first run becomes the current one."""
        self.current = self.current or run
        held = self.runs.setdefault(run, {})
        if name not in held:
            held[name] = Series(run, name, label=name)
            self._metrics = None
        return held[name]

    def declare(self, run: str, name: str, colour: str | None, label: str) -> None:
        series = self.series(run, name)
        series.colour, series.label = colour, label or name
        self._metrics = None

    def remove(self, run: str) -> None:
        self.runs.pop(run, None)
        self.hidden.discard(run)
        if run == self.current:
            self.current = next(iter(self.runs), "")
        self._metrics = None

    def set_current(self, run: str) -> None:
        self.runs.setdefault(run, {})
        self.current = run
        self._metrics = None

    # ---- choosing

    def choose(self, run: str | None, name: str, on: bool) -> None:
        """Shows or hides a metric in one run, or in all for None."""
        if run is not None:
            self.series(run, name).on = on
            return
        self._chosen[name] = on
        for held in self.runs.values():
            if name in held:
                held[name].on = None

    def on(self, name: str) -> bool:
        """Whether a metric is shown where a run has no choice of its own."""
        metric = self.metrics.get(name)
        return self._chosen.get(name, metric is not None and metric.on_at_first)

    def shown(self, series: Series) -> bool:
        return series.run not in self.hidden and (self.on(series.name) if series.on is None else series.on)

    def visible(self) -> list[Series]:
        """What is drawn, in the order of drawing: the current run last, so that it lies on top."""
        runs = sorted(self.runs, key=lambda run: run == self.current)
        return [s for run in runs for s in self.runs[run].values() if self.shown(s)]

    def empty_text(self) -> str:
        """What to say where nothing can be drawn; '' if there is something."""
        if any(len(s.data) for s in self.visible()):
            return ""
        if any(len(s.data) for held in self.runs.values() for s in held.values()):
            return "No curve is switched on: click a name above to show it."
        return "The curves of training appear here: press Train."

    def any_positive(self) -> bool:
        """Whether a visible series has a value above 0."""
        bounds = (s.data.bounds() for s in self.visible())
        return any(b is not None and b[1] > 0 for b in bounds)

    def moved(self, step: float | None, by: float = 0) -> float | None:
        """The measured step nearest to ``step`` (None: the last one), ``by`` samples on; None without data.

        Steps are those of the visible series with most samples, of the current run if it has one.
        """
        visible = [s for s in self.visible() if len(s.data)]
        if not visible:
            return None
        finest = max(visible, key=lambda s: (s.run == self.current, len(s.data))).data
        x = finest.x
        at = len(x) - 1 if step is None else finest.nearest(step)
        return float(x[int(np.clip(at + by, 0, len(x) - 1))])

    # ---- metrics

    @property
    def metrics(self) -> dict[str, Metric]:
        """Every metric once, those of the objective first, else in the order of the current run."""
        if self._metrics is None:
            self._metrics = self._sum_up()
        return self._metrics

    def _sum_up(self) -> dict[str, Metric]:
        """At first the objective's metrics are on; a run without an objective shows its first metric."""
        heads: dict[str, Series] = {}
        for held in (self.runs.get(self.current, {}), *self.runs.values()):
            for name, series in held.items():
                if name not in heads or (series.colour and not heads[name].colour):
                    heads[name] = series
        own = [name for name, s in heads.items() if s.colour]
        others = [name for name in heads if name not in own]
        first = set(own) or set([n for n in others if "/" not in n][:1] or others[:1])
        declared = [s.colour for s in heads.values() if s.colour]
        palette = [c for c in LABELS if all(_apart(c, d) > 90 for d in declared)] or list(LABELS)
        sizes = Counter(_prefix(name) for name in heads)
        found = {}
        for name in own + others:
            base = heads.get(name.rpartition("/")[2])
            derived = name in others and base is not None and base.colour is not None
            borrowed = base.colour if derived and base else None
            colour = heads[name].colour or borrowed or palette[others.index(name) % len(palette)]
            crowd = bool(_prefix(name)) and sizes[_prefix(name)] > CROWD
            found[name] = Metric(name, heads[name].label, colour, name in own, derived, crowd, name in first)
        return found


def _apart(a: str, b: str) -> float:
    """How far two #rrggbb are from each other, 0..441."""
    return math.dist(*([int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (a, b)))


def _prefix(name: str) -> str:
    return name.rpartition("/")[0]


def number(value: float | None) -> str:
    """Four significant digits, always as many, with a true minus sign; an en dash where there is nothing."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    size = abs(value)
    if size and not 1e-3 <= size < 1e5:
        text = f"{value:.2e}".replace("e-0", "e-").replace("e+0", "e")
    else:
        text = f"{value:#.4g}".rstrip(".") if size < 1e4 else f"{value:,.0f}"
    return text.replace("-", "−")


def step_text(step: float) -> str:
    """A step with thousands apart: 1,240."""
    return f"{step:,.0f}" if step == int(step) else f"{step:,.4g}"
