"""The data dock: which data set is learned from, where it comes from, its licence, and its first pictures."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from engine.messages import DataPreview
from engine.payloads import ImageGrid
from engine.study import DataOption
from widgets.controls.fields import CalmComboBox, enabled_because
from widgets.views.grid import ImageGridView

SHOWN = 60
_NOTHING_OPEN = "Open a study first, then choose what it learns from."


class DataPanel(QWidget):
    """``chosen`` carries the data set's key and, for a folder of the user's, its path."""

    chosen = Signal(str, str)
    fetch_wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.box = CalmComboBox()  # the wheel passing over it must not choose other data
        self.box.setAccessibleName("Data set")
        self.box.setToolTip("What the open study learns from; other data build it anew.")
        self.fetch = QPushButton("Fetch")
        self.fetch.setToolTip("Downloads this data set into your cache folder.")
        self.folder = QPushButton("Choose folder …")
        self.folder.setToolTip("Learns from the pictures in a folder of yours.")
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.about.setProperty("role", "caption")
        self.notices = QLabel()
        self.notices.setWordWrap(True)
        self.notices.setProperty("role", "bad")
        self.notices.hide()
        self.pictures = ImageGridView()
        self.pictures.show_empty("No data yet", "Open a study to see what it learns from.")
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.box, 1)
        row.addWidget(self.fetch)
        row.addWidget(self.folder)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.setSpacing(8)
        layout.addLayout(row)
        layout.addWidget(self.about)
        layout.addWidget(self.notices)
        layout.addWidget(self.pictures, 1)
        self._all: tuple[DataOption, ...] = ()
        self._options: dict[str, DataOption] = {}
        """Those of the kind that the open study learns from."""
        self._kind = "images"
        self._open = ""
        self._from_folder = ""
        self.set_kind("", _NOTHING_OPEN)
        self.box.activated.connect(self._picked)
        self.fetch.clicked.connect(lambda: self.fetch_wanted.emit(self.box.currentData()))
        self.folder.clicked.connect(self._ask_folder)
        self._describe()

    def set_options(self, options: tuple[DataOption, ...]) -> None:
        """Fills the drop-down; what is not there is greyed out and says why, unless it can be fetched."""
        self._all = options
        self._options = {option.key: option for option in options if option.kind == self._kind}
        model = QStandardItemModel(self.box)
        for option in self._options.values():
            item = QStandardItem(option.title if option.available else f"{option.title}  (not here)")
            item.setData(option.key, Qt.ItemDataRole.UserRole)
            item.setToolTip(option.reason or f"{option.size}; {option.origin}; {option.licence}")
            if not option.available and not option.fetchable:
                item.setFlags(Qt.ItemFlag.NoItemFlags)
            model.appendRow(item)
        self.box.setModel(model)
        self._select(self._open)

    def set_open(self, key: str, folder: str = "") -> None:
        """Which data set the open study learns from."""
        self._open, self._from_folder = key, folder
        self._select(key)

    def set_preview(self, preview: DataPreview) -> None:
        images = preview.held_out[:SHOWN].astype("float32") / 255
        self.pictures.show_payload(ImageGrid(images, captions=preview.held_out_captions[:SHOWN]), 0)
        self.notices.setText("\n".join(preview.notices[:6]))
        self.notices.setVisible(bool(preview.notices))

    def set_kind(self, kind: str, reason: str) -> None:
        """What the open study learns from, images or captures; '' where there is nothing to choose, for a reason."""
        if kind and kind != self._kind:
            self._kind = kind
            self.set_options(self._all)
        for part in (self.box, self.folder):
            enabled_because(part, None if kind else reason)
        if not kind and self.pictures.payload is not None:
            self.pictures.clear()
            self.pictures.show_empty("No data", reason)
            self.notices.hide()

    def _select(self, key: str) -> None:
        index = self.box.findData(key)
        if index >= 0:
            self.box.setCurrentIndex(index)
        self._describe()

    def _describe(self) -> None:
        option = self._options.get(self.box.currentData() or "")
        self.fetch.setVisible(option is not None and option.fetchable and not option.available)
        self.folder.setVisible(option is not None and option.needs_folder)
        if option is None:
            self.about.setText("")
        elif not option.available:
            self.about.setText(option.reason)
        else:
            where = self._from_folder if option.needs_folder and self._from_folder else option.origin
            self.about.setText(f"{option.size}.  From: {where}.  Licence: {option.licence}.")

    def _picked(self) -> None:
        self._describe()
        option = self._options.get(self.box.currentData() or "")
        if option is None or not option.available:
            return
        if option.needs_folder:
            self._ask_folder()
        else:
            self.chosen.emit(option.key, "")

    def _ask_folder(self) -> None:
        """Asks for a folder; the window goes on meanwhile."""
        option = self._options[self.box.currentData()]
        dialog = QFileDialog(self, option.title.rstrip("…"), self._from_folder)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(lambda path: self.chosen.emit(option.key, path))
        dialog.rejected.connect(lambda: self._select(self._open))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
