"""Gaussian splats on the processor: the compiled rasteriser against plain torch, forward and backward, in the same run.

It imports torch and the rasteriser itself: what is measured is a training step without its study. CPU time is counted,
of one thread.
"""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from app.bench.rows import Row, median
from engine.nn.splatting import View, rasterise, view_at

SPLATS, PIXELS = 5000, 128
PROMISED = 10.0
"""Times that the compiled form is faster, at least."""
ROUNDS, EACH = 5, 4
"""Rounds in which both forms take their turns, and the steps of the compiled one in each."""
LARGE = ((20_000, 100), (50_000, 400))
"""Splats and pixels along a side of what is timed in the compiled form alone."""


Parts = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def ball(count: int, size: float) -> Parts:
    """The numbers of ``count`` splats in the unit ball, of about ``size``, harmonics of degree 3, to be learned."""
    generator = torch.Generator().manual_seed(0)
    way = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    xyz = way * torch.rand(count, 1, generator=generator) ** (1 / 3)
    scales = math.log(size) + 0.5 * torch.randn(count, 3, generator=generator)
    turns, opacity = torch.randn(count, 4, generator=generator), 1.5 * torch.randn(count, generator=generator)
    sh = 0.3 * torch.randn(count, 16, 3, generator=generator)
    parts = (xyz, scales, turns, opacity, sh)
    for part in parts:
        part.requires_grad_()
    return parts


def _seconds(parts: Parts, view: View, form: str) -> tuple[float, float]:
    """CPU seconds of a step forward and backward."""
    begun = time.process_time()
    picture, _ = rasterise(*parts, view, torch.zeros(3), form=form)
    loss = picture.rgb.square().sum()
    between = time.process_time()
    loss.backward()
    return between - begun, time.process_time() - between


def measure() -> list[Row]:
    torch.set_num_threads(1)
    parts = ball(SPLATS, 0.04)
    view = view_at((2.4, -3.0, 1.8), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 40, PIXELS, PIXELS)
    for form in ("plain", "compiled"):
        _seconds(parts, view, form)  # what is compiled or loaded with the first step is no step's time
    plain, compiled = [], []
    for _ in range(ROUNDS):
        plain.append(_seconds(parts, view, "plain"))
        turns = [_seconds(parts, view, "compiled") for _ in range(EACH)]
        compiled.append((median([a for a, _ in turns]), median([b for _, b in turns])))
    ours, theirs = median([sum(pair) for pair in compiled]), median([sum(pair) for pair in plain])
    ratio = median([sum(a) / sum(b) for a, b in zip(compiled, plain, strict=True)])
    title = f"rasteriser: {SPLATS:,} splats at {PIXELS}x{PIXELS}"
    rows = [
        Row(f"{title}, forward and backward", 1000 * ours, "CPU ms", f"plain torch: {1000 * theirs:.0f} ms", ratio,
            f"<= 1/{PROMISED:g}", ratio * PROMISED <= 1),
        Row(f"{title}, forward", 1000 * median([a for a, _ in compiled]), "CPU ms",
            f"plain torch: {1000 * median([a for a, _ in plain]):.0f} ms"),
        Row(f"{title}, rays", PIXELS**2 / ours, "rays/CPU-s", f"plain torch: {PIXELS**2 / theirs:,.0f}", 1 / ratio),
    ]  # fmt: skip
    for count, pixels in LARGE:
        parts = ball(count, 0.02)
        view = view_at((2.4, -3.0, 1.8), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 40, pixels, pixels)
        turns = [_seconds(parts, view, "compiled") for _ in range(ROUNDS)]
        both = median([a + b for a, b in turns])
        title = f"rasteriser: {count:,} splats at {pixels}x{pixels}, forward and backward"
        rows.append(Row(title, 1000 * both, "CPU ms", f"forward: {1000 * median([a for a, _ in turns]):.0f} ms"))
    return rows
