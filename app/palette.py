"""The command palette: type a few letters, press Enter. Offers commands and studies alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from widgets.theme import theme


@dataclass(frozen=True)
class Entry:
    """One line of the palette; ``hint`` is its shortcut, its kind, or why it cannot act."""

    text: str
    hint: str
    run: Callable[[], object]
    enabled: bool = True


def matches(query: str, text: str) -> int | None:
    """How well the letters of ``query`` are found in order in ``text`` (less is better), or None if they are not.

    Letters that stand together count for most, then a beginning at the beginning of a word, then an early one.
    """
    letters, text = query.lower().replace(" ", ""), text.lower()
    if not letters:
        return 0
    best: int | None = None
    for start in (i for i, letter in enumerate(text) if letter == letters[0]):
        place, gaps = start + 1, 0
        for letter in letters[1:]:
            found = text.find(letter, place)
            if found < 0:
                return best  # further right there is less still
            gaps += found - place
            place = found + 1
        inside = start > 0 and text[start - 1].isalnum()
        score = 100 * gaps + 50 * inside + min(start, 49)
        best = score if best is None else min(best, score)
    return best


class CommandPalette(QDialog):
    """Opened over the window; closes when an entry runs, on Escape, or when it loses the keyboard."""

    def __init__(self, entries: Sequence[Entry], parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAccessibleName("Command palette")
        self.setObjectName("commandPalette")
        c = theme.colours
        self.setStyleSheet(f"#commandPalette {{ background: {c.raised}; border: 1px solid {c.line}; }}")
        self._entries = entries
        self.field = QLineEdit()
        self.field.setPlaceholderText("Type a command or the name of a study")
        self.field.setAccessibleName("Type a command or the name of a study")
        self.list = QListWidget()
        self.list.setAccessibleName("Found")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(self.field)
        layout.addWidget(self.list)
        self.resize(520, 360)
        self.field.textChanged.connect(self._fill)
        self.field.installEventFilter(self)
        self.list.itemClicked.connect(self._run)
        self._fill("")
        self.field.setFocus()

    def _fill(self, query: str) -> None:
        found = [(matches(query, e.text), i, e) for i, e in enumerate(self._entries)]
        self.list.clear()
        for _, i in sorted((s, i) for s, i, _ in found if s is not None):
            entry = self._entries[i]
            item = QListWidgetItem(f"{entry.text}    {entry.hint}" if entry.hint else entry.text)
            item.setData(Qt.ItemDataRole.UserRole, i)
            item.setToolTip(item.text())
            if not entry.enabled:
                item.setFlags(Qt.ItemFlag.NoItemFlags)
            self.list.addItem(item)
        if not self.list.count():
            nothing = QListWidgetItem(f"Nothing is called “{query}”.")
            nothing.setFlags(Qt.ItemFlag.NoItemFlags)
            self.list.addItem(nothing)
        self._go(-1, 1)

    def _go(self, row: int, step: int) -> None:
        """To the next line from ``row`` that can act; stays where there is none."""
        row += step
        while 0 <= row < self.list.count():
            if self.list.item(row).flags() & Qt.ItemFlag.ItemIsEnabled:
                self.list.setCurrentRow(row)
                return
            row += step

    def _run(self, item: QListWidgetItem | None) -> None:
        if item is None or not item.flags() & Qt.ItemFlag.ItemIsEnabled:
            return
        entry = self._entries[item.data(Qt.ItemDataRole.UserRole)]
        self.close()
        entry.run()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
            if step is not None:
                self._go(self.list.currentRow(), step)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._run(self.list.currentItem())
                return True
        return super().eventFilter(watched, event)
