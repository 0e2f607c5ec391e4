"""The outline: a slim list of the things in a scene, with what the hand may change of each. Knows no canvas.

It holds no state of its own: it shows :class:`Look` s and says what the person wants instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QKeyEvent, QPainter, QPixmap, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QPushButton,
    QSlider,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from engine.scene import Arrows, Field, Frustums, Handles, Lines, Mesh, Points, Sheet, Splats, Thing, Words
from widgets.theme import LABELS, TERMS, icon, theme
from widgets.viewport.camera import Array, Vector, rotation
from widgets.viewport.over.number import Number

WIDEST = 240
NONE: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Look:
    """What the person changed of a thing; None is as the thing has it itself. ``move``, ``turn`` (degrees about x, then
    y, then z) and ``scale`` are on top of its own transform, about its middle."""

    visible: bool | None = None
    opacity: float | None = None
    colour: str | None = None
    colour_by: str | None = None
    move: Vector = NONE
    turn: Vector = NONE
    scale: float = 1.0

    @property
    def moves(self) -> bool:
        return self.move != NONE or self.turn != NONE or self.scale != 1.0


def moved_matrix(look: Look, middle: Array) -> Array:
    """The change (4, 4) in the world that a look's move, turn and scale about ``middle`` (3,) make."""
    turn = np.eye(3)
    for axis, degrees in zip(np.eye(3), look.turn, strict=True):
        turn = rotation(axis, degrees) @ turn
    out = np.eye(4)
    out[:3, :3] = turn * look.scale
    out[:3, 3] = middle + look.move - out[:3, :3] @ middle
    return out


def opacity_of(thing: Thing) -> float:
    """How much of a thing covers what is behind it, as it came; each splat has an opacity of its own."""
    return 1.0 if isinstance(thing, Splats) else thing.opacity


def count_text(thing: Thing) -> str:
    """How much of it there is, short."""
    counts: dict[type[Thing], tuple[str, ...]] = {
        Points: ("xyz",), Splats: ("xyz",), Mesh: ("faces",), Lines: ("ends",), Arrows: ("at",), Words: ("at",),
        Handles: ("at",), Frustums: ("eyes",),
    }  # fmt: skip
    for name in counts.get(type(thing), ()):
        n = len(getattr(thing, name))
        return f"{n / 1e6:.1f} M" if n >= 1e6 else f"{n / 1e3:.0f} k" if n >= 1e4 else f"{n:,}"
    if isinstance(thing, Field):
        return f"{thing.alpha.shape[1]}×{thing.alpha.shape[0]}"
    if isinstance(thing, Sheet):
        return f"{thing.image.shape[1]}×{thing.image.shape[0]}"
    return ""


def long_count(thing: Thing) -> str:
    """How much of it there is, in full."""
    if isinstance(thing, Mesh):
        return f"{len(thing.faces):,} faces, {len(thing.vertices):,} vertices"
    if isinstance(thing, Points):
        return f"{len(thing.xyz):,} points"
    return f"{count_text(thing)} {type(thing).__name__.lower()}".strip()


class Outline(QWidget):
    """A list with an eye and a colour per thing, and below it opacity and place of the chosen one."""

    changed = Signal(str, object, str, bool)
    """A thing's name, its new :class:`Look`, what that is in words, and whether the hand has let go."""
    chosen = Signal(str)
    framed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._things: dict[str, Thing] = {}
        self._looks: dict[str, Look] = {}
        self._quiet = False
        self.setFixedWidth(WIDEST - 20)
        self.tree = _Tree(self)
        self.tree.setAccessibleName("Things in the scene")
        self.tree.setToolTip("Click the eye (or press Space) to hide, double-click a name to frame it")
        self.tree.setColumnCount(3)
        self.tree.setHeaderHidden(True)
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setIconSize(QSize(14, 14))
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        head = self.tree.header()
        head.setStretchLastSection(False)
        head.setMinimumSectionSize(24)
        head.setSectionResizeMode(0, QHeaderView.ResizeMode.Fixed)
        head.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        head.setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)
        self.tree.setColumnWidth(0, 30)
        self.tree.setStyleSheet("QTreeView::item { padding: 3px 2px; border-radius: 0; }")
        self.tree.itemClicked.connect(self._clicked)
        self.tree.itemDoubleClicked.connect(self._double_clicked)
        self.tree.currentItemChanged.connect(lambda item, _: self._choose(item))
        self.tree.toggled.connect(self._toggle)
        self.details = self._make_details()
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(8)
        column.addWidget(self.tree, 1)
        column.addWidget(self.details)
        self.details.hide()
        theme.changed.connect(self._refresh)

    def _make_details(self) -> QWidget:
        whole = QWidget()
        grid = QGridLayout(whole)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(4)
        self.about = QLabel()
        self.about.setProperty("role", "caption")
        grid.addWidget(self.about, 0, 0, 1, 4)
        self.colour_button = QPushButton("Colour")
        self.colour_button.setToolTip("The colour where it is drawn plain")
        self.colour_button.clicked.connect(self._open_colours)
        grid.addWidget(self.colour_button, 1, 0, 1, 2)
        self.reset_button = QPushButton("Reset")
        self.reset_button.setToolTip("Shows this thing as the answer has it")
        self.reset_button.clicked.connect(lambda: self._say(Look(), "reset of", True))
        grid.addWidget(self.reset_button, 1, 2, 1, 2)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setAccessibleName("Opacity")
        self.opacity.setToolTip("Opacity")
        self.opacity.valueChanged.connect(lambda v: self._opacity(v, not self.opacity.isSliderDown()))
        self.opacity.sliderReleased.connect(lambda: self._opacity(self.opacity.value(), True))
        grid.addWidget(QLabel("Opacity"), 2, 0)
        grid.addWidget(self.opacity, 2, 1, 1, 3)
        self.fields: dict[str, list[Number]] = {}
        for row, (name, label, tip) in enumerate(
            (("move", "Move", "Moved along {} by so many units"), ("turn", "Turn", "Degrees about {}")), start=3
        ):
            grid.addWidget(QLabel(label), row, 0)
            self.fields[name] = [self._field(tip.format(axis), -1e9, 1e9) for axis in "xyz"]
            for k, field in enumerate(self.fields[name]):
                field.setSingleStep(5.0 if name == "turn" else 0.1)
                grid.addWidget(field, row, k + 1)
        self.scale = self._field("Times its own size", 1e-4, 1e4)
        grid.addWidget(QLabel("Scale"), 5, 0)
        grid.addWidget(self.scale, 5, 1)
        self.fields["scale"] = [self.scale]
        return whole

    def _field(self, tip: str, lo: float, hi: float) -> Number:
        field = Number(tip, lo, hi)
        field.setMinimumWidth(44)
        field.valueChanged.connect(self._placed)
        return field

    # ---- what the owner does

    def show_things(self, things: Sequence[Thing], looks: Mapping[str, Look]) -> None:
        """The lines of the list; what was chosen stays so."""
        same = list(self._things) == [thing.name for thing in things]
        self._things = {thing.name: thing for thing in things}
        self._looks = dict(looks)
        self._quiet = True
        if not same:
            current = self.current()
            self.tree.clear()
            for name in self._things:
                item = QTreeWidgetItem(["", name, ""])
                item.setTextAlignment(2, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.tree.addTopLevelItem(item)
                if name == current:
                    self.tree.setCurrentItem(item)
        self._quiet = False
        if self.isVisible():
            self._refresh()

    def current(self) -> str:
        """The chosen thing's name, or ''."""
        item = self.tree.currentItem()
        return item.text(1) if item is not None else ""

    def choose(self, name: str) -> None:
        """Makes a thing the chosen one."""
        for k in range(self.tree.topLevelItemCount()):
            item = self.tree.topLevelItem(k)
            if item is not None and item.text(1) == name:
                self.tree.setCurrentItem(item)

    def look(self, name: str) -> Look:
        return self._looks.get(name, Look())

    def visible_now(self, name: str) -> bool:
        wanted = self.look(name).visible
        return self._things[name].visible if wanted is None else wanted

    # ---- showing

    def _refresh(self) -> None:
        self._quiet = True
        for k in range(self.tree.topLevelItemCount()):
            item = self.tree.topLevelItem(k)
            if item is None or item.text(1) not in self._things:
                continue
            thing = self._things[item.text(1)]
            on = self.visible_now(thing.name)
            item.setIcon(0, icon("eye" if on else "eye-slash", "" if on else theme.colours.quiet))
            item.setToolTip(0, "Hide" if on else "Show")
            item.setIcon(1, swatch(self.colour_of(thing)))
            item.setText(2, count_text(thing))
            item.setToolTip(1, f"{thing.name}: {long_count(thing)}")
            item.setForeground(1, QColor(theme.colours.text if on else theme.colours.quiet))
            item.setForeground(2, QColor(theme.colours.quiet))
        thing = self._things.get(self.current())  # type: ignore[assignment]
        self.details.setVisible(thing is not None and self.height() >= 320)
        if thing is not None:
            look = self.look(thing.name)
            self.about.setText(long_count(thing))
            self.colour_button.setIcon(swatch(self.colour_of(thing)))
            opacity = opacity_of(thing) if look.opacity is None else look.opacity
            if not self.opacity.isSliderDown():
                self.opacity.setValue(round(opacity * 100))
            for name, values in (("move", look.move), ("turn", look.turn), ("scale", (look.scale,))):
                for field, value in zip(self.fields[name], values, strict=True):
                    if not field.hasFocus() or field.value() != value:
                        field.setValue(value)
        self._quiet = False

    def colour_of(self, thing: Thing) -> str:
        """The plain colour of a thing as #rrggbb."""
        wanted = self.look(thing.name).colour
        text = (thing.colour if wanted is None else wanted) or theme.colours.quiet
        return TERMS.get(text, text)

    # ---- what the person wants

    def _say(self, look: Look, what: str, settled: bool) -> None:
        name = self.current()
        if not self._quiet and name:
            self.changed.emit(name, look, f"{what} {name}", settled)

    def _opacity(self, percent: int, settled: bool) -> None:
        self._say(replace(self.look(self.current()), opacity=percent / 100), "opacity of", settled)

    def _placed(self) -> None:
        if self._quiet:
            return
        values: dict[str, Any] = {n: tuple(f.value() for f in fields) for n, fields in self.fields.items()}
        look = replace(self.look(self.current()), move=values["move"], turn=values["turn"], scale=values["scale"][0])
        self._say(look, "place of", True)

    def _clicked(self, item: QTreeWidgetItem, column: int) -> None:
        if column == 0:
            self._toggle(item)

    def _double_clicked(self, item: QTreeWidgetItem, column: int) -> None:
        if column:
            self.framed.emit(item.text(1))

    def _toggle(self, item: QTreeWidgetItem) -> None:
        name = item.text(1)
        on = not self.visible_now(name)
        what = ("showing" if on else "hiding") + f" {name}"
        self.changed.emit(name, replace(self.look(name), visible=on), what, True)

    def _choose(self, item: QTreeWidgetItem | None) -> None:
        if not self._quiet:
            self._refresh()
            self.chosen.emit("" if item is None else item.text(1))

    def _open_colours(self) -> None:
        menu = QMenu(self)
        for name, colour in (
            [("As it was", "")]
            + [(n.capitalize(), n) for n in TERMS]
            + [(f"Label {i}", c) for i, c in enumerate(LABELS)]
        ):
            action = menu.addAction(swatch(TERMS.get(colour, colour)) if colour else QIcon(), name)
            action.triggered.connect(lambda _=False, c=colour: self._colour(c))
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.colour_button.mapToGlobal(QPoint(0, self.colour_button.height())))

    def _colour(self, colour: str) -> None:
        self._say(replace(self.look(self.current()), colour=colour or None), "colour of", True)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._refresh()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.details.setVisible(bool(self.current()) and self.height() >= 320)


class _Tree(QTreeWidget):
    """Space hides and shows the chosen line."""

    toggled = Signal(QTreeWidgetItem)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        item = self.currentItem()
        if event.key() == Qt.Key.Key_Space and item is not None:
            self.toggled.emit(item)
        else:
            super().keyPressEvent(event)


@lru_cache(maxsize=64)
def swatch(colour: str) -> QIcon:
    """A dot of a colour."""
    pixmap = QPixmap(28, 28)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawEllipse(4, 4, 20, 20)
    painter.end()
    return QIcon(pixmap)
