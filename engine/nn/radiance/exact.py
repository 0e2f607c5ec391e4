"""The exact distance to what a ray meets, of scenes that know it. Knows no network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.data.captures import still_life
from engine.data.captures.source import CaptureSource
from engine.nn.pictures import array


def exact_distances(source: CaptureSource, origins: Tensor, directions: Tensor) -> Tensor | None:
    """The distance (R,) along rays (R, 3) to the first solid surface, 0 where there is none; None of a scene that only
    photographs tell of."""
    if source.key not in still_life.SIDES:
        return None
    t = still_life.solids(array(origins).astype(np.float64), array(directions).astype(np.float64)).t
    return torch.from_numpy(np.where(np.isfinite(t), t, 0.0).astype(np.float32)).to(origins.device)
