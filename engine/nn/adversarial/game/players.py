"""The two players in the plane, their losses and their moves. Knows no data and no picture.

A player moves by :func:`torch.autograd.grad`; the rules (a study's knobs) come with each move, so they may change.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from engine.nn.adversarial.game.rewards import ZERO_SUM, rewards
from engine.nn.adversarial.game.unroll import Function, ahead
from engine.nn.adversarial.losses import d_loss, g_loss, gradient_penalty, r1

REGULARISERS = ("none", "gradient penalty", "R1")


class Rules(Protocol):
    """``loss`` is one of ``adversarial.LOSSES``; ``regulariser`` one of :data:`REGULARISERS` with weight
    ``strength``; the generator looks ``unroll`` moves of the discriminator ahead."""

    loss: str
    regulariser: str
    strength: float
    unroll: int


def layers(inputs: int, width: int, depth: int, outputs: int, unit: type[nn.Module]) -> nn.Sequential:
    """``depth`` layers of ``width`` units, and a linear one at the end."""
    made: list[nn.Module] = []
    for size in (inputs, *(width,) * (depth - 1)):
        made += [nn.Linear(size, width), unit()]
    return nn.Sequential(*made, nn.Linear(width, outputs))


@dataclass
class Players:
    """``generator`` (B, latent) -> (B, 2) and ``discriminator`` (B, 2) -> logits (B,), with an Adam for each."""

    generator: nn.Module
    discriminator: nn.Module
    g_optimizer: torch.optim.Adam
    d_optimizer: torch.optim.Adam

    def copied(self) -> Players:
        """The same players, who can go on by themselves."""
        mine = (self.generator, self.discriminator, self.g_optimizer, self.d_optimizer)
        return Players(*copy.deepcopy(mine))

    # ---- losses ----

    def d_total(self, rules: Rules, d: Function, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """What the discriminator minimises, with its weighted penalty, and that penalty alone: scalars."""
        penalty = torch.zeros((), device=real.device)
        if rules.regulariser == "gradient penalty":
            penalty = rules.strength * gradient_penalty(d, real, fake).mean()
        elif rules.regulariser == "R1":
            at = real.detach().requires_grad_()
            penalty = rules.strength / 2 * r1(d(at), at).mean()
        # Both at once, which takes half the time: what is said of a point depends on that point alone.
        of_real, of_fake = d(torch.cat([real, fake])).split([len(real), len(fake)])
        return d_loss(rules.loss, of_real, of_fake) + penalty, penalty

    def g_total(self, rules: Rules, real: Tensor, fake: Tensor) -> Tensor:
        """What the generator minimises, a scalar. Where it looks ahead, a discriminator that has moved on judges; what
        that says of real points then depends on the fakes too, and counts where the game is zero-sum."""
        if not rules.unroll:
            return g_loss(rules.loss, self.discriminator(fake))

        def total(d: Function) -> Tensor:
            return self.d_total(rules, d, real, fake)[0]

        later = ahead(self.discriminator, self.d_optimizer, total, rules.unroll)
        if rules.loss in ZERO_SUM:
            return -d_loss(rules.loss, later(real), later(fake))
        return g_loss(rules.loss, later(fake))

    @torch.enable_grad()
    def pull(self, rules: Rules, real: Tensor, fake: Tensor) -> Tensor:
        """Where the generator's loss pulls each of the fakes (B, 2): minus its slope there, (B, 2), of one fake's own
        share of the mean."""
        at = fake.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.g_total(rules, real, at), at)
        return -slope * len(at)

    # ---- moves ----

    @torch.enable_grad()
    def d_move(self, rules: Rules, real: Tensor, z: Tensor, moves: bool = True) -> dict[str, Tensor]:
        """One step of the discriminator, or only its loss where it does not move; what it says of this batch."""
        fake = self.generator(z).detach()
        loss, penalty = self.d_total(rules, self.discriminator, real, fake)
        with torch.no_grad():
            of_real, of_fake = rewards(rules.loss, self.discriminator(real), self.discriminator(fake))
        if moves:
            _step(self.discriminator, self.d_optimizer, loss)
        return {
            "real_value": of_real,
            "fake_value": of_fake,
            "value": of_real + of_fake,
            "penalty": penalty.detach(),
            "d_loss": loss.detach(),
        }

    @torch.enable_grad()
    def g_move(self, rules: Rules, real: Tensor, z: Tensor, moves: bool = True) -> dict[str, Tensor]:
        """One step of the generator, or only its loss where it does not move."""
        loss = self.g_total(rules, real, self.generator(z))
        if moves:
            _step(self.generator, self.g_optimizer, loss)
        return {"g_loss": loss.detach()}


def _step(net: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    weights = list(net.parameters())
    for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = slope
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
