"""Latent diffusion in two stages: an autoencoder, then a diffusion transformer on its codes. Knows nothing of training
loops or windows. After Rombach et al. 2022 and Peebles & Xie 2023, small enough for a processor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.data.tensors import Batch, ImageTensors
from engine.formats.runs import Run, RunError, read_snapshot
from engine.nn.average import Average, MeanOverTime
from engine.nn.coding.coder import Shape, halvings
from engine.nn.coding.spatial import SpatialDecoder, SpatialEncoder
from engine.nn.diffusion.dit import DiT
from engine.nn.diffusion.noising import TARGETS, Diffusion, Look, Noising, StraightLine
from engine.nn.gaussian import kl_to_standard_normal
from engine.nn.generator.of_noise import NoiseProbes
from engine.nn.pictures import pictures
from engine.params import BadValue, knob
from engine.payloads import ImageGrid
from engine.probes import Number, probe
from engine.study import Images, Study, Term

KEY = "latent_diffusion"
"""As which runs of this study are known."""
TIMESTEPS = 1000
MEASURED = 1000
"""Training pictures over which the codes are measured when the first stage ends."""
SETTLING = 0.3
"""Share of the first stage over which its rate falls to almost nothing."""
FEW = 4
"""Pictures of a batch on which the waiting transformer's loss is read."""
MEMORY = 0.9
"""Of the running measure of the codes that serves until then."""


# ---- what the second stage knows of the first -----------------------------------------------------------------------


class Stage(nn.Module):
    """Which step this is, and how the codes are scaled: all that the second stage has to know of the first."""

    steps: Tensor
    measured: Tensor
    reach: Tensor
    mean: Tensor
    std: Tensor
    reconstruction: Tensor
    kl: Tensor

    def __init__(self, channels: int, device: torch.device) -> None:
        super().__init__()
        # On the processor, so that reading them never waits for a GPU.
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("measured", torch.zeros((), dtype=torch.bool))
        self.register_buffer("reach", torch.full((), 10.0))
        self.register_buffer("mean", torch.zeros(channels, 1, 1, device=device))
        self.register_buffer("std", torch.ones(channels, 1, 1, device=device))
        self.register_buffer("reconstruction", torch.zeros((), device=device))
        self.register_buffer("kl", torch.zeros((), device=device))

    @torch.no_grad()
    def follow(self, z: Tensor, memory: float) -> None:
        """Takes the mean and deviation of codes (B, C, h, w) into the running ones; ``memory`` 0 forgets those."""
        self.mean.lerp_(z.mean((0, 2, 3))[:, None, None], 1 - memory)
        self.std.lerp_(z.std((0, 2, 3))[:, None, None].clamp(min=1e-4), 1 - memory)


# ---- the study ------------------------------------------------------------------------------------------------------


class LatentDiffusion(NoiseProbes, Study):
    """Diffusion where there is less to compute: first an autoencoder learns to press a picture into a small grid of
    numbers and back; then it is frozen, and a transformer learns to turn noise into such grids, which the decoder
    draws."""

    title, family = "Latent diffusion", "Diffusion and flows"
    paper = "Rombach et al. 2022, arXiv:2112.10752; the transformer (DiT): Peebles & Xie 2023; guidance: Ho & Salimans"
    data = Images(default="digits")
    left = r"\mathcal{L}\;="
    objective = [
        Term(
            r"\mathbb{E}_{z\sim E(x)}\left\|x-D(z)\right\|^2",
            "reconstruction",
            "orange",
            "First stage: how far the decoded picture is from the picture, squared, summed over pixels.",
        ),
        Term(
            r"+\;\beta\,D_{\mathrm{KL}}\left(E(x)\,\|\,\mathcal{N}(0,I)\right)",
            "kl",
            "purple",
            "First stage: what the code costs, in nats, so that its numbers stay in one neighbourhood.",
        ),
        Term(
            r"\qquad\mathcal{L}_{LDM}=\mathbb{E}_{z\sim E(x),\epsilon,t}"
            r"\left\|\epsilon-\epsilon_\theta(z_t,\,t,\,y)\right\|^2",
            "loss",
            "blue",
            "Second stage: how far the predicted noise, or velocity, is from the truth, mean over the code's numbers.",
        ),
    ]
    try_this = (
        "Open Reconstructions while the first stage learns: nothing that is lost there will ever be in a sample.",
        "Pull the first stage down to the present step: it freezes at once, and the transformer begins.",
        "Play Denoise and watch x̂₀: even early codes are drawn as clean pictures, for the decoder knows no others.",
    )

    @dataclass
    class Params:
        first: int = knob(
            800,
            "For so many steps the autoencoder learns; after them it is frozen and the transformer learns.",
            lo=1,
            hi=1_000_000,
            log=True,
            live=True,
        )
        coder: str = knob(
            "",
            "A run of this study, or a snapshot in it, whose autoencoder is taken: the transformer begins at once.",
            path=True,
        )
        process: str = knob(
            "rectified flow",
            "How a code turns into noise: on a straight line, with its velocity predicted, or as in DDPM, with the "
            "noise predicted.",
            choices=("rectified flow", "diffusion"),
        )
        channels: int = knob(4, "How many numbers the code has at each place of its grid.", lo=1, hi=16, symbol="c_z")
        beta: float = knob(
            1e-3, "Weight of the KL term: too little and the codes scatter, too much and detail is lost.",
            lo=1e-6, hi=1.0, log=True, symbol=r"\beta", live=True,
        )  # fmt: skip
        width: int = knob(32, "Channels of the autoencoder's first convolution; twice as many below.", lo=8, hi=128,
                          symbol="c")  # fmt: skip
        dim: int = knob(128, "How many numbers describe a token in the transformer, rounded to a multiple of 16.",
                        lo=16, hi=512, symbol="d")  # fmt: skip
        depth: int = knob(4, "How many blocks the transformer has.", lo=1, hi=12, symbol="N")
        patch: int = knob(2, "Sides of the square of places that is one token: 1 is finer and slower.", lo=1, hi=2,
                          symbol="p")  # fmt: skip
        drop: float = knob(
            0.1,
            "Share of pictures whose class is kept from the network, so that it learns what no class means.",
            lo=0.0,
            hi=1.0,
            symbol=r"p_\emptyset",
            live=True,
        )
        batch: int = knob(64, "How many pictures one step looks at.", lo=8, hi=512, symbol="B", live=True)
        first_rate: float = knob(1e-3, "Step size of the Adam optimiser in the first stage.", lo=1e-5, hi=1e-1,
                                 log=True, symbol=r"\eta_1", live=True)  # fmt: skip
        rate: float = knob(2e-3, "Step size of the Adam optimiser in the second stage.", lo=1e-5, hi=1e-1, log=True,
                           symbol=r"\eta", live=True)  # fmt: skip
        decay: float = knob(
            0.998,
            "Memory of the running average of the weights; 0.998 averages about 500 steps.",
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
    tiny = dict(first=2, channels=2, width=8, dim=16, depth=1, batch=16)

    def build(self, device: torch.device) -> None:
        shape = self.source.shape
        self.encoder = SpatialEncoder(shape, self.p.width, self.p.channels).to(device)
        self.decoder = SpatialDecoder(shape, self.p.width, self.p.channels).to(device)
        for module in (self.encoder, self.decoder):
            # a seventh faster on a processor
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stub lacks it alone
        self.stage = Stage(self.p.channels, device)
        self.noising: Noising = StraightLine() if self._straight else Diffusion("linear", TIMESTEPS)
        self.net = DiT(self.space, self.p.dim, self.p.depth, self.p.patch, self.classes).to(device)
        self.average = Average(self.net)
        self.over_time = MeanOverTime().to(device)
        self.lacking = ""
        if self.p.coder:
            self._take_coder(Path(self.p.coder).expanduser())
        coder = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.first_optimizer = torch.optim.Adam(coder, self.p.first_rate)
        self.optimizer = torch.optim.Adam(self.net.parameters(), self.p.rate)

    def _take_coder(self, path: Path) -> None:
        """Takes the first stage from a run folder or one of its files; BadValue where that is none of this study's, or
        does not fit. One that is gone is missed when training begins: a run that learned from it holds it as well."""
        if not path.exists():
            self.lacking = f"coder: {path} is not there"
            return
        try:
            folder = path.parent if path.name == "config.json" else path
            parts = (Run(folder).load(KEY)[0] if folder.is_dir() else read_snapshot(path, KEY)[0])["parts"]
            for name in ("encoder", "decoder", "stage"):
                getattr(self, name).load_state_dict(parts[name])
        except RunError as e:
            raise BadValue(f"coder: {e}") from None
        except (LookupError, RuntimeError, TypeError):
            wanted = f"width {self.p.width} and {self.p.channels} channels, for pictures like these"
            raise BadValue(f"coder: the autoencoder in {path} is not one of {wanted}") from None
        if not int(self.stage.steps):
            raise BadValue(f"coder: the autoencoder in {path} has learned nothing yet")
        self.stage.steps.zero_()
        self.stage.measured.fill_(False)

    def knob_changed(self, name: str) -> None:
        if name == "rate":
            for group in self.optimizer.param_groups:
                group["lr"] = self.p.rate

    # ---- the space: codes, scaled ----

    @property
    def _straight(self) -> bool:
        return bool(self.p.process == "rectified flow")

    @property
    def kind(self) -> str:
        return "velocity" if self._straight else "epsilon"

    @property
    def space(self) -> Shape:
        _, h, w = self.source.shape
        n = halvings(h, w)
        return self.p.channels, h >> n, w >> n

    @property
    def bound(self) -> float | None:
        """As far from their mean as codes were found, in deviations."""
        return float(self.stage.reach)

    def scaled(self, z: Tensor) -> Tensor:
        """Codes with mean 0 and deviation 1 in every channel."""
        return (z - self.stage.mean) / self.stage.std

    def from_images(self, images: Tensor) -> Tensor:
        return self.scaled(self.encoder(images)[0])

    def decoded(self, x: Tensor) -> Tensor:
        """Scaled codes as pictures (N, C, H, W), about 0..1."""
        out: Tensor = self.decoder(x * self.stage.std + self.stage.mean)
        return out

    def noise_pictures(self, look: Look) -> np.ndarray:
        """As :func:`tiled`, since noise has no picture of its own."""
        said = look.eps - look.x0 if self._straight else look.eps
        return pictures(tiled(0.5 + said / 6, self.source.shape))

    @property
    def remark(self) -> str:
        step = int(self.stage.steps)
        if self.lacking and not step:
            return self.lacking
        return "" if self._second(step) else f"the first stage is still learning: step {step} of {self.p.first}"

    # ---- training ----

    def _second(self, step: int) -> bool:
        """Whether the step after ``step`` others belongs to the second stage."""
        return bool(self.p.coder) or step >= self.p.first

    def coded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A draw from E(x), (B, c, h, w), and its KL from the standard normal, (B,)."""
        mean, log_variance = self.encoder(x)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return z, kl_to_standard_normal(mean, log_variance).flatten(1).sum(1)

    def misfit(self, x: Tensor, z: Tensor) -> Tensor:
        """Squared distance between pictures and what is decoded, summed over pixels, (B,)."""
        return (self.decoder(z).float() - x).square().flatten(1).sum(1)

    def errors(self, x0: Tensor, classes: Tensor, drop: float) -> tuple[Tensor, Tensor]:
        """Random times (B,) and the squared error of the prediction there, mean over the code, (B,)."""
        t = self.noising.draw(len(x0), x0.device)
        eps = torch.randn_like(x0)
        alpha, sigma = self.noising.batch_levels(t, x0)
        y = classes if self.classes else torch.zeros_like(classes)
        y = torch.where(torch.rand(len(y), device=y.device) < drop, self.classes, y)
        with self.autocast():
            said = self.net(alpha * x0 + sigma * eps, t, y)
        truth = TARGETS[self.kind](x0, eps, alpha, sigma)
        return t, (said.float() - truth).square().flatten(1).mean(1)

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        if self.lacking and not int(self.stage.steps):
            raise BadValue(self.lacking)
        second = self._second(int(self.stage.steps))
        self.stage.steps += 1
        return self._learn_to_denoise(batch) if second else self._learn_to_code(batch)

    def _learn_to_code(self, batch: Batch) -> dict[str, Tensor]:
        # Near the end of the stage, which is known, the rate falls: what is frozen should not be in mid-swing.
        left = 1 - int(self.stage.steps) / self.p.first
        for group in self.first_optimizer.param_groups:
            group["lr"] = self.p.first_rate * min(1.0, max(0.02, left / SETTLING))
        z, kl = self.coded(batch.x)
        reconstruction, cost = self.misfit(batch.x, z).mean(), kl.mean()
        loss = reconstruction + self.p.beta * cost
        self.first_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.first_optimizer.step()
        self.stage.follow(z.detach(), MEMORY if int(self.stage.steps) > 1 else 0.0)
        self.stage.measured.fill_(False)
        with torch.no_grad():  # of the transformer as it is: it waits
            waiting = self.errors(self.scaled(z[:FEW]), batch.y[:FEW], 0.0)[1].mean()
        return {"reconstruction": reconstruction.detach(), "kl": cost.detach(), "loss": waiting}

    def _learn_to_denoise(self, batch: Batch) -> dict[str, Tensor]:
        if not bool(self.stage.measured):
            self._measure()
        with torch.no_grad():
            x0 = self.scaled(self.coded(batch.x)[0])
        t, errors = self.errors(x0, batch.y, self.p.drop)
        loss = errors.mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.average.update(self.net, self.p.decay)
        self.over_time.update(t, errors.detach())
        frozen = {"reconstruction": self.stage.reconstruction.clone(), "kl": self.stage.kl.clone()}
        return {**frozen, "loss": loss.detach()}

    @torch.no_grad()
    def _measure(self) -> None:
        """What the frozen autoencoder's codes are like, over training pictures from all parts of the data."""
        images = self.source.train[:: max(1, len(self.source.train) // MEASURED)]
        parts = [(x, *self.coded(x)) for x in (part.float() / 255 for part in images.split(100))]
        z = torch.cat([part for _, part, _ in parts])
        stage = self.stage
        stage.follow(z, 0.0)
        stage.kl.copy_(torch.cat([kl for _, _, kl in parts]).mean())
        stage.reconstruction.copy_(torch.cat([self.misfit(x, part) for x, part, _ in parts]).mean())
        stage.reach.copy_(self.scaled(z).abs().max())
        stage.measured.fill_(True)

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        z, kl = self.coded(batch.x)
        loss = self.errors(self.scaled(z), batch.y, 0.0)[1]
        return {"reconstruction": self.misfit(batch.x, z), "kl": kl, "loss": loss}

    # ---- what only two stages are asked ----

    @probe(
        ImageGrid,
        title="Reconstructions",
        refresh=1.0,
        count=Number(8, 1, 32, text="How many held-out pictures are shown."),
    )
    def reconstructions(self, count: int) -> ImageGrid:
        """Held-out pictures, what is left of them once they have been a code, and that code, a channel a row."""
        images = self.source.held_out[:count].float() / 255
        x = self.from_images(images)
        back = self.decoded(x)
        channels = [tiled(0.5 + x[:, i : i + 1] / 6, self.source.shape) for i in range(len(x[0]))]
        c, h, w = self.space
        pixels = math.prod(self.source.shape)
        error = float((back.clamp(0, 1) - images).square().mean().sqrt())
        said = f"{pixels} numbers become {c} x {h} x {w} = {c * h * w};   root mean squared error {error:.3f}"
        return ImageGrid(
            np.concatenate([pictures(part) for part in (images, back, *channels)]),
            columns=len(images),
            rows=("picture", "decoded", *(f"channel {i + 1}" for i in range(c))),
            caption=f"{said};   {self.remark}" if self.remark else said,
        )


def tiled(x: Tensor, shape: Shape) -> Tensor:
    """The channels of (N, c, h, w) side by side in a square, grey, blown up to pictures (N, *shape)."""
    n, c, h, w = x.shape
    side = math.ceil(math.sqrt(c))
    cells = F.pad(x, (0, 0, 0, 0, 0, side * side - c), value=0.5).view(n, side, side, h, w)
    grey = cells.transpose(2, 3).reshape(n, 1, side * h, side * w)
    return F.interpolate(grey, size=shape[1:]).expand(n, *shape)
