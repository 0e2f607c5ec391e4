"""Picks a class of the data by its name. Knows numbers and the names that the data gives them, no data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.probes import EVERY_CLASS, NO_CLASS, Knobs, Label
from widgets.controls.fields import CalmComboBox
from widgets.controls.settle import Settle

UNNAMED = 10
"""How many classes are offered by their numbers while nobody knows their names."""


class LabelBox(QWidget):
    """A class by its name, every class in turn, or none. Value: int, as :class:`engine.probes.Label` has it."""

    moved = Signal(object)
    settled = Signal(object)

    def __init__(self, name: str, control: Label, knobs: Knobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lo, self._hi = int(control.lo), int(control.hi)
        self._words = {EVERY_CLASS: control.every, NO_CLASS: "no class"}
        self._default = self._value = int(control.default)
        self._names: tuple[str, ...] = ()
        self._values: tuple[int, ...] = ()
        self._settle = Settle(self)
        self._settle.settled.connect(self.settled)
        self.combo = CalmComboBox()
        self.combo.setAccessibleName(control.label or name)
        self.combo.setMaxVisibleItems(16)
        self.combo.activated.connect(self._chosen)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.combo)
        self.setFocusProxy(self.combo)
        self._fill()

    def value(self) -> int:
        return self._value

    def set_value(self, value: Any, quiet: bool = True) -> None:
        """Shows ``value``; one that the data lacks is shown as such. Unless ``quiet``, ``settled`` says so."""
        if int(value) == self._value:
            return
        self._settle.cancel()
        self._value = int(value)
        self.combo.setToolTip("")
        self._fill()
        if not quiet:
            self.settled.emit(self._value)

    def reset(self) -> None:
        self.set_value(self._default, quiet=False)

    def flush(self) -> None:
        """Settles now what still waits."""
        self._settle.flush()

    def set_label_names(self, names: Sequence[str]) -> None:
        """What the data calls its classes, () where nobody knows.

        A value that the data lacks goes back to the default, or to the first there is; ``settled`` says so.
        """
        self._names = tuple(names)
        lost = self._value
        if self._fits(lost):
            self._fill()
            return
        self._settle.cancel()
        self._value = self._default if self._fits(self._default) else self._offered()[0]
        self._fill()
        self.combo.setToolTip(f"The data has no class {lost}, so this went back to {self.combo.currentText()}.")
        self.settled.emit(self._value)

    def _fits(self, value: int) -> bool:
        return value < 0 or not self._names or value < len(self._names)

    def _offered(self) -> tuple[int, ...]:
        """The values that can be chosen."""
        count = len(self._names) or max(UNNAMED, self._value + 1)
        words = (v for v in self._words if self._lo <= v <= self._hi)
        return (*words, *range(max(self._lo, 0), min(self._hi + 1, count)))

    def _text(self, value: int) -> str:
        if value < 0:
            return self._words[value]
        if not self._names:
            return f"class {value}"
        return self._names[value] if value < len(self._names) else f"class {value}: not in this data"

    def _fill(self) -> None:
        """Offers what there is; the list is made anew only where it differs."""
        values = self._offered()
        if self._value not in values:
            values = (*values, self._value)
        texts = [self._text(v) for v in values]
        if texts != [self.combo.itemText(i) for i in range(self.combo.count())]:
            self.combo.clear()
            self.combo.addItems(texts)
        self._values = values
        self.combo.setCurrentIndex(values.index(self._value))

    def _chosen(self, index: int) -> None:
        value = self._values[index]
        if value != self._value:
            self._value = value
            self.combo.setToolTip("")
            self.moved.emit(value)
            self._settle.touch(value)
