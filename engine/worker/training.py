"""Trains in short quanta, at full speed or in slow motion, up to a step or until told otherwise."""

from __future__ import annotations

import time

from engine import messages as m
from engine.params import BadValue
from engine.worker.desk import Desk
from engine.worker.records import Records

QUANTUM = 0.012
"""Seconds of training between two looks at the inbox; at least one step, and a waiting ask ends it early."""
LONG_STEP = 0.012
"""Steps that take longer than this many seconds wait while the hand drags: a picture that had to wait for one would
come too late for the eye."""
HAND_RESTS = 0.06
"""Seconds after the last drag ask until training goes on."""
PRESSED = 0.2
"""Seconds after a mouse button went down for which they wait too: a click is over in about half of that."""
HELD_STEPS = 40.0
"""A dragging hand holds training up for this many times a step's own seconds, then one step is taken, so that training
never stands still: only one move in forty meets a step."""
HELD_AT_MOST = 4.0
"""Seconds for which it does so at most, however long a step is."""


class Trainer:
    """``target`` is the step that training is to reach, None without end; ``steps`` counts all that were taken and
    ``seconds`` their time, ``changes`` how often training began or ended, ``step_seconds`` is what the last one took.
    """

    def __init__(self, desk: Desk, records: Records) -> None:
        self._desk = desk
        self._records = records
        self.target: int | None = None
        self.steps = 0
        self.seconds = 0.0
        self.changes = 0
        self._pause_between = 0.0
        self._next_at = 0.0
        self._hand_until = float("-inf")
        self._stepped_at = float("-inf")
        self.step_seconds = 0.0

    def hand_moves(self, rests: float = HAND_RESTS) -> None:
        """A drag ask came: its picture, and the next one's within ``rests`` seconds, must not wait for a long step. Not
        told of asks that only follow a camera: those take turns with training (:mod:`engine.worker.slots`)."""
        self._hand_until = max(self._hand_until, time.perf_counter() + rests)

    def train(self, order: m.Train) -> None:
        """Begins to train, or changes how; BadValue if that is not possible."""
        session = self._desk.need_session()
        if not session.trains:
            raise BadValue("this study has nothing to train")
        if session.spoilt:
            raise BadValue("the weights are not finite numbers; go back to an earlier snapshot or restart")
        self.target = session.target = None if order.steps is None else session.step + order.steps
        self._pause_between = 1.0 / order.per_second if order.per_second else 0.0
        self._next_at = time.perf_counter()
        if not self._desk.training:
            self._records.begin_training()
        self._desk.training = not session.spoilt
        self.changes += 1
        if self.target is not None and session.step >= self.target:
            self.pause()

    def pause(self) -> None:
        """Stops and settles: what was trained is read and saved."""
        was, self._desk.training = self._desk.training, False
        self.changes += was
        if was:
            self._records.keep()

    def wait(self) -> float | None:
        """Seconds until the next step is due; None while nothing is trained."""
        if not self._desk.training:
            return None
        now = time.perf_counter()
        due = self._next_at if self._pause_between else now
        if self.step_seconds > LONG_STEP:
            held = min(HELD_AT_MOST, HELD_STEPS * self.step_seconds)
            due = max(due, min(self._hand_until, self._stepped_at + held))
        return max(0.0, due - now)

    def quantum(self) -> None:
        """Some steps, if any is due. A failing one stops this training and says why."""
        if self.wait() != 0.0:
            return
        session, inbox = self._desk.need_session(), self._desk.inbox
        begun, before = time.perf_counter(), self.steps
        end = begun + QUANTUM
        last = self.target if self.target is not None else -1
        try:
            while True:
                session.train_step()
                self.steps += 1
                if session.step == last or self._pause_between or inbox.pending or time.perf_counter() >= end:
                    break
        except Exception as e:  # noqa: BLE001  # whatever a study's step raises stops this training, nothing else
            self._desk.training = False
            self._desk.fail(e, "train", f"Training stopped at step {session.step}")
            self._records.read()  # the metrics of the steps before
            return
        self._stepped_at = time.perf_counter()
        self.seconds += self._stepped_at - begun
        self.step_seconds = (self._stepped_at - begun) / (self.steps - before)
        if self._pause_between:
            self._next_at = time.perf_counter() + self._pause_between
        if session.step == last:
            self.pause()
