"""What a hand feels: slider to picture, and the window's tick, idle and while training. Drives the real window."""

from __future__ import annotations

import threading
import time
from collections import deque
from itertools import pairwise
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QScrollArea

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


def open_study(rig: Rig) -> None:
    """The VAE on the first of :data:`DATA` that is here, warm and paused; RuntimeError if it cannot be had."""
    bench = rig.window.bench
    if not rig.ready():
        raise RuntimeError("the engine did not start")
    there = {option.key for option in bench.data_options if option.available}
    data = next(name for name in (*DATA, "") if name in there or not name)
    if not rig.open(STUDY, data):
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


class SliderRun:
    """Moves of a mouse on one slider at 60 Hz, posted by a thread of their own so that a busy window cannot slow the
    hand; ``latencies`` are the seconds from posting each to the end of the first repaint with an answer as new."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._bench: Any = rig.window.bench
        self._row = self._find_row()
        self._posted: deque[float] = deque()
        self._handled: deque[tuple[int, float]] = deque()
        self._unasked: list[float] = []
        self._asks = self._asked = self._seq = 0
        self.latencies: list[float] = []

    def _find_row(self) -> LatentRow:
        window = self._rig.window
        stage = window.stage
        dock = stage.docks[PROBE]
        self._rig.hand.click(dock.bar, QPoint(6, 6))
        self._rig.hand.rest(0.2)
        rows = [row for row in window.controls.findChildren(LatentRow) if row.isVisible()]
        row = min(rows, key=lambda r: r.mapTo(window, QPoint(0, 0)).y())
        area = row.parent()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parent()
        if isinstance(area, QScrollArea):
            area.ensureWidgetVisible(row)
        return row

    def run(self, moves: int = MOVES) -> list[float]:
        row, bench = self._row, self._bench
        ask = bench.ask

        def recorded(slot: str, probe: str, phase: str = "settled") -> int:
            seq: int = ask(slot, probe, phase)
            if slot == PROBE:
                self._seq, self._asks = seq, self._asks + 1
                self._assign()
            return seq

        bench.ask = recorded  # the stage asks through here; nothing else says which seq a move became
        row.moved.connect(self._on_moved)
        bench.picture.connect(self._on_picture)  # after the stage's: by then the picture has been painted
        track = row.track_rect().toRect()
        left, span = track.left() + 4, max(2, track.width() - 8)
        QTest.mousePress(row, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(left, 8))
        self._rig.hand.rest(0.3)
        self._posted.clear()
        self._handled.clear()
        self._unasked.clear()
        self.latencies.clear()
        hand = threading.Thread(target=self._post, args=(moves, left, span), name="hand")
        hand.start()
        self._rig.hand.wait(lambda: not hand.is_alive(), moves / HERTZ + 30)
        hand.join()
        self._rig.hand.wait(lambda: not self._handled and not self._unasked, LOOSE_SECONDS)
        QTest.mouseRelease(row, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(left, 8))
        self._rig.hand.rest(0.3)
        del bench.ask
        row.moved.disconnect(self._on_moved)
        bench.picture.disconnect(self._on_picture)
        if self._handled or self._unasked or not self.latencies:
            raise RuntimeError(f"{len(self._handled) + len(self._unasked)} moves were never answered by a picture")
        return self.latencies

    def _post(self, moves: int, left: int, span: int) -> None:
        begun = time.perf_counter()
        for i in range(moves):
            time.sleep(max(0.0, begun + i / HERTZ - time.perf_counter()))
            there = (i + 1) % (2 * span)
            place = QPointF(left + (there if there <= span else 2 * span - there), 8)
            event = QMouseEvent(QEvent.Type.MouseMove, place, place, Qt.MouseButton.NoButton,
                                Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)  # fmt: skip
            self._posted.append(time.perf_counter())
            QCoreApplication.postEvent(self._row, event)

    def _on_moved(self, _value: object) -> None:
        """Runs after the forms have heard of the move: what they asked for by now is its question."""
        if self._posted:
            self._unasked.append(self._posted.popleft())
        if self._asks > self._asked:
            self._assign()

    def _assign(self) -> None:
        self._asked = self._asks
        self._handled.extend((self._seq, posted) for posted in self._unasked)
        self._unasked.clear()

    def _on_picture(self, picture: Picture) -> None:
        if picture.slot != PROBE:
            return
        now = time.perf_counter()
        while self._handled and self._handled[0][0] <= picture.seq:
            self.latencies.append(now - self._handled.popleft()[1])


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
