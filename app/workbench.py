"""What is open and where the hand has put it: the GUI's side of a study. Knows messages, no widget.

Every change of a knob or control goes through here: it is sent to the engine, can be undone, and is announced to all
forms and views that show it. Orders go out as they come; asks carry the newest values of their probe.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack

from app.bridge import Bridge
from engine import messages as m
from engine.params import BadValue
from engine.probes import Latent
from engine.study import DataOption, Declaration

SETTLED_AFTER = 0.6
"""Seconds after an order in which the engine's word on whether it trains may still be of before."""


class Workbench(QObject):
    """Signals carry the engine's reports of the present epoch; older ones have been dropped."""

    catalogue_changed = Signal(object)  # messages.Catalogue
    opening = Signal(str)  # what is being opened
    opened = Signal(object)  # messages.Opened
    picture = Signal(object)  # messages.Picture
    failed = Signal(object)  # messages.Failure
    metrics = Signal(object)  # messages.Metrics
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
        self._starts: dict[tuple[str, str], Any] = {}
        self._ordered_at = 0.0
        self._seq = 0
        self._sent: dict[int, float] = {}
        for kind, handler in (
            (m.Catalogue, self._on_catalogue), (m.Opened, self._on_opened), (m.Picture, self._on_picture),
            (m.Failure, self._on_failure), (m.Metrics, self._on_metrics), (m.Hints, self._on_hints),
            (m.Status, self._on_status), (m.DataPreview, self._on_preview), (m.Saved, self._on_saved),
            (m.Runs, self.runs_listed.emit), (m.Notice, self._on_notice),
        ):  # fmt: skip
            bridge.on(kind, handler)  # type: ignore[arg-type]  # each handler takes its own kind

    # ---- opening ----

    def open_study(self, key: str, data: str = "", folder: str = "", knobs: Mapping[str, Any] | None = None) -> None:
        """Builds a study afresh, with its default knobs unless given."""
        declaration = self.studies.get(key)
        if declaration is None or declaration.error:
            self.noticed.emit(declaration.error if declaration else f"there is no study {key!r}", "error")
            return
        if knobs is None and not (self.study and self.study.key == key):
            self.seed = 0
        self._open(
            m.Open(self._next_epoch(), key, data, dict(knobs or declaration.initial_knobs()), self.seed, folder,
                   self.device),
            declaration.title,
        )  # fmt: skip

    def open_run(self, path: str, keep: bool = True) -> None:
        """Opens a run folder or snapshot; a starter is opened with ``keep`` False and only read."""
        self._open(m.Open(self._next_epoch(), run=path, keep=keep, device=self.device), Path(path).name)

    def rebuild(self) -> None:
        """Builds the open study afresh with the knobs, seed and data as the forms show them."""
        if self.study is not None:
            order = m.Open(
                self._next_epoch(), self.study.key, self.data, dict(self.knobs), self.seed, self.folder, self.device
            )
            self._open(order, self.study.title)

    def choose_data(self, key: str, folder: str = "") -> None:
        """Rebuilds on other data."""
        if self.study is not None and (key, folder) != (self.data, self.folder):
            self.data, self.folder = key, folder
            self.rebuild()

    def set_seed(self, seed: int) -> None:
        """The seed that the next build starts from; at once where nothing was trained yet."""
        if seed == self.seed:
            return
        self.seed = seed
        self.seed_changed.emit(seed)
        if self.step == 0:
            self.rebuild()

    def _open(self, order: m.Open, what: str) -> None:
        self.training = False
        self.training_changed.emit(False)
        self.folder = order.folder
        self.opening.emit(what)
        self.bridge.inbox.post(order)
        if not (order.run and order.keep):
            stamp = time.strftime("%Y%m%d-%H%M%S")
            name = f"{stamp}-{order.study or Path(order.run).name}-{random.randrange(16**4):04x}"
            self.bridge.inbox.post(m.AutosaveTo(str(self.runs_root / name)))

    def _next_epoch(self) -> int:
        self.epoch += 1
        self._sent.clear()
        return self.epoch

    # ---- training ----

    def train(self, steps: int | None = None, per_second: float | None = None) -> None:
        if self.study is not None and self.study.trains:
            self._set_training(True)
            self.bridge.inbox.post(m.Train(steps, per_second))

    def pause(self) -> None:
        self.bridge.inbox.post(m.Pause())
        self._set_training(False)

    def load_snapshot(self, step: int) -> None:
        self._set_training(False)
        self.bridge.inbox.post(m.LoadSnapshot(step))

    def neighbour_snapshot(self, direction: int) -> int | None:
        """The step of the next earlier (-1) or later (+1) snapshot, if there is one."""
        steps = [s for s in self.snapshots if (s - self.step) * direction > 0]
        if not steps:
            return None
        return max(steps) if direction < 0 else min(steps)

    def _set_training(self, on: bool) -> None:
        self._ordered_at = time.perf_counter()
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
            self.undo.push(_Change(f"{name}", before, value, lambda v: self._apply_knob(name, v, announce=True)))

    def _apply_knob(self, name: str, value: Any, announce: bool) -> None:
        knob = next((k for k in (self.study.knobs if self.study else ()) if k.name == name), None)
        if knob is None:
            return
        if not announce:
            self._gesture_start("knob", name, self.knobs.get(name), keep=True)
        self.knobs[name] = value
        if knob.live:
            self.built[name] = value
            self.bridge.inbox.post(m.SetKnob(name, value))
        if announce:
            self.knob_changed.emit(name, value)
            if not knob.live and self.step == 0 and value != self.built.get(name):
                self.rebuild()  # nothing was trained yet, so nothing is lost

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
        """Latent controls are shared by all probes of the study; every other belongs to its probe."""
        spec = self.study.probe(probe) if self.study else None
        shared = spec is not None and isinstance(spec.controls.get(name), Latent)
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
            self.undo.push(_Change(f"{name}", before, value, lambda v: self._apply_control(probe, name, v)))
        else:
            self._apply_control(probe, name, value)

    def _apply_control(self, probe: str, name: str, value: Any) -> None:
        spec = self.study.probe(probe) if self.study else None
        if spec is None or name not in spec.controls:
            return
        try:
            value = spec.controls[name].check(name, value, self.built)
        except BadValue as e:
            self.noticed.emit(str(e), "error")
            return
        key = self._key(probe, name)
        self._controls[key] = value
        self.control_changed.emit(key[0], name, value)

    def probes_with(self, probe: str, name: str) -> list[str]:
        """The probes whose picture changes with this control: ``probe`` '' means a shared one."""
        if self.study is None:
            return []
        if probe:
            return [probe]
        return [spec.name for spec in self.study.probes if isinstance(spec.controls.get(name), Latent)]

    def _gesture_start(self, kind: str, name: str, now: Any, keep: bool = False) -> Any:
        """The value before the present gesture; ``keep`` while it goes on."""
        if keep:
            return self._starts.setdefault((kind, name), now)
        return self._starts.pop((kind, name), now)

    # ---- asks ----

    def ask(self, slot: str, probe: str, phase: str = "settled") -> int:
        """Puts a probe to the engine; the seq that its answer will carry."""
        self._seq += 1
        self._sent[self._seq] = time.perf_counter()
        self.bridge.inbox.ask(m.Ask(slot, self.epoch, self._seq, probe, self.values(probe), phase))
        return self._seq

    def forget(self, slot: str) -> None:
        self.bridge.inbox.post(m.Forget(slot))

    def sent_at(self, seq: int) -> float | None:
        """When the ask ``seq`` was put (perf_counter), once; None for a redraw that nobody asked for."""
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
        self.study = report.study
        self.knobs, self.built = dict(report.knobs), dict(report.knobs)
        self.seed, self.data, self.step = report.seed, report.data, report.step
        self.run, self.snapshots = report.run, report.snapshots
        self.training = False
        self._keep_fitting_controls(same)
        if not same:
            self.undo.clear()
        self.opened.emit(report)
        self.training_changed.emit(False)

    def _keep_fitting_controls(self, same: bool) -> None:
        kept: dict[tuple[str, str], Any] = {}
        if same and self.study is not None:
            for spec in self.study.probes:
                for name, control in spec.controls.items():
                    key = self._key(spec.name, name)
                    try:
                        kept[key] = control.check(name, self._controls[key], self.built)
                    except (KeyError, BadValue):
                        continue  # the code has another size now: it starts from the middle again
        self._controls = kept

    def _on_picture(self, report: m.Picture) -> None:
        if report.epoch == self.epoch:
            self.picture.emit(report)

    def _on_metrics(self, report: m.Metrics) -> None:
        if report.epoch == self.epoch:
            self.metrics.emit(report)

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
        self.failed.emit(report)

    def _on_status(self, report: m.Status) -> None:
        if report.epoch == self.epoch:
            self.step = report.step
            # A status sent before the last order was obeyed would make the button flicker.
            if time.perf_counter() - self._ordered_at > SETTLED_AFTER:
                on = report.state == "training"
                if on != self.training:
                    self.training = on
                    self.training_changed.emit(on)
        self.status.emit(report)

    def _on_notice(self, report: m.Notice) -> None:
        self.noticed.emit(report.text, report.level)


class _Change(QUndoCommand):
    """One change of a knob or control; the stack applies it when pushed, undone and redone."""

    def __init__(self, what: str, before: Any, after: Any, apply: Callable[[Any], None]) -> None:
        super().__init__(f"change of {what}")
        self._before, self._after, self._apply = before, after, apply

    def redo(self) -> None:
        self._apply(self._after)

    def undo(self) -> None:
        self._apply(self._before)
