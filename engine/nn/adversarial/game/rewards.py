"""What a discriminator is paid for real points and for fakes, and what it believes. Knows no network and no gradient.

The losses themselves are :mod:`engine.nn.adversarial.losses`'s; here they are taken apart, for the equation on
the screen.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

Of = Callable[[Tensor], Tensor]

_REWARDS: dict[str, tuple[Of, Of]] = {
    "non-saturating": (F.logsigmoid, lambda fake: F.logsigmoid(-fake)),
    "minimax": (F.logsigmoid, lambda fake: F.logsigmoid(-fake)),
    "Wasserstein": (lambda real: real, lambda fake: -fake),
    "least squares": (lambda real: -(real - 1).square() / 2, lambda fake: -fake.square() / 2),
    "hinge": (lambda real: -F.relu(1 - real), lambda fake: -F.relu(1 + fake)),
}
_BELIEFS: dict[str, Of] = {
    "non-saturating": Tensor.sigmoid,
    "minimax": Tensor.sigmoid,
    "Wasserstein": lambda logits: (logits - logits.min()) / (logits.max() - logits.min()).clamp(min=1e-12),
    "least squares": lambda logits: logits.clamp(0, 1),
    "hinge": lambda logits: ((logits + 1) / 2).clamp(0, 1),
}
LOG_LOSSES = ("non-saturating", "minimax")
"""The losses whose discriminator maximises V(D, G) = E_p log D + E_q log(1 - D)."""
PROBABILITIES = (*LOG_LOSSES, "least squares")
"""The losses whose best discriminator is p / (p + q)."""
ZERO_SUM = ("minimax", "Wasserstein")
"""The losses in which the generator loses all that the discriminator wins."""


def rewards(kind: str, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """What the discriminator maximises, apart for its logits (B,) of real points and of fakes (B',): two scalars, of
    which ``d_loss`` is the negative sum."""
    of_real, of_fake = _REWARDS[kind]
    return of_real(real).mean(), of_fake(fake).mean()


def belief(kind: str, logits: Tensor) -> Tensor:
    """How real the discriminator holds what has these logits, in 0..1: a probability for :data:`PROBABILITIES`; for
    hinge -1 is 0 and 1 is 1; a Wasserstein critic has no scale, the range of these ``logits`` is spread over 0..1."""
    return _BELIEFS[kind](logits)
