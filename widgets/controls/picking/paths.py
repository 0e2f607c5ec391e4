"""A list of the person's own files: dropped in or chosen, each with a button that takes it away.

Looks at names only; whether a file is there and can be read is said by the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from PySide6.QtCore import QMimeData, QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QFontMetrics, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.probes import Knobs, Paths
from widgets.controls.fields import ROW, IconButton
from widgets.theme import UNIT

SHOWN = 8
"""Rows at most; of more files the rest is counted."""
NOTHING = "No files yet: add some, or drop them here."


def local_files(mime: QMimeData) -> list[str]:
    """The local files among dropped things."""
    return [url.toLocalFile() for url in mime.urls() if url.isLocalFile()]


def dialog_filters(kinds: Sequence[str]) -> list[str]:
    """What a file dialog offers: the known endings together, then everything."""
    known = [f"3-D files ({' '.join(f'*.{kind}' for kind in kinds)})"] if kinds else []
    return [*known, "All files (*)"]


class FileRow(QWidget):
    """One file: its name, its folder in the tool tip, and a button that takes it away."""

    removed = Signal()

    def __init__(self, path: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = PurePath(path).name
        self._label = QLabel()
        self._label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._label.setToolTip(path)
        self.button = IconButton("x", f"Take {self._name} out of the scene.")
        self.button.clicked.connect(self.removed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(UNIT)
        row.addWidget(self._label, 1)
        row.addWidget(self.button)
        self.setFixedHeight(ROW)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        room = self.width() - self.button.sizeHint().width() - UNIT
        metrics = QFontMetrics(self._label.font())
        self._label.setText(metrics.elidedText(self._name, Qt.TextElideMode.ElideMiddle, room))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.removed.emit()
        else:
            super().keyPressEvent(event)


class PathList(QWidget):
    """Files in their order. Value: tuple of paths."""

    moved = Signal(object)
    settled = Signal(object)
    full_width = True

    def __init__(self, name: str, control: Paths, knobs: Knobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kinds = control.kinds
        self._value: tuple[str, ...] = ()
        self.rows: list[FileRow] = []
        self.setAcceptDrops(True)
        self.setAccessibleName(control.label or name)
        self.add_button = IconButton("file", "Choose files to add; they can be dropped here as well.", "Add…")
        self.add_button.clicked.connect(self.choose)
        self.clear_button = IconButton("x", "Take all files out of the scene.", "Clear")
        self.clear_button.clicked.connect(self.reset)
        self._note = QLabel(NOTHING)
        self._note.setProperty("role", "caption")
        self._note.setWordWrap(True)
        self._list = QVBoxLayout()
        self._list.setSpacing(0)
        buttons = QHBoxLayout()
        buttons.setSpacing(UNIT)
        buttons.addWidget(self.add_button)
        buttons.addWidget(self.clear_button)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(UNIT)
        column.addLayout(self._list)
        column.addWidget(self._note)
        column.addLayout(buttons)
        self.setFocusProxy(self.add_button)
        self._show()

    def value(self) -> tuple[str, ...]:
        return self._value

    def set_value(self, value: Any, quiet: bool = True) -> None:
        paths = tuple(dict.fromkeys(value))
        if paths == self._value:
            return
        self._value = paths
        self._show()
        if not quiet:
            self.settled.emit(paths)

    def add(self, paths: Sequence[str]) -> None:
        """Puts files at the end of the list; those in it stay where they are."""
        self.set_value((*self._value, *paths), quiet=False)

    def remove(self, path: str) -> None:
        self.set_value(tuple(p for p in self._value if p != path), quiet=False)

    def reset(self) -> None:
        self.set_value((), quiet=False)

    def flush(self) -> None:
        """Nothing ever waits: a list settles at once."""

    def choose(self) -> None:
        """Asks for files; the window goes on meanwhile."""
        dialog = QFileDialog(self, "Add files")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setNameFilters(dialog_filters(self._kinds))
        if self._value:
            dialog.setDirectory(str(PurePath(self._value[-1]).parent))
        dialog.filesSelected.connect(self.add)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _show(self) -> None:
        kept = self.rows and self.window().focusWidget() in [row.button for row in self.rows]
        for row in self.rows:
            self._list.removeWidget(row)
            row.hide()
            row.deleteLater()
        self.rows = []
        for path in self._value[:SHOWN]:
            row = FileRow(path)
            row.removed.connect(lambda path=path: self.remove(path))
            self._list.addWidget(row)
            self.rows.append(row)
        more = len(self._value) - SHOWN
        self._note.setText(f"and {more} more" if more > 0 else NOTHING)
        self._note.setVisible(more > 0 or not self._value)
        self.clear_button.setVisible(bool(self._value))
        if kept:  # the button that was pressed is gone: the keyboard stays in the list
            (self.rows[-1].button if self.rows else self.add_button).setFocus()

    # ---- dropping ----

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if local_files(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        paths = local_files(event.mimeData())
        if paths:
            event.acceptProposedAction()
            self.add(paths)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, super().minimumSizeHint().height())
