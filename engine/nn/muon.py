"""Muon, an optimiser for networks that are mostly matrices: every step turns all of a matrix's directions alike.

Knows no network. After Jordan et al. 2024 (kellerjordan.github.io/posts/muon); the step's size as in Liu et al. 2025,
arXiv:2502.16982, so that one rate serves it and Adam.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

OPTIMISERS = ("Muon", "Adam")
POLYNOMIAL = (3.4445, -4.7750, 2.0315)
"""Coefficients of X, (X X^T) X and (X X^T)^2 X in a step that takes singular values of 0..1 towards 1."""
ROUNDS = 5
RISING = 50
"""Steps over which the rate rises to its own: the first gradients of a random network say little."""
MOMENTUM, BETAS, EPS = 0.95, (0.9, 0.999), 1e-8
RMS = 0.2
"""Root mean square of a matrix's step in units of the rate, as Adam's usually is."""


def orthogonal(x: Tensor, rounds: int = ROUNDS) -> Tensor:
    """The matrix (n, m) with the singular vectors of ``x`` and singular values near 1 (0.7 to 1.2, but for those that
    were below a thousandth of the whole), by Newton and Schulz's iteration; zeros stay zeros."""
    a, b, c = POLYNOMIAL
    tall = x.shape[0] > x.shape[1]
    y = x.T if tall else x
    y = y / y.norm().clamp(min=1e-12)
    for _ in range(rounds):
        square = y @ y.T
        y = torch.addmm(y, torch.addmm(square, square, square, beta=b, alpha=c), y, beta=a)
    return y.T if tall else y


class Muon(Optimizer):
    """Muon for the ``matrices`` (convolutions count as matrices of their output channels), Adam for ``others``."""

    def __init__(self, matrices: Iterable[Tensor], others: Iterable[Tensor], lr: float) -> None:
        groups = [{"params": list(part), "matrices": i == 0} for i, part in enumerate((matrices, others))]
        super().__init__([g for g in groups if g["params"]], {"lr": lr, "steps": 0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # it gives no loss
        """One step along the gradients; parameters without one stay."""
        assert closure is None  # no study needs its loss twice
        for group in self.param_groups:
            group["steps"] += 1
            rate = group["lr"] * min(1.0, group["steps"] / RISING)
            given = [p for p in group["params"] if p.grad is not None]
            if group["matrices"]:
                for p in given:
                    self._turn(p, rate)
            elif given:
                self._adam(given, rate, group["steps"])

    def _turn(self, p: Tensor, rate: float) -> None:
        state = self.state[p]
        if not state:
            state["momentum"] = torch.zeros_like(p)
        mean = state["momentum"].lerp_(p.grad, 1 - MOMENTUM)
        ahead = p.grad.lerp(mean, MOMENTUM)  # type: ignore[union-attr]  # Nesterov's: as the mean will be
        turn = orthogonal(ahead.flatten(1)).view(p.shape)
        p.add_(turn, alpha=-rate * RMS * math.sqrt(max(len(p), p[0].numel())))

    def _adam(self, given: list[Tensor], rate: float, n: int) -> None:
        for p in given:
            if not self.state[p]:
                self.state[p] = {"mean": torch.zeros_like(p), "square": torch.zeros_like(p)}
        grads: list[Any] = [p.grad for p in given]
        means, squares = ([self.state[p][key] for p in given] for key in ("mean", "square"))
        torch._foreach_lerp_(means, grads, 1 - BETAS[0])
        torch._foreach_mul_(squares, BETAS[1])
        torch._foreach_addcmul_(squares, grads, grads, 1 - BETAS[1])
        sizes = torch._foreach_sqrt(squares)
        torch._foreach_div_(sizes, math.sqrt(1 - BETAS[1] ** n))
        torch._foreach_add_(sizes, EPS)
        torch._foreach_addcdiv_(given, means, sizes, -rate / (1 - BETAS[0] ** n))


def optimiser(kind: str, net: nn.Module, rate: float, ends: Iterable[nn.Module] = ()) -> Optimizer:
    """One of :data:`OPTIMISERS` for all of ``net``. Muon turns the convolutions but those of ``ends``, which speak
    with the outside: of those, as of biases, norms, embeddings and what comes of these, Adam knows the scales."""
    if kind == "Adam":
        return Adam(net.parameters(), rate)
    outer = {id(p) for end in ends for p in end.parameters()}
    inner = [p for p in net.parameters() if p.dim() == 4 and id(p) not in outer]
    mine = {id(p) for p in inner}
    return Muon(inner, [p for p in net.parameters() if id(p) not in mine], rate)
