"""How the engine is: what it does, how fast it trains, how busy it is, how much memory it takes."""

from __future__ import annotations

import time
from collections import deque

from engine import messages as m
from engine.worker.desk import Desk
from engine.worker.fetching import Fetch
from engine.worker.training import Trainer

STATUS_EVERY = 0.25
REPEAT_EVERY = 1.0
PROGRESS_EVERY = 0.05
RATE_SPAN = 2.0
"""Seconds over which the rate of steps is measured; shorter, and slow studies would seem to stop and go."""


class Meter:
    """Sends a status a few times a second while something in it changes, and once a second at least while a study is
    open: whoever missed one is soon told again. At once when training begins or ends."""

    def __init__(self, desk: Desk, trainer: Trainer, fetch: Fetch) -> None:
        self._desk = desk
        self._trainer = trainer
        self._fetch = fetch
        self._looked_at = self._sent_at = 0.0
        self._last: m.Status | None = None
        self._changes = (0, False)
        self._busy = 0.0
        self._since = time.perf_counter()
        self._load = 0.0
        self._marks: deque[tuple[float, int]] = deque()

    def tick(self, now: float, busy: float) -> None:
        """``busy`` seconds more were spent computing."""
        self._busy += busy
        changes = (self._trainer.changes, self._desk.training)  # what stops for a failure does so by itself
        if changes == self._changes and now - self._looked_at < STATUS_EVERY:
            return
        self._looked_at = now
        if changes != self._changes:
            self._changes = changes
            self._marks.clear()
        if now - self._since >= STATUS_EVERY / 2:
            self._load = min(1.0, self._busy / (now - self._since))
            self._busy, self._since = 0.0, now
        self._marks.append((now, self._trainer.steps))
        while len(self._marks) > 2 and now - self._marks[0][0] > RATE_SPAN:
            self._marks.popleft()
        state = "training" if self._desk.training else "fetching" if self._fetch.active else "idle"
        self.send(state, self._fetch.text)

    def _rate(self) -> float:
        if not self._desk.training or len(self._marks) < 2:
            return 0.0
        (then, before), (now, steps) = self._marks[0], self._marks[-1]
        return round((steps - before) / (now - then), 3) if now > then else 0.0

    def send(self, state: str, detail: str = "", progress: float | None = None) -> None:
        """Sends a status unless nothing in it changed within the last second."""
        now = time.perf_counter()
        session = self._desk.session
        step, device, used = 0, "", 0
        if session is not None:
            from engine.machine import device_name, memory

            step, device, used = session.step, device_name(session.device), memory(session.device)
        target = self._trainer.target if session is not None else None
        status = m.Status(
            self._desk.epoch,
            state,
            step,
            target,
            self._rate(),
            round(self._load, 2),
            used,
            device,
            detail,
            progress,
            self._desk.inbox.taken,
        )
        if status != self._last or now - self._sent_at >= REPEAT_EVERY:
            self._last, self._sent_at = status, now
            self._desk.put(status)

    def building(self, part: float, text: str) -> None:
        """How far a data set is loaded; told at most twenty times a second."""
        if time.perf_counter() - self._sent_at >= PROGRESS_EVERY:
            self.send("building", text, part)
