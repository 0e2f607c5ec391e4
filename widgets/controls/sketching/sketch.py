"""A sketch drawn by hand, with its tools: pen, eraser, taking back, tracing. Knows strokes, not their use."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from engine.probes import Knobs
from engine.sketch import PEN, THINNEST, Sketch, Stroke, sketch_strokes
from widgets.controls.fields import IconButton, enabled_because
from widgets.controls.settle import Settle
from widgets.controls.sketching.paper import Paper
from widgets.controls.sketching.tracing import traced
from widgets.controls.slider import ValueSlider
from widgets.theme import UNIT, theme

WIDEST = 0.6
"""Widest pen or eraser that the slider offers."""
KEPT = 100
"""How many changes can be taken back."""


class SketchBoard(QWidget):
    """A sketch, drawn or traced. Value: as :class:`engine.sketch.Sketch` has it; ``moved`` comes while a line grows."""

    moved = Signal(object)
    settled = Signal(object)
    full_width = True

    def __init__(self, name: str, control: Sketch, knobs: Knobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.item = control.item
        """The name of the control whose picture can be traced, '' for none."""
        self._default = control.default
        self._value, self._wrong = "", ""
        self._picture: Any = None
        self._before: list[list[Stroke]] = []
        self._settle = Settle(self)
        self._settle.settled.connect(self.settled)
        self.paper = Paper()
        self.paper.setAccessibleName(control.label or name)
        self.paper.setToolTip(
            "Drag to draw, with Shift or the right button to erase. Arrow keys move, Space sets the pen down and lifts "
            "it, Backspace takes back, Delete clears."
        )
        self.paper.begun.connect(self._remember)
        self.paper.grown.connect(self._drawn)
        self.paper.ended.connect(self._ended)
        self.pen_button = IconButton("pencil-simple", "Draws with the left button.", "Pen")
        self.eraser_button = IconButton("eraser", "Erases with the left button.", "Eraser")
        for button, erases in ((self.pen_button, False), (self.eraser_button, True)):
            button.setCheckable(True)
            button.clicked.connect(partial(self.take, erases))
        self.undo_button = IconButton("arrow-u-up-left", "Takes the last change back.", "Undo")
        self.clear_button = IconButton("x", "An empty sheet.", "Clear")
        self.trace_button = IconButton("image", "Begins with the lines of the picture that is chosen below.", "Trace")
        self.undo_button.clicked.connect(self.undo_stroke)
        self.clear_button.clicked.connect(self.clear)
        self.trace_button.clicked.connect(self.trace)
        self.trace_button.setVisible(bool(self.item))
        self.width_slider = ValueSlider(THINNEST, WIDEST, PEN, label="Width", label_width=44)
        self.width_slider.setToolTip("Width of the pen or of the eraser; the sheet is 2 wide.")
        self.width_slider.moved.connect(self._set_width)
        self.width_slider.settled.connect(self._set_width)
        self.note = QLabel()
        self.note.setProperty("role", "caption")
        self.note.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.note.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(UNIT // 2)
        column.addLayout(self._row(self.pen_button, self.eraser_button, self.trace_button))
        column.addWidget(self.paper)
        column.addWidget(self.note)
        column.addWidget(self.width_slider)
        column.addLayout(self._row(self.undo_button, self.clear_button))
        self.setFocusProxy(self.paper)
        theme.changed.connect(self.paper.update)
        self.take(False)
        self._show(control.default)

    @staticmethod
    def _row(*widgets: QWidget) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(0)
        row.addStretch(1)
        for widget in widgets:
            row.addWidget(widget)
        row.addStretch(1)
        return row

    # ---- what the owner does ------------------------------------------------------------------------------------

    def value(self) -> str:
        return self._value

    def set_value(self, value: Any, quiet: bool = True) -> None:
        """Shows ``value``; unless ``quiet``, ``settled`` says so. Ignored while a hand draws."""
        if value == self._value or self.paper.drawing:
            return
        self._settle.cancel()
        self._remember()
        self._show(str(value))
        if not quiet:
            self.settled.emit(self._value)

    def reset(self) -> None:
        self.set_value(self._default, quiet=False)

    def flush(self) -> None:
        """Settles now what still waits."""
        self._settle.flush()

    def set_picture(self, array: Any) -> None:
        """The picture that can be traced, uint8 (h, w, C); None where it is not known."""
        self._picture = array
        self._tell()

    # ---- hands --------------------------------------------------------------------------------------------------

    def take(self, erases: bool) -> None:
        """Takes the eraser or the pen into the hand."""
        self.paper.erases = erases
        self.pen_button.setChecked(not erases)
        self.eraser_button.setChecked(erases)
        self.width_slider.set_value(self.paper.widths[erases])
        self.paper.update()

    def undo_stroke(self) -> None:
        """Takes the last change back."""
        self.paper.end()
        if self._before:
            self._replace(self._before.pop())

    def clear(self) -> None:
        """Takes every line away; also what could not be read."""
        self.paper.end()
        self._remember()
        self._replace([])

    def trace(self) -> None:
        """The lines of the picture instead of what is there."""
        if self._picture is not None:
            self.paper.end()
            self._remember()
            self._replace(traced(self._picture))

    def _replace(self, strokes: list[Stroke]) -> None:
        self.paper.full = False
        self.paper.set_strokes(strokes)
        self._drawn()
        self._settle.flush()

    def _remember(self) -> None:
        if not self._before or self._before[-1] != self.paper.strokes:
            self._before = [*self._before[1 - KEPT :], self.paper.strokes]

    def _set_width(self, width: float) -> None:
        self.paper.widths[self.paper.erases] = float(width)
        self.width_slider.set_value(float(width))
        self.paper.update()

    def _show(self, value: str) -> None:
        self._value, self._wrong, self.paper.full = value, "", False
        try:
            self.paper.set_strokes(sketch_strokes(value))
        except ValueError as e:
            self.paper.set_strokes([])
            self._wrong = str(e)
        self._tell()

    def _drawn(self) -> None:
        text = self.paper.text()
        wrong, self._wrong = self._wrong, ""
        self._tell()
        if text != self._value or wrong:
            self._value = text
            self.moved.emit(text)
            self._settle.touch(text)

    def _ended(self) -> None:
        self._drawn()
        self._settle.flush()

    def _tell(self) -> None:
        n = len(self.paper.strokes) + self.paper.drawing
        if self._wrong:
            text = self._wrong[:1].upper() + self._wrong[1:].rstrip(".") + "."
        elif self.paper.full:
            text = "The sheet is full: take a line back, or clear it."
        else:
            text = f"{n} line{'s' * (n != 1)}" if n else "Draw with the mouse."
        self.note.setText(text)
        self.paper.setAccessibleDescription(text)
        enabled_because(self.undo_button, None if self._before else "Nothing was changed yet.")
        enabled_because(self.clear_button, None if n or self._wrong else "Nothing is drawn yet.")
        unknown = "The chosen picture has not been loaded: choose another one below."
        enabled_because(self.trace_button, unknown if self._picture is None else None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Backspace:
            self.undo_stroke()
        elif event.key() == Qt.Key.Key_Delete:
            self.clear()
        else:
            super().keyPressEvent(event)
