"""What the hand changes of a view's things: selection, clipping, looks. Each is a step that can be undone.

Works on the state of a viewport that it is given; knows no event of mouse or keys.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QElapsedTimer, QObject, QTimer, Signal

from widgets.viewport import camera as cam
from widgets.viewport.camera import Array
from widgets.viewport.hand import select
from widgets.viewport.hand.clip import Clip, ClipPlane, box_round
from widgets.viewport.hand.picking import Bools
from widgets.viewport.hand.state import ViewState
from widgets.viewport.over.outline import Look

if TYPE_CHECKING:
    from widgets.viewport.viewport import Viewport

AT_ONCE = 200_000
"""So many points and faces are selected from without leaving the hand's event: some 10 ms."""
TURN_MS = 5
"""Milliseconds that a selection in a large scene works in one turn of the event loop."""


class Editing(QObject):
    """The state of one viewport, and the ways to another."""

    edited = Signal(str, object, object)
    """As of the views: what was done in words, how to do it again, how to undo it."""

    def __init__(self, viewport: Viewport) -> None:
        super().__init__(viewport)
        self._view = viewport
        self.state = ViewState()
        self._clip_before: ViewState | None = None
        self._look_before: ViewState | None = None
        self._job: tuple[Generator[None, None, Any], str] | None = None
        self._selecting = QTimer(self, interval=0)
        self._selecting.timeout.connect(lambda: self._select_on())

    def planes(self) -> Array:
        """Clipping planes (K, 4), none where nothing is clipped."""
        return np.empty((0, 4)) if self.state.clip is None else self.state.clip.planes()

    def stop(self) -> None:
        """Gives up a selection that is being worked out."""
        self._job = None
        self._selecting.stop()

    # ---- states that undo goes back to

    def apply(self, state: ViewState) -> None:
        """Shows a state; what does not fit the present things is left out."""
        clip = self.state.clip
        self.state = replace(state, marks=select.fitting(state.marks, self._view.shown.things))
        self._view.shown.tell(self.state)
        if clip != self.state.clip:
            self._view.canvas.set_clip(self.planes())
        self._view.outline.show_things(self._view.given, self.state.looks)
        self._view.pointer.forget()
        self._view.dress()
        self._view.overlay.update()

    def do(self, text: str, state: ViewState, before: ViewState | None = None) -> None:
        """One step that can be undone."""
        start = self.state if before is None else before
        self.apply(state)
        self.edited.emit(text, partial(self.apply, state), partial(self.apply, start))

    def select(self, polygon: Sequence[tuple[float, float]], mode: str = "replace") -> None:
        """Marks what is seen within a polygon of pixels; a large scene takes some turns of the event loop."""
        self._job = (self._inside(np.asarray(polygon, np.float64)), mode)
        few = sum(select.count_of(thing) for thing, _, _ in self._view.pickable()) <= AT_ONCE
        self._select_on(1000 if few else TURN_MS)
        if self._job is not None:
            self._selecting.start()

    def _inside(self, polygon: Array) -> Generator[None, None, Mapping[str, Bools]]:
        sight = self._view.sight()
        found = {}
        for thing, matrix, _ in sight.things:
            found[thing.name] = yield from select.inside_of(
                thing, matrix, sight.camera, sight.size, polygon, sight.planes
            )
        return found

    def _select_on(self, milliseconds: int = TURN_MS) -> None:
        if self._job is None:
            self._selecting.stop()
            return
        clock = QElapsedTimer()
        clock.start()
        job, mode = self._job
        try:
            while clock.elapsed() < milliseconds:
                next(job)
        except StopIteration as end:
            self._job = None
            self._selecting.stop()
            marks = select.selected(self.state.marks, end.value, mode)
            self.do("selection", replace(self.state, marks=marks))

    def show_clip(self, clip: Clip) -> None:
        """While the hand drags a grip."""
        if self._clip_before is None:
            self._clip_before = self.state
            self._view.canvas.interacting(True)
        self.state = replace(self.state, clip=clip)
        self._view.canvas.set_clip(self.planes())
        self._view.pointer.forget()
        self._view.overlay.update()

    def settle_clip(self, start: Clip) -> None:
        """Let go: one step of undo."""
        self._view.canvas.interacting(False)
        before, self._clip_before = self._clip_before, None
        if before is not None and self.state.clip != start:
            self.do("clipping", self.state, before)

    def change_look(self, name: str, look: Look, what: str, settled: bool) -> None:
        looks = {n: v for n, v in {**self.state.looks, name: look}.items() if v != Look()}
        state = replace(self.state, looks=looks)
        if not settled:
            self._look_before = self._look_before or self.state
            self.apply(state)
            return
        before, self._look_before = self._look_before, None
        if state != self.state or before is not None:
            self.do(what, state, before)

    def clip_command(self, what: str) -> bool:
        corners = self._view.shown.corners(self.state)
        if not len(corners):
            return False
        clip = self.state.clip
        size = float(np.ptp(corners, 0).max()) / 2
        middle = cam.vector((corners.min(0) + corners.max(0)) / 2)
        made: dict[str, Callable[[], Clip | None]] = {
            "none": lambda: None,
            "box": lambda: box_round(corners),
            "reset": lambda: box_round(corners),
            "plane": lambda: ClipPlane(middle, cam.to_world((0.0, 1.0, 0.0), self._view.navigator.world_up), size),
            "flip": lambda: clip.flipped() if isinstance(clip, ClipPlane) else clip,
        }
        new = made[what]()
        if new == clip:
            return False
        self.do("clipping", replace(self.state, clip=new))
        return True

    def selection_command(self, what: str) -> bool:
        marks = self.state.marks
        if what == "export":
            scene = select.scene_of(self._view.shown.things, marks, select.number_marked(marks) > 0)
            self._view.exported.emit("scene", (scene,))
            return True
        acts: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
            "invert": ("inverted selection", lambda: select.inverted(marks, [t for t, _, _ in self._view.pickable()])),
            "clear": ("cleared selection", lambda: select.unmarked(marks)),
            "hide": ("hiding the selection", lambda: select.hidden(marks)),
            "show": ("showing all", lambda: select.shown(marks)),
            "delete": ("deleting the selection", lambda: select.deleted(marks)),
        }
        if what in ("clear", "hide", "delete") and not select.number_marked(marks):
            return False
        if what == "show" and all(m.hidden is None for m in marks.values()):
            return False
        text, act = acts[what]
        self.do(text, replace(self.state, marks=act()))
        return True
