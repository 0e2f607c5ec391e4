"""Picks one image: from thumbnails, one after the other, at random, or a file that is dropped in; where codes are what
is picked, a seed as well.

Knows the first items of the data as uint8 arrays. Reads no file: the engine does, and may send a thumbnail later.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QMimeData, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QFontMetrics, QIcon, QPixmap, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFileDialog, QGridLayout, QHBoxLayout, QLabel, QMenu, QSizePolicy, QToolButton, QWidget

from engine.probes import Item, Knobs, Seed
from engine.steering import LAST_SEED
from widgets.controls.fields import IconButton, enabled_because
from widgets.controls.picking.item_popup import PARTS, THUMB, ThumbPopup, thumb_pixmap
from widgets.controls.settle import Settle
from widgets.controls.simple import SeedBox
from widgets.theme import UNIT, icon, theme

if TYPE_CHECKING:
    from engine.messages import DataPreview

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
"""Endings of the image files that may be dropped in."""


def image_path(mime: QMimeData) -> str:
    """The first local image file among dropped things, by its name's ending; '' where there is none."""
    for url in mime.urls():
        path = url.toLocalFile()
        if path.lower().endswith(SUFFIXES):
            return path
    return ""


def item_thumbnail(value: str, preview: DataPreview | None, files: Mapping[str, Any]) -> Any:
    """What the item ``value`` looks like, uint8 (h, w, C), from the data's first items and ``files`` by their paths;
    None where that is not known."""
    part, _, rest = value.partition(":")
    if part == "file":
        return files.get(rest)
    if preview is None or part not in PARTS or not rest.isdecimal():
        return None
    arrays = preview.held_out if part == "held_out" else preview.train
    return arrays[int(rest)] if arrays is not None and int(rest) < len(arrays) else None


class ItemPicker(QWidget):
    """One image of the data or of the person's. Value: ``held_out:12``, ``train:3`` or ``file:PATH``; where the control
    says ``codes`` also ``seed:5``, the code that the model draws with that seed."""

    moved = Signal(object)
    settled = Signal(object)
    wide = True

    def __init__(self, name: str, control: Item, knobs: Knobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._default = self._value = control.default
        self._name = control.label or name
        self.seed_box = self._make_seed_box() if control.codes else None
        self._parts: dict[str, tuple[Any, tuple[str, ...]]] = {}
        self._files: dict[str, Any] = {}
        self._popup: ThumbPopup | None = None
        self._popup_stale = True
        self._random = random.Random()
        self._settle = Settle(self)
        self._settle.settled.connect(self.settled)
        self.setAcceptDrops(True)
        self.setAccessibleName(self._name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._make_row()
        theme.changed.connect(self._show)
        self._show()

    def _make_row(self) -> None:
        self.thumb = QToolButton()
        self.thumb.setFixedSize(THUMB + 8, THUMB + 8)
        self.thumb.setIconSize(QSize(THUMB, THUMB))
        self.thumb.setStyleSheet("QToolButton { padding: 0; }")
        self.thumb.setAccessibleName(f"{self._name}: choose from thumbnails")
        self.thumb.clicked.connect(self.open_popup)
        self._caption, self._where = QLabel(), QLabel()
        for label in (self._caption, self._where):  # long names are shortened to the width, never widen the column
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._where.setProperty("role", "caption")
        self.previous_button = IconButton("caret-left", "The item before.")
        self.next_button = IconButton("caret-right", "The next item.")
        self.random_button = IconButton("shuffle", "An item at random.")
        self.menu_button = IconButton("dots-three", "More ways to choose.")
        self.previous_button.clicked.connect(lambda: self._step(-1))
        self.next_button.clicked.connect(lambda: self._step(1))
        for button in (self.previous_button, self.next_button):
            button.setAutoRepeat(True)
        self.random_button.clicked.connect(self.pick_random)
        self.menu_button.clicked.connect(self._open_menu)
        buttons = QHBoxLayout()
        buttons.setSpacing(0)
        for button in (self.previous_button, self.next_button, self.random_button, self.menu_button):
            buttons.addWidget(button)
        buttons.addStretch(1)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(2 * UNIT)
        grid.setVerticalSpacing(0)
        grid.addWidget(self.thumb, 0, 0, 3, 1)
        grid.addWidget(self._caption, 0, 1)
        grid.addWidget(self._where, 1, 1)
        grid.addLayout(buttons, 2, 1)
        grid.setColumnStretch(1, 1)
        if self.seed_box is not None:
            label = QLabel("or seed")
            label.setProperty("role", "quiet")
            label.setToolTip(self.seed_box.toolTip())
            label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            grid.addWidget(label, 3, 0)
            grid.addWidget(self.seed_box, 3, 1)
        self.setFocusProxy(self.thumb)

    def _make_seed_box(self) -> SeedBox:
        box = SeedBox(f"{self._name}: seed", Seed(int(self._seed_of(self._default) or 1)), {})
        box.setToolTip("A code of the model's own: the one that it draws with this seed.")
        box.moved.connect(lambda seed: self._move(f"seed:{seed}"))
        box.settled.connect(lambda seed: self._choose(f"seed:{seed}"))
        return box

    @staticmethod
    def _seed_of(value: str) -> str:
        """The seed that ``value`` names; '' where it names an image."""
        kind, _, rest = value.partition(":")
        return rest if kind == "seed" else ""

    # ---- values -------------------------------------------------------------------------------------------------

    def value(self) -> str:
        return self._value

    def set_value(self, value: Any, quiet: bool = True) -> None:
        if value == self._value:
            return
        self._settle.cancel()
        self._value = str(value)
        self._show()
        if not quiet:
            self.settled.emit(self._value)

    def reset(self) -> None:
        self.set_value(self._default, quiet=False)

    def flush(self) -> None:
        """Settles now what still waits."""
        self._settle.flush()

    def set_thumbnails(self, preview: DataPreview | None) -> None:
        """The first items of the data; None where there is none."""
        self._parts = {}
        if preview is not None:
            parts = {
                "held_out": (preview.held_out, preview.held_out_captions),
                "train": (preview.train, preview.train_captions),
            }
            self._parts = {k: v for k, v in parts.items() if v[0] is not None and len(v[0])}
        self._popup_stale = True
        self._show()

    def set_file_thumbnail(self, path: str, array: Any) -> None:
        """What the file at ``path`` looks like: uint8 (h, w, C)."""
        self._files[path] = array
        self._show()

    def _place(self) -> tuple[str, int]:
        """The part and index of the value; a file counts as being before the first held-out item."""
        part, _, rest = self._value.partition(":")
        return (part, int(rest)) if part in PARTS and rest.isdecimal() else ("held_out", -1)

    def _count(self, part: str) -> int:
        return len(self._parts[part][0]) if part in self._parts else 0

    def _step(self, by: int) -> None:
        seed = self._seed_of(self._value)
        if seed:
            self._move(f"seed:{min(max(int(seed) + by, 0), LAST_SEED)}")
            return
        part, index = self._place()
        if self._count(part):
            self._move(f"{part}:{min(max(index + by, 0), self._count(part) - 1)}")

    def pick_random(self) -> None:
        """Another item of the same part, among those that have a thumbnail; of a seed another seed."""
        if self.seed_box is not None and self._seed_of(self._value):
            self.seed_box.shuffle()
            return
        part, index = self._place()
        others = [i for i in range(self._count(part)) if i != index]
        if others:
            self._move(f"{part}:{self._random.choice(others)}")
            self._settle.flush()

    def _move(self, value: str) -> None:
        if value != self._value:
            self._value = value
            self._show()
            self.moved.emit(value)
            self._settle.touch(value)

    def _choose(self, value: str) -> None:
        self._move(value)
        self._settle.flush()

    # ---- what is shown ------------------------------------------------------------------------------------------

    def _show(self) -> None:
        part, _, rest = self._value.partition(":")
        if part == "file":
            self._texts = (PurePath(rest).name, "your file")
            array = self._files.get(rest)
            tip = rest
        elif part == "seed":
            self._texts = (f"seed {rest}", "a drawn code")
            array, tip = None, f"Seed {rest}, a code that the model draws"
            if self.seed_box is not None:
                self.seed_box.set_value(int(rest))
        else:
            arrays, captions = self._parts.get(part, ((), ()))
            index = int(rest)
            caption = captions[index] if index < len(captions) else ""
            where = f"{PARTS[part]} {index}"
            self._texts = (caption, where) if caption else (where, "")
            array = arrays[index] if index < len(arrays) else None
            tip = " ".join(t for t in self._texts if t)
        self.thumb.setToolTip(f"{tip}. Click to choose another, or drop an image file here.")
        if array is not None:
            self._set_picture(thumb_pixmap(array, THUMB, self.devicePixelRatioF()))
        elif self.isVisible():  # not before: the icon font loads once the window stands
            self.thumb.setIcon(icon({"file": "file", "seed": "dice-five"}.get(part, "image")))
        self._elide()
        self._enable_buttons()

    def _set_picture(self, pixmap: QPixmap) -> None:
        picture = QIcon()
        for mode in (QIcon.Mode.Normal, QIcon.Mode.Disabled):
            picture.addPixmap(pixmap, mode)
        self.thumb.setIcon(picture)

    def _elide(self) -> None:
        for label, text in zip((self._caption, self._where), self._texts, strict=True):
            metrics = QFontMetrics(label.font())
            label.setText(metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, max(label.width(), 40)))

    def _enable_buttons(self) -> None:
        seed = self._seed_of(self._value)
        if seed:
            enabled_because(self.previous_button, "This is the first seed." if int(seed) == 0 else None)
            enabled_because(self.next_button, "This is the last seed." if int(seed) == LAST_SEED else None)
            enabled_because(self.random_button, None)
            return
        part, index = self._place()
        last = self._count(part) - 1
        nothing = None if last >= 0 else "There are no thumbnails of the data yet."
        first = "This is the first item." if index <= 0 else None
        end = "This is the last item that has a thumbnail." if index >= last else None
        enabled_because(self.previous_button, nothing or first)
        enabled_because(self.next_button, nothing or end)
        enabled_because(self.random_button, nothing)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._show()

    # ---- other ways to choose -----------------------------------------------------------------------------------

    def open_popup(self) -> None:
        """Opens the grid below the thumbnail; without thumbnails, the choice of a file."""
        if not self._parts:
            self.choose_file()
            return
        if self._popup is None:
            self._popup = ThumbPopup(self)
            self._popup.chosen.connect(self._choose)
        if self._popup_stale:
            self._popup.show_parts(self._parts)
            self._popup_stale = False
        part, index = self._place()
        below = self.thumb.mapToGlobal(QPoint(0, self.thumb.height() + 2))
        self._popup.open_at(part, max(index, 0), below)

    def _open_menu(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Choose from thumbnails…", self.open_popup).setEnabled(bool(self._parts))
        menu.addAction("Choose file…", self.choose_file)
        if self.seed_box is not None:
            seed = self.seed_box.value()
            menu.addAction(f"Code of seed {seed}", lambda: self._choose(f"seed:{seed}"))
        menu.addSeparator()
        menu.addAction("Back to the first choice", self.reset).setEnabled(self._value != self._default)
        menu.popup(self.menu_button.mapToGlobal(QPoint(0, self.menu_button.height())))

    def choose_file(self) -> None:
        """Asks for an image file; returns at once."""
        dialog = QFileDialog(self, "Choose an image")
        dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilter(f"Images ({' '.join('*' + s for s in SUFFIXES)})")
        dialog.fileSelected.connect(lambda path: self._choose(f"file:{path}"))
        dialog.open()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if image_path(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = image_path(event.mimeData())
        if path:
            event.acceptProposedAction()
            self._choose(f"file:{path}")
