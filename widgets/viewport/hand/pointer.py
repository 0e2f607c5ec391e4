"""What the pointer is on: lays the scene out in pixels while nothing moves, in slices, and looks there. No widget.

It is told the things to look at by a function, and tells what it found by a signal.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QElapsedTimer, QObject, QTimer, Signal

from engine.scene import Mesh, Points, Thing
from widgets.viewport.camera import Array, Camera
from widgets.viewport.hand.picking import Bools, Hit, Seen, lay_out, pick
from widgets.viewport.hand.select import count_of

TURN_MS = 4
"""Milliseconds of work in one turn of the event loop."""
AT_ONCE = 400_000
"""Points and faces that a click lays out at once rather than not being answered: some 20 ms at worst."""


@dataclass(frozen=True)
class Sight:
    """All that a look depends on. ``things`` are what can be picked, each with its matrix and what is kept of it."""

    camera: Camera
    size: tuple[float, float]
    things: Sequence[tuple[Thing, Array, Bools | None]]
    planes: Array | None


class Pointer(QObject):
    """Answers ``want`` by ``found``, at most once per 33 ms; ``now`` answers at once."""

    found = Signal(object, float, float)
    """A :class:`Hit` or None, and the pixel."""

    def __init__(self, sight: Callable[[], Sight], parent: QObject) -> None:
        super().__init__(parent)
        self._sight = sight
        self._seen: list[Seen] | None = None
        self._drawn: Sight | None = None
        self._job: Generator[None, None, list[Seen]] | None = None
        self._wanted: tuple[float, float] | None = None
        self._work = QTimer(self, interval=0)
        self._work.timeout.connect(self._turn)
        self._pace = QTimer(self, interval=33, singleShot=True)
        self._pace.timeout.connect(self._answer)

    def forget(self) -> None:
        """Something moved: what was laid out is not true any more."""
        self._seen, self._job, self._drawn = None, None, None
        self._work.stop()
        if self._wanted is not None:  # the question stands
            self._pace.start()

    def stop(self) -> None:
        """The pointer is gone."""
        self._wanted = None
        self._work.stop()
        self._pace.stop()
        self._job = None

    def want(self, x: float, y: float) -> None:
        """What is at pixel (x, y)? ``found`` follows; an older question is dropped."""
        self._wanted = (x, y)
        if not self._pace.isActive():
            self._pace.start()

    def now(self, x: float, y: float) -> Hit | None:
        """What is at a pixel, at once. A scene too large for that gives what has been laid out so far."""
        sight = self._drawn or self._sight()
        if self._seen is None:
            n = sum(count_of(thing) for thing, _, _ in sight.things)
            if n > AT_ONCE:
                return None
            self._begin()
            while self._seen is None:
                self._step()
        return self._look(x, y)

    def _begin(self) -> None:
        self._drawn = self._sight()
        self._job = _all(self._drawn)

    def _step(self) -> None:
        assert self._job is not None
        try:
            next(self._job)
        except StopIteration as end:
            self._seen, self._job = end.value, None

    def _answer(self) -> None:
        if self._wanted is None:
            return
        if self._seen is None:
            if self._job is None:
                self._begin()
            self._work.start()
            return
        x, y = self._wanted
        self._wanted = None
        self.found.emit(self._look(x, y), x, y)

    def _turn(self) -> None:
        clock = QElapsedTimer()
        clock.start()
        while self._seen is None and self._job is not None and clock.elapsed() < TURN_MS:
            self._step()
        if self._seen is not None or self._job is None:
            self._work.stop()
            self._answer()

    def _look(self, x: float, y: float) -> Hit | None:
        if self._seen is None or self._drawn is None:
            return None
        keeps = {thing.name: keep for thing, _, keep in self._drawn.things}
        return pick(self._seen, self._drawn.camera, (x, y), self._drawn.size, keeps, self._drawn.planes)


def _all(sight: Sight) -> Generator[None, None, list[Seen]]:
    out = []
    for thing, matrix, _ in sight.things:
        if isinstance(thing, Points | Mesh):
            seen = yield from lay_out(thing, matrix, sight.camera, *sight.size)
            if seen is not None:
                out.append(seen)
    return out
