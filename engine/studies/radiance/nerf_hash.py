"""NeRF in seconds: a table of features in place of a deep network, and empty space that is skipped. Knows neither how
photographs are read nor how the field is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.data.captures.capture import FITS, ORIENTATIONS
from engine.data.captures.source import SHRINKS
from engine.data.rays import Rays
from engine.nn.fields.harmonics import MOST, harmonics
from engine.nn.looking.common import HALF_SIDE
from engine.nn.looking.probes import RadianceProbes, RaySamples, Rendered
from engine.nn.looking.voxels import hull
from engine.nn.radiance import compositing, forms, regularisers, through, unbounded
from engine.nn.radiance.exposure import Exposure
from engine.nn.radiance.hash_grid import HashGrid
from engine.nn.radiance.occupancy import Occupancy, Samples
from engine.nn.radiance.sampling import aabb
from engine.nn.radiance.seen_by import seen_by
from engine.params import knob
from engine.probes import Toggle, probe
from engine.scene import Mesh, Scene
from engine.study import Captures, Term

HUBER, L2 = LOSSES = ("Huber", "L2")
BEST, PLAIN = FORMS = ("best", "plain")
FEATURES = 16
"""Numbers that the density's network hands to the colour's; the first is the logarithm of the density."""
HIGHEST = 12.0
"""The logarithm of the density is no higher: beyond, only its overflow would change."""
INNER = 1.25
"""Half a side of the innermost grid at most, where the study chooses the number of cascades: captures are fitted so
that what is looked at lies within the ball of radius 1."""
BACKGROUND = 4.0
"""How far the bounds reach where photographs show a background and nothing tells how far that is."""
POINTS_INSIDE, FARTHEST = 0.98, 64.0
"""The share of a capture's sparse points that its bounds hold, and how far they reach at most."""
FOGGY_AT_MOST, FOGGY_SHARE = 8, 0.5
"""While more than this share of the cells is occupied, the time of fewer steps is so many times as long at most."""
SLOWEST = 0.01
"""The share of the step size that is left at last."""
LEAST_BUDGET = 256
RAYS_ON_A_GPU = 2**18
"""Rays between two places where an answer can be given up there."""


class Network(nn.Module):
    """(sigma, c)(x, d): the density from the features that the grid holds at x, by one hidden layer; the colour from
    what that layer hands on and the direction's spherical harmonics, by ``layers`` hidden layers."""

    steps: Tensor
    """How many training steps it has taken."""

    def __init__(self, grid: HashGrid, width: int, layers: int, begin: float) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.grid = grid
        self.dense = nn.Sequential(nn.Linear(grid.size, width), nn.ReLU(), nn.Linear(width, FEATURES))
        colour: list[nn.Module] = []
        for k in range(layers):
            colour += [nn.Linear(width if k else FEATURES + MOST**2, width), nn.ReLU()]
        self.colour = nn.Sequential(*colour, nn.Linear(width, 3))
        last = self.dense[2]
        assert isinstance(last, nn.Linear)
        nn.init.constant_(last.bias[:1], math.log(begin))

    def hidden(self, x: Tensor) -> Tensor:
        """(N, 3) in [-1, 1] -> (N, :data:`FEATURES`)."""
        out: Tensor = self.dense(self.grid(x))
        return out

    @staticmethod
    def sigma(h: Tensor) -> Tensor:
        """Densities (N,) > 0 in half sides of the innermost box."""
        return torch.exp(h[:, 0].clamp(max=HIGHEST))

    def forward(self, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Densities (N,) and colours (N, 3) in 0..1 at places (N, 3) for the harmonics (N, 16) of the directions."""
        h = self.hidden(x)
        return self.sigma(h), self.shade(h, seen)

    def shade(self, h: Tensor, seen: Tensor) -> Tensor:
        """Colours (N, 3) in 0..1 of what the hidden layer handed on, (N, :data:`FEATURES`)."""
        return torch.sigmoid(self.colour(torch.cat([h, seen], 1)))


class NeRFHash(RadianceProbes):
    """The same integral along rays as in NeRF, learned a hundred times faster: features stand in tables that are
    looked up, only what is near a ray's sample is changed, and a coarse grid remembers where there is nothing."""

    title, family = "NeRF by hashing", "Radiance fields"
    paper = "Müller et al. 2022 (instant-ngp), arXiv:2201.05989; Mildenhall et al. 2020, arXiv:2003.08934"
    data = Captures()
    left = r"\mathcal{L}\;="
    objective = [
        Term(
            r"\mathbb{E}_{r}\,\ell(\,\sum_i T_i\,(1-e^{-\sigma_i\delta_i})\,c_i\,,\;C(r)\,)",
            "loss",
            "orange",
            "How far the pixels of the batch are from the photographs': squared, or by Huber's loss, which forgives.",
        ),
        Term(
            r"\;+\;\lambda_d\,\mathbb{E}_{r}\sum_{i,j} w_i w_j|s_i-s_j|",
            "distortion",
            "green",
            "How far apart along a ray the samples lie that give its colour, w = T (1 - e^(-σδ)), s = t / (1 + t).",
        ),
        Term(
            r"\;+\;\lambda_\theta\,\overline{\theta^2}",
            "entries",
            "blue",
            "The mean square of the table's entries: where it counts, what no photograph needs goes back to nothing.",
        ),
    ]
    try_this = (
        "Open Occupied space and train: within seconds the block is carved down to what the photographs show.",
        "Set the table's size to 8, so that hundreds of cells share an entry: what is visible wins, the rest is noise.",
        "Look at View in the mode cost: only rays that meet something ask the network, and only near it.",
    )

    @dataclass
    class Params:
        levels: int = knob(8, "Grids of growing fineness.", lo=1, hi=16, symbol="L")
        table: int = knob(15, "Entries of each grid's table, as a power of two; finer grids share them by a hash.",
                          lo=6, hi=20, symbol=r"\log_2 T")  # fmt: skip
        features: int = knob(2, "Numbers in each entry.", lo=1, hi=8, symbol="F")
        coarsest: int = knob(8, "Cells along a side of the coarsest grid.", lo=2, hi=64, symbol=r"N_{\min}")
        finest: int = knob(128, "Cells along the innermost box in the finest grid.", lo=4, hi=2048, log=True,
                           symbol=r"N_{\max}")  # fmt: skip
        width: int = knob(64, "Units of each hidden layer.", lo=8, hi=128, symbol="c")
        layers: int = knob(2, "Hidden layers of the colour's network.", lo=1, hi=4)
        bands: int = knob(4, "Bands of spherical harmonics of the direction; 1 leaves the direction out.", lo=1,
                          hi=MOST, live=True)  # fmt: skip
        begin: float = knob(1.0, "Density of the fog that it begins with, per half side of the innermost box.",
                            lo=0.01, hi=10.0, log=True, symbol=r"\sigma_0")  # fmt: skip
        batch: int = knob(1024, "Rays of one step.", lo=32, hi=65_536, log=True, symbol="B", live=True)
        budget: int = knob(131_072, "Samples of one step at most: in fog a step makes do with the first of its rays.",
                           lo=LEAST_BUDGET, hi=2**21, log=True, live=True)  # fmt: skip
        steps: int = knob(128, "Steps across the innermost box from corner to corner.", lo=16, hi=2048, log=True,
                          live=True)  # fmt: skip
        foggy: int = knob(150, "For so many steps of training rays take fewer steps, and for eight times as many where "
                          "most of space is still fog.", lo=0, hi=10_000, live=True)  # fmt: skip
        foggy_steps: int = knob(32, "Steps from corner to corner during that time.", lo=16, hi=2048, log=True,
                                live=True)  # fmt: skip
        cone: float = knob(0.004, "How much longer a step is for each unit of distance, as a pixel is wider there.",
                           lo=0.0, hi=0.1, live=True)  # fmt: skip
        near: float = knob(0.2, "Rays begin no nearer to the camera: what hangs before a lens fools nobody else.",
                           lo=0.0, hi=2.0, live=True)  # fmt: skip
        reach: float = knob(0.0, "Half a side of what rays pass through where a capture names no box; 0 takes "
                            "what its points or a background need.", lo=0.0, hi=FARTHEST, symbol="R")  # fmt: skip
        contract: bool = knob(True, "Whether a background is drawn together, the farther away the more, so that few "
                              "entries of the table go into it; not where the ground is transparent.")  # fmt: skip
        seen: int = knob(2, "Space that fewer photographs show than this stays empty, lest each makes up its own; not "
                         "where the ground is transparent.", lo=0, hi=8)  # fmt: skip
        exposure: bool = knob(False, "Whether each photograph has a brightness and tint of its own, as cameras that "
                              "choose them by themselves need.")  # fmt: skip
        most: int = knob(512, "Samples of one ray at most.", lo=8, hi=2048, log=True, live=True)
        resolution: int = knob(32, "Cells along a side of the grid that knows where space is empty.", lo=4, hi=128)
        cascades: int = knob(0, "Such grids, each twice as wide as the last; 0 chooses by the size of the bounds.",
                             lo=0, hi=6, symbol="K")  # fmt: skip
        every: int = knob(8, "Steps between two looks at what is empty.", lo=1, hi=256, log=True, live=True)
        fade: float = knob(0.85, "What a cell's density is worth at the next look, unless it is found again.", lo=0.1,
                           hi=0.999, live=True)  # fmt: skip
        threshold: float = knob(0.003, "A cell is empty where a step through it would hide less than this.", lo=1e-4,
                                hi=0.3, log=True, live=True)  # fmt: skip
        all_cells: int = knob(256, "For so many steps each look is at all cells, then at a quarter of them.", lo=0,
                              hi=10_000, live=True)  # fmt: skip
        loss: str = knob(HUBER, "What a wrong colour costs.", choices=LOSSES, live=True)
        huber: float = knob(0.1, "Errors beyond this count by their size, not by their square.", lo=0.01, hi=1.0,
                            log=True, symbol=r"\delta", live=True)  # fmt: skip
        distortion: float = knob(0.01, "What it costs when a ray's weight is spread out instead of in one place.",
                                 lo=0.0, hi=0.1, symbol=r"\lambda_d", live=True)  # fmt: skip
        decay: float = knob(0.0, "What large entries of the table cost; 0.1 is good for large captures on a GPU.",
                            lo=0.0, hi=1.0, symbol=r"\lambda_\theta", live=True)  # fmt: skip
        rate: float = knob(2e-2, "Step size of the Adam optimiser.", lo=1e-4, hi=0.1, log=True, symbol=r"\eta",
                           live=True)  # fmt: skip
        halve: int = knob(1000, "After how many steps the step size is halved, again and again.", lo=100, hi=200_000,
                          log=True, live=True)  # fmt: skip
        shrinkage: float = knob(1e-6, "Weight decay of the networks.", lo=0.0,
                                hi=0.1, live=True)  # fmt: skip
        form: str = knob(BEST, "How it is computed: the fastest way that there is here, or plain torch, to compare.",
                         choices=FORMS, live=True)  # fmt: skip
        shrink: str = knob("1", "By how much the photographs are made smaller.", choices=SHRINKS)
        orientation: str = knob("up", "Whether the scene is turned so that the cameras' up is z.", choices=ORIENTATIONS)
        fit: str = knob("cameras", "What is brought to a size that the field can hold.", choices=FITS)

    p: Params
    tiny = dict(
        levels=3, table=8, coarsest=4, finest=16, width=16, layers=1, batch=64, steps=32, resolution=8, all_cells=0
    )

    # ---- the tables, the networks and the grid of empty space ----

    @property
    def bounds(self) -> Tensor:
        box = super().bounds
        if self.source.box is not None:
            return box
        reach, points = self.p.reach, self.source.source.capture.points
        if not reach and points is not None and len(points):
            reach = min(max(HALF_SIDE, float(np.quantile(np.abs(points).max(1), POINTS_INSIDE))), FARTHEST)
        elif not reach:
            reach = HALF_SIDE if self.transparent else BACKGROUND
        return box.sign() * reach

    def build(self, device: torch.device) -> None:
        self.low, self.high = self.bounds
        self.contracts = self.p.contract and not self.transparent
        widest = float((self.high - self.low).max()) / 2
        cascades = self.p.cascades or max(1, math.ceil(math.log2(widest / INNER)) + 1)
        inside = 2.0 ** (1 - cascades)
        middle, half = (self.high + self.low) / 2, (self.high - self.low) / 2 * inside
        self.unit, self.farthest = float(half.max()), 1 / inside
        self.middle, self.half = middle, half
        self.diagonal = 2 * float(half.norm())
        self.space = Occupancy((middle - half).tolist(), (middle + half).tolist(), self.p.resolution, cascades)
        self.space.to(device)
        if self.p.seen and not self.transparent:
            cells = self.space.corners(torch.arange(len(self.space.values), device=device))
            often = seen_by(self.source, self.source.photos["train"], *cells)
            self.space.bar(often < min(self.p.seen, int(often.max())))  # photographs may have nothing in common
        finest = max(round(self.p.finest * (2 - inside if self.contracts else 1 / inside)), self.p.coarsest)
        grid = HashGrid(self.p.levels, self.p.table, self.p.features, self.p.coarsest, finest)
        grid.form = self._form
        self.network = Network(grid, self.p.width, self.p.layers, self.p.begin).to(device)
        self.network.steps = self.network.steps.cpu()  # it is asked for often, and no GPU has to be waited for
        self.exposure = Exposure(len(self.source.photos["train"])).to(device) if self.p.exposure else None
        own = [] if self.exposure is None else list(self.exposure.parameters())
        self.optimizer = torch.optim.Adam(
            [
                {"params": [*grid.parameters(), *own]},
                {"params": [*self.network.dense.parameters(), *self.network.colour.parameters()]},
            ],
            self.p.rate,
            betas=(0.9, 0.99),
            eps=1e-15,
            fused=True,
        )

    @property
    def _form(self) -> str | None:
        return forms.PLAIN if self.p.form == PLAIN else None

    def knob_changed(self, name: str) -> None:
        self.network.grid.form = self._form

    # ---- a ray: steps where space is not empty, one colour ----

    @property
    def step(self) -> float:
        """The length of a ray's shortest step; longer at first while learning."""
        done = int(self.network.steps) if self.network.training else FOGGY_AT_MOST * self.p.foggy
        early = done < self.p.foggy or (done < FOGGY_AT_MOST * self.p.foggy and self.space.share > FOGGY_SHARE)
        return self.diagonal / (min(self.p.foggy_steps, self.p.steps) if early else self.p.steps)

    def _near_far(self, o: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        """Where rays begin and end, (R,); both the same where they miss."""
        near, far = aabb(o, d, self.low, self.high)
        near = near.clamp(min=self.p.near)
        return self.within_crop(o, d, near.minimum(far), far)

    def _march(self, o: Tensor, d: Tensor) -> Samples:
        """The samples of rays (R, 3); shifted at random while learning."""
        near, far = self._near_far(o, d)
        jitter = torch.rand(len(o), device=o.device) if self.network.training else None
        return self.space.march(o, d, near, far, self.step, self.p.cone, self.p.most, jitter, self._form)

    def _within(self, points: Tensor) -> Tensor:
        """Places (N, 3) of the bounds as the grid has them, in [-1, 1]."""
        if self.contracts:
            return unbounded.boxed((points - self.middle) / self.half, self.farthest)
        return (points - self.low) / (self.high - self.low) * 2 - 1

    def _directions(self, d: Tensor) -> Tensor:
        """The harmonics (N, 16) of directions (N, 3), zeros beyond the bands that are wished."""
        seen = harmonics(d, self.p.bands)
        return F.pad(seen, (0, MOST**2 - seen.shape[1]))

    def _asked(self, samples: Samples, d: Tensor) -> tuple[Tensor, Tensor]:
        """Densities (M,) per unit of length and colours (M, 3) of packed samples of rays in directions (R, 3)."""
        sigma, rgb = self.network(self._within(samples.points), self._directions(d)[samples.ray])
        return sigma / self.unit, rgb

    # ---- training ----

    def train_step(self, rays: Rays) -> dict[str, Tensor]:
        done = int(self.network.steps)
        if done % self.p.every == 0:
            cells = len(self.space.values)
            count = None if done < self.p.all_cells else max(1, cells // 4)
            self.space.update(self.density, self.p.fade, threshold=self.p.threshold / self.step, count=count)
        ground = self.training_ground()
        samples = self._march(rays.origins, rays.directions).of_first_rays(self.p.budget)
        sigma, rgb = self._asked(samples, rays.directions)
        colour, alpha, _, weight = compositing.composite_packed(sigma, rgb, *samples.packed, self._form)
        if self.exposure is not None:
            colour = self.exposure(colour, rays.view[: len(colour)])
        off = colour + (1 - alpha)[:, None] * ground - rays.over(ground)[: len(alpha)]
        loss, spread = self._loss(off), self._spread(weight, samples)
        self.optimizer.zero_grad(set_to_none=True)
        entries = self.network.grid.table.square().mean()
        total = loss + self.p.distortion * spread
        (total + self.p.decay * entries if self.p.decay else total).backward()
        for group, decay in zip(self.optimizer.param_groups, (0.0, self.p.shrinkage), strict=True):
            group["lr"] = self.p.rate * max(0.5 ** (done / self.p.halve), SLOWEST)
            group["weight_decay"] = decay
        self.optimizer.step()
        self.network.steps += 1
        psnr = -10 * off.detach().square().mean().clamp(min=1e-10).log10()
        terms = {"loss": loss.detach(), "distortion": spread.detach(), "entries": entries.detach()}
        return {**terms, "psnr": psnr, "samples_per_ray": samples.counts.float().mean()}

    def _loss(self, off: Tensor) -> Tensor:
        """The mean of squares, or of Huber's loss on the same scale: 2 delta |x| - delta^2 beyond delta."""
        if self.p.loss == L2:
            return off.square().mean()
        return 2 * F.huber_loss(off, torch.zeros_like(off), delta=self.p.huber)

    @staticmethod
    def _spread(weight: Tensor, samples: Samples) -> Tensor:
        """The mean distortion of the rays whose packed samples have ``weight`` (M,)."""
        s, length = unbounded.receding(samples.t, samples.delta)
        return regularisers.distortion(weight, s, length, samples.starts, samples.counts).mean()

    # ---- what the probes ask ----

    @property
    def rays_at_once(self) -> int:
        return RAYS_ON_A_GPU if self.device.type == "cuda" else super().rays_at_once

    @torch.no_grad()
    def render_rays(self, origins: Tensor, directions: Tensor, ground: Tensor) -> Rendered:
        seen, near_far = self._directions(directions), self._near_far(origins, directions)

        def dense(points: Tensor) -> tuple[Tensor, Tensor]:
            h = self.network.hidden(self._within(points))
            return self.network.sigma(h) / self.unit, h

        def shade(h: Tensor, ray: Tensor) -> Tensor:
            return self.network.shade(h, seen[ray])

        pixels = through.render(
            self.space, dense, shade, origins, directions, *near_far, self.step, self.p.cone, self.p.most, self._form
        )
        return Rendered(pixels.over(ground), pixels.alpha, pixels.depth, None, pixels.cost)

    @torch.no_grad()
    def ray_samples(self, origin: Tensor, direction: Tensor) -> RaySamples:
        samples = self._march(origin[None], direction[None])
        sigma, rgb = self._asked(samples, direction[None])
        weight, transmittance = compositing.weights(sigma[None], samples.delta[None])
        alpha = -torch.expm1(-sigma * samples.delta)
        return RaySamples(samples.t, samples.delta, sigma, alpha, transmittance[0], weight[0], rgb)

    @torch.no_grad()
    def density(self, points: Tensor) -> Tensor:
        size = through.room(points.device)
        parts = [self.network.sigma(self.network.hidden(self._within(part))) for part in points.split(size)]
        return torch.cat(parts) / self.unit if parts else points.new_zeros(0)

    @probe(
        Scene,
        title="Occupied space",
        refresh=1.0,
        cameras=Toggle(False, text="Whether the cameras stand around it."),
    )
    def occupied(self, cameras: bool) -> Scene:
        """The cells that rays are sampled in; all others are stepped over. At first nothing is known to be empty."""
        corners, sizes = self.space.corners(self.space.occupied.nonzero()[:, 0])
        vertices, faces, normals = hull(corners.cpu().numpy(), sizes.cpu().numpy())
        mesh = Mesh(name="occupied", vertices=vertices, faces=faces, normals=normals, colour="blue")
        around = (*self._frustums(), *self._frame()) if cameras else self._frame()
        readings = {"cells": float(len(corners)), "share": self.space.share}
        return Scene((mesh, *around), up="z", caption=f"{self.space.share:.1%} of the cells", readings=readings)
