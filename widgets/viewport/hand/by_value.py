"""Selecting by value: a bar below the picture with the histogram of one number of every point or splat, and the range
of it that is marked. Works on the viewport that it is given; all arrays are looked through by the view lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QHideEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from widgets.controls.fields import CalmComboBox, IconButton
from widgets.viewport.hand import select
from widgets.viewport.hand.histogram import Histogram
from widgets.viewport.hand.state import ViewState

if TYPE_CHECKING:
    from widgets.viewport.hand.picking import Bools
    from widgets.viewport.viewport import Viewport

ARRAYS = ("xyz", "scales", "opacity", "sh", "rgb", "size")
"""What the numbers are made of: while it is the same they are."""
NARROW = 420


class ByValue(QWidget):
    """The bar; hidden until the person wants it."""

    def __init__(self, viewport: Viewport) -> None:
        super().__init__(viewport)
        self._view = viewport
        self.kind = CalmComboBox()
        self.kind.setFixedWidth(170)
        self.kind.setToolTip("Which number of every point or splat is looked at")
        self.kind.setAccessibleName("Quantity")
        self.kind.activated.connect(lambda _: self._ask_spread(keep=False))
        self.said = QLabel()
        self.said.setProperty("role", "caption")
        self.histogram = Histogram()
        self.histogram.changed.connect(self._changed)
        self.close_button = IconButton("x", "Closes the histogram; the selection stays")
        self.close_button.clicked.connect(lambda: viewport.command("select:value"))
        left = QVBoxLayout()
        left.setSpacing(2)
        left.addWidget(self.kind)
        left.addWidget(self.said)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 4, 4, 4)
        row.setSpacing(8)
        row.addLayout(left)
        row.addWidget(self.histogram, 1)
        row.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        self._made_of: list[Any] = []
        self._values: Mapping[str, Any] = {}
        self._before: ViewState | None = None
        self._settled = True
        self.hide()

    def minimumSizeHint(self) -> QSize:
        return QSize(200, super().minimumSizeHint().height())

    @property
    def quantity(self) -> str:
        """The key of what is looked at, '' before it is known."""
        return str(self.kind.currentData() or "")

    def toggle(self) -> None:
        """Opens or closes the bar."""
        self.setVisible(self.isHidden())
        if not self.isHidden():
            self._made_of = []
            self.refresh()

    def refresh(self) -> None:
        """The scene may have changed: looks at it anew where it has."""
        if self.isHidden():
            return
        things = [thing for thing, _, _ in self._view.pickable()]
        made_of = [part for t in things for part in (t.name, *(getattr(t, name, None) for name in ARRAYS))]
        if len(made_of) == len(self._made_of) and all(map(_same, made_of, self._made_of)):
            return
        names = [t.name for t in things]
        keep = names == [part for part in self._made_of if isinstance(part, str)]
        self._made_of = made_of
        self._view.lane.ask(
            "offered", "geometry.splats.values.offered", lambda found: self._offer(found, keep), things=things
        )

    def _offer(self, found: list[Any], keep: bool) -> None:
        """What there is to look at; ``keep`` leaves the range where the things are the same as before, renewed."""
        old = self.quantity
        self.kind.clear()
        for quantity in found:
            self.kind.addItem(quantity.title, quantity.key)
        self.kind.setEnabled(bool(found))
        if not found:
            self._say("No points or splats")
            self.histogram.show_counts([], [0.0, 1.0], False, keep=False)
            return
        self.kind.setCurrentIndex(max(0, self.kind.findData(old)))
        self._ask_spread(keep=keep and self.quantity == old)

    def _ask_spread(self, keep: bool) -> None:
        self._say("Counting …")
        self._view.lane.ask(
            "spread", "geometry.splats.values.value_spread", lambda spread: self._spread(spread, keep),
            things=self._view.pickable(), quantity=self.quantity,
        )  # fmt: skip

    def _spread(self, spread: Any, keep: bool) -> None:
        self._values = spread.values
        self.histogram.show_counts(spread.counts, spread.edges, spread.log, keep)
        self._say(f"{sum(map(len, self._values.values())):,} in all")

    def _changed(self, low: float, high: float, settled: bool) -> None:
        """The hand has changed the range: marks what lies in it, as one step of undo when it lets go."""
        if self._before is None:
            self._before = self._view.state
        self._settled = settled
        self._view.lane.ask(
            "between", "geometry.splats.values.select_between", self._found, values=self._values, low=low, high=high,
        )  # fmt: skip

    def _found(self, found: Mapping[str, Bools]) -> None:
        editing, before = self._view.editing, self._before
        if before is None:
            return
        counts = {thing.name: select.count_of(thing) for thing in self._view.shown.things}
        fits = {name: part for name, part in found.items() if counts.get(name) == len(part)}
        if self.histogram.whole:  # the whole range is none: what a double click on it is for
            fits = {name: np.zeros_like(part) for name, part in fits.items()}
        state = replace(editing.state, marks=select.selected(before.marks, fits))
        self._say(f"{select.number_marked(state.marks):,} of {sum(map(len, self._values.values())):,}")
        if self._settled:
            self._before = None
            editing.do("selection by value", state, before)
        else:
            editing.apply(state)

    def _say(self, text: str) -> None:
        self.said.setText(text)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.stop()

    def stop(self) -> None:
        """Gives up what is being looked at; a range in the hand is let go."""
        for key in ("offered", "spread", "between"):
            self._view.lane.cancel(key)
        self._before, self._made_of = None, []


def _same(a: Any, b: Any) -> bool:
    """Whether it is the very same array, or an equal name or number."""
    return a is b or (isinstance(a, str | float) and type(a) is type(b) and bool(a == b))
