"""The sliders of one row of a tree of solids: its own parameters, then those of the changes over it. Knows no tree but
the one it is shown."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.shape_tree import CHANGE, KINDS, Parameter, Plain
from widgets.controls.fields import IconButton, enabled_because
from widgets.controls.shapes.tree_edit import Path, Row, at
from widgets.controls.slider import ValueSlider
from widgets.theme import UNIT

LABEL = 84
"""Pixels of the column of labels."""
AXES = "xyz"

Indices = tuple[int, ...]


def numbers(parameter: Parameter, value: Any) -> list[tuple[Indices, str, float]]:
    """Every number of a parameter's value: which one, what it is called, and what it is."""
    name = parameter.name.replace("_", " ")
    if parameter.many:
        one = name.removesuffix("s") if name != "radii" else "radius"
        if isinstance(parameter.default[0], tuple):
            return [
                ((i, j), f"{one} {i + 1} {AXES[j]}", v) for i, entry in enumerate(value) for j, v in enumerate(entry)
            ]
        return [((i,), f"{one} {i + 1}", v) for i, v in enumerate(value)]
    if isinstance(parameter.default, tuple):
        return [((j,), f"{name} {AXES[j]}", v) for j, v in enumerate(value)]
    return [((), name, value)]


class NodeSliders(QWidget):
    """A section per node of the row, with its kind as a button and a slider per number."""

    moved = Signal(tuple, str, tuple, float)
    """The node's path, the parameter, which of its numbers, and the number."""
    settled = Signal()
    kind_asked = Signal(tuple, QWidget)
    """The person wants another kind for the node at this path; the button that was pressed."""
    change_removed = Signal(tuple)
    resized_by = Signal(tuple, int)

    def __init__(self) -> None:
        super().__init__()
        self.sliders: dict[tuple[Path, str, Indices], ValueSlider] = {}
        self._shape: Any = None
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._body: QWidget | None = None
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    @property
    def busy(self) -> bool:
        """Whether a hand holds one of the sliders."""
        return any(slider.busy for slider in self.sliders.values())

    def flush(self) -> None:
        """Settles now what still waits."""
        for slider in list(self.sliders.values()):
            slider.flush()

    def show_row(self, tree: Plain, row: Row) -> None:
        """Makes the sliders of ``row``, or moves them where they are the same."""
        paths = (row.path, *reversed(row.changes))
        shape = [(path, at(tree, path)["kind"], _lengths(at(tree, path))) for path in paths]
        if shape == self._shape:
            self.show_values(tree)
            return
        self._shape = shape
        self.setUpdatesEnabled(False)
        old, self._body, self.sliders = self._body, QWidget(), {}
        column = QVBoxLayout(self._body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for path in paths:
            self._section(column, path, at(tree, path))
        self._column.addWidget(self._body)
        if old is not None:
            self._column.removeWidget(old)
            old.hide()
            old.deleteLater()
        self.setUpdatesEnabled(True)

    def show_values(self, tree: Plain) -> None:
        """Puts the sliders where ``tree`` has them; one that a hand holds stays."""
        for (path, name, indices), slider in self.sliders.items():
            value = at(tree, path)[name]
            for i in indices:
                value = value[i]
            if not slider.busy:
                slider.set_value(value)

    def _section(self, column: QVBoxLayout, path: Path, item: Plain) -> None:
        kind = KINDS[item["kind"]]
        head = QHBoxLayout()
        head.setSpacing(0)
        head.setContentsMargins(0, UNIT, 0, 0)
        button = IconButton("caret-down", f"{kind.text} Press for another kind.", kind.title)
        button.setAccessibleName(f"Kind of this node: {kind.title}")
        button.clicked.connect(lambda: self.kind_asked.emit(path, button))
        head.addWidget(button)
        head.addStretch(1)
        if any(p.many for p in kind.parameters):
            self._balls(head, path, item)
        if kind.group == CHANGE:
            away = IconButton("x", f"Takes the {kind.title.lower()} away.")
            away.clicked.connect(partial(self.change_removed.emit, path))
            head.addWidget(away)
        column.addLayout(head)
        if not kind.parameters:
            note = QLabel(kind.text)
            note.setProperty("role", "quiet")
            note.setWordWrap(True)
            column.addWidget(note)
        for parameter in kind.parameters:
            for indices, label, value in numbers(parameter, item[parameter.name]):
                column.addWidget(self._slider(path, parameter, indices, label, value))

    def _balls(self, head: QHBoxLayout, path: Path, item: Plain) -> None:
        count = len(item["radii"])
        for name, by, tip in (("plus", 1, "Adds a ball."), ("trash", -1, "Takes the last ball away.")):
            button = IconButton(name, tip)
            button.clicked.connect(partial(self.resized_by.emit, path, by))
            if (by < 0 and count == 1) or (by > 0 and count == 32):
                enabled_because(button, "There are from 1 to 32 balls.")
            head.addWidget(button)

    def _slider(self, path: Path, parameter: Parameter, indices: Indices, label: str, value: float) -> ValueSlider:
        default = parameter.default
        for i in indices:
            default = default[min(i, len(default) - 1)]
        lo, hi = parameter.track
        slider = ValueSlider(
            lo,
            hi,
            default,
            label=label,
            integer=parameter.whole,
            bipolar=lo < 0 < hi,
            limits=(parameter.lo, parameter.hi),
            label_width=LABEL,
        )
        slider.setToolTip(parameter.text)
        slider.set_value(value)
        slider.moved.connect(lambda v: self.moved.emit(path, parameter.name, indices, float(v)))
        slider.settled.connect(lambda v: self._rests(path, parameter.name, indices, float(v)))
        self.sliders[path, parameter.name, indices] = slider
        return slider

    def _rests(self, path: Path, name: str, indices: Indices, value: float) -> None:
        """A reset or a typed number may settle without having moved before."""
        self.moved.emit(path, name, indices, value)
        self.settled.emit()


def _lengths(item: Plain) -> list[int]:
    """The lengths of a node's lists: other ones need other sliders."""
    return [len(item[p.name]) for p in KINDS[item["kind"]].parameters if p.many]
