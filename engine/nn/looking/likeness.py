"""How alike two pictures are: whole ones, and windows of held-out photographs for a figure while training goes on.

Structural similarity after Wang et al. 2004 with even windows of 7 x 7 pixels, scikit-image's own: a window of the
paper's 11 x 11 would be two and a half times as many rays of a field. Knows no field and no ray.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

Floats = NDArray[np.float32]
WINDOW = 7
"""Pixels of a window's side."""
C1, C2 = 0.01**2, 0.03**2
"""The constants K1 = 0.01 and K2 = 0.03 of the paper, for colours in 0..1."""


def ssim(a: Floats, b: Floats, counts: NDArray[np.bool_] | None = None) -> float | None:
    """The mean similarity of two pictures (H, W, 3) in 0..1, by scikit-image, over the places where ``counts`` bool
    (H, W); None where a side is shorter than a window or nothing counts."""
    if min(a.shape[:2]) < WINDOW:
        return None
    from skimage.metrics import structural_similarity  # a quarter of a second, for this alone

    whole, each = structural_similarity(a, b, win_size=WINDOW, channel_axis=2, data_range=1.0, full=True)
    if counts is None or counts.all():
        return float(whole)
    inner = (slice(WINDOW // 2, -(WINDOW // 2)),) * 2
    picked = each[inner][counts[inner]]
    return float(picked.mean()) if len(picked) else None


def window_ssim(a: Tensor, b: Tensor) -> Tensor:
    """The similarity (K,) of windows (K, 49, 3) of two pictures: each what :func:`ssim` averages over a picture."""
    a, b = a.double(), b.double()
    n = a.shape[1]
    mean_a, mean_b = a.mean(1), b.mean(1)
    var_a, var_b = a.var(1, unbiased=True), b.var(1, unbiased=True)
    both = ((a - mean_a[:, None]) * (b - mean_b[:, None])).sum(1) / (n - 1)
    top = (2 * mean_a * mean_b + C1) * (2 * both + C2)
    return (top / ((mean_a.square() + mean_b.square() + C1) * (var_a + var_b + C2))).mean(1)


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """The similarity (H, W) of two pictures (H, W, 3) about each pixel, sides of a window at least: that of the window
    about it, moved into the picture."""
    a, b = a.double().movedim(-1, 0), b.double().movedim(-1, 0)
    n = WINDOW * WINDOW
    mean_a, mean_b, square_a, square_b, product = avg_pool2d(torch.stack([a, b, a * a, b * b, a * b]), WINDOW, 1)
    unbiased = n / (n - 1)
    var_a, var_b = unbiased * (square_a - mean_a.square()), unbiased * (square_b - mean_b.square())
    top = (2 * mean_a * mean_b + C1) * (2 * unbiased * (product - mean_a * mean_b) + C2)
    inner = (top / ((mean_a.square() + mean_b.square() + C1) * (var_a + var_b + C2))).mean(0)
    return pad(inner[None], (WINDOW // 2,) * 4, mode="replicate")[0].float()


def window_pixels(column: Tensor, row: Tensor, width: int, height: int) -> Tensor:
    """The numbers int64 (K, 49), row by row, of the pixels of windows about pixels (K,), moved into the picture."""
    half = WINDOW // 2
    shift = torch.arange(-half, half + 1, device=column.device)
    x = column.clamp(half, width - 1 - half)[:, None, None] + shift[None, None]
    y = row.clamp(half, height - 1 - half)[:, None, None] + shift[None, :, None]
    return (y * width + x).reshape(len(column), -1)
