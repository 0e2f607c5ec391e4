"""The view lane: a second thread that works for views only, so that picking in a cloud waits for no training step.

It runs pure functions of plain arrays by name, those of ``engine/geometry/viewing.py``, and never sees a study, a
network or a random state. Knows neither Qt nor torch.
"""

from __future__ import annotations

import importlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

JOBS = "engine.geometry.viewing"
"""The module whose public functions are the jobs; imported on the lane's own thread, with the first job. A job of
another module beside it is asked for as ``module.function``, of one elsewhere in the engine as
``package.module.function``."""


@dataclass(frozen=True)
class Answer:
    """What became of the ask ``number`` of ``key``: ``value``, or ``failure`` in one line."""

    key: str
    number: int
    value: Any = None
    failure: str = ""


class Lane:
    """Asks in, answers out. Any thread may call any method.

    ``wake`` is called on the lane's thread when :meth:`drain` has something to give again. Of each key only the newest
    ask counts: it replaces an unread older one, and the answer of one that is being worked on is dropped. A job that
    is a generator can be given up at each of its ``yield``s; what it returns is its answer.
    """

    def __init__(self, wake: Callable[[], None], jobs: Mapping[str, Callable[..., Any]] | None = None) -> None:
        self._wake = wake
        self._jobs = jobs
        self._changed = threading.Condition()
        self._asks: OrderedDict[str, tuple[int, str, dict[str, Any]]] = OrderedDict()
        self._newest: dict[str, int] = {}
        self._answers: dict[str, Answer] = {}
        self._number = 0
        self._stopping = False
        self._thread: threading.Thread | None = None

    def ask(self, key: str, job: str, /, **arguments: Any) -> int:
        """Wants ``job(**arguments)``; the number by which its answer is known. RuntimeError after :meth:`stop`."""
        with self._changed:
            if self._stopping:
                raise RuntimeError("the view lane has been stopped")
            self._number += 1
            self._asks[key] = (self._number, job, arguments)
            self._newest[key] = self._number
            self._answers.pop(key, None)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="view lane", daemon=True)
                self._thread.start()
            self._changed.notify()
            return self._number

    def cancel(self, key: str) -> None:
        """Drops the ask of ``key``, whether it waits, is worked on, or has been answered and not read."""
        with self._changed:
            self._asks.pop(key, None)
            self._newest.pop(key, None)
            self._answers.pop(key, None)

    def drain(self) -> list[Answer]:
        """The answers since the last time, oldest first, one per key."""
        with self._changed:
            found = list(self._answers.values())
            self._answers.clear()
            for answer in found:
                if self._newest.get(answer.key) == answer.number:
                    del self._newest[answer.key]
            return found

    def stop(self, timeout: float = 5.0) -> bool:
        """Ends the thread after the job that it is in, or at its next ``yield``; whether it has ended in ``timeout``
        seconds. Calling it again does nothing."""
        with self._changed:
            self._stopping = True
            self._asks.clear()
            self._newest.clear()
            self._answers.clear()
            self._changed.notify()
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    # ---- on the lane's thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._asks or self._stopping):
                    self._changed.wait()
                if self._stopping:
                    return
                key, (number, job, arguments) = self._asks.popitem(last=False)
            answer = self._answered(key, number, job, arguments)
            # A job's arrays may be large: nothing here may keep them until the next one comes.
            arguments = {}
            if answer is not None and self._deliver(answer):
                self._wake()
            answer = None

    def _wanted(self, key: str, number: int) -> bool:
        with self._changed:
            return not self._stopping and self._newest.get(key) == number

    def _answered(self, key: str, number: int, job: str, arguments: dict[str, Any]) -> Answer | None:
        """None where it was given up."""
        try:
            value = self._function(job)(**arguments)
            if isinstance(value, Generator):
                steps = value
                while True:
                    try:
                        next(steps)
                    except StopIteration as end:
                        value = end.value
                        break
                    if not self._wanted(key, number):
                        steps.close()
                        return None
        except Exception as error:  # noqa: BLE001  failures are values: whatever it is, the view is told
            return Answer(key, number, failure=f"{type(error).__name__}: {error}".splitlines()[0])
        return Answer(key, number, value)

    def _function(self, job: str) -> Callable[..., Any]:
        if self._jobs is not None:
            found = self._jobs.get(job)
        else:
            found = function_of(job)
        if not callable(found):
            raise LookupError(f"there is no view job {job!r}")
        return found

    def _deliver(self, answer: Answer) -> bool:
        """Puts it where :meth:`drain` finds it; whether the reader has to be woken for it."""
        with self._changed:
            if self._stopping or self._newest.get(answer.key) != answer.number:
                return False
            was_empty = not self._answers
            self._answers[answer.key] = answer
            return was_empty


def function_of(job: str) -> Any:
    """The public function that a job's name stands for; None where there is none."""
    module, _, name = job.rpartition(".")
    beside = JOBS.rpartition(".")[0]
    place = f"{beside.partition('.')[0] if '.' in module else beside}.{module}" if module else JOBS
    return None if name.startswith("_") else getattr(importlib.import_module(place), name, None)


def done_here(job: str, **arguments: Any) -> Any:
    """What a job answers, worked out on the caller's thread: for pictures that are waited for anyway."""
    steps = function_of(job)(**arguments)
    if not isinstance(steps, Generator):
        return steps
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
