"""The log: what happened, newest last, with the details of failures. Bounded."""

from __future__ import annotations

import time

from PySide6.QtGui import QColor, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from widgets.theme import theme

LINES = 2000


class LogPanel(QWidget):
    """``count`` is how many lines of level ``error`` there are."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.count = 0
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setMaximumBlockCount(LINES)
        self.text.setFrameStyle(0)
        self.text.setPlaceholderText("Notices and failures will be listed here.")
        self.text.setAccessibleName("Log")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 8)
        layout.addWidget(self.text)

    def add(self, line: str, level: str = "info", detail: str = "") -> None:
        self.count += level == "error"
        c = theme.colours
        self._append(f"{time.strftime('%H:%M:%S')}  {line}", c.bad if level == "error" else c.text)
        if detail:
            self._append(detail.rstrip(), c.quiet)

    def _append(self, text: str, colour: str) -> None:
        cursor = self.text.textCursor()
        cursor.movePosition(QTextCursor.MoveOperation.End)
        form = QTextCharFormat()
        form.setForeground(QColor(colour))
        if not self.text.document().isEmpty():
            cursor.insertBlock()
        cursor.insertText(text, form)
        bar = self.text.verticalScrollBar()
        bar.setValue(bar.maximum())
