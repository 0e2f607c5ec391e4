"""What a hand feels in a plane of codes: drag to picture, idle and while training. Drives the real window."""

from __future__ import annotations

import math
import time

from PySide6.QtCore import QPointF
from PySide6.QtWidgets import QWidget

from app.bench.hands_on import SLIDER_BAR_MS, HandRun, complain, open_study, set_training
from app.bench.rows import Row, percentile
from app.tour.rig import Rig
from widgets.views.seed_plane import SeedPlaneView

PROBE = "seed_plane"
STUDIES, DATA = ("dcgan", "vae"), ("emoji", "shapes")
"""Pictures of 32 pixels, where they are here."""
STEP_SECONDS = 4.0
"""For how long the length of a training step is measured."""


class PlaneRun(HandRun):
    """A hand that goes round and round in the plane."""

    probe = PROBE

    def find_target(self) -> QWidget:
        stage = self._rig.window.stage
        stage.raise_named(PROBE)
        view = stage.docks[PROBE].view
        assert isinstance(view, SeedPlaneView)
        self._rig.hand.wait(lambda: view.payload is not None, 30.0)
        self._rig.hand.rest(0.5)
        box = [view.pad.point_of(place) for place in ((0.5, 0.5), (0.9, 0.9))]
        self._centre, self._radius = box[0], min(box[1].x() - box[0].x(), box[1].y() - box[0].y())
        return view.pad

    def place(self, i: int) -> QPointF:
        angle = i / 20
        x, y = self._radius * math.cos(angle), self._radius * math.sin(angle)
        return QPointF(self._centre.x() + x, self._centre.y() + y)


def measure() -> list[Row]:
    """Drag to picture in the plane of each study's codes: idle, and while training, where a step more is granted."""
    rows: list[Row] = []
    for study in STUDIES:
        with Rig() as rig:
            open_study(rig, study, DATA)
            for training in (False, True):
                set_training(rig, training)
                step = step_ms(rig) if training else 0.0
                ms = [1000 * s for s in PlaneRun(rig).run()]
                bar = SLIDER_BAR_MS + step
                for q in (50, 95):
                    value = percentile(ms, q)
                    promised = f"<= {bar:.0f} ms" + (f", a step of {step:.0f} more" if training else "")
                    name = f"seed plane of {study}, {'training' if training else 'idle'}, p{q}"
                    rows.append(
                        Row(name, value, "ms", bar=promised if q == 95 else "", kept=value <= bar if q == 95 else None)
                    )
            set_training(rig, False)
            complain(rig)
    return rows


def step_ms(rig: Rig) -> float:
    """Milliseconds of a training step while no hand moves."""
    bench = rig.window.bench
    first, begun = bench.step, time.perf_counter()
    rig.hand.rest(STEP_SECONDS)
    return 1000 * (time.perf_counter() - begun) / max(1, bench.step - first)
