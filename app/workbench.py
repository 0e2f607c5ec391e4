"""What is open and where the hand has put it: the GUI's side of a study. Knows messages, no widget.

Every change of a knob or control goes through here: it is sent to the engine, can be undone, and is announced to all
forms and views that show it. Orders go out as they come; asks carry the newest values of their probe. What cannot be
opened leaves what was open as it was: the engine builds that again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoStack

from app.bridge import Bridge
from app.undo import Change
from engine import messages as m
from engine.params import BadValue
from engine.study import DataOption, Declaration


class Workbench(QObject):
    """Signals carry the engine's reports of the present epoch; older ones have been dropped."""

    catalogue_changed = Signal(object)  # messages.Catalogue
    opening = Signal(str)  # what is being opened
    leaving = Signal()  # another study takes over: forms settle now what still waits, or drop it
    opened = Signal(object)  # messages.Opened
    picture = Signal(object)  # messages.Picture
    progressed = Signal(object)  # messages.Progress
    failed = Signal(object)  # messages.Failure
    metrics = Signal(object)  # messages.Metrics
    marked = Signal(object)  # messages.Marks
    hints_changed = Signal(object)  # Mapping[str, Hint]
    status = Signal(object)  # messages.Status
    preview = Signal(object)  # messages.DataPreview
    saved = Signal(object)  # messages.Saved
    runs_listed = Signal(object)  # messages.Runs
    noticed = Signal(str, str)  # text, level
    knob_changed = Signal(str, object)
    seed_changed = Signal(int)
    control_changed = Signal(str, str, object)  # probe ('' for a shared one), name, value
    training_changed = Signal(bool)

    def __init__(self, bridge: Bridge, runs_root: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.bridge = bridge
        self.runs_root = runs_root
        self.undo = QUndoStack(self)
        self.studies: dict[str, Declaration] = {}
        self.data_options: tuple[DataOption, ...] = ()
        self.study: Declaration | None = None
        self.knobs: dict[str, Any] = {}
        """What the forms show; rebuild knobs may differ from ``built``."""
        self.built: dict[str, Any] = {}
        self.seed = 0
        self.data = ""
        self.folder = ""
        self.epoch = 0
        self.step = 0
        self.training = False
        self.run = ""
        self.snapshots: tuple[int, ...] = ()
        self.hints: Mapping[str, Any] = {}
        self.device = "auto"
        self._controls: dict[tuple[str, str], Any] = {}
        self.dragging = False
        """Whether the change being announced is of a moving hand."""
        self._by_hand = False
        """Whether the asks being put are for a control that was just moved."""
        self._starts: dict[tuple[str, str], Any] = {}
        self._opening: m.Open | None = None
        """The order that the engine is still building; what is on screen is of before."""
        self._stands: m.Open | None = None
        """The order that built what is open."""
        self._late: dict[str, Any] = {}
        """Live knobs set while the same study is built again."""
        self._order_number = 0
        """Of the last order to train or stop: an older status does not know of it."""
        self._seq = 0
        self._sent: dict[int, float] = {}
        for kind, handler in (
            (m.Catalogue, self._on_catalogue), (m.Opened, self._on_opened), (m.Picture, self._on_picture),
            (m.Failure, self._on_failure), (m.Metrics, self._on_metrics), (m.Hints, self._on_hints),
            (m.Status, self._on_status), (m.DataPreview, self._on_preview), (m.Saved, self._on_saved),
            (m.Runs, self.runs_listed.emit), (m.Notice, self._on_notice), (m.Progress, self._on_progress),
            (m.Marks, self._on_marks),
        ):  # fmt: skip
            bridge.on(kind, handler)  # type: ignore[arg-type]  # each handler takes its own kind

    # ---- opening ----

    def open_study(self, key: str, data: str = "", folder: str = "", knobs: Mapping[str, Any] | None = None) -> None:
        """Builds a study afresh, with its default knobs unless given."""
        declaration = self.studies.get(key)
        if declaration is None or declaration.error:
            self.noticed.emit(declaration.error if declaration else f"there is no study {key!r}", "error")
            return
        seed = self.seed if knobs is not None or (self.study and self.study.key == key) else 0
        values = dict(declaration.initial_knobs() if knobs is None else knobs)
        self._open(m.Open(0, key, data, values, seed, folder, self.device), declaration.title)

    def open_run(self, path: str, keep: bool = True) -> None:
        """Opens a run folder or snapshot; a starter is opened with ``keep`` False and only read."""
        self._open(m.Open(0, run=path, keep=keep, device=self.device), Path(path).name)

    def rebuild(self) -> None:
        """Builds the open study afresh with the knobs and seed as the forms show them, on the data chosen last."""
        if self.study is not None:
            chosen = self._opening if self._rebuilding else self
            assert chosen is not None
            self._build_again(chosen.data, chosen.folder)

    def choose_data(self, key: str, folder: str = "") -> None:
        """Rebuilds on other data; the present ones stay if that fails."""
        if self.study is None:
            self.noticed.emit("Open a study first, then choose what it learns from.", "error")
        elif not self.study.default_data:
            self.noticed.emit(f"{self.study.title} makes its own data.", "error")
        elif (key, folder) != (self.data, self.folder) or self._opening is not None:
            self._build_again(key, folder)

    def set_seed(self, seed: int) -> None:
        """The seed that the next build starts from; at once where nothing was trained yet."""
        if seed == self.seed:
            return
        self.seed = seed
        self.seed_changed.emit(seed)
        if self.step == 0 and not self.training:
            self.rebuild()

    @property
    def _rebuilding(self) -> bool:
        """Whether the study on screen is being built again, not another one."""
        return self._opening is not None and self.study is not None and self._opening.study == self.study.key

    def _build_again(self, data: str, folder: str) -> None:
        assert self.study is not None
        order = m.Open(0, self.study.key, data, dict(self.knobs), self.seed, folder, self.device)
        self._open(order, self.study.title)

    def _open(self, order: m.Open, what: str) -> None:
        self._order_open(order)
        self._set_training(False)
        self.opening.emit(what)

    def _order_open(self, order: m.Open) -> None:
        """Posts ``order`` as the next epoch. Nothing is announced before, so that whoever hears of it may open more."""
        self.epoch += 1
        self._sent.clear()
        self._late.clear()
        self._opening = replace(order, epoch=self.epoch)
        self.bridge.inbox.post(self._opening)
        if not (order.run and order.keep):
            stamp = time.strftime("%Y%m%d-%H%M%S")
            name = f"{stamp}-{order.study or Path(order.run).name}-{random.randrange(16**4):04x}"
            self.bridge.inbox.post(m.AutosaveTo(str(self.runs_root / name)))

    def _reopen(self) -> None:
        """Opens again what the engine had closed for something that could not be opened. Once: if that fails too,
        nothing is open."""
        order, self._stands = self._stands, None
        if order is None:
            self.study = None
            self.training_changed.emit(self.training)
            return
        if self.run:
            order = m.Open(0, run=self.run, device=self.device)
        elif not order.run:
            order = replace(order, knobs=dict(self.built))
        self._order_open(order)
        if self.step in self.snapshots and self.step != max(self.snapshots):
            self.bridge.inbox.post(m.LoadSnapshot(self.step))

    # ---- training ----

    def train(self, steps: int | None = None, per_second: float | None = None) -> None:
        if self.study is not None and self.study.trains:
            self._order_training(m.Train(steps, per_second), True)

    def pause(self) -> None:
        self._order_training(m.Pause(), False)

    def load_snapshot(self, step: int) -> None:
        self._order_training(m.LoadSnapshot(step), False)

    def neighbour_snapshot(self, direction: int) -> int | None:
        """The step of the next earlier (-1) or later (+1) snapshot, if there is one."""
        steps = [s for s in self.snapshots if (s - self.step) * direction > 0]
        if not steps:
            return None
        return max(steps) if direction < 0 else min(steps)

    def _order_training(self, order: m.Order, on: bool) -> None:
        self.bridge.inbox.post(order)
        self._order_number = self.bridge.inbox.posted
        self._set_training(on)

    def _set_training(self, on: bool) -> None:
        if on != self.training:
            self.training = on
            self.training_changed.emit(on)

    # ---- knobs ----

    def move_knob(self, name: str, value: Any) -> None:
        """A live knob under the hand: applied at once, not yet a step of undo."""
        self._apply_knob(name, value, announce=False)

    def settle_knob(self, name: str, value: Any) -> None:
        """The final value of a gesture."""
        before = self._gesture_start("knob", name, self.knobs.get(name))
        if before != value:
            self.undo.push(Change(name, before, value, lambda v: self._apply_knob(name, v, announce=True)))
        elif self.knobs.get(name) != value:  # moved away and back: nothing to undo, but the last move was applied
            self._apply_knob(name, value, announce=True)

    def _apply_knob(self, name: str, value: Any, announce: bool) -> bool:
        """Whether the open study has such a knob."""
        knob = next((k for k in (self.study.knobs if self.study else ()) if k.name == name), None)
        if knob is None:
            return False
        if not announce:
            self._gesture_start("knob", name, self.knobs.get(name), keep=True)
        self.knobs[name] = value
        if knob.live:
            self.built[name] = value
            if self._opening is None:
                self.bridge.inbox.post(m.SetKnob(name, value))
            else:
                self._late[name] = value
        if announce:
            self.knob_changed.emit(name, value)
            untouched = self.step == 0 and not self.training and (self._opening is None or self._rebuilding)
            if not knob.live and untouched and value != (self._opening.knobs if self._opening else self.built)[name]:
                self.rebuild()  # nothing was trained yet, so nothing is lost
        return True

    # ---- controls ----

    def values(self, probe: str) -> dict[str, Any]:
        """The present value of every control of a probe."""
        spec = self.study.probe(probe) if self.study else None
        if spec is None:
            return {}
        return {
            name: self._controls.get(self._key(probe, name), control.initial(self.built))
            for name, control in spec.controls.items()
        }

    def _key(self, probe: str, name: str) -> tuple[str, str]:
        """Shared controls belong to all probes of the study that have them; every other belongs to its probe."""
        spec = self.study.probe(probe) if self.study else None
        shared = spec is not None and name in spec.controls and spec.controls[name].shared
        return ("" if shared else probe, name)

    def move_control(self, probe: str, name: str, value: Any) -> None:
        """A control under the hand."""
        self._gesture_start(f"control {self._key(probe, name)}", name, self.values(probe).get(name), keep=True)
        self.dragging = True
        try:
            self._apply_control(probe, name, value)
        finally:
            self.dragging = False

    def settle_control(self, probe: str, name: str, value: Any) -> None:
        """The final value of a gesture; always announced again, so that a settled answer follows the last drag."""
        before = self._gesture_start(f"control {self._key(probe, name)}", name, self.values(probe).get(name))
        if before != value:
            self.undo.push(Change(name, before, value, lambda v: self._apply_control(probe, name, v)))
        else:
            self._apply_control(probe, name, value)

    def fit_control(self, probe: str, name: str, value: Any) -> None:
        """A value that follows from what a view is, its size for instance: no step of undo."""
        self._apply_control(probe, name, value)

    def _apply_control(self, probe: str, name: str, value: Any) -> bool:
        """Whether the open study has such a control, and it takes the value."""
        spec = self.study.probe(probe) if self.study else None
        if spec is None or name not in spec.controls:
            return False
        try:
            value = spec.controls[name].check(name, value, self.built)
        except BadValue as e:
            self.noticed.emit(str(e), "error")
            return False
        key = self._key(probe, name)
        self._controls[key] = value
        self._by_hand = True
        try:
            self.control_changed.emit(key[0], name, value)
        finally:
            self._by_hand = False
        return True

    @property
    def opened_from(self) -> str:
        """The run folder or snapshot that was opened; '' for a study that was built afresh."""
        return self._stands.run if self._stands is not None else ""

    def bring_control(self, probe: str, name: str, value: Any) -> None:
        """The value that comes with what was opened: no step of undo, and nobody is told, for all of it is new."""
        self._controls[self._key(probe, name)] = value

    def shared_values(self) -> dict[str, Any]:
        """The shared controls that are not as they were at first, by name."""
        return {name: value for (probe, name), value in self._controls.items() if not probe}

    def probes_with(self, probe: str, name: str) -> list[str]:
        """The probes whose picture changes with this control: ``probe`` '' means a shared one."""
        if self.study is None:
            return []
        if probe:
            return [probe]
        return [spec.name for spec in self.study.probes if name in spec.controls and spec.controls[name].shared]

    def _gesture_start(self, kind: str, name: str, now: Any, keep: bool = False) -> Any:
        """The value before the present gesture; ``keep`` while it goes on."""
        if keep:
            return self._starts.setdefault((kind, name), now)
        return self._starts.pop((kind, name), now)

    # ---- asks ----

    def ask(self, slot: str, probe: str, phase: str = "settled") -> int:
        """Puts a probe to the engine; the seq that its answer will carry. While a study is being built nothing is
        put: the values are still those of the one before, and whoever shows the new one asks again."""
        self._seq += 1
        if self._opening is None:
            if self._by_hand:
                self._sent[self._seq] = time.perf_counter()
            self.bridge.inbox.ask(m.Ask(slot, self.epoch, self._seq, probe, self.values(probe), phase))
        return self._seq

    def forget(self, slot: str) -> None:
        self.bridge.inbox.post(m.Forget(slot))

    def sent_at(self, seq: int) -> float | None:
        """When the ask ``seq`` was put (perf_counter), once; None where no moved control was the reason for it."""
        sent = self._sent.pop(seq, None)
        for old in [s for s in self._sent if s < seq - 200]:
            del self._sent[old]  # replaced by newer asks before it was read: never answered
        return sent

    # ---- reports ----

    def _on_catalogue(self, report: m.Catalogue) -> None:
        self.studies = {d.key: d for d in report.studies}
        self.data_options = report.data
        self.catalogue_changed.emit(report)

    def _on_opened(self, report: m.Opened) -> None:
        if report.epoch != self.epoch:
            return
        same = self.study is not None and self.study.key == report.study.key
        fresh = (self.data, self.folder) != (report.data, report.folder)
        if not same and self.study is not None:
            self.leaving.emit()
        if self._opening is not None:
            self._stands, self._opening = self._opening, None
        late, self._late = (self._late if same else {}), {}
        self.study = report.study
        self.knobs, self.built = dict(report.knobs), dict(report.knobs)
        self.seed, self.data, self.folder, self.step = report.seed, report.data, report.folder, report.step
        self.run, self.snapshots = report.run, report.snapshots
        self._keep_fitting_controls(same, fresh)
        if not same:
            self.undo.clear()
            self._starts.clear()
            self.hints = {}
        self.opened.emit(report)
        for name, value in late.items():
            self._apply_knob(name, value, announce=True)
        self.training_changed.emit(self.training)

    def _keep_fitting_controls(self, same: bool, fresh: bool) -> None:
        """``same`` study, ``fresh`` data: what belongs to the ones before goes with them."""
        kept: dict[tuple[str, str], Any] = {}
        if same and self.study is not None:
            for spec in self.study.probes:
                for name, control in spec.controls.items():
                    key = self._key(spec.name, name)
                    if fresh and control.of_data:
                        continue
                    try:
                        kept[key] = control.check(name, self._controls[key], self.built)
                    except (KeyError, BadValue):
                        continue  # the code has another size now: it starts from the middle again
        self._controls = kept

    def _on_picture(self, report: m.Picture) -> None:
        if report.epoch == self.epoch:
            self.picture.emit(report)

    def _on_progress(self, report: m.Progress) -> None:
        if report.epoch == self.epoch:
            self.progressed.emit(report)

    def _on_metrics(self, report: m.Metrics) -> None:
        if report.epoch == self.epoch:
            self.metrics.emit(report)

    def _on_marks(self, report: m.Marks) -> None:
        if report.epoch == self.epoch:
            self.marked.emit(report)

    def _on_hints(self, report: m.Hints) -> None:
        if report.epoch == self.epoch:
            self.hints = report.hints
            self.hints_changed.emit(report.hints)

    def _on_preview(self, report: m.DataPreview) -> None:
        if report.epoch == self.epoch:
            self.preview.emit(report)

    def _on_saved(self, report: m.Saved) -> None:
        if report.epoch == self.epoch:
            self.run, self.snapshots = report.run, report.snapshots
            self.saved.emit(report)

    def _on_failure(self, report: m.Failure) -> None:
        if report.epoch and report.epoch != self.epoch:
            return
        if report.where == "train":
            self._set_training(False)
        unopened = report.where == "open" and self._opening is not None
        if unopened:
            self._opening = None
        self.failed.emit(report)
        if unopened and self._opening is None:
            self._reopen()

    def _on_status(self, report: m.Status) -> None:
        if report.epoch == self.epoch:
            if self._opening is None:
                self.step = report.step
            # A status from before the last order would make the button flicker; that of a fetch says nothing of it.
            if report.orders >= self._order_number and report.state in ("idle", "training"):
                self._set_training(report.state == "training")
        self.status.emit(report)

    def _on_notice(self, report: m.Notice) -> None:
        self.noticed.emit(report.text, report.level)
