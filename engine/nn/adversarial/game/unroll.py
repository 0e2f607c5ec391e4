"""A network some steps of its optimiser ahead, as a function that can be differentiated. Knows no game and no loss.

Metz et al. 2017, arXiv:1611.02163: the generator's gradient goes through the steps that the discriminator would take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

Function = Callable[[Tensor], Tensor]


def ahead(net: nn.Module, optimizer: torch.optim.Adam, loss: Callable[[Function], Tensor], steps: int) -> Function:
    """``net`` after ``steps`` more steps of ``optimizer`` down ``loss`` (which is told the network of that moment and
    gives a scalar); neither is changed. What it answers can be differentiated by all that ``loss`` depended on.

    The steps are Adam's without weight decay (Kingma & Ba 2015), from its present moments on, all parameters in one
    group; but eps is added under the root as eps^2, whose slope stays finite where a gradient is 0.
    """
    group: dict[str, Any] = optimizer.param_groups[0]
    (decay1, decay2), rate, eps = group["betas"], group["lr"], group["eps"]
    names, weights = zip(*net.named_parameters(), strict=True)
    sizes = [w.numel() for w in weights]
    known = [optimizer.state.get(w, {}) for w in weights]
    # All weights as one vector: few large operations take a fraction of the time of many small ones.
    now = torch.cat([w.flatten() for w in weights])
    first, second = (
        torch.cat([s[name].flatten() for s in known]) if known[0] else torch.zeros_like(now)
        for name in ("exp_avg", "exp_avg_sq")
    )
    taken = int(known[0]["step"]) if known[0] else 0

    def of(values: Tensor) -> Function:
        parts = (part.view_as(w) for part, w in zip(values.split(sizes), weights, strict=True))
        named = dict(zip(names, parts, strict=True))
        return lambda x: functional_call(net, named, (x,))

    for step in range(taken + 1, taken + steps + 1):
        (slope,) = torch.autograd.grad(loss(of(now)), now, create_graph=True)
        first = torch.lerp(slope, first, decay1)
        second = torch.lerp(slope.square(), second, decay2)
        size, fair = rate / (1 - decay1**step), 1 - decay2**step
        now = now - size * first / (second / fair + eps**2).sqrt()
    return of(now)
