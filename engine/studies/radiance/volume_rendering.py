"""Volume rendering in one dimension: a ray through coloured fog that is edited by hand, its integral and the sums that
come near it. Trains nothing; knows no network and no camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from engine.payloads import Curves, ImageGrid
from engine.probes import Choice, Control, Number, probe
from engine.study import Study, Term

Floats = NDArray[np.floating[Any]]

LENGTH = 1.0
"""Where the ray ends; it begins at 0."""
BUMP, SLAB = "smooth bump", "slab"
COLOURS = {
    "red": (0.88, 0.32, 0.30),
    "orange": (0.90, 0.62, 0.0),
    "green": (0.17, 0.69, 0.50),
    "blue": (0.34, 0.71, 0.91),
    "purple": (0.69, 0.48, 0.85),
    "white": (1.0, 1.0, 1.0),
}
GROUNDS = {"black": (0.0, 0.0, 0.0), "white": (1.0, 1.0, 1.0), "grey": (0.5, 0.5, 0.5)}
QUADRATURE = 10_000
"""Steps of the sum that counts as the integral."""
STEPS = (2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512)
LEAST_ERROR = 1e-7
"""Errors are shown down to this: the integral itself is known no better."""
DRAWN = 512
"""Places along the ray where its curves are drawn."""
STRIP_WIDTH, STRIP_HEIGHT = 320, 40
HAZE = 0.05
"""The fog is drawn as opaque as a layer of it of this thickness."""


@dataclass(frozen=True)
class Bump:
    """Fog about ``place`` on the ray: density ``height`` times exp(-x^2) with x = (t - place) / width for a smooth
    bump, ``height`` for |x| <= 1 / 2 and else 0 for a slab."""

    place: float
    width: float
    height: float
    colour: tuple[float, float, float]
    slab: bool = False

    def density(self, t: Floats) -> Floats:
        x = (t - self.place) / self.width
        return np.asarray(self.height * (np.abs(x) <= 0.5 if self.slab else np.exp(-x * x)), np.float64)


@dataclass(frozen=True)
class Ray:
    """A ray through bumps of fog over a ``ground``; where bumps overlap their densities add and their colours mix by
    density."""

    bumps: tuple[Bump, ...]
    ground: tuple[float, float, float]

    def sigma(self, t: Floats) -> Floats:
        """The density (N,) at distances ``t`` (N,)."""
        return np.asarray(sum((bump.density(t) for bump in self.bumps), np.zeros_like(t)))

    def colour(self, t: Floats) -> Floats:
        """The colour (N, 3) there; black where there is no fog, which nobody sees."""
        each = np.array([bump.density(t) for bump in self.bumps]).reshape(len(self.bumps), len(t))
        colours = np.array([bump.colour for bump in self.bumps]).reshape(len(self.bumps), 3)
        return np.asarray(each.T @ colours / np.maximum(each.sum(0), 1e-12)[:, None])


@dataclass(frozen=True)
class Marched:
    """A ray cut into N even steps, read off in their middles: all (N,) but ``rgb`` (N, 3); ``seen`` (3,) is the pixel
    over the ground, ``left`` the light that passes through all."""

    t: Floats
    delta: float
    sigma: Floats
    alpha: Floats
    transmittance: Floats
    weight: Floats
    rgb: Floats
    seen: Floats
    left: float


def exact(thickness: Floats) -> Floats:
    """The opacity of a step of even density, sigma * delta = ``thickness``: 1 - exp(-sigma delta) (Max 1995)."""
    return np.asarray(-np.expm1(-thickness))


def naive(thickness: Floats) -> Floats:
    """Its first-order value sigma * delta, no more than 1."""
    return np.minimum(thickness, 1.0)


def marched(ray: Ray, steps: int, opacity: Callable[[Floats], Floats] = exact) -> Marched:
    """The pixel as the sum of T_i alpha_i c_i over ``steps`` even steps, T_i = prod_{j<i} (1 - alpha_j)."""
    delta = LENGTH / steps
    t = (np.arange(steps) + 0.5) * delta
    sigma, rgb = ray.sigma(t), ray.colour(t)
    alpha = opacity(sigma * delta)
    passed = np.cumprod(1 - alpha)
    transmittance = np.concatenate([[1.0], passed[:-1]])
    weight = transmittance * alpha
    left = float(passed[-1])
    return Marched(t, delta, sigma, alpha, transmittance, weight, rgb, weight @ rgb + left * np.array(ray.ground), left)


FORMS = {"α = 1 - exp(-σδ)": exact, "α = σδ": naive}


def closed_form(ray: Ray) -> Floats | None:
    """The pixel (3,) of a single slab: c (1 - e^(-sigma w)) + ground e^(-sigma w), w what of its width is on the ray;
    None for any other fog."""
    if len(ray.bumps) != 1 or not ray.bumps[0].slab:
        return None
    slab = ray.bumps[0]
    low, high = max(0.0, slab.place - slab.width / 2), min(LENGTH, slab.place + slab.width / 2)
    left = np.exp(-slab.height * (high - low))
    return np.asarray(np.array(slab.colour) * (1 - left) + np.array(ray.ground) * left)


# ---- the fog's controls, which all probes share ---------------------------------------------------------------------


@dataclass(frozen=True)
class FogNumber(Number):
    """A number that all probes have one value of."""

    shared: ClassVar[bool] = True


@dataclass(frozen=True)
class FogChoice(Choice):
    """A word that all probes have one value of."""

    shared: ClassVar[bool] = True


def bump_controls(i: int, name: str, place: float, width: float, height: float, colour: str) -> dict[str, Control]:
    """The controls of bump ``i``."""
    colours = (colour, *(other for other in COLOURS if other != colour))
    return {
        f"place{i}": FogNumber(place, 0.0, LENGTH, text=f"Where on the ray the middle of the {name} fog is."),
        f"width{i}": FogNumber(width, 0.005, 1.0, log=True, text=f"How wide the {name} fog is."),
        f"height{i}": FogNumber(height, 0.0, 200.0, text=f"How dense the {name} fog is at most; 0 takes it away."),
        f"colour{i}": FogChoice(colours, text=f"The colour of the {name} fog."),
    }


FOG: dict[str, Any] = {
    **bump_controls(1, "first", 0.3, 0.06, 12.0, "orange"),
    **bump_controls(2, "second", 0.6, 0.1, 8.0, "blue"),
    **bump_controls(3, "third", 0.85, 0.04, 0.0, "green"),
    "shape": FogChoice((BUMP, SLAB), text="Whether fog comes and goes smoothly, or is even between two sharp ends."),
    "ground": FogChoice(tuple(GROUNDS), text="The colour behind all fog."),
}
HOW_MANY = FogNumber(24, 1, 256, log=True, text="Into how many even steps the ray is cut.")


def ray_of(fog: Mapping[str, Any]) -> Ray:
    """The ray of the values of :data:`FOG`."""
    bumps = (
        Bump(fog[f"place{i}"], fog[f"width{i}"], fog[f"height{i}"], COLOURS[fog[f"colour{i}"]], fog["shape"] == SLAB)
        for i in (1, 2, 3)
    )
    return Ray(tuple(bump for bump in bumps if bump.height > 0), GROUNDS[fog["ground"]])


class VolumeRendering(Study):
    """How a ray through fog gets its colour, the integral inside every NeRF: each stretch adds its colour times how
    opaque it is times how much light all before it lets through. A computer adds finitely many steps instead."""

    title, family = "Volume rendering", "Radiance fields"
    paper = "Max 1995, Optical models for direct volume rendering; Mildenhall et al. 2020, eq. 1-3"
    left = r"C\;="
    objective = [
        Term(
            r"\int_0^1 T(t)",
            "",
            "blue",
            "Transmittance: the share of light that comes through all that lies before t, e to minus its density.",
        ),
        Term(r"\;\sigma(t)", "", "orange", "Density: how much of the light each bit of length takes away and colours."),
        Term(r"\;c(t)\,\mathrm{d}t", "", "green", "The colour that is there."),
        Term(r"\;+\;T(1)\,c_0", "", "purple", "The ground, as far as light comes through everything."),
    ]
    try_this = (
        "Raise the height of the first fog from 0 to 200: the second is hidden, and its weights go to nothing.",
        "Set the steps to 4: 1 - exp(-σδ) is still close, the naive σδ takes more light than there is.",
        "Take the shape slab with one fog only: the caption then has the closed form beside the sum.",
    )

    @dataclass
    class Params:
        """Nothing to set."""

    p: Params

    def build(self, device: torch.device) -> None:
        """Nothing is learned."""

    @probe(Curves, title="Along the ray", **FOG, steps=HOW_MANY)
    def along(self, steps: int, **fog: Any) -> Curves:
        """Density σ, the opacity α of each step, the transmittance T before it and its weight T α, as stairs; the true
        transmittance runs smoothly through them."""
        ray = ray_of(fog)
        cut = marched(ray, steps)
        x = (np.arange(DRAWN) + 0.5) * (LENGTH / DRAWN)
        step = np.minimum((x / cut.delta).astype(np.int64), steps - 1)
        sigma = ray.sigma(x)
        thickness = np.concatenate([[0.0], sigma * (LENGTH / DRAWN)]).cumsum()
        true = np.exp(-(thickness[1:] + thickness[:-1]) / 2)
        highest = float(sigma.max())
        lines = {
            "σ, as a share of its highest": sigma / max(highest, 1e-12),
            "α": cut.alpha[step],
            "T": cut.transmittance[step],
            "weight": cut.weight[step],
            "T of the integral": true,
        }
        return Curves(
            x.astype(np.float32),
            {name: line.astype(np.float32) for name, line in lines.items()},
            x_name="distance t along the ray",
            y_name=f"highest σ {highest:.3g}",
        )

    @probe(ImageGrid, title="Colours", **FOG, steps=HOW_MANY)
    def colours(self, steps: int, **fog: Any) -> ImageGrid:
        """The fog on its ground, what each step adds, what has been gathered so far, and the pixel in the end."""
        ray = ray_of(fog)
        cut, true = marched(ray, steps), marched(ray, QUADRATURE)
        ground = np.array(ray.ground)
        step = np.minimum(np.arange(STRIP_WIDTH) * steps // STRIP_WIDTH, steps - 1)
        x = (np.arange(STRIP_WIDTH) + 0.5) * (LENGTH / STRIP_WIDTH)
        cover = exact(ray.sigma(x) * HAZE)[:, None]
        brightened = cut.weight / max(float(cut.weight.max()), 1e-12)
        gathered = np.cumsum(cut.weight[:, None] * cut.rgb, 0) + (cut.transmittance * (1 - cut.alpha))[:, None] * ground
        strips = {
            "fog": ray.colour(x) * cover + (1 - cover) * ground,
            "what each step adds, brightened": (brightened[:, None] * cut.rgb)[step],
            "gathered so far": gathered[step],
            "the pixel": np.broadcast_to(cut.seen, (STRIP_WIDTH, 3)),
            "by the integral": np.broadcast_to(true.seen, (STRIP_WIDTH, 3)),
        }
        pictures = np.stack([np.broadcast_to(strip, (STRIP_HEIGHT, STRIP_WIDTH, 3)) for strip in strips.values()])
        words = f"{steps} steps give {written(cut.seen)}; the integral is {written(true.seen)}"
        known = closed_form(ray)
        if known is not None:
            words += f"; the closed form of a slab, c (1 - exp(-σ w)) + c₀ exp(-σ w), is {written(known)}"
        return ImageGrid(pictures.clip(0, 1).astype(np.float32), columns=1, captions=tuple(strips), caption=words)

    @probe(
        Curves,
        title="Sum and integral",
        **FOG,
        show=Choice(("opacity", "error"), text="The opacity of the whole ray, or how far its colour is off."),
        steps=HOW_MANY,
    )
    def convergence(self, show: str, steps: int, **fog: Any) -> Curves:
        """The sum as its steps shrink, with 1 - exp(-σδ) for the opacity of a step and with σδ in its place, beside
        the integral."""
        ray = ray_of(fog)
        counts = sorted({*STEPS, steps})
        true = marched(ray, QUADRATURE)
        sums = {name: [marched(ray, n, how) for n in counts] for name, how in FORMS.items()}
        if show == "opacity":
            lines = {name: np.array([1 - cut.left for cut in cuts]) for name, cuts in sums.items()}
            lines["integral"] = np.full(len(counts), 1 - true.left)
            y_name = "opacity of the ray"
        else:
            lines = {
                name: np.log10([max(float(np.abs(cut.seen - true.seen).max()), LEAST_ERROR) for cut in cuts])
                for name, cuts in sums.items()
            }
            y_name = "log10 of the error of the colour"
        return Curves(
            np.log2(counts).astype(np.float32),
            {name: line.astype(np.float32) for name, line in lines.items()},
            x_name="log2 of the number of steps",
            y_name=y_name,
        )


def written(colour: Floats) -> str:
    """A colour in numbers."""
    return f"({', '.join(f'{float(c):.3f}' for c in colour)})"
