"""The order and size of the pictures of a camera that moves, and how they are put together."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.nn.looking import live_view as module
from engine.nn.looking.live_view import LEARNING, MOVING, LiveView, Seen, Shot


class Clock:
    """Time that passes only where somebody says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: self.now))


class Painter:
    """A picture whose pixel tells where its ray goes, at so many seconds a pixel, in four pieces."""

    def __init__(self, clock: Clock, each: float) -> None:
        self.clock, self.each = clock, each
        self.asked: list[tuple[int, int, tuple[float, float]]] = []

    def __call__(self, width: int, height: int, shift: tuple[float, float]) -> Generator[float, None, Seen]:
        self.asked.append((width, height, shift))
        for k in range(4):
            if k:
                yield k / 4
            self.clock.now += self.each * width * height / 4
        x = np.broadcast_to((np.arange(width, dtype=np.float32) + np.float32(shift[0])) / width, (height, width))
        alpha = (x < 0.5).astype(np.float32)
        return Seen(np.repeat(x[..., None] * alpha[..., None], 3, axis=2), alpha, 2 * alpha, 1.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def shots(parts: Iterator[float | Shot]) -> list[Shot]:
    return [part for part in parts if isinstance(part, Shot)]


def test_while_the_hand_moves_there_is_one_picture_and_its_sides_follow_the_square_root(clock: Clock) -> None:
    live, slow = LiveView(), Painter(clock, 2.5e-5)
    for _ in range(3):
        (only,) = shots(live.shots(640, 480, slow, dragging=True, version=lambda: 0))
    assert live.per_pixel == pytest.approx(2.5e-5)
    assert (only.progress, only.rays) == (1.0, 1)
    width, height = only.size
    assert width * height == pytest.approx(MOVING / 2.5e-5, rel=0.05)
    assert width / height == pytest.approx(4 / 3, rel=0.03)
    fast = Painter(clock, 2.5e-5 / 16)
    for _ in range(12):
        (only,) = shots(live.shots(640, 480, fast, dragging=True, version=lambda: 0))
    assert only.size[0] == pytest.approx(4 * width, rel=0.03)  # a sixteenth of the time: four times the side
    quick = Painter(clock, 1e-9)
    for _ in range(20):
        (only,) = shots(live.shots(640, 480, quick, dragging=True, version=lambda: 0))
    assert only.size == (640, 480)  # never more than was asked for


def test_at_rest_it_grows_to_the_whole_and_then_takes_other_rays(clock: Clock) -> None:
    live, painter = LiveView(), Painter(clock, 2.5e-5)
    first = shots(live.shots(200, 100, painter, dragging=False, version=lambda: 0, passes=3))
    sizes = [shot.size for shot in first]
    assert sizes == sorted(sizes)
    assert sizes[-3:] == [(200, 100)] * 3
    assert [shot.rays for shot in first[-3:]] == [1, 2, 3]
    progress = [shot.progress for shot in first]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert all(p < 1 for p in progress[:-1])
    again = shots(live.shots(200, 100, painter, dragging=False, version=lambda: 0, passes=3))
    assert again[0].size[0] * again[0].size[1] == pytest.approx(LEARNING / 2.5e-5, rel=0.1)
    grown = [b.size[0] * b.size[1] / (a.size[0] * a.size[1]) for a, b in pairwise(again[:-2])]
    assert all(1.5 < factor < 7 for factor in grown)
    shifts = [shift for w, _, shift in painter.asked if w == 200][-3:]
    assert len(set(shifts)) == 3
    assert all(0 < s < 1 for shift in shifts for s in shift)


def test_a_picture_whose_size_nobody_has_said_is_as_large_as_there_is_time_for(clock: Clock) -> None:
    live, painter = LiveView(), Painter(clock, 1e-4)
    found = shots(live.shots(1280, 800, painter, dragging=False, version=lambda: 0, passes=3, still=8.0))
    width, height = found[-1].size
    assert width * height == pytest.approx(8.0 / 1e-4, rel=0.01)
    assert width / height == pytest.approx(1.6, rel=0.01)
    assert [shot.rays for shot in found if shot.size == (width, height)] == [1, 2, 3]
    progress = [shot.progress for shot in found]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert all(p < 1 for p in progress[:-1])
    quick = shots(
        LiveView().shots(1280, 800, Painter(clock, 1e-7), dragging=False, version=lambda: 0, passes=2, still=8.0)
    )
    assert quick[-1].size == (1280, 800)  # no more than the window has


def test_the_last_picture_is_the_mean_and_depth_counts_by_cover(clock: Clock) -> None:
    live, painter = LiveView(), Painter(clock, 1e-9)
    last = shots(live.shots(31, 8, painter, dragging=False, version=lambda: 0, passes=8))[-1]
    shifts = np.array([shift[0] for w, _, shift in painter.asked if w == 31])
    assert len(shifts) == 8
    covered = np.mean((15 + shifts) / 31 < 0.5)  # the edge runs through the sixteenth pixel
    assert 0.3 < covered < 0.7
    assert last.seen.alpha[3, 15] == pytest.approx(covered)
    assert last.seen.alpha[3, 14] == 1.0
    assert last.seen.alpha[3, 16] == 0.0
    np.testing.assert_allclose(last.seen.depth[last.seen.alpha > 0], 2.0, rtol=1e-6)
    assert last.seen.depth[3, 16] == 0.0
    assert last.seen.image[0, 4, 0] == pytest.approx((4 + shifts.mean()) / 31, rel=1e-5)


def test_weights_that_change_end_it_with_the_picture_that_there_is(clock: Clock) -> None:
    live, painter = LiveView(), Painter(clock, 1e-4)
    weights, found = [0], []
    for part in live.shots(400, 300, painter, dragging=False, version=lambda: weights[0]):
        if isinstance(part, Shot):
            found.append(part)
            weights[0] += 1  # a training step after the first picture
    assert [shot.progress for shot in found][1:] == [1.0]
    assert found[1].seen is found[0].seen
    assert len(painter.asked) == 1


def test_what_others_do_in_between_is_not_the_pixels_time(clock: Clock) -> None:
    live, painter = LiveView(), Painter(clock, 1e-4)
    for _ in live.shots(100, 100, painter, dragging=True, version=lambda: 0):
        clock.now += 5.0
    assert live.per_pixel == pytest.approx(1e-4)


def test_the_mirrored_digits_are_even_in_each_base() -> None:
    assert [module._mirrored(k, 2) for k in range(1, 8)] == [0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875]
    thirds: list[Any] = sorted(module._mirrored(k, 3) for k in range(9))
    np.testing.assert_allclose(thirds, np.arange(9) / 9, atol=1e-12)
