"""What pointing and clicking at the scene tell and do: words beside the pointer, the pivot, measurements.

Works on the viewport that it is given; what is at a pixel is the pointer's to find out.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QElapsedTimer, QObject, QPointF, Signal

from widgets.viewport import camera as cam
from widgets.viewport.camera import Array
from widgets.viewport.hand.measure import WANTED, Measure
from widgets.viewport.hand.picking import Hit, words

if TYPE_CHECKING:
    from widgets.viewport.viewport import Viewport

HOVER_MS = 34
"""At most 30 times a second a place below the pointer is sent."""


class Touch(QObject):
    """The pointer on one viewport."""

    edited = Signal(str, object, object)
    """As of the views: what was done in words, how to do it again, how to undo it."""
    control_set = Signal(str, object, str)

    def __init__(self, viewport: Viewport) -> None:
        super().__init__(viewport)
        self._view = viewport
        self.control = ""
        """Which control is set to the place below the pointer; '' for none."""
        self.hovered: tuple[Hit, float, float] | None = None
        self.measure: Measure | None = None
        self._said = QElapsedTimer()
        viewport.pointer.found.connect(self._found)

    # ---- pointing

    def hover(self, at: QPointF) -> None:
        """The pointer moves over the picture with no button down."""
        self._view.pointer.want(at.x(), at.y())

    def leave(self) -> None:
        """There is no pointer, or it holds something."""
        self._view.pointer.stop()
        if self.hovered is not None:
            self.hovered = None
            self._view.overlay.update()

    def _found(self, hit: Hit | None, x: float, y: float) -> None:
        self.hovered = None if hit is None else (hit, x, y)
        self._view.overlay.update()
        if self.control and (not self._said.isValid() or self._said.elapsed() >= HOVER_MS):
            self._said.start()
            place = hit.place if hit is not None else cam.vector(
                cam.on_target_plane(self._view.navigator.camera, x, y, *self._view.size_of()))  # fmt: skip
            self.control_set.emit(self.control, (place,), "drag")

    def hover_words(self) -> list[str]:
        """What stands beside the pointer now."""
        return [] if self.hovered is None else words(self.hovered[0], self._view.step_at(self.hovered[0].ahead))

    def place_at(self, at: QPointF) -> Array | None:
        """The place that the pointer is known to be on."""
        if self.hovered is None or abs(self.hovered[1] - at.x()) + abs(self.hovered[2] - at.y()) >= 3:
            return None
        return np.asarray(self.hovered[0].place)

    # ---- clicking

    def pivot(self, at: QPointF) -> None:
        """Turns about the surface under a pixel from now on."""
        drawn = self._view.canvas.place_under(at.x(), at.y())

        def then(hit: Hit | None) -> None:
            place = np.asarray(hit.place) if hit is not None else drawn
            if place is not None:
                self._view.turn_about(place)

        self._view.pointer.ask(at.x(), at.y(), then)

    def click(self, at: QPointF) -> None:
        """A click with the left button that grabbed nothing: measures, or chooses in the outline."""
        view = self._view
        if self.measure is not None:
            kind, drawn = self.measure.kind, view.canvas.place_under(at.x(), at.y())
            view.pointer.ask(at.x(), at.y(), lambda hit: self._measured(kind, hit, drawn))
        elif view.outline.isVisible():
            view.pointer.ask(at.x(), at.y(), lambda hit: None if hit is None else view.outline.choose(hit.thing.name))

    # ---- measuring

    def take(self, tool: str) -> None:
        """Another tool: a measurement of the one before is gone."""
        if self.measure is None or self.measure.kind != tool:
            self.measure = Measure(tool) if tool in WANTED else None
            self._view.noticed.emit("")
            self._view.overlay.update()

    def _measured(self, kind: str, hit: Hit | None, drawn: Array | None) -> None:
        """A place to measure from: of a point or surface, else of what is drawn there."""
        if self.measure is None or self.measure.kind != kind:
            return
        place = hit.place if hit is not None else None if drawn is None else cam.vector(drawn)
        if place is None:
            self._view.noticed.emit("Nothing is there to measure from: click on a point or a surface.")
            return
        self._view.noticed.emit("")  # what was said of a click beside everything
        self._change("measuring", self.measure.with_place(place))

    def clear_measure(self) -> bool:
        """Whether there was one."""
        if self.measure is None or not self.measure.places:
            return False
        self._change("cleared measurement", Measure(self.measure.kind))
        return True

    def _change(self, text: str, measure: Measure) -> None:
        before = self.measure
        assert before is not None
        self._show(measure)
        self.edited.emit(text, partial(self._show, measure), partial(self._show, before))

    def _show(self, measure: Measure) -> None:
        """Undo takes the tool up again."""
        if self._view.tools.tool != measure.kind:
            self._view.tools.choose(measure.kind)
        self.measure = measure
        self._view.overlay.update()
