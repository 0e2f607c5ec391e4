"""A small field for a number: no arrows, no noughts behind it; undo is the window's while nothing is being typed."""

from __future__ import annotations

from PySide6.QtCore import QEvent
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractSpinBox, QDoubleSpinBox


def plain_field(field: QAbstractSpinBox) -> None:
    """A field for a number without arrows. Qt's own way to leave them out leaves no room for the number under a style
    sheet, so they are there, without width."""
    field.setStyleSheet(
        "QAbstractSpinBox { padding: 2px 0; } QLineEdit { padding: 0 4px; border: none; background: transparent; }"
        "QAbstractSpinBox::up-button, QAbstractSpinBox::down-button { width: 0; border: none; }"
    )


class Number(QDoubleSpinBox):
    """A number between ``lo`` and ``hi``, said once it is typed; ``name`` is its tool tip as well."""

    def __init__(self, name: str, lo: float, hi: float, decimals: int = 3) -> None:
        super().__init__()
        self.setRange(lo, hi)
        self.setDecimals(decimals)
        self.setSingleStep(0.1)
        self.setKeyboardTracking(False)
        self.setToolTip(name)
        self.setAccessibleName(name)
        plain_field(self)

    def textFromValue(self, value: float) -> str:
        return f"{value:.{self.decimals()}f}".rstrip("0").rstrip(".") or "0"

    def event(self, event: QEvent) -> bool:
        typed = self.cleanText() != self.textFromValue(self.value())
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and not typed:
            undo, redo = QKeySequence.StandardKey.Undo, QKeySequence.StandardKey.Redo
            if event.matches(undo) or event.matches(redo):
                event.ignore()
                return False
        return super().event(event)
