"""Handles in the hand: where they are while it holds them, and what is said of that. Knows no event of the mouse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from engine.scene import Handles, Thing
from widgets.viewport.camera import Array, vector
from widgets.viewport.hand.picking import to_world

if TYPE_CHECKING:
    from widgets.viewport.viewport import Viewport

LATE_MS = 400
"""So long after a handle was let go an answer may still be one of before."""


class Held(QObject):
    """The handles of one viewport."""

    control_set = Signal(str, object, str)
    """A control's name, places as a tuple of (x, y, z), and the phase: drag or settled."""

    def __init__(self, viewport: Viewport) -> None:
        super().__init__(viewport)
        self._view = viewport
        self._placed: dict[str, Any] = {}
        self._let_go = QTimer(self, interval=LATE_MS, singleShot=True)
        self._let_go.timeout.connect(self._free)

    def all(self) -> list[Handles]:
        """Those that can be dragged now."""
        shown, state = self._view.shown, self._view.state
        return [thing for thing in shown.things if isinstance(thing, Handles) and shown.is_visible(thing, state)]

    def places(self, name: str) -> Array:
        """Where the points of a thing of handles are in the world (M, 3)."""
        thing = self._view.shown.thing(name)
        assert isinstance(thing, Handles)
        return self._view.world_of(thing, thing.at)

    def applied(self, things: Sequence[Thing]) -> tuple[Thing, ...]:
        """While the hand holds a handle, it is where the hand is, whatever the answers say."""
        return tuple(
            replace(thing, at=self._placed[thing.name])
            if isinstance(thing, Handles) and thing.name in self._placed
            else thing
            for thing in things
        )

    def place(self, name: str, places: Array, phase: str) -> None:
        """The hand has put them there (M, 3) in the world: drawn at once, and said."""
        thing = self._view.shown.thing(name)
        if not isinstance(thing, Handles):
            return
        back = np.asarray(np.linalg.inv(self._view.shown.matrix(thing, self._view.state)), np.float64)
        own = to_world(back, places)
        self._let_go.stop()
        self._placed[name] = own.astype(np.float32)
        self._show()
        said = own + np.asarray(thing.origin)
        self.control_set.emit(thing.control, tuple(vector(place) for place in said), phase)

    def settled(self) -> None:
        """Let go: the answers to come say where they are, but for those that were asked for while the hand moved."""
        self._let_go.start()

    def stop(self) -> None:
        """Nothing is held any more."""
        if self._let_go.isActive():
            self._let_go.stop()
            self._free()

    def _free(self) -> None:
        self._placed.clear()
        self._show()

    def _show(self) -> None:
        self._view.shown.set_things(self.applied(self._view.given))
        self._view.shown.tell(self._view.state)
        self._view.overlay.update()
