"""Adaptive density control: where Gaussians are missing some are added, those that show nothing are taken away.

Kerbl et al. 2023, section 5.2, with the constants of their code. Knows no camera, no loss and no schedule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.nn.gaussians.gaussians import Gaussians
from engine.nn.splatting.projection import rotations

NARROWER = 1.6
"""By how much the two that a Gaussian is split into are smaller."""
RESET_TO = 0.01
"""The opacity that all are brought down to now and then."""


@dataclass(frozen=True)
class Growth:
    """What a round of control did: how many were ``cloned``, ``split`` and ``pruned``, and how many there are now."""

    cloned: int
    split: int
    pruned: int
    count: int

    def __str__(self) -> str:
        parts = [f"{number:,} {word}" for word, number in vars(self).items() if number and word != "count"]
        return f"{', '.join(parts) or 'nothing changed'}: {self.count:,} Gaussians"


def note(gaussians: Gaussians, slope: Tensor, visible: Tensor, width: int, height: int) -> None:
    """After a step: ``slope`` (N, 2) is the loss's by the means in pixels, ``visible`` (N,) who was in the picture."""
    size = slope.new_tensor([width / 2, height / 2])
    gaussians.slope += (slope * size).norm(dim=1) * visible
    gaussians.seen += visible


def mean_slope(gaussians: Gaussians) -> Tensor:
    """How much (N,) each pulls at its place on the mean of the pictures it was seen in."""
    return gaussians.slope / gaussians.seen.clamp(min=1)


def wanting(gaussians: Gaussians, threshold: float, small: float) -> tuple[Tensor, Tensor]:
    """Who is to be cloned and who split, masks (N,): those that pull by ``threshold`` or more, and are no wider than
    ``small`` or are."""
    pulls = mean_slope(gaussians) >= threshold
    wide = gaussians.scales.detach().exp().amax(1) > small
    return pulls & ~wide, pulls & wide


def faint(gaussians: Gaussians, least: float, widest: float | None) -> Tensor:
    """Who shows nothing, a mask (N,): an opacity below ``least``, or wider than ``widest``."""
    bad = torch.sigmoid(gaussians.opacity.detach()) < least
    return bad if widest is None else bad | (gaussians.scales.detach().exp().amax(1) > widest)


@torch.no_grad()
def control(
    gaussians: Gaussians,
    optimizer: torch.optim.Optimizer,
    *,
    threshold: float,
    small: float,
    least: float,
    widest: float | None,
    most: int,
) -> Growth:
    """One round. Where there would be more than ``most``, those that pull hardest come first."""
    gone = faint(gaussians, least, widest)
    clone, split = wanting(gaussians, threshold, small)
    clone, split = clone & ~gone, split & ~gone
    room = most - int((~gone).sum())
    if int(clone.sum() + split.sum()) > room:
        pull = mean_slope(gaussians).where(clone | split, -torch.ones_like(gaussians.seen))
        chosen = torch.zeros_like(clone)
        chosen[pull.topk(max(0, room)).indices] = True
        clone, split = clone & chosen, split & chosen
    copies = gaussians.rows(clone)
    halves = {name: value.repeat(2, *[1] * (value.ndim - 1)) for name, value in gaussians.rows(split).items()}
    deviation = halves["scales"].exp()
    shift = torch.randn(deviation.shape).to(deviation) * deviation
    halves["xyz"] = halves["xyz"] + (rotations(halves["turns"]) @ shift[:, :, None])[:, :, 0]
    halves["scales"] = halves["scales"] - math.log(NARROWER)
    more = {name: torch.cat([copies[name], halves[name]]) for name in copies}
    gaussians.change(~(gone | split), more, optimizer)
    return Growth(int(clone.sum()), int(split.sum()), int(gone.sum()), len(gaussians))


@torch.no_grad()
def reset_opacity(gaussians: Gaussians, optimizer: torch.optim.Optimizer) -> None:
    """All opacities are brought down to :data:`RESET_TO`: those that are needed come back, the others are pruned."""
    gaussians.opacity.clamp_(max=math.log(RESET_TO / (1 - RESET_TO)))
    for value in optimizer.state.get(gaussians.opacity, {}).values():
        if isinstance(value, Tensor) and value.ndim:
            value.zero_()
