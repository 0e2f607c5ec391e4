"""The legend: chips that name curves, read out their values and switch them on and off. Knows no plot and no data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QMenu, QSizePolicy, QWidget

from widgets.theme import CAPTION, RADIUS, tabular, theme

_HEIGHT, _GAP, _PAD, _SWATCH, _LABEL_MAX = 22, 2, 6, 8, 150


@dataclass(frozen=True)
class Entry:
    """One chip. ``values`` are (colour, text): one without a colour for a metric, one per curve for a run.

    ``quiet`` entries go to the menu first when room is short; ``crowd`` ones always, while they are off.
    """

    key: tuple[str, str]
    label: str
    colour: str
    on: bool
    values: tuple[tuple[str, str], ...] = ()
    tip: str = ""
    faint: bool = False
    quiet: bool = False
    crowd: bool = False


class Chip(QAbstractButton):
    """A toggle with a swatch, a name and values in figures of one width; grows with a value, never shrinks."""

    def __init__(self, entry: Entry, parent: QWidget) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        # Of its own: the application's style sheet has a say in font() once the chip is on screen.
        self._font = tabular(QFont(self.font()))
        self._font.setPixelSize(CAPTION)
        self._width = 0
        self.entry = entry
        self.set_entry(entry)

    def set_entry(self, entry: Entry) -> bool:
        """Shows ``entry``; True if the chip needs another width."""
        was, self.entry = self.entry, entry
        self.setChecked(entry.on)
        if entry == was and self._width:
            return False
        readings = " ".join(text for _, text in entry.values)
        self.setAccessibleName(f"{entry.label}: {readings}" if readings else entry.label)
        self.setToolTip(entry.tip)
        self.update()
        if entry.on != was.on or entry.label != was.label or len(entry.values) != len(was.values):
            self._width = 0
        need = self._needed()
        if need <= self._width:
            return False
        self._width = need
        return True

    def sizeHint(self) -> QSize:
        return QSize(self._width, _HEIGHT)

    def _needed(self) -> int:
        m = QFontMetrics(self._font)
        label = min(_LABEL_MAX, m.horizontalAdvance(self.entry.label))
        room = m.horizontalAdvance("−000.0")
        values = sum((14 if colour else 6) + max(room, m.horizontalAdvance(text)) for colour, text in self.entry.values)
        return 2 * _PAD + _SWATCH + 6 + label + values

    def paintEvent(self, event: QPaintEvent) -> None:
        c, e, m = theme.colours, self.entry, QFontMetrics(self._font)
        p = QPainter(self)
        p.setFont(self._font)
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.underMouse() or self.hasFocus():
            p.setPen(QPen(QColor(c.accent)) if self.hasFocus() else Qt.PenStyle.NoPen)
            p.setBrush(QColor(c.hover))
            p.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
        middle = self.height() / 2
        swatch = QRectF(_PAD, middle - _SWATCH / 2, _SWATCH, _SWATCH)
        if e.faint:
            swatch = QRectF(_PAD, middle - 1, _SWATCH, 2)
        p.setPen(Qt.PenStyle.NoPen if e.on else QPen(QColor(e.colour), 1.2))
        p.setBrush(QColor(e.colour) if e.on else Qt.BrushStyle.NoBrush)
        p.drawRoundedRect(swatch, 2, 2)
        left = _PAD + _SWATCH + 6
        width = min(_LABEL_MAX, m.horizontalAdvance(e.label))
        p.setPen(QColor(c.text if e.on else c.quiet))
        flags = Qt.AlignmentFlag.AlignVCenter
        shown = m.elidedText(e.label, Qt.TextElideMode.ElideMiddle, width + 1)
        p.drawText(QRectF(left, 0, width + 2, self.height()), flags | Qt.AlignmentFlag.AlignLeft, shown)
        left += width
        if not e.values:
            return
        # What the chip is wider than it needs is shared among the values, so that all stay right-aligned in place.
        each = (self.width() - _PAD - left) / len(e.values)
        for i, (colour, text) in enumerate(e.values):
            right = left + each * (i + 1)
            p.setPen(QColor(c.text))
            p.drawText(QRectF(left, 0, right - left, self.height()), flags | Qt.AlignmentFlag.AlignRight, text)
            if colour:
                p.setPen(Qt.PenStyle.NoPen)
                p.setBrush(QColor(colour))
                p.drawEllipse(QPointF(right - m.horizontalAdvance(text) - 5, middle), 2, 2)


class Legend(QWidget):
    """Chips in at most ``max_rows`` rows; those that do not fit are in the menu of a last one.

    ``toggled(kind, name, on)`` and ``alone(kind, name)`` (Ctrl+click) tell what was clicked.
    """

    toggled = Signal(str, str, bool)
    alone = Signal(str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT)
        self._chips: dict[tuple[str, str], Chip] = {}
        self._stowed: list[Entry] = []
        self.max_rows = 2
        self._more = Chip(Entry(("more", ""), "", theme.colours.quiet, False), self)
        self._more.setCheckable(False)
        self._more.clicked.connect(self._open_more)
        self._more.hide()

    def set_entries(self, entries: Sequence[Entry]) -> None:
        """Shows these chips in this order."""
        wanted = {e.key: e for e in entries}
        moved = list(wanted) != list(self._chips)
        for key in [k for k in self._chips if k not in wanted]:
            self._chips.pop(key).deleteLater()
        ordered: dict[tuple[str, str], Chip] = {}
        for key, entry in wanted.items():
            chip = self._chips.get(key)
            if chip is None:
                chip = Chip(entry, self)
                chip.clicked.connect(lambda on, key=key: self._clicked(key, on))
                moved = True
            moved = chip.set_entry(entry) or moved
            ordered[key] = chip
        self._chips = ordered
        self._stowed = [self._chips[e.key].entry for e in self._stowed if e.key in self._chips]
        if moved:
            self._arrange()

    def chip(self, kind: str, name: str) -> Chip:
        """The chip of a ``metric`` or ``run``; :class:`KeyError` if there is none."""
        return self._chips[(kind, name)]

    def entries(self) -> list[Entry]:
        return [chip.entry for chip in self._chips.values()]

    def minimumSizeHint(self) -> QSize:
        return QSize(120, _HEIGHT)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        """Leaves out what is off and one of many, then what is off, then the last, until the rest fits."""
        shown = [c for c in self._chips.values() if c.entry.on or not c.entry.crowd]
        while len(shown) > 1 and self._rows(shown, len(shown) < len(self._chips)) > self.max_rows:
            off = [c for c in shown if c.entry.quiet and not c.entry.on]
            shown.remove((off or shown)[-1])
        self._stowed = [c.entry for c in self._chips.values() if c not in shown]
        self._more.set_entry(
            Entry(("more", ""), f"{len(self._stowed)} more", theme.colours.quiet, False, (), "More curves to choose.")
        )
        self._more.setVisible(bool(self._stowed))
        for chip in self._chips.values():
            chip.setVisible(chip in shown)
        self.setFixedHeight(max(1, self._rows(shown, bool(self._stowed), place=True)) * _HEIGHT)

    def _rows(self, chips: list[Chip], more: bool, place: bool = False) -> int:
        x = y = 0
        for chip in [*chips, *([self._more] if more else [])]:
            size = chip.sizeHint()
            width = min(size.width(), self.width())
            if x and x + width > self.width():
                x, y = 0, y + _HEIGHT
            if place:
                chip.setGeometry(x, y, width, _HEIGHT)
            x += width + _GAP
        return y // _HEIGHT + 1

    def _clicked(self, key: tuple[str, str], on: bool) -> None:
        if QApplication.keyboardModifiers() & Qt.KeyboardModifier.ControlModifier:
            self._chips[key].setChecked(True)
            self.alone.emit(*key)
        else:
            self.toggled.emit(*key, on)

    def more_menu(self) -> QMenu:
        """The menu of what has no chip now; metrics of one prefix share a submenu."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        below: dict[str, QMenu] = {}
        for entry in self._stowed:
            prefix = entry.label.rpartition("/")[0] if entry.crowd else ""
            if prefix and prefix not in below:
                below[prefix] = menu.addMenu(prefix)
            action = below.get(prefix, menu).addAction(entry.label)
            action.setCheckable(True)
            action.setChecked(entry.on)
            action.toggled.connect(lambda on, key=entry.key: self.toggled.emit(*key, on))
        return menu

    def _open_more(self) -> None:
        self.more_menu().popup(self._more.mapToGlobal(QPoint(0, _HEIGHT)))
