"""The form of a study's knobs: a row per knob, the seed, and a bar for changes that need a rebuild.

Knows knobs as declared, never a study; what a rebuild costs is the owner's to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from engine.params import Knob, Value
from engine.probes import Choice, Seed, Toggle
from widgets.controls.fields import FieldLabel, IconButton, NumberBox, enabled_because
from widgets.controls.picking.path_box import PathBox
from widgets.controls.simple import ChoiceBox, SeedBox, ToggleBox
from widgets.controls.sketching.drawing import DrawPad
from widgets.controls.slider import ValueSlider
from widgets.theme import RADIUS, UNIT, icon, theme

MARK = 12
"""Side of the mark of a knob that rebuilds."""
_REBUILDS = "Changing it rebuilds the model, which starts afresh."


def _number(knob: Knob) -> QWidget:
    integer = knob.kind == "int"
    if knob.lo is None or knob.hi is None:
        return NumberBox(int(knob.default) if integer else float(knob.default), knob.lo, knob.hi, integer)
    return ValueSlider(
        knob.lo,
        knob.hi,
        float(knob.default),
        integer=integer,
        log=knob.log,
        bipolar=knob.lo < 0 < knob.hi,
        settle_at_rest=knob.live,  # a rebuild in the middle of a drag would take the slider from under the hand
    )


def _choice(knob: Knob) -> QWidget:
    box = ChoiceBox(knob.name, Choice(knob.choices), {})
    box.set_default(str(knob.default))
    return box


def _toggle(knob: Knob) -> QWidget:
    return ToggleBox(knob.name, Toggle(bool(knob.default)), {})


def _drawing(knob: Knob) -> QWidget:
    return DrawPad(str(knob.default))


def _path(knob: Knob) -> QWidget:
    return PathBox(str(knob.default))


KNOB_WIDGETS = {
    "int": _number,
    "float": _number,
    "choice": _choice,
    "bool": _toggle,
    "drawing": _drawing,
    "path": _path,
}
"""What makes the widget of a knob, by the knob's kind."""


class Mark(QLabel):
    """The quiet sign that a knob rebuilds; in the accent while its value waits for that."""

    def __init__(self, tip: str) -> None:
        super().__init__()
        self._waiting = False
        self.setToolTip(tip)
        self.setFixedSize(QSize(MARK, MARK))
        theme.changed.connect(self._draw)

    def set_waiting(self, waiting: bool) -> None:
        if waiting != self._waiting:
            self._waiting = waiting
            self._draw()

    def _draw(self) -> None:
        if self.isVisible():
            colour = theme.colours.accent if self._waiting else theme.colours.quiet
            self.setPixmap(icon("arrows-clockwise", colour).pixmap(QSize(MARK, MARK), self.devicePixelRatioF()))

    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        self._draw()


class PendingBar(QFrame):
    """Says how many changes wait for a rebuild, and offers it."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("pendingBar")
        self.text = QLabel()
        self.rebuild = QPushButton("Rebuild (starts afresh)")
        self.rebuild.setProperty("role", "primary")
        self.undo = QPushButton("Undo")
        self.undo.setToolTip("Puts the knobs back to what the model was built with.")
        for button in (self.rebuild, self.undo):
            button.setStyleSheet(f"QPushButton {{ padding: {UNIT}px {UNIT + 2}px; }}")
        buttons = QHBoxLayout()
        buttons.setSpacing(UNIT)
        buttons.addWidget(self.rebuild, 1)
        buttons.addWidget(self.undo)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * UNIT, 2 * UNIT, 2 * UNIT, 2 * UNIT)
        layout.setSpacing(2 * UNIT)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        theme.changed.connect(self._dress)
        self._dress()

    def _dress(self) -> None:
        self.setStyleSheet(f"#pendingBar {{ background: {theme.colours.hover}; border-radius: {RADIUS}px; }}")


class KnobForm(QWidget):
    """The knobs of a study.

    ``knob_moved`` (name, value): a live knob under a moving hand. ``knob_settled``: any knob, once, with its final
    value. ``rebuild_requested`` (dict): all values, when the person asks for the rebuild. ``pending_changed``: how
    many knobs differ from what was built.
    """

    knob_moved = Signal(str, object)
    knob_settled = Signal(str, object)
    rebuild_requested = Signal(dict)
    pending_changed = Signal(int)
    seed_changed = Signal(int)
    restart_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._knobs: tuple[Knob, ...] = ()
        self._symbols: dict[str, str] = {}
        self._built: dict[str, Any] = {}
        self._widgets: dict[str, Any] = {}  # each answers the protocol of widgets.controls.simple
        self._marks: dict[str, Mark] = {}
        self._bar_enabled = True
        self._pending = 0
        self._body = QWidget()
        self._make_frame()
        self.set_knobs((), {})

    def _make_frame(self) -> None:
        self._legend_mark = Mark(_REBUILDS)
        self._legend = QLabel("rebuilds the model")
        self._legend.setProperty("role", "caption")
        self._legend.setToolTip(_REBUILDS)
        self.reset_button = IconButton("arrow-counter-clockwise", "Every knob back to its default.", "Reset")
        self.reset_button.clicked.connect(self.reset_all)
        head = QHBoxLayout()
        head.setSpacing(UNIT)
        head.addWidget(self._legend_mark)
        head.addWidget(self._legend)
        head.addStretch(1)
        head.addWidget(self.reset_button)
        self.seed_box = SeedBox("Seed", Seed(default=0), {})
        self.seed_box.setToolTip("Decides the first weights and the order of the data; the same seed, the same run.")
        self.seed_box.settled.connect(self.seed_changed.emit)
        self.restart_button = IconButton("skip-back", "Starts afresh with this seed.", "Same seed")
        self.restart_button.clicked.connect(self.restart_requested)
        seed = QHBoxLayout()
        seed.setSpacing(UNIT)
        seed.addWidget(FieldLabel("Seed"))
        seed.addWidget(self.seed_box, 1)
        seed.addWidget(self.restart_button)
        self.bar = PendingBar()
        self.bar.rebuild.clicked.connect(lambda: self.rebuild_requested.emit(self.values()))
        self.bar.undo.clicked.connect(self.undo_pending)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(3 * UNIT, 2 * UNIT, 3 * UNIT, 2 * UNIT)
        self._layout.setSpacing(2 * UNIT)
        self._layout.addLayout(head)
        self._layout.addWidget(self._body)
        self._layout.addLayout(seed)
        self._layout.addWidget(self.bar)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    # ---- what the owner does ------------------------------------------------------------------------------------

    def set_knobs(
        self,
        knobs: tuple[Knob, ...],
        values: Mapping[str, Any],
        symbols: Mapping[str, str] | None = None,
        running: bool = False,
    ) -> None:
        """Shows ``knobs`` with ``values``, which count as what the model is built with.

        ``symbols``: SVG by the knob's name. With knobs and symbols as before, the rows stay and only values change.
        """
        symbols = dict(symbols or {})
        if knobs != self._knobs or symbols != self._symbols or not self._body.layout():
            self.flush()  # while the form is still that of the old knobs: what waits belongs to them
            self._knobs, self._symbols = knobs, symbols
            self._build()
        self._built = {k.name: values.get(k.name, k.default) for k in knobs}
        self.set_running(running)
        self.set_values(self._built)

    def set_running(self, running: bool) -> None:
        """Whether the study is training now; only a tool tip tells."""
        now = "Training stops, and the model is" if running else "The model is"
        self.bar.rebuild.setToolTip(f"{now} built anew with these knobs and starts at step 0.")

    def values(self) -> dict[str, Any]:
        """Every knob's value as the form shows it."""
        return {name: widget.value() for name, widget in self._widgets.items()}

    def set_values(self, values: Mapping[str, Any], quiet: bool = True) -> None:
        """Shows ``values``; unless ``quiet``, ``knob_settled`` comes for each that changes."""
        for name, value in values.items():
            if name in self._widgets:
                self._widgets[name].set_value(value, quiet=quiet)
        self._show_pending()

    def reset_all(self) -> None:
        """Every knob to its default; ``knob_settled`` comes for each that changes."""
        for widget in list(self._widgets.values()):
            widget.reset()

    def undo_pending(self) -> None:
        """The knobs that rebuild go back to what was built."""
        self.set_values({k.name: self._built[k.name] for k in self._knobs if not k.live}, quiet=False)

    def pending(self) -> dict[str, Value]:
        """The knobs that rebuild and differ from what was built."""
        shown = self.values()
        return {k.name: shown[k.name] for k in self._knobs if not k.live and shown[k.name] != self._built[k.name]}

    @property
    def pending_bar_enabled(self) -> bool:
        """Whether waiting changes show the bar; off where the owner rebuilds at once."""
        return self._bar_enabled

    @pending_bar_enabled.setter
    def pending_bar_enabled(self, enabled: bool) -> None:
        self._bar_enabled = enabled
        self._show_pending()

    def seed(self) -> int:
        return self.seed_box.value()

    def set_seed(self, seed: int) -> None:
        self.seed_box.set_value(seed)

    def set_enabled_reason(self, reason: str | None, name: str = "") -> None:
        """Disables one knob, or the whole form, with ``reason`` in the tool tip; None enables it again."""
        enabled_because(self._widgets[name] if name else self, reason)

    def flush(self) -> None:
        """Settles now what still waits."""
        for widget in list(self._widgets.values()):
            widget.flush()

    def knob_widget(self, name: str) -> Any:
        """The widget of a knob."""
        return self._widgets[name]

    # ---- making -------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        old, self._body = self._body, QWidget()
        self._widgets, self._marks = {}, {}
        grid = QGridLayout(self._body)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(UNIT)
        grid.setColumnStretch(1, 1)
        if not self._knobs:
            note = QLabel("The knobs of a study that learns are here; what its probes are asked with is below.")
            note.setProperty("role", "quiet")
            note.setWordWrap(True)
            grid.addWidget(note, 0, 0, 1, 4)
        for row, knob in enumerate(self._knobs):
            self._add(grid, row, knob)
        self._layout.replaceWidget(old, self._body)
        old.hide()
        old.deleteLater()
        rebuilds = any(not k.live for k in self._knobs)
        self._legend.setVisible(rebuilds)
        self._legend_mark.setVisible(rebuilds)
        enabled_because(self.reset_button, None if self._knobs else "There are no knobs to reset.")

    def _add(self, grid: QGridLayout, row: int, knob: Knob) -> None:
        title = knob.name.replace("_", " ")
        widget: Any = KNOB_WIDGETS[knob.kind](knob)
        tip = knob.text[:1].upper() + knob.text[1:].rstrip(".") + "."
        label = FieldLabel(title, self._symbols.get(knob.name, ""))
        for part in (label, widget):
            part.setToolTip(tip)
        widget.setAccessibleName(title)
        widget.setAccessibleDescription(tip)
        self._widgets[knob.name] = widget
        if knob.live:
            widget.moved.connect(partial(self.knob_moved.emit, knob.name))
        widget.settled.connect(partial(self._settled, knob.name))
        mark_at = Qt.AlignmentFlag.AlignVCenter
        if getattr(widget, "full_width", False):
            block = QVBoxLayout()
            block.setSpacing(UNIT)
            block.addWidget(label)
            block.addWidget(widget)
            grid.addLayout(block, row, 0, 1, 2)
            mark_at = Qt.AlignmentFlag.AlignTop
        else:
            grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignVCenter)
            grid.addWidget(widget, row, 1)
        if not knob.live:
            self._marks[knob.name] = Mark(_REBUILDS)
            grid.addWidget(self._marks[knob.name], row, 2, mark_at)

    def _settled(self, name: str, value: Any) -> None:
        self._show_pending()
        self.knob_settled.emit(name, value)

    def _show_pending(self) -> None:
        waiting = self.pending()
        for name, mark in self._marks.items():
            mark.set_waiting(name in waiting and self._bar_enabled)
        n = len(waiting)
        self.bar.text.setText("1 change needs a rebuild" if n == 1 else f"{n} changes need a rebuild")
        self.bar.setVisible(bool(n) and self._bar_enabled)
        if n != self._pending:
            self._pending = n
            self.pending_changed.emit(n)
