"""The two boxes between the window's thread and the engine's. Plain threading; knows neither Qt nor torch.

:class:`Inbox` has two lanes: orders, first in, first out; and asks, one cell per slot, where the newest replaces the
unread older one. :class:`Outbox` keeps reports in the order in which they were made, of pictures only the latest per
slot, every frame of a timeline (bounded), and wakes the other side once, when it goes from empty to non-empty.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable

from engine.messages import Ask, Cancel, Failure, Forget, Open, Order, Picture, Progress, Report, Shutdown


class Inbox:
    """What the window wants. Any thread may post; the engine's thread takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._orders: deque[Order] = deque()
        self._asks: dict[str, tuple[Ask, float]] = {}
        self._nudged = False
        self.posted = 0
        self.taken = 0
        """How many orders were posted and taken so far: tells what a status may already know of."""

    def post(self, order: Order) -> None:
        with self._changed:
            self._orders.append(order)
            self.posted += 1
            if isinstance(order, Open):
                self._asks.clear()  # asks of an older epoch would only be discarded
            elif isinstance(order, Forget | Cancel):
                self._asks.pop(order.slot, None)  # orders are taken first, so it would be begun after all
            self._changed.notify()

    def ask(self, ask: Ask) -> None:
        """Puts a question; an unread older one of the same slot is replaced and never answered."""
        with self._changed:
            self._asks[ask.slot] = (ask, time.perf_counter())
            self._changed.notify()

    def nudge(self) -> None:
        """Ends a :meth:`wait` though nothing was posted."""
        with self._changed:
            self._nudged = True
            self._changed.notify()

    @property
    def pending(self) -> bool:
        """Whether anything waits; read without the lock, since a late answer only costs one train step."""
        return bool(self._orders or self._asks)

    def has_open(self) -> bool:
        """Whether another study, or the end, is wanted: what is being loaded now need not be finished."""
        with self._changed:
            return any(isinstance(order, Open | Shutdown) for order in self._orders)

    def take_order(self) -> Order | None:
        with self._changed:
            if not self._orders:
                return None
            self.taken += 1
            return self._orders.popleft()

    def take_asks(self) -> list[tuple[Ask, float]]:
        """The asks and when each came (``time.perf_counter``). None while an order waits: it may be the one that
        opens what they ask about."""
        with self._changed:
            if self._orders:
                return []
            asks = list(self._asks.values())
            self._asks.clear()
            return asks

    def wait(self, timeout: float | None) -> None:
        """Sleeps until something is posted or :meth:`nudge` is called, ``timeout`` seconds at most."""
        with self._changed:
            if not (self._orders or self._asks or self._nudged):
                self._changed.wait(timeout)
            self._nudged = False


class Outbox:
    """What the engine has to say. ``wake`` is called on the engine's thread when there is something to read again;
    ``freed`` on the reader's, when a timeline that had no room has room again."""

    def __init__(self, wake: Callable[[], None], depth: int = 32, freed: Callable[[], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._wake = wake
        self._freed = freed
        self._depth = depth
        self._numbers = itertools.count()
        # In the order in which it was said; a slot's picture moves to the end when a newer one replaces it.
        self._unread: dict[int | str, Report] = {}
        self._frames: dict[str, deque[int]] = {}

    def put(self, report: Report) -> None:
        """A report that must arrive. A slot's failure takes the place of its unread older picture."""
        with self._lock:
            was_empty = not self._unread
            if isinstance(report, Failure) and report.slot:
                self._unread.pop(report.slot, None)
                self._unread.pop(_progress(report.slot), None)
            self._unread[next(self._numbers)] = report
        if was_empty:
            self._wake()

    def put_picture(self, picture: Picture) -> None:
        """Replaces the unread older picture of the slot."""
        with self._lock:
            was_empty = not self._unread
            self._unread.pop(picture.slot, None)
            self._unread.pop(_progress(picture.slot), None)
            self._unread[picture.slot] = picture
        if was_empty:
            self._wake()

    def put_progress(self, progress: Progress) -> None:
        """Replaces what was said of the slot's progress and is unread."""
        with self._lock:
            was_empty = not self._unread
            self._unread.pop(_progress(progress.slot), None)
            self._unread[_progress(progress.slot)] = progress
        if was_empty:
            self._wake()

    def put_frame(self, frame: Picture) -> None:
        """One frame of a timeline; kept with the others."""
        with self._lock:
            was_empty = not self._unread
            number = next(self._numbers)
            self._unread[number] = frame
            self._frames.setdefault(frame.slot, deque()).append(number)
        if was_empty:
            self._wake()

    def has_room(self, slot: str) -> bool:
        """Whether a timeline may go on: fewer than ``depth`` of its frames are unread."""
        with self._lock:
            return len(self._frames.get(slot, ())) < self._depth

    def forget(self, slot: str) -> None:
        """Drops what is unread of a slot: its picture, or the frames of a timeline that is not wanted any more."""
        with self._lock:
            self._unread.pop(slot, None)
            self._unread.pop(_progress(slot), None)
            for number in self._frames.pop(slot, ()):
                del self._unread[number]

    def drain(self) -> list[Report]:
        """Everything unread, in the order in which it was made."""
        with self._lock:
            out = list(self._unread.values())
            was_full = any(len(frames) >= self._depth for frames in self._frames.values())
            self._unread.clear()
            self._frames.clear()
        if was_full and self._freed is not None:
            self._freed()
        return out


def _progress(slot: str) -> str:
    """The cell of a slot's progress: no slot, being a probe's name, is called so."""
    return f"progress of {slot}"
