"""Running averages: of a network's weights, which sample better than the weights themselves; of a loss over time."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn


class Average(nn.Module):
    """``net`` is the averaged copy. The decay rises to its full value over the first steps, so that the random
    beginning is soon forgotten: min(decay, (1 + n) / (10 + n))."""

    steps: torch.Tensor

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).requires_grad_(False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))  # on the CPU: reading it waits for nothing

    @torch.no_grad()
    def update(self, net: nn.Module, decay: float) -> None:
        """Takes in the weights after one more step."""
        n = int(self.steps)
        weight = 1 - min(decay, (1 + n) / (10 + n))
        torch._foreach_lerp_(list(self.net.parameters()), [p.detach() for p in net.parameters()], weight)
        for mine, theirs in zip(self.net.buffers(), net.buffers(), strict=True):
            mine.copy_(theirs)
        self.steps += 1


class MeanOverTime(nn.Module):
    """The running mean of a loss in even parts of the time 0..1; a part that was never seen has none."""

    total: torch.Tensor
    weight: torch.Tensor

    def __init__(self, parts: int = 40, memory: float = 0.998) -> None:
        super().__init__()
        self.memory = memory
        self.register_buffer("total", torch.zeros(parts))
        self.register_buffer("weight", torch.zeros(parts))

    @torch.no_grad()
    def update(self, t: torch.Tensor, loss: torch.Tensor) -> None:
        """Takes in times (B,) and their losses (B,)."""
        place = (t * len(self.total)).long().clamp(0, len(self.total) - 1)
        self.total.mul_(self.memory).index_add_(0, place, loss.float())
        self.weight.mul_(self.memory).index_add_(0, place, torch.ones_like(loss, dtype=torch.float32))

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """The middles of the parts that were seen, and their means."""
        parts = len(self.total)
        seen = (self.weight > 0).cpu().numpy()
        mean = (self.total / self.weight.clamp(min=1e-12)).cpu().numpy()
        return ((np.arange(parts) + 0.5) / parts)[seen].astype(np.float32), mean[seen].astype(np.float32)
