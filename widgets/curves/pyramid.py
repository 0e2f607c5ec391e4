"""A series that only grows, kept as a pyramid of extremes and sums so that any stretch of it is cheap to draw.

Pure numpy. Knows steps and values; not whose they are, nor how they are drawn.

Level ``k`` holds one entry per complete bucket of ``4 * 2**k`` samples: where its least and its greatest finite value
are, the sum of its finite values and how many there are. Sums per bucket, not running sums: a single value of 1e30
would drown all that follows it in a running sum, here it only touches the windows that hold it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BASE = 4
"""Samples in a bucket of the finest level: below that the samples themselves are as few as the extremes."""
_PER_SPAN = 64
"""Buckets that a smoothing window is resolved into, at least half of it."""


class _Column:
    """An array that grows at its end; doubling its room makes appending cheap on average."""

    def __init__(self, dtype: Any) -> None:
        self._room: NDArray[Any] = np.empty(64, dtype)
        self.size = 0

    @property
    def data(self) -> NDArray[Any]:
        return self._room[: self.size]

    def extend(self, new: NDArray[Any]) -> None:
        need = self.size + len(new)
        if need > len(self._room):
            room = np.empty(max(need, 2 * len(self._room)), self._room.dtype)
            room[: self.size] = self.data
            self._room = room
        self._room[self.size : need] = new
        self.size = need

    def cut(self, size: int) -> None:
        """Keeps the first ``size`` entries in fresh memory: whoever holds the old ``data`` keeps what it saw."""
        self._room = np.concatenate([self._room[:size], np.empty(max(64, size // 2), self._room.dtype)])
        self.size = size


class _Level:
    """The complete buckets of one size."""

    def __init__(self) -> None:
        self.low = _Column(np.int32)
        self.high = _Column(np.int32)
        self.total = _Column(np.float64)
        self.count = _Column(np.int32)

    def extend(self, low: Any, high: Any, total: Any, count: Any) -> None:
        self.low.extend(low)
        self.high.extend(high)
        self.total.extend(total)
        self.count.extend(count)

    def cut(self, size: int) -> None:
        for column in (self.low, self.high, self.total, self.count):
            column.cut(size)


class MinMaxPyramid:
    """Values over strictly ascending steps. Non-finite values are gaps: neither extreme, sum nor mean sees them."""

    def __init__(self) -> None:
        self._x = _Column(np.float64)
        self._y = _Column(np.float64)
        self._levels: list[_Level] = []

    def __len__(self) -> int:
        return self._x.size

    @property
    def x(self) -> Floats:
        """All steps (N,). What was handed out stays as it is, whatever is appended or dropped later."""
        return self._x.data

    @property
    def y(self) -> Floats:
        """All values (N,), gaps included; as lasting as :attr:`x`."""
        return self._y.data

    def append(self, x: ArrayLike, y: ArrayLike) -> None:
        """Adds samples (M,); steps finite, ascending and past the last one, else :class:`ValueError`."""
        steps = np.atleast_1d(np.asarray(x, np.float64))
        values = np.atleast_1d(np.asarray(y, np.float64))
        if steps.shape != values.shape or steps.ndim != 1:
            raise ValueError(f"steps {steps.shape} and values {values.shape} are not two rows of one length")
        if not len(steps):
            return
        ascending = bool(np.isfinite(steps).all() and (steps[1:] > steps[:-1]).all())
        if not ascending or (len(self) and steps[0] <= self.x[-1]):
            raise ValueError("steps must be finite, ascend and lie past the last one; drop_after() goes back")
        self._x.extend(steps)
        self._y.extend(values)
        self._build()

    def drop_after(self, step: float) -> None:
        """Forgets the samples past ``step``, as when training goes back to a snapshot."""
        keep = int(np.searchsorted(self.x, step, "right"))
        if keep == len(self):
            return
        self._x.cut(keep)
        self._y.cut(keep)
        for k, level in enumerate(self._levels):
            level.cut(keep // (_BASE << k))
        while self._levels and not self._levels[-1].low.size:
            self._levels.pop()

    def value_at(self, x: float) -> tuple[float, float] | None:
        """The sample nearest to ``x`` as (step, value); None while there is none."""
        if not len(self):
            return None
        i = self.nearest(x)
        return float(self.x[i]), float(self.y[i])

    def nearest(self, x: float) -> int:
        """The index of the sample nearest to ``x``, the earlier one of two; there must be a sample."""
        steps = self.x
        i = int(np.searchsorted(steps, x))
        if i == len(steps) or (i > 0 and x - steps[i - 1] <= steps[i] - x):
            return i - 1
        return i

    def bounds(self) -> tuple[float, float] | None:
        """The least and the greatest finite value of all; None where there is none."""
        found = self._at(self._extremes(0, len(self), self._level_for(len(self), 256)))[1]
        finite = found[np.isfinite(found)]
        return (float(finite.min()), float(finite.max())) if len(finite) else None

    def view(self, x0: float, x1: float, columns: int, log_x: bool = False, margin: int = 0) -> tuple[Floats, Floats]:
        """Samples that trace the same outline over ``x0 <= x <= x1`` as all of them, when drawn ``columns`` wide.

        About ``4 * columns`` at most: the least and the greatest sample of each bucket in order, the first and the
        last of the range. Buckets without a finite value are one NaN. ``log_x``: even in log x instead of x, steps
        up to 0 left out. ``margin``: so many samples beyond either end are counted in, for lines that leave the view.
        """
        i0, i1 = self._range(x0, x1, log_x, margin)
        if i1 <= i0:
            return np.empty(0), np.empty(0)
        parts = [self._extremes(a, b, k) for a, b, k in self._pieces(i0, i1, max(1, columns), log_x)]
        return self._at(np.concatenate(parts) if len(parts) > 1 else parts[0])

    def smooth(self, x0: float, x1: float, columns: int, span: float, log_x: bool = False) -> tuple[Floats, Floats]:
        """Weighted means over triangular windows ``span`` steps wide in all, at ``2 * columns`` places or fewer.

        Windows are cut off at the ends of the series, and are never narrower than the distance of two places. NaN
        where a window holds no finite value. The cost is bounded by ``columns``, whatever window and data.
        """
        i0, i1 = self._range(x0, x1, log_x, 1)
        if i1 <= i0:
            return np.empty(0), np.empty(0)
        pieces = self._pieces(i0, i1, max(1, columns), log_x, fold=4)
        parts = [self._smooth(a, b, k, span, a == i0, b == i1) for a, b, k in pieces]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    # ---- building

    def _build(self) -> None:
        """Brings the levels up to date; stops at the first one that no new bucket reaches."""
        y = self.y
        for k in range(64):
            have = self._levels[k].low.size if k < len(self._levels) else 0
            want = len(y) // (_BASE << k)
            if want == have:
                return
            if k == len(self._levels):
                self._levels.append(_Level())
            level = self._levels[k]
            if k == 0:
                block = y[have * _BASE : want * _BASE].reshape(-1, _BASE)
                finite = np.isfinite(block)
                first = np.arange(have, want) * _BASE
                level.extend(
                    first + np.where(finite, block, np.inf).argmin(1),
                    first + np.where(finite, block, -np.inf).argmax(1),
                    np.where(finite, block, 0.0).sum(1),
                    finite.sum(1),
                )
            else:
                below, pair = self._levels[k - 1], slice(2 * have, 2 * want)
                level.extend(
                    _better(y, below.low.data[pair], least=True),
                    _better(y, below.high.data[pair], least=False),
                    below.total.data[pair].reshape(-1, 2).sum(1),
                    below.count.data[pair].reshape(-1, 2).sum(1),
                )

    # ---- asking

    def _range(self, x0: float, x1: float, log_x: bool, margin: int) -> tuple[int, int]:
        """The samples from x0 to x1 as a half-open range of indices, ``margin`` more on either side."""
        least = int(np.searchsorted(self.x, 0.0, "right")) if log_x else 0
        i0 = int(np.searchsorted(self.x, x0, "left"))
        i1 = int(np.searchsorted(self.x, x1, "right"))
        return max(least, i0 - margin), min(len(self), i1 + margin)

    def _pieces(self, i0: int, i1: int, columns: int, log_x: bool, fold: int = 2) -> list[tuple[int, int, int]]:
        """Cuts a range into (from, to, level), 0 meaning the samples themselves; one piece unless ``log_x``.

        Then a piece reaches ``fold`` times as far as it begins, octaves for 2.
        """
        if not log_x:
            return [(i0, i1, self._level_for(i1 - i0, columns))]
        steps = self.x
        lo, hi = float(steps[i0]), float(steps[i1 - 1])
        octaves = max(1, math.ceil(math.log(hi / lo, fold)))
        edges = np.searchsorted(steps[i0:i1], lo * (hi / lo) ** (np.arange(1, octaves) / octaves)) + i0
        pieces: list[tuple[int, int, int]] = []
        start = i0
        for stop in [*edges.tolist(), i1]:
            if stop <= start:
                continue
            k = self._level_for(stop - start, columns / octaves)
            if pieces and pieces[-1][2] == k == 0:
                pieces[-1] = (pieces[-1][0], stop, 0)
            else:
                pieces.append((start, stop, k))
            start = stop
        return pieces

    def _level_for(self, samples: int, columns: float) -> int:
        """The finest level that answers ``samples`` with at most ``2 * columns`` buckets; 0: no level needed."""
        if samples <= 4 * columns:
            return 0
        return min(len(self._levels), 1 + max(0, int(np.ceil(np.log2(samples / (2 * columns * _BASE))))))

    def _extremes(self, i0: int, i1: int, k: int) -> Ints:
        """Indices, ascending, of the samples that stand for [i0, i1): of buckets at level ``k``, of all for 0."""
        size = _BASE << (k - 1) if k else 1
        first, last = -(-i0 // size), i1 // size
        if k == 0:
            return np.arange(i0, i1)
        if last <= first:
            return self._raw_extremes(i0, i1)
        level = self._levels[k - 1]
        low, high = level.low.data[first:last], level.high.data[first:last]
        inner = np.empty(2 * len(low), np.int64)
        np.minimum(low, high, out=inner[0::2])
        np.maximum(low, high, out=inner[1::2])
        found = np.concatenate([self._raw_extremes(i0, first * size), inner, self._raw_extremes(last * size, i1)])
        found = np.concatenate([[i0], found, [i1 - 1]])
        return found[np.concatenate([[True], found[1:] > found[:-1]])]

    def _raw_extremes(self, i0: int, i1: int) -> Ints:
        if i1 <= i0:
            return np.empty(0, np.int64)
        y = self.y[i0:i1]
        finite = np.isfinite(y)
        pair = {int(np.where(finite, y, np.inf).argmin()), int(np.where(finite, y, -np.inf).argmax())}
        return np.array(sorted(pair)) + i0

    def _at(self, index: Ints) -> tuple[Floats, Floats]:
        y = self.y[index]
        return self.x[index], np.where(np.isfinite(y), y, np.nan)

    def _smooth(self, i0: int, i1: int, k: int, span: float, before: bool, after: bool) -> tuple[Floats, Floats]:
        """The smoothed curve over [i0, i1), at level ``k`` or a coarser one where the window is wide enough."""
        x = self.x
        reach = span / 2
        a = int(np.searchsorted(x, x[i0] - reach))
        b = int(np.searchsorted(x, x[i1 - 1] + reach, "right"))
        samples = (b - a) * min(1.0, span / max(float(x[b - 1] - x[a]), 1e-300))
        coarse = int(np.floor(np.log2(max(samples, 1.0) / _PER_SPAN / _BASE))) + 1
        k = min(len(self._levels), max(k, coarse, 0))
        at, total, count = self._buckets(a, b, k)
        at, total, count, edges = _with_room(at, total, count, reach / 2)
        # Two boxes of half the width make the triangle. The second one integrates the first over x, so that the
        # weight of a sample depends on how far off it is and not on how densely its neighbourhood was measured.
        window = _Window(edges, at, reach / 2)
        total, count = window.sum(total), window.sum(count)
        width = np.diff(edges)
        total, count = window.sum(total * width), window.sum(count * width)
        mean = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 1e-9 * width)
        # One more place on either side of the piece, where it is not another piece's: the line reaches the edge.
        held = (at >= x[a]) & (at <= x[b - 1])
        at, mean = at[held], mean[held]
        shown = slice(
            max(0, int(np.searchsorted(at, x[i0])) - before), int(np.searchsorted(at, x[i1 - 1], "right")) + after
        )
        return at[shown], mean[shown]

    def _buckets(self, a: int, b: int, k: int) -> tuple[Floats, Floats, Floats]:
        """Centre, sum and count of finite values of the buckets that cover [a, b); the last may be a partial one."""
        if k == 0:
            y = self.y[a:b]
            finite = np.isfinite(y)
            return self.x[a:b], np.where(finite, y, 0.0), finite.astype(np.float64)
        size, level = _BASE << (k - 1), self._levels[k - 1]
        first, last = a // size, min(-(-b // size), level.low.size)
        starts = np.arange(first, last) * size
        centre = (self.x[starts] + self.x[starts + size - 1]) / 2
        total, count = level.total.data[first:last], level.count.data[first:last].astype(np.float64)
        tail = slice(last * size, len(self))
        if b > tail.start:
            y = self.y[tail]
            finite = np.isfinite(y)
            steps = self.x[tail]
            centre = np.append(centre, (steps[0] + steps[-1]) / 2)
            total, count = np.append(total, y[finite].sum()), np.append(count, finite.sum())
        return centre, total, count


def _better(y: Floats, index: NDArray[np.int32], least: bool) -> NDArray[np.int32]:
    """Of each pair of indices the one with the lesser (or greater) finite value, the first where both are equal."""
    pairs = index.reshape(-1, 2)
    values = y[pairs]
    values[~np.isfinite(values)] = np.inf if least else -np.inf
    second = values[:, 1] < values[:, 0] if least else values[:, 1] > values[:, 0]
    return np.where(second, pairs[:, 1], pairs[:, 0])


class _Window:
    """Sums over ``at - reach ... at + reach`` of what buckets between ``edges`` hold; buckets at its ends in part."""

    def __init__(self, edges: Floats, at: Floats, reach: float) -> None:
        lo, hi = np.maximum(at - reach, edges[0]), np.minimum(at + reach, edges[-1])
        last = len(edges) - 2
        self._first = np.clip(np.searchsorted(edges, lo, "right") - 1, 0, last)
        self._last = np.clip(np.searchsorted(edges, hi, "left") - 1, self._first, last)
        width = np.diff(edges)
        alone = self._first == self._last
        head = (np.where(alone, hi, edges[self._first + 1]) - lo) / width[self._first]
        self._head = head
        self._tail = np.where(alone, 0.0, (hi - edges[self._last]) / width[self._last])
        self._inner = self._last - self._first > 1
        self._ends = np.empty(2 * len(at), np.int64)
        self._ends[0::2], self._ends[1::2] = self._first + 1, np.maximum(self._last, self._first + 1)

    def sum(self, values: Floats) -> Floats:
        """One sum per window, each added up by itself: no difference of large numbers is taken."""
        inner = np.add.reduceat(np.append(values, [0.0, 0.0]), self._ends)[::2]
        parts = self._head * values[self._first] + self._tail * values[self._last]
        return np.asarray(np.where(self._inner, inner, 0.0) + parts)


def _with_room(at: Floats, total: Floats, count: Floats, reach: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Adds empty buckets ``reach`` beyond both ends, and the edges between all: windows may stick out there."""
    gaps = np.diff(at) if len(at) > 1 else np.array([2 * reach])
    before = at[0] - gaps[0] * np.arange(min(64, math.ceil(reach / gaps[0])), 0, -1)
    after = at[-1] + gaps[-1] * np.arange(1, min(64, math.ceil(reach / gaps[-1])) + 1)
    at = np.concatenate([before, at, after])
    total, count = (np.concatenate([np.zeros(len(before)), v, np.zeros(len(after))]) for v in (total, count))
    middle = (at[1:] + at[:-1]) / 2
    if not len(middle):
        return at, total, count, np.array([at[0] - reach, at[0] + reach])
    edges = np.concatenate([[2 * at[0] - middle[0]], middle, [2 * at[-1] - middle[-1]]])
    return at, total, count, edges
