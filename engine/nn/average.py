"""The exponential moving average of a network's weights, which samples better than the weights themselves."""

from __future__ import annotations

import copy

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
