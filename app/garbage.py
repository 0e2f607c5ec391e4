"""Python's cyclic garbage collection, on the GUI thread only. Knows no window and no engine.

By itself Python collects on whichever thread happens to allocate: with an engine that trains, mostly that one's.
Widgets, timers and plots that are part of such garbage are then destroyed on a thread that is not theirs, which sooner
or later ends the process with a segmentation fault; a ``pyqtgraph.PlotItem`` does so at once.
"""

from __future__ import annotations

import gc
import time

from PySide6.QtCore import QObject, QTimer
from PySide6.QtGui import QGuiApplication, Qt

TICK_MS = 500
YOUNG = 700
"""New objects that are worth a look, as in Python's own rule; it looks at the next older ones every tenth time."""
FULL_EVERY = 20
"""Looks at new objects after which all are looked at; earlier where a study was closed (:meth:`Garbage.soon`)."""
HELD_TICKS = 20
"""Ticks for which a look at all objects waits while a mouse button is held, or its release got lost."""
SHARE = 0.01
"""Of the time, at most, for looking at all objects."""
SLOW = 0.03
"""Processor seconds of a look at all objects that found little: so many are made only by modules that were loaded
meanwhile (a study's docks are some 5,000 objects). They stay anyhow, and are never looked at again."""
LITTLE = 2_000


class Garbage(QObject):
    """Collects from :meth:`start` to :meth:`stop`, both of which are called on the GUI thread, as is all it does.

    Nothing is collected until the first study stands (the first :meth:`soon`) and no module is being loaded: torch, the
    studies and the plots are 750,000 objects by then, which a full collection takes half a second to look at.
    """

    _running = 0
    _was_on = True

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._wanted = False
        self._looks = 0
        self._held = 0
        self._not_before = 0.0
        self._before = 0
        self._frozen = False

    def start(self) -> None:
        """From here on Python does not collect by itself, on any thread."""
        if self._timer.isActive():
            return
        if not Garbage._running:
            Garbage._was_on = gc.isenabled()
            gc.disable()
        Garbage._running += 1
        self._timer.start()

    def stop(self) -> None:
        """Leaves collecting to Python as it was before, once the last of several stops."""
        if not self._timer.isActive():
            return
        self._timer.stop()
        Garbage._running -= 1
        if not Garbage._running:
            gc.unfreeze()
            if Garbage._was_on:
                gc.enable()

    def soon(self) -> None:
        """Much may have become garbage: all objects are looked at in the next moment that nobody's hand is at work."""
        self._wanted = True

    def _tick(self) -> None:
        if not self._frozen:
            now = gc.get_count()[0]
            if self._wanted and now - self._before < YOUNG:
                gc.freeze()
                self._frozen = True
            self._before = now
            return
        if self._wanted or self._looks >= FULL_EVERY:
            held = QGuiApplication.mouseButtons() != Qt.MouseButton.NoButton and self._held < HELD_TICKS
            self._held = self._held + 1 if held else 0
            if not held and time.perf_counter() >= self._not_before:
                self._look_at_all()
                return
        young, middle, _ = gc.get_count()
        if young > YOUNG:
            gc.collect(1 if middle >= 10 else 0)
            self._looks += 1

    def _look_at_all(self) -> None:
        """Never by ``gc.get_objects``: that takes hold of tuples which another thread is just filling, and Python then
        refuses to go on with them (SystemError: bad argument to internal function)."""
        self._wanted, self._looks = False, 0
        begun, used = time.perf_counter(), time.thread_time()
        found = gc.collect()
        if time.thread_time() - used > SLOW and found < LITTLE:
            gc.freeze()
        ended = time.perf_counter()
        self._not_before = ended + (ended - begun) / SHARE
