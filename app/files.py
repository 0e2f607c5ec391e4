"""The person's 3-D files: which probe takes them, which were open lately, and their menu. Knows no study's inside.

A .ply may hold points, a mesh or splats: its head is looked at on a thread, before a study is opened for it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QMenu

from engine.probes import Paths
from engine.scene import FILE_KINDS
from widgets.controls.picking.paths import dialog_filters

if TYPE_CHECKING:
    from app.window import MainWindow

STUDY, SPLATS = "scene_files", "splat_scene"
"""The studies that open for files where the one that is open takes none: for any, and for those that can only be
splats."""
SOG_HEAD = "meta.json"
"""What a folder of splats is opened by."""
SPLAT_KINDS = (".splat", ".spz", ".sog", ".compressed.ply", SOG_HEAD)
CAPTURES = "gaussian_splatting"
"""The study that opens for photographs with their cameras where the one that is open learns from none."""
CAPTURE_MARKS = ("transforms.json", "transforms_train.json", "sparse", "cameras.bin", "cameras.txt")
"""What is in the folder of a capture."""
PLY_HEAD = 8192
"""Bytes of a .ply in which its properties are named."""
SPLAT_MARKS = (b" f_dc_0", b" packed_position")
"""What the heads of splats' files name and others do not."""
RECENT = 10


def is_scene(path: Path) -> bool:
    """Whether a file's name ends as those that are read as scenes do."""
    return path.name.lower() == SOG_HEAD or path.suffix.lower().removeprefix(".") in FILE_KINDS


def study_for(names: Sequence[str], splats: Container[str] = ()) -> str:
    """The study for files of these names, of which ``splats`` are known to hold some."""
    every = all(name in splats or name.lower().endswith(SPLAT_KINDS) for name in names)
    return SPLATS if names and every else STUDY


def holds_splats(name: str) -> bool:
    """Whether the head of a .ply names what splats have; False where it cannot be read, which its reader will tell."""
    try:
        with open(name, "rb") as file:
            head = file.read(PLY_HEAD).partition(b"end_header")[0]
    except OSError:
        return False
    return any(mark in head for mark in SPLAT_MARKS)


class SceneFiles(QObject):
    """Files on their way into a scene, and those that were in one."""

    _looked = Signal(object)
    """Those of the files that hold splats, from the thread that has looked."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._waiting: list[str] = []
        self._looked.connect(self._begin)
        self.menu = QMenu("Recent 3-D files", window)
        self.menu.setToolTipsVisible(True)
        self._list()

    def open(self, paths: Sequence[str | Path]) -> None:
        """Adds files to the scene of the open study that takes some, else opens the study for them."""
        names = [str(Path(path).absolute()) for path in paths]
        if not names:
            return
        self._remember(names)
        place = self._place()
        if place is None or self._waiting:
            self._waiting += names
            if len(self._waiting) == len(names):
                self._look(names)
            return
        self._window.pages.setCurrentWidget(self._window.stage)
        self._add(place, names)
        self._window.stage.raise_named(place[0])

    def _look(self, names: Sequence[str]) -> None:
        """Finds out which files hold splats: at once where their names tell."""
        unsure = [name for name in names if name.lower().endswith(".ply") and not name.lower().endswith(SPLAT_KINDS)]
        if not unsure:
            self._begin(())
            return

        def look() -> None:
            found = frozenset(name for name in unsure if holds_splats(name))
            with contextlib.suppress(RuntimeError):  # the window was closed meanwhile
                self._looked.emit(found)

        threading.Thread(target=look, name="look at files", daemon=True).start()

    def _begin(self, splats: Container[str]) -> None:
        """Opens the study for what waits, of which ``splats`` hold some."""
        bench = self._window.bench
        study = study_for(self._waiting, splats)
        if self._waiting:
            bench.open_study(study)
        if study not in bench.studies:  # that was told
            self._waiting.clear()

    def opened(self) -> None:
        """A study stands: what waits for one goes to it. Before its first question, so that it is about the files."""
        names, self._waiting = self._waiting, []
        place = self._place() if names else None
        if place is not None:
            self._add(place, names)

    def failed(self) -> None:
        """No study could be opened for what waits."""
        self._waiting.clear()

    def open_folder(self, path: Path) -> None:
        """A folder: splats by their head, a capture's photographs, or images for the open study."""
        bench = self._window.bench
        study, kind = bench.study, bench.study.data_kind if bench.study is not None else ""
        if (path / SOG_HEAD).is_file():
            self.open([path / SOG_HEAD])
        elif kind == "captures":
            bench.choose_data("capture", str(path))
        elif kind != "images" and any((path / name).exists() for name in CAPTURE_MARKS):
            bench.open_study(CAPTURES, "capture", str(path))
        elif study is None or kind == "images":
            bench.choose_data("folder", str(path))
        else:
            bench.noticed.emit(
                f"{path.name}: is a folder, and {study.title} learns from none; open a study that learns from images "
                "first, or drop the files in it",
                "error",
            )

    def choose(self) -> None:
        """Asks for files; the window goes on meanwhile."""
        dialog = QFileDialog(self._window, "Open 3-D files")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setNameFilters(dialog_filters(FILE_KINDS))
        recent = self._recent()
        if recent:
            dialog.setDirectory(str(Path(recent[0]).parent))
        dialog.filesSelected.connect(self.open)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _place(self) -> tuple[str, str] | None:
        """The probe and control of the open study that take files; the active probe's first."""
        study = self._window.bench.study
        specs = study.probes if study is not None else ()
        for spec in sorted(specs, key=lambda s: s.name != self._window.stage.active):
            for name, control in spec.controls.items():
                if isinstance(control, Paths):
                    return spec.name, name
        return None

    def _add(self, place: tuple[str, str], names: Sequence[str]) -> None:
        probe, control = place
        bench = self._window.bench
        bench.settle_control(probe, control, (*bench.values(probe)[control], *names))

    # ---- recent ones ----

    def _recent(self) -> list[str]:
        kept = self._window.settings.values.get("scene_files", [])
        return [path for path in kept if isinstance(path, str)] if isinstance(kept, list) else []

    def _remember(self, names: Sequence[str]) -> None:
        recent = dict.fromkeys([*reversed(names), *self._recent()])
        self._window.settings.set("scene_files", list(recent)[:RECENT])
        self._list()

    def _list(self) -> None:
        self.menu.clear()
        recent = self._recent()
        self.menu.setEnabled(bool(recent))
        for path in recent:
            action = self.menu.addAction(Path(path).name.replace("&", "&&"))
            action.setToolTip(path)
            action.triggered.connect(lambda _=False, path=path: self.open([path]))
