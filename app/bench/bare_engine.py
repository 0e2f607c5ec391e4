"""The engine's thread driven without a window: orders in, reports read as they come. Knows no Qt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from engine import messages as m
from engine.worker import Engine

R = TypeVar("R", bound=m.Report)


class BareEngine:
    """A context: the engine's thread with ``study`` open on ``data``, which keeps no run on disk."""

    def __init__(self, study: str, data: str, knobs: dict[str, int | float | str] | None = None) -> None:
        self._order = m.Open(1, study, data, dict(knobs or {}))
        self._ready = threading.Event()
        self._engine = Engine(self._ready.set)

    def __enter__(self) -> BareEngine:
        self._engine.start()
        self.post(self._order)
        try:
            self.until(m.Opened)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.post(m.Shutdown())
        self._engine.join()

    def post(self, order: m.Order) -> None:
        self._engine.inbox.post(order)

    def until(self, kind: type[R], holds: Callable[[R], bool] = lambda _: True, seconds: float = 600.0) -> R:
        """The next report of ``kind`` for which ``holds``; RuntimeError for a failure or after ``seconds``."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._ready.wait(0.1)
            self._ready.clear()
            found: R | None = None
            for report in self._engine.outbox.drain():
                if isinstance(report, m.Failure):
                    raise RuntimeError(f"{report.title}: {report.reason}\n{report.detail}")
                if found is None and isinstance(report, kind) and holds(report):
                    found = report
            if found is not None:
                return found
        raise RuntimeError(f"the engine sent no {kind.__name__} in {seconds:g} s")

    def rate(self, seconds: float) -> float:
        """Steps per second while training for about ``seconds``, from the first batch of metrics to the last."""
        self.post(m.Train())
        begun, first = self._progress()
        now, last = begun, first
        while now - begun < seconds:
            now, last = self._progress()
        self.post(m.Pause())
        self.until(m.Status, lambda status: status.state == "idle")
        return (last - first) / (now - begun)

    def _progress(self) -> tuple[float, int]:
        step = self.until(m.Metrics, lambda metrics: any(len(s) for s, _ in metrics.points.values()), 60.0)
        return time.perf_counter(), max(int(s[-1]) for s, _ in step.points.values() if len(s))
