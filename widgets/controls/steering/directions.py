"""The directions that the person has kept: a slider each, with names that can be changed. Knows no space of codes.

Files are not touched here: ``save_wanted`` and ``load_wanted`` carry what and where, the owner sees to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.params import BadValue
from engine.probes import Knobs
from engine.steering import REACH, Direction, Directions
from widgets.controls.fields import ROW, IconButton, enabled_because
from widgets.controls.slider import ValueSlider
from widgets.controls.steering.name_edit import NameEdit
from widgets.theme import UNIT

TRACK = 5.0
"""How far a track goes to either side; what lies beyond, up to the reach of a direction, can be typed."""
NAME_WIDTH = 80
NOTHING = "No directions yet. Press Keep beside a strip of the probe Directions, or load a file."
FILES = "Directions (*.json)"


class _Track(ValueSlider):
    """The slider of a direction; a double click on its name, or F2, asks for another name."""

    renaming = Signal()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.position().x() < NAME_WIDTH:
            self.renaming.emit()
        else:
            super().mouseDoubleClickEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_F2:
            self.renaming.emit()
        else:
            super().keyPressEvent(event)


class DirectionRow(QWidget):
    """One direction: its name, how far along it, and a button that takes it away."""

    moved = Signal(object)
    settled = Signal(object)
    renamed = Signal(str)
    rename_asked = Signal()
    removed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slider = _Track(
            -TRACK, TRACK, 0.0, label=" ", bipolar=True, limits=(-REACH, REACH), label_width=NAME_WIDTH
        )
        self.slider.moved.connect(self.moved)
        self.slider.settled.connect(self.settled)
        self.slider.renaming.connect(self.rename_asked)
        self.button = IconButton("x", "Takes the direction away.")
        self.button.clicked.connect(self.removed)
        self.edit: NameEdit | None = None
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.slider, 1)
        row.addWidget(self.button)
        self.setFixedHeight(ROW)
        self.setFocusProxy(self.slider)

    def show_direction(self, direction: Direction) -> None:
        """Its name and amount; the amount stays with a hand that holds the handle."""
        if direction.name != self.slider.accessibleName():
            self._stop_naming()  # what was being named is not here any more
        self.slider.set_label(direction.name)
        self.slider.setToolTip(
            f"{direction.name}, a direction of {len(direction.vector)} numbers in {direction.space}. The amount counts "
            "typical sizes of a code; double click the name, or press F2, to change it."
        )
        self.slider.set_value(direction.amount)
        self.button.setToolTip(f"Takes {direction.name} away.")
        self.button.setAccessibleName(f"Take {direction.name} away")

    def start_naming(self, name: str, taken: Sequence[str]) -> None:
        """Puts a line to type in over the name."""
        if self.edit is not None:
            return
        self.slider.flush()
        self.edit = edit = NameEdit(taken, self)
        edit.setText(name)
        edit.selectAll()
        edit.committed.connect(self._named)
        edit.cancelled.connect(self._stop_naming)
        edit.setGeometry(0, 1, self.width() - self.button.width(), ROW - 2)
        edit.show()
        edit.setFocus()

    def _named(self, name: str) -> None:
        self._stop_naming()
        self.renamed.emit(name)

    def _stop_naming(self) -> None:
        edit, self.edit = self.edit, None
        if edit is not None:
            had_focus = edit.hasFocus()
            edit.hide()
            edit.deleteLater()
            if had_focus:
                self.slider.setFocus()


class DirectionList(QWidget):
    """The kept directions in their order. Value: tuple of :class:`engine.steering.Direction`."""

    moved = Signal(object)
    settled = Signal(object)
    save_wanted = Signal(str, object)
    """The file that the person chose, and the directions to write."""
    load_wanted = Signal(str)
    """The file that the person chose: its directions are to come to those that are here."""
    full_width = True

    def __init__(self, name: str, control: Directions, knobs: Knobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._value: tuple[Direction, ...] = control.initial(knobs)
        self._control, self._name = control, name
        self.rows: list[DirectionRow] = []
        self.setAccessibleName(control.label or name)
        self.note = QLabel(NOTHING)
        self.note.setProperty("role", "caption")
        self.note.setWordWrap(True)
        self.load_button = IconButton("folder-open", "Adds the directions of a file to these.", "Load…")
        self.load_button.clicked.connect(self.choose_file)
        self.save_button = IconButton("floppy-disk", "Writes these directions into a file.", "Save…")
        self.save_button.clicked.connect(self.choose_place)
        self.zero_button = IconButton("arrow-counter-clockwise", "Sets every amount back to 0.", "Zero")
        self.zero_button.clicked.connect(self.reset)
        self._list = QVBoxLayout()
        self._list.setSpacing(0)
        buttons = QHBoxLayout()
        buttons.setSpacing(0)
        for button in (self.load_button, self.save_button, self.zero_button):
            buttons.addWidget(button)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(UNIT)
        column.addLayout(self._list)
        column.addWidget(self.note)
        column.addLayout(buttons)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.setFocusProxy(self.load_button)
        self._show()

    # ---- values -------------------------------------------------------------------------------------------------

    def value(self) -> tuple[Direction, ...]:
        return self._value

    def set_value(self, value: Sequence[Direction], quiet: bool = True) -> None:
        """Shows ``value``; the amount of a handle that is held stays with the hand."""
        kept = tuple(value)
        if kept == self._value:
            return
        self._value = kept
        self._show()
        self._value = tuple(d.moved(row.slider.value()) for d, row in zip(kept, self.rows, strict=True))
        if not quiet:
            self.settled.emit(self._value)

    def reset(self) -> None:
        """Every amount back to 0; the directions stay, for they are work of the person's."""
        self.set_value([d.moved(0.0) for d in self._value], quiet=False)

    def flush(self) -> None:
        """Settles now what still waits."""
        for row in list(self.rows):
            row.slider.flush()

    def remove(self, index: int) -> None:
        """Takes a direction away; undo brings it back."""
        self.flush()
        focused = any(row.isAncestorOf(self.window().focusWidget() or self) for row in self.rows)
        self.set_value((*self._value[:index], *self._value[index + 1 :]), quiet=False)
        if focused:  # the keyboard stays in the list
            (self.rows[min(index, len(self.rows) - 1)].button if self.rows else self.load_button).setFocus()

    def rename(self, index: int, name: str) -> None:
        """Gives a direction another name; BadValue where another one has it."""
        changed = [replace(d, name=name) if i == index else d for i, d in enumerate(self._value)]
        self.set_value(self._control.check(self._name, changed, {}), quiet=False)

    def start_naming(self, index: int) -> None:
        """Lets the person type another name for a direction."""
        names = [d.name for d in self._value]
        self.rows[index].start_naming(names[index], names[:index] + names[index + 1 :])

    def _amount(self, index: int, amount: float, final: bool) -> None:
        one = self._value[index].moved(amount)
        self._value = (*self._value[:index], one, *self._value[index + 1 :])
        self._tell()
        (self.settled if final else self.moved).emit(self._value)

    # ---- files --------------------------------------------------------------------------------------------------

    def choose_file(self) -> None:
        """Asks for a file of directions; the window goes on meanwhile."""
        dialog = QFileDialog(self, "Load directions")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters([FILES, "All files (*)"])
        dialog.fileSelected.connect(self.load_wanted)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def choose_place(self) -> None:
        """Asks where to write; what is written are the directions of now."""
        value = self._value
        dialog = QFileDialog(self, "Save directions")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters([FILES])
        dialog.setDefaultSuffix("json")
        dialog.selectFile("directions.json")
        dialog.fileSelected.connect(lambda path: self.save_wanted.emit(path, value))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    # ---- what is shown ------------------------------------------------------------------------------------------

    def _show(self) -> None:
        while len(self.rows) > len(self._value):
            row = self.rows.pop()
            self._list.removeWidget(row)
            row.hide()
            row.deleteLater()
        while len(self.rows) < len(self._value):
            self._add_row(len(self.rows))
        for row, direction in zip(self.rows, self._value, strict=True):
            row.show_direction(direction)
        self.note.setVisible(not self._value)
        self._tell()

    def _tell(self) -> None:
        nothing = None if self._value else "There are no directions yet."
        enabled_because(self.save_button, nothing)
        still = None if any(d.amount for d in self._value) else "Every amount is 0."
        enabled_because(self.zero_button, nothing or still)

    def _add_row(self, index: int) -> None:
        row = DirectionRow()
        row.moved.connect(lambda amount: self._amount(index, amount, False))
        row.settled.connect(lambda amount: self._amount(index, amount, True))
        row.renamed.connect(lambda name: self._renamed(index, name))
        row.rename_asked.connect(lambda: self.start_naming(index))
        row.removed.connect(lambda: self.remove(index))
        self._list.addWidget(row)
        self.rows.append(row)

    def _renamed(self, index: int, name: str) -> None:
        try:
            self.rename(index, name)
        except BadValue:  # another one took that name meanwhile
            self.start_naming(index)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.EnabledChange and not self.isEnabled():
            self.flush()
        super().changeEvent(event)

    def minimumSizeHint(self) -> QSize:
        return QSize(NAME_WIDTH + 140, super().minimumSizeHint().height())
