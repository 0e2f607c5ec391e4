"""A NeRF from three to eight photographs: what else it has to be told, beside the same network that is told nothing.
Knows neither how photographs are read nor how the field is shown."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.data.captures.capture import FITS, ORIENTATIONS
from engine.data.captures.source import SHRINKS
from engine.data.rays import Rays
from engine.nn.fields.harmonics import MOST
from engine.nn.looking import things as things_of
from engine.nn.looking.pictures import shades
from engine.nn.looking.probes import PHOTO, RadianceProbes, RaySamples, Rendered, decibels
from engine.nn.pictures import array
from engine.nn.radiance import compositing, regularisers
from engine.nn.radiance.exact import exact_distances
from engine.nn.radiance.few_views import Between, FewViews
from engine.nn.radiance.hash_field import HashField, Marched
from engine.nn.radiance.sampling import aabb
from engine.params import knob
from engine.payloads import ImageGrid
from engine.probes import Number, Toggle, probe
from engine.scene import Scene, Thing
from engine.study import Captures, Term

HUBER = 0.1
"""Errors of a pixel beyond this count by their size, not by their square."""
FOGGY, FOGGY_STEPS = 150, 48
"""For so many steps of training, while all is still fog, rays take no more steps from corner to corner than this."""
RAYS_AT_ONCE = 4096
LEFT_OUT = "#7d8696"
FAINT = 0.05
"""A pixel's depth is divided by its alpha, but by no less than this."""


class NeRFSparse(RadianceProbes):
    """With eight photographs or fewer a radiance field can explain each by fog before its own lens and know nothing of
    the scene. Terms that ask for sensible space where nobody looked help; a twin that is told nothing learns beside."""

    title, family = "NeRF from few views", "Radiance fields"
    paper = (
        "Niemeyer et al. 2022 (RegNeRF), arXiv:2112.00724; Yang et al. 2023 (FreeNeRF), arXiv:2303.07418; "
        "Kim et al. 2022 (InfoNeRF), arXiv:2112.15399; Barron et al. 2022 (mip-NeRF 360), arXiv:2111.12077"
    )
    data = Captures()
    left = r"\mathcal{L}\;="
    objective = [
        Term(
            r"\mathbb{E}_{r}\,\ell(\hat C(r),C(r))",
            "pixels",
            "orange",
            "How far the pixels of the few photographs are from what the field shows, by Huber's loss.",
        ),
        Term(
            r"\;+\;\lambda_o\,\mathbb{E}\,[\sigma]_{s<s_o}",
            "near_fog",
            "red",
            "The mean density in the first part of each ray: what hangs before one lens explains one photograph only.",
        ),
        Term(
            r"\;+\;\lambda_s\,\mathbb{E}_{p}\,|\nabla \hat d\,|^2",
            "roughness",
            "blue",
            "How much depth changes between neighbouring pixels, in patches of cameras that nobody stood at.",
        ),
        Term(
            r"\;+\;\lambda_d\sum_{i,j} w_i w_j|s_i-s_j|",
            "distortion",
            "green",
            "How far apart along a ray the samples lie that give its colour: small for one surface, large for fog.",
        ),
        Term(
            r"\;-\;\lambda_h\sum_i p_i\ln p_i",
            "entropy",
            "purple",
            "How undecided a ray is about where it ends, with p the samples' opacities as shares of their sum.",
        ),
    ]
    try_this = (
        "Train and open With and without: both fields match their four photographs, only one knows the scene between.",
        "Switch the terms off while training: the held-out curves meet as fog comes back before the lenses.",
        "Set views to 8: what more photographs say is worth more than any term, and the terms begin to cost a little.",
    )
    first_probes = ("against", "view")

    @dataclass
    class Params:
        views: int = knob(4, "Photographs that are learned from, chosen so that they stand far apart.", lo=2, hi=16,
                          symbol="N")  # fmt: skip
        regularised: bool = knob(True, "Whether the terms and the opening of fine levels count at all.", live=True)
        near_fog: float = knob(0.01, "What density before the lenses costs.", lo=0.0, hi=0.1, symbol=r"\lambda_o",
                               live=True)  # fmt: skip
        near: float = knob(0.3, "How much of each ray, from where it enters the bounds, counts as before the lens.",
                           lo=0.0, hi=1.0, symbol="s_o", live=True)  # fmt: skip
        smooth: float = knob(0.03, "What rough depth costs where nobody photographed.", lo=0.0, hi=0.3,
                             symbol=r"\lambda_s", live=True)  # fmt: skip
        distortion: float = knob(0.001, "What it costs when a ray's weight is spread out.", lo=0.0, hi=0.02,
                                 symbol=r"\lambda_d", live=True)  # fmt: skip
        entropy: float = knob(0.0, "What it costs when a ray is undecided where it ends.", lo=0.0, hi=0.01,
                              symbol=r"\lambda_h", live=True)  # fmt: skip
        opening: int = knob(300, "Steps until the finest level of the grid counts; 0 opens all of them at once.", lo=0,
                            hi=3000, live=True)  # fmt: skip
        patches: int = knob(8, "Patches of a step, each seen by a camera between those of the photographs.", lo=1,
                            hi=64, live=True)  # fmt: skip
        side: int = knob(8, "Pixels along a side of a patch.", lo=2, hi=16, live=True)
        twin: bool = knob(True, "Whether a second field learns from the same rays without any of the terms.")
        bands: int = knob(2, "Bands of spherical harmonics of the direction; 1 leaves the direction out.", lo=1,
                          hi=MOST, live=True)  # fmt: skip
        levels: int = knob(8, "Grids of growing fineness.", lo=1, hi=16, symbol="L")
        table: int = knob(14, "Entries of each grid's table, as a power of two.", lo=6, hi=19, symbol=r"\log_2 T")
        finest: int = knob(96, "Cells along the innermost box in the finest grid.", lo=8, hi=1024, log=True,
                           symbol=r"N_{\max}")  # fmt: skip
        width: int = knob(32, "Units of each hidden layer.", lo=8, hi=128, symbol="c")
        begin: float = knob(1.0, "Density of the fog that it begins with, per half side of the innermost box.",
                            lo=0.01, hi=10.0, log=True, symbol=r"\sigma_0")  # fmt: skip
        resolution: int = knob(32, "Cells along a side of the grid that knows where space is empty.", lo=4, hi=96)
        batch: int = knob(512, "Rays of one step from the photographs.", lo=32, hi=8192, log=True, symbol="B",
                          live=True)  # fmt: skip
        steps: int = knob(96, "Steps across the innermost box from corner to corner.", lo=16, hi=512, log=True,
                          live=True)  # fmt: skip
        rate: float = knob(1e-2, "Step size of the Adam optimiser.", lo=1e-4, hi=0.1, log=True, symbol=r"\eta",
                           live=True)  # fmt: skip
        halve: int = knob(1500, "After how many steps the step size is halved, again and again.", lo=100, hi=200_000,
                          log=True, live=True)  # fmt: skip
        shrink: str = knob("1", "By how much the photographs are made smaller.", choices=SHRINKS)
        orientation: str = knob("up", "Whether the scene is turned so that the cameras' up is z.", choices=ORIENTATIONS)
        fit: str = knob("cameras", "What is brought to a size that the field can hold.", choices=FITS)

    p: Params
    source: FewViews
    tiny = dict(levels=3, table=8, finest=16, width=16, resolution=8, batch=64, steps=24, patches=2, side=4, opening=4)

    # ---- two fields with the same first weights ----

    def build(self, device: torch.device) -> None:
        self.source = FewViews(self.source, self.p.views)
        self.between = Between.of(self.source)
        p = self.p
        self.field = HashField(self.bounds, p.levels, p.table, p.finest, p.width, p.begin, p.resolution).to(device)
        self.optimizer = adam(self.field, p.rate)
        self.without = copy.deepcopy(self.field) if p.twin else None
        self.without_optimizer = None if self.without is None else adam(self.without, p.rate)

    def _step(self, field: HashField) -> float:
        """The length of a ray's shortest step; longer at first while learning."""
        early = field.training and int(field.steps) < FOGGY
        return field.diagonal / (min(FOGGY_STEPS, self.p.steps) if early else self.p.steps)

    # ---- training ----

    def train_step(self, rays: Rays) -> dict[str, Tensor]:
        ground = self.training_ground()
        done = int(self.field.steps)
        opened = done / self.p.opening if self.p.regularised and self.p.opening else 1.0
        self.field.shown.copy_(regularisers.window(self.p.levels, opened))
        # The patches are seen whether or not their terms count, so that a term that is off can be watched all the same.
        o, d = self.between.patches(self.p.patches, self.p.side)
        self.field.look(self._step(self.field))
        seen = self._march(self.field, torch.cat([rays.origins, o]), torch.cat([rays.directions, d]))
        off = self._off(seen, rays, ground)
        terms = {"pixels": huber(off), **self._terms(seen, len(rays))}
        loss = terms["pixels"]
        if self.p.regularised:
            for name, weight in self._weights().items():
                loss = loss + weight * terms[name]
        metrics = {"loss": loss.detach(), "psnr": -10 * off.detach().square().mean().clamp(min=1e-10).log10()}
        if self.without is not None and self.without_optimizer is not None:
            self.without.look(self._step(self.without))
            off = self._off(self._march(self.without, rays.origins, rays.directions), rays, ground)
            loss = loss + huber(off)  # no weight is in both parts: one backward pass serves the two fields
            metrics["psnr_without"] = -10 * off.detach().square().mean().clamp(min=1e-10).log10()
        pairs = [(self.field, self.optimizer)]
        if self.without is not None and self.without_optimizer is not None:
            pairs.append((self.without, self.without_optimizer))
        for _, optimizer in pairs:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for field, optimizer in pairs:
            optimizer.param_groups[0]["lr"] = self.p.rate * 0.5 ** (done / self.p.halve)
            optimizer.step()
            field.steps += 1
        return {**metrics, **{name: term.detach() for name, term in terms.items()}}

    def _march(self, field: HashField, origins: Tensor, directions: Tensor) -> Marched:
        jitter = torch.rand(len(origins)).to(origins.device) if field.training else None
        near, far = self.within_crop(origins, directions, *aabb(origins, directions, field.low, field.high))
        return field.march(origins, directions, near, far, self._step(field), self.p.bands, jitter)

    @staticmethod
    def _off(seen: Marched, rays: Rays, ground: Tensor) -> Tensor:
        """How far the first pixels (B, 3) are from the photographs'."""
        n = len(rays)
        return seen.rgb[:n] + (1 - seen.alpha[:n])[:, None] * ground - rays.over(ground)

    def _weights(self) -> dict[str, float]:
        """What each term counts, by its metric's name."""
        p = self.p
        return {"near_fog": p.near_fog, "roughness": p.smooth, "distortion": p.distortion, "entropy": p.entropy}

    def _terms(self, seen: Marched, photographed: int) -> dict[str, Tensor]:
        """The terms without their weights, of all rays; of roughness those after the ``photographed`` ones, which are
        patches."""
        starts, counts = seen.samples.starts, seen.samples.counts
        alpha = -torch.expm1(-seen.sigma * seen.samples.delta)
        patch = (-1, self.p.side, self.p.side)
        covered = seen.alpha[photographed:].view(patch)
        depth = seen.depth[photographed:].view(patch) / covered.clamp(min=FAINT)
        return {
            "near_fog": regularisers.occlusion(seen.sigma, seen.s, self.p.near, starts, counts).mean(),
            "roughness": regularisers.roughness(depth, covered),
            "distortion": regularisers.distortion(seen.weight, seen.s, seen.length, starts, counts).mean(),
            "entropy": regularisers.entropy(alpha, starts, counts).mean(),
        }

    # ---- held-out figures, of both ----

    def evaluate(self, batch: Rays) -> dict[str, Tensor]:
        out = super().evaluate(batch)
        if self.without is not None:
            seen = self._rendered(self.without, batch.origins, batch.directions, self.ground)
            out["mse_without"] = (seen.rgb - batch.over(self.ground)).square().mean(1)
        return out

    def figures(self, means: dict[str, float]) -> dict[str, float]:
        twin = {"psnr_without": decibels(means["mse_without"])} if "mse_without" in means else {}
        return {**super().figures(means), **twin}

    # ---- what the probes ask ----

    @torch.no_grad()
    def _rendered(self, field: HashField, origins: Tensor, directions: Tensor, ground: Tensor) -> Rendered:
        parts = [
            self._march(field, o, d)
            for o, d in zip(origins.split(RAYS_AT_ONCE), directions.split(RAYS_AT_ONCE), strict=True)
        ]
        rows = [(m.rgb + (1 - m.alpha)[:, None] * ground, m.alpha, m.depth, m.samples.counts) for m in parts]
        rgb, alpha, depth, cost = (torch.cat(column) for column in zip(*rows, strict=True))
        return Rendered(rgb, alpha, depth, None, cost)

    def render_rays(self, origins: Tensor, directions: Tensor, ground: Tensor) -> Rendered:
        return self._rendered(self.field, origins, directions, ground)

    @torch.no_grad()
    def ray_samples(self, origin: Tensor, direction: Tensor) -> RaySamples:
        m = self._march(self.field, origin[None], direction[None])
        weight, transmittance = compositing.weights(m.sigma[None], m.samples.delta[None])
        alpha = -torch.expm1(-m.sigma * m.samples.delta)
        return RaySamples(m.samples.t, m.samples.delta, m.sigma, alpha, transmittance[0], weight[0], m.each)

    def density(self, points: Tensor) -> Tensor:
        return self.field.density(points)

    @probe(
        ImageGrid,
        title="With and without",
        refresh=2.0,
        photo=PHOTO,
        width=Number(100, 16, 400, log=True, text="Pixels across, at most; the photograph is averaged down to them."),
    )
    def against(self, photo: str, width: int) -> Iterator[float | ImageGrid]:
        """A photograph that was not learned from, the field that was told the terms and the one that was not; below,
        how far away each believes things to be, near is light."""
        chosen = self.photo(photo)
        camera = chosen.view.camera
        most = min(width, self._budgeted(width, width)[0]) if self.dragging else width
        origins, directions, truth, counts = self._photo_rays(chosen, max(1, math.ceil(camera.width / most)))
        near, far = self._reach(origins[0])
        images, captions = [truth], ["photograph"]
        exact = exact_distances(self.source.source, origins, directions)
        there = torch.zeros_like(origins[:, 0]) if exact is None else exact
        known = Rendered(torch.zeros_like(origins), (there > 0).float(), there, None, there)
        depths = [self._depth_picture(known, near, far)]
        for name, field in (("with", self.field), ("without", self.without)):
            if field is None:
                continue
            picture, depth = [], []
            for o, d in zip(origins.split(RAYS_AT_ONCE), directions.split(RAYS_AT_ONCE), strict=True):
                yield 0.5 * len(images) / 3
                seen = self._rendered(field, o, d, self.ground)
                picture.append(seen.rgb)
                depth.append(self._depth_picture(seen, near, far))
            image = array(torch.cat(picture)).clip(0, 1).reshape(truth.shape)
            mse = float(np.square(image - truth)[counts].mean()) if counts.any() else 0.0
            images.append(image)
            depths.append(torch.cat(depth))
            captions.append(f"{name} {decibels(mse):.2f} dB")
        off = "" if self.without is not None else "; switch twin on to see one that is told nothing beside it"
        yield ImageGrid(
            np.stack([*images, *(array(depth).clip(0, 1).reshape(truth.shape) for depth in depths)]),
            columns=len(images),
            captions=(*captions, "" if exact is None else "exact depth", *("depth" for _ in images[1:])),
            caption=f"{chosen.view.name}, learned from {len(self.source.chosen)} photographs{off}",
        )

    def _depth_picture(self, seen: Rendered, near: float, far: float) -> Tensor:
        """Greys (R, 3) of distances on the ground, light at ``near`` and dark at ``far``."""
        grey, covered, _ = shades("depth", seen, None, (near, far))
        return grey + (1 - covered)[:, None] * self.ground

    def _reach(self, eye: Tensor) -> tuple[float, float]:
        """The least and the greatest distance between a place and the bounds."""
        low, high = self.bounds
        nearest = float((eye.clamp(low, high) - eye).norm())
        return nearest, float(torch.maximum((eye - low).abs(), (high - eye).abs()).norm())

    # ---- which photographs it knows ----

    def _frustums(self) -> tuple[Thing, ...]:
        def make() -> tuple[Thing, ...]:
            ahead = float((self.between.middle - self.between.eyes.mean(0)).norm()) + 1
            groups = {
                "learned from": self.source.few,
                "left out": self.source.rest,
                "held out": self.source.photos["held_out"],
            }
            made = [things_of.frustums(photos, name, self._depth(), ahead) for name, photos in groups.items() if photos]
            return tuple(replace(thing, colour=LEFT_OUT) if thing.name == "left out" else thing for thing in made)

        made: tuple[Thing, ...] = self._keep("frustums", (), make)
        return made

    @probe(Scene, title="Cameras", points=Toggle(True, text="Whether the capture's sparse points are shown."))
    def cameras(self, points: bool) -> Scene:
        """Where the photographs were taken: from the blue ones it learns, the grey ones it is not shown, the orange
        ones are held out. A click on one looks through it."""
        sparse = self._keep("points", (), lambda: things_of.sparse_points(self.source.source)) if points else ()
        readings = {
            "learned from": float(len(self.source.few)),
            "left out": float(len(self.source.rest)),
            "held out": float(len(self.source.photos["held_out"])),
        }
        return Scene(
            (*self._frustums(), *sparse, *self._frame()),
            caption=self.source.source.capture.title,
            readings=readings,
            notices=self.source.source.notices,
            world=self._world,
        )


def adam(field: HashField, rate: float) -> torch.optim.Adam:
    """The optimiser with instant-ngp's tiny epsilon: entries that few samples look up learn as fast as others."""
    return torch.optim.Adam(field.parameters(), rate, betas=(0.9, 0.99), eps=1e-15, fused=True)


def huber(off: Tensor) -> Tensor:
    """The mean of squares within :data:`HUBER`, of 2 delta |x| - delta^2 beyond."""
    return 2 * F.huber_loss(off, torch.zeros_like(off), delta=HUBER)
