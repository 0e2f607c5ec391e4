"""What the engine measures of the present weights on its own: hints for the sliders and held-out figures."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING

from engine import messages as m
from engine.worker.desk import Desk
from engine.worker.records import Records

if TYPE_CHECKING:
    from engine.session import Session

HINTS_EVERY = 2.0
EVALUATE_EVERY = 10.0
EVALUATE_ITEMS = 2000
SHARE = 100.0
"""While training, each measurement waits this many times its own cost: it takes at most a hundredth of the time."""


class Measurements:
    """Done now and then while training, and at once when the weights have come to rest."""

    def __init__(self, desk: Desk, records: Records) -> None:
        self._desk = desk
        self._records = records
        self._whole_wanted = False
        self.renew()

    def renew(self) -> None:
        """Other weights are open: all is to be measured anew."""
        self._hints_version = self._version = -1
        self._hints_at = self._hints_cost = 0.0
        self._running: Generator[float, None, dict[str, float]] | None = None
        self._whole = False
        self._step = 0
        self._spent = self._ended_at = 0.0
        self._broken = False

    def clear(self) -> None:
        """Nothing is open any more."""
        self._whole_wanted = False
        self.renew()

    def evaluate_all(self) -> None:
        """Wants figures of the whole held-out part as soon as training stands still."""
        self._whole_wanted = not self._desk.need_session().spoilt

    @property
    def busy(self) -> bool:
        return self._running is not None

    def tick(self, now: float) -> None:
        """Measures the hints if it is time to."""
        session = self._desk.session
        if session is None or session.spoilt or session.weights_version == self._hints_version:
            return
        if not self._desk.training or now - self._hints_at >= max(HINTS_EVERY, SHARE * self._hints_cost):
            self._hints_version = session.weights_version
            begun = time.perf_counter()
            self._desk.guard(self._send_hints, "engine", "The latent code could not be measured", once="hints")
            self._hints_at = time.perf_counter()
            self._hints_cost = self._hints_at - begun

    def _send_hints(self) -> None:
        hints = self._desk.need_session().hints()
        if hints:
            self._desk.put(m.Hints(self._desk.epoch, hints))

    # ---- the held-out part ----

    def advance(self, now: float) -> None:
        """One batch of an evaluation, if one is under way or due."""
        session = self._desk.session
        if session is None:
            return
        if session.spoilt:
            self._running, self._whole_wanted = None, False
            return
        changed = session.weights_version != self._version
        if changed and (self._whole or not self._desk.training):
            self._running = None  # half of it would be of other weights than the rest
        if self._whole_wanted and not self._desk.training:
            if self._running is None or not self._whole:
                self._begin(session, whole=True)
        elif self._running is None and changed and self._due(session, now):
            self._begin(session, whole=False)
        if self._running is not None:
            self._advance(session)

    def _due(self, session: Session, now: float) -> bool:
        if session.source is None or session.step == 0 or self._broken:
            return False
        wait = max(EVALUATE_EVERY, SHARE * self._spent) if self._desk.training else 0.0
        return now - self._ended_at >= wait

    def _begin(self, session: Session, whole: bool) -> None:
        self._running = session.evaluation(None if whole else EVALUATE_ITEMS)
        self._whole, self._spent = whole, 0.0
        self._version, self._step = session.weights_version, session.step

    def _advance(self, session: Session) -> None:
        assert self._running is not None
        begun = time.perf_counter()
        try:
            next(self._running)
        except StopIteration as end:
            self._end(session, end.value)
        except Exception as e:  # noqa: BLE001  # the held-out figures fail alone
            self._broken = True  # it would fail every time: not again before other weights are open
            self._running, self._whole_wanted = None, False
            self._desk.fail(e, "engine", "The held-out figures could not be measured")
        self._ended_at = time.perf_counter()
        self._spent += self._ended_at - begun

    def _end(self, session: Session, values: dict[str, float]) -> None:
        self._running = None
        points = session.record_held_out(values, self._step) if values else {}
        if points and (session.trained or self._whole):
            self._records.publish(points)
        elif points:  # a run that is only looked at is not written to
            self._desk.put(m.Metrics(self._desk.epoch, points))
        if not self._desk.training and (session.trained or self._whole):
            self._desk.guard(session.write_summary, "save", "The held-out figures were not saved", once="summary")
        if self._whole:
            self._whole_wanted = self._whole = False
            self._desk.put(m.HeldOut(self._desk.epoch, self._step, values))
