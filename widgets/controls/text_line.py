"""Values that are typed as one line of text: cameras and places in space. Knows the controls, no scene.

What is typed is checked by the control itself; a text that it refuses stays, with the reason in its tool tip.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QSizePolicy, QWidget

from engine.crop import Crop, planes_of
from engine.params import BadValue
from engine.probes import Camera, Control, Knobs, Places, camera_of
from widgets.controls.fields import ROW, IconButton
from widgets.theme import UNIT, theme

STANDS = {
    "Three quarters": (0.56, -0.7, 0.42),
    "Front": (0.0, -1.0, 0.0),
    "Back": (0.0, 1.0, 0.0),
    "Left": (-1.0, 0.0, 0.0),
    "Right": (1.0, 0.0, 0.0),
    "Top": (0.0, 0.0, 1.0),
    "Bottom": (0.0, 0.0, -1.0),
}
"""Where the eye is, seen from the target."""


class TextLine(QWidget):
    """A line to type a control's value in, and a button beside it."""

    moved = Signal(object)
    settled = Signal(object)
    full_width = True

    def __init__(
        self, name: str, control: Control, knobs: Knobs, tip: str, button: IconButton, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._control, self._knobs, self._tip = control, knobs, tip
        self._value = control.initial(knobs)
        self.line = QLineEdit(self.text(self._value))
        self.line.setAccessibleName(control.label or name)
        self.line.setToolTip(tip)
        self.line.setCursorPosition(0)
        self.line.editingFinished.connect(self._typed)
        self.line.textEdited.connect(lambda: self._refuse(""))
        self.button = button
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(UNIT)
        row.addWidget(self.line, 1)
        row.addWidget(button)
        self.setFocusProxy(self.line)
        self.setFixedHeight(ROW)  # a form that has just been filled would squeeze it rather than scroll
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def text(self, value: Any) -> str:
        """How a value is written."""
        return str(value)

    def sizeHint(self) -> QSize:
        return QSize(200, ROW)

    def value(self) -> Any:
        return self._value

    def set_value(self, value: Any, quiet: bool = True) -> None:
        """Shows ``value``; unless ``quiet``, ``settled`` says so. What is being typed stays."""
        if value == self._value:
            return
        self._value = value
        if not (self.line.hasFocus() and self.line.isModified()):
            self.line.setText(self.text(value))
            self.line.setCursorPosition(0)
            self._refuse("")
        if not quiet:
            self.settled.emit(value)

    def reset(self) -> None:
        self.take(self._control.initial(self._knobs))

    def flush(self) -> None:
        """Nothing ever waits: a typed value settles at once."""

    def take(self, value: Any) -> None:
        """A value by hand."""
        self.line.setModified(False)
        if value != self._value:
            self.set_value(value)
            self.moved.emit(value)
            self.settled.emit(value)

    def _typed(self) -> None:
        if not self.line.isModified():
            return
        try:
            value = self._control.parse(self.line.accessibleName(), self.line.text(), self._knobs)
        except BadValue as e:
            self._refuse(str(e))
        else:
            self.take(value)

    def _refuse(self, reason: str) -> None:
        self.line.setStyleSheet(f"border-color: {theme.colours.bad};" if reason else "")
        self.line.setToolTip(f"Refused: {reason}. The value is unchanged." if reason else self._tip)


class CameraBox(TextLine):
    """The text ``eye/target/up/fov``: typed, or set to a common stand."""

    def __init__(self, name: str, control: Camera, knobs: Knobs, parent: QWidget | None = None) -> None:
        tip = "Eye / target / up / vertical field of view in degrees, such as 3,0,1/0,0,0/0,0,1/45."
        button = IconButton("caret-down", "Stands at one of the common places.", "Stand")
        super().__init__(name, control, knobs, tip, button, parent)
        self.line.setPlaceholderText("where the study begins")
        button.clicked.connect(lambda: self.stands().popup(button.mapToGlobal(QPoint(0, button.height()))))

    def stands(self) -> QMenu:
        """The menu of common places, all as far from the target as the camera is now."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Where it began").triggered.connect(self.reset)
        for title, way in STANDS.items() if self._value else ():
            menu.addAction(title).triggered.connect(partial(self.stand, way))
        return menu

    def stand(self, way: tuple[float, float, float]) -> None:
        """Looks at the same target from another side."""
        eye, target, _, fov = camera_of(self._value)
        far = sum((e - t) ** 2 for e, t in zip(eye, target, strict=True)) ** 0.5
        there = [t + far * w for t, w in zip(target, way, strict=True)]
        up = (0.0, 1.0, 0.0) if way[2] ** 2 > 0.99 else (0.0, 0.0, 1.0)
        parts = (",".join(f"{v:.4g}" for v in place) for place in (there, target, up))
        self.take("/".join((*parts, f"{fov:g}")))


class PlacesBox(TextLine):
    """Places in space: dragged or pointed at in the picture, or typed as ``x,y,z;x,y,z``."""

    def __init__(self, name: str, control: Places, knobs: Knobs, parent: QWidget | None = None) -> None:
        button = IconButton("arrow-counter-clockwise", "Puts the places back to where they were first.")
        several = len(control.default) > 1
        super().__init__(name, control, knobs, "x,y,z" + (";x,y,z;..." if several else ""), button, parent)
        button.clicked.connect(self.reset)

    def text(self, value: Any) -> str:
        return "; ".join(",".join(f"{round(v, 3) + 0.0:g}" for v in place) for place in value)


class CropBox(TextLine):
    """Planes that crop what is shown: the clipping box of a view, or typed as ``a,b,c,w;a,b,c,w``."""

    def __init__(self, name: str, control: Crop, knobs: Knobs, parent: QWidget | None = None) -> None:
        tip = "The clipping box in the picture; or planes a,b,c,w;a,b,c,w, keeping what has ax + by + cz + w >= 0."
        button = IconButton("arrow-counter-clockwise", "Crops nothing any more.")
        super().__init__(name, control, knobs, tip, button, parent)
        self.line.setPlaceholderText("nothing is cropped")
        button.clicked.connect(self.reset)

    def text(self, value: Any) -> str:
        return "; ".join(",".join(f"{round(v, 2) + 0.0:g}" for v in plane) for plane in planes_of(value))
