"""The engine's one thread: takes orders, advances probes, trains for a short quantum, sleeps when idle.

Torch and the studies are imported on this thread, so that whoever starts it (a window, a command) stands first.
Whatever goes wrong becomes a :class:`Failure` report; only :class:`Shutdown` ends the loop.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import messages as m
from engine.mailbox import Inbox, Outbox
from engine.params import BadValue
from engine.payloads import Payload
from engine.probes import ProbeSpec

if TYPE_CHECKING:
    from engine.session import Session

QUANTUM = 0.012
"""Seconds of training between two looks at the inbox; at least one step, and a waiting ask ends it early."""
METRICS_EVERY = 0.05
STATUS_EVERY = 0.25
HINTS_EVERY = 2.0
REFRESH_SHARE = 8.0
"""A probe redraws itself while training only after this many times its own cost, so that it costs training little."""
EVALUATE_SHARE = 25.0
EVALUATE_EVERY = 10.0
EVALUATE_ITEMS = 2000
FETCH_EVERY = 0.2


@dataclass
class _Slot:
    """One probe on screen: the ask that stands, and its answer in the making."""

    ask: m.Ask
    spec: ProbeSpec
    answer: Generator[Payload, None, None] | None
    begun: float
    spent: float = 0.0
    done_at: float = 0.0
    done_step: int = -1
    index: int = 0


class Engine(threading.Thread):
    """Start it, post to ``inbox``, drain ``outbox`` when ``wake`` is called (on the engine's thread)."""

    def __init__(self, wake: Callable[[], None], threads: int | None = None, package: str = "engine.studies") -> None:
        super().__init__(name="engine", daemon=True)
        self.inbox = Inbox()
        self.outbox = Outbox(wake)
        self._threads = threads
        self._package = package
        self._session: Session | None = None
        self._slots: dict[str, _Slot] = {}
        self._epoch = 0
        self._target: int | None = None
        self._training = False
        self._per_second: float | None = None
        self._next_step_at = 0.0
        self._autosave = m.AutosaveTo("")
        self._saved_at = 0.0
        self._saved_step = -1
        self._evaluation: Generator[float, None, dict[str, float]] | None = None
        self._evaluation_spent = 0.0
        self._evaluated_at = 0.0
        self._evaluated_step = -1
        self._evaluate_all = False
        self._evaluating_all = False
        self._metrics_at = self._status_at = self._hints_at = 0.0
        self._hints_step = -1
        self._busy = 0.0
        self._busy_since = time.perf_counter()
        self._steps_since = 0
        self._rate = 0.0
        self._last_status: m.Status | None = None
        self._fetch: Generator[str, None, None] | None = None
        self._fetching = ""
        self._fetched_at = 0.0

    # ---- the loop ----

    def run(self) -> None:
        self._status("starting", "loading torch and the studies")
        try:
            self._start_up()
        except Exception as e:  # noqa: BLE001  # a broken installation is told in the window, not on a console
            self.outbox.put(self._failure(e, "engine", "The engine could not start"))
            return
        while self._turn():
            pass

    def _start_up(self) -> None:
        import torch

        from engine import data, registry

        # One thread a core: on two cores that trains half as fast again as one thread and the window keeps its pace
        # because the interpreter lock is handed over every 0.5 ms (set by whoever owns the window).
        torch.set_num_threads(self._threads or os.cpu_count() or 1)
        torch.ones(8, 8).mm(torch.ones(8, 8))
        self._registry = registry.find(self._package)
        for key, error in self._registry.errors.items():
            self.outbox.put(m.Notice(f"study {key} could not be loaded: {error}", "error"))
        self.outbox.put(m.Catalogue(self._registry.declarations(), data.options()))
        self._status("idle")

    def _turn(self) -> bool:
        """One round of the loop; False after a Shutdown."""
        begun = time.perf_counter()
        while (order := self.inbox.take_order()) is not None:
            if isinstance(order, m.Shutdown):
                self._shut_down()
                return False
            self._guard(lambda order=order: self._obey(order), "engine", "The order could not be carried out")  # type: ignore[misc]
        for ask in self.inbox.take_asks():
            self._guard(lambda ask=ask: self._begin(ask), "probe", "The probe cannot be asked", ask.slot, ask.seq)  # type: ignore[misc]
        answering = self._advance_slots()
        if self._training:
            self._train_quantum()
        evaluating = self._advance_evaluation()
        now = time.perf_counter()
        self._report(now)
        self._busy += now - begun
        if not (answering or evaluating or self._training):
            self.inbox.wait(0.25 if self._session is not None or self._fetch else None)
        elif self._training and self._per_second and not (answering or evaluating):
            self.inbox.wait(max(0.0, min(0.25, self._next_step_at - time.perf_counter())))
        elif answering and not (self._training or evaluating) and not self._any_ready():
            self.inbox.wait(0.005)  # a full timeline: the reader has to empty it first
        return True

    def _guard(self, do: Callable[[], None], where: str, title: str, slot: str = "", seq: int = 0) -> None:
        """Runs ``do``; what it raises becomes a Failure with one clear line, and memory is given back."""
        try:
            do()
        except Exception as e:  # noqa: BLE001  # failures are values: the window survives whatever a study raises
            self.outbox.put(self._failure(e, where, title, slot, seq))

    def _failure(self, e: BaseException, where: str, title: str, slot: str = "", seq: int = 0) -> m.Failure:
        import traceback

        reason, advice = str(e) or type(e).__name__, ""
        if isinstance(e, KeyError) and e.args:
            reason = str(e.args[0])
        if out_of_memory(e):
            if self._session is not None:
                self._session.free()
            title, reason = "Out of memory", reason.splitlines()[0]
            advice = "Lower the batch, the width or the picture's size, then go on; the weights are as they were."
        elif not expected(e):
            reason = f"{type(e).__name__}: {reason.splitlines()[0]}"
            advice = "This is a fault of the study; the log has the details."
        detail = "".join(traceback.format_exception(e))
        return m.Failure(where, title, reason, advice, slot, self._epoch, seq, False, detail, not expected(e))

    # ---- orders ----

    def _obey(self, order: m.Order) -> None:
        match order:
            case m.Open():
                self._open(order)
            case m.Train():
                self._train(order)
            case m.Pause():
                self._pause()
            case m.SetKnob():
                session = self._need_session()
                value = session.set_knob(order.name, order.value)
                if session.run is not None:
                    session.run.log(f"step {session.step}: knob {order.name} set to {value}")
            case m.AutosaveTo():
                self._autosave = order
            case m.Save():
                if self._ensure_run():
                    self._save()
            case m.LoadSnapshot():
                self._load_snapshot(order.step)
            case m.Evaluate():
                self._evaluate_all = not self._need_session().spoilt
            case m.Cancel(slot=""):
                if self._fetch is not None:
                    self._end_fetch(m.Notice(f"{self._fetching}: cancelled"))
            case m.Cancel() | m.Forget():
                self._slots.pop(order.slot, None)
            case m.FetchData():
                self._start_fetch(order.key)
            case m.ListRuns():
                from engine.formats.runs import recent

                self.outbox.put(m.Runs(recent(Path(order.folder))))
            case m.Export():
                from engine.formats.export import write

                self._guard(lambda: self._export(write, order), "export", f"{Path(order.path).name} was not written")

    def _export(self, write: Callable[..., None], order: m.Export) -> None:
        write(order.path, order.payloads)
        self.outbox.put(m.Notice(f"saved {order.path}"))

    def _need_session(self) -> Session:
        if self._session is None:
            raise BadValue("no study is open; choose one in the catalogue")
        return self._session

    def _open(self, order: m.Open) -> None:
        """Closes what is open and builds the new one; on failure nothing is open and the reason is reported."""
        self._close_session()
        self._epoch = order.epoch
        self._status("building", "loading data")
        try:
            self._session = self._build(order)
        except Exception as e:  # noqa: BLE001  # whatever a file or study raises is told where its picture would be
            self.outbox.put(self._failure(e, "open", "The study could not be opened"))
            return
        finally:
            self._status("idle")
        self._announce()

    def _build(self, order: m.Open) -> Session:
        from engine import data
        from engine.opening import build

        options = {option.key: option for option in data.options()}
        return build(self._registry, order, options, self._progress, self.inbox.has_open)

    def _announce(self) -> None:
        from engine.opening import opened, preview

        session = self._need_session()
        self.outbox.put(opened(session, self._epoch))
        if session.source is not None:
            self.outbox.put(preview(session, self._epoch))
        else:  # the preview tells what was wrong with the run; without data there is none
            for line in session.complaints:
                self.outbox.put(m.Notice(line, "warning"))
        self._evaluated_step = self._hints_step = -1
        self._saved_step = session.step if session.run is not None else -1
        self._send_hints()

    def _train(self, order: m.Train) -> None:
        session = self._need_session()
        if not type(session.study).declaration(session.key).trains:
            raise BadValue("this study has nothing to train")
        if session.spoilt:
            raise BadValue("the weights are not finite numbers; go back to an earlier snapshot or restart")
        self._target = session.target = None if order.steps is None else session.step + order.steps
        if self._evaluating_all:  # half of it would be of other weights than the rest: begin again when they stand still
            self._evaluation, self._evaluating_all = None, False
        self._per_second = order.per_second
        self._next_step_at = self._saved_at = time.perf_counter()
        if not self._ensure_run(on_new_training=True):
            return
        self._training = order.steps != 0
        if not self._training:
            self._pause()

    def _ensure_run(self, on_new_training: bool = False) -> bool:
        """Makes sure that there is a run folder if one is wanted: a new one, or a branch if training goes on from an
        earlier snapshot (so that the later ones stay). False if it could not be made, which has been reported."""
        session = self._need_session()
        try:
            if session.run is not None and on_new_training:
                later = [s for s in session.run.snapshots() if s > session.step]
                if later:
                    from engine.opening import branch

                    branch(session)
                    self.outbox.put(m.Notice(f"training goes on from step {session.step} in {session.run.folder}"))
                    self._report_saved()
            if session.run is None and self._autosave.folder:
                session.start_run(Path(self._autosave.folder))
                self._report_saved()
        except Exception as e:  # noqa: BLE001  # a full or read-only disk must not take the window along
            self.outbox.put(self._failure(e, "save", "The run folder could not be made"))
            return False
        return True

    def _load_snapshot(self, step: int) -> None:
        session = self._need_session()
        if session.run is None:
            raise BadValue("this run has no snapshots yet; train first")
        if session.step > max(session.run.snapshots(), default=0) and not session.spoilt:
            self._save()
        self._training = False
        state, _, _ = session.run.load(session.key, step)
        session.load_state(state)
        self._announce()

    # ---- training ----

    def _train_quantum(self) -> None:
        session = self._need_session()
        if self._per_second and time.perf_counter() < self._next_step_at:
            return
        end = time.perf_counter() + QUANTUM
        try:
            while True:
                session.train_step()
                self._steps_since += 1
                if self._target is not None and session.step >= self._target:
                    self._flush_metrics()
                    self._pause()
                    return
                if self._per_second:
                    self._next_step_at = time.perf_counter() + 1.0 / self._per_second
                    return
                if self.inbox.pending or time.perf_counter() >= end:
                    return
        except Exception as e:  # noqa: BLE001  # a failing step stops this training and says why
            self._training = False
            self.outbox.put(self._failure(e, "train", f"Training stopped at step {session.step}"))

    def _pause(self) -> None:
        """Stops, saves and settles: the pictures and figures on screen become those of the last step."""
        was = self._training
        self._training = False
        self._flush_metrics()
        session = self._session
        if session is not None and was and session.step != self._saved_step and session.run and not session.spoilt:
            self._save()

    def _flush_metrics(self) -> None:
        from engine.session import Diverged

        session = self._session
        if session is None:
            return
        try:
            points = session.read_metrics()
        except Diverged as e:
            self._training = self._evaluate_all = False
            held = f"step {session.run.snapshots()[-1]}" if session.run and session.run.snapshots() else "the start"
            advice = f"Go back to the last good snapshot ({held}) and lower the learning rate, or restart."
            self.outbox.put(m.Failure("train", "Training diverged", str(e), advice, epoch=self._epoch, diverged=True))
            return
        except Exception as e:  # noqa: BLE001  # a study may return what cannot be stacked; a disk may be full
            self._training = False
            self.outbox.put(self._failure(e, "train", f"Training stopped at step {session.step}"))
            return
        if points:
            self.outbox.put(m.Metrics(self._epoch, points))

    def _save(self) -> None:
        session = self._need_session()
        try:
            self._saved_step = session.save()
            self._saved_at = time.perf_counter()
            self._report_saved()
        except Exception as e:  # noqa: BLE001  # a full disk is told; training goes on
            self._saved_at = time.perf_counter()
            self.outbox.put(self._failure(e, "save", "The snapshot was not saved"))

    def _report_saved(self) -> None:
        session = self._need_session()
        if session.run is not None:
            steps = session.run.snapshots()
            self.outbox.put(m.Saved(self._epoch, str(session.run.folder), session.step, steps))

    # ---- probes ----

    def _begin(self, ask: m.Ask) -> None:
        if ask.epoch != self._epoch or self._session is None:
            return
        spec = self._session.spec(ask.probe)
        dragging = ask.phase == "drag"
        answer = self._session.answer(ask.probe, ask.values, dragging)
        self._slots[ask.slot] = _Slot(ask, spec, answer, time.perf_counter())

    def _any_ready(self) -> bool:
        return any(s.answer is not None and self.outbox.has_room(name) for name, s in self._slots.items())

    def _advance_slots(self) -> bool:
        """One advance of every answer in the making; whether there was any. Starts redraws that are due."""
        session = self._session
        if session is None:
            return False
        active = False
        for name, slot in list(self._slots.items()):
            if slot.answer is None and self._refresh_due(slot, session.step):
                slot.answer = session.answer(slot.ask.probe, slot.ask.values)
                slot.begun, slot.spent, slot.index = time.perf_counter(), 0.0, 0
            if slot.answer is None:
                continue
            active = True
            if slot.spec.timeline and not self.outbox.has_room(name):
                continue
            self._advance(name, slot, session)
        return active

    def _refresh_due(self, slot: _Slot, step: int) -> bool:
        if slot.spec.refresh is None or slot.spec.timeline or slot.done_step == step:
            return False
        wait = max(slot.spec.refresh, REFRESH_SHARE * slot.spent) if self._training else 0.0
        return time.perf_counter() - slot.done_at >= wait

    def _advance(self, name: str, slot: _Slot, session: Session) -> None:
        begun = time.perf_counter()
        try:
            assert slot.answer is not None
            payload = next(slot.answer, None)
        except Exception as e:  # noqa: BLE001  # a failing probe shows a card where its picture would be
            slot.answer, slot.done_step, slot.done_at = None, session.step, begun
            slot.spent = time.perf_counter() - begun
            self.outbox.put(self._failure(e, "probe", f"{slot.spec.title} has no answer", name, slot.ask.seq))
            return
        now = time.perf_counter()
        slot.spent += now - begun
        if payload is None or not slot.spec.timeline:
            slot.answer, slot.done_at, slot.done_step = None, now, session.step
        if payload is None:
            return
        slot.index += 1
        total = getattr(payload, "total", 1)
        picture = m.Picture(
            name,
            slot.ask.epoch,
            slot.ask.seq,
            slot.ask.probe,
            payload,
            session.step,
            slot.ask.phase,
            done=slot.index >= total,
            progress=min(1.0, slot.index / max(total, 1)),
            seconds=now - slot.begun,
        )
        if slot.spec.timeline:
            self.outbox.put_frame(picture)
        else:
            self.outbox.put_picture(picture)

    def _send_hints(self) -> None:
        session = self._need_session()
        self._hints_step = session.step
        self._hints_at = time.perf_counter()

        def send() -> None:
            hints = session.hints()
            if hints:
                self.outbox.put(m.Hints(self._epoch, hints))

        self._guard(send, "probe", "The latent code could not be measured")

    def _advance_evaluation(self) -> bool:
        """Held-out figures now and then while training and after it stops, over the first items or, where an order
        asks for it, all; one batch an advance."""
        session = self._session
        if session is None:
            return False
        whole = self._evaluate_all and not self._training
        begun = time.perf_counter()
        if whole and not self._evaluating_all:
            self._begin_evaluation(session, None)
        elif self._evaluation is None:
            wait = max(EVALUATE_EVERY, EVALUATE_SHARE * self._evaluation_spent) if self._training else 0.0
            if session.step in (0, self._evaluated_step) or session.source is None or begun - self._evaluated_at < wait:
                return False
            self._begin_evaluation(session, EVALUATE_ITEMS)
        assert self._evaluation is not None
        try:
            next(self._evaluation)
        except StopIteration as stop:
            self._end_evaluation(session, stop.value)
        except Exception as e:  # noqa: BLE001  # the held-out figures fail alone
            self._drop_evaluation()
            self.outbox.put(self._failure(e, "train", "The held-out figures could not be measured"))
        self._evaluation_spent += time.perf_counter() - begun
        return True

    def _begin_evaluation(self, session: Session, items: int | None) -> None:
        self._evaluation, self._evaluation_spent = session.evaluation(items), 0.0
        self._evaluating_all, self._evaluated_step = items is None, session.step

    def _end_evaluation(self, session: Session, values: dict[str, float]) -> None:
        whole = self._evaluating_all
        self._drop_evaluation()

        def record() -> None:
            points = session.record_held_out(values, self._evaluated_step) if values else {}
            if points:
                self.outbox.put(m.Metrics(self._epoch, points))
            if not self._training:
                session.write_summary()

        self._guard(record, "save", "The held-out figures were not saved")
        if whole:
            self.outbox.put(m.HeldOut(self._epoch, self._evaluated_step, values))

    def _drop_evaluation(self) -> None:
        self._evaluated_at = time.perf_counter()
        self._evaluation = None
        if self._evaluating_all:
            self._evaluate_all = self._evaluating_all = False

    # ---- reports ----

    def _report(self, now: float) -> None:
        session = self._session
        if self._training and now - self._metrics_at >= METRICS_EVERY:
            self._metrics_at = now
            self._flush_metrics()
        if session is not None:
            due = HINTS_EVERY if self._training else 0.0
            if session.step != self._hints_step and now - self._hints_at >= due:
                self._send_hints()
            run = session.run
            if self._training and run is not None and now - self._saved_at >= self._autosave.every_seconds:
                self._save()
        self._advance_fetch(now)
        if now - self._status_at >= STATUS_EVERY:
            span = now - self._busy_since
            self._rate = self._steps_since / span if self._training and span > 0 else 0.0
            load = min(1.0, self._busy / span) if span > 0 else 0.0
            self._busy, self._busy_since, self._steps_since = 0.0, now, 0
            if self._fetch is None:
                self._status("training" if self._training else "idle", load=load)

    def _status(self, state: str, detail: str = "", load: float = 0.0, progress: float | None = None) -> None:
        """Sends a status unless nothing in it changed."""
        self._status_at = time.perf_counter()
        session = self._session
        step = session.step if session else 0
        device, used = "", 0
        if session is not None:
            from engine.session import device_name, memory

            device, used = device_name(session.device), memory(session.device)
        status = m.Status(
            self._epoch, state, step, self._target, self._rate, round(load, 2), used, device, detail, progress
        )
        if status != self._last_status:
            self._last_status = status
            self.outbox.put(status)

    def _progress(self, part: float, text: str) -> None:
        self._status("building", text, progress=part)

    # ---- fetching data ----

    def _start_fetch(self, key: str) -> None:
        if self._fetch is not None:
            raise BadValue(f"{self._fetching} is being fetched; cancel it or wait")
        from engine import data

        self._fetch, self._fetching = data.fetching(key), key

    def _advance_fetch(self, now: float) -> None:
        """A look at the download, which goes on by itself; a few times a second is enough."""
        if self._fetch is None or now - self._fetched_at < FETCH_EVERY:
            return
        self._fetched_at = now
        try:
            self._status("fetching", next(self._fetch))
        except StopIteration:
            self._end_fetch(m.Notice(f"{self._fetching}: fetched"))
        except Exception as e:  # noqa: BLE001  # whatever the network raises is told in one line
            self._end_fetch(self._failure(e, "data", f"{self._fetching} was not fetched"))

    def _end_fetch(self, last: m.Report) -> None:
        from engine import data

        if self._fetch is not None:
            self._fetch.close()
        self._fetch = None
        self.outbox.put(last)
        self.outbox.put(m.Catalogue(self._registry.declarations(), data.options()))
        self._status("idle")

    # ---- the end ----

    def _close_session(self) -> None:
        session, self._session = self._session, None
        self._slots.clear()
        self._evaluation = None
        self._training = self._evaluate_all = self._evaluating_all = False
        if session is None:
            return
        run = session.run
        if run is not None:
            self._guard(lambda: self._last_save(session), "save", "The last snapshot was not saved")
            run.close()

    def _last_save(self, session: Session) -> None:
        """Keeps what was trained since the last snapshot, unless it is spoilt."""
        session.read_metrics()
        if session.step > self._saved_step and session.run is not None and not session.spoilt:
            session.save()

    def _shut_down(self) -> None:
        if self._fetch is not None:
            self._fetch.close()
        self._close_session()


def out_of_memory(e: BaseException) -> bool:
    """Whether ``e`` says that memory ran out: Python's, torch's on a GPU, or torch's CPU allocator's."""
    torch: Any = sys.modules.get("torch")
    if isinstance(e, MemoryError) or (torch is not None and isinstance(e, torch.OutOfMemoryError)):
        return True
    return isinstance(e, RuntimeError) and "can't allocate memory" in str(e)


def expected(e: BaseException) -> bool:
    """Whether the message was written for the person: a bad value, file, run or data set."""
    kinds = {"BadValue", "DataError", "RunError", "OpenError", "ExportError"}
    return bool(kinds & {cls.__name__ for cls in type(e).__mro__})
