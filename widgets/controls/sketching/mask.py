"""Paints by hand where a picture is to be made anew. Knows cells and a picture's pixels, not where they are from."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QWheelEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QSizePolicy, QVBoxLayout, QWidget

from engine.probes import MASK_SIDE, MASK_WORDS, Knobs, Mask, mask_cells
from widgets.controls.fields import IconButton, wheel_notches
from widgets.controls.picking.item_popup import thumb_pixmap
from widgets.controls.settle import Settle
from widgets.controls.slider import ValueSlider
from widgets.theme import UNIT, theme

PAD = 176
"""Most logical pixels that a side of the picture takes."""
BRUSHES = 12
"""Widest brush, in cells."""
TINT = 150
"""How opaque the accent colour lies on a masked cell, of 255."""
Cells = NDArray[np.bool_]
_MOVES = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}
_ERASERS = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)


def cells_of(value: str) -> Cells:
    """A mask's value as bool (MASK_SIDE, MASK_SIDE), row 0 at the top."""
    return np.array(mask_cells(value), bool)


def value_of(cells: Cells) -> str:
    """The value that means ``cells``: a word where one does, else hexadecimal digits."""
    digits = np.packbits(cells).tobytes().hex()
    return _WORDS.get(digits, digits)


_WORDS = {np.packbits(cells_of(word)).tobytes().hex(): word for word in MASK_WORDS}


class MaskPad(QWidget):
    """The picture with its masked cells tinted, under the brush. ``painted`` at each change, ``released`` after."""

    painted = Signal()
    released = Signal()
    brush_turned = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.cells = cells_of("none")
        self.brush = 5
        self._array: Any = None
        self._pixmap: QPixmap | None = None
        self._cursor: tuple[int, int] = (MASK_SIDE // 2, MASK_SIDE // 2)
        self._mouse: QPointF | None = None
        self._paints: bool | None = None  # what the dragging hand does: True paints, False erases
        self._last: QPointF | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)  # the right button erases
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(PAD + 4)

    def set_picture(self, array: Any) -> None:
        """The picture below, uint8 (h, w, C); None where it is not known."""
        self._array, self._pixmap = array, None
        self.update()

    @property
    def painting(self) -> bool:
        """Whether a hand paints or erases."""
        return self._paints is not None

    def picture_rect(self) -> QRect:
        """Where the picture is, in logical pixels."""
        pixmap, side = self._picture(), min(PAD, self.width() - 4)
        size = QSize(side, side) if pixmap is None else pixmap.deviceIndependentSize().toSize()
        return QRect(QPoint((self.width() - size.width()) // 2, (self.height() - size.height()) // 2), size)

    def cell_at(self, at: QPointF) -> tuple[float, float]:
        """Row and column under a point, with fractions; outside of the picture they lie outside of the grid."""
        box = self.picture_rect()
        row = (at.y() - box.top()) / max(box.height(), 1) * MASK_SIDE
        column = (at.x() - box.left()) / max(box.width(), 1) * MASK_SIDE
        return row, column

    def stamp(self, row: float, column: float, on: bool) -> bool:
        """Sets the cells whose centres lie under a round brush centred at (row, column); whether any changed."""
        places = np.arange(MASK_SIDE) + 0.5
        near = (places[:, None] - row) ** 2 + (places[None, :] - column) ** 2 <= (self.brush / 2) ** 2
        if self.brush == 1:
            near = (np.floor(row) == places[:, None] - 0.5) & (np.floor(column) == places[None, :] - 0.5)
        if (self.cells[near] == on).all():
            return False
        self.cells = np.where(near, on, self.cells)
        return True

    def _picture(self) -> QPixmap | None:
        if self._array is not None and self._pixmap is None:
            self._pixmap = thumb_pixmap(self._array, min(PAD, max(self.width() - 4, 32)), self.devicePixelRatioF())
        return self._pixmap

    # ---- the mouse ----------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        left, right = (event.button() == b for b in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton))
        if self.painting or not (left or right):
            return
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        self._paints = left and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        self._last = event.position()
        self._stroke(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._mouse = event.position()
        if self.painting:
            self._stroke(event.position())
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self.painting and not event.buttons() & (Qt.MouseButton.LeftButton | Qt.MouseButton.RightButton):
            self._paints = self._last = None
            self.released.emit()

    def _stroke(self, to: QPointF) -> None:
        """From where the hand was to where it is, so that a fast hand leaves no gaps."""
        (row0, column0), (row1, column1) = self.cell_at(self._last or to), self.cell_at(to)
        self._last = to
        steps = int(max(abs(row1 - row0), abs(column1 - column0))) + 1
        changed = [
            self.stamp(row0 + (row1 - row0) * s / steps, column0 + (column1 - column0) * s / steps, bool(self._paints))
            for s in range(1, steps + 1)
        ]
        if any(changed):
            self.update()
            self.painted.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        if not self.hasFocus():
            event.ignore()
            return
        self.brush_turned.emit(min(max(self.brush + round(wheel_notches(event)), 1), BRUSHES))
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:
        self._mouse = None
        self.update()

    # ---- the keyboard -------------------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        """Space paints here, though it trains everywhere else."""
        mine = (*_MOVES, *_ERASERS, Qt.Key.Key_Space)
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and event.key() in mine:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if key in _MOVES:
            by = _MOVES[key]
            row, column = (min(max(c + d, 0), MASK_SIDE - 1) for c, d in zip(self._cursor, by, strict=True))
            self._cursor = (row, column)
            self.update()
        elif key == Qt.Key.Key_Space or key in _ERASERS:
            erases = key in _ERASERS or bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            if self.stamp(self._cursor[0] + 0.5, self._cursor[1] + 0.5, not erases):
                self.update()
                self.painted.emit()
        else:
            super().keyPressEvent(event)

    # ---- drawing ------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        c, box = theme.colours, self.picture_rect()
        painter = QPainter(self)
        pixmap = self._picture()
        if pixmap is None:
            painter.fillRect(box, QColor(c.raised))
            foot = int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom)
            painter.setPen(QColor(c.quiet))
            painter.drawText(box.adjusted(0, 0, 0, -UNIT), foot, "no picture yet")
        else:
            painter.drawPixmap(box.topLeft(), pixmap)
        tint = QColor(c.accent)
        tint.setAlpha(TINT)
        alpha = np.where(self.cells, np.uint32(tint.rgba()), np.uint32(0))
        painter.drawImage(
            box, QImage(alpha.tobytes(), MASK_SIDE, MASK_SIDE, 4 * MASK_SIDE, QImage.Format.Format_ARGB32)
        )
        painter.setPen(QPen(QColor(c.accent if self.hasFocus() else c.line), 1))
        painter.drawRect(box.adjusted(-1, -1, 0, 0))
        where = self._brush_rect(box)
        if where is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setClipRect(box.adjusted(-1, -1, 1, 1))
            for colour, width in ((QColor(0, 0, 0, 160), 3.0), (QColor(255, 255, 255), 1.2)):  # seen on any picture
                painter.setPen(QPen(colour, width))
                painter.drawEllipse(where)

    def _brush_rect(self, box: QRect) -> QRectF | None:
        """The brush under the mouse, else at the keyboard's cell."""
        w, h = box.width() / MASK_SIDE * self.brush, box.height() / MASK_SIDE * self.brush
        if self._mouse is not None:
            at = self._mouse
        elif self.hasFocus():
            row, column = self._cursor
            at = QPointF(box.left() + (column + 0.5) * w / self.brush, box.top() + (row + 0.5) * h / self.brush)
        else:
            return None
        return QRectF(at.x() - w / 2, at.y() - h / 2, w, h)

    def resizeEvent(self, event: Any) -> None:
        self._pixmap = None


class MaskPainter(QWidget):
    """Where a picture is to be made anew: painted, erased, or one of some shapes. Value: as :class:`Mask` has it."""

    moved = Signal(object)
    settled = Signal(object)
    full_width = True

    def __init__(self, name: str, control: Mask, knobs: Knobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.item = control.item
        """The name of the control that says which picture it is."""
        self._default = control.default
        self._value = control.default
        self._settle = Settle(self)
        self._settle.settled.connect(self.settled)
        self.pad = MaskPad()
        self.pad.setAccessibleName(control.label or name)
        self.pad.setToolTip("Drag to paint, drag with Shift or the right button to erase; arrow keys and Space do too.")
        self.pad.painted.connect(self._painted)
        self.pad.released.connect(self._settle.flush)
        self.pad.brush_turned.connect(self._set_brush)
        self.brush_slider = ValueSlider(1, BRUSHES, self.pad.brush, label="Brush", integer=True, label_width=44)
        self.brush_slider.setToolTip("Width of the brush in cells, of which a side of the picture has 32.")
        self.brush_slider.moved.connect(self._set_brush)
        self.brush_slider.settled.connect(self._set_brush)
        self.shapes_button = IconButton("frame-corners", "Takes a whole shape.", "Shape")
        self.invert_button = IconButton("circle-half", "Swaps what is kept and what is made anew.", "Invert")
        self.clear_button = IconButton("x", "Keeps the whole picture.", "Clear")
        self.shapes_button.clicked.connect(self._open_shapes)
        self.invert_button.clicked.connect(lambda: self._choose(~self.pad.cells))
        self.clear_button.clicked.connect(lambda: self._choose(cells_of("none")))
        self.share = QLabel()
        self.share.setProperty("role", "caption")
        self.share.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        buttons = QHBoxLayout()
        buttons.setSpacing(0)
        buttons.addStretch(1)
        for button in (self.shapes_button, self.invert_button, self.clear_button):
            buttons.addWidget(button)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(UNIT // 2)
        column.addWidget(self.pad)
        column.addWidget(self.share)
        column.addWidget(self.brush_slider)
        column.addLayout(buttons)
        self.setFocusProxy(self.pad)
        theme.changed.connect(self.pad.update)
        self.pad.cells = cells_of(self._value)
        self._tell()

    # ---- what the owner does ------------------------------------------------------------------------------------

    def value(self) -> str:
        return self._value

    def set_value(self, value: Any, quiet: bool = True) -> None:
        """Shows ``value``; unless ``quiet``, ``settled`` says so. Ignored while a hand paints."""
        if value == self._value or self.pad.painting:
            return
        self._settle.cancel()
        self._value = str(value)
        self.pad.cells = cells_of(self._value)
        self._tell()
        if not quiet:
            self.settled.emit(self._value)

    def reset(self) -> None:
        self.set_value(self._default, quiet=False)

    def flush(self) -> None:
        """Settles now what still waits."""
        self._settle.flush()

    def set_picture(self, array: Any) -> None:
        """The picture that is painted on, uint8 (h, w, C); None where it is not known."""
        self.pad.set_picture(array)

    # ---- hands --------------------------------------------------------------------------------------------------

    def _painted(self) -> None:
        value = value_of(self.pad.cells)
        if value != self._value:
            self._value = value
            self._tell()
            self.moved.emit(value)
            self._settle.touch(value)

    def _choose(self, cells: Cells) -> None:
        self.pad.cells = cells
        self._painted()
        self._settle.flush()

    def _set_brush(self, width: int) -> None:
        self.pad.brush = int(width)
        self.brush_slider.set_value(int(width))
        self.pad.update()

    def shapes(self) -> QMenu:
        """The menu of whole shapes."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for word in MASK_WORDS:
            action = menu.addAction("Nothing" if word == "none" else word.capitalize())
            action.triggered.connect(partial(self._choose, cells_of(word)))
            action.setCheckable(True)
            action.setChecked(word == self._value)
        return menu

    def _open_shapes(self) -> None:
        self.shapes().popup(self.shapes_button.mapToGlobal(QPoint(0, self.shapes_button.height())))

    def _tell(self) -> None:
        share = f"{100 * self.pad.cells.mean():.0f} %"
        nothing = not self.pad.cells.any()
        self.share.setText("nothing is made anew: paint on the picture" if nothing else f"{share} is made anew")
        self.pad.setAccessibleDescription(self.share.text())
        self.pad.update()
