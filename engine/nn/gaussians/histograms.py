"""How numbers of many Gaussians are spread, as a curve. Knows no Gaussian."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.payloads import Curves

BINS = 48
LEAST = 1e-9
"""What the logarithm is taken of is at least this."""


def histogram(
    values: NDArray[np.floating], name: str, ends: tuple[float, float] | None = None, log: bool = False
) -> Curves:
    """How many of ``values`` (N,) lie in each of :data:`BINS` bins between ``ends`` or the least and greatest, and the
    share that lies below; ``log`` counts by powers of ten."""
    shown = np.log10(np.maximum(values.astype(np.float64), LEAST)) if log else values.astype(np.float64)
    low, high = ends if ends is not None else (float(shown.min()), float(shown.max())) if len(shown) else (0.0, 1.0)
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(shown.clip(low, high), BINS, (low, high))
    middles = (edges[1:] + edges[:-1]) / 2
    largest, total = max(1, int(counts.max())), max(1, int(counts.sum()))
    lines = {
        "how many, as a share of the fullest": (counts / largest).astype(np.float32),
        "share below": (counts.cumsum() / total).astype(np.float32),
    }
    middle = float(np.median(values)) if len(values) else 0.0
    return Curves(
        middles.astype(np.float32),
        lines,
        x_name=name,
        y_name=f"fullest {largest:,}",
        caption=f"{len(values):,} Gaussians, median {middle:.3g}",
    )
