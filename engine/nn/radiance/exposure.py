"""How bright each photograph was taken: cameras that choose their exposure by themselves show one thing in many ways.

Knows no field and no camera.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Exposure(nn.Module):
    """What each of ``count`` photographs multiplies its colours by; the mean is 1, as it is for pictures that no camera
    took."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.logarithms = nn.Parameter(torch.zeros(count, 3))

    def forward(self, rgb: Tensor, view: Tensor) -> Tensor:
        """Colours (R, 3) as photographs ``view`` int64 (R,) show them."""
        return rgb * torch.exp(self.logarithms[view] - self.logarithms.mean(0))
