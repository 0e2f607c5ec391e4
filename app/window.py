"""The main window: puts stage, docks, toolbar and menus together and lets the workbench drive them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent
from PySide6.QtWidgets import QFrame, QMenu, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from app.actions import list_recent, make_commands
from app.bridge import Bridge
from app.directions import KeptDirections
from app.dropped import DroppedPictures
from app.files import SceneFiles, is_scene
from app.layouts import Layouts
from app.panels.catalogue import CataloguePanel
from app.panels.curves import CurvesPanel
from app.panels.data import DataPanel
from app.panels.log import LogPanel
from app.panels.objective import ObjectivePanel
from app.settings import Settings, runs_folder
from app.stage import Stage
from app.status import StatusBar
from app.toolbar import TrainBar
from app.welcome import Starter, WelcomePage, starter_of
from app.workbench import Workbench
from engine import messages as m
from engine.probes import Item, ProbeSpec
from widgets.controls.knobs import KnobForm
from widgets.controls.probe_controls import ControlForm
from widgets.dock import Dock, DockWindow

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


class MainWindow(DockWindow):
    """One window of Mutoscope. ``show`` it, then :meth:`start` the engine."""

    def __init__(self, settings: Settings | None = None, runs_root: Path | None = None, threads: int | None = None):
        super().__init__()
        self.settings = settings or Settings()
        self.bridge = Bridge(self, threads)
        self.bench = Workbench(self.bridge, runs_root or runs_folder(), self)
        self.setWindowTitle("Mutoscope")
        self.setAcceptDrops(True)
        self.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        self.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        self._latest: dict[str, float] = {}
        self._starter: Starter | None = None
        self._preview: m.DataPreview | None = None
        self._notices = 0
        """The docks as they were before the stage was alone."""
        self._opened_epoch = 0

        self.stage = Stage(self.bench)
        self.welcome = WelcomePage()
        self.pages = QStackedWidget()
        scroll = QScrollArea()  # so that the cards ask for no height that a small window has not got
        scroll.setWidgetResizable(True)
        scroll.setWidget(self.welcome)
        self.pages.addWidget(scroll)
        self.pages.addWidget(self.stage)
        self.setCentralWidget(self.pages)

        self.catalogue = CataloguePanel()
        self.knobs = KnobForm()
        self.controls = ControlForm()
        self.curves = CurvesPanel()
        self.objective = ObjectivePanel()
        self.data = DataPanel()
        self.log = LogPanel()
        self.docks: dict[str, Dock] = {}
        for name, title, hint, widget in (
            ("catalogue", "Catalogue", "", self.catalogue),
            ("knobs", "Knobs", "what it is built and trained with", _scrolled(self.knobs)),
            ("controls", "Probe controls", "", _scrolled(self.controls)),
            ("curves", "Curves", "click a mark below the axis to go back to that snapshot", self.curves),
            ("objective", "Objective", "what is made large or small", self.objective),
            ("data", "Data", "what it learns from", self.data),
            ("log", "Log", "what happened", self.log),
        ):
            self.docks[name] = Dock(f"dock-{name}", title, hint, widget, self)

        self.docks["curves"].bar.add(self.curves.choice)
        self.status = StatusBar(self)
        self.setStatusBar(self.status)
        self.layouts = Layouts(self, self.stage, self.docks, self.settings)
        self.recent = QMenu("Recent runs", self)
        self.recent.setEnabled(False)
        self.files = SceneFiles(self)
        self.commands = make_commands(self)
        self.toolbar = TrainBar(self.commands, self)
        self.addToolBar(self.toolbar)
        self.directions = KeptDirections(self.bench, self.controls)
        self.dropped = DroppedPictures(self.bench, self.controls)
        self._connect()
        self.layouts.reset()
        self.layouts.restore()
        self.commands.refresh()

    def sizeHint(self) -> QSize:
        return QSize(1280, 800)

    # ---- wiring ----

    def _connect(self) -> None:
        bench = self.bench
        bench.catalogue_changed.connect(self._on_catalogue)
        bench.opening.connect(self._on_opening)
        bench.opened.connect(self._on_opened)
        bench.failed.connect(self._on_failure)
        bench.metrics.connect(self._on_metrics)
        bench.marked.connect(lambda report: self.curves.add_marks(report.marks))
        bench.hints_changed.connect(self.controls.set_hints)
        bench.status.connect(self._on_status)
        bench.preview.connect(self._on_preview)
        bench.saved.connect(self._on_saved)
        bench.runs_listed.connect(self._on_runs)
        bench.noticed.connect(self.notice)
        bench.knob_changed.connect(lambda name, value: self.knobs.set_values({name: value}))
        bench.control_changed.connect(self._on_control)
        bench.training_changed.connect(self._on_training)
        bench.leaving.connect(self.knobs.flush)
        bench.leaving.connect(self.controls.flush)
        self.catalogue.chosen.connect(self.choose_study)
        self.knobs.knob_moved.connect(bench.move_knob)
        self.knobs.knob_settled.connect(bench.settle_knob)
        self.knobs.rebuild_requested.connect(lambda _: bench.rebuild())
        self.knobs.seed_changed.connect(bench.set_seed)
        self.knobs.restart_requested.connect(bench.rebuild)
        self.controls.moved.connect(lambda name, value: bench.move_control(self._controlled(), name, value))
        self.controls.settled.connect(lambda name, value: bench.settle_control(self._controlled(), name, value))
        self.stage.active_changed.connect(self._on_active)
        self.stage.latency.connect(self.status.show_latency)
        self.curves.marker_clicked.connect(bench.load_snapshot)
        self.data.chosen.connect(bench.choose_data)
        self.data.fetch_wanted.connect(lambda key: self.bridge.inbox.post(m.FetchData(key)))
        self.status.cancel.clicked.connect(lambda: self.bridge.inbox.post(m.Cancel("")))
        self.welcome.starter_chosen.connect(self.open_starter)
        self.welcome.run_chosen.connect(bench.open_run)
        bench.undo.canUndoChanged.connect(lambda _: self.commands.refresh())
        bench.undo.canRedoChanged.connect(lambda _: self.commands.refresh())

    def start(self) -> None:
        """Starts the engine; call it once the window is on screen."""
        self.bridge.start()
        self.list_runs()

    def list_runs(self) -> None:
        self.bridge.inbox.post(m.ListRuns(str(self.bench.runs_root)))

    # ---- reports ----

    def _on_catalogue(self, report: m.Catalogue) -> None:
        self.catalogue.set_studies(report.studies)
        self.data.set_options(report.data)
        self.toolbar.set_studies(report.studies, self.choose_study)
        self.commands.refresh()

    def _on_opening(self, what: str) -> None:
        self.toolbar.show_opening(what)
        self._latest.clear()

    def _on_opened(self, opened: m.Opened) -> None:
        bench, study = self.bench, opened.study
        if opened.epoch == self._opened_epoch:  # other weights of the same build: a snapshot was loaded
            self._on_snapshot(opened)
            return
        self._opened_epoch = opened.epoch
        self._preview = None  # the other data's classes and thumbnails would mislead the new controls
        self.knobs.set_knobs(study.knobs, opened.knobs, opened.symbols, opened.step > 0)
        self.knobs.pending_bar_enabled = opened.step > 0
        self.knobs.set_seed(opened.seed)
        self.objective.set_study(study, opened.equation)
        self.curves.open_run(opened)
        self.data.set_kind(study.data_kind, "This study makes its own data.")
        self.data.set_open(opened.data, bench.folder)
        self.catalogue.mark(study.key)
        self.toolbar.show_study(study.title, opened.step)
        self.setWindowTitle(f"{study.title} — Mutoscope")
        self._show_last(opened)
        same = self.stage.study == study.key
        if not same:
            self.layouts.remember_stage()
        self.files.opened()
        self.layouts.suit(study.trains, bool(study.knobs))
        self.stage.set_study(study.key, study.probes)
        self.pages.setCurrentWidget(self.stage)  # now: the docks of another study would ask this one
        if not same:
            self.layouts.restore_stage()
        if self._starter is not None:
            self.stage.raise_named(self._starter.probe)
        self._starter = None
        self.notice(
            f"{study.title}: {opened.parameters:,} parameters on {opened.device}, data {opened.data or 'its own'}, "
            f"seed {opened.seed}, step {opened.step:,}"
        )
        self.commands.refresh()

    def _on_snapshot(self, opened: m.Opened) -> None:
        """The curves stay whole and show where on them the weights are; training on from there replaces the rest."""
        self.curves.set_snapshots(opened.snapshots)
        self.curves.set_cursor(opened.step)
        self._show_last(opened)
        self.toolbar.show_study(opened.study.title, opened.step)
        self.knobs.set_values(dict(opened.knobs))
        self.stage.set_study(opened.study.key, opened.study.probes)
        self.commands.refresh()

    def _show_last(self, report: m.Opened | m.Metrics) -> None:
        points = report.metrics if isinstance(report, m.Opened) else report.points
        self._latest.update({name: float(v[-1]) for name, (_, v) in points.items() if len(v) and v.ndim == 1})
        self.objective.set_values(self._latest)

    def _on_metrics(self, report: m.Metrics) -> None:
        self.curves.add(report.points)
        self._show_last(report)

    def _on_status(self, status: m.Status) -> None:
        self.status.show_status(status)
        if status.epoch == self.bench.epoch and self.bench.study is not None:
            self.toolbar.show_progress(status.step, status.target, status.state)
            if status.step > 0 and not self.knobs.pending_bar_enabled:
                self.knobs.pending_bar_enabled = True
                self.knobs.set_running(True)

    def _on_training(self, on: bool) -> None:
        self.toolbar.show_training(on)
        self.commands.refresh()

    def _on_preview(self, preview: m.DataPreview) -> None:
        self._preview = preview
        self.data.set_preview(preview)
        self.controls.set_thumbnails(preview)
        for line in preview.notices:
            self.notice(line)

    def _on_saved(self, saved: m.Saved) -> None:
        self.curves.set_snapshots(saved.snapshots)
        self.commands.refresh()

    def _on_runs(self, runs: m.Runs) -> None:
        titles = {key: study.title for key, study in self.bench.studies.items()}
        named = tuple(
            m.RunInfo(r.path, r.study, r.data, r.step, r.when, titles.get(r.study, r.study)) for r in runs.runs
        )
        self.welcome.set_recent(named)
        list_recent(self.recent, named, self.bench.open_run)

    def _on_failure(self, failure: m.Failure) -> None:
        line = f"{failure.title}: {failure.reason}" + (f" {failure.advice}" if failure.advice else "")
        self.log.add(line, "error", failure.detail if failure.fault else "")
        self.status.show_log(self._notices, self.log.count)
        if failure.slot in self.stage.docks:
            return
        back: tuple[str, Callable[[], object]] | None = None
        if failure.diverged and self.bench.snapshots:
            good = max((s for s in self.bench.snapshots), default=0)
            back = (f"Back to step {good:,}", lambda: self.bench.load_snapshot(good))
        self.toolbar.show_trouble(line, back)
        if failure.where == "open":
            self.files.failed()
            self.toolbar.show_study(self.bench.study.title if self.bench.study else "", self.bench.step)

    def notice(self, text: str, level: str = "info") -> None:
        """One line for the log; errors are shown at the top too."""
        self.log.add(text, level)
        self._notices += level != "error"
        self.status.show_log(self._notices, self.log.count)
        if level == "error":
            self.toolbar.show_trouble(text, None)

    # ---- controls ----

    def _on_active(self, spec: ProbeSpec | None) -> None:
        if spec is None or self.bench.study is None:
            return
        self.docks["controls"].bar.hint.set_text(f"of {spec.title}")
        self.controls.set_probe(spec, self.bench.built, self.bench.values(spec.name), self.bench.hints)
        if self._preview is not None:
            self.controls.set_thumbnails(self._preview)

    def _controlled(self) -> str:
        """The probe whose controls the form shows; the stage's active one is ahead of it while they change."""
        spec = self.controls.probe()
        return spec.name if spec is not None else ""

    def _on_control(self, probe: str, name: str, value: object) -> None:
        if probe not in ("", self._controlled()):
            return
        if not self.bench.dragging or not self.controls.isAncestorOf(self.focusWidget() or self):
            self.controls.set_control_value(name, value)

    def choose_study(self, key: str) -> None:
        """Opens a study, where there is a starter as that has learned; the one that is open is only shown, so that a
        click too many costs nothing."""
        starter = starter_of(key)
        if self.bench.study is not None and self.bench.study.key == key:
            self.pages.setCurrentWidget(self.stage)
        elif starter is not None and not self.bench.studies[key].error:
            self.open_starter(starter)
        else:
            self.bench.open_study(key)

    def open_first(self, study: str) -> None:
        """Opens ``study`` unless something is open already."""
        if self.bench.study is None:
            self.bench.open_study(study)

    def open_starter(self, starter: Starter) -> None:
        self._starter = starter
        self.bench.open_run(str(starter.path), keep=False)

    # ---- events ----

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Single keys, when nothing that takes text or has its own use for them has the keyboard."""
        if event.isAutoRepeat():  # a held Space would train and pause in turn
            super().keyPressEvent(event)
            return
        text = " ".join(event.text().split()) or ("Space" if event.key() == Qt.Key.Key_Space else "")
        if event.modifiers() & ~Qt.KeyboardModifier.ShiftModifier & ~Qt.KeyboardModifier.KeypadModifier:
            text = ""
        if text.isdecimal() and text != "0":
            self.stage.raise_probe(int(text) - 1)
            return
        command = self.commands.by_key(text.upper() if len(text) == 1 else text) if text else None
        if command is not None:
            command.run()
            return
        super().keyPressEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """A run folder or snapshot opens; a folder of images or a capture becomes the data; an image goes to the active
        probe; 3-D files stand in a scene, all together."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.open_paths(paths)

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Opens files of the person's: 3-D files together, of others the first."""
        scenes = [path for path in paths if is_scene(path) and not path.is_dir()]
        if not scenes:
            self.open_path(paths[0])
            return
        for path in [path for path in paths if path not in scenes]:
            self.notice(f"{path.name}: is no 3-D file and was left out", "error")
        self.files.open(scenes)

    def open_path(self, path: Path) -> None:
        spec = self.bench.study.probe(self.stage.active) if self.bench.study else None
        item = _item(spec)
        if is_scene(path) and not path.is_dir():
            self.files.open([path])
        elif path.suffix.lower() == ".safetensors" or (path / "config.json").is_file():
            self.bench.open_run(str(path))
        elif path.is_dir() or path.name in ("transforms.json", "transforms_train.json"):
            self.files.open_folder(path if path.is_dir() else path.parent)
        elif path.suffix.lower() in IMAGES and item and spec is not None:
            self.bench.settle_control(spec.name, item, f"file:{path}")
        elif path.suffix.lower() in IMAGES:
            takers = [s.title for s in self.bench.study.probes if _item(s)] if self.bench.study else []
            there = ", ".join(takers[:3]) or "none here does"
            self.notice(f"{path.name}: raise a probe that takes an image first ({there})", "error")
        else:
            self.notice(f"{path.name}: neither a run, a folder, an image nor a 3-D file that can be read", "error")

    def closeEvent(self, event: QCloseEvent) -> None:
        self.layouts.remember()
        self.settings.write()
        self.hide()  # now: what follows may take a moment, and whatever waits in a form is settled
        self.bench.undo.clear()  # else it says so while it is destroyed, to commands that are no more
        self.bridge.stop()
        event.accept()


def _item(spec: ProbeSpec | None) -> str:
    """The name of a probe's first control that an image can be dropped on, '' where it has none."""
    return next((name for name, control in (spec.controls if spec else {}).items() if isinstance(control, Item)), "")


def _scrolled(widget: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    body = QWidget()
    layout = QVBoxLayout(body)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(widget)
    layout.addStretch(1)
    area.setWidget(body)
    return area
