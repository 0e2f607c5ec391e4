"""How long a redraw of the curves takes. Measures the real widget on the screen that there is; asserts nothing."""

from __future__ import annotations

import math
import time

import numpy as np
from PySide6.QtWidgets import QApplication

from widgets.curves.plot import CurvesView
from widgets.theme import TERMS


def redraw_ms(n: int = 1_000_000, curves: int = 4, frames: int = 60) -> dict[str, float]:
    """Milliseconds per redraw, ``p50`` and ``p95``, of a 900 x 400 view with ``n`` noisy points in all.

    Every frame pans and zooms, asks the pyramids anew and repaints at once. Needs a QApplication.
    """
    view = CurvesView()
    view.resize(900, 400)
    rng = np.random.default_rng(0)
    each = n // curves
    steps = np.arange(each)
    colours = list(TERMS.values())
    for i in range(curves):
        name = f"curve {i}"
        view.set_series("run", name, colours[i % len(colours)])
        view.append("run", name, steps, 100 * i + 400 * np.exp(-steps / each * 4) + 20 * rng.normal(size=each))
    view.show()
    QApplication.processEvents()
    view.redraw()
    QApplication.processEvents()
    view.set_following(False)
    times = []
    for frame in range(frames):
        width = each * (0.55 + 0.45 * math.cos(frame / frames * 2 * math.pi))
        left = (each - width) * frame / frames
        begin = time.perf_counter()
        view.canvas.look_at((left, left + width), (-100, 900 - frame))
        view.canvas.viewport().repaint()
        times.append((time.perf_counter() - begin) * 1e3)
    view.close()
    view.deleteLater()
    return {"p50": float(np.percentile(times, 50)), "p95": float(np.percentile(times, 95))}
