"""The hand on the camera: drags, wheel and keys become cameras, exactly and without inertia. Views can be linked.

Knows one camera and the box of what is looked at; neither things nor how they are drawn.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PySide6.QtCore import QElapsedTimer, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent

from widgets.viewport import camera as cam
from widgets.viewport.camera import Array, Camera, Vector

MODES = ("orbit", "trackball", "fly")
REST_MS = 180
"""So long after the last turn of the wheel or key the hand counts as still."""
STEP = 15.0
"""Degrees that an arrow key turns by; with Shift a fifth."""
NOTCH = 0.85
"""How much nearer one notch of the wheel brings what is under the pointer."""
AXIS_KEYS = ("front", "right", "top", "back", "left", "bottom")
"""Shift+1 to Shift+6; the number pad's 1, 3, 7 with Ctrl for the other side, as modelling programs have it."""
SHIFTED = {"!": 1, "@": 2, '"': 2, "#": 3, "§": 3, "£": 3, "$": 4, "%": 5, "^": 6, "&": 6}
"""What Shift and a digit type on the usual keyboards."""
_FRONT, _RIGHT, _TOP = ("front", "back"), ("right", "left"), ("top", "bottom")
PAD = {Qt.Key.Key_1: _FRONT, Qt.Key.Key_3: _RIGHT, Qt.Key.Key_7: _TOP,
       Qt.Key.Key_End: _FRONT, Qt.Key.Key_PageDown: _RIGHT, Qt.Key.Key_Home: _TOP}  # fmt: skip
"""Without the lock of numbers the pad types the words on its keys."""
FLY_KEYS = {Qt.Key.Key_W: (1, 0, 0), Qt.Key.Key_S: (-1, 0, 0), Qt.Key.Key_D: (0, 1, 0), Qt.Key.Key_A: (0, -1, 0),
            Qt.Key.Key_E: (0, 0, 1), Qt.Key.Key_Q: (0, 0, -1)}  # fmt: skip
_linked: weakref.WeakSet[Navigator] = weakref.WeakSet()
"""Whoever shares one camera."""


class Navigator(QObject):
    """One view's camera. ``size`` tells the picture's width and height, ``corners`` what is to be seen (N, 3)."""

    moved = Signal()
    """``camera`` is another."""
    busy = Signal(bool)
    """The hand moves the camera, or has stopped."""

    def __init__(self, size: Callable[[], tuple[float, float]], corners: Callable[[], Array], parent: QObject) -> None:
        super().__init__(parent)
        self.camera = Camera()
        self.mode = "orbit"
        self.world_up: Vector = (0.0, 0.0, 1.0)
        self._size, self._corners = size, corners
        self._drag: tuple[str, float, float, Camera] | None = None
        self._keys: set[Qt.Key] = set()
        self._clock = QElapsedTimer()
        self._flight = QTimer(self, interval=16)
        self._flight.timeout.connect(self._fly)
        self._rest = QTimer(self, interval=REST_MS, singleShot=True)
        self._rest.timeout.connect(lambda: self.busy.emit(False))

    # ---- the camera as a whole

    def set_camera(self, camera: Camera) -> None:
        """Another camera, for those that are linked as well."""
        if camera == self.camera:
            return
        self.camera = camera
        self.moved.emit()
        if self in _linked:
            for other in list(_linked):
                if other is not self and other.camera != camera:
                    other.camera = camera
                    other.moved.emit()

    @property
    def linked(self) -> bool:
        return self in _linked

    def set_linked(self, on: bool) -> None:
        """Shares the camera with all that are linked; who comes later takes theirs."""
        others = [other for other in _linked if other is not self]
        if on:
            _linked.add(self)
            if others:
                self.set_camera(others[0].camera)
        else:
            _linked.discard(self)

    def set_mode(self, mode: str) -> None:
        """One of :data:`MODES`."""
        self.mode = mode
        if mode != "trackball":
            self.set_camera(cam.levelled(self.camera, self.world_up))

    def set_ortho(self, on: bool) -> None:
        self.set_camera(replace(self.camera, ortho=on))

    def set_fov(self, degrees: float) -> None:
        """Another angle of view; what is at the target keeps its size."""
        degrees = min(max(degrees, cam.NARROWEST), cam.WIDEST)
        factor = math.tan(math.radians(self.camera.fov) / 2) / math.tan(math.radians(degrees) / 2)
        self.set_camera(replace(cam.zoomed(self.camera, factor, self.camera.target), fov=degrees))

    def frame(self, corners: Array | None = None) -> None:
        """Shows all of ``corners`` (N, 3), or all there is, from where the camera looks now."""
        width, height = self._size()
        places = self._corners() if corners is None else corners
        self.set_camera(cam.framed(self.camera, places, width / max(height, 1)))

    def look_from(self, axis: str) -> None:
        """An axis view: front, right, top, back, left, bottom."""
        self._touch()
        self.set_camera(cam.seen_from(self.camera, axis, self.world_up))

    # ---- drags

    def begin(self, kind: str, x: float, y: float) -> None:
        """A drag begins: ``turn`` (as the mode has it), ``pan`` or ``zoom``."""
        self._rest.stop()
        self._drag = (kind, x, y, self.camera)
        self.busy.emit(True)

    @property
    def dragging(self) -> bool:
        return self._drag is not None

    def drag(self, x: float, y: float) -> None:
        """The drag is now at (x, y): always reckoned from its beginning, so that there and back changes nothing."""
        if self._drag is None:
            return
        kind, x0, y0, start = self._drag
        dx, dy = x - x0, y - y0
        if kind == "pan":
            self.set_camera(cam.pan(start, dx, dy, self._size()[1]))
        elif kind == "zoom":
            self.set_camera(cam.zoomed(start, math.exp(dy * 0.01), start.target) if dy else start)
        elif self.mode == "fly":
            start = replace(start, eye=self.camera.eye, target=cam.vector(
                np.add(self.camera.eye, np.subtract(start.target, start.eye))))  # fmt: skip
            self.set_camera(cam.look(start, dx, dy, self.world_up))
        elif self.mode == "trackball":
            self.set_camera(cam.trackball(start, dx, dy))
        else:
            self.set_camera(cam.orbit(start, dx, dy, self.world_up))

    def end(self) -> None:
        if self._drag is not None:
            self._drag = None
            self.busy.emit(False)

    def wheel(self, notches: float, x: float, y: float, place: Array | None) -> None:
        """Nearer to what is under the pointer: ``place`` where a surface is there, else the target's plane."""
        self._touch()
        if place is None:
            place = cam.on_target_plane(self.camera, x, y, *self._size())
        self.set_camera(cam.zoomed(self.camera, NOTCH**notches, place))

    # ---- keys

    def press(self, event: QKeyEvent) -> bool:
        """A key went down; whether it was one of the camera's."""
        key, held = Qt.Key(event.key()), event.modifiers()
        pad = bool(held & Qt.KeyboardModifier.KeypadModifier)
        shift, control = held & Qt.KeyboardModifier.ShiftModifier, held & Qt.KeyboardModifier.ControlModifier
        if pad and key in PAD:
            self.look_from(PAD[key][1 if control else 0])
            return True
        if pad and key == Qt.Key.Key_5:
            self.set_ortho(not self.camera.ortho)
            return True
        if shift and not control and event.text() in SHIFTED:
            self.look_from(AXIS_KEYS[SHIFTED[event.text()] - 1])
            return True
        if held & ~(Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier):
            return False
        if self.mode == "fly" and key in FLY_KEYS:
            if not event.isAutoRepeat():
                self._keys.add(key)
                self._clock.start()
                self._flight.start()
                self.busy.emit(True)
            return True
        step = STEP / cam.PER_PIXEL * (0.2 if shift else 1.0)
        turns = {Qt.Key.Key_Left: (step, 0), Qt.Key.Key_Right: (-step, 0), Qt.Key.Key_Up: (0, step),
                 Qt.Key.Key_Down: (0, -step)}  # fmt: skip
        if key in turns:
            self._touch()
            turn = cam.trackball if self.mode == "trackball" else lambda s, a, b: cam.orbit(s, a, b, self.world_up)
            self.set_camera(turn(self.camera, *turns[key]))
            return True
        zooms = {Qt.Key.Key_Plus: NOTCH, Qt.Key.Key_Equal: NOTCH, Qt.Key.Key_Minus: 1 / NOTCH}
        if key in zooms:
            self._touch()
            self.set_camera(cam.zoomed(self.camera, zooms[key], self.camera.target))
            return True
        return False

    def release(self, event: QKeyEvent) -> bool:
        """A key came up."""
        key = Qt.Key(event.key())
        if key not in self._keys or event.isAutoRepeat():
            return key in self._keys
        self._keys.discard(key)
        if not self._keys:
            self.stop()
        return True

    def stop(self) -> None:
        """No key is held any more, as when the focus goes."""
        if self._flight.isActive():
            self._keys.clear()
            self._flight.stop()
            self.busy.emit(False)

    def still(self) -> None:
        """Off the screen: nothing goes on."""
        self.stop()
        self.end()
        if self._rest.isActive():
            self._rest.stop()
            self.busy.emit(False)

    def _fly(self) -> None:
        seconds = min(self._clock.restart() / 1000, 0.1)
        corners = self._corners()
        size = float(np.ptp(corners, 0).max()) if len(corners) else 2.0
        way = np.sum([FLY_KEYS[key] for key in self._keys], 0) * (size * 0.4 * seconds)
        self.set_camera(cam.fly(self.camera, *map(float, way)))

    def _touch(self) -> None:
        self.busy.emit(True)
        self._rest.start()
