"""What the hand changes of a view's things: selection, clipping, looks. Each is a step that can be undone.

Works on the state of a viewport that it is given; knows no event of mouse or keys.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from engine.scene import Field, Thing
from widgets.viewport import camera as cam
from widgets.viewport.camera import Array
from widgets.viewport.hand import select
from widgets.viewport.hand.clip import Clip, ClipPlane, box_round
from widgets.viewport.hand.picking import Bools
from widgets.viewport.hand.state import ViewState
from widgets.viewport.over.outline import Look

if TYPE_CHECKING:
    from widgets.viewport.viewport import Viewport


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
        self._asked: list[str] = []
        """Keys of selections that the view lane works out."""
        self.only_visible = False
        self._number = 0
        self._later: list[str] = []
        """Commands that came meanwhile."""

    def planes(self) -> Array:
        """Clipping planes (K, 4), none where nothing is clipped."""
        return np.empty((0, 4)) if self.state.clip is None else self.state.clip.planes()

    def stop(self) -> None:
        """Gives up what is being worked out."""
        for key in (*self._asked, "export"):
            self._view.lane.cancel(key)
        self._asked.clear()
        self._later.clear()

    # ---- states that undo goes back to

    def apply(self, state: ViewState) -> None:
        """Shows a state; what does not fit the present things is left out."""
        clip = self.state.clip
        self.state = replace(state, marks=select.fitting(state.marks, self._view.shown.things))
        self._view.shown.tell(self.state)
        if clip != self.state.clip:
            self._view.canvas.set_clip(self.planes())
            self._view.cropping.say(self.state.clip, "fitted")
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
        """Marks what is seen within a polygon of pixels, worked out by the view lane; one after the other."""
        self._ask(
            "select_inside", mode, screen=self._view.sight().screen, polygon=np.asarray(polygon, np.float64),
            drawn=self._view.canvas.drawn_depths() if self.only_visible else None,
        )  # fmt: skip

    def _ask(self, job: str, mode: str, **more: Any) -> None:
        """Marks what a job of the view lane finds."""
        sight = self._view.sight()
        self._number += 1
        key = f"select {self._number}"
        self._asked.append(key)
        self._view.lane.ask(
            key, job, partial(self._selected, key, mode), partial(self._failed, key),
            things=sight.things, planes=sight.planes, **more,
        )  # fmt: skip

    def export(self, what: str, marked: bool) -> None:
        """Says what is to be written, as ``what``: what is marked, or all but what is hidden or deleted, where it was
        moved to. A part is cut out by the view lane."""
        scene, state = self._view.scene, self.state
        parts = select.parts_of(scene.things, state.marks, marked)
        moved = {t.name: self._view.shown.transform(t, state) for t, _ in parts}
        parts = [
            (t if moved[t.name] is t.transform else replace(t, transform=moved[t.name]), keep) for t, keep in parts
        ]

        def then(things: tuple[Thing, ...]) -> None:
            whole = len(things) == len(scene.things) and all(map(operator.is_, things, scene.things))
            self._view.exported.emit(what, (scene if whole else replace(scene, things=things),))

        if all(keep is None for _, keep in parts):
            then(tuple(thing for thing, _ in parts))
        else:
            self._view.lane.ask("export", "parts.cut_out", then, things=parts)

    def toggle_front(self) -> None:
        """Whether a selection leaves out what lies behind something."""
        self.only_visible = not self.only_visible

    def _selected(self, key: str, mode: str, found: Mapping[str, Bools]) -> None:
        self._asked.remove(key)
        counts = {thing.name: select.count_of(thing) for thing in self._view.shown.things}
        fits = {name: part for name, part in found.items() if counts.get(name) == len(part)}
        self.do("selection", replace(self.state, marks=select.selected(self.state.marks, fits, mode)))
        self._catch_up()

    def _failed(self, key: str, line: str) -> None:
        self._asked.remove(key)
        self._view.lane.failed.emit(key, line)
        self._catch_up()

    def _catch_up(self) -> None:
        while self._later and not self._asked:
            self._view.command(f"select:{self._later.pop(0)}")

    def show_clip(self, clip: Clip) -> None:
        """While the hand drags a grip."""
        if self._clip_before is None:
            self._clip_before = self.state
            self._view.canvas.interacting(True)
        self.state = replace(self.state, clip=clip)
        self._view.canvas.set_clip(self.planes())
        self._view.cropping.say(clip, "drag")
        self._view.pointer.forget()
        self._view.overlay.update()

    def settle_clip(self, start: Clip) -> None:
        """Let go: one step of undo."""
        self._view.canvas.interacting(False)
        before, self._clip_before = self._clip_before, None
        if before is not None and self.state.clip != start:
            self._do_clip(self.state, before)

    def clip_to(self, clip: Clip | None) -> None:
        """A clipping that was set elsewhere: no step of undo."""
        self.apply(replace(self.state, clip=clip))

    def _do_clip(self, state: ViewState, before: ViewState | None = None) -> None:
        """One step that can be undone: where the clipping is a control's value, by setting that."""
        if self._view.cropping.control:
            self._view.cropping.say(state.clip, "settled")
            self.apply(state)
        else:
            self.do("clipping", state, before)

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
        fields = [thing.name for thing in self._view.shown.things if isinstance(thing, Field)]
        corners = self._view.shown.corners(self.state, fields, core=True)
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
        self._do_clip(replace(self.state, clip=new))
        return True

    def selection_command(self, what: str) -> bool:
        """Whether there is anything to do. What follows a selection waits for it."""
        if self._asked:
            self._later.append(what)
            return True
        marks = self.state.marks
        if what == "export":
            self.export("scene", marked=select.number_marked(marks) > 0)
            return True
        if what == "value":
            self._view.by_value.toggle()
            return True
        if what == "clipped":
            if self.state.clip is None:
                self._view.noticed.emit("Nothing is clipped: put a clipping box round what is to be selected first.")
                return False
            self._ask("select_kept", "replace")
            return True
        if what == "floaters":
            self._ask("geometry.splats.values.select_floaters", "replace")
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
