"""Closed forms of Gaussian and Bernoulli densities, in nats, summed over all but the first axis."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, diag exp(log_variance)) || N(0, I)) per dimension, shape of ``mean``. Kingma & Welling, app. B."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)


def log_bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """log of prod Bern(x | sigmoid(logits)) per item, (B,); grey ``x`` in 0..1 counts as a mixture of 0 and 1."""
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def log_normal(x: Tensor, mean: Tensor, sigma: float) -> Tensor:
    """log N(x | mean, sigma^2 I) per item, (B,)."""
    each = -0.5 * ((x - mean) / sigma).square() - math.log(sigma) - 0.5 * math.log(2 * math.pi)
    return each.flatten(1).sum(1)


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Spherical interpolation of two vectors (d,), ``t`` in 0..1: along the great circle, lengths linearly.

    Vectors that are parallel, opposite or zero have no circle of their own; they are interpolated linearly.
    Shoemake 1985.
    """
    na, nb = a.norm(), b.norm()
    if na == 0 or nb == 0:
        return torch.lerp(a, b, t)
    ua, ub = a / na, b / nb
    angle = torch.arccos((ua @ ub).clamp(-1, 1))
    if math.sin(float(angle)) < 1e-4:
        return torch.lerp(a, b, t)
    direction = (torch.sin((1 - t) * angle) * ua + torch.sin(t * angle) * ub) / torch.sin(angle)
    return direction * torch.lerp(na, nb, t)
