"""NeRF: two small networks learn how dense space is and what colour it sends where, from photographs alone. Knows
neither how photographs are read nor how the field is shown."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.data.captures.capture import FITS, ORIENTATIONS
from engine.data.captures.source import SHRINKS
from engine.data.rays import Rays
from engine.nn.fields.encodings import Positional
from engine.nn.looking.probes import RadianceProbes, RaySamples, Rendered
from engine.nn.radiance import compositing, unbounded
from engine.nn.radiance.sampling import aabb, hierarchical
from engine.params import knob
from engine.study import Captures, Term

PLACE_LEVELS, DIRECTION_LEVELS = 10, 4
"""Doubling frequencies that there are at most, of a place and of a direction (section 5.1)."""
SAMPLES_AT_ONCE = 131_072
"""Samples that go through a network together while nothing is learned: what their activations need stays small."""
AUTO, BOX, ALL = SPACES = ("by the photographs", "the box", "all of it")
NEARBY = 1.5
"""How far what is near reaches along a ray, in half sides of the bounds, where all of space is seen."""
CLOSEST = 0.02
"""Rays begin no nearer to the camera than this share of the bounds' diagonal: what hangs before a lens fools nobody
else."""


class Network(nn.Module):
    """F(x, d) = (sigma, c): ``depth`` layers of ``width`` units over the encoded place, which comes in again half-way;
    the density is read off before the direction is added, so that it cannot depend on it."""

    steps: Tensor
    """How many training steps it has taken."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.place, self.direction = Positional(PLACE_LEVELS), Positional(DIRECTION_LEVELS)
        self.skip = depth // 2 if depth > 1 else 0
        sizes = [self.place.size] + [width + (self.place.size if k == self.skip else 0) for k in range(1, depth)]
        self.layers = nn.ModuleList(nn.Linear(inputs, width) for inputs in sizes)
        self.density = nn.Linear(width, 1)
        self.feature = nn.Linear(width, width)
        self.shade = nn.Linear(width + self.direction.size, width // 2)
        self.colour = nn.Linear(width // 2, 3)

    def hidden(self, x: Tensor, levels: int) -> Tensor:
        """(N, 3) in [-1, 1] -> (N, width), with the sines of the first ``levels`` frequencies only."""
        code = self.place(x) * kept(PLACE_LEVELS, levels, x.device)
        h = code
        for k, layer in enumerate(self.layers):
            h = F.relu(layer(torch.cat([h, code], 1) if k == self.skip and k else h))
        return h

    def sigma(self, h: Tensor) -> Tensor:
        """Densities (N,) >= 0 per half side of the bounds; a little fog at first, so that gradients come through."""
        return torch.exp(self.density(h)[:, 0].clamp(max=10.0))

    def forward(self, x: Tensor, d: Tensor, levels: int, direction_levels: int) -> tuple[Tensor, Tensor]:
        """Densities (N,) and colours (N, 3) in 0..1 at places (N, 3) seen along unit directions (N, 3);
        ``direction_levels`` -1 leaves the direction out."""
        h = self.hidden(x, levels)
        seen = self.direction(d) * kept(DIRECTION_LEVELS, direction_levels, x.device)
        shade = F.relu(self.shade(torch.cat([self.feature(h), seen], 1)))
        return self.sigma(h), torch.sigmoid(self.colour(shade))


def kept(most: int, levels: int, device: torch.device) -> Tensor:
    """Ones at the columns of a :class:`Positional` encoding of ``most`` frequencies that the first ``levels`` give,
    zeros at the others: x itself stays, unless ``levels`` is -1."""
    waves = (torch.arange(most, device=device) < levels).float().repeat(6)
    return torch.cat([torch.full((3,), float(levels >= 0), device=device), waves])


class NeRF(RadianceProbes):
    """A scene is a function: for every place, how dense it is, and which colour it sends in which direction. A pixel is
    an integral of it along a ray, which can be differentiated: so the photographs teach it."""

    title, family = "NeRF", "Radiance fields"
    paper = "Mildenhall et al. 2020, arXiv:2003.08934"
    data = Captures()
    left = r"\mathcal{L}\;="
    objective = [
        Term(
            r"\mathbb{E}_{r}\left\|\hat C_f(r)-C(r)\right\|^2",
            "fine",
            "orange",
            "How far the fine network's pixels are from the photographs'.",
        ),
        Term(
            r"+\;\mathbb{E}_{r}\left\|\hat C_c(r)-C(r)\right\|^2",
            "coarse",
            "blue",
            "The same of the coarse network, which only finds out where along a ray it is worth looking.",
        ),
    ]
    try_this = (
        "Train, then drag the levels of the place from 8 to 0: all that is finer than a blob is in the sines.",
        "Switch view dependence off and train on: the mirror ball turns dull, or the mirrored world moves into it.",
        "Look at Along a ray: the fine samples crowd where the coarse network found weight.",
    )

    @dataclass
    class Params:
        levels: int = knob(8, "Frequencies, each twice the last, that a place is told in; 0 leaves the place alone.",
                           lo=0, hi=PLACE_LEVELS, symbol="L_x", live=True)  # fmt: skip
        direction_levels: int = knob(2, "Frequencies that the direction of view is told in.",
                                     lo=0, hi=DIRECTION_LEVELS, symbol="L_d", live=True)  # fmt: skip
        view_dependent: bool = knob(True, "Whether a colour may depend on where it is seen from.", live=True)
        width: int = knob(64, "Units of each layer; the paper has 256.", lo=8, hi=256, symbol="c")
        depth: int = knob(4, "Layers before the density; the paper has 8.", lo=1, hi=8, symbol="D")
        coarse: int = knob(16, "Samples along each ray, one in each of as many even parts.", lo=4, hi=128,
                           symbol="N_c", live=True)  # fmt: skip
        fine: int = knob(24, "Further samples where the coarse network finds weight.", lo=4, hi=256, symbol="N_f",
                         live=True)  # fmt: skip
        batch: int = knob(512, "Rays of one step.", lo=32, hi=8192, log=True, symbol="B", live=True)
        rate: float = knob(5e-3, "Step size of the Adam optimiser.", lo=1e-5, hi=2e-2, log=True, symbol=r"\eta",
                           live=True)  # fmt: skip
        halve: int = knob(2000, "After how many steps the step size is halved, again and again.", lo=100, hi=200_000,
                          log=True, live=True)  # fmt: skip
        space: str = knob(AUTO, "Where things can be: in the box round the scene, or as far as one sees, what is far "
                          "drawn together (mip-NeRF 360); by itself the box if the ground is transparent.",
                          choices=SPACES)  # fmt: skip
        shrink: str = knob("1", "By how much the photographs are made smaller.", choices=SHRINKS)
        orientation: str = knob("up", "Whether the scene is turned so that the cameras' up is z.", choices=ORIENTATIONS)
        fit: str = knob("cameras", "What is brought to a size that the field can hold.", choices=FITS)

    p: Params
    tiny = dict(width=16, depth=2, coarse=4, fine=4, batch=64, rate=5e-3)

    # ---- the networks ----

    def build(self, device: torch.device) -> None:
        self.coarse = Network(self.p.width, self.p.depth).to(device)
        self.fine = Network(self.p.width, self.p.depth).to(device)
        self.low, self.high = self.bounds
        self.boxed = self.p.space == BOX or (self.p.space == AUTO and self.transparent)
        parameters = [*self.coarse.parameters(), *self.fine.parameters()]
        self.optimizer = torch.optim.Adam(parameters, self.p.rate, fused=True)

    # ---- a ray: coarse samples, fine samples, one colour ----

    def _within(self, x: Tensor) -> Tensor:
        """Places (N, 3) as the networks are told them, in [-1, 1]."""
        half = (self.high - self.low) / 2
        if self.boxed:
            return (x - self.low) / half - 1
        return unbounded.contracted((x - self.low - half) / (half.max() / 2)) / 2

    def _asked(self, network: Network, o: Tensor, d: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Densities (R, S) per unit of length and colours (R, S, 3) at distances ``t`` (R, S) along rays (R, 3)."""
        x = self._within((o[:, None] + t[..., None] * d[:, None]).reshape(-1, 3))
        along = d[:, None].expand(-1, t.shape[1], 3).reshape(-1, 3)
        levels = self.p.direction_levels if self.p.view_dependent else -1
        sigma, rgb = network(x, along, self.p.levels, levels)
        return sigma.view(t.shape) / self.unit, rgb.view(*t.shape, 3)

    @property
    def unit(self) -> float:
        """The length that a density of the networks is per."""
        return float((self.high - self.low).max()) / 2

    def _near_far(self, o: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where rays begin and end, (R,), and which of them meet what can be seen."""
        close = CLOSEST * float((self.high - self.low).norm())
        if self.boxed:
            near, far = aabb(o, d, self.low, self.high)
            near = near.clamp(min=close)
        else:
            near = torch.full_like(o[:, 0], close)
            far = near + NEARBY * self.unit * unbounded.FARTHEST
        near, far = self.within_crop(o, d, near, far)
        return near, far, far > near

    def _distances(self, s: Tensor, near: Tensor, far: Tensor) -> Tensor:
        """Distances (R, S) along rays of shares ``s`` (R, S), which rise from 0 to 1."""
        if self.boxed:
            return torch.lerp(near[:, None], far[:, None], s)
        t = unbounded.distance(s, near, NEARBY * self.unit)
        return torch.minimum(t, far[:, None])

    def _samples(self, o: Tensor, d: Tensor, near: Tensor, far: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Distances (R, N_c) of the coarse samples and the coarse network's weights and colours there; then the sorted
        distances (R, N_c + N_f) of all. Drawn at random while learning, in the middles else."""
        n = self.p.coarse
        edges = torch.linspace(0, 1, n + 1, device=o.device).expand(len(o), -1)
        within = torch.rand(len(o), n, device=o.device) if self.coarse.training else 0.5
        s = edges[:, :-1] + within * (edges[:, 1:] - edges[:, :-1])
        t, ends = self._distances(s, near, far), self._distances(edges, near, far)
        sigma, rgb = self._asked(self.coarse, o, d, t)
        weight, _ = compositing.weights(sigma, ends[:, 1:] - ends[:, :-1])
        more = hierarchical(edges, weight, self.p.fine, jitter=self.coarse.training)
        return weight, rgb, t, self._distances(torch.cat([s, more], 1).sort(1).values, near, far)

    def _march(self, o: Tensor, d: Tensor, near: Tensor, far: Tensor, ground: Tensor) -> tuple[Tensor, ...]:
        """Colours (R, 3) of the coarse network; colours, alpha and depth (R,) of the fine one."""
        weight, rgb, t, all_t = self._samples(o, d, near, far)
        first = compositing.over(weight, rgb, t, ground)[0]
        sigma, rgb = self._asked(self.fine, o, d, all_t)
        weight, _ = compositing.weights(sigma, lengths(all_t, near, far))
        return first, *compositing.over(weight, rgb, all_t, ground)

    # ---- training ----

    def train_step(self, rays: Rays) -> dict[str, Tensor]:
        ground = self.training_ground()
        truth = rays.over(ground)
        near, far, hit = self._near_far(rays.origins, rays.directions)
        which = hit.nonzero()[:, 0]
        first, second, _, _ = self._march(rays.origins[which], rays.directions[which], near[which], far[which], ground)
        empty = ground.expand_as(truth)
        coarse = (empty.index_put((which,), first) - truth).square().mean()
        fine = (empty.index_put((which,), second) - truth).square().mean()
        loss = coarse + fine
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = self.p.rate * 0.5 ** (int(self.fine.steps) / self.p.halve)
        self.optimizer.step()
        self.fine.steps += 1
        fine = fine.detach()
        return {
            "loss": loss.detach(),
            "fine": fine,
            "coarse": coarse.detach(),
            "psnr": -10 * fine.clamp(min=1e-10).log10(),
        }

    # ---- what the probes ask ----

    @torch.no_grad()
    def render_rays(self, origins: Tensor, directions: Tensor, ground: Tensor) -> Rendered:
        near, far, hit = self._near_far(origins, directions)
        which = hit.nonzero()[:, 0]
        rgb = ground.expand_as(origins).clone()
        alpha, depth = torch.zeros_like(near), torch.zeros_like(near)
        each = self.p.coarse + self.p.coarse + self.p.fine
        for part in which.split(max(1, SAMPLES_AT_ONCE // each)):
            _, rgb[part], alpha[part], depth[part] = self._march(
                origins[part], directions[part], near[part], far[part], ground
            )
        return Rendered(rgb, alpha, depth, None, hit * each)

    @torch.no_grad()
    def ray_samples(self, origin: Tensor, direction: Tensor) -> RaySamples:
        o, d = origin[None], direction[None]
        near, far, hit = self._near_far(o, d)
        t = self._samples(o, d, near, far)[3][:, : None if hit[0] else 0]
        delta = lengths(t, near, far)
        sigma, rgb = self._asked(self.fine, o, d, t)
        weight, transmittance = compositing.weights(sigma, delta)
        alpha = -torch.expm1(-sigma * delta)
        return RaySamples(t[0], delta[0], sigma[0], alpha[0], transmittance[0], weight[0], rgb[0])

    @torch.no_grad()
    def density(self, points: Tensor) -> Tensor:
        parts = [
            self.fine.sigma(self.fine.hidden(self._within(part), self.p.levels)) / self.unit
            for part in points.split(SAMPLES_AT_ONCE)
        ]
        return torch.cat(parts) if parts else points.new_zeros(0)


def lengths(t: Tensor, near: Tensor, far: Tensor) -> Tensor:
    """The part (R, S) of each ray that a sample stands for: to half-way to its neighbours, and to both ends."""
    middles = (t[:, 1:] + t[:, :-1]) / 2
    return torch.cat([middles, far[:, None]], 1) - torch.cat([near[:, None], middles], 1)
