"""The denoising diffusion probabilistic model, for classes of pictures. Knows nothing of training loops or windows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data.tensors import Batch, ImageTensors
from engine.nn.average import Average, MeanOverTime
from engine.nn.diffusion.noising import PREDICTIONS, SCHEDULES, TARGETS, Diffusion
from engine.nn.diffusion.unet import UNet
from engine.nn.generator.of_noise import NoiseProbes
from engine.nn.muon import OPTIMISERS, optimiser
from engine.params import knob
from engine.study import Images, Study, Term


class DDPM(NoiseProbes, Study):
    """Learns to take a little noise away from a noisy picture; from noise alone, step by step, a new picture comes of
    it. Nothing is drawn at once: watch x̂₀, what the network believes the picture to be, settle on its way."""

    title, family = "Denoising diffusion", "Diffusion and flows"
    paper = "Ho et al. 2020, arXiv:2006.11239; cosine: Nichol & Dhariwal 2021; guidance: Ho & Salimans 2022"
    data = Images(default="digits")
    left = r"\mathcal{L}(\theta)\;="
    objective = [
        Term(
            r"\mathbb{E}_{t,x_0,\epsilon}\left\|\epsilon-\epsilon_\theta(x_t,t,y)\right\|^2",
            "loss",
            "blue",
            "How far the noise that the network sees in x_t = √ᾱ x₀ + √(1 − ᾱ) ε is from that in it, mean over "
            "pixels; the prediction knob puts the picture or v in its place.",
        ),
    ]
    try_this = (
        "Press play in Denoise and look at x̂₀: first a blur between all pictures, then one of them, details last.",
        "Pin a film, set the sampler to DDIM with 10 steps, and swipe between both: the same noise, less work.",
        "Move w from 0 to 6: the class becomes unmistakable, and the samples become alike.",
    )

    @dataclass
    class Params:
        timesteps: int = knob(
            1000, "How many small steps of noise lead from picture to noise.", lo=10, hi=4000, log=True, symbol="T"
        )
        schedule: str = knob(
            "cosine", "How the noise grows over the steps: evenly in its angle, or in its variance.", choices=SCHEDULES
        )
        prediction: str = knob(
            "v", "What the network says of a noisy picture: its noise, the picture, or v, a mixture of both.",
            choices=(PREDICTIONS[2], PREDICTIONS[0], PREDICTIONS[1]),
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
    tiny = dict(width=8, batch=8, timesteps=50)

    def build(self, device: torch.device) -> None:
        self.noising = Diffusion(self.p.schedule, self.p.timesteps)
        self.net = UNet(self.space, self.p.width, self.classes).to(device)
        self.average = Average(self.net)
        self.over_time = MeanOverTime().to(device)
        self.optimizer = optimiser(self.p.optimiser, self.net, self.p.rate, ends=(self.net.first, self.net.last))

    @property
    def kind(self) -> str:
        return str(self.p.prediction)

    def knob_changed(self, name: str) -> None:
        if name == "rate":
            for group in self.optimizer.param_groups:
                group["lr"] = self.p.rate

    # ---- training ----

    def errors(self, batch: Batch, drop: float) -> tuple[Tensor, Tensor]:
        """Random times (B,) and the squared error of the prediction there, mean over pixels, (B,)."""
        x0 = self.from_images(batch.x)
        t = self.noising.draw(len(x0), x0.device)
        eps = torch.randn_like(x0)
        alpha, sigma = self.noising.batch_levels(t, x0)
        y = batch.y if self.classes else torch.zeros_like(batch.y)
        y = torch.where(torch.rand(len(y), device=y.device) < drop, self.classes, y)
        with self.autocast():
            said = self.net(alpha * x0 + sigma * eps, t, y)
        truth = TARGETS[self.kind](x0, eps, alpha, sigma)
        return t, (said.float() - truth).square().flatten(1).mean(1)

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        t, errors = self.errors(batch, self.p.drop)
        loss = errors.mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.average.update(self.net, self.p.decay)
        self.over_time.update(t, errors.detach())
        return {"loss": loss.detach()}

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": self.errors(batch, 0.0)[1]}
