"""The key frames of a path: a strip of cards, and what the chosen one holds. Knows seeds, not the pictures of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from engine.probes import Choice, Knobs, Seed, Steps
from engine.steering import EASINGS, LAST_SEED, MOST_KEYS, MOST_STEPS, KeyFrame, KeyFrames
from widgets.controls.fields import IconButton, enabled_because, wheel_notches
from widgets.controls.simple import ChoiceBox, NumberSlider, SeedBox
from widgets.controls.steering.key_strip import CARD_H, CARD_W, GAP, KeyStrip
from widgets.theme import UNIT

Keys = tuple[KeyFrame, ...]
FEWEST = 2
BAR = 10
"""Pixels kept below the cards for the scroll bar, so that nothing jumps when it comes."""


class _Runway(QScrollArea):
    """Scrolls the strip sideways, also with a wheel that only turns one way; the wheel is the column's unless the
    strip has the keyboard."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        widget = self.widget()
        if widget is None or not widget.hasFocus():
            event.ignore()
            return
        bar = self.horizontalScrollBar()
        bar.setValue(bar.value() - round(wheel_notches(event) * (CARD_W + GAP)))
        event.accept()


class KeyFrameRow(QWidget):
    """A path through seeds. Value: tuple of :data:`engine.steering.KeyFrame`, from 2 to 40 of them."""

    moved = Signal(object)
    settled = Signal(object)
    full_width = True

    def __init__(self, name: str, control: KeyFrames, knobs: Knobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._default: Keys = control.initial(knobs)
        self._value = self._default
        self._at = 0
        """The key frame that the fields below the cards are about."""
        self._random = random.Random()
        self.strip = KeyStrip()
        self.strip.setAccessibleName(control.label or name)
        self.strip.setToolTip("Drag a card to another place. Alt and an arrow key do so too; Delete takes a card away.")
        self.strip.chosen.connect(self._choose)
        self.strip.dropped.connect(self.move_key)
        self.strip.shifted.connect(lambda by: self.move_key(self.strip.current, self.strip.current + by))
        self.strip.removal.connect(self.remove)
        self.runway = _Runway()
        self.runway.setWidget(self.strip)
        self.strip.carried.connect(lambda x: self.runway.ensureVisible(int(x), CARD_H // 2, CARD_W // 2, 0))
        self.runway.setFixedHeight(CARD_H + BAR)
        self.runway.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.runway.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._make_buttons()
        self._make_editors()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(UNIT)
        column.addWidget(self.runway)
        column.addLayout(self._buttons)
        column.addLayout(self._editors)
        self.setFocusProxy(self.strip)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._show(0)

    def _make_buttons(self) -> None:
        self.add_button = IconButton("plus", "Puts a key frame with a new seed behind the chosen one.", "Add")
        self.add_button.clicked.connect(self.add)
        self.left_button = IconButton("caret-left", "Moves the chosen key frame to the left.")
        self.left_button.clicked.connect(lambda: self.move_key(self.strip.current, self.strip.current - 1))
        self.right_button = IconButton("caret-right", "Moves the chosen key frame to the right.")
        self.right_button.clicked.connect(lambda: self.move_key(self.strip.current, self.strip.current + 1))
        self.remove_button = IconButton("trash", "Takes the chosen key frame away.")
        self.remove_button.clicked.connect(self.remove)
        self.length = QLabel()
        self.length.setProperty("role", "caption")
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(0)
        self._buttons.addWidget(self.add_button)
        self._buttons.addWidget(self.left_button)
        self._buttons.addWidget(self.right_button)
        self._buttons.addWidget(self.remove_button)
        self._buttons.addStretch(1)
        self._buttons.addWidget(self.length)

    def _make_editors(self) -> None:
        """The seed, the steps and the easing of the chosen card."""
        self.seed_box = SeedBox("seed of the key frame", Seed(0, 0, LAST_SEED), {})
        self.steps_slider = NumberSlider("steps to the next key frame", Steps(24, 1, MOST_STEPS), {})
        self.easing_box = ChoiceBox("easing", Choice(EASINGS), {})
        self.steps_slider.setToolTip("In how many pictures the next key frame is reached.")
        self.easing_box.setToolTip("How the way to the next key frame is covered: hold stays and jumps.")
        self._editors = QGridLayout()
        self._editors.setHorizontalSpacing(2 * UNIT)
        self._editors.setVerticalSpacing(UNIT)
        self._editors.setColumnStretch(1, 1)
        fields: tuple[tuple[str, Any], ...] = (
            ("seed", self.seed_box),
            ("steps", self.steps_slider),
            ("easing", self.easing_box),
        )
        for row, (name, widget) in enumerate(fields):
            label = QLabel(name)
            label.setProperty("role", "quiet")
            self._editors.addWidget(label, row, 0)
            self._editors.addWidget(widget, row, 1)
            widget.moved.connect(lambda value, place=row: self._edit(place, value, False))
            widget.settled.connect(lambda value, place=row: self._edit(place, value, True))

    # ---- values -------------------------------------------------------------------------------------------------

    def value(self) -> Keys:
        return self._value

    def set_value(self, value: Sequence[KeyFrame], quiet: bool = True) -> None:
        """Shows ``value``, unless a hand holds one of the cards. Unless ``quiet``, ``settled`` says so."""
        keys = tuple(value)
        if keys == self._value or self.strip.held or self.steps_slider.busy:
            return
        self._value = keys
        self._show(min(self.strip.current, len(keys) - 1))
        if not quiet:
            self.settled.emit(keys)

    def reset(self) -> None:
        self.set_value(self._default, quiet=False)

    def flush(self) -> None:
        """Settles now what still waits."""
        self.seed_box.flush()
        self.steps_slider.flush()

    # ---- what the hand does -------------------------------------------------------------------------------------

    def add(self) -> None:
        """A key frame behind the chosen one, with its steps and easing and a seed that the path lacks."""
        if len(self._value) >= MOST_KEYS:
            return
        at = self.strip.current + 1
        _, steps, easing = self._value[at - 1]
        taken = {seed for seed, _, _ in self._value}
        seed = next(s for s in iter(lambda: self._random.randrange(10_000), None) if s not in taken)
        self._take((*self._value[:at], (seed, steps, easing), *self._value[at:]), at)

    def remove(self) -> None:
        """Takes the chosen key frame away; a path keeps two."""
        at = self.strip.current
        if len(self._value) > FEWEST:
            self._take((*self._value[:at], *self._value[at + 1 :]), min(at, len(self._value) - 2))

    def move_key(self, start: int, to: int) -> None:
        """Puts the key frame at ``start`` to the place ``to``; the others close up."""
        if start == to or not 0 <= to < len(self._value):
            return
        keys = list(self._value)
        keys.insert(to, keys.pop(start))
        self._take(tuple(keys), to)

    def _take(self, keys: Keys, current: int) -> None:
        """Another list settles at once: each change of it is a step of undo."""
        self.flush()
        self._value = keys
        self._show(current)
        self.moved.emit(keys)
        self.settled.emit(keys)

    def _edit(self, place: int, value: Any, final: bool) -> None:
        """One number of the card that the fields are about."""
        at = self._at
        key: list[Any] = list(self._value[at])
        key[place] = value
        seed, steps, easing = key
        self._value = (*self._value[:at], (int(seed), int(steps), str(easing)), *self._value[at + 1 :])
        self.strip.show_keys(self._value, self.strip.current)
        self._tell()
        (self.settled if final else self.moved).emit(self._value)

    # ---- what is shown ------------------------------------------------------------------------------------------

    def _choose(self, at: int) -> None:
        self.flush()  # what is typed still belongs to the card before
        self._show(at)

    def _show(self, current: int) -> None:
        self._at = current
        self.strip.show_keys(self._value, current)
        seed, steps, easing = self._value[current]
        self.seed_box.set_value(seed)
        self.steps_slider.set_value(steps)
        self.easing_box.set_value(easing)
        rect = self.strip.card_rect(current).toRect()
        self.runway.ensureVisible(rect.center().x(), rect.center().y(), rect.width(), 0)
        self._tell()

    def _tell(self) -> None:
        n, at = len(self._value), self.strip.current
        steps = sum(steps for _, steps, _ in self._value[:-1])
        self.length.setText(f"{steps} steps")
        self.length.setToolTip(f"From the first of {n} key frames to the last; in a loop those of the last lead back.")
        full = f"A path has {MOST_KEYS} key frames at most." if n >= MOST_KEYS else None
        enabled_because(self.add_button, full)
        enabled_because(self.remove_button, "A path needs two key frames." if n <= FEWEST else None)
        enabled_because(self.left_button, "This is the first key frame." if at == 0 else None)
        enabled_because(self.right_button, "This is the last key frame." if at == n - 1 else None)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.EnabledChange and not self.isEnabled():
            self.flush()
        super().changeEvent(event)

    def minimumSizeHint(self) -> QSize:
        return QSize(2 * CARD_W, super().minimumSizeHint().height())
