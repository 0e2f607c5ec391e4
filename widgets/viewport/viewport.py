"""The 3-D viewport as one widget: canvas, camera, tools, outline and what lies over the picture, put together.

It is given things and says what the hand sets; it knows neither payloads of other kinds nor who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, Qt, Signal
from PySide6.QtGui import QGuiApplication, QHideEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from engine.scene import Mesh, Points, Scene, Splats, Thing
from widgets.viewport import camera as cam
from widgets.viewport.camera import Array, Camera, Vector
from widgets.viewport.hand import select
from widgets.viewport.hand.by_value import ByValue
from widgets.viewport.hand.clip import ClipPlane
from widgets.viewport.hand.cropping import Cropping
from widgets.viewport.hand.editing import Editing
from widgets.viewport.hand.hands import Hands
from widgets.viewport.hand.held import Held
from widgets.viewport.hand.navigate import Navigator
from widgets.viewport.hand.picking import Bools, to_world
from widgets.viewport.hand.pointer import Pointer, Sight
from widgets.viewport.hand.state import Shown, ViewState, alike, offers_of
from widgets.viewport.hand.through import Through
from widgets.viewport.hand.touch import Touch
from widgets.viewport.lane import ViewLane
from widgets.viewport.over import overlay
from widgets.viewport.over.cube import SIDE, ViewCube
from widgets.viewport.over.layers import Layers
from widgets.viewport.over.outline import Look, Outline
from widgets.viewport.over.path import PathBar
from widgets.viewport.over.tools import ToolBar
from widgets.viewport.over.wipe import Wipe
from widgets.viewport.shots import Shots

OUTLINE_FROM = 560
"""A narrower view has no room for the outline beside the picture."""
GROUND = 2.5
"""Times the scene's own radius that is drawn: the grid goes beyond it."""
HOME: Vector = (3.0, -4.0, 2.4)
"""Where the camera stands at first, seen from the middle of a z-up scene."""


class Viewport(QWidget):
    """Shows things; :meth:`set_things` is all it needs."""

    control_set = Signal(str, object, str)
    edited = Signal(str, object, object)
    """What was done in words, how to do it again, how to undo it; it has been done already."""
    exported = Signal(str, tuple)
    """A kind of file (picture, film, scene) and what to write; the owner asks for a name."""
    progress = Signal(float)
    """Of a film being drawn, 0..1; 1 is done, -1 given up."""
    menu_wanted = Signal(QPoint)
    noticed = Signal(str)

    def __init__(self, make_canvas: Callable[[QWidget], Any] | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        if make_canvas is None:
            from widgets.viewport.canvas import Canvas  # OpenGL is loaded with the first scene, not before

            make_canvas = Canvas
        self.canvas: Any = make_canvas(self)
        self.canvas.setMouseTracking(True)
        self.canvas.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.canvas.setAccessibleName("3-D picture")
        self._untouched = True
        self._home: tuple[Vector, Vector] | None = None
        self.scene = Scene(())
        """As it was given, for what is written to files."""
        self.given: tuple[Thing, ...] = ()
        self.shown = Shown(self.canvas)
        self.lane = ViewLane(self)
        self.lane.failed.connect(lambda _, line: self.noticed.emit(f"This could not be worked out: {line}."))
        self.held = Held(self)
        self.held.control_set.connect(self.control_set)
        self.editing = Editing(self)
        self.editing.edited.connect(self.edited)
        self.navigator = Navigator(self.size_of, lambda: self.shown.corners(self.state, core=True), self)
        self.navigator.moved.connect(self._camera_moved)
        self.navigator.busy.connect(self._busy)
        self.pointer = Pointer(self.sight, self.lane, self)
        self.touch = Touch(self)
        self.touch.edited.connect(self.edited)
        self.touch.control_set.connect(self.control_set)
        self.through = Through(self)
        self.through.control_set.connect(self.control_set)
        self.cropping = Cropping(self)
        self.cropping.control_set.connect(self.control_set)
        self.tools = ToolBar()
        self.tools.command.connect(self.command)
        self.tools.tool_chosen.connect(self._tool)
        self.tools.coloured.connect(self._colour_by)
        self.tools.looks.changed.connect(self._set_style)
        self.tools.looks.fov_changed.connect(self.navigator.set_fov)
        self.outline = Outline()
        self.outline.changed.connect(self.editing.change_look)
        self.outline.chosen.connect(lambda _: self._dress_colours())
        self.outline.framed.connect(
            lambda name: self.navigator.frame(self.shown.corners(self.state, [name], core=True))
        )
        self.path_bar = PathBar()
        self.path_bar.previewed.connect(self.navigator.set_camera)
        self.path_bar.key_wanted.connect(lambda: self.path_bar.add_key(self.navigator.camera))
        self.path_bar.edited.connect(self.edited)
        self.by_value = ByValue(self)
        row = QHBoxLayout()
        row.setSpacing(0)
        row.addWidget(self.canvas, 1)
        row.addWidget(self.outline)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.tools)
        column.addLayout(row, 1)
        column.addWidget(self.path_bar)
        column.addWidget(self.by_value)
        self.path_bar.hide()
        self.outline.hide()
        self.overlay = overlay.Overlay(self.canvas)
        self.wipe = Wipe(self)
        self.layers = Layers(self)
        self.shots = Shots(self)
        self.tools.shot.asked.connect(self.shots.shoot)
        self.path_bar.film_wanted.connect(self.shots.make_film)
        self.cube = ViewCube(self.navigator, self.canvas)
        self.hands = Hands(self)
        self.canvas.installEventFilter(self.hands)
        self.canvas.installEventFilter(self)
        QWidget.setTabOrder(self.tools, self.canvas)
        self.dress()

    @property
    def state(self) -> ViewState:
        """What the person has changed."""
        return self.editing.state

    # ---- the scene

    def set_scene(self, scene: Scene) -> None:
        self.set_things(scene.things, scene.up, scene.home, scene.hover)
        self.scene = scene
        self.through.take(scene)
        self.cropping.take(scene)
        self.wipe.take(scene)

    def set_things(
        self, things: Sequence[Thing], up: str = "z", home: tuple[Vector, Vector] | None = None, hover: str = ""
    ) -> None:
        """Other things, or the same renewed. Changes by the person stay with their names; so does the camera."""
        names = [thing.name for thing in things]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"Two things of this scene are called {twice!r}; names must differ.")
        before = {thing.name for thing in self.shown.things}
        old = self.shown.corners(self.state)
        world_up: Vector = (0.0, 1.0, 0.0) if up == "y" else (0.0, 0.0, 1.0)
        turned = world_up != self.navigator.world_up
        self.touch.control, self.given = hover, tuple(things)
        self.scene = Scene(self.given, up)
        self.shown.set_things(self.held.applied(things))
        self.editing.state = replace(self.state, marks=select.fitting(self.state.marks, things))
        self.shown.tell(self.state)
        self.pointer.forget()
        self.navigator.world_up = self.path_bar.world_up = world_up
        style = self.tools.looks.style_now
        if style.up != up:
            self._set_style(replace(style, up=up))
        fresh = not before & set(names) and not (home is None and alike(old, self.shown.corners(self.state)))
        if fresh or turned:
            self._untouched, self._home = True, home
            self._go_home()
        else:
            self._camera_moved()
        self.outline.show_things(self.given, self.state.looks)
        self.by_value.refresh()
        self._dress_colours()

    def show_readings(self, readings: Mapping[str, float]) -> None:
        """Numbers over the upper left corner of the picture."""
        self.layers.readings = dict(readings)
        self.overlay.update()

    def clear(self) -> None:
        self.set_things(())
        self.editing.state = ViewState()
        self.touch.measure = self.touch.hovered = None
        self.stop_work()
        self.through.take(Scene(()))
        self.cropping.take(Scene(()))
        self.wipe.take(Scene(()))
        self.overlay.update()

    def _go_home(self) -> None:
        if not self.shown.things:
            return
        up = self.navigator.world_up
        if self._home is not None:
            eye, target = self._home
            self.navigator.set_camera(replace(self.navigator.camera, eye=eye, target=target, up=up))
        else:
            there = replace(self.navigator.camera, eye=cam.to_world(HOME, up), target=(0.0, 0.0, 0.0), up=up)
            width, height = self.size_of()
            self.navigator.set_camera(cam.framed(there, self.shown.corners(self.state, core=True), width / height))
        self._camera_moved()

    # ---- where things are

    def size_of(self) -> tuple[float, float]:
        """Width and height of the picture in widget pixels."""
        return float(max(self.canvas.width(), 1)), float(max(self.canvas.height(), 1))

    def world_of(self, thing: Thing, places: Any) -> Array:
        """A thing's own numbers (N, 3) in the world."""
        return to_world(self.shown.matrix(thing, self.state), places)

    def pickable(self) -> list[tuple[Thing, Array, Bools | None]]:
        out: list[tuple[Thing, Array, Bools | None]] = []
        for thing in self.shown.things:
            if select.count_of(thing) and not thing.locked and self.shown.is_visible(thing, self.state):
                marks = self.state.marks.get(thing.name)
                out.append((thing, self.shown.matrix(thing, self.state), None if marks is None else marks.keep))
        return out

    def sight(self) -> Sight:
        return Sight(self.navigator.camera, self.size_of(), self.pickable(), self.editing.planes())

    def step_at(self, ahead: float) -> float:
        """World units per pixel, so far in front of the eye."""
        camera = self.navigator.camera
        per = 2 * camera.half_height / self.size_of()[1]
        return per if camera.ortho else per * ahead / camera.distance

    # ---- the camera

    def _camera_moved(self) -> None:
        camera = self.navigator.camera
        width, height = self.size_of()
        self.canvas.set_camera(*self.matrices(camera, width / height), np.asarray(camera.eye, np.float64))
        self.pointer.forget()
        self.touch.hovered = None
        if not self.path_bar.playing:
            self.path_bar.start = camera
        self.tools.looks.show_fov(camera.fov)
        self.tools.check("ortho", camera.ortho)
        self.overlay.update()
        self.wipe.moved()
        self.through.moved()

    def matrices(self, camera: Camera, aspect: float) -> tuple[Array, Array]:
        """View and projection (4, 4) of a camera, for a picture of so many times its height in width."""
        corners = self.shown.corners(self.state)
        if len(corners):
            lo, hi = corners.min(0), corners.max(0)
            middle, radius = (lo + hi) / 2, float(np.linalg.norm(hi - lo)) / 2
        else:
            middle, radius = np.asarray(camera.target), camera.distance
        near, far = cam.near_far(camera, middle, max(radius, camera.distance * 0.01) * GROUND)
        return cam.view_matrix(camera), cam.projection_matrix(camera, aspect, near, far)

    def _busy(self, on: bool) -> None:
        self._untouched = False
        self.canvas.interacting(on)
        self.through.busy(on)

    def frame(self) -> None:
        """Shows what is marked, or what is chosen in the outline, or everything."""
        parts = [
            to_world(self.shown.matrix(thing, self.state), select.marked_places(thing, marks.marked))
            for thing in self.shown.things
            if (marks := self.state.marks.get(thing.name)) is not None and marks.marked is not None
        ]
        chosen = self.outline.current() if self.outline.isVisible() else ""
        corners = (
            np.concatenate(parts) if parts else self.shown.corners(self.state, [chosen] if chosen else [], core=True)
        )
        self.navigator.frame(corners if len(corners) else None)

    def turn_about(self, place: Array) -> None:
        """The camera turns about a place from now on."""
        self._untouched = False
        self.navigator.set_camera(cam.pivoted(self.navigator.camera, place))

    def look_through(self, camera: Camera) -> None:
        """A camera as it is, and the hand goes on from there."""
        self._untouched = False
        self.navigator.set_camera(camera)

    def wheel(self, notches: float, at: QPointF) -> None:
        """Nearer to what is under the pointer."""
        self.navigator.wheel(notches, at.x(), at.y(), self.touch.place_at(at))

    def _tool(self, tool: str) -> None:
        self.touch.take(tool)
        self.show_hand(False)
        self.overlay.update()

    def show_hand(self, over: bool) -> None:
        """The pointer's shape: a hand ``over`` what can be dragged, a cross where places are picked."""
        plain = Qt.CursorShape.ArrowCursor if self.tools.tool == "turn" else Qt.CursorShape.CrossCursor
        shape = Qt.CursorShape.PointingHandCursor if over else plain
        if self.canvas.cursor().shape() != shape:
            self.canvas.setCursor(shape)

    # ---- commands

    def command(self, command: str) -> bool:
        """Does what a button, a menu or a key asks for; whether there was anything to do."""
        kind, _, what = command.partition(":")
        acts: dict[str, Callable[[str], bool | None]] = {
            "frame": lambda _: self.frame(), "axis": self.navigator.look_from, "mode": self._set_mode,
            "ortho": lambda _: self.navigator.set_ortho(not self.navigator.camera.ortho),
            "link": lambda _: self.navigator.set_linked(not self.navigator.linked),
            "copy_camera": lambda _: self.copy_camera(), "paste_camera": lambda _: self.paste_camera(),
            "clip": self.editing.clip_command,
            "select": self.editing.selection_command, "front": lambda _: self.editing.toggle_front(),
            "path": lambda _: self.path_bar.setVisible(self.path_bar.isHidden()),
            "outline": lambda _: self._toggle_outline(),
        }  # fmt: skip
        done = acts[kind](what)
        self.dress()
        return done is not False

    def _set_mode(self, mode: str) -> None:
        self.navigator.set_mode(mode)
        self.tools.check(f"mode:{mode}", True)

    def _toggle_outline(self) -> None:
        self.outline.setVisible(self.outline.isHidden())
        if self.width() < OUTLINE_FROM and self.outline.isVisible():
            self.outline.hide()
            self.noticed.emit("The outline needs a wider view: make this dock wider than 560 pixels.")

    def copy_camera(self) -> None:
        """The camera as text on the clipboard."""
        QGuiApplication.clipboard().setText(cam.to_text(self.navigator.camera))

    def paste_camera(self, text: str = "") -> None:
        """A camera as :func:`camera.to_text` writes it; a notice where it is none."""
        try:
            camera = cam.from_text(text or QGuiApplication.clipboard().text())
        except ValueError as error:
            self.noticed.emit(f"{str(error)[:1].upper()}{str(error)[1:]}.")
            return
        self.look_through(camera)

    # ---- how it is drawn

    def _set_style(self, style: Any) -> None:
        self.tools.looks.show_style(style)
        self.canvas.set_style(style)

    def coloured(self) -> list[Points | Mesh | Splats]:
        """What the colour box speaks of: the chosen thing, or all that can be coloured."""
        chosen = self.shown.thing(self.outline.current()) if self.outline.isVisible() else None
        if chosen is not None and isinstance(chosen, Points | Mesh | Splats):
            return [chosen]
        kinds = Points | Mesh | Splats
        return [t for t in self.shown.things if isinstance(t, kinds) and self.shown.is_visible(t, self.state)]

    def _dress_colours(self) -> None:
        things = self.coloured()
        offers = list(dict.fromkeys(offer for thing in things for offer in offers_of(thing)))
        now = self.colour_by_of(things[0]) if things else ""
        self.tools.show_colours(offers or [("Nothing to colour", "")], now)
        self.overlay.update()

    def colour_by_of(self, thing: Any) -> str:
        wanted = self.state.looks.get(thing.name, Look()).colour_by
        return str(getattr(thing, "colour_by", "") if wanted is None else wanted)

    def _colour_by(self, value: str) -> None:
        looks = dict(self.state.looks)
        for thing in self.coloured():
            if value in {v for _, v in offers_of(thing)}:
                looks[thing.name] = replace(looks.get(thing.name, Look()), colour_by=value)
        self.editing.do("colouring", replace(self.state, looks=looks))
        self._dress_colours()

    def dress(self) -> None:
        """What can act now, and what is switched on."""
        marks = self.state.marks
        some = bool(select.number_marked(marks))
        nothing = "" if some else "Nothing is selected: take the rectangle or the lasso and draw round something."
        for what in ("hide", "delete", "clear"):
            self.tools.enable(f"select:{what}", nothing)
        hidden = any(m.hidden is not None for m in marks.values())
        self.tools.enable("select:show", "" if hidden else "Nothing is hidden.")
        splats = any(isinstance(thing, Splats) for thing in self.shown.things)
        self.tools.enable("select:floaters", "" if splats else "There are no Gaussian splats in this scene.")
        clip = self.state.clip
        self.tools.enable("select:clipped", "" if clip is not None else "Nothing is clipped.")
        self.tools.enable("clip:flip", "" if isinstance(clip, ClipPlane) else "There is no clipping plane.")
        self.tools.enable("clip:reset", "" if self.shown.things else "There is nothing to clip yet.")
        kind = "none" if clip is None else "plane" if isinstance(clip, ClipPlane) else "box"
        self.tools.check(f"clip:{kind}", True)
        self.tools.check("link", self.navigator.linked)
        self.tools.check("front", self.editing.only_visible)
        self.tools.path_button.setChecked(not self.path_bar.isHidden())
        self.tools.outline_button.setChecked(not self.outline.isHidden())

    # ---- Qt

    def stop_work(self) -> None:
        """Nothing goes on any more: no film, no selection, no flight."""
        self.shots.stop()
        self.editing.stop()
        self.by_value.stop()
        self.held.stop()
        self.pointer.stop()
        self.navigator.still()
        self.through.stop()
        self.path_bar.stop()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.canvas and event.type() == QEvent.Type.Resize:
            self._place_over()
        return False

    def _place_over(self) -> None:
        self.overlay.setGeometry(self.canvas.rect())
        self.cube.move(self.canvas.width() - SIDE - 4, 4)
        self.cube.setVisible(self.canvas.width() >= 200 and self.canvas.height() >= 160)
        if self._untouched:
            self._go_home()
        else:
            self._camera_moved()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self.width() < OUTLINE_FROM and self.outline.isVisible():
            self.outline.hide()
            self.dress()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.stop_work()
