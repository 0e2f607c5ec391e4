"""Where the Gaussians of a scene begin: at the points that came with the photographs, or anywhere.

Knows no training.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from engine.data.captures.capture import Capture

Floats = NDArray[np.float32]

NEIGHBOURS = 3
LEAST = 1e-7
"""Mean of the squared distances to the neighbours at least: points may lie on each other."""
FEWEST = 100
"""Points of a capture that are enough to begin with."""


def first_points(capture: Capture, box: Tensor, wished: bool, count: int) -> tuple[Tensor, Tensor]:
    """Places (N, 3) and colours (N, 3) in 0..1: the capture's points where they are ``wished`` and there are some, else
    ``count`` at random in the ``box`` (2, 3), greys of all kinds."""
    if wished and capture.points is not None and len(capture.points) >= FEWEST:
        colours = np.full(capture.points.shape, 128) if capture.colours is None else capture.colours
        return torch.tensor(capture.points, dtype=torch.float32), torch.tensor(colours / 255, dtype=torch.float32)
    low, high = box.cpu()
    return low + torch.rand(count, 3) * (high - low), torch.rand(count, 3)


def spacing(xyz: Tensor) -> Tensor:
    """How far apart places (N, 3) are: the root of the mean square distance (N,) to the three nearest others."""
    places = xyz.detach().cpu().numpy().astype(np.float64)
    found = cKDTree(places).query(places, k=min(NEIGHBOURS + 1, len(places)))[0]
    near = np.atleast_2d(found.reshape(len(places), -1))[:, 1:]
    square = np.square(near).mean(1) if near.shape[1] else np.ones(len(places))
    return torch.from_numpy(np.sqrt(np.maximum(square, LEAST)).astype(np.float32)).to(xyz.device)


def extent(capture: Capture) -> float:
    """The size of the place where the photographs were taken: 1.1 times how far the outermost camera that is learned
    from stands from the middle of them (Kerbl et al. 2023, their code)."""
    centres = np.array([view.centre for view in capture.part("train")])
    farthest = float(np.linalg.norm(centres - centres.mean(0), axis=1).max())
    return 1.1 * farthest if farthest > 1e-6 else 1.0
