"""Draws a film frame by frame, one in a turn of the event loop, so that the window stays awake. Knows no camera."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from engine.payloads import Frames

WAIT_MS = 20
"""So long after a frame that is not there yet it is asked for again."""


class Film(QObject):
    """``done`` brings the frames in order; ``stop`` gives them up."""

    progress = Signal(float)
    done = Signal(tuple)

    def __init__(
        self,
        total: int,
        draw: Callable[[int], np.ndarray | None],
        parent: QObject,
    ) -> None:
        """``draw`` gives frame k of ``total`` as a picture uint8 (H, W, 4), None while it has to be waited for."""
        super().__init__(parent)
        self._total = total
        self._draw = draw
        self._frames: list[Frames] = []
        self._timer = QTimer(self, interval=0)
        self._timer.timeout.connect(self._next)
        self._timer.start()

    @property
    def running(self) -> bool:
        return self._timer.isActive()

    def stop(self) -> None:
        """No further frame; what was drawn is dropped."""
        self._timer.stop()
        self._frames.clear()

    def _next(self) -> None:
        k, n = len(self._frames), self._total
        image = self._draw(k)
        self._timer.setInterval(WAIT_MS if image is None else 0)
        if image is None:
            return
        self._frames.append(Frames(images=np.ascontiguousarray(image[None, :, :, :3]), index=k, total=n))
        self.progress.emit((k + 1) / n)
        if k + 1 == n:
            self._timer.stop()
            self.done.emit(tuple(self._frames))
