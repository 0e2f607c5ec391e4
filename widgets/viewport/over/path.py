"""A camera's way: key frames with easing, or once round; the bar that edits it and plays it. Knows cameras, no scene.

Between keys the direction, distance and target are interpolated, not the eye: the way round a thing stays round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from PySide6.QtCore import QElapsedTimer, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QSlider, QWidget

from widgets.controls.fields import CalmComboBox, IconButton
from widgets.flow import Flow
from widgets.viewport.camera import Camera, Vector, frame_of, levelled, rotation, unit, vector
from widgets.viewport.over.number import Number

PER_SECOND = 12.5
"""Frames of a film per second: those of the exported files, 80 ms each."""
FILM_TIP, PLAY_TIP = "Draws every frame and saves it as .mp4 or .gif; the window stays awake", "Plays the path here"
EASINGS = ("smooth", "even", "stop at keys")


def eased(t: float, easing: str) -> float:
    """A share of the way 0..1 at a share of the time 0..1."""
    return t * t * (3 - 2 * t) if easing != "even" else t


def between(a: Camera, b: Camera, t: float) -> Camera:
    """A camera a share ``t`` of the way: direction on the great circle, distance and angle by their ratio."""
    if t <= 0:
        return a
    if t >= 1:
        return b
    target = np.asarray(a.target) * (1 - t) + np.asarray(b.target) * t
    fa, fb = frame_of(a), frame_of(b)
    turn = fb.T @ fa  # takes the first camera's axes to the second's
    frame = fa @ _power(turn, t).T
    distance = math.exp(math.log(a.distance) * (1 - t) + math.log(b.distance) * t)
    fov = math.exp(math.log(a.fov) * (1 - t) + math.log(b.fov) * t)
    return Camera(vector(target + frame[2] * distance), vector(target), vector(frame[1]), fov, a.ortho)


def _power(turn: np.ndarray, t: float) -> np.ndarray:
    """The share ``t`` of a rotation matrix (3, 3)."""
    degrees = math.degrees(math.acos(min(max((float(np.trace(turn)) - 1) / 2, -1.0), 1.0)))
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    if degrees > 179.9:  # half a turn: the axis is the matrix's own
        values, vectors = np.linalg.eigh((turn + turn.T) / 2)
        axis = vectors[:, int(np.argmax(values))]
    return rotation(unit(axis), degrees * t)


def along(keys: Sequence[Camera], t: float, easing: str = "smooth") -> Camera:
    """The camera at a share ``t`` of the time along ``keys``, which are evenly apart in time."""
    if len(keys) == 1:
        return keys[0]
    if easing == "smooth":
        t = eased(t, easing)
    part = min(max(t, 0.0), 1.0) * (len(keys) - 1)
    k = min(int(part), len(keys) - 2)
    share = part - k
    return between(keys[k], keys[k + 1], eased(share, easing) if easing == "stop at keys" else share)


def turntable(camera: Camera, t: float, world_up: Vector) -> Camera:
    """Once round the target, a share ``t`` of it."""
    camera = levelled(camera, world_up)
    turn = rotation(world_up, 360.0 * t)
    eye = np.asarray(camera.target) + turn @ np.subtract(camera.eye, camera.target)
    return replace(camera, eye=vector(eye), up=vector(turn @ np.asarray(camera.up)))


class PathBar(QWidget):
    """One or two lines below the picture: turntable or keys, how long, play, and to a film."""

    previewed = Signal(object)
    """The camera at the moment looked at."""
    key_wanted = Signal()
    film_wanted = Signal()
    edited = Signal(str, object, object)
    """As of the views: what was done to the keys in words, how to do it again, how to undo it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.keys: list[Camera] = []
        self.start = Camera()
        self.world_up: Vector = (0.0, 0.0, 1.0)
        self._clock = QElapsedTimer()
        self._timer = QTimer(self, interval=16)
        self._timer.timeout.connect(self._tick)
        self.kind = CalmComboBox()
        self.kind.addItem("Turntable", "turntable")
        self.kind.addItem("Keys", "keys")
        self.kind.setToolTip("Once round the target, or from camera to camera as you set them")
        self.kind.setAccessibleName("Kind of camera path")
        self.kind.setFixedWidth(104)
        self.kind.currentIndexChanged.connect(lambda _: self._dress())
        self.add_button = IconButton("plus", "Adds the camera as it stands now", "Key")
        self.add_button.clicked.connect(self.key_wanted)
        self.list_button = IconButton("list", "The keys: look at one, or take it away", "0 keys")
        self.list_button.clicked.connect(self._open_keys)
        self.easing = CalmComboBox()
        for name in EASINGS:
            self.easing.addItem(name.capitalize(), name)
        self.easing.setFixedWidth(116)
        self.easing.setToolTip("Smooth start and end, even speed, or a rest at each key")
        self.easing.setAccessibleName("Easing")
        self.seconds = Number("Length in seconds", 0.4, 60, 1)
        self.seconds.setSuffix(" s")
        self.seconds.setValue(4)
        self.seconds.setFixedWidth(64)
        self.play_button = IconButton("play", PLAY_TIP)
        self.play_button.clicked.connect(self.toggle)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 1000)
        self.slider.setFixedSize(90, self.play_button.sizeHint().height())
        self.slider.setAccessibleName("Moment of the path")
        self.slider.valueChanged.connect(self._slid)
        self.film_button = QPushButton("Save film…")
        self.film_button.clicked.connect(self.film_wanted)
        outer = QHBoxLayout(self)
        outer.setContentsMargins(8, 4, 8, 4)
        inner = QWidget()
        flow = Flow(inner, 6)
        for widget in (self.kind, self.add_button, self.list_button, self.easing, self.seconds, self.play_button,
                       self.slider, self.film_button):  # fmt: skip
            flow.addWidget(widget)
        outer.addWidget(inner, 1)
        self._dress()

    # ---- the path

    def camera_at(self, t: float) -> Camera:
        """The camera at a share 0..1 of the time."""
        if self.kind.currentData() == "turntable":
            return turntable(
                self.start, eased(t, "smooth") if self.easing.currentData() == "smooth" else t, self.world_up
            )
        return along(self.keys or [self.start], t, self.easing.currentData())

    def film(self) -> list[Camera]:
        """The cameras of all frames; a turntable does not show its first twice."""
        n = max(2, round(self.seconds.value() * PER_SECOND))
        last = n if self.kind.currentData() == "turntable" else n - 1
        return [self.camera_at(k / last) for k in range(n)]

    def why_not(self) -> str:
        """Why there is no film yet, or ''."""
        few = self.kind.currentData() == "keys" and len(self.keys) < 2
        return "A path needs two keys at least: turn the scene and press Key." if few else ""

    def set_keys(self, keys: Sequence[Camera]) -> None:
        self.keys = list(keys)
        self._dress()

    def add_key(self, camera: Camera) -> None:
        self._change_keys("camera key", [*self.keys, camera])

    def _change_keys(self, text: str, keys: Sequence[Camera]) -> None:
        """One step that can be undone."""
        before = self.keys
        self.set_keys(keys)
        self.edited.emit(text, partial(self.set_keys, keys), partial(self.set_keys, before))

    # ---- playing

    @property
    def playing(self) -> bool:
        return self._timer.isActive()

    def toggle(self) -> None:
        """Plays from the beginning, or stops."""
        if self.playing:
            self.stop()
        elif not self.why_not():
            self._clock.start()
            self._timer.start()
            self.play_button.set_icon("pause")

    def stop(self) -> None:
        self._timer.stop()
        self.play_button.set_icon("play")

    def _tick(self) -> None:
        t = self._clock.elapsed() / 1000 / self.seconds.value()
        self.slider.blockSignals(True)
        self.slider.setValue(round(min(t, 1.0) * 1000))
        self.slider.blockSignals(False)
        self.previewed.emit(self.camera_at(min(t, 1.0)))
        if t >= 1:
            self.stop()

    def _slid(self, value: int) -> None:
        self.stop()
        if not self.why_not():
            self.previewed.emit(self.camera_at(value / 1000))

    def _open_keys(self) -> None:
        menu = QMenu(self)
        for k, key in enumerate(self.keys):
            sub = menu.addMenu(f"Key {k + 1}")
            sub.addAction("Look").triggered.connect(lambda _=False, c=key: self.previewed.emit(c))
            sub.addAction("Take away").triggered.connect(
                lambda _=False, i=k: self._change_keys("camera key taken away", self.keys[:i] + self.keys[i + 1 :])
            )
        if self.keys:
            menu.addSeparator()
        clear = menu.addAction("Take all away")
        clear.setEnabled(bool(self.keys))
        clear.triggered.connect(lambda: self._change_keys("camera keys taken away", []))
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.list_button.mapToGlobal(self.list_button.rect().bottomLeft()))

    def _dress(self) -> None:
        keyed = self.kind.currentData() == "keys"
        self.add_button.setVisible(keyed)
        self.list_button.setVisible(keyed)
        self.list_button.setText(f"{len(self.keys)} key" + ("" if len(self.keys) == 1 else "s"))
        reason = self.why_not()
        for button, tip in ((self.film_button, FILM_TIP), (self.play_button, PLAY_TIP)):
            button.setEnabled(not reason)
            button.setToolTip(reason or tip)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.stop()
