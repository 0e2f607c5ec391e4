"""A picture that a camera moves through, by the time that it may take: few pixels at once, then more, then smooth.

Says which sizes are rendered in which order and puts the results together; knows neither what renders nor what is
shown. numpy only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MOVING, LEARNING = 0.05, 0.1
"""Seconds that a picture may take while the camera moves, and the first one of a camera at rest or of new weights."""
FIRST = 900
"""Pixels of the very first picture, before which nothing is known of what one takes."""
SMALLEST = 24
"""Pixels along the shorter side at least: of fewer nothing can be made out, and the last picture, bent to the camera,
stands between two of them."""
STILL = 8.0
"""Seconds that a picture at rest may take at most, where nobody has said how large it is to be."""
GROWTH = 4.0
"""So many times the pixels has each picture at rest of the one before."""
PASSES = 8
"""Pictures that the last one is the mean of, their rays moved within the pixels."""
MIDDLE = (0.5, 0.5)


@dataclass(frozen=True)
class Seen:
    """What a camera sees: ``image`` (H, W, 3), colour times alpha; ``alpha`` (H, W); ``depth`` (H, W) along the viewing
    direction, 0 where alpha is; ``cost``, the mean over its pixels of what one took."""

    image: Floats
    alpha: Floats
    depth: Floats
    cost: float = 0.0


@dataclass(frozen=True)
class Shot:
    """A picture on the way to the last one: ``progress`` is 1 for that; ``rays`` are those of each pixel so far."""

    seen: Seen
    progress: float
    rays: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.seen.alpha.shape
        return width, height


Render = Callable[[int, int, tuple[float, float]], Generator[float, None, Seen]]
"""Renders width x height pixels, the rays ``shift`` from their upper left corners; yields how far it is, 0..1."""


class LiveView:
    """The budget of one probe. Remembers what a pixel took, which no answer at rest depends on."""

    def __init__(self) -> None:
        self.per_pixel = 0.0
        """Seconds, of the pictures of late; 0 before the first."""

    def size(self, width: int, height: int, seconds: float) -> tuple[int, int]:
        """What can be rendered of ``width`` x ``height`` in so many seconds. The square-root rule: each side goes with
        the root of the pixels that there is time for."""
        pixels = seconds / self.per_pixel if self.per_pixel else float(FIRST)
        share = max(math.sqrt(pixels / (width * height)), SMALLEST / min(width, height))
        return (width, height) if share >= 1 else (max(1, round(width * share)), max(1, round(height * share)))

    def plan(
        self, width: int, height: int, still: float = math.inf, first: tuple[int, int] | None = None
    ) -> list[tuple[int, int]]:
        """The sizes that follow each other at rest from ``first`` on, the last one the whole, or what of it can be
        rendered in ``still`` seconds."""
        goal = self.size(width, height, still) if self.per_pixel else (width, height)
        sizes = [first or self.size(width, height, LEARNING)]
        while sizes[-1][0] * sizes[-1][1] < goal[0] * goal[1]:
            share = math.sqrt(GROWTH * sizes[-1][0] * sizes[-1][1] / (goal[0] * goal[1]))
            sizes.append((round(goal[0] * share), round(goal[1] * share)) if share < 0.8 else goal)
        return sizes

    def shots(
        self, width: int, height: int, render: Render, *, dragging: bool, version: Callable[[], int],
        passes: int = PASSES, still: float = math.inf,
    ) -> Iterator[float | Shot]:  # fmt: skip
        """Ever better pictures, with progress 0..1 between them.

        While ``dragging`` there is one, as large as may be rendered in :data:`MOVING` seconds. At rest one of
        :data:`LEARNING` seconds is followed by larger ones, and the last, the whole or what of it can be rendered in
        ``still`` seconds, by means of up to ``passes`` with other rays; where ``version()``, a number that the weights
        change, becomes another, the last picture is the answer.
        """
        if dragging:
            seen = yield from self._timed(render, *self.size(width, height, MOVING), MIDDLE, 0.0, 1.0)
            yield Shot(seen, 1.0, 1)
            return
        began, sizes, last = version(), self.plan(width, height), None
        work = sum(w * h for w, h in sizes) + (passes - 1) * width * height
        done = number = 0
        while number < len(sizes):
            w, h = sizes[number]
            total: Seen | None = None
            turn = 0
            while turn < (passes if number == len(sizes) - 1 else 1):
                shift = MIDDLE if turn == 0 else (_mirrored(turn, 2), _mirrored(turn, 3))
                steps = self._timed(render, w, h, shift, done / work, (done + w * h) / work)
                while True:
                    try:
                        share = next(steps)
                    except StopIteration as end:
                        found: Seen = end.value
                        break
                    yield share
                    if last is not None and version() != began:  # the rest would be of other weights
                        yield Shot(last.seen, 1.0, last.rays)
                        return
                total = found if total is None else mixed(total, found, turn)
                done += w * h
                if number == turn == 0:  # what a pixel takes is known now
                    sizes = self.plan(width, height, still, (w, h))
                    work = sum(w * h for w, h in sizes) + (passes - 1) * sizes[-1][0] * sizes[-1][1]
                last = Shot(total, done / work if done < work else 1.0, turn + 1)
                yield last
                if last.progress < 1 and version() != began:
                    yield Shot(last.seen, 1.0, last.rays)
                    return
                turn += 1
            number += 1

    def _timed(
        self, render: Render, width: int, height: int, shift: tuple[float, float], begin: float, end: float
    ) -> Generator[float, None, Seen]:
        """The picture; learns what its pixels took, without what others did meanwhile."""
        steps, spent = render(width, height, shift), 0.0
        while True:
            clock = time.perf_counter()
            try:
                share = next(steps)
            except StopIteration as stop:
                each = (spent + time.perf_counter() - clock) / (width * height)
                self.per_pixel = each if not self.per_pixel else 0.5 * (self.per_pixel + each)
                seen: Seen = stop.value
                return seen
            spent += time.perf_counter() - clock
            yield begin + (end - begin) * share


def mixed(mean: Seen, new: Seen, count: int) -> Seen:
    """The mean of ``count`` pictures and one more; depths count as much as their pixels are covered."""
    share = np.float32(1 / (count + 1))
    alpha = mean.alpha + share * (new.alpha - mean.alpha)
    depth = mean.depth * mean.alpha + share * (new.depth * new.alpha - mean.depth * mean.alpha)
    return Seen(
        mean.image + share * (new.image - mean.image),
        alpha,
        np.divide(depth, alpha, out=np.zeros_like(depth), where=alpha > 0),
        mean.cost + float(share) * (new.cost - mean.cost),
    )


def _mirrored(index: int, base: int) -> float:
    """The digits of ``index`` mirrored at the point: van der Corput's sequence, even over 0..1."""
    value, digit = 0.0, 1.0
    while index:
        digit /= base
        value += index % base * digit
        index //= base
    return value
