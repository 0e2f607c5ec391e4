"""Commands declared once: menu, palette, shortcut and tool tip all come from the same line. Knows no window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence

from widgets.theme import icon, theme


@dataclass
class Command:
    """``keys`` with a modifier or function key become a shortcut; single characters are only shown, since the window
    handles them itself when no field has the keyboard. ``why_not`` answers the reason why it cannot act now, or ''."""

    id: str
    text: str
    menu: str
    run: Callable[[], object]
    keys: str = ""
    icon: str = ""
    tip: str = ""
    checkable: bool = False
    why_not: Callable[[], str] = field(default=lambda: "")


class Commands(QObject):
    """The table of commands and their actions."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.table: dict[str, Command] = {}
        self.actions: dict[str, QAction] = {}
        theme.changed.connect(self._icons)

    def add(self, command: Command) -> QAction:
        action = QAction(command.text, self)
        action.setIconText(command.text)  # what a button says: the menu's text has the key behind it
        action.setCheckable(command.checkable)
        if command.keys and ("+" in command.keys or command.keys.startswith("F")) and len(command.keys) > 1:
            action.setShortcut(QKeySequence(command.keys))
        elif command.keys:
            action.setText(f"{command.text}\t{command.keys}")
        action.triggered.connect(lambda _=False: command.run())
        self.table[command.id] = command
        self.actions[command.id] = action
        self._dress(command, action)
        return action

    def refresh(self) -> None:
        """Greys out what cannot act now, with the reason in its tool tip."""
        for key, command in self.table.items():
            reason = command.why_not()
            action = self.actions[key]
            action.setEnabled(not reason)
            keys = f" ({command.keys})" if command.keys else ""
            action.setToolTip(reason or f"{command.tip or command.text}{keys}")

    def by_key(self, key: str) -> Command | None:
        """The command of a single-character key, if it can act now."""
        for command in self.table.values():
            if command.keys == key and not command.why_not():
                return command
        return None

    def _icons(self) -> None:
        for key, command in self.table.items():
            self._dress(command, self.actions[key])

    @staticmethod
    def _dress(command: Command, action: QAction) -> None:
        if command.icon:
            action.setIcon(icon(command.icon))
