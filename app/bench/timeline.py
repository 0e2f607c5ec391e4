"""Scrubbing a cached timeline: how long one move to another moment and its repaint take, plain and compared."""

from __future__ import annotations

import math
import time

import numpy as np
from PySide6.QtWidgets import QApplication

from app.bench.rows import Row, percentile
from app.start import make_app
from engine.payloads import Frames
from widgets.theme import theme
from widgets.views.compare import MODES
from widgets.views.timeline.frames import FramesView

BAR_MS = 16.0
MOMENTS, SAMPLES, PANELS = 50, 16, ("x_t", "x̂₀", "ε̂")
WIDTH, HEIGHT = 1000, 700
ROUNDS = 4
SHAPES = ((28, 1), (32, 3))
"""Side and channels of the pictures."""


def timeline(side: int, channels: int, seed: int) -> list[Frames]:
    """A timeline of noise of the size that diffusion studies make."""
    rng = np.random.default_rng(seed)
    images = rng.random((MOMENTS, len(PANELS) * SAMPLES, side, side, channels), np.float32)
    return [
        Frames(
            images=images[i],
            columns=4,
            panels=PANELS,
            index=i,
            total=MOMENTS,
            caption=f"step {MOMENTS - i}",
            readings={"‖x_t‖": 20.0 - i / 4, "‖x̂₀‖": 5.0 + math.sin(i / 5), "SNR": 10 ** (i / 12 - 2)},
        )
        for i in range(MOMENTS)
    ]


def scrub_ms(view: FramesView) -> list[float]:
    """Milliseconds of each ``go_to`` with the whole view's repaint, there and back in leaps of 7."""
    times = []
    for i in range(ROUNDS * MOMENTS):
        begin = time.perf_counter()
        view.go_to(i * 7 % MOMENTS)
        view.repaint()
        times.append((time.perf_counter() - begin) * 1e3)
    return times


def measure() -> list[Row]:
    make_app()
    theme.set_mode("dark")
    rows = []
    for side, channels in SHAPES:
        view = FramesView()
        view.resize(WIDTH, HEIGHT)
        view.show()
        for frame in timeline(side, channels, 0):
            view.show_payload(frame, 0)
        QApplication.processEvents()
        found = {"": scrub_ms(view)}
        view.pin()
        for frame in timeline(side, channels, 1):
            view.show_payload(frame, 1)
        QApplication.processEvents()
        for i, mode in enumerate(MODES):
            view.compare_bar.mode_box.setCurrentIndex(i)
            QApplication.processEvents()
            found[f", {mode.lower()}"] = scrub_ms(view)
        view.close()
        view.deleteLater()
        for how, times in found.items():
            p95 = percentile(times, 95)
            name = f"timeline: a scrub, {len(PANELS)} x {SAMPLES} of {side}x{side}x{channels}{how}, p95"
            rows.append(Row(name, p95, "ms", f"{BAR_MS:g} ms", p95 / BAR_MS, f"<= {BAR_MS:g} ms", p95 <= BAR_MS))
    return rows
