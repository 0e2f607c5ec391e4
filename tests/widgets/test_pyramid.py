"""The pyramid against brute force: every answer must be what all samples together would say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from widgets.curves.pyramid import MinMaxPyramid

Floats = NDArray[np.float64]


def filled(x: Floats, y: Floats, seed: int | None = None) -> MinMaxPyramid:
    """The samples appended at once, or in batches of random sizes (some empty) for a ``seed``."""
    pyramid = MinMaxPyramid()
    if seed is None:
        pyramid.append(x, y)
        return pyramid
    rng = np.random.default_rng(seed)
    at = 0
    while at < len(x):
        size = int(rng.choice([0, 1, 2, 3, 7, 64, 1000]))
        pyramid.append(x[at : at + size], y[at : at + size])
        at += size
    return pyramid


def noise(n: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Unevenly spaced steps from 1 on, with values in which 2 % are gaps, infinities among them."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.integers(1, 4, n)).astype(np.float64)
    y = rng.normal(size=n).cumsum() + rng.normal(size=n) * 5
    y[rng.random(n) < 0.02] = np.nan
    y[rng.random(n) < 0.001] = np.inf
    y[rng.random(n) < 0.001] = -np.inf
    return x, y


@pytest.mark.parametrize("log_x", [False, True])
@pytest.mark.parametrize("n", [1, 2, 5, 399, 1001, 40_000])
def test_view_has_the_extremes_of_any_range_and_only_true_samples(n: int, log_x: bool) -> None:
    x, y = noise(n, n)
    pyramid = filled(x, y, seed=n)
    rng = np.random.default_rng(1)
    known = {(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)}
    for _ in range(40):
        x0, x1 = sorted(rng.uniform(x[0] - 3, x[-1] + 3, 2))
        columns = int(rng.integers(1, 200))
        xs, ys = pyramid.view(x0, x1, columns, log_x)
        inside = (x >= x0) & (x <= x1)
        finite = inside & np.isfinite(y)
        assert (np.diff(xs) > 0).all()
        assert ((xs >= x0) & (xs <= x1)).all()
        assert not np.isinf(ys).any()
        assert len(xs) <= 4 * columns + (150 if log_x else 8)
        if not inside.any():
            assert len(xs) == 0
            continue
        assert (xs[0], xs[-1]) == (x[inside][0], x[inside][-1])
        shown = np.isfinite(ys)
        assert all((a, b) in known for a, b in zip(xs[shown].tolist(), ys[shown].tolist(), strict=True))
        assert shown.any() == finite.any()
        if finite.any():
            assert ys[shown].min() == y[finite].min()
            assert ys[shown].max() == y[finite].max()


@pytest.mark.parametrize("log_x", [False, True])
def test_view_traces_the_envelope_of_each_column(log_x: bool) -> None:
    n, columns = 200_000, 300
    x = np.arange(1.0, n + 1)
    y = np.sin(x / 7000) + np.random.default_rng(0).normal(size=n) * 0.2
    xs, ys = filled(x, y, seed=3).view(1, n, columns, log_x)
    warp = np.log if log_x else np.asarray
    edges = np.linspace(warp(1.0), warp(float(n)), columns + 1)

    def envelope(steps: Floats, values: Floats) -> tuple[Floats, Floats]:
        place = np.clip(np.searchsorted(edges, warp(steps), "right") - 1, 0, columns - 1)
        low, high = np.full(columns, np.inf), np.full(columns, -np.inf)
        np.minimum.at(low, place, values)
        np.maximum.at(high, place, values)
        return low, high

    all_low, all_high = envelope(x, y)
    low, high = envelope(xs, ys)
    full = np.isfinite(all_low)
    if not log_x:
        assert (np.isfinite(low) == full).all(), "no column that has samples is left empty"
    # A bucket is at most a column wide (one and a half at the left of an octave), so extremes are there or next door.
    reach = 2 if log_x else 1
    for k in range(columns):
        near = slice(max(0, k - reach), k + reach + 1)
        if full[k]:
            assert low[near].min() <= all_low[k]
            assert high[near].max() >= all_high[k]


def test_a_single_spike_is_seen_from_everywhere() -> None:
    y = np.zeros(100_000)
    y[54_321] = 1e30
    pyramid = filled(np.arange(100_000.0), y)
    for x0, x1 in ((0, 99_999), (54_000, 99_999), (0, 54_321), (54_321, 54_321)):
        assert pyramid.view(x0, x1, 50)[1].max() == 1e30
    assert pyramid.view(0, 54_320, 50)[1].max() == 0


def test_a_stretch_without_values_stays_a_gap() -> None:
    y = np.ones(10_000)
    y[4000:6000] = np.nan
    xs, ys = filled(np.arange(10_000.0), y).view(0, 9_999, 100)
    assert np.isnan(ys[(xs > 4100) & (xs < 5900)]).all()
    assert np.isfinite(ys[(xs < 3900) | (xs > 6100)]).all()


def test_margin_adds_the_neighbours_outside() -> None:
    pyramid = filled(np.arange(0.0, 1000, 100), np.arange(10.0))
    assert pyramid.view(310, 390, 50)[0].tolist() == []
    assert pyramid.view(310, 390, 50, margin=1)[0].tolist() == [300, 400]


def test_log_view_leaves_out_steps_up_to_zero() -> None:
    pyramid = filled(np.arange(-3.0, 50), np.arange(53.0))
    assert pyramid.view(-10, 100, 500, log_x=True)[0].tolist() == list(range(1, 50))
    assert filled(np.array([-1.0, 0.0]), np.ones(2)).view(-5, 5, 10, log_x=True)[0].tolist() == []


def triangle(x: Floats, y: Floats, at: Floats, span: float) -> Floats:
    """The textbook triangular filter, one place at a time, over finite values."""
    out = []
    good = np.isfinite(y)
    for place in at:
        weight = np.clip(1 - np.abs(x[good] - place) / (span / 2), 0, None)
        out.append((weight * y[good]).sum() / weight.sum())
    return np.array(out)


@pytest.mark.parametrize("log_x", [False, True])
@pytest.mark.parametrize("span", [200, 3_000, 20_000])
def test_smoothing_is_a_triangular_filter(span: float, log_x: bool) -> None:
    x = np.arange(1.0, 60_001)
    signal = np.sin(x / 4000)
    y = signal + np.random.default_rng(0).normal(size=len(x)) * 0.1
    y[1000:1010] = np.nan
    xs, ys = filled(x, y, seed=5).smooth(1, 60_000, 300, span, log_x)
    assert 20 < len(xs) <= 2 * 300 + 40
    assert (np.diff(xs) > 0).all()
    off = np.abs(ys - triangle(x, y, xs, span))
    # At the right of a logarithmic axis a bucket of 1024 samples is a column; windows are no finer there.
    coarse = log_x and span < 20_000
    assert off.max() < (0.03 if coarse or span < 1000 else 0.01)
    assert np.median(off) < 0.004


def test_smoothing_follows_steps_not_sample_counts() -> None:
    """Where samples are ten times as far apart, a window of as many steps holds a tenth of them."""
    x = np.concatenate([np.arange(0.0, 10_000), np.arange(10_000.0, 100_000, 10)])
    y = np.where(x % 2000 < 1000, 0.0, 1.0)
    xs, ys = filled(x, y).smooth(0, 100_000, 2000, 400)
    middle = (np.abs(xs % 1000 - 500) < 150) & (xs > 500)
    assert np.abs(ys[middle] - np.where(xs[middle] % 2000 < 1000, 0.0, 1.0)).max() < 1e-9


def test_smoothing_a_constant_is_exact_and_a_spike_touches_only_its_window() -> None:
    y = np.full(100_000, -241.2)
    y[20_000] = 1e30
    xs, ys = filled(np.arange(100_000.0), y).smooth(0, 99_999, 200, 2_000)
    away = np.abs(xs - 20_000) > 1_300
    assert np.abs(ys[away] + 241.2).max() < 1e-9
    assert ys[~away].max() > 1e26


def test_smoothing_skips_gaps_and_knows_none_where_a_window_is_empty() -> None:
    y = np.full(10_000, 3.0)
    y[4_000:6_000] = np.nan
    y[::7] = np.inf
    xs, ys = filled(np.arange(10_000.0), y).smooth(0, 9_999, 300, 100)
    assert np.isnan(ys[(xs > 4_200) & (xs < 5_800)]).all()
    known = np.isfinite(ys)
    assert np.abs(ys[known] - 3).max() < 1e-12
    assert known[(xs < 3_900) | (xs > 6_100)].all()


def test_value_at_is_the_nearest_sample() -> None:
    x, y = noise(5_000, 2)
    pyramid = filled(x, y)
    for place in np.random.default_rng(0).uniform(x[0] - 50, x[-1] + 50, 300):
        found = pyramid.value_at(place)
        i = int(np.abs(x - place).argmin())
        assert found is not None
        assert found[0] == x[i]
        np.testing.assert_equal(found[1], y[i])
    assert MinMaxPyramid().value_at(3) is None


def test_dropping_and_going_on_is_as_if_it_had_never_been() -> None:
    x, y = noise(30_000, 4)
    other = np.random.default_rng(9).normal(size=30_000)
    for keep in (0, 1, 3, 4, 5, 1023, 1024, 17_777, 30_000):
        pyramid = filled(x, y, seed=1)
        before = pyramid.x
        pyramid.drop_after(x[keep - 1] + 0.5 if keep else x[0] - 1)
        assert len(pyramid) == keep
        again = x[keep:]
        pyramid.append(again, other[keep:])
        afresh = filled(x, np.concatenate([y[:keep], other[keep:]]))
        for a, b in zip(pyramid.view(0, x[-1], 100), afresh.view(0, x[-1], 100), strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(pyramid.smooth(0, x[-1], 100, 500), afresh.smooth(0, x[-1], 100, 500), strict=True):
            np.testing.assert_array_equal(a, b)
        assert pyramid.bounds() == afresh.bounds()
        np.testing.assert_array_equal(before, x)


def test_what_was_handed_out_survives_going_back() -> None:
    pyramid = filled(np.arange(1000.0), np.arange(1000.0))
    held = pyramid.y
    pyramid.drop_after(10)
    pyramid.append(np.arange(11.0, 900), np.full(889, -1.0))
    assert (held == np.arange(1000.0)).all()


def test_bounds_are_of_finite_values() -> None:
    x, y = noise(70_001, 8)
    good = y[np.isfinite(y)]
    assert filled(x, y, seed=2).bounds() == (good.min(), good.max())
    assert MinMaxPyramid().bounds() is None
    assert filled(np.arange(3.0), np.array([np.nan, np.inf, -np.inf])).bounds() is None


@pytest.mark.parametrize(
    ("x", "y"),
    [([3, 2], [0, 0]), ([1, 1], [0, 0]), ([10], [0]), ([11, np.nan], [0, 0]), ([11, 12], [0]), ([[11]], [[0]])],
)
def test_steps_that_do_not_ascend_are_refused_and_change_nothing(x: object, y: object) -> None:
    pyramid = filled(np.arange(11.0), np.zeros(11))
    with pytest.raises(ValueError, match="steps"):
        pyramid.append(x, y)  # type: ignore[arg-type]
    assert len(pyramid) == 11


def test_appending_and_asking_touch_few_entries() -> None:
    """A batch of 3 makes a bucket or two, all levels together are half as long as the data."""
    pyramid = filled(np.arange(100_000.0), np.zeros(100_000))
    sizes = [level.low.size for level in pyramid._levels]
    pyramid.append([100_000.0, 100_001.0, 100_002.0], [1.0, 2.0, 3.0])
    assert sum(level.low.size for level in pyramid._levels) - sum(sizes) <= 2
    total = sum(level.low.size for level in pyramid._levels)
    assert total <= len(pyramid) / 2
    assert len(pyramid.view(0, 1e6, 100)[0]) <= 408
