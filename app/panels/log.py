"""The log: what happened, newest last, with the details of failures. Bounded."""

from __future__ import annotations

import time

from PySide6.QtGui import QColor, QSyntaxHighlighter, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from widgets.theme import theme

LINES = 2000
_QUIET, _BAD = 1, 2
"""States of a line; any other is plain text."""


class _Colours(QSyntaxHighlighter):
    """Colours lines by their state, anew when the mode changes."""

    def highlightBlock(self, text: str) -> None:
        c = theme.colours
        colour = {_QUIET: c.quiet, _BAD: c.bad}.get(self.currentBlock().userState())
        if colour is not None:
            self.setFormat(0, len(text), QColor(colour))


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
        self._colours = _Colours(self.text.document())
        theme.changed.connect(self._colours.rehighlight)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 8)
        layout.addWidget(self.text)

    def add(self, line: str, level: str = "info", detail: str = "") -> None:
        """Adds a line, and under it the ``detail`` of a failure; stays where it is if the person has scrolled up."""
        self.count += level == "error"
        bar = self.text.verticalScrollBar()
        follow = bar.value() >= bar.maximum()
        self._append(f"{time.strftime('%H:%M:%S')}  {line}", _BAD if level == "error" else 0)
        for each in detail.rstrip().splitlines():
            self._append(each, _QUIET)
        if follow:
            bar.setValue(bar.maximum())

    def _append(self, text: str, state: int) -> None:
        cursor = QTextCursor(self.text.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if not self.text.document().isEmpty():
            cursor.insertBlock()
        cursor.insertText(text)
        cursor.block().setUserState(state)
        self._colours.rehighlightBlock(cursor.block())
