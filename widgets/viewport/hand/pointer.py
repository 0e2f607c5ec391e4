"""What the pointer is on: asks the view lane, one question at a time, the newest next. No widget.

It is told the things to look at by a function, and tells what it found by a signal. What a scene looks like in pixels
is worked out with the first question after the camera or the things have changed, and kept for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from engine.scene import Thing
from widgets.viewport.camera import Array, Camera, ray, screen_matrix, vector
from widgets.viewport.hand.picking import Bools, Hit
from widgets.viewport.lane import ViewLane


@dataclass(frozen=True)
class Sight:
    """All that a look depends on. ``things`` are what can be picked, each with its matrix and what is kept of it."""

    camera: Camera
    size: tuple[float, float]
    things: Sequence[tuple[Thing, Array, Bools | None]]
    planes: Array | None

    @property
    def screen(self) -> Array:
        return screen_matrix(self.camera, *self.size)


class Pointer(QObject):
    """Answers ``want`` by ``found``, at most once per 33 ms, and ``ask`` by a call."""

    found = Signal(object, float, float)
    """A :class:`Hit` or None, and the pixel."""

    def __init__(self, sight: Callable[[], Sight], lane: ViewLane, parent: QObject) -> None:
        super().__init__(parent)
        self._sight = sight
        self._lane = lane
        self._drawn: Sight | None = None
        self._laid_out: Any = None
        """As the view lane gave it, of ``_drawn``."""
        self._wanted: tuple[float, float] | None = None
        self._asked: tuple[float, float] | None = None
        """What the lane is looking for."""
        self._number = 0
        self._pace = QTimer(self, interval=33, singleShot=True)
        self._pace.timeout.connect(self._ask)

    def forget(self) -> None:
        """Something moved: what was laid out is not true any more."""
        self._drawn, self._laid_out = None, None
        if self._asked is not None:
            self._lane.cancel("hover")
            self._wanted = self._wanted or self._asked
            self._asked = None
        if self._wanted is not None:  # the question stands
            self._pace.start()

    def stop(self) -> None:
        """The pointer is gone."""
        self._wanted, self._asked = None, None
        self._lane.cancel("hover")
        self._pace.stop()

    def want(self, x: float, y: float) -> None:
        """What is at pixel (x, y)? ``found`` follows; of several that wait the newest is answered."""
        self._wanted = (x, y)
        if not self._pace.isActive():
            self._pace.start()

    def ask(self, x: float, y: float, then: Callable[[Hit | None], None]) -> None:
        """``then`` is called with what is at a pixel as things stand now; every question is answered, in turn."""
        self._number += 1
        self._look(f"click {self._number}", (x, y), then)

    def _ask(self) -> None:
        if self._wanted is None or self._asked is not None:  # the answer to come asks again
            return
        self._asked, self._wanted = self._wanted, None
        x, y = self._asked

        def then(hit: Hit | None) -> None:
            self._asked = None
            if self._wanted is not None and not self._pace.isActive():
                self._pace.start()
            self.found.emit(hit, x, y)

        self._look("hover", self._asked, then)

    def _look(self, key: str, pixel: tuple[float, float], then: Callable[[Hit | None], None]) -> None:
        if self._drawn is None:
            self._drawn = self._sight()
        sight = self._drawn
        origin, direction = ray(sight.camera, *pixel, *sight.size)

        def answered(answer: tuple[Any, Any]) -> None:
            laid_out, met = answer
            if sight is self._drawn:
                self._laid_out = laid_out
            then(None if met is None else Hit(
                sight.things[met.thing][0], vector(met.place), None if met.normal is None else vector(met.normal),
                met.index, met.vertex, met.ahead,
            ))  # fmt: skip

        def failed(line: str) -> None:
            self._lane.failed.emit(key, line)
            then(None)

        self._lane.ask(
            key, "pick", answered, failed, things=sight.things, screen=sight.screen, pixel=pixel, origin=origin,
            direction=direction, planes=sight.planes, laid_out=self._laid_out,
        )  # fmt: skip
