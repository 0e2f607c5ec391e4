"""The pop-up grid of thumbnails, and how one becomes a picture. Knows uint8 arrays, not where they are from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QImage, QKeyEvent, QPixmap
from PySide6.QtWidgets import QFrame, QLabel, QListView, QTabBar, QVBoxLayout, QWidget

from widgets.theme import RADIUS, UNIT, theme

PARTS = {"held_out": "held out", "train": "train"}
"""The parts of a data set as values name them, and as people do."""
THUMB = 56
_KEPT = 512
_Index = QModelIndex | QPersistentModelIndex


def thumb_pixmap(array: Any, side: int, ratio: float = 1.0) -> QPixmap:
    """``array`` uint8 (h, w, C), C 1 or 3, as a picture of at most ``side`` logical pixels.

    Small pictures are enlarged by whole factors with hard pixel edges; large ones are scaled down smoothly.
    """
    height, width, channels = array.shape
    form = QImage.Format.Format_Grayscale8 if channels == 1 else QImage.Format.Format_RGB888
    image = QImage(array.tobytes(), width, height, width * channels, form)
    room = round(side * ratio)
    factor = room // max(height, width)
    if factor >= 1:
        size, mode = QSize(width * factor, height * factor), Qt.TransformationMode.FastTransformation
    else:
        size = QSize(width, height).scaled(room, room, Qt.AspectRatioMode.KeepAspectRatio)
        mode = Qt.TransformationMode.SmoothTransformation
    pixmap = QPixmap.fromImage(image.scaled(size, Qt.AspectRatioMode.IgnoreAspectRatio, mode))
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


class ThumbModel(QAbstractListModel):
    """The items of one part. Pictures are made when the view asks for them, that is when they are in sight."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._parent = parent
        self._arrays: Any = ()
        self._captions: Sequence[str] = ()
        self._made: OrderedDict[int, QPixmap] = OrderedDict()

    @property
    def made(self) -> int:
        """How many pictures are held now."""
        return len(self._made)

    def show_items(self, arrays: Any, captions: Sequence[str]) -> None:
        """``arrays`` uint8 (N, h, w, C)."""
        self.beginResetModel()
        self._arrays, self._captions = arrays, captions
        self._made.clear()
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self._arrays)

    def caption(self, row: int) -> str:
        return self._captions[row] if row < len(self._captions) else ""

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = index.row()
        if role == Qt.ItemDataRole.DecorationRole:
            if row not in self._made:
                self._made[row] = thumb_pixmap(self._arrays[row], THUMB, self._parent.devicePixelRatioF())
                if len(self._made) > _KEPT:
                    self._made.popitem(last=False)
            return self._made[row]
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return f"{row}: {self.caption(row)}" if self.caption(row) else str(row)
        if role == Qt.ItemDataRole.SizeHintRole:
            return QSize(THUMB + 8, THUMB + 8)
        return None


class ThumbPopup(QFrame):
    """A grid to pick an item from: arrow keys and Enter, or a click; Tab goes to the parts, Esc closes."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setObjectName("thumbPopup")
        self.setAccessibleName("thumbnails")
        self._parts: dict[str, tuple[Any, Sequence[str]]] = {}
        self.tabs = QTabBar()
        self.tabs.setAccessibleName("part of the data")
        self.tabs.setDrawBase(False)
        self.tabs.currentChanged.connect(self._show_part)
        self.model = ThumbModel(self)
        self.list = QListView()
        self.list.setAccessibleName("items")
        self.list.setViewMode(QListView.ViewMode.IconMode)
        self.list.setMovement(QListView.Movement.Static)
        self.list.setResizeMode(QListView.ResizeMode.Adjust)
        self.list.setUniformItemSizes(True)
        self.list.setIconSize(QSize(THUMB, THUMB))
        self.list.setGridSize(QSize(THUMB + 8, THUMB + 8))
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setModel(self.model)
        self.list.selectionModel().currentChanged.connect(self._show_caption)
        self.list.clicked.connect(self._choose)
        self._caption = QLabel()
        self._caption.setProperty("role", "caption")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * UNIT, UNIT, 2 * UNIT, UNIT)
        layout.setSpacing(UNIT)
        layout.addWidget(self.tabs)
        layout.addWidget(self.list, 1)
        layout.addWidget(self._caption)
        self.resize(4 * (THUMB + 8) + 4 * UNIT + 16, 340)

    def show_parts(self, parts: Mapping[str, tuple[Any, Sequence[str]]]) -> None:
        """``parts``: uint8 arrays (N, h, w, C) and captions by the part's name."""
        self._parts = dict(parts)
        self.tabs.blockSignals(True)
        while self.tabs.count():
            self.tabs.removeTab(0)
        for name in parts:
            self.tabs.addTab(PARTS.get(name, name))
        self.tabs.blockSignals(False)
        self._show_part(0)

    def open_at(self, part: str, row: int, place: QPoint) -> None:
        """Shows itself with the top left corner at ``place`` (global), kept on the screen, with an item current."""
        c = theme.colours
        self.setStyleSheet(
            f"#thumbPopup {{ background: {c.raised}; border: 1px solid {c.line}; border-radius: {RADIUS}px; }}"
        )
        if part in self._parts:
            self.tabs.setCurrentIndex(list(self._parts).index(part))
        screen = self.screen().availableGeometry()
        x = min(max(place.x(), screen.left()), screen.right() - self.width())
        y = min(max(place.y(), screen.top()), screen.bottom() - self.height())
        self.move(x, y)
        self.show()
        self.list.setFocus()
        self.list.setCurrentIndex(self.model.index(min(row, self.model.rowCount() - 1), 0))

    def _part(self) -> str:
        return list(self._parts)[self.tabs.currentIndex()] if self._parts else ""

    def _show_part(self, _index: int) -> None:
        self.model.show_items(*self._parts.get(self._part(), ((), ())))
        self.list.setCurrentIndex(self.model.index(0, 0))

    def _show_caption(self, index: QModelIndex, _before: QModelIndex) -> None:
        self._caption.setText(str(index.data(Qt.ItemDataRole.ToolTipRole) or "") if index.isValid() else "")

    def _choose(self, index: QModelIndex) -> None:
        if index.isValid():
            self.hide()
            self.chosen.emit(f"{self._part()}:{index.row()}")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._choose(self.list.currentIndex())
        elif event.key() == Qt.Key.Key_Escape:
            self.hide()
        else:
            super().keyPressEvent(event)
