"""Rectified flow for classes of pictures, with the second rectification. Knows nothing of training loops or windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data.tensors import Batch, ImageTensors
from engine.nn.average import Average, MeanOverTime
from engine.nn.diffusion.denoising import DRAG_STEPS, SEED, WEIGHTS, SeededNoise
from engine.nn.diffusion.noising import Look, StraightLine
from engine.nn.diffusion.samplers import Euler, sampling
from engine.nn.diffusion.unet import UNet
from engine.nn.generator.of_noise import NoiseProbes
from engine.nn.muon import OPTIMISERS, optimiser
from engine.nn.pictures import array
from engine.params import knob
from engine.payloads import Curves
from engine.probes import EVERY_CLASS, Number, Steps, probe
from engine.study import Images, Study, Term

PAIR_STEPS = 10
"""Euler steps from noise to the picture of a pair."""
PAIR_TIMES = 4
"""Times at which each pair is trained: a pair costs :data:`PAIR_STEPS` network calls to make."""


class RectifiedFlow(NoiseProbes, Study):
    """Learns the wind that blows noise into pictures: between a picture and noise lies a straight line, and the network
    says, at each place, the mean velocity of the lines that cross there. Following it backwards leads from noise to a
    picture; rectifying it again, on its own pairs, makes the paths straight, so that few steps will do."""

    title, family = "Rectified flow", "Diffusion and flows"
    paper = "Liu et al. 2022, arXiv:2209.03003; flow matching: Lipman et al. 2022; guidance: Ho & Salimans 2022"
    data = Images(default="digits")
    left = r"\mathcal{L}(\theta)\;="
    objective = [
        Term(
            r"\mathbb{E}_{t,x_0,z}\left\|v_\theta(x_t,t,y)-(z-x_0)\right\|^2",
            "loss",
            "blue",
            "How far the predicted velocity at x_t = (1 − t) x₀ + t z is from the straight line's, picture to "
            "noise, mean over pixels.",
        ),
    ]
    try_this = (
        "Set the sampler to Euler and the steps to 1, 2, 4, 8: see how few a straight path needs.",
        "Open Straightness, then set the reflow step to the present step and train on: the paths straighten.",
        "Branch half way with another class: what is decided by then stays, what is not follows the new class.",
    )

    @dataclass
    class Params:
        reflow: int = knob(
            0,
            "From this step on it learns from its own pairs of noise and picture, so that paths straighten; 0: never.",
            lo=0,
            hi=100_000,
            live=True,
        )
        times: str = knob(
            "middle", "Where t is drawn while training: more in the middle (logit-normal) or evenly.",
            choices=("middle", "even"), live=True,
        )  # fmt: skip
        drop: float = knob(
            0.1,
            "Share of pictures whose class is kept from the network, so that it learns what no class means.",
            lo=0.0,
            hi=1.0,
            symbol=r"p_\emptyset",
            live=True,
        )
        width: int = knob(
            32, "Channels of the network's finest resolution; twice as many below.", lo=8, hi=128, symbol="c"
        )
        batch: int = knob(64, "How many pictures one step looks at.", lo=8, hi=512, symbol="B", live=True)
        optimiser: str = knob(
            "Muon", "How it learns: Muon turns all directions of a matrix alike; Adam wants about half its rate.",
            choices=OPTIMISERS,
        )  # fmt: skip
        rate: float = knob(4e-3, "Step size of the optimiser.", lo=1e-5, hi=1e-1, log=True, symbol=r"\eta",
                           live=True)  # fmt: skip
        decay: float = knob(
            0.998,
            "Memory of the running average of the weights: 0.998 averages about 500 steps.",
            lo=0.0,
            hi=0.9999,
            symbol=r"\mu",
            live=True,
        )
        precision: str = knob(
            "auto", "Number format of the heavy parts: bfloat16 where it is fast, or always float32.",
            choices=("auto", "float32"), live=True,
        )  # fmt: skip

    p: Params
    source: ImageTensors
    tiny = dict(width=8, batch=8)
    kind = "velocity"

    def build(self, device: torch.device) -> None:
        self.noising = StraightLine()
        self.net = UNet(self.space, self.p.width, self.classes).to(device)
        self.average = Average(self.net)
        self.teacher = Average(self.net)
        """The average as it was when the second rectification began; its ``steps`` are 0 before."""
        self.over_time = MeanOverTime().to(device)
        self.optimizer = optimiser(self.p.optimiser, self.net, self.p.rate, ends=(self.net.first, self.net.last))

    def knob_changed(self, name: str) -> None:
        if name == "rate":
            for group in self.optimizer.param_groups:
                group["lr"] = self.p.rate

    # ---- training ----

    def errors(self, x0: Tensor, z: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """Squared error of the velocity at times (B,) between pictures and noise, mean over pixels, (B,)."""
        alpha, sigma = self.noising.batch_levels(t, x0)
        with self.autocast():
            said = self.net(alpha * x0 + sigma * z, t, y)
        return (said.float() - (z - x0)).square().flatten(1).mean(1)

    def classes_told(self, batch: Batch, drop: float) -> Tensor:
        """The batch's classes, some of them withheld."""
        y = batch.y if self.classes else torch.zeros_like(batch.y)
        return torch.where(torch.rand(len(y), device=y.device) < drop, self.classes, y)

    def pairs(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Noise, and the pictures that the teacher's flow leads it to."""
        z = torch.randn(len(y), *self.space, device=y.device)
        said = lambda x, t: self.predict(self.teacher.net, x, t, y)  # noqa: E731
        with torch.no_grad():
            for state in sampling(Euler(self.noising), z, self.noising.times(PAIR_STEPS), said, lambda: z):
                x0 = state.x
        return x0, z

    def draw_times(self, size: int) -> Tensor:
        """Training times (size,) in 0..1; the logistic function of normal numbers is Esser et al. 2024's choice."""
        if self.p.times == "middle":
            return torch.randn(size, device=self.device).sigmoid()
        return self.noising.draw(size, self.device)

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        x0, y = self.from_images(batch.x), self.classes_told(batch, self.p.drop)
        if self._reflowing():
            few = y[: max(1, len(y) // PAIR_TIMES)]
            x0, z = self.pairs(few)
            x0, z, y = (v.repeat(PAIR_TIMES, *[1] * (v.dim() - 1)) for v in (x0, z, few))
        else:
            z = torch.randn_like(x0)
        t = self.draw_times(len(x0))
        errors = self.errors(x0, z, t, y)
        loss = errors.mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.average.update(self.net, self.p.decay)
        self.over_time.update(t, errors.detach())
        return {"loss": loss.detach()}

    def _reflowing(self) -> bool:
        on = 0 < self.p.reflow <= int(self.average.steps)
        if on and not int(self.teacher.steps):
            self.teacher.load_state_dict(self.average.state_dict())
        elif not on and int(self.teacher.steps):
            self.teacher.steps.zero_()
        return on

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        x0 = self.from_images(batch.x)
        t = self.noising.draw(len(x0), x0.device)
        return {"loss": self.errors(x0, torch.randn_like(x0), t, self.classes_told(batch, 0.0))}

    # ---- what only a flow is asked ----

    @probe(
        Curves,
        title="Straightness",
        steps=Steps(20, 2, 200, text="How many Euler steps the paths are followed in."),
        count=Number(16, 2, 64, text="Over how many paths is averaged."),
        seed=SEED,
        weights=WEIGHTS,
    )
    def straightness(self, steps: int, count: int, seed: int, weights: str) -> Iterator[float | Curves]:
        """How far the velocity along a path is from the straight line between its ends, squared, mean over pixels: 0
        everywhere where one step would do."""
        if self.dragging:
            steps = min(steps, DRAG_STEPS)
        y = self.classes_of(EVERY_CLASS, count)
        noise = SeededNoise(count, self.space, seed, self.device)
        z = noise()
        times = self.noising.times(steps)
        seen: list[Look] = []
        for state in sampling(Euler(self.noising), z, times, lambda x, t: self.look(x, t, y, 0.0, weights), noise):
            seen.append(state.look)
            yield state.index / len(times)
        straight = z - state.x
        off = [float((look.eps - look.x0 - straight).square().mean()) for look in seen[:-1]]
        t = torch.tensor(times[:-1])
        whole = sum(off) / len(off)
        yield Curves(array(t), {f"mean {whole:.4f}": array(torch.tensor(off))}, "t", "‖v − (z − x̂₀)‖²/d")
