"""The camera as a control of the study: what the view looks at is said to the engine, and cameras of the scene are
taken up. Knows no event of the mouse and renders nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QPointF, Qt, QTimer, Signal
from PySide6.QtGui import QPolygonF

from engine.params import BadValue
from engine.scene import Field, Frustums, Scene
from widgets.viewport.camera import Camera, project
from widgets.viewport.sights import camera_of, stand_of, text_of

if TYPE_CHECKING:
    from widgets.viewport.viewport import Viewport

NEAR_EYE = 9.0
"""Pixels within which a click finds the eye of a frustum."""
OWN = 0.8
"""A frustum whose eye is nearer than this share of its depth is that of the view's own camera, as the shader has it."""
REST_MS = 120
"""So long a view keeps its size, or a camera that no hand moves, before that is said as settled."""
LATE = 3.0
"""Seconds after which a camera that was asked for is not waited for any more."""


class Through(QObject):
    """The camera of one viewport, as the engine sees it, and the cameras that stand in the scene."""

    control_set = Signal(str, object, str)
    """A control's name, its value, and the phase: drag, settled, or fitted where only the view's size has changed."""

    def __init__(self, viewport: Viewport) -> None:
        super().__init__(viewport)
        self._view = viewport
        self.control = ""
        """Which control is set to the view's camera; '' for none."""
        self._whole = ""
        """Which control is on while frames of a film are asked for; '' for none."""
        self._said = ""
        """The text that was said last, or came with a scene."""
        self._waits_since: float | None = None
        """Since when an answer to it is waited for."""
        self._busy = False
        self._frame = ""
        """The camera of a film that is waited for; '' while there is no film."""
        self._frame_there = False
        self.named: tuple[str, QPointF] | None = None
        """What the frustum below the pointer is called, and where the pointer is."""
        self._settle = QTimer(self, interval=REST_MS, singleShot=True)
        self._settle.timeout.connect(lambda: self._say("settled"))
        self._fit = QTimer(self, interval=REST_MS, singleShot=True)
        self._fit.timeout.connect(lambda: self._say("fitted"))

    # ---- what the engine is told

    def take(self, scene: Scene) -> None:
        """Another scene: a camera in it that this view has not asked for, typed or undone, becomes the view's."""
        control = scene.camera_control
        self._whole = scene.whole_control
        if control != self.control:
            self.stop()
            self.control, self._said, self._waits_since, self._frame = control, "", None, ""
        field = next((thing for thing in scene.things if isinstance(thing, Field)), None)
        if field is not None and self._frame:
            self._frame_there = self._frame_there or (field.camera == self._frame and scene.progress >= 1)
            return
        if not control or field is None or self._busy or self._settle.isActive():
            return
        if field.camera == self._said:
            self._waits_since = None
        elif self._waits_since is None or time.monotonic() - self._waits_since > LATE:
            before, self._said, self._waits_since = self._said, field.camera, None
            if not before or stand_of(before) != stand_of(field.camera):
                self._view.look_through(camera_of(field.camera))
        self.moved()

    def moved(self) -> None:
        """The view's camera or size may be another."""
        self.named = None
        if not self.control or not self._said or self._frame:
            return
        text = self.text()
        if not text or text == self._said:
            return
        if stand_of(text) == stand_of(self._said):
            self._fit.start()
            return
        self._say("drag")
        if not self._busy:  # a flight along a path, or a camera that was chosen
            self._settle.start()

    def busy(self, on: bool) -> None:
        """The hand moves the camera, or has stopped."""
        if self._busy and not on and self._waits_since is not None:
            self._settle.stop()
            self._say("settled")
        self._busy = on

    def rendered(self, camera: Camera, width: int, height: int) -> bool:
        """Whether the engine's picture of a film's camera is there; asks for it the first time. Of a camera that the
        engine cannot have there is none to wait for."""
        if not self.control:
            return True
        try:
            text = text_of(camera, width, height)
        except (BadValue, ValueError):
            return True
        if text != self._frame:
            if not self._frame and self._whole:
                self.control_set.emit(self._whole, True, "fitted")
            self._frame, self._frame_there = text, False
            self.control_set.emit(self.control, text, "fitted")
        return self._frame_there

    def film_over(self) -> None:
        """The control is the view's camera again."""
        if self._frame:
            self._frame = ""
            if self._whole:
                self.control_set.emit(self._whole, False, "fitted")
            self._say("fitted")

    def stop(self) -> None:
        """Off the screen."""
        self._fit.stop()
        self._settle.stop()

    def text(self) -> str:
        """The view's camera and size; '' where the engine has no such camera."""
        width, height = self._view.size_of()
        ratio = self._view.canvas.devicePixelRatioF()
        try:
            return text_of(self._view.navigator.camera, round(width * ratio), round(height * ratio))
        except (BadValue, ValueError):  # farther than the engine reckons, or wider
            return ""

    def _say(self, phase: str) -> None:
        text = self.text()
        if text and self.control:
            self._said, self._waits_since = text, time.monotonic()
            self.control_set.emit(self.control, text, phase)

    # ---- the cameras of the scene

    def frustums(self) -> list[Frustums]:
        """Those that can be clicked now."""
        shown, state = self._view.shown, self._view.state
        return [
            thing
            for thing in shown.things
            if isinstance(thing, Frustums) and not thing.locked and shown.is_visible(thing, state)
        ]

    def frustum_at(self, at: QPointF) -> tuple[Frustums, int] | None:
        """Whose picture or eye is at a pixel, the nearest of them; None where another thing, but no field, hides
        it."""
        camera, size = self._view.navigator.camera, self._view.size_of()
        best: tuple[float, float, Frustums, int] | None = None
        for thing in self.frustums():
            if not len(thing.eyes):
                continue
            places = self._view.world_of(thing, thing.eyes)
            outlines = self._view.world_of(thing, np.reshape(thing.corners, (-1, 3)))
            away = np.linalg.norm(outlines.reshape(-1, 4, 3)[:, [0, 2]].mean(axis=1) - places, axis=1)
            other = np.linalg.norm(places - camera.eye, axis=1) >= OWN * away  # one's own is not drawn
            eyes, corners = project(camera, places, *size), project(camera, outlines, *size).reshape(-1, 4, 3)
            low, high = corners[..., :2].min(axis=1), corners[..., :2].max(axis=1)
            here = np.array([at.x(), at.y()])
            boxed = ((low <= here) & (here <= high)).all(axis=1)  # False where a corner is behind the eye
            close = np.hypot(*(eyes[:, :2] - here).T) <= NEAR_EYE
            for k in np.flatnonzero((boxed | close) & other).tolist():
                outline = QPolygonF([QPointF(x, y) for x, y in corners[k, :, :2].tolist()])
                if not close[k] and not outline.containsPoint(at, Qt.FillRule.OddEvenFill):
                    continue
                ahead = float(eyes[k, 2] if close[k] else corners[k, :, 2].mean())
                if best is None or ahead < best[0]:
                    best = (ahead, float(away[k]), thing, k)
        if best is None:
            return None
        shown, state = self._view.shown, self._view.state
        if any(isinstance(thing, Field) and shown.is_visible(thing, state) for thing in shown.things):
            return best[2:]  # whose edges are drawn through it
        drawn = self._view.canvas.read_depth(at.x(), at.y(), 1)
        return None if drawn is not None and drawn < best[0] - best[1] else best[2:]

    def light(self, at: QPointF) -> bool:
        """Marks the frustum below the pointer; whether there is one."""
        found = self.frustum_at(at)
        for thing in self.frustums():
            self._view.canvas.set_hover(thing.name, found[1] if found is not None and found[0] is thing else -1)
        self.named = None
        if found is not None and found[1] < len(found[0].texts):
            self.named = found[0].texts[found[1]], at
        return found is not None

    def leave(self) -> None:
        """There is no pointer, or it holds something."""
        if self.named is not None:
            self.named = None
            self._view.overlay.update()

    def click(self, at: QPointF) -> bool:
        """The view looks through the camera at a pixel; whether there is one."""
        found = self.frustum_at(at)
        if found is None:
            return False
        thing, index = found
        if thing.control:
            self.control_set.emit(thing.control, index, "settled")
        if index < len(thing.cameras):
            self._view.look_through(camera_of(thing.cameras[index]))
        return True
