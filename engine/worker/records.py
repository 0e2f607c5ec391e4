"""What training leaves behind: metrics read, sent and written; the run folder and its snapshots."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import messages as m
from engine.params import BadValue
from engine.worker.desk import Desk

if TYPE_CHECKING:
    from engine.formats.runs import Points
    from engine.session import Diverged

METRICS_EVERY = 0.05


class Records:
    """The books of the open session. A disk that refuses is told of and does not stop training."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._autosave = m.AutosaveTo("")
        self._used = False
        self._read_at = self._saved_at = 0.0

    def autosave_to(self, order: m.AutosaveTo) -> None:
        self._autosave, self._used = order, False

    # ---- metrics ----

    def tick(self, now: float) -> None:
        """While training: reads the metrics and saves when it is time to."""
        if not self._desk.training:
            return
        if now - self._read_at >= METRICS_EVERY:
            self._read_at = now
            self.read()
        if now - self._saved_at >= self._autosave.every_seconds and self._desk.need_session().run is not None:
            self.save()

    def read(self) -> None:
        """Sends and writes the metrics since the last time; one that is not finite stops training."""
        from engine.session import Diverged

        session = self._desk.need_session()
        try:
            points = session.read_metrics()
        except Diverged as e:
            self.publish(e.points)
            self._diverged(e)
        except Exception as e:  # noqa: BLE001  # a study may return what is no metric
            self._desk.training = False
            self._desk.fail(e, "train", f"Training stopped at step {session.step}")
        else:
            self.publish(points)
        self._desk.guard(self._read_marks, "save", "The marks were not written", once="marks")

    def _read_marks(self) -> None:
        session = self._desk.need_session()
        before = len(session.marks)
        try:
            session.read_marks()
        finally:  # they are shown, whatever the disk says
            if new := session.marks[before:]:
                self._desk.put(m.Marks(self._desk.epoch, new))
                for mark in new:
                    self._desk.put(m.Notice(f"step {mark.step:,}: {mark.text}"))

    def publish(self, points: Points) -> None:
        """Sends points of the curves and writes them into the run."""
        if points:
            session = self._desk.need_session()
            self._desk.put(m.Metrics(self._desk.epoch, points))
            self._desk.guard(lambda: session.log_points(points), "save", "The metrics were not written", once="metrics")

    def _diverged(self, e: Diverged) -> None:
        self._desk.training = False
        run = self._desk.need_session().run
        steps = run.snapshots() if run is not None else ()
        last = f"go back to the last good snapshot, step {steps[-1]}, and lower the learning rate, or " if steps else ""
        advice = f"{last}restart".capitalize() + "."
        self._desk.put(
            m.Failure("train", "Training diverged", str(e), advice, epoch=self._desk.epoch, diverged=True)
        )  # fmt: skip

    # ---- directions ----

    def keep_directions(self, order: m.KeepDirections) -> None:
        """Takes the directions of now; the run, once there is one, holds them from then on."""
        from engine.formats.directions import NAME, write

        session = self._desk.need_session()
        if order.directions == session.directions:
            return
        session.directions = order.directions
        if session.run is not None:
            write(session.run.folder / NAME, order.directions)

    # ---- snapshots ----

    def begin_training(self) -> None:
        """Makes sure that there is a run folder if one is wanted: a new one, or a branch if training goes on from an
        earlier snapshot, so that the later ones stay."""
        self._saved_at = time.perf_counter()
        self._desk.guard(self._make_room, "save", "The run folder could not be made")

    def _make_room(self) -> None:
        session = self._desk.need_session()
        if session.run is not None and not session.trained:
            if any(step > session.step for step in session.run.snapshots()):
                from engine.opening import branch

                branch(session)
                self._desk.put(m.Notice(f"training goes on from step {session.step} in {session.run.folder}"))
                self._report()
            else:
                session.run.truncate_metrics(session.step)
        self._start_run()

    def _start_run(self) -> None:
        session = self._desk.need_session()
        if session.run is None and self._autosave.folder:
            self._used = True
            session.start_run(Path(self._autosave.folder))
            self._report()

    def save_now(self) -> None:
        """Writes a snapshot because somebody wants it; raises what stands in the way."""
        session = self._desk.need_session()
        self.read()
        self._start_run()
        session.save()
        self._report()

    def keep(self) -> None:
        """Writes a snapshot if the run lacks the present weights."""
        session = self._desk.session
        if session is not None:
            self.read()
            if session.unsaved:
                self.save()

    def save(self) -> None:
        """Writes a snapshot; a disk that refuses is told of once and tried again at the next time."""
        from engine.session import Diverged

        session = self._desk.need_session()
        self.read()  # what is not finite there must not be saved
        if session.spoilt:
            return
        try:
            session.save()
        except Diverged as e:
            self._diverged(e)
        except Exception as e:  # noqa: BLE001  # a full or read-only disk must not take the training along
            self._desk.fail(e, "save", "The snapshot was not saved", once="snapshot")
        else:
            self._desk.fine("snapshot")
            self._report()
        self._saved_at = time.perf_counter()

    def _report(self) -> None:
        session = self._desk.need_session()
        if session.run is not None:
            steps = session.run.snapshots()
            self._desk.put(m.Saved(self._desk.epoch, str(session.run.folder), session.step, steps))

    def read_snapshot(self, step: int) -> dict[str, Any]:
        """The state in a snapshot of the open run; BadValue or RunError where there is none."""
        session = self._desk.need_session()
        if session.run is None:
            raise BadValue("this run has no snapshots yet; train first")
        state, _, _ = session.run.load(session.key, step)
        return state

    def take_snapshot(self, state: dict[str, Any]) -> None:
        """Puts a state of :meth:`read_snapshot` in the place of the present weights; BadValue if it does not fit."""
        session = self._desk.need_session()
        try:
            session.load_state(state)
        except ValueError as e:
            raise BadValue(str(e)) from None
        session.saved_step = session.step

    def close(self) -> None:
        """Keeps what was trained since the last snapshot, unless it is spoilt, and lets go of the folder."""
        session = self._desk.session
        if session is not None:
            self._desk.guard(self.keep, "save", "The last snapshot was not saved")
            if session.run is not None:
                self._desk.guard(session.run.close, "save", "The metrics were not written", once="metrics")
        if self._used:  # that folder was the closed session's
            self._autosave, self._used = m.AutosaveTo("", self._autosave.every_seconds), False
