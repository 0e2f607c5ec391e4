"""DDPM and rectified flow side by side in the plane, where all can be seen. Knows not how it is trained or shown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from engine.data import toys
from engine.nn.average import Average
from engine.nn.diffusion.noising import (
    PREDICTIONS,
    SCHEDULES,
    TARGETS,
    Diffusion,
    Level,
    Look,
    Noising,
    StraightLine,
    clipped,
    look_of,
)
from engine.nn.diffusion.samplers import DDIM, SAMPLERS, Euler, Sampler, State, sampling
from engine.params import knob
from engine.payloads import Curves, Plane, PlaneFrames, Planes
from engine.probes import Choice, Number, Seed, Steps, probe
from engine.study import Study, Term

REACH = 3.0
"""Half the side of the part of the plane that is shown: three standard deviations of the noise."""
EXTENT = (-REACH, REACH, -REACH, REACH)
WAVES = 6
"""How many waves of place the networks see in each direction, the longest as long as the shown part is wide."""
CELLS, ARROWS = 96, 20
"""How many cells of a density and how many arrows there are along each side."""
MEASURE_EVERY = 200
MEASURED, MEASURED_STEPS = 400, 12
"""Points and sampling steps of the distance that is measured while training: 3 % of the time."""
TRAIL = 40
"""Corners of a trail at most; a timeline keeps the trails of all its moments."""
BLUR = 0.1
"""Standard deviation of the bells that densities are estimated with; the true one is blurred as much."""
NAMES = ("DDPM", "Rectified flow")
DATA = "data"
WEIGHTS = Choice(("average", "latest"), text="The running average of the weights, which is steadier, or the weights.")


class Net(nn.Module):
    """What is said of x_t: points (B, 2), times (B,) and levels of noise -> (B, 2).

    Place and time come in as waves as well, since smooth units alone are slow to learn fine detail (Tancik et al.
    2020). The waves of place are as high as noise leaves them in q(x_t): it blurs what is finer than itself."""

    waves_t: Tensor
    waves_x: Tensor

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.register_buffer("waves_t", math.pi / 2 * 2.0 ** torch.arange(6), persistent=False)
        self.register_buffer("waves_x", math.pi / REACH * torch.arange(1, WAVES + 1), persistent=False)
        self.first = nn.Linear(2 + 2 * 6 + 4 * WAVES, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.last = nn.Linear(width, 2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, t: Tensor, sigma: Level) -> Tensor:
        time, place = t[:, None] * self.waves_t, x[:, :, None] * self.waves_x
        left = torch.exp(-0.5 * (torch.as_tensor(sigma, device=x.device).view(-1, 1) * self.waves_x).square())[:, None]
        waves = (left * place.sin()).flatten(1), (left * place.cos()).flatten(1)
        h = silu(self.first(torch.cat([x, time.sin(), time.cos(), *waves], 1)))
        for block in self.blocks:
            h = h + silu(block(h))
        out: Tensor = self.last(h)
        return out


class Learner(nn.Module):
    """A network, its running average, the path from data to noise that it learns, and what it predicts there."""

    def __init__(self, net: Net, noising: Noising, kind: str) -> None:
        super().__init__()
        self.net, self.average = net, Average(net)
        self.noising, self.kind = noising, kind

    def loss(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """Squared error of the prediction, (B,)."""
        alpha, sigma = self.noising.batch_levels(t, x0)
        said = self.says(self.net, alpha * x0 + sigma * eps, t, alpha, sigma)
        return (said - TARGETS[self.kind](x0, eps, alpha, sigma)).square().sum(1)

    def says(self, net: nn.Module, x: Tensor, t: Tensor, alpha: Level, sigma: Level) -> Tensor:
        """The prediction for points (B, 2) at times (B,). The network corrects what would be right if the data
        themselves were N(0, I): then an untrained one leaves noise as it is."""
        share = x / (alpha * alpha + sigma * sigma)
        said: Tensor = net(x, t, sigma)
        return said + TARGETS[self.kind](alpha * share, sigma * share, alpha, sigma)

    def look(self, x: Tensor, t: float, weights: str = "average") -> Look:
        """What the network says of x at t. Data is kept within the plane that is shown: near t = 1 DDPM's noise is
        divided by almost nothing to find it."""
        alpha, sigma = self.noising.levels(t)
        times = torch.full((len(x),), t, device=x.device)
        look = look_of(self.kind, self.says(self.chosen(weights), x, times, alpha, sigma), x, alpha, sigma)
        return clipped(look, x, alpha, sigma, REACH) if isinstance(self.noising, Diffusion) else look

    def chosen(self, weights: str) -> nn.Module:
        """The network with the weights that a control of :data:`WEIGHTS` names."""
        return self.average.net if weights == "average" else self.net

    def near(self, t: float) -> float:
        """The time nearest to t at which the network is trained."""
        count = self.noising.count if isinstance(self.noising, Diffusion) else 1000
        return max(1, round(t * count)) / count

    def sampling(
        self, sampler: Sampler, count: int, steps: int, seed: int, weights: str = "average"
    ) -> Iterator[State]:
        """``count`` points from noise to data; the same seed draws the same noise for every learner and sampler."""
        device = self.net.last.weight.device
        start, later = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed + 1)
        x = torch.randn(count, 2, generator=start).to(device)
        return sampling(
            sampler,
            x,
            self.noising.times(steps),
            lambda at, t: self.look(at, t, weights),
            lambda: torch.randn(count, 2, generator=later).to(device),
        )

    def samples(self, sampler: type[Sampler], count: int, steps: int, seed: int, weights: str = "average") -> Tensor:
        """Where they end, (count, 2)."""
        *_, end = self.sampling(sampler(self.noising), count, steps, seed, weights)
        return end.x


class Flow2D(Study):
    """Two ways from noise to data, learned side by side on points in the plane: DDPM takes noise away along a curved
    path, rectified flow follows straight lines; every arrow and density can be compared with the exact one."""

    title, family = "Flow in the plane", "Diffusion and flows"
    paper = "Ho et al. 2020, arXiv:2006.11239; Liu et al. 2022, arXiv:2209.03003"
    left = r"\mathcal{L}(\theta)\;="
    objective = [
        Term(
            r"\mathbb{E}_{t,x_0,\epsilon}\left\|\epsilon_\theta\left(\sqrt{\bar\alpha_t}\,x_0"
            r"+\sqrt{1-\bar\alpha_t}\,\epsilon,\;t\right)-\epsilon\right\|^2",
            "ddpm_loss",
            "blue",
            "How far DDPM's guess is from the noise that was put in (or from the data, or v, if it predicts those).",
        ),
        Term(
            r"+\;\mathbb{E}_{t,x_0,z}\left\|v_\theta\left((1-t)\,x_0+t\,z,\;t\right)-(z-x_0)\right\|^2",
            "flow_loss",
            "green",
            "How far rectified flow's velocity is from the straight line that leads from the data point to its noise.",
        ),
    ]
    try_this = (
        "Drag the t of the field from 1 to 0: in pure noise all arrows agree, then each point makes up its mind.",
        "Set the prediction to v and the schedule to cosine: DDPM's field calms down near t = 1, where a guess of the "
        "noise is divided by almost nothing to find the data.",
        "Set the shape to drawn and draw something while it trains: the field bends to the new data within seconds.",
    )

    @dataclass
    class Params:
        shape: str = knob("two moons", "What the data look like.", choices=(*toys.SHAPES, toys.DRAWN), live=True)
        drawn: str = knob(
            "",
            "Your own data, for the shape named drawn: points along these lines, or along an M while there are none.",
            drawing=True,
            live=True,
        )
        schedule: str = knob(
            "linear", "How fast DDPM's noise grows with t; rectified flow needs no schedule.", choices=SCHEDULES[::-1]
        )
        prediction: str = knob(
            "epsilon", "What DDPM's network predicts: the noise, the data, or v between them.", choices=PREDICTIONS
        )
        timesteps: int = knob(200, "Into how many steps DDPM cuts its path.", lo=10, hi=1000, log=True, symbol="T")
        width: int = knob(128, "Units of each layer of both networks.", lo=8, hi=256, symbol="c")
        depth: int = knob(2, "Residual layers of both networks.", lo=1, hi=6, symbol="L")
        batch: int = knob(256, "How many points one step looks at.", lo=16, hi=2048, symbol="B", live=True)
        rate: float = knob(3e-3, "Step size of the Adam optimiser.", lo=1e-5, hi=1e-1, log=True, symbol=r"\eta",
                           live=True)  # fmt: skip
        decay: float = knob(
            0.99,
            "How slowly the averaged weights follow: nearer to 1 is steadier, but lags behind.",
            lo=0.0,
            hi=0.9999,
            symbol=r"\mu",
            live=True,
        )

    p: Params
    tiny = dict(shape="eight Gaussians", timesteps=20, width=16, depth=1, batch=64)

    def build(self, device: torch.device) -> None:
        nets = [Net(self.p.width, self.p.depth).to(device) for _ in NAMES]
        self.ddpm = Learner(nets[0], Diffusion(self.p.schedule, self.p.timesteps), self.p.prediction)
        self.flow = Learner(nets[1], StraightLine(), "velocity")
        parameters = [p for net in nets for p in net.parameters()]
        self.optimizer = torch.optim.Adam(parameters, self.p.rate, fused=True)
        self._take_shape()

    def _take_shape(self) -> None:
        self.toy = toys.make(self.p.shape, self.p.drawn, self.device)
        self.known = self.toy.sample(1500, torch.Generator().manual_seed(0))
        self.known_spread = toys.spread(self.known)

    def knob_changed(self, name: str) -> None:
        if name in ("shape", "drawn"):
            self._take_shape()
        elif name == "rate":
            for group in self.optimizer.param_groups:
                group["lr"] = self.p.rate

    def learners(self) -> tuple[Learner, Learner]:
        return self.ddpm, self.flow

    # ---- training ----

    def train_step(self, batch: None) -> dict[str, Tensor]:
        x0 = self.toy.sample(self.p.batch)
        noise = torch.randn_like(x0)
        losses = [of.loss(x0, noise, of.noising.draw(len(x0), x0.device)).mean() for of in self.learners()]
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()
        self.optimizer.step()
        for of in self.learners():
            of.average.update(of.net, self.p.decay)
        metrics = {"ddpm_loss": losses[0].detach(), "flow_loss": losses[1].detach()}
        done = int(self.flow.average.steps)
        if done == 1 or done % MEASURE_EVERY == 0:
            metrics.update(self.distances())
        return metrics

    @torch.no_grad()
    def distances(self) -> dict[str, Tensor]:
        """Energy distance of each learner's samples to the data, 0 for the same density; the noise of this estimate
        is about 0.003."""
        ends = {
            "ddpm_distance": self.ddpm.samples(DDIM, MEASURED, MEASURED_STEPS, 0),
            "flow_distance": self.flow.samples(Euler, MEASURED, MEASURED_STEPS, 0),
        }
        return {name: torch.tensor(self.distance(x)) for name, x in ends.items()}

    def distance(self, x: Tensor) -> float:
        """Energy distance of points (N, 2) to the data."""
        return toys.energy_distance(x, self.known, self.known_spread)

    def caption(self, *parts: str) -> str:
        """One line: what has to be said of the data, then ``parts``."""
        nothing = self.p.shape == toys.DRAWN and not self.p.drawn.strip(" ;")
        return "; ".join(["nothing is drawn yet, so an M stands in", *parts] if nothing else parts)

    # ---- probes ----

    @probe(
        Planes,
        title="Field",
        refresh=0.5,
        t=Number(0.3, 0.01, 1.0, text="The time: 1 is noise, 0 is data."),
        arrows=Choice(("learned", "exact", "learned - exact"), text="Whose velocity the arrows show."),
        weights=WEIGHTS,
    )
    def field(self, t: float, arrows: str, weights: str) -> Planes:
        """Which way every point of the plane moves at time t on its way to the data, over the exact density of data
        with that much noise."""
        planes = []
        across, up = toys.middles(EXTENT, ARROWS)
        places = torch.stack([across.repeat(ARROWS), up.repeat_interleave(ARROWS)], 1).to(self.device)
        some = self.known[: 150 if self.dragging else 500]
        noise = torch.randn(len(some), 2, generator=torch.Generator().manual_seed(0)).to(some)
        for name, of in zip(NAMES, self.learners(), strict=True):
            at = of.near(t)
            alpha, sigma = of.noising.levels(at)
            noised = of.noising.noised(some, noise, at)
            asked = torch.cat([places, noised])
            exact = of.noising.velocity(at, Look(*self.toy.look(asked, alpha, sigma)))
            learned = of.noising.velocity(at, of.look(asked, at, weights))
            size = of.noising.velocity(at, Look(some, noise)).square().mean().sqrt()
            off = (learned - exact)[len(places) :].square().mean().sqrt() / size
            shown = {"learned": learned, "exact": exact}.get(arrows, learned - exact)[: len(places)]
            planes.append(
                Plane(
                    EXTENT,
                    title=f"{name}, off by {float(off):.1%}",
                    heat=array(self.toy.heat(EXTENT, CELLS // 2 if self.dragging else CELLS, alpha, sigma)),
                    heat_name="q(x_t)",
                    backdrop=array(noised),
                    arrows=array(torch.cat([places, self._short(-shown, float(size))], 1)),
                )
            )
        return Planes(tuple(planes), self.caption(f"t = {t:.2f}", "100% is the velocity of one pair of data and noise"))

    def _short(self, vectors: Tensor, size: float) -> Tensor:
        """``vectors`` (M, 2) scaled to fit between the arrows' places, ``size`` to about as long as these are apart;
        those that are still too long, far from all data, are cut."""
        cell = 2 * REACH / ARROWS
        scaled = vectors * (cell / size)
        length = scaled.norm(dim=1, keepdim=True).clamp(min=1e-9)
        return scaled * (length.clamp(max=1.3 * cell) / length)

    @probe(
        PlaneFrames,
        title="Particles",
        ddpm_sampler=Choice(tuple(SAMPLERS), text="How DDPM's points are led to the data."),
        flow_sampler=Choice(
            ("Euler", *(name for name in SAMPLERS if name != "Euler")),
            text="How the points of rectified flow are led to the data.",
        ),
        steps=Steps(50, 2, 100, text="In how many steps, at most the T of DDPM."),
        eta=Number(0.0, 0.0, 1.0, text="How much fresh noise DDIM adds at each step: 0 none, 1 as much as DDPM."),
        count=Number(200, 10, 400, text="How many points there are."),
        seed=Seed(text="The seed of the noise in which the points begin, the same for both."),
        weights=WEIGHTS,
    )
    def particles(
        self, ddpm_sampler: str, flow_sampler: str, steps: int, eta: float, count: int, seed: int, weights: str
    ) -> Iterator[PlaneFrames]:
        """Points travel from noise to data, coloured by the side of the noise from which they come; behind them the
        density that they should have at that time. Path / line is how much longer their way is than a straight one."""
        steps = min(steps, self.p.timesteps, 12 if self.dragging else 100)
        samplers = SAMPLERS[ddpm_sampler](self.ddpm.noising, eta), SAMPLERS[flow_sampler](self.flow.noising, eta)
        runs = [
            of.sampling(sampler, count, steps, seed, weights)
            for of, sampler in zip(self.learners(), samplers, strict=True)
        ]
        backdrop = array(self.known[:300])
        ways: tuple[list[Tensor], list[Tensor]] = ([], [])
        lengths = [0.0, 0.0]
        for states in zip(*runs, strict=True):
            planes, readings = [], {}
            for i, (name, of, state) in enumerate(zip(NAMES, self.learners(), states, strict=True)):
                way = ways[i]
                way.append(state.x)
                if state.index:
                    lengths[i] += float((way[-1] - way[-2]).norm(dim=1).sum())
                straight = float((way[-1] - way[0]).norm(dim=1).sum())
                readings[f"{name}: distance"] = self.distance(state.x)
                readings[f"{name}: path / line"] = lengths[i] / straight if straight > 1e-6 else 1.0
                corners = np.unique(np.linspace(0, len(way) - 1, min(len(way), TRAIL)).round().astype(int))
                alpha, sigma = of.noising.levels(state.t)
                planes.append(
                    Plane(
                        EXTENT,
                        title=f"{name}, {(ddpm_sampler, flow_sampler)[i]}",
                        heat=array(self.toy.heat(EXTENT, CELLS, alpha, sigma)),
                        heat_name="q(x_t)",
                        backdrop=backdrop,
                        trails=array(torch.stack([way[c] for c in corners], 1)),
                        points=array(state.x),
                        labels=sectors(way[0]),
                    )
                )
            caption = f"t = {states[1].t:.2f}"
            yield PlaneFrames(tuple(planes), index=states[0].index, total=steps + 1, caption=caption, readings=readings)

    @probe(
        Planes,
        title="Density",
        refresh=2.0,
        steps=Steps(20, 2, 100, text="In how many steps the points are made, with DDIM and Euler's method."),
        seed=Seed(text="The seed of the noise."),
        weights=WEIGHTS,
    )
    def density(self, steps: int, seed: int, weights: str) -> Planes:
        """The density of the points that each model makes beside the true one, all through the same slight blur."""
        count, steps = (500, min(steps, 8)) if self.dragging else (2000, steps)
        truth = self.toy.heat(EXTENT, CELLS, 1.0, BLUR)
        points = {
            "DDPM": self.ddpm.samples(DDIM, count, steps, seed, weights),
            "Rectified flow": self.flow.samples(Euler, count, steps, seed, weights),
            DATA: self.toy.sample(count, torch.Generator().manual_seed(seed)),
        }
        even = torch.full((count,), 1 / count, device=self.device)
        heats = {name: toys.bells(x, even, BLUR, EXTENT, CELLS) for name, x in points.items()}
        area = (2 * REACH / CELLS) ** 2
        # What lies outside the picture is missing from the sum of one density, and counts as well.
        off = {
            name: 0.5 * (float((heat - truth).abs().sum()) * area + abs(1 - float(heat.sum()) * area))
            for name, heat in heats.items()
        }
        shown = {"True density": truth, **{f"{name}, TV {off[name]:.2f}": heats[name] for name in NAMES}}
        planes = tuple(
            Plane(EXTENT, title=title, heat=array(heat), heat_name="density") for title, heat in shown.items()
        )
        return Planes(
            planes, self.caption(f"TV is the total variation from the truth; as many data have {off[DATA]:.2f}")
        )

    @probe(
        Curves,
        title="Loss over t",
        refresh=1.0,
        weights=WEIGHTS,
    )
    def loss_over_t(self, weights: str) -> Curves:
        """The loss at every t, and the least that any network could reach: noise and data cannot be told apart
        entirely, so it never falls to nothing."""
        times = torch.arange(1, 21) / 20 - 0.025
        each = 50 if self.dragging else 150
        generator = torch.Generator().manual_seed(0)
        x0 = self.toy.sample(each, generator).repeat(len(times), 1)
        noise = torch.randn(each, 2, generator=generator).to(x0).repeat(len(times), 1)
        lines = {}
        for name, of in zip(NAMES, self.learners(), strict=True):
            t = torch.tensor([of.near(float(t)) for t in times], device=self.device).repeat_interleave(each)
            alpha, sigma = of.noising.batch_levels(t, x0)
            x = alpha * x0 + sigma * noise
            target = TARGETS[of.kind](x0, noise, alpha, sigma)
            said = of.says(of.chosen(weights), x, t, alpha, sigma)
            best = TARGETS[of.kind](*self.toy.look(x, alpha, sigma), alpha, sigma)
            for line, answer in ((name, said), (f"{name}, least possible", best)):
                lines[line] = array((answer - target).square().sum(1).view(len(times), each).mean(1))
        return Curves(array(times), lines, x_name="t", y_name="squared error")


def sectors(x: Tensor) -> np.ndarray:
    """In which eighth of the plane points (N, 2) lie: int64 (N,), 0..7."""
    turn = torch.atan2(x[:, 1], x[:, 0]) / (2 * math.pi) % 1
    return (turn * 8).long().clamp(max=7).cpu().numpy()


def array(x: Tensor) -> np.ndarray:
    """float32 on the CPU, a copy of its own; what is not a number is 0."""
    return x.detach().float().nan_to_num(0.0).cpu().numpy().copy()
