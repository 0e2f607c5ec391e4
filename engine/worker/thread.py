"""The engine's one thread: takes orders, advances probes, trains for a short quantum, sleeps when idle.

Torch and the studies are imported on this thread, so that whoever starts it (a window, a command) stands first.
Whatever goes wrong becomes a :class:`Failure` report; only :class:`Shutdown` ends the loop.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import messages as m
from engine.mailbox import Inbox, Outbox
from engine.memory import keep_memory, one_arena
from engine.worker.desk import Desk
from engine.worker.fetching import Fetch
from engine.worker.measurements import Measurements
from engine.worker.meter import STATUS_EVERY, Meter
from engine.worker.records import Records
from engine.worker.slots import Slots
from engine.worker.training import PRESSED, Trainer
from engine.worker.warming import warm_up

if TYPE_CHECKING:
    from engine.opening import Sources

TITLES: dict[type[m.Order], tuple[str, str]] = {
    m.Open: ("open", "The study could not be opened"),
    m.Train: ("train", "Training could not begin"),
    m.SetKnob: ("knob", "The knob was not set"),
    m.Save: ("save", "The snapshot was not saved"),
    m.LoadSnapshot: ("save", "The snapshot could not be loaded"),
    m.FetchData: ("data", "The data were not fetched"),
    m.KeepDirections: ("save", "The directions were not kept with the run"),
    m.WriteDirections: ("export", "The directions were not saved"),
    m.ReadDirections: ("data", "The directions were not loaded"),
}
"""Where and as what a failing order is told."""


class Engine(threading.Thread):
    """Start it, post to ``inbox``, drain ``outbox`` when ``wake`` is called (on the engine's thread). ``warm``: while
    nothing is wanted yet, do what would make the first study that is opened wait."""

    def __init__(
        self,
        wake: Callable[[], None],
        threads: int | None = None,
        package: str = "engine.studies",
        warm: bool = False,
    ) -> None:
        super().__init__(name="engine", daemon=True)
        one_arena()
        self.inbox = Inbox()
        self.outbox = Outbox(wake, freed=self.inbox.nudge)
        self._threads = threads
        self._package = package
        self._warming: Generator[None, None, None] | None = warm_up() if warm else None
        self._desk = Desk(self.inbox, self.outbox)
        self._slots = Slots(self._desk)
        self._records = Records(self._desk)
        self._trainer = Trainer(self._desk, self._records)
        self._measurements = Measurements(self._desk, self._records)
        self._fetch = Fetch(self._desk, self._send_catalogue)
        self._meter = Meter(self._desk, self._trainer, self._fetch)
        self._sources: Sources = {}

    # ---- the loop ----

    def run(self) -> None:
        self._meter.send("starting", "loading torch and the studies")
        try:
            self._start_up()
        except Exception as e:  # noqa: BLE001  # a broken installation is told in the window, not on a console
            self._desk.fail(e, "engine", "The engine could not start")
            return
        while True:
            try:
                if not self._turn():
                    return
            except Exception as e:  # noqa: BLE001  # a fault of the engine's own must not leave a dead window
                self._desk.training = False
                self._desk.fail(e, "engine", "The engine stumbled", once="turn")
                self.inbox.wait(STATUS_EVERY)

    def _start_up(self) -> None:
        import torch

        from engine import registry
        from engine.machine import cores

        # All cores but one, which is the window's. With a thread on every core, each of torch's many short parallel
        # sections waits, spinning, for whichever thread something else has displaced: on two cores a VAE on 28 x 28
        # pictures made 24 steps/s while nothing else ran and 2 to 5 beside one busy process; one thread makes 12 to 15.
        torch.set_num_threads(self._threads or max(1, cores() - 1))
        keep_memory()
        torch.ones(8, 8).mm(torch.ones(8, 8))
        self._registry = registry.find(self._package)
        for key, error in self._registry.errors.items():
            self._desk.put(m.Notice(f"study {key} could not be loaded: {error}", "error"))
        self._send_catalogue()
        self._meter.send("idle")

    def _turn(self) -> bool:
        """One round of the loop; False after a Shutdown."""
        begun = time.perf_counter()
        while (order := self.inbox.take_order()) is not None:
            if isinstance(order, m.Shutdown):
                self._shut_down()
                return False
            where, title = TITLES.get(type(order), ("engine", "The order could not be carried out"))
            self._desk.guard(lambda order=order: self._obey(order), where, title)  # type: ignore[misc]
        for ask, came in self.inbox.take_asks():
            if ask.phase == "drag" and not self._slots.follows_camera(ask):
                self._trainer.hand_moves()
            self._slots.take(ask, came)
        self._warm()
        training = self._desk.training
        trained = self._trainer.seconds if self._trainer.wait() == 0.0 else None
        self._slots.advance(self._trainer.step_seconds if training else 0.0, trained)
        self._trainer.quantum()
        now = time.perf_counter()
        self._measurements.advance(now)
        self._records.tick(now)
        self._measurements.tick(now)
        self._fetch.tick(now)
        now = time.perf_counter()
        self._meter.tick(now, now - begun)
        rest = self._rest()
        if rest != 0.0:
            self.inbox.wait(rest)
        return True

    def _warm(self) -> None:
        if self._desk.session is not None:
            self._warming = None
        # Random numbers are drawn there too, which is harmless: every study is built from a seed of its own.
        if self._warming is not None and next(self._warming, self) is self:
            self._warming = None

    def _rest(self) -> float | None:
        """Seconds for which nothing is to be done unless somebody wants something; None for ever."""
        if self._measurements.busy or self._warming is not None:
            return 0.0
        waits = [self._trainer.wait(), self._slots.wait()]
        if self._desk.session is not None or self._fetch.active:
            waits.append(STATUS_EVERY)
        return min((wait for wait in waits if wait is not None), default=None)

    # ---- orders ----

    def _obey(self, order: m.Order) -> None:
        match order:
            case m.Open():
                self._open(order)
            case m.Train():
                self._trainer.train(order)
            case m.Pause():
                self._trainer.pause()
            case m.HandDown():
                self._trainer.hand_moves(PRESSED)
            case m.SetKnob():
                self._set_knob(order)
            case m.AutosaveTo():
                self._records.autosave_to(order)
            case m.Save():
                self._records.save_now()
            case m.LoadSnapshot():
                self._load_snapshot(order.step)
            case m.Evaluate():
                self._measurements.evaluate_all()
            case m.Cancel(slot=""):
                self._fetch.cancel()
            case m.Cancel():
                self._slots.cancel(order.slot)
            case m.Forget():
                self._slots.forget(order.slot)
            case m.FetchData():
                self._fetch.start(order.key)
            case m.ListRuns():
                from engine.formats.runs import recent

                self._desk.put(m.Runs(recent(Path(order.folder))))
            case m.KeepDirections():
                self._records.keep_directions(order)
            case m.WriteDirections() | m.ReadDirections():
                self._directions_file(order)
            case m.ReadPicture():
                self._read_picture(order.path)
            case m.Export():
                name = Path(order.path).name
                self._desk.guard(lambda: self._export(order), "export", f"{name} was not written")

    def _set_knob(self, order: m.SetKnob) -> None:
        session = self._desk.need_session()
        value = session.set_knob(order.name, order.value)
        run = session.run
        if run is not None:
            line = f"step {session.step}: knob {order.name} set to {value}"
            self._desk.guard(lambda: run.log(line), "save", "The log was not written", once="log")

    def _export(self, order: m.Export) -> None:
        from engine.formats.export import write

        write(order.path, order.payloads)
        self._desk.put(m.Notice(f"saved {order.path}"))

    def _directions_file(self, order: m.WriteDirections | m.ReadDirections) -> None:
        from engine.formats.directions import read, write

        path = Path(order.path)
        if isinstance(order, m.WriteDirections):
            write(path, order.directions)
            self._desk.put(m.Notice(f"saved {order.path}"))
        else:
            self._desk.put(m.DirectionsRead(order.path, order.control, read(path)))

    def _read_picture(self, path: str) -> None:
        from engine.data.picture import read_image
        from engine.data.source import DataError
        from engine.data.tensors import ImageTensors

        source = self._desk.session.study.source if self._desk.session is not None else None
        if isinstance(source, ImageTensors):
            c, h, w = source.shape
            with contextlib.suppress(DataError):
                self._desk.put(m.PictureRead(path, read_image(path, (h, w, c))))

    def _open(self, order: m.Open) -> None:
        """Closes what is open and builds the new one; on failure nothing is open and the reason is reported."""
        self._close_session()
        self._desk.epoch = order.epoch
        self._meter.send("building", "loading data")
        try:
            self._desk.session = self._build(order)
            self._announce()
        except Exception as e:
            from engine.data import Cancelled

            self._desk.session = None
            if not (isinstance(e, Cancelled) and self.inbox.has_open()):
                raise  # else it was given up for a newer order, as it should be
        finally:
            self._meter.send("idle")

    def _build(self, order: m.Open) -> Any:
        from engine import data
        from engine.opening import build

        options = {option.key: option for option in data.options()}
        return build(self._registry, order, options, self._meter.building, self.inbox.has_open, self._sources)

    def _announce(self) -> None:
        from engine.opening import opened, preview

        session, epoch = self._desk.need_session(), self._desk.epoch
        self._desk.put(opened(session, epoch))
        if session.source is not None:
            self._desk.put(preview(session, epoch))
        else:  # the preview tells what was wrong with the run; without data there is none
            for line in session.complaints:
                self._desk.put(m.Notice(line, "warning"))
        self._measurements.renew()
        self._measurements.tick(time.perf_counter())

    def _load_snapshot(self, step: int) -> None:
        state = self._records.read_snapshot(step)
        self._trainer.pause()
        self._records.keep()
        self._records.take_snapshot(state)
        self._announce()

    def _send_catalogue(self) -> None:
        from engine import data

        self._desk.put(m.Catalogue(self._registry.declarations(), data.options()))

    # ---- the end ----

    def _close_session(self) -> None:
        was = self._desk.session is not None
        self._slots.clear()
        self._measurements.clear()
        self._desk.training = False
        self._records.close()
        self._desk.session = None
        self._trainer.target = None
        self._desk.fine()
        if was:
            from engine.machine import give_back  # imports torch

            give_back()

    def _shut_down(self) -> None:
        self._fetch.close()
        self._desk.guard(self._close_session, "engine", "The engine did not end cleanly")
