"""A line with the path of a file, and a button that asks for one. Whether the file is there the engine finds out."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QWidget

from widgets.controls.fields import ROW, IconButton
from widgets.theme import UNIT


class PathBox(QWidget):
    """The path of a file as text, '' for none; typed, pasted, dropped or chosen. Enter or leaving the line takes it."""

    moved = Signal(object)
    settled = Signal(object)

    def __init__(self, default: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._default = self._value = default
        self.line = QLineEdit(default)
        self.line.setPlaceholderText("none")
        self.line.setFixedHeight(ROW)
        self.line.setClearButtonEnabled(True)
        self.line.editingFinished.connect(self.flush)
        self.line.textChanged.connect(self._cleared)
        self.browse_button = IconButton("folder-open", "Chooses a file.")
        self.browse_button.clicked.connect(self._browse)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(UNIT)
        row.addWidget(self.line, 1)
        row.addWidget(self.browse_button)
        self.setFocusProxy(self.line)
        self.setAcceptDrops(True)
        self.line.setAcceptDrops(False)  # it would take a file's address as text

    def setAccessibleName(self, name: str) -> None:
        super().setAccessibleName(name)
        self.line.setAccessibleName(name)

    def value(self) -> str:
        return self._value

    def set_value(self, value: Any, quiet: bool = True) -> None:
        """Shows ``value``; unless ``quiet``, ``settled`` says so."""
        if value == self._value:
            return
        self._value = str(value)
        self.line.setText(self._value)
        if not quiet:
            self.settled.emit(self._value)

    def reset(self) -> None:
        self.set_value(self._default, quiet=False)

    def flush(self) -> None:
        """Takes what the line says now."""
        self.set_value(self.line.text().strip(), quiet=False)

    def _cleared(self, text: str) -> None:
        if not text and not self.line.hasFocus():
            self.flush()  # by the line's own button

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Choose a file", self._value)
        if path:
            self.set_value(path, quiet=False)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = next((url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()), "")
        if path:
            self.set_value(path, quiet=False)
            event.acceptProposedAction()
