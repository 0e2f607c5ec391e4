"""Gaussians in the plane, of which a picture is painted: parameters, where they begin, how they multiply.

Places and sizes are in units of the picture's longer side. Knows no loss, no schedule and no file.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from engine.nn.gaussians.gaussians import Crowd
from engine.nn.splatting import Picture, blend_2d

RANDOM, GRID, EDGES = BEGINNINGS = ("random", "grid", "edges")
ROUND = 0.55
"""The first deviation as a share of how far apart they are."""
FIRST_OPACITY = 0.6
ROUGHEST = 0.1
"""Share of places that go to smooth parts, where it begins at the edges."""
SMALLEST = 0.35
"""Pixels of a deviation at least: narrower ones fall between pixels."""
NARROWER = 1.6


class Flat(Crowd):
    """N Gaussians, the least ``order`` in front: ``centre`` (N, 2) right and down, logarithms of two deviations
    ``scales`` (N, 2), ``angle`` (N,) of the first to the right in radians, ``rgb`` (N, 3), logits ``opacity`` (N,)."""

    centre: nn.Parameter
    scales: nn.Parameter
    angle: nn.Parameter
    rgb: nn.Parameter
    opacity: nn.Parameter
    order: Tensor
    """(N,): the smaller is in front; the two of a pair keep the place of the one that they were."""
    slope: Tensor
    seen: Tensor

    def __init__(self, centre: Tensor, rgb: Tensor, size: float) -> None:
        count = len(centre)
        place = torch.arange(count, dtype=torch.float32, device=centre.device)
        super().__init__(
            {
                "centre": centre,
                "scales": torch.full((count, 2), math.log(size), device=centre.device),
                "angle": torch.zeros(count, device=centre.device),
                "rgb": rgb,
                "opacity": torch.full((count,), FIRST_OPACITY, device=centre.device).logit(),
            },
            ("slope", "seen"),
            {"order": place},
        )

    def conics(self, pixels: float) -> Tensor:
        """The entries xx, xy, yy (N, 3) of the inverse covariances in pixels, of which the longer side has so many."""
        deviation = (self.scales.exp() * pixels).clamp(min=SMALLEST)
        one, two = deviation.square().reciprocal().unbind(1)
        c, s = self.angle.cos(), self.angle.sin()
        return torch.stack([c * c * one + s * s * two, c * s * (one - two), s * s * one + c * c * two], 1)

    def front_first(self) -> Tensor:
        """The numbers (N,) of all, from the front to the back."""
        return self.order.argsort(stable=True)

    def painted(self, width: int, height: int, ground: Tensor, order: Tensor) -> tuple[Picture, Tensor]:
        """The picture of those in ``order``, the first in front, and their centres (N, 2) in pixels, whose gradient can
        be asked for."""
        pixels = float(max(width, height))
        centres = self.centre[order] * pixels
        if centres.requires_grad:
            centres.retain_grad()
        colours, opacity = self.rgb[order], self.opacity[order].sigmoid()
        return blend_2d(centres, self.conics(pixels)[order], colours, opacity, width, height, ground), centres

    @torch.no_grad()
    def multiply(
        self, optimizer: torch.optim.Optimizer, threshold: float, small: float, least: float, most: int
    ) -> tuple[int, int, int]:
        """A round of density control as in 3DGS: who pulls at its place by ``threshold`` or more is cloned where it is
        no wider than ``small``, else split; who is fainter than ``least`` goes. How many of each."""
        gone = torch.sigmoid(self.opacity) < least
        pull = self.slope / self.seen.clamp(min=1)
        wants = (pull >= threshold) & ~gone
        room = max(0, most - int((~gone).sum()))
        if int(wants.sum()) > room:
            chosen = torch.zeros_like(wants)
            chosen[pull.where(wants, torch.full_like(pull, -1)).topk(room).indices] = True
            wants &= chosen
        wide = self.scales.exp().amax(1) > small
        copies = self.rows(wants & ~wide)
        halves = {name: value.repeat(2, *[1] * (value.ndim - 1)) for name, value in self.rows(wants & wide).items()}
        own = torch.randn(halves["scales"].shape).to(halves["scales"]) * halves["scales"].exp()
        c, s = halves["angle"].cos(), halves["angle"].sin()
        halves["centre"] += torch.stack([c * own[:, 0] - s * own[:, 1], s * own[:, 0] + c * own[:, 1]], 1)
        halves["scales"] -= math.log(NARROWER)
        self.change(~(gone | (wants & wide)), {n: torch.cat([copies[n], halves[n]]) for n in copies}, optimizer)
        return len(copies["angle"]), len(halves["angle"]) // 2, int(gone.sum())


def begun(target: Tensor, count: int, where: str) -> Flat:
    """``count`` round Gaussians in the colours of the picture ``target`` (H, W, 3) below them: at random, in a grid, or
    more of them where the picture changes."""
    height, width = target.shape[:2]
    pixels = max(width, height)
    if where == GRID:
        across = max(1, round(math.sqrt(count * width / height)))
        down = -(-count // across)
        place = torch.arange(count)
        shares = torch.stack([(place % across + 0.5) / across, (place // across + 0.5) / down], 1)
    elif where == EDGES:
        grey = target.mean(2).cpu()
        slope = torch.stack(torch.gradient(grey), 0).norm(dim=0).reshape(-1)
        ends = (slope + ROUGHEST * slope.mean().clamp(min=1e-6)).cumsum(0)
        at = torch.searchsorted(ends, torch.rand(count) * ends[-1]).clamp(max=height * width - 1)
        shares = (torch.stack([at % width, at // width], 1) + torch.rand(count, 2)) / torch.tensor([width, height])
    else:
        shares = torch.rand(count, 2)
    at = (shares * torch.tensor([width, height])).long()
    colours = target[at[:, 1].clamp(max=height - 1), at[:, 0].clamp(max=width - 1)]
    centre = shares * torch.tensor([width / pixels, height / pixels])
    size = ROUND * math.sqrt(width * height / count) / pixels
    return Flat(centre.to(target.device), colours.clone(), size)
