"""What the engine costs: training through its thread, with and without the window, against a bare loop."""

from __future__ import annotations

import time

from app.bench.bare_engine import BareEngine
from app.bench.hands_on import DATA, STUDY, complain, open_study, set_training
from app.bench.rows import Row, median
from app.tour.rig import Rig
from engine import messages as m

TURNS = 5
TURN_SECONDS = 4.0
BAR = 0.95
ELBO_STEPS = 3000
ELBO_BAR = -241.0


def measure_rate() -> list[Row]:
    """Medians of short runs in turns, in one process each: engine and bare loop, then window and bare loop."""
    from app.bench.plain import BareLoop

    rows = []
    data = _data()
    with BareEngine(STUDY, data) as engine:
        loop = BareLoop(STUDY, data)
        loop.rate(2.0)
        engine.rate(2.0)
        pairs = [(engine.rate(TURN_SECONDS), loop.rate(TURN_SECONDS)) for _ in range(TURNS)]
    rows.append(_row("train: engine", pairs))
    with Rig() as rig:
        open_study(rig)
        pairs = [(window_rate(rig, TURN_SECONDS), loop.rate(TURN_SECONDS)) for _ in range(TURNS)]
        complain(rig)
    rows.append(_row("train: engine beside the window", pairs))
    return rows


def _row(name: str, pairs: list[tuple[float, float]]) -> Row:
    ours, bare = median([a for a, _ in pairs]), median([b for _, b in pairs])
    ratio = median([a / b for a, b in pairs])  # of each turn: a machine that slows down slows down both
    return Row(name, ours, "steps/s", f"bare loop: {bare:.1f} steps/s", ratio, f">= {BAR:g}", ratio >= BAR)


def window_rate(rig: Rig, seconds: float) -> float:
    """Steps per second as the window's metrics tell them."""
    seen: list[tuple[float, int]] = []

    def note(metrics: m.Metrics) -> None:
        steps = [int(s[-1]) for s, _ in metrics.points.values() if len(s)]
        if steps:
            seen.append((time.perf_counter(), max(steps)))

    set_training(rig, True)
    rig.window.bench.metrics.connect(note)
    rig.hand.rest(seconds)
    rig.window.bench.metrics.disconnect(note)
    set_training(rig, False)
    (begun, first), (ended, last) = seen[0], seen[-1]
    return (last - first) / (ended - begun)


def measure_elbo() -> list[Row]:
    """The VAE on Fashion-MNIST, 3,000 steps of 128, through the engine and as a plain loop; minutes, not seconds."""
    from app.bench.plain import BATCH, LATENT, reference_elbo

    theirs, their_seconds = reference_elbo("fashion_mnist", ELBO_STEPS)
    with BareEngine(STUDY, "fashion_mnist", {"batch": BATCH, "latent": LATENT}) as engine:
        begun = time.perf_counter()
        engine.post(m.Train(ELBO_STEPS))
        engine.until(m.Metrics, lambda metrics: any(ELBO_STEPS in s for s, _ in metrics.points.values()), 3600.0)
        seconds = time.perf_counter() - begun
        engine.post(m.Evaluate())
        ours = engine.until(m.HeldOut, lambda held_out: held_out.step == ELBO_STEPS).values["elbo"]
    return [
        Row("elbo: held-out, Fashion-MNIST, 3,000 steps of 128", ours, "nats", f"plain loop: {theirs:.2f} nats",
            ours / theirs, f">= {ELBO_BAR:g}", ours >= ELBO_BAR),
        Row("elbo: seconds of training", seconds, "s", f"plain loop: {their_seconds:.1f} s", seconds / their_seconds),
    ]  # fmt: skip


def _data() -> str:
    """The same choice as the window's benchmarks, made without one."""
    from app.bench.plain import available

    return next((key for key in DATA if key in available()), "digits")
