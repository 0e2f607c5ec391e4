"""What a hand feels: slider to picture, and the window's tick, idle and while training. Drives the real window."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QScrollArea, QWidget

from app.bench.rows import Row, percentile
from app.tour.rig import Rig
from engine.messages import Picture
from widgets.controls.latent import LatentRow

MOVES = 300
HERTZ = 60.0
SLIDER_BAR_MS = 33.0
TICK_MS, TICK_SECONDS, TICK_BAR_MS = 16, 6.0, 33.0
LOOSE_SECONDS = 5.0
"""How long the last pictures may take to come after the last move."""
STUDY, PROBE, DATA = "vae", "decode", ("fashion_mnist", "shapes")
WARM_STEPS = 30


def open_study(rig: Rig, study: str = STUDY, wanted: Sequence[str] = DATA) -> None:
    """``study``, the VAE unless told otherwise, on the first of ``wanted`` that is here, warm and paused; RuntimeError
    if it cannot be had."""
    bench = rig.window.bench
    if not rig.ready():
        raise RuntimeError("the engine did not start")
    there = {option.key for option in bench.data_options if option.available}
    data = next(name for name in (*wanted, "") if name in there or not name)
    if not rig.open(study, data):
        raise RuntimeError("the study could not be opened: " + "; ".join(rig.watch.complaints))
    set_training(rig, True)
    rig.hand.wait(lambda: bench.step >= WARM_STEPS, 120.0)
    set_training(rig, False)


def set_training(rig: Rig, on: bool) -> None:
    """Presses the Train button if need be, and waits until the engine has obeyed."""
    bench = rig.window.bench
    if bench.training != on:
        rig.hand.click(rig.window.toolbar.train)
    step = bench.step
    if on:
        rig.hand.wait(lambda: bench.step > step, 60.0)
    rig.hand.rest(1.5)


class HandRun(QObject):
    """Moves of a mouse on one widget at 60 Hz, posted by a thread of their own so that a busy window cannot slow the
    hand; ``latencies`` are the seconds from posting each to the end of the first repaint with an answer as new.

    Of whom it is about, a subclass says ``probe``, which dock is asked, and gives the places of the moves.
    """

    probe: str

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        self._rig = rig
        self._bench: Any = rig.window.bench
        rig.hand.click(rig.window.stage.docks[self.probe].bar, QPoint(6, 6))
        rig.hand.rest(0.2)
        self._target = self.find_target()
        self._posted: deque[float] = deque()
        self._handled: deque[tuple[int, float]] = deque()
        self._unasked: list[float] = []
        self._seq = 0
        self.latencies: list[float] = []

    def find_target(self) -> QWidget:
        """The widget under the hand."""
        raise NotImplementedError

    def place(self, i: int) -> QPointF:
        """Where on it the hand is after ``i`` moves; each must be another value."""
        raise NotImplementedError

    def run(self, moves: int = MOVES) -> list[float]:
        target, bench = self._target, self._bench
        ask = bench.ask

        def recorded(slot: str, probe: str, phase: str = "settled") -> int:
            seq: int = ask(slot, probe, phase)
            if slot == self.probe:  # what was handled by now is its question
                self._handled.extend((seq, posted) for posted in self._unasked)
                self._unasked.clear()
            return seq

        bench.ask = recorded  # the stage asks through here; nothing else says which seq a move became
        bench.picture.connect(self._on_picture)  # after the stage's: by then the picture has been painted
        start = self.place(0).toPoint()
        QTest.mousePress(target, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
        self._rig.hand.rest(0.3)
        for noted in (self._posted, self._handled, self._unasked, self.latencies):
            noted.clear()
        target.installEventFilter(self)
        hand = threading.Thread(target=self._post, args=(moves,), name="hand")
        hand.start()
        self._rig.hand.wait(lambda: not hand.is_alive(), moves / HERTZ + 30)
        hand.join()
        self._rig.hand.wait(lambda: not (self._posted or self._handled or self._unasked), LOOSE_SECONDS)
        target.removeEventFilter(self)
        QTest.mouseRelease(target, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
        self._rig.hand.rest(0.3)
        del bench.ask
        bench.picture.disconnect(self._on_picture)
        left = len(self._posted) + len(self._handled) + len(self._unasked)
        if left or not self.latencies:
            raise RuntimeError(f"{left} moves were never answered by a picture")
        return self.latencies

    def _post(self, moves: int) -> None:
        begun = time.perf_counter()
        for i in range(moves):
            time.sleep(max(0.0, begun + i / HERTZ - time.perf_counter()))
            place = self.place(i + 1)
            event = QMouseEvent(QEvent.Type.MouseMove, place, place, Qt.MouseButton.NoButton,
                                Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)  # fmt: skip
            self._posted.append(time.perf_counter())
            QCoreApplication.postEvent(self._target, event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A move is about to be handled; what it asks for, it asks for then."""
        if event.type() == QEvent.Type.MouseMove and self._posted:
            self._unasked.append(self._posted.popleft())
        return False

    def _on_picture(self, picture: Picture) -> None:
        if picture.slot != self.probe:
            return
        now = time.perf_counter()
        while self._handled and self._handled[0][0] <= picture.seq:
            self.latencies.append(now - self._handled.popleft()[1])


class SliderRun(HandRun):
    """The topmost slider of the code."""

    probe = PROBE

    def find_target(self) -> QWidget:
        window = self._rig.window
        rows = [row for row in window.controls.findChildren(LatentRow) if row.isVisible()]
        row = min(rows, key=lambda r: r.mapTo(window, QPoint(0, 0)).y())
        area = row.parent()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parent()
        if isinstance(area, QScrollArea):
            area.ensureWidgetVisible(row)
        track = row.track_rect().toRect()
        self._left, self._span = track.left() + 4, max(2, track.width() - 8)
        return row

    def place(self, i: int) -> QPointF:
        there = i % (2 * self._span)
        return QPointF(self._left + (there if there <= self._span else 2 * self._span - there), 8)


def measure_slider() -> list[Row]:
    """Slider to picture, idle and while training, with the docks of the first day and with the sliders' dock alone."""
    rows = []
    with Rig() as rig:
        open_study(rig)
        stage = rig.window.stage
        for layout in ("first day's docks", "sliders' dock alone"):
            if layout != "first day's docks":
                for name, dock in stage.docks.items():
                    if name != PROBE:
                        dock.close()
                rig.hand.rest(0.5)
            for training in (False, True):
                set_training(rig, training)
                ms = [1000 * s for s in SliderRun(rig).run()]
                state = "training" if training else "idle"
                for q in (50, 95):
                    value = percentile(ms, q)
                    kept = None if q == 50 else value <= SLIDER_BAR_MS
                    bar = "" if q == 50 else f"<= {SLIDER_BAR_MS:g} ms"
                    rows.append(Row(f"slider to picture, {state}, {layout}, p{q}", value, "ms", bar=bar, kept=kept))
            set_training(rig, False)
        complain(rig)
    return rows


def measure_tick() -> list[Row]:
    """How evenly a timer of 16 ms ticks."""
    rows = []
    with Rig() as rig:
        open_study(rig)
        for training in (False, True):
            set_training(rig, training)
            ms = ticks(rig, TICK_SECONDS)
            for q in (50, 99):
                value = percentile(ms, q)
                promised = training and q == 99
                rows.append(
                    Row(f"tick of {TICK_MS} ms, {'training' if training else 'idle'}, p{q}", value, "ms",
                        f"{TICK_MS} ms", value / TICK_MS, f"<= {TICK_BAR_MS:g} ms" if promised else "",
                        value <= TICK_BAR_MS if promised else None)
                )  # fmt: skip
        set_training(rig, False)
        complain(rig)
    return rows


def ticks(rig: Rig, seconds: float) -> list[float]:
    """Milliseconds between the ticks of a timer on the GUI thread."""
    times: list[float] = []
    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(lambda: times.append(time.perf_counter()))
    timer.start(TICK_MS)
    rig.hand.rest(seconds)
    timer.stop()
    return [1000 * (b - a) for a, b in pairwise(times)]


def complain(rig: Rig) -> None:
    """RuntimeError where anything went wrong meanwhile: figures of a broken window are worth nothing."""
    if rig.watch.complaints:
        raise RuntimeError("; ".join(rig.watch.complaints))
