"""Mouse and keys over the picture: which tool, grip, handle or camera move they mean. Holds no state of the scene.

An event filter on the canvas; everything that follows is done by the viewport that it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QEvent, QObject, QPointF, Qt
from PySide6.QtGui import QContextMenuEvent, QKeyEvent, QMouseEvent, QWheelEvent

from engine.scene import Handles
from widgets.controls.fields import wheel_notches
from widgets.viewport import camera as cam
from widgets.viewport.camera import Array, project
from widgets.viewport.hand.clip import Clip, Grip, on_plane
from widgets.viewport.hand.picking import Hit

if TYPE_CHECKING:
    from widgets.viewport.viewport import Viewport

GRAB = 9.0
"""Pixels within which the hand takes hold of a handle."""
STILL = 4.0
"""A press that moves less is a click."""
SELECTING = ("rectangle", "lasso")
SHIFT, CONTROL, ALT = (
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.AltModifier,
)


class Hands(QObject):
    """Turns events of the canvas into what the viewport does."""

    def __init__(self, viewport: Viewport) -> None:
        super().__init__(viewport)
        self._view = viewport
        self._press: QPointF | None = None
        self._button = Qt.MouseButton.NoButton
        self._moved = False
        self._grip: tuple[Grip, Clip] | None = None
        self._handle: tuple[str, int, Array] | None = None
        self.band: list[QPointF] = []
        self._mode = "replace"
        self.lit: Grip | None = None
        """The grip under the pointer or in the hand."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        acts = {
            QEvent.Type.MouseButtonPress: self._pressed, QEvent.Type.MouseMove: self._moves,
            QEvent.Type.MouseButtonRelease: self._released, QEvent.Type.MouseButtonDblClick: self._double,
            QEvent.Type.Wheel: self._wheel, QEvent.Type.KeyPress: self._key, QEvent.Type.KeyRelease: self._key_up,
            QEvent.Type.Leave: self._left, QEvent.Type.FocusOut: self._unfocused,
            QEvent.Type.ContextMenu: self._menu,
        }  # fmt: skip
        act = acts.get(event.type())
        return bool(act(event)) if act is not None else False  # type: ignore[operator]

    # ---- what is under the hand

    def handle_at(self, at: QPointF) -> tuple[str, int] | None:
        """The draggable point at a pixel: its thing's name and number; of those in reach the nearest on screen."""
        best: tuple[float, str, int] | None = None
        for thing in self._view.held.all():
            seen = project(self._view.navigator.camera, self._view.world_of(thing, thing.at), *self._view.size_of())
            away = np.hypot(seen[:, 0] - at.x(), seen[:, 1] - at.y())
            if len(away) and not np.isnan(away).all():
                k = int(np.nanargmin(away))
                if away[k] <= GRAB and (best is None or away[k] < best[0]):
                    best = (float(away[k]), thing.name, k)
        return None if best is None else best[1:]

    def grip_at(self, at: QPointF) -> Grip | None:
        """The clipping's grip at a pixel."""
        clip = self._view.state.clip
        if clip is None:
            return None
        grips = clip.grips()
        seen = project(self._view.navigator.camera, np.array([grip.place for grip in grips]), *self._view.size_of())
        away = np.hypot(seen[:, 0] - at.x(), seen[:, 1] - at.y())
        away = np.where(np.isnan(away), np.inf, away)
        k = int(away.argmin())
        return grips[k] if away[k] <= GRAB else None

    def _ray(self, at: QPointF) -> tuple[Array, Array]:
        return cam.ray(self._view.navigator.camera, at.x(), at.y(), *self._view.size_of())

    def _back(self) -> Array:
        return np.asarray(cam.frame_of(self._view.navigator.camera)[2])

    # ---- mouse

    def _pressed(self, event: QMouseEvent) -> bool:
        view, at = self._view, event.position()
        self._view.canvas.setFocus(Qt.FocusReason.MouseFocusReason)
        if self._press is not None:  # a second button while one is down
            return True
        self._press, self._button, self._moved = at, event.button(), False
        held = event.modifiers()
        view.touch.leave()
        view.through.leave()
        if event.button() == Qt.MouseButton.LeftButton:
            grip, handle = self.grip_at(at), self.handle_at(at)
            if grip is not None and view.state.clip is not None:
                self._grip = (grip, view.state.clip)
            elif handle is not None:
                name, k = handle
                self._handle = (name, k, view.held.places(name))
            elif view.tools.tool in SELECTING and not held & ALT:
                self.band = [at]
                self._mode = "add" if held & SHIFT else "subtract" if held & CONTROL else "replace"
            else:
                view.navigator.begin("pan" if held & (SHIFT | CONTROL) else "turn", at.x(), at.y())
        elif event.button() in (Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton):
            view.navigator.begin("zoom" if held & CONTROL else "pan", at.x(), at.y())
        return True

    def _moves(self, event: QMouseEvent) -> bool:
        view, at = self._view, event.position()
        if self._press is None:
            self.lit = self.grip_at(at)
            found = self.handle_at(at)
            for thing in view.held.all():
                view.canvas.set_hover(thing.name, found[1] if found is not None and found[0] == thing.name else -1)
            through = view.tools.tool == "turn" and view.through.light(at)
            view.show_hand(self.lit is not None or found is not None or through)
            view.overlay.update()
            view.touch.hover(at)
            return True
        if not self._moved and (at - self._press).manhattanLength() < STILL:
            if not view.navigator.dragging:
                return True
        else:
            self._moved = True
        if self._grip is not None:
            grip, start = self._grip
            self.lit = grip
            view.editing.show_clip(start.dragged(grip, self._ray(self._press), self._ray(at), self._back()))
        elif self._handle is not None:
            self._drag_handle(self._press, at, bool(event.modifiers() & SHIFT), "drag")
        elif self.band:
            if view.tools.tool == "lasso":
                self.band.append(at)
            else:
                a = self.band[0]
                self.band = [a, QPointF(at.x(), a.y()), at, QPointF(a.x(), at.y())]
            view.overlay.update()
        else:
            view.navigator.drag(at.x(), at.y())
        return True

    def _released(self, event: QMouseEvent) -> bool:
        if self._press is None or event.button() != self._button:
            return True
        view, at, press = self._view, event.position(), self._press
        moved = self._moved
        self._press = None
        if view.navigator.dragging:
            if not moved:
                view.navigator.drag(press.x(), press.y())  # a click that trembled turns nothing
            view.navigator.end()
        if self._grip is not None:
            start = self._grip[1]
            self._grip = None
            view.editing.settle_clip(start)
        elif self._handle is not None:
            if moved and event.modifiers() & CONTROL:
                self._drop_handle(press, at)
            elif moved:
                self._drag_handle(press, at, bool(event.modifiers() & SHIFT), "settled")
            self._handle = None
            view.held.settled()
        elif self.band:
            band, self.band = self.band, []
            view.overlay.update()
            if moved and len(band) >= 3:
                view.editing.select([(p.x(), p.y()) for p in band], self._mode)
            elif self._mode == "replace":
                view.command("select:clear")
        elif not moved and event.button() == Qt.MouseButton.LeftButton:
            if view.tools.tool != "turn" or not view.through.click(at):
                view.touch.click(at)
        elif not moved and event.button() == Qt.MouseButton.RightButton:
            view.menu_wanted.emit(event.globalPosition().toPoint())
        return True

    def _drag_handle(self, press: QPointF, at: QPointF, straight: bool, phase: str) -> None:
        """In the plane of the picture through the handle; with Shift along the axis it was moved along most."""
        assert self._handle is not None
        name, k, places = self._handle
        start = places[k]
        seen = project(self._view.navigator.camera, start, *self._view.size_of())[0]
        there = QPointF(seen[0], seen[1]) + (at - press)  # the grip may have been taken a little beside its middle
        place = on_plane(self._ray(there), start, self._back())
        if place is None:
            return
        by = place - start
        if straight:
            by = np.where(np.arange(3) == int(np.abs(by).argmax()), by, 0.0)
        moved = places.copy()
        moved[k] = start + by
        self._view.held.place(name, moved, phase)

    def _drop_handle(self, press: QPointF, at: QPointF) -> None:
        """Onto what is seen below the pointer; where nothing is, into the plane of the picture."""
        assert self._handle is not None
        name, k, places = self._handle
        self._drag_handle(press, at, False, "drag")

        def then(hit: Hit | None) -> None:
            thing = self._view.shown.thing(name)
            if not isinstance(thing, Handles) or len(thing.at) != len(places):
                return  # another scene came meanwhile
            moved = self._view.held.places(name)
            if hit is not None:
                moved[k] = hit.place
            self._view.held.place(name, moved, "settled")
            self._view.held.settled()

        self._view.pointer.ask(at.x(), at.y(), then)

    def _double(self, event: QMouseEvent) -> bool:
        if event.button() == Qt.MouseButton.LeftButton and self._view.tools.tool not in ("distance", "angle"):
            self._view.touch.pivot(event.position())
            return True
        return self._pressed(event)

    def _wheel(self, event: QWheelEvent) -> bool:
        at = event.position()
        self._view.wheel(wheel_notches(event), at)
        self._view.touch.leave()
        event.accept()
        return True

    def _left(self, event: QEvent) -> bool:
        self._view.touch.leave()
        self._view.through.leave()
        return False

    def _menu(self, event: QContextMenuEvent) -> bool:
        """The mouse's menu waits for the release: a drag with the right button moves the picture."""
        if event.reason() == QContextMenuEvent.Reason.Mouse:
            event.accept()
            return True
        return False

    # ---- keys

    def _key(self, event: QKeyEvent) -> bool:
        view = self._view
        if view.navigator.press(event):
            return True
        if event.modifiers() & ~(SHIFT | Qt.KeyboardModifier.KeypadModifier):
            return False
        shift = bool(event.modifiers() & SHIFT)
        commands = {
            Qt.Key.Key_F: "frame", Qt.Key.Key_H: "select:show" if shift else "select:hide",
            Qt.Key.Key_I: "select:invert", Qt.Key.Key_Delete: "select:delete", Qt.Key.Key_Backspace: "select:delete",
        }  # fmt: skip
        key = Qt.Key(event.key())
        if key == Qt.Key.Key_Escape:
            return self._escape()
        if key in commands:
            view.command(commands[key])
            return True
        return False

    def _key_up(self, event: QKeyEvent) -> bool:
        return self._view.navigator.release(event)

    def _unfocused(self, event: QEvent) -> bool:
        self._view.navigator.stop()
        return False

    def _escape(self) -> bool:
        """First what the hand is at, then measurements, the selection, the histogram, then back to turning."""
        view = self._view
        if self.band:
            self.band, self._press = [], None
            view.overlay.update()
        elif view.touch.clear_measure() or view.command("select:clear"):
            pass
        elif not view.by_value.isHidden():
            view.command("select:value")
        elif view.tools.tool != "turn":
            view.tools.choose("turn")
        else:
            return False
        return True
