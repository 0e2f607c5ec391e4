"""Tensors as the plain arrays that payloads are made of. Knows no network and no probe."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def pictures(x: Tensor) -> np.ndarray:
    """(N, C, H, W) -> float32 (N, H, W, C) within 0..1, on the CPU; what is not a number is black."""
    shown = x.detach().float().nan_to_num(0.0).clamp(0, 1)
    return np.ascontiguousarray(shown.permute(0, 2, 3, 1).cpu().numpy())


def array(x: Tensor) -> np.ndarray:
    """float32 on the CPU, a copy of its own."""
    return x.detach().float().cpu().numpy().copy()
