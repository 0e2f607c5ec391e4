"""The engine's thread as seen by a command: start it, post, wait for what it reports. Knows no study and no Qt."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from types import FrameType
from typing import Any, TypeVar

from app.headless import BAD_INPUT, DIVERGED, FAULT, CommandError
from engine import messages as m
from engine.payloads import Moment, Payload
from engine.worker import Engine

R = TypeVar("R", bound=m.Report)

LOOK_EVERY = 0.2
"""Seconds between two looks at whether the engine still lives and whether Ctrl+C was pressed."""


class Interrupted(Exception):
    """Ctrl+C was pressed."""


class Client:
    """``with Client() as client``: the engine runs within, and has saved and ended after. Ctrl+C, once, makes the next
    wait raise :class:`Interrupted`; a second one ends the process at once. For one thread only."""

    def __init__(self, threads: int | None = None) -> None:
        self._woken = threading.Event()
        self._engine = Engine(self._woken.set, threads)
        self._unread: deque[m.Report] = deque()
        self._interrupted = False
        self._epoch = 0
        self._seq = 0
        self._previous: Any = None

    def __enter__(self) -> Client:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._on_interrupt)
        self._engine.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _on_interrupt(self, _number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        self._interrupted = True
        self._woken.set()

    # ---- the two lanes in ----

    def post(self, order: m.Order) -> None:
        self._engine.inbox.post(order)

    def open(self, **what: Any) -> m.Opened:
        """Opens a study or run as the fields of :class:`engine.messages.Open` say; CommandError if it cannot be."""
        self._epoch += 1
        self.post(m.Open(self._epoch, **what))
        return self.expect(m.Opened)

    def ask(self, probe: str, values: Mapping[str, Any]) -> list[Payload]:
        """The whole answer of a probe: one payload, the last where it is made finer, or all frames of a timeline."""
        self._seq += 1
        self._engine.inbox.ask(m.Ask("command", self._epoch, self._seq, probe, values))
        payloads: list[Payload] = []
        while True:
            picture = self.expect(m.Picture)
            if picture.seq != self._seq:
                continue
            if picture.payload is not None:
                if not isinstance(picture.payload, Moment):
                    payloads.clear()  # a coarser picture of the same
                payloads.append(picture.payload)
            if picture.done:
                return payloads

    def look(self, probe: str, values: Mapping[str, Any], phase: str = "settled") -> None:
        """Asks a probe and goes on: the answers come as reports."""
        self._seq += 1
        self._engine.inbox.ask(m.Ask("look", self._epoch, self._seq, probe, values, phase))

    # ---- what comes out ----

    def next_report(self, timeout: float | None = None) -> m.Report | None:
        """The oldest unread report; None after ``timeout`` seconds without one."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            if self._interrupted:
                raise Interrupted
            if self._unread:
                return self._unread.popleft()
            alive = self._engine.is_alive()
            self._woken.clear()
            self._unread.extend(self._engine.outbox.drain())
            if self._unread:
                continue
            if not alive:
                raise CommandError("the engine has ended", FAULT)
            left = LOOK_EVERY if end is None else min(LOOK_EVERY, end - time.monotonic())
            if left <= 0:
                return None
            self._woken.wait(left)

    def expect(self, kind: type[R]) -> R:
        """The next report of ``kind``; the others are only looked at for failures and warnings."""
        while True:
            report = self.next_report()
            if isinstance(report, kind):
                return report
            heed(report)

    def catalogue(self) -> m.Catalogue:
        """The first report of a started engine. Study files that failed are told there, not as warnings."""
        while True:
            report = self.next_report()
            if isinstance(report, m.Catalogue):
                return report
            if isinstance(report, m.Failure):
                raise failed(report)

    def finish(self) -> list[m.Report]:
        """Lets the engine save what is unsaved and end; what it still had to say."""
        if self._engine.is_alive():
            self.post(m.Shutdown())
            self._engine.join()
        self._unread.extend(self._engine.outbox.drain())
        left = list(self._unread)
        self._unread.clear()
        return left


def heed(report: m.Report | None) -> None:
    """Raises CommandError for a failure; tells warnings on stderr."""
    match report:
        case m.Failure():
            raise failed(report)
        case m.Notice(level="warning" | "error"):
            warn(report.text)
        case m.DataPreview():
            for line in report.notices:
                warn(line)


def failed(failure: m.Failure) -> CommandError:
    """The failure as the end of a command, with its exit code."""
    if failure.diverged:
        return CommandError(f"training diverged: {failure.reason}", DIVERGED)
    if not failure.fault:
        return CommandError(failure.reason, BAD_INPUT)
    return CommandError(f"{failure.title}: {failure.reason}", FAULT, failure.detail)


def warn(text: str) -> None:
    sys.stderr.write(f"warning: {' '.join(text.split())}\n")
