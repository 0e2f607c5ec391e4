"""3D Gaussian splatting: photographs in, Gaussians out. Knows neither how they are blended nor how they are shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.data.captures.capture import FITS, ORIENTATIONS
from engine.data.captures.source import SHRINKS
from engine.data.rays import Rays
from engine.nn.gaussians import density, relocation
from engine.nn.gaussians.begin import extent, first_points, spacing
from engine.nn.gaussians.gaussians import Gaussians, fit_moments
from engine.nn.gaussians.pinhole import Shot, shot_of
from engine.nn.gaussians.probes import SplatProbes
from engine.nn.gaussians.similarity import ssim
from engine.nn.splatting import blend, project
from engine.params import knob
from engine.study import Captures, Term

CONTROL, MCMC, NONE = GROWTHS = ("density control", "MCMC", "none")
POINTS, RANDOM = BEGINNINGS = ("points", "random")
SLOWER = 20.0
"""The harmonics beyond degree 0 learn so many times slower than the colours themselves."""
FIRST = ((1.0, 0.1), (0.1, 0.5))
"""The first deviations as a share of the distance to the neighbours and the first opacity, and those in MCMC."""
TREMBLE = 5e5
"""How far Gaussians tremble in MCMC for the step size of their places."""


class GaussianSplatting(SplatProbes):
    """A scene made of soft ellipsoids that are drawn, not searched for along rays: photograph after photograph is
    compared with what they blend to, each moves a little, and where they are missing new ones are added."""

    title, family = "Gaussian splatting", "Gaussian splats"
    paper = "Kerbl et al. 2023, arXiv:2308.04079; Kheradmand et al. 2024 (MCMC), arXiv:2404.09591"
    data = Captures()
    left = r"\mathcal{L}\;="
    objective = [
        Term(
            r"(1-\lambda)\,\|C-I\|_1",
            "l1",
            "orange",
            "How far the colours of the pixels are from the photograph's, the mean of the differences.",
        ),
        Term(
            r"+\;\lambda\,(1-\mathrm{SSIM}(C,I))",
            "dssim",
            "blue",
            "How unlike the patches are in brightness, contrast and structure, which keeps edges sharp.",
        ),
        Term(
            r"+\;\lambda_o\,\bar{o}",
            "opacity",
            "purple",
            "The mean opacity: in MCMC those that are not needed fade, and are put elsewhere.",
        ),
        Term(
            r"+\;\lambda_s\,\bar{s}",
            "deviation",
            "green",
            "The mean of the ellipsoids' deviations: in MCMC those that are not needed shrink.",
        ),
    ]
    try_this = (
        "Train from the start with View open: a cloud of grey balls gathers into the scene within seconds.",
        "Drag the pixel in Pixel in space: few ellipsoids carry it, those behind get what light is left.",
        "Set growth to none, train, then to density control: marks on the curves show when new Gaussians come.",
    )
    first_probes = ("view", "compare")

    @dataclass
    class Params:
        begin: str = knob(POINTS, "Where they begin: at the capture's sparse points, if it has any, or anywhere.",
                          choices=BEGINNINGS)  # fmt: skip
        count: int = knob(2000, "How many it begins with where there are no points.", lo=1, hi=100_000, log=True)
        degree: int = knob(3, "Degree of the spherical harmonics: how freely the colour changes with the direction.",
                           lo=0, hi=3)  # fmt: skip
        wait: int = knob(500, "Steps after which one more degree of them is used.", lo=1, hi=100_000, log=True,
                         live=True)  # fmt: skip
        weight: float = knob(0.2, "How much the likeness of patches counts beside that of pixels.", lo=0.0, hi=1.0,
                             symbol=r"\lambda", live=True)  # fmt: skip
        growth: str = knob(CONTROL, "How Gaussians come and go: cloned, split and pruned; moved as samples; or not.",
                           choices=GROWTHS, live=True)  # fmt: skip
        most: int = knob(1_000_000, "How many there may be.", lo=1, hi=6_000_000, log=True, live=True)
        per_pixel: float = knob(1.5, "How many there may be for each pixel in which a photograph shows something.",
                                lo=0.01, hi=100.0, log=True, live=True)  # fmt: skip
        every: int = knob(100, "Steps between two rounds of growth.", lo=10, hi=10_000, log=True, live=True)
        start: int = knob(200, "The first round of growth comes after so many steps.", lo=0, hi=100_000, live=True)
        until: int = knob(2800, "After so many steps there is no more growth.", lo=0, hi=1_000_000, live=True)
        pull: float = knob(2e-4, "Who pulls as hard as this at its place in the pictures grows.", lo=1e-6, hi=0.1,
                           log=True, symbol=r"\tau", live=True)  # fmt: skip
        small: float = knob(0.01, "Who is narrower than this share of the scene is cloned, not split.", lo=1e-4, hi=1.0,
                            log=True, live=True)  # fmt: skip
        least: float = knob(0.005, "Who is fainter than this is pruned.", lo=1e-4, hi=0.5, log=True,
                            symbol=r"\epsilon_\alpha", live=True)  # fmt: skip
        widest: float = knob(0.1, "Who is wider than this share of the scene is pruned, once opacities were reset.",
                             lo=1e-3, hi=10.0, log=True, live=True)  # fmt: skip
        reset: int = knob(3000, "Steps between two resets of all opacities in density control.", lo=100, hi=1_000_000,
                          log=True, live=True)  # fmt: skip
        fade: float = knob(0.01, "Weight of the mean opacity in MCMC.", lo=0.0, hi=1.0, symbol=r"\lambda_o", live=True)
        shrivel: float = knob(0.01, "Weight of the mean deviation in MCMC.", lo=0.0, hi=1.0, symbol=r"\lambda_s",
                              live=True)  # fmt: skip
        rate: float = knob(1.6e-4, "Step size of the places at first, as a share of the scene.", lo=1e-6, hi=0.1,
                           log=True, symbol=r"\eta", live=True)  # fmt: skip
        last_rate: float = knob(1.6e-6, "Step size of the places at last.", lo=1e-8, hi=0.1, log=True, live=True)
        span: int = knob(15000, "Steps from the first to the last step size.", lo=10, hi=1_000_000, log=True, live=True)
        cool: float = knob(0.5, "What all other step sizes are by then, as a share of what they are set to.", lo=1e-3,
                           hi=1.0, log=True, live=True)  # fmt: skip
        rate_colour: float = knob(2.5e-3, "Step size of the colours; their harmonics' is a twentieth.", lo=1e-5, hi=1.0,
                                  log=True, live=True)  # fmt: skip
        rate_opacity: float = knob(5e-2, "Step size of the opacities.", lo=1e-4, hi=1.0, log=True, live=True)
        rate_scale: float = knob(5e-3, "Step size of the deviations.", lo=1e-5, hi=1.0, log=True, live=True)
        rate_turn: float = knob(1e-3, "Step size of the rotations.", lo=1e-5, hi=1.0, log=True, live=True)
        antialiased: bool = knob(True, "Whether opacities make up for the width that a pixel adds to small Gaussians.")
        shrink: str = knob("1", "By how much the photographs are made smaller.", choices=SHRINKS)
        orientation: str = knob("up", "Whether the scene is turned so that the cameras' up is z.", choices=ORIENTATIONS)
        fit: str = knob("cameras", "What is brought to a size that is easily shown.", choices=FITS)

    p: Params
    tiny = dict(count=150, most=250, degree=1, wait=1, start=0, every=10, rate_scale=0.1, rate_opacity=0.2)

    # ---- the Gaussians ----

    def build(self, device: torch.device) -> None:
        self.shots = {
            split: [shot_of(photo, device) for photo in photos] for split, photos in self.source.photos.items()
        }
        capture = self.source.source.capture
        self.extent = extent(capture)
        shows = [float((shot.rgba[..., 3] > 127).sum()) for shot in self.shots["train"]]
        self.pixels = sum(shows) / len(shows)
        xyz, rgb = first_points(capture, self.bounds, self.p.begin == POINTS, self.p.count)
        small, opacity = FIRST[self.p.growth == MCMC]
        self.gaussians = Gaussians(xyz, rgb, small * spacing(xyz), self.p.degree, opacity).to(device)
        groups = [{"params": [getattr(self.gaussians, name)], "name": name} for name in self.gaussians.learned]
        self.optimizer = torch.optim.Adam(groups, self.p.rate, eps=1e-15, fused=True)

    def knob_changed(self, name: str) -> None:
        fit_moments(self.gaussians, self.optimizer)

    @property
    def degree(self) -> int:
        return min(self.p.degree, int(self.gaussians.steps) // self.p.wait)

    @property
    def antialiased(self) -> bool:
        return self.p.antialiased

    @property
    def most(self) -> int:
        """How many there may be."""
        return min(self.p.most, round(self.p.per_pixel * self.pixels))

    def thresholds(self) -> tuple[float, float, float]:
        return self.p.pull, self.p.small * self.extent, self.p.least

    def _rates(self, done: int) -> dict[str, float]:
        """The step size of each parameter; all fall evenly in their logarithms, the places' most."""
        share = min(1.0, done / self.p.span)
        cooled = self.p.cool**share
        return {
            "xyz": self.extent * self.p.rate ** (1 - share) * self.p.last_rate**share,
            "dc": self.p.rate_colour * cooled,
            "rest": self.p.rate_colour * cooled / SLOWER,
            "opacity": self.p.rate_opacity * cooled,
            "scales": self.p.rate_scale * cooled,
            "turns": self.p.rate_turn * cooled,
        }

    # ---- training: one photograph ----

    def _next_shot(self, done: int) -> Shot:
        """Each photograph once, in an order of chance, then each once again."""
        shots = self.shots["train"]
        round_, place = divmod(done, len(shots))
        order = np.random.Generator(np.random.PCG64([self.source.seed, round_])).permutation(len(shots))
        return shots[int(order[place])]

    def train_step(self, rays: Rays) -> dict[str, Tensor]:
        g, done = self.gaussians, int(self.gaussians.steps)
        shot = self._next_shot(done)
        view, ground = shot.view, self.training_ground()
        seen = project(g.xyz, g.scales, g.turns, g.opacity, g.sh, view, self.degree, self.p.antialiased)
        seen.centres.retain_grad()
        made, truth = blend(seen, view.width, view.height, ground).rgb, shot.over(ground)
        if shot.counts is not None:
            made, truth = (x * shot.counts[..., None] for x in (made, truth))
        terms = {
            "l1": (made - truth).abs().mean(),
            "dssim": 1 - ssim(made, truth).mean(),
            "opacity": g.opacity.sigmoid().mean(),
            "deviation": g.scales.exp().mean(),
        }
        samples = self.p.growth == MCMC
        weights = [1 - self.p.weight, self.p.weight, self.p.fade * samples, self.p.shrivel * samples]
        loss = torch.stack([w * term for w, term in zip(weights, terms.values(), strict=True) if w]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        rates = self._rates(done)
        for group in self.optimizer.param_groups:
            group["lr"] = rates[group["name"]]
        self.optimizer.step()
        g.steps += 1
        if seen.centres.grad is not None:  # nothing is in the picture otherwise
            density.note(g, seen.centres.grad, seen.visible, view.width, view.height)
        self._grow(done + 1, rates["xyz"])
        mse = (made - truth).detach().square().mean()
        return {
            **{name: term.detach() for name, term in terms.items()},
            "psnr": -10 * mse.clamp(min=1e-10).log10(),
            "thousand_gaussians": torch.tensor(len(g) / 1000),
        }

    def _grow(self, done: int, rate: float) -> None:
        """What comes after step ``done``, if it is time for it."""
        g, samples = self.gaussians, self.p.growth == MCMC
        due = self.p.start < done < self.p.until and done % self.p.every == 0
        if due and samples:
            self.mark(str(relocation.relocate(g, self.optimizer, self.most)))
        elif due and self.p.growth == CONTROL:
            grown = density.control(
                g,
                self.optimizer,
                threshold=self.p.pull,
                small=self.p.small * self.extent,
                least=self.p.least,
                widest=self.p.widest * self.extent if done > self.p.reset else None,
                most=self.most,
            )
            self.mark(str(grown))
        if samples:
            relocation.tremble(g, TREMBLE * rate)
        if self.p.growth == CONTROL and done < self.p.until and done % self.p.reset == 0:
            density.reset_opacity(g, self.optimizer)
            self.mark("opacities reset")
