"""The person's 3-D files: which probe takes them, which were open lately, and their menu. Knows no study's inside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog, QMenu

from engine.probes import Paths
from engine.scene import FILE_KINDS
from widgets.controls.picking.paths import dialog_filters

if TYPE_CHECKING:
    from app.window import MainWindow

STUDY, SPLATS = "scene_files", "splat_scene"
"""The studies that open for files where the one that is open takes none: for any, and for those that can only be
splats."""
SPLAT_KINDS = (".splat", ".spz", ".sog", ".compressed.ply")
RECENT = 10


def is_scene(path: Path) -> bool:
    """Whether a file's name ends as those that are read as scenes do."""
    return path.suffix.lower().removeprefix(".") in FILE_KINDS


def study_for(names: Sequence[str]) -> str:
    """The study for files of these names."""
    return SPLATS if names and all(name.lower().endswith(SPLAT_KINDS) for name in names) else STUDY


class SceneFiles:
    """Files on their way into a scene, and those that were in one."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._waiting: list[str] = []
        self.menu = QMenu("Recent 3-D files", window)
        self.menu.setToolTipsVisible(True)
        self._list()

    def open(self, paths: Sequence[str | Path]) -> None:
        """Adds files to the scene of the open study that takes some, else opens the study for them."""
        names = [str(Path(path).absolute()) for path in paths]
        if not names:
            return
        self._remember(names)
        bench = self._window.bench
        place = self._place()
        if place is None or self._waiting:
            self._waiting += names
            study = study_for(names)
            if len(self._waiting) == len(names):
                bench.open_study(study)
            if study not in bench.studies:  # that was told
                self._waiting.clear()
            return
        self._window.pages.setCurrentWidget(self._window.stage)
        self._add(place, names)
        self._window.stage.raise_named(place[0])

    def opened(self) -> None:
        """A study stands: what waits for one goes to it. Before its first question, so that it is about the files."""
        names, self._waiting = self._waiting, []
        place = self._place() if names else None
        if place is not None:
            self._add(place, names)

    def failed(self) -> None:
        """No study could be opened for what waits."""
        self._waiting.clear()

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
