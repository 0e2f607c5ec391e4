"""The slim bar of tools above the picture and the small panels that open from it. It only says what the hand wants.

Knows names of commands and the style of drawing, neither scene nor camera.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QActionGroup, QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from widgets.controls.fields import CalmComboBox, IconButton
from widgets.theme import theme
from widgets.viewport.over.number import plain_field
from widgets.viewport.style import Style

TOOLS = {
    "turn": ("hand-grabbing", "Turn: drag turns, Shift or the middle button moves, the wheel zooms"),
    "rectangle": ("selection", "Select by a rectangle; Shift adds, Ctrl takes away, Alt turns"),
    "lasso": ("lasso", "Select by a lasso; Shift adds, Ctrl takes away, Alt turns"),
    "distance": ("ruler", "Measure a distance: click two places; Esc clears"),
    "angle": ("angle", "Measure an angle: click three places, the corner second; Esc clears"),
}
Entry = tuple[str, str] | None
"""A menu's line: what it says and its command; None is a line between."""
CAMERA_MENU: tuple[Entry, ...] = (
    ("Frame all\tF", "frame"), None,
    ("Front\tShift+1", "axis:front"), ("Right\tShift+2", "axis:right"), ("Top\tShift+3", "axis:top"),
    ("Back\tShift+4", "axis:back"), ("Left\tShift+5", "axis:left"), ("Bottom\tShift+6", "axis:bottom"), None,
    ("Orbit", "mode:orbit"), ("Trackball", "mode:trackball"), ("Fly: W A S D Q E and the mouse", "mode:fly"), None,
    ("Orthographic", "ortho"), ("Link cameras", "link"), None,
    ("Copy camera", "copy_camera"), ("Paste camera", "paste_camera"),
)  # fmt: skip
CLIP_MENU: tuple[Entry, ...] = (
    ("No clipping", "clip:none"), ("Clipping box", "clip:box"), ("Clipping plane", "clip:plane"), None,
    ("Keep the other side", "clip:flip"), ("Box round everything", "clip:reset"),
)  # fmt: skip
SELECT_MENU: tuple[Entry, ...] = (
    ("By value: a histogram", "select:value"), ("Floaters: faint, huge or alone", "select:floaters"),
    ("What the clipping leaves", "select:clipped"), None,
    ("Invert\tI", "select:invert"), ("Clear\tEsc", "select:clear"), None,
    ("Hide\tH", "select:hide"), ("Show all\tShift+H", "select:show"), ("Delete\tDel", "select:delete"), None,
    ("Only what is in front", "front"), None,
    ("Export selection…", "select:export"),
)  # fmt: skip
NARROW, NARROWEST = 540, 370
"""A narrower bar leaves the colour to the panel of looks; a very narrow one also the less common tools."""
BACKGROUNDS = {"Theme": "gradient", "Black": "#000000", "Dark": "#15171c", "Grey": "#808080", "White": "#ffffff"}


class Popup(QFrame):
    """A small panel below a button; a click elsewhere or Esc closes it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(12, 12, 12, 12)
        self.column.setSpacing(8)

    def open_below(self, button: QWidget) -> None:
        """Opens where it fits on the screen, below the button."""
        c = theme.colours
        self.setStyleSheet(f"Popup {{ background: {c.raised}; border: 1px solid {c.line}; }}")
        self.adjustSize()
        at = button.mapToGlobal(QPoint(0, button.height() + 2))
        screen = button.screen().availableGeometry()
        x = max(screen.left(), min(at.x(), screen.right() - self.width()))
        y = at.y() if at.y() + self.height() <= screen.bottom() else max(screen.top(), screen.bottom() - self.height())
        self.move(x, y)
        self.show()
        self.setFocus()


class LooksPanel(Popup):
    """Everything about how things are drawn."""

    changed = Signal(object)
    coloured = Signal(str)
    fov_changed = Signal(float)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.style_now = Style()
        self._quiet = False
        form = QFormLayout()
        form.setSpacing(6)
        self.column.addLayout(form)
        self.colours = CalmComboBox()
        self.colours.setMinimumWidth(150)
        self.colours.activated.connect(lambda i: self.coloured.emit(self.colours.itemData(i)))
        form.addRow("Colour by", self.colours)
        self.boxes: dict[str, CalmComboBox] = {}
        for name, label, options in (
            ("mode", "Picture", {"Shaded": "shaded", "Depth": "depth", "Normals": "normal"}),
            ("light", "Light", {"Headlight": "head", "Two lights": "two", "None": "none"}),
            ("background", "Background", BACKGROUNDS),
            ("backface", "Back faces", {"Shown": "show", "Left out": "cull", "Tinted": "tint"}),
        ):
            box = CalmComboBox()
            for text, value in options.items():
                box.addItem(text, value)
            box.setAccessibleName(label)
            box.activated.connect(lambda i, n=name, b=box: self._set(n, b.itemData(i)))
            self.boxes[name] = box
            form.addRow(label, box)
        self.point_scale = self._slider("Point size", 2, 60, lambda v: self._set("point_scale", v / 10))
        form.addRow("Point size", self.point_scale)
        self.fov = self._slider(
            "Angle of view from bottom to top, degrees", 5, 120, lambda v: self.fov_changed.emit(float(v))
        )
        form.addRow("Field of view", self.fov)
        self.edl_strength = self._slider(
            "Strength of eye-dome lighting", 1, 40, lambda v: self._set("edl_strength", v / 10)
        )
        form.addRow("EDL strength", self.edl_strength)
        self.checks: dict[str, QCheckBox] = {}
        row: QHBoxLayout | None = None
        for k, (name, label, tip) in enumerate((
            ("edl", "Eye-dome lighting", "Darkens edges by depth alone, so that clouds without normals can be read"),
            ("grid", "Grid", "A grid on the ground"),
            ("wireframe", "Wireframe", "The edges of all triangles"),
            ("axes", "Axes", "x red, y green, z blue"),
            ("flat", "Flat", "One shade per face instead of smooth"),
            ("round_points", "Round points", "Discs instead of squares"),
        )):  # fmt: skip
            check = QCheckBox(label)
            check.setToolTip(tip)
            check.toggled.connect(lambda on, n=name: self._set(n, on if n not in ("flat", "wireframe") else on or None))
            self.checks[name] = check
            if k % 2 == 0:
                row = QHBoxLayout()
                self.column.addLayout(row)
            assert row is not None
            row.addWidget(check, 1)
        self.show_style(self.style_now)

    def _slider(self, name: str, lo: int, hi: int, act: Callable[[int], Any]) -> QSlider:
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setRange(lo, hi)
        slider.setAccessibleName(name)
        slider.setToolTip(name)
        slider.valueChanged.connect(lambda v: None if self._quiet else act(v))
        return slider

    def show_style(self, style: Style) -> None:
        """Sets all fields without saying so."""
        self._quiet = True
        self.style_now = style
        for name, box in self.boxes.items():
            box.setCurrentIndex(max(0, box.findData(getattr(style, name))))
        for name, check in self.checks.items():
            check.setChecked(bool(getattr(style, name)))
        self.point_scale.setValue(round(style.point_scale * 10))
        self.edl_strength.setValue(round(style.edl_strength * 10))
        self._quiet = False

    def show_fov(self, degrees: float) -> None:
        self._quiet = True
        self.fov.setValue(round(degrees))
        self._quiet = False

    def _set(self, name: str, value: Any) -> None:
        if not self._quiet:
            self.style_now = replace(self.style_now, **{name: value})
            self.changed.emit(self.style_now)


class ShotPanel(Popup):
    """A picture of any size, with or without its ground."""

    asked = Signal(int, int, bool, str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.wide, self.tall = QSpinBox(), QSpinBox()
        form = QFormLayout()
        for field, name, value in ((self.wide, "Width", 1920), (self.tall, "Height", 1080)):
            field.setRange(16, 8192)
            field.setValue(value)
            field.setSuffix(" px")
            plain_field(field)
            field.setAccessibleName(name)
            form.addRow(name, field)
        self.column.addLayout(form)
        self.clear = QCheckBox("Transparent ground")
        self.clear.setToolTip("The picture has an alpha channel, 0 where nothing stands")
        self.column.addWidget(self.clear)
        row = QHBoxLayout()
        for text, what in (("Copy", "copy"), ("Save…", "save")):
            button = QPushButton(text)
            button.clicked.connect(lambda _=False, w=what: self._ask(w))
            row.addWidget(button)
        self.column.addLayout(row)

    def _ask(self, what: str) -> None:
        self.close()
        self.asked.emit(self.wide.value(), self.tall.value(), self.clear.isChecked(), what)


class ToolBar(QWidget):
    """One line of icons; ``command`` carries what was asked for, ``tool_chosen`` the hand's tool."""

    tool_chosen = Signal(str)
    command = Signal(str)
    coloured = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tool = "turn"
        self.looks = LooksPanel(self)
        self.shot = ShotPanel(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 2, 6, 2)
        row.setSpacing(1)
        self.tools: dict[str, IconButton] = {}
        for name, (sign, tip) in TOOLS.items():
            button = IconButton(sign, tip)
            button.setCheckable(True)
            button.setChecked(name == self.tool)
            button.clicked.connect(lambda _=False, n=name: self.choose(n))
            self.tools[name] = button
            row.addWidget(button)
        row.addSpacing(6)
        self.frame_button = self._button(row, "corners-out", "Frame the selection, or everything (F)", "frame")
        self.menus: dict[str, QMenu] = {}
        self._menu_button(row, "video-camera", "Camera", CAMERA_MENU)
        self._menu_button(row, "scissors", "Clipping", CLIP_MENU)
        self._menu_button(row, "selection-inverse", "Selection", SELECT_MENU)
        self.looks_button = IconButton("faders", "How things are drawn: light, size, ground, depth …")
        self.looks_button.clicked.connect(lambda: self.looks.open_below(self.looks_button))
        row.addWidget(self.looks_button)
        row.addSpacing(6)
        self.colours = CalmComboBox()
        self.colours.setToolTip("What the chosen thing, or everything, is coloured by")
        self.colours.setAccessibleName("Colour by")
        self.colours.setFixedHeight(24)
        self.colours.setMaximumWidth(150)
        self.colours.setMinimumWidth(70)
        self.colours.setMinimumContentsLength(0)
        self.colours.activated.connect(lambda i: self.coloured.emit(self.colours.itemData(i)))
        self.looks.coloured.connect(self.coloured)
        row.addWidget(self.colours, 1)
        row.addStretch(1)
        self.path_button = self._button(row, "film-strip", "Camera path: turntable or keys, to a film", "path", True)
        self.shot_button = IconButton("camera", "A picture of any size")
        self.shot_button.clicked.connect(lambda: self.shot.open_below(self.shot_button))
        row.addWidget(self.shot_button)
        self.outline_button = self._button(row, "list", "Outline: the things in the scene", "outline", True)
        self.check("mode:orbit", True)
        self.check("clip:none", True)

    def _button(self, row: QHBoxLayout, sign: str, tip: str, command: str, checkable: bool = False) -> IconButton:
        button = IconButton(sign, tip)
        button.setCheckable(checkable)
        button.clicked.connect(lambda: self.command.emit(command))
        row.addWidget(button)
        return button

    def _menu_button(self, row: QHBoxLayout, sign: str, name: str, entries: tuple[Entry, ...]) -> None:
        button = IconButton(sign, name)
        menu = QMenu(button)
        groups: dict[str, QActionGroup] = {}
        for entry in entries:
            if entry is None:
                menu.addSeparator()
                continue
            text, command = entry
            action = menu.addAction(text)
            action.setObjectName(command)
            kind = command.partition(":")[0]
            action.setCheckable(
                kind in ("mode", "ortho", "link", "front") or command in ("clip:none", "clip:box", "clip:plane")
            )
            if action.isCheckable() and kind in ("mode", "clip"):
                groups.setdefault(kind, QActionGroup(menu)).addAction(action)
            action.triggered.connect(lambda _=False, c=command: self.command.emit(c))
        menu.setAccessibleName(name)
        button.clicked.connect(lambda: menu.popup(button.mapToGlobal(QPoint(0, button.height() + 2))))
        self.menus[name] = menu
        row.addWidget(button)

    def choose(self, tool: str) -> None:
        """Takes another tool."""
        self.tool = tool
        for name, button in self.tools.items():
            button.setChecked(name == tool)
        self.tool_chosen.emit(tool)

    def check(self, command: str, on: bool) -> None:
        """Marks a line of a menu."""
        for menu in self.menus.values():
            for action in menu.actions():
                if action.objectName() == command and action.isCheckable():
                    action.setChecked(on)

    def enable(self, command: str, why_not: str) -> None:
        """A line of a menu can act, or says in its tool tip why not."""
        for menu in self.menus.values():
            menu.setToolTipsVisible(True)
            for action in menu.actions():
                if action.objectName() == command:
                    action.setEnabled(not why_not)
                    action.setToolTip(why_not or action.text().partition("\t")[0])

    def show_colours(self, offers: list[tuple[str, str]], now: str) -> None:
        """What can be chosen to colour by: pairs of text and value."""
        for box in (self.colours, self.looks.colours):
            if [(box.itemText(i), box.itemData(i)) for i in range(box.count())] != offers:
                box.clear()
                for text, value in offers:
                    box.addItem(text, value)
            box.setCurrentIndex(max(0, box.findData(now)))
            box.setEnabled(len(offers) > 1)
        self._fit_colours()

    def _fit_colours(self) -> None:
        """The box stands in the row where there is room for it and anything to choose."""
        self.colours.setVisible(self.width() >= NARROW and self.colours.isEnabled())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_colours()
        for button in (self.tools["lasso"], self.tools["angle"], self.path_button):
            button.setVisible(self.width() >= NARROWEST)
