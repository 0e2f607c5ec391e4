"""The two boxes between the window's thread and the engine's. Plain threading; knows neither Qt nor torch.

:class:`Inbox` has two lanes: orders, first in, first out; and asks, one cell per slot, where the newest replaces the
unread older one. :class:`Outbox` keeps the latest picture per slot, every frame of a timeline (bounded), and wakes
the other side once, when it goes from empty to non-empty.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from engine.messages import Ask, Forget, Open, Order, Picture, Report, Shutdown


class Inbox:
    """What the window wants. Any thread may post; the engine's thread takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._orders: deque[Order] = deque()
        self._asks: dict[str, Ask] = {}

    def post(self, order: Order) -> None:
        with self._changed:
            self._orders.append(order)
            if isinstance(order, Open):
                self._asks.clear()  # asks of an older epoch would only be discarded
            elif isinstance(order, Forget):
                self._asks.pop(order.slot, None)
            self._changed.notify()

    def ask(self, ask: Ask) -> None:
        """Puts a question; an unread older one of the same slot is replaced and never answered."""
        with self._changed:
            self._asks[ask.slot] = ask
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
            return self._orders.popleft() if self._orders else None

    def take_asks(self) -> list[Ask]:
        with self._changed:
            asks = list(self._asks.values())
            self._asks.clear()
            return asks

    def wait(self, timeout: float | None) -> None:
        """Sleeps until something is posted, ``timeout`` seconds at most."""
        with self._changed:
            if not (self._orders or self._asks):
                self._changed.wait(timeout)


class Outbox:
    """What the engine has to say. ``wake`` is called from the engine's thread, once per emptying."""

    def __init__(self, wake: Callable[[], None], depth: int = 32) -> None:
        self._lock = threading.Lock()
        self._wake = wake
        self._depth = depth
        self._reports: list[Report] = []
        self._pictures: dict[str, Picture] = {}
        self._frames: dict[str, deque[Picture]] = {}

    def put(self, report: Report) -> None:
        """A report that must arrive, after all others of its kind."""
        self._add(lambda: self._reports.append(report))

    def put_picture(self, picture: Picture) -> None:
        """Replaces the unread older picture of the slot."""
        self._add(lambda: self._pictures.__setitem__(picture.slot, picture))

    def put_frame(self, frame: Picture) -> None:
        """One frame of a timeline; kept with the others. Frames of an older ask of the slot are dropped."""

        def add() -> None:
            queue = self._frames.setdefault(frame.slot, deque())
            while queue and (queue[0].epoch, queue[0].seq) != (frame.epoch, frame.seq):
                queue.popleft()
            queue.append(frame)

        self._add(add)

    def has_room(self, slot: str) -> bool:
        """Whether a timeline may go on: fewer than ``depth`` of its frames are unread."""
        with self._lock:
            return len(self._frames.get(slot, ())) < self._depth

    def drain(self) -> list[Report]:
        """Everything unread: reports in their order, then frames, then pictures."""
        with self._lock:
            out: list[Report] = self._reports
            for queue in self._frames.values():
                out.extend(queue)
            out.extend(self._pictures.values())
            self._reports, self._pictures, self._frames = [], {}, {}
            return out

    def _add(self, change: Callable[[], object]) -> None:
        with self._lock:
            was_empty = not (self._reports or self._pictures or self._frames)
            change()
        if was_empty:
            self._wake()
