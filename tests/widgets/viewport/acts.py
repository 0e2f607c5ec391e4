"""What tests of the views of scenes share: things to show, the mouse, and waiting for the view lane."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import QElapsedTimer, QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QUndoStack
from PySide6.QtWidgets import QApplication

from app.undo import Edit
from engine.scene import Handles, Points, Scene, Thing
from widgets.viewport import camera as c
from widgets.viewport.hand.picking import Hit
from widgets.viewport.view import SceneView

LEFT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton
NO, SHIFT, CONTROL = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.ControlModifier,
)
CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)


def grid_cloud(name: str = "grid") -> Points:
    x, y = np.meshgrid(np.linspace(-1, 1, 21), np.linspace(-1, 1, 21))
    xyz = np.stack([x.ravel(), y.ravel(), np.zeros(441)], 1).astype(np.float32)
    return Points(name=name, xyz=xyz, scalars={"r": np.hypot(xyz[:, 0], xyz[:, 1])})


def handles() -> Handles:
    return Handles(name="grips", at=np.array([[0, 0, 0.5], [0.5, 0, 0.5]], np.float32), control="places")


def show(view: SceneView, *things: Thing, **more: Any) -> None:
    view.show_payload(Scene(things, **more), 0)
    QApplication.processEvents()


def stack_for(view: SceneView) -> QUndoStack:
    stack = QUndoStack(view)
    view.edited.connect(lambda text, redo, undo: stack.push(Edit(text, redo, undo)))
    return stack


def mouse(view: Any, kind: QEvent.Type, at: Any, button: Any = LEFT, held: Any = NO) -> None:
    canvas = view.viewport.canvas
    point = QPointF(float(at[0]), float(at[1]))
    down = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseButtonRelease else button
    event = QMouseEvent(kind, point, canvas.mapToGlobal(point), button, down, held)
    QApplication.sendEvent(canvas, event)


def drag(view: Any, *places: Any, button: Any = LEFT, held: Any = NO) -> None:
    mouse(view, QEvent.Type.MouseButtonPress, places[0], button, held)
    for place in places[1:]:
        mouse(view, QEvent.Type.MouseMove, place, button, held)
    mouse(view, QEvent.Type.MouseButtonRelease, places[-1], button, held)
    answered(view)


def answered(view: Any) -> None:
    """Waits for what the view lane works out."""
    clock = QElapsedTimer()
    clock.start()
    while view.viewport.lane.busy and clock.elapsed() < 5000:
        QApplication.processEvents()
    assert not view.viewport.lane.busy


def under(view: Any, place: Any) -> Hit | None:
    """What the pointer finds where a place is seen."""
    found: list[Hit | None] = []
    view.viewport.pointer.ask(*pixel(view, place), found.append)
    assert not found  # the lane answers later
    answered(view)
    return found[0]


def pixel(view: Any, place: Any) -> np.ndarray:
    viewport = view.viewport
    return np.asarray(c.project(viewport.navigator.camera, place, *viewport.size_of())[0, :2])
