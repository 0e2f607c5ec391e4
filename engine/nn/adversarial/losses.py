"""The game between a generator and a discriminator, as losses and regularisers. Knows no network and no study.

A discriminator gives one logit for each picture, (B,): large for what it holds real. What is returned is minimised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

Scores = Callable[[Tensor], Tensor]

_D_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "non-saturating": lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
    "minimax": lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
    "Wasserstein": lambda real, fake: fake.mean() - real.mean(),
    "least squares": lambda real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2,
    "hinge": lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
}
_G_LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "non-saturating": lambda fake: F.softplus(-fake).mean(),
    "minimax": lambda fake: -F.softplus(fake).mean(),
    "Wasserstein": lambda fake: -fake.mean(),
    "least squares": lambda fake: (fake - 1).square().mean() / 2,
    "hinge": lambda fake: -fake.mean(),
}
LOSSES = tuple(_D_LOSSES)


def d_loss(kind: str, real: Tensor, fake: Tensor) -> Tensor:
    """What the discriminator minimises, of its logits (B,) for real pictures and (B',) for fakes: a scalar.

    Non-saturating and minimax: -log D(x) - log(1 - D(G(z))), Goodfellow et al. 2014; Wasserstein: Arjovsky et al.
    2017; least squares with targets 1 and 0: Mao et al. 2017; hinge: Lim & Ye 2017, Miyato et al. 2018.
    """
    return _D_LOSSES[kind](real, fake)


def g_loss(kind: str, fake: Tensor) -> Tensor:
    """What the generator minimises, of the discriminator's logits (B,) for its fakes: a scalar. Minimax is
    log(1 - D(G(z))), whose slope vanishes where D is sure; non-saturating -log D(G(z)), whose slope is large there."""
    return _G_LOSSES[kind](fake)


def r1(logits_real: Tensor, x_real: Tensor) -> Tensor:
    """|grad_x D(x)|^2 at every real picture, (B,), to be trained through; times gamma / 2 it is R1. Mescheder et al.
    2018. ``x_real`` must require a gradient, and the logit of a picture must depend on that picture alone."""
    (slope,) = torch.autograd.grad(logits_real.sum(), x_real, create_graph=True)
    return slope.square().flatten(1).sum(1)


def gradient_penalty(d: Scores, real: Tensor, fake: Tensor) -> Tensor:
    """(|grad_x D(x)| - 1)^2 at one random mixture x of each pair, (B,), to be trained through; times lambda it is
    the penalty of WGAN-GP. Gulrajani et al. 2017. The weights come from torch's global generator."""
    share = torch.rand(len(real), *(1,) * (real.dim() - 1), device=real.device, dtype=real.dtype)
    mixed = torch.lerp(real.detach(), fake.detach(), share).requires_grad_()
    # The root's slope is infinite at 0, where a dead discriminator is.
    return (r1(d(mixed), mixed).clamp(min=1e-12).sqrt() - 1).square()


def spectral(module: nn.Module) -> nn.Module:
    """Divides the weight of every convolution and linear layer within by its largest singular value, as found by one
    power iteration per training step; a convolution's weight is the matrix (out, in * height * width). Miyato et al.
    2018. The same module, changed in place."""
    for layer in list(module.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            spectral_norm(layer)
    return module


def grad_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """The Euclidean norm of the gradients that are there now, a scalar; 0 where there is none."""
    slopes = [p.grad for p in parameters if p.grad is not None]
    return torch.stack(list(torch._foreach_norm(slopes))).norm() if slopes else torch.zeros(())
