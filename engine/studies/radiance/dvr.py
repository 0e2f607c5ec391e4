"""Differentiable volumetric rendering: one surface, found by search, learned through the equation that it satisfies.
Knows neither how photographs are read nor how the surface is shown."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.data.captures.capture import FITS, ORIENTATIONS
from engine.data.captures.source import SHRINKS
from engine.data.rays import Rays
from engine.nn.fields.encodings import Positional
from engine.nn.looking import things as things_of
from engine.nn.looking.probes import PHOTO, PIXEL, RadianceProbes, RaySamples, Rendered
from engine.nn.pictures import array
from engine.nn.radiance import implicit
from engine.nn.radiance.exact import exact_distances
from engine.nn.radiance.sampling import aabb
from engine.params import knob
from engine.payloads import Curves
from engine.probes import Place, Toggle, probe
from engine.scene import Points, Scene, Thing, Words
from engine.study import Captures, Term

FULLEST, MET = PLACES = ("the fullest", "where it enters")
STEEPNESS = 5.0
"""How fast the logit of the occupancy falls across the ball that it begins with, per half side of the bounds."""
COVERED = 0.5
"""A pixel belongs to the thing where the photograph covers more than this."""
NEIGHBOUR = 0.02
"""How far apart two places are whose normals should agree, in half sides of the bounds."""
AT_ONCE = 131_072
SURFACE = 10.0
"""The density at which a field's surface is taken unless something else is wished."""
DRAWN = 200
"""Places along a ray where a curve is drawn."""
CHORDS = 3


class Network(nn.Module):
    """(logit, c)(x): the logit of the occupancy, begun as a ball, and the colour, both of one trunk of ``depth`` layers
    of ``width`` units over x and its sines."""

    steps: Tensor

    def __init__(self, octaves: int, width: int, depth: int, radius: float) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.encoding = Positional(octaves)
        self.radius = radius
        sizes = [self.encoding.size, *[width] * depth]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.filled = nn.Linear(width, 1)
        self.colour = nn.Linear(width, 3)
        nn.init.normal_(self.filled.weight, std=1e-3)
        nn.init.zeros_(self.filled.bias)

    def logit(self, x: Tensor) -> Tensor:
        """(N, 3) in half sides of the bounds from their middle -> (N,): the logit of the occupancy."""
        h = self.trunk(self.encoding(x))
        out: Tensor = self.filled(h)[:, 0] + STEEPNESS * (self.radius - x.norm(dim=1))
        return out

    def rgb(self, x: Tensor) -> Tensor:
        """(N, 3) -> colours (N, 3) in 0..1."""
        return torch.sigmoid(self.colour(self.trunk(self.encoding(x))))


class DVR(RadianceProbes):
    """A thing is where a network says that space is filled, and it has one surface. Each pixel's ray is searched for
    it; how the place found would move with the weights follows from the equation that holds there, not the search."""

    title, family = "Differentiable volumetric rendering", "Radiance fields"
    paper = "Niemeyer et al. 2020, arXiv:1912.07372"
    data = Captures()
    left = r"\mathcal{L}\;="
    objective = [
        Term(
            r"\mathbb{E}_{u}\,|\,c_\theta(\hat p_u)-I_u|",
            "pixels",
            "orange",
            "How far the colour at the place that a pixel's ray meets is from the photograph's, within the mask.",
        ),
        Term(
            r"\;+\;\lambda_f\,\mathrm{BCE}(f_\theta(p),0)",
            "free",
            "blue",
            "Rays outside the mask meet nothing: a place on each is held against free, where it is fullest or entered.",
        ),
        Term(
            r"\;+\;\lambda_o\,\mathrm{BCE}(f_\theta(p),1)",
            "filled",
            "green",
            "Rays within the mask meet something: where one misses, its fullest place, or any, is held against filled.",
        ),
        Term(
            r"\;+\;\lambda_n\,\mathbb{E}\,|n(\hat p)-n(\hat p+\epsilon)|^2",
            "bend",
            "purple",
            "How much the surface's normal differs from that of a neighbouring place.",
        ),
    ]
    try_this = (
        "Open The secant's steps and drag the pixel: a handful of chords is enough, whatever the network says.",
        "Set the weights of free and filled to 0: colours alone do not know the outline, and the ball stays a ball.",
        "Lower the steps of the march to 8: rays jump over the thin bars, and what is not met is never learned.",
    )
    first_probes = ("view", "secant")

    @dataclass
    class Params:
        level: float = knob(0.5, "The occupancy at which the surface is.", lo=0.05, hi=0.95, symbol=r"\tau", live=True)
        march: int = knob(48, "Even steps along a ray in search of its first change of sign.", lo=4, hi=256, log=True,
                          symbol="n", live=True)  # fmt: skip
        secant: int = knob(6, "Steps of the secant method from there.", lo=0, hi=16, symbol="k", live=True)
        free: float = knob(10.0, "What it costs to fill what a mask says is free.", lo=0.0, hi=100.0,
                           symbol=r"\lambda_f", live=True)  # fmt: skip
        filled: float = knob(10.0, "What it costs to leave free what a mask says is filled.", lo=0.0, hi=100.0,
                             symbol=r"\lambda_o", live=True)  # fmt: skip
        bend: float = knob(0.01, "What it costs where normals change.", lo=0.0, hi=1.0, symbol=r"\lambda_n", live=True)
        place: str = knob(FULLEST, "Which place of a ray that its mask contradicts is asked; the paper takes where it "
                          "enters, or any.", choices=PLACES, live=True)  # fmt: skip
        implicit: bool = knob(True, "Whether colours move the surface too, by implicit differentiation.", live=True)
        octaves: int = knob(5, "Frequencies, each twice the last, that a place is told in.", lo=0, hi=10, symbol="L")
        width: int = knob(64, "Units of each layer.", lo=8, hi=256, symbol="c")
        depth: int = knob(4, "Layers of the network.", lo=1, hi=8, symbol="D")
        radius: float = knob(0.6, "Radius of the ball that it begins as, in half sides of the bounds.", lo=0.05, hi=1.5,
                             symbol="r_0")  # fmt: skip
        batch: int = knob(512, "Rays of one step.", lo=32, hi=4096, log=True, symbol="B", live=True)
        rate: float = knob(5e-3, "Step size of the Adam optimiser.", lo=1e-5, hi=2e-2, log=True, symbol=r"\eta",
                           live=True)  # fmt: skip
        halve: int = knob(1500, "After how many steps the step size is halved, again and again.", lo=100, hi=200_000,
                          log=True, live=True)  # fmt: skip
        shrink: str = knob("1", "By how much the photographs are made smaller.", choices=SHRINKS)
        orientation: str = knob("up", "Whether the scene is turned so that the cameras' up is z.", choices=ORIENTATIONS)
        fit: str = knob("cameras", "What is brought to a size that the field can hold.", choices=FITS)

    p: Params
    tiny = dict(octaves=3, width=16, depth=2, march=12, secant=3, batch=64, rate=5e-3)

    # ---- the network, as a function of places in the world ----

    def build(self, device: torch.device) -> None:
        self.low, self.high = self.bounds
        self.middle, self.half = (self.high + self.low) / 2, float((self.high - self.low).max()) / 2
        self.network = Network(self.p.octaves, self.p.width, self.p.depth, self.p.radius).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), self.p.rate, fused=True)

    def _within(self, points: Tensor) -> Tensor:
        return (points - self.middle) / self.half

    def f(self, points: Tensor) -> Tensor:
        """The logit of the occupancy less that of the level (N,) at world places (N, 3): 0 on the surface."""
        return self.network.logit(self._within(points)) - float(np.log(self.p.level / (1 - self.p.level)))

    def rgb(self, points: Tensor) -> Tensor:
        """Colours (N, 3) in 0..1 at world places (N, 3)."""
        return self.network.rgb(self._within(points))

    # ---- a ray: march, secant, one place, one colour ----

    def _march(self, o: Tensor, d: Tensor) -> implicit.March:
        near, far = self.within_crop(o, d, *aabb(o, d, self.low, self.high))
        training = self.network.training
        shift = torch.rand(len(o)).to(o) if training else torch.full_like(near, 0.5)
        return implicit.march(self.f, o, d, near, far, self.p.march, shift)

    def _surface(self, o: Tensor, d: Tensor, found: implicit.March) -> Tensor:
        """The distance (R,) at which rays that hit meet the surface, without a gradient."""
        return implicit.secant(self.f, o, d, found, self.p.secant)[0][-1]

    def _met(self, o: Tensor, d: Tensor, t: Tensor) -> Tensor:
        """The places (R, 3) on the surface at distances ``t``, which move with the weights where that is wished."""
        if self.p.implicit:
            t = implicit.attached(self.f, o, d, t)
        return o + t[:, None] * d

    # ---- training ----

    def train_step(self, rays: Rays) -> dict[str, Tensor]:
        o, d = rays.origins, rays.directions
        mask = rays.alpha[:, 0] > COVERED
        found = self._march(o, d)
        terms = {name: torch.zeros((), device=o.device) for name in ("pixels", "bend")}
        both = (mask & found.hit).nonzero()[:, 0]
        if len(both):
            t = self._surface(o[both], d[both], found.of(both))
            terms["pixels"] = (self.rgb(self._met(o[both], d[both], t)) - rays.rgb[both]).abs().sum(1).mean()
            terms["bend"] = self._bend(o[both] + t[:, None] * d[both])
        points = o + self._asked(found)[:, None] * d
        wrong = torch.where(mask, ~(found.hit | found.inside), torch.ones_like(mask))
        logit = self.network.logit(self._within(points))
        cost = F.binary_cross_entropy_with_logits(logit, mask.to(logit), reduction="none")
        for name, part in (("free", wrong & ~mask), ("filled", wrong & mask)):
            terms[name] = (cost * part).mean()
        p = self.p
        loss = terms["pixels"] + p.free * terms["free"] + p.filled * terms["filled"] + p.bend * terms["bend"]
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = p.rate * 0.5 ** (int(self.network.steps) / p.halve)
        self.optimizer.step()
        self.network.steps += 1
        seen = found.hit | found.inside
        iou = (seen & mask).sum() / (seen | mask).sum().clamp(min=1)
        return {"loss": loss.detach(), **{name: term.detach() for name, term in terms.items()}, "mask_iou": iou}

    def _asked(self, found: implicit.March) -> Tensor:
        """The distance (R,) of the place of each ray whose occupancy is held against the mask."""
        if self.p.place == FULLEST:
            at = found.f.argmax(1)
        else:
            entered = torch.where(found.hit, found.at + 1, torch.zeros_like(found.at))
            anywhere = torch.randint(found.t.shape[1], (len(entered),)).to(entered)
            at = torch.where(found.hit | found.inside, entered, anywhere)
        return found.t.gather(1, at[:, None])[:, 0]

    def _bend(self, places: Tensor) -> Tensor:
        """The mean squared difference between the normals at ``places`` (N, 3) and beside them."""
        keep = self.p.bend > 0
        beside = places + NEIGHBOUR * self.half * torch.randn_like(places)
        here, there = implicit.normals(self.f, torch.cat([places, beside]), keep).chunk(2)
        return (here - there).square().sum(1).mean()

    # ---- held-out figures ----

    def evaluate(self, batch: Rays) -> dict[str, Tensor]:
        seen = self.render_rays(batch.origins, batch.directions, self.ground)
        mask, hit = batch.alpha[:, 0] > COVERED, seen.alpha > COVERED
        out = {"in_both": (mask & hit).float(), "in_either": (mask | hit).float(), **super().evaluate(batch)}
        exact = exact_distances(self.source.source, batch.origins, batch.directions)
        if exact is not None:
            known = (exact > 0) & hit
            out |= {"depth_off": (seen.depth - exact).abs() * known, "depth_known": known.float()}
        return out

    def figures(self, means: dict[str, float]) -> dict[str, float]:
        """PSNR, the masks' intersection over union and, where the scene knows it, the depth's mean error come first."""
        base = super().figures(means)
        out = {"psnr": base["psnr"], "mask_iou": means["in_both"] / max(means["in_either"], 1e-9)}
        if "depth_off" in means:
            out["depth_error"] = means["depth_off"] / max(means["depth_known"], 1e-9)
        return {**out, **base}

    # ---- what the probes ask ----

    @torch.no_grad()
    def render_rays(self, origins: Tensor, directions: Tensor, ground: Tensor) -> Rendered:
        rgb = ground.expand_as(origins).clone()
        depth, normal = torch.zeros_like(origins[:, 0]), torch.zeros_like(origins)
        alpha, cost = torch.zeros_like(depth), torch.full_like(depth, float(self.p.march))
        for part in torch.arange(len(origins), device=origins.device).split(max(1, AT_ONCE // self.p.march)):
            found = self._march(origins[part], directions[part])
            depth[part] = torch.where(found.inside, found.t[:, 0], torch.zeros_like(found.t[:, 0]))
            alpha[part] = (found.hit | found.inside).to(alpha)
            hit = found.hit.nonzero()[:, 0]
            o, d = origins[part][hit], directions[part][hit]
            depth[part[hit]] = self._surface(o, d, found.of(hit))
            cost[part[hit]] += self.p.secant
        which = (alpha > 0).nonzero()[:, 0]
        for part in which.split(AT_ONCE):
            points = origins[part] + depth[part, None] * directions[part]
            rgb[part], normal[part] = self.rgb(points), implicit.normals(self.f, points)
            cost[part] += 1
        return Rendered(rgb, alpha, depth, normal, cost)

    @torch.no_grad()
    def ray_samples(self, origin: Tensor, direction: Tensor) -> RaySamples:
        """The march's samples up to the surface, and the surface, at which all light ends; occupancies as densities."""
        o, d = origin[None], direction[None]
        found = self._march(o, d)
        met = bool(found.hit) or bool(found.inside)
        t = found.t[0] if bool((found.t[:, -1] > found.t[:, 0]).any()) else found.t[0, :0]
        if met:
            end = self._surface(o, d, found) if bool(found.hit) else found.t[:, 0]
            t = torch.cat([t[t < end], end])
        points = o + t[:, None] * d
        alpha = torch.zeros_like(t)
        alpha[len(t) - 1 :] = float(met)
        delta = t.diff(append=t[-1:] if len(t) else None)
        return RaySamples(t, delta, self.occupancy(points), alpha, torch.ones_like(t), alpha, self.rgb(points))

    @torch.no_grad()
    def occupancy(self, points: Tensor) -> Tensor:
        """Occupancies (N,) in 0..1 at world places (N, 3)."""
        parts = [torch.sigmoid(self.network.logit(self._within(part))) for part in points.split(AT_ONCE)]
        return torch.cat(parts) if parts else points.new_zeros(0)

    def density(self, points: Tensor) -> Tensor:
        """The occupancy scaled so that the surface is where radiance fields are usually cut."""
        return self.occupancy(points) * (SURFACE / self.p.level)

    def _search(self, origin: Tensor, direction: Tensor) -> tuple[implicit.March, Tensor, Tensor]:
        """The march of one ray, and the secant's distances and values (k,), none where it does not hit."""
        o, d = origin[None], direction[None]
        found = self._march(o, d)
        if not bool(found.hit):
            return found, found.t[0, :0], found.t[0, :0]
        t, f = implicit.secant(self.f, o, d, found, self.p.secant)
        return found, t[:, 0], f[:, 0]

    @probe(Curves, title="The secant's steps", refresh=1.0, photo=PHOTO, pixel=PIXEL)
    def secant(self, photo: str, pixel: tuple[Place, ...]) -> Curves:
        """The logit f along a pixel's ray between the two samples where its sign changes first. Each chord goes through
        the last two places; where it crosses zero is the next."""
        _, _, o, d = self._pixel_ray(photo, pixel)
        found, ts, fs = self._search(o, d)
        if not len(ts):
            x = torch.linspace(float(found.t.min()), max(float(found.t.max()), float(found.t.min()) + 1e-3), DRAWN)
            words = "the ray begins within" if bool(found.inside) else "the ray meets nothing: f stays below 0"
        else:
            x = torch.linspace(float(ts[0]), float(ts[1]), DRAWN)
            words = ", ".join(f"t{subscript(k)} {float(t):.5f}" for k, t in enumerate(ts[2:], 2))
            words = f"{words or 'no steps'}; f is {float(fs[-1]):.1e} at the last"
        f = self.f(o + (x := x.to(o))[:, None] * d)
        lines = {"f(t)": array(f), "0": np.zeros(DRAWN, np.float32)}
        for k in range(min(CHORDS, max(0, len(ts) - 2))):
            gap = float(ts[k + 1] - ts[k])
            slope = float(fs[k + 1] - fs[k]) / gap if gap else 0.0
            chord = fs[k + 1] + slope * (x - ts[k + 1])
            lines[f"chord {k + 1}"] = array(chord.clamp(float(f.min()) - 0.1, float(f.max()) + 0.1))
        return Curves(array(x), lines, x_name="distance t along the ray", y_name="f, logit", caption=words)

    @probe(
        Curves,
        title="Along a ray",
        refresh=1.0,
        photo=PHOTO,
        pixel=PIXEL,
        colours=Toggle(False, text="Whether the colour at each place is drawn too."),
    )
    def ray(self, photo: str, pixel: tuple[Place, ...], colours: bool) -> Curves:
        """The occupancy along the whole ray of a pixel; what counts is where it first reaches the level. All behind is
        never seen, and what it says there is nobody's."""
        _, _, o, d = self._pixel_ray(photo, pixel)
        found, ts, _ = self._search(o, d)
        t = found.t[0]
        points = o + t[:, None] * d
        lines = {"occupancy": array(self.occupancy(points)), "level τ": np.full(len(t), self.p.level, np.float32)}
        if colours:
            rgb = array(self.rgb(points))
            lines |= {name: np.ascontiguousarray(rgb[:, i]) for i, name in enumerate(("red", "green", "blue"))}
        words = f"it meets the surface at t = {float(ts[-1]):.4f}" if len(ts) else "it meets no surface"
        exact = exact_distances(self.source.source, o[None], d[None])
        if exact is not None:
            words += f"; the scene's is at {float(exact):.4f}" if float(exact) else "; the scene has none there"
        x = array(t) if float(t[-1]) > float(t[0]) else np.arange(len(t), dtype=np.float32)
        return Curves(x, lines, x_name="distance t along the ray", y_name="occupancy", caption=words)

    @probe(Scene, title="Ray in space", refresh=1.0, photo=PHOTO, pixel=PIXEL)
    def ray_scene(self, photo: str, pixel: tuple[Place, ...]) -> Scene:
        """The ray of one pixel, the places where the march asked, coloured by their occupancy, and the steps of the
        secant, with what f is at each. Drag the pixel over the photograph and the ray follows."""
        chosen, place, o, d = self._pixel_ray(photo, pixel)
        found, ts, fs = self._search(o, d)
        t = found.t[0] if float(found.t[0, -1]) > float(found.t[0, 0]) else found.t[0, :0]
        depth = things_of.LARGER * self._depth()
        sheet = self._keep("sheet", (photo,), lambda: things_of.photo_sheet(chosen, depth))
        asked = array(self.occupancy(o + t[:, None] * d))
        line, *_ = things_of.ray_things(array(o), array(d), array(t), asked)
        at = array(o + t[:, None] * d)
        marched = Points(name="march", xyz=at, scalars={"occupancy": asked}, size=6.0, locked=True)
        steps: tuple[Thing, ...] = ()
        if len(ts):
            at = array(o + ts[:, None] * d)
            names = tuple(f"t{subscript(k)}" for k in (0, 1, len(ts) - 1))
            steps = (
                Points(name="secant", xyz=at, colour="orange", size=9.0, locked=True),
                Words(name="steps", at=at[[0, 1, len(ts) - 1]], texts=names, locked=True),
            )
        return Scene(
            (
                sheet,
                things_of.pixel_handle(chosen, depth, place, "pixel"),
                line,
                marched,
                *steps,
                *self._frustums(),
                *self._frame(),
            ),
            caption=f"{chosen.view.name}: " + ("the secant's steps" if len(ts) else "no change of sign"),
            readings={"steps": float(len(t)), "surface at": float(ts[-1]) if len(ts) else 0.0},
            table=tuple(
                (str(k), f"{float(a):.6f}", f"{float(b):+.2e}") for k, (a, b) in enumerate(zip(ts, fs, strict=True))
            ),
            table_heads=("k", "t", "f(t)"),
        )


def subscript(k: int) -> str:
    """A whole number in small figures below the line."""
    return str(k).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
