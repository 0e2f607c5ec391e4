"""A code z under the hand: one slider per number, the most active first. Knows no model, only what a Hint says."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from PySide6.QtCore import QEvent, QRect, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.probes import Hint, Knobs, Latent
from widgets.controls.fields import IconButton
from widgets.controls.slider import ValueSlider
from widgets.theme import UNIT, theme

ROW = 24
REACH = 3.0
"""Half the length of a track, in standard deviations of the aggregate posterior."""
CALM = 2.0
"""Seconds without a move before rows may change places."""
FAINT = 0.01
"""A number counts as inactive below this share of the most active one ..."""
FAINT_NATS = 0.02
"""... or, where activity is a KL divergence, below this many nats."""
_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def code_name(index: int) -> str:
    """How the number at ``index`` (from 0) is called on screen: z₁ is the first."""
    return "z" + str(index + 1).translate(_SUBSCRIPT)


def split_by_activity(hint: Hint) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The active dimensions in the hint's order, and the inactive ones; all count as active where none is."""
    floor = FAINT * max(hint.activity, default=0.0)
    if hint.activity_name.startswith("KL"):
        floor = max(floor, FAINT_NATS)
    active = tuple(i for i in hint.order if hint.activity[i] >= floor)
    if not active:
        return hint.order, ()
    return active, tuple(i for i in hint.order if hint.activity[i] < floor)


class LatentRow(ValueSlider):
    """One number of the code; a small bar beside its name says how active it is."""

    touched = Signal()
    """The mouse came over the row."""

    def __init__(self, index: int, reach: float) -> None:
        super().__init__(
            -REACH,
            REACH,
            0.0,
            label=code_name(index),
            bipolar=True,
            limits=(-reach, reach),
            label_width=60,
        )
        self._activity: float | None = None
        self.setAccessibleName(f"latent number {index + 1}")
        self.setFixedHeight(ROW)

    def set_activity(self, share: float, tip: str) -> None:
        """``share`` of the most active number's activity, 0..1."""
        self.setToolTip(tip)
        if share != self._activity:
            self._activity = share
            self.update()

    def enterEvent(self, event: Any) -> None:
        self.touched.emit()
        super().enterEvent(event)

    def paint_label(self, painter: QPainter, place: QRect) -> None:
        super().paint_label(painter, place.adjusted(0, 0, -28, 0))
        if self._activity is None:
            return
        bar = QRectF(place.right() - 25, place.center().y() - 1, 24, 3)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.colours.line))
        painter.drawRoundedRect(bar, 1.5, 1.5)
        if self._activity > 0:
            bar.setWidth(max(self._activity * bar.width(), 2))
            painter.setBrush(QColor(theme.colours.quiet))
            painter.drawRoundedRect(bar, 1.5, 1.5)


class LatentSliders(QWidget):
    """A slider per number of a code. Value: tuple of float.

    Tracks span the aggregate posterior's mean +- 3 standard deviations once a hint has come, +-3 before that. Rows
    never change places under the hand: not during a drag, and not within two seconds of a move.
    """

    moved = Signal(object)
    settled = Signal(object)
    wide = True
    """The form gives it the whole width of the column."""

    def __init__(self, name: str, control: Latent, knobs: Knobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._z = list(control.initial(knobs))
        self._reach = control.reach
        self._rows: dict[int, LatentRow] = {}
        self._hint: Hint | None = None
        self._waiting: Hint | None = None
        self._active: tuple[int, ...] = ()
        self._folded: tuple[int, ...] = ()
        self._unfolded = False
        self._last_touch = -math.inf
        self._random = random.Random()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._apply_waiting)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self._title = control.label or name
        self._make_frame()
        self._arrange(tuple(range(len(self._z))), ())

    def _make_frame(self) -> None:
        self._count = QLabel()
        self._count.setProperty("role", "caption")
        random_button = IconButton("dice-five", "Draws every number at random, as the model's codes are spread.")
        random_button.clicked.connect(self.draw)
        reset_button = IconButton("arrow-counter-clockwise", "Puts every number back to the middle.")
        reset_button.clicked.connect(self.reset)
        head = QHBoxLayout()
        head.setSpacing(UNIT)
        title = QLabel(self._title)
        title.setProperty("role", "quiet")
        head.addWidget(title)
        head.addWidget(self._count, 1)
        head.addWidget(random_button)
        head.addWidget(reset_button)
        self._top, self._bottom = QVBoxLayout(), QVBoxLayout()
        self._fold_button = IconButton("caret-right", "Numbers that the model hardly uses.", text=" ")
        self._fold_button.clicked.connect(self._toggle_fold)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addLayout(self._top)
        layout.addWidget(self._fold_button, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addLayout(self._bottom)

    # ---- values -------------------------------------------------------------------------------------------------

    def value(self) -> tuple[float, ...]:
        return tuple(self._z)

    def set_value(self, value: Sequence[float], quiet: bool = True) -> None:
        """Shows the code ``value``; a number whose handle is held stays with the hand."""
        before = self.value()
        for i, v in enumerate(value[: len(self._z)]):
            row = self._rows.get(i)
            if row is None:
                self._z[i] = float(v)
            else:
                row.set_value(v)
                self._z[i] = row.value()
        if not quiet and self.value() != before:
            self.settled.emit(self.value())

    def reset(self) -> None:
        """Every number to the mean of the codes, 0 before it is known."""
        self.set_value([self._mean(i) for i in range(len(self._z))], quiet=False)

    def draw(self) -> None:
        """Every number from the normal distribution that the hint describes."""
        z = [self._random.gauss(self._mean(i), self._spread(i)) for i in range(len(self._z))]
        self.set_value([round(min(max(v, -self._reach), self._reach), 2) for v in z], quiet=False)

    def flush(self) -> None:
        """Settles now what still waits."""
        for row in self._rows.values():
            row.flush()

    def _mean(self, i: int) -> float:
        mean = self._hint.mean[i] if self._hint else 0.0
        return mean if math.isfinite(mean) else 0.0  # weights that diverged

    def _spread(self, i: int) -> float:
        spread = self._hint.spread[i] if self._hint else 1.0
        return max(spread, 1e-3) if math.isfinite(spread) else 1.0

    def _row_moved(self, i: int, value: float) -> None:
        self._z[i] = value
        self._touched()
        self.moved.emit(self.value())

    def _row_settled(self, i: int, value: float) -> None:
        self._z[i] = value
        self.settled.emit(self.value())

    def _touched(self) -> None:
        self._last_touch = time.monotonic()

    # ---- hints and order ----------------------------------------------------------------------------------------

    def shown_order(self) -> tuple[int, ...]:
        """The dimensions as the rows stand now, folded ones left out."""
        return self._active + (self._folded if self._unfolded else ())

    def row(self, index: int) -> LatentRow:
        """The row of a dimension, made if it was not needed yet."""
        if index not in self._rows:
            row = LatentRow(index, self._reach)
            row.set_value(self._z[index])
            row.moved.connect(partial(self._row_moved, index))
            row.settled.connect(partial(self._row_settled, index))
            row.touched.connect(self._touched)
            self._rows[index] = row
            if self._hint:
                self._show_hint(index, row, self._hint)
        return self._rows[index]

    def set_hint(self, hint: Hint) -> None:
        """News of the weights; what would move things under the hand waits. A hint for another size is ignored."""
        if len(hint.order) == len(self._z):
            self._waiting = hint
            self._apply_waiting()

    def _apply_waiting(self) -> None:
        hint = self._waiting
        if hint is None:
            return
        if any(row.busy for row in self._rows.values()):
            self._timer.start(250)
            return
        self._hint = hint
        for i, row in self._rows.items():
            self._show_hint(i, row, hint)
        active, folded = split_by_activity(hint)
        rest = CALM - (time.monotonic() - self._last_touch)
        if (active, folded) != (self._active, self._folded) and rest > 0:
            self._timer.start(round(1000 * rest) + 10)
            return
        self._waiting = None
        self._timer.stop()
        if (active, folded) != (self._active, self._folded):
            self._arrange(active, folded)

    def _show_hint(self, i: int, row: LatentRow, hint: Hint) -> None:
        mean, reach = self._mean(i), REACH * self._spread(i)
        row.set_range(max(mean - reach, -self._reach), min(mean + reach, self._reach), default=mean, centre=mean)
        share = hint.activity[i] / (max(hint.activity) or 1.0)
        row.set_activity(share, f"{code_name(i)}: {hint.activity[i]:.3g} {hint.activity_name}")

    def _arrange(self, active: tuple[int, ...], folded: tuple[int, ...]) -> None:
        """Puts the rows in order; rows of folded dimensions are made only once they are to be seen."""
        self.setUpdatesEnabled(False)
        self._active, self._folded = active, folded
        shown = self.shown_order()
        for layout in (self._top, self._bottom):
            while layout.count():
                layout.takeAt(0)
        for layout, dimensions in ((self._top, active), (self._bottom, folded if self._unfolded else ())):
            for i in dimensions:
                layout.addWidget(self.row(i))
                self._rows[i].show()
        for i, row in self._rows.items():
            if i not in shown:
                row.hide()
        for before, after in pairwise(shown):
            QWidget.setTabOrder(self._rows[before], self._rows[after])
        self._count.setText(f"{len(self._z)} numbers" + (f", {len(folded)} inactive" if folded else ""))
        self._fold_button.setVisible(bool(folded))
        self._fold_button.set_icon("caret-down" if self._unfolded else "caret-right")
        self._fold_button.setText(f"{'Hide' if self._unfolded else 'Show'} {len(folded)} inactive")
        self._fold_button.setAccessibleName(self._fold_button.text())
        self.setUpdatesEnabled(True)

    def _toggle_fold(self) -> None:
        self._unfolded = not self._unfolded
        self._arrange(self._active, self._folded)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.EnabledChange and not self.isEnabled():
            self.flush()
        super().changeEvent(event)
