"""A convolutional GAN with exchangeable loss and regulariser. Knows nothing of how it is trained, saved or shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.data.tensors import Batch, ImageTensors
from engine.nn.adversarial import losses
from engine.nn.adversarial.probes import AdversarialProbes
from engine.nn.adversarial.watch import ModeWatch
from engine.nn.average import Average
from engine.nn.coding.coder import Shape, halvings
from engine.nn.generator.gathered import GeneratorProbes
from engine.params import knob
from engine.study import Images, Study, Term

R1, PENALTY, SPECTRAL, NONE = "R1", "gradient penalty", "spectral norm", "none"
SLOPE = 0.2
LOOK_EVERY = 8
"""Steps between two looks of the watch."""


class PixelNorm(nn.Module):
    """Every pixel's features at a mean square of 1; Karras et al. 2018."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "pixel": lambda channels: PixelNorm(),
    "none": lambda channels: nn.Identity(),
}


class Residual(nn.Module):
    """x plus what a 3 x 3 convolution of it adds."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.LeakyReLU(SLOPE), nn.Conv2d(channels, channels, 3, 1, 1), NORMS[norm](channels))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.net(x)
        return out


class Draws(nn.Module):
    """The generator: a code (B, latent) becomes a small picture of many channels, which is doubled until it is one of
    ``shape``, with values in -1..1."""

    def __init__(self, shape: Shape, latent: int, width: int, depth: int, norm: str, fine: int = 0) -> None:
        super().__init__()
        c, h, w = shape
        n = halvings(h, w)
        heights, widths = [h >> i for i in range(n + 1)], [w >> i for i in range(n + 1)]
        top = width * 2**n
        self.first = nn.Linear(latent, top * heights[n] * widths[n])
        self.start = nn.Sequential(nn.Unflatten(1, (top, heights[n], widths[n])), NORMS[norm](top))
        layers: list[nn.Module] = []
        for i in range(n, 0, -1):
            here, there = width * 2**i, width * 2 ** (i - 1) if i > 1 else fine or c
            layers += [Residual(here, norm) for _ in range(depth)]
            odd = (heights[i - 1] % 2, widths[i - 1] % 2)
            layers += [nn.LeakyReLU(SLOPE), nn.ConvTranspose2d(here, there, 4, 2, 1, output_padding=odd)]
            layers += [NORMS[norm](there)] if i > 1 or fine else []
        if fine:
            layers += [nn.LeakyReLU(SLOPE), nn.Conv2d(fine, c, 3, 1, 1)]
        self.rest = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.rest(self.start(self.first(z))).tanh()
        return out


class Judges(nn.Module):
    """The discriminator: a picture of ``shape`` in -1..1 becomes a logit (B,), large for a real one. Without batch
    normalisation, unlike the paper's: the gradient of one picture's logit must not depend on the others."""

    paid: Tensor
    """The penalty when it was last taken; with lazy regularisation that is some steps ago."""

    def __init__(self, shape: Shape, width: int, depth: int, fine: int = 0) -> None:
        super().__init__()
        c, h, w = shape
        n = halvings(h, w)
        layers: list[nn.Module] = [nn.Conv2d(c, fine, 3, 1, 1), nn.LeakyReLU(SLOPE)] if fine else []
        before = fine or c
        for i in range(n):
            layers += [nn.Conv2d(before, width * 2**i, 4, 2, 1)]
            before = width * 2**i
            layers += [Residual(before, "none") for _ in range(depth)]
            layers += [nn.LeakyReLU(SLOPE)]
        layers += [nn.Conv2d(before, 2 * before, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.last = nn.Linear(2 * before * (h >> n + 1) * (w >> n + 1), 1)
        self.register_buffer("paid", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.body(x)).flatten()
        return out


class DCGAN(GeneratorProbes, AdversarialProbes, Study):
    """Learns to draw by a game: a generator turns noise into pictures, a discriminator learns to tell them from real
    ones, and the generator follows its slope towards what passes for real. No likelihood, no reconstruction: pictures
    are sharp, and whatever the discriminator does not miss may be left out."""

    title, family = "DCGAN", "Adversarial"
    paper = "Radford et al. 2015, arXiv:1511.06434; R1: Mescheder et al. 2018; hinge, spectral norm: Miyato et al. 2018"
    data = Images(default="digits")
    left = r"\min_G\max_D\;"
    objective = [
        Term(
            r"\mathbb{E}_{x}\left[\log D(x)\right]+\mathbb{E}_{z}\left[\log(1-D(G(z)))\right]",
            "d_loss",
            "blue",
            "How well the discriminator tells real from drawn; its curve is the loss that the knob chooses.",
        ),
        Term(
            r"-\;\frac{\gamma}{2}\,\mathbb{E}_{x}\left\|\nabla_x D(x)\right\|^2",
            "penalty",
            "purple",
            "What keeps the discriminator's slope at real pictures small, or near 1 with the gradient penalty.",
        ),
        Term(
            r"\qquad\mathcal{L}_G=-\,\mathbb{E}_{z}\left[\log D(G(z))\right]",
            "g_loss",
            "orange",
            "What the generator minimises: small where its pictures pass for real.",
        ),
    ]
    try_this = (
        "Take away the regulariser and let the discriminator learn four times as fast: watch the gradients of G.",
        "Open Classes, then raise the rate to 0.02 while it trains: shares grow uneven, pictures drift from real ones.",
        "Compare the scores of training and held-out pictures on emoji: once they part, D knows some by heart.",
    )

    first_probes = ("samples", "seed_plane", "scores", "modes", "gradients")

    @dataclass
    class Params:
        loss: str = knob(
            "non-saturating", "What both players minimise; minimax stops teaching a generator that is far behind.",
            choices=losses.LOSSES, live=True,
        )  # fmt: skip
        regulariser: str = knob(
            R1,
            "What keeps the discriminator smooth: a small slope at real pictures (R1), a slope of 1 between real and "
            "fake, or weights whose largest singular value is 1.",
            choices=(R1, PENALTY, SPECTRAL, NONE),
        )
        gamma: float = knob(
            1.0,
            "Weight of the penalty on the slope: γ of R1, λ of the gradient penalty (10 in its paper).",
            lo=0.0,
            hi=100.0,
            symbol=r"\gamma",
            live=True,
        )
        every: int = knob(
            8, "At each how many steps the penalty is computed, so many times as strong: lazy regularisation.",
            lo=1, hi=64, symbol="k", live=True,
        )  # fmt: skip
        critics: int = knob(
            1, "Steps of the discriminator to one of the generator; WGAN-GP's paper takes 5.",
            lo=1, hi=10, symbol=r"n_\mathrm{critic}", live=True,
        )  # fmt: skip
        latent: int = knob(
            64, "How many numbers the code z has; changing it builds new networks.", lo=1, hi=256, symbol="d_z"
        )
        width: int = knob(
            24, "Channels of the discriminator's first convolution; each further one has twice as many.",
            lo=4, hi=128, symbol="c",
        )  # fmt: skip
        depth: int = knob(
            1,
            "Residual 3 x 3 convolutions at each resolution below the full one; 0: none, as in the paper.",
            lo=0,
            hi=3,
        )
        fine: int = knob(
            0, "Channels at full resolution, with a 3 x 3 convolution there in both networks; 0: as in the paper.",
            lo=0, hi=64,
        )  # fmt: skip
        norm: str = knob(
            "batch", "What keeps the features of G at one size: the batch, as in the paper, or each pixel by itself.",
            choices=tuple(NORMS),
        )  # fmt: skip
        batch: int = knob(32, "How many real and how many drawn pictures one step looks at.", lo=8, hi=512,
                          symbol="B", live=True)  # fmt: skip
        rate: float = knob(4e-4, "Step size of the generator's Adam.", lo=1e-5, hi=1e-1, log=True, symbol=r"\eta",
                           live=True)  # fmt: skip
        ttur: float = knob(
            1.0, "How many times as fast the discriminator learns.", lo=0.1, hi=10.0, log=True,
            symbol=r"\eta_D/\eta_G", live=True,
        )  # fmt: skip
        beta1: float = knob(
            0.5, "Adam's memory of the gradient: a game turns round, so less than usual, 0.5 or 0.",
            lo=0.0, hi=0.95, symbol=r"\beta_1", live=True,
        )  # fmt: skip
        beta2: float = knob(
            0.99, "Adam's memory of the gradient's size.", lo=0.5, hi=0.9999, symbol=r"\beta_2", live=True
        )
        decay: float = knob(
            0.998, "Memory of the running average of the generator, which is what the pictures come from.",
            lo=0.0, hi=0.9999, symbol=r"\mu", live=True,
        )  # fmt: skip

    p: Params
    source: ImageTensors
    generator: Draws
    discriminator: Judges
    tiny = dict(latent=4, width=4, depth=0, batch=16)

    def build(self, device: torch.device) -> None:
        p, shape = self.p, self.source.shape
        self.generator = Draws(shape, p.latent, p.width, p.depth, p.norm, p.fine).to(device)
        self.discriminator = Judges(shape, p.width, p.depth, p.fine).to(device)
        if p.regulariser == SPECTRAL:
            losses.spectral(self.discriminator)
        for net in (self.generator, self.discriminator):  # a sixth faster on a processor
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stub lacks it alone
        self.average = Average(self.generator)
        self.watch = ModeWatch(shape, len(self.source.label_names)).to(device)
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), p.rate)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), p.rate)
        self.knob_changed("rate")

    def knob_changed(self, name: str) -> None:
        for optimizer, faster in ((self.generator_optimizer, 1.0), (self.discriminator_optimizer, self.p.ttur)):
            for group in optimizer.param_groups:
                group["lr"] = self.p.rate * faster
                group["betas"] = (self.p.beta1, self.p.beta2)

    # ---- the game ----

    def draw(self, size: int) -> Tensor:
        """Fresh fakes (size, C, H, W) in -1..1, to be trained through."""
        out: Tensor = self.generator(torch.randn(size, self.p.latent, device=self.device))
        return out

    def penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the discriminator pays for its slope, a scalar; 0 without such a regulariser."""
        if self.p.regulariser == R1:
            x = real.detach().requires_grad_()
            return self.p.gamma / 2 * losses.r1(self.discriminator(x), x).mean()
        if self.p.regulariser == PENALTY:
            return self.p.gamma * losses.gradient_penalty(self.discriminator, real, fake).mean()
        return torch.zeros((), device=self.device)

    def discriminator_step(self, real: Tensor, fake: Tensor, lazy: int) -> dict[str, Tensor]:
        """One step of the discriminator on pictures in -1..1; ``lazy`` is how strongly the penalty counts, 0: not."""
        on_real, on_fake = self.discriminator(real), self.discriminator(fake.detach())
        loss = losses.d_loss(self.p.loss, on_real, on_fake)
        said = {"d_loss": loss, "d_real": on_real.mean(), "d_fake": on_fake.mean()}
        if lazy:
            penalty = self.penalty(real, fake)
            loss = loss + lazy * penalty
            self.discriminator.paid.copy_(penalty.detach())
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.discriminator_optimizer.step()
        return {name: value.detach() for name, value in said.items()} | {"penalty": self.discriminator.paid.clone()}

    def generator_step(self, fake: Tensor) -> dict[str, Tensor]:
        """One step of the generator along the discriminator's slope at ``fake``, which it has just drawn."""
        loss = losses.g_loss(self.p.loss, self.discriminator(fake))
        self.generator_optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=list(self.generator.parameters()))  # the slope goes through D, and stops at its weights
        size = losses.grad_norm(self.generator.parameters())
        self.generator_optimizer.step()
        self.average.update(self.generator, self.p.decay)
        return {"g_loss": loss.detach(), "g_grad": size}

    def remember(self, n: int) -> None:
        """Lets the batch statistics that are kept for drawing reach as far back as the average of the weights does, or
        they would be those of other weights: on Fashion-MNIST the Frechet distance was a tenth larger."""
        for layer in self.generator.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 1 - min(self.p.decay, (1 + n) / (10 + n))

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        n = int(self.average.steps)
        lazy = 0 if n % self.p.every else self.p.every
        self.remember(n)
        real = batch.x
        for k in range(self.p.critics):
            if k:  # the engine gives one batch for a step; the others are drawn here
                pick = torch.randint(len(self.source.train), (len(batch.x),)).to(self.device)
                real = self.source.train[pick].float().div_(255)
            fake = self.draw(len(real))
            said = self.discriminator_step(real * 2 - 1, fake, lazy)
        said |= self.generator_step(fake)
        self.watch.learn(batch.x, batch.y)
        if n % LOOK_EVERY == 0:
            said |= self.watch.look((fake.detach() + 1) / 2)
            warning = self.watch.warning(self.source.label_names)
            if warning:
                self.mark(warning)
        return said

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        return {"d_real": self.discriminator(batch.x * 2 - 1)}

    # ---- what the probes ask ----

    def draw_codes(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randn(count, self.p.latent, generator=generator)

    @property
    def painter(self) -> Draws:
        """The average of the generator, which is what is shown."""
        assert isinstance(self.average.net, Draws)
        return self.average.net

    def decode_w(self, w: Tensor) -> Tensor:
        out: Tensor = (self.painter(w) + 1) / 2
        return out

    def perceived(self, x: Tensor) -> Tensor:
        """What the discriminator sees in pictures of 0..1, before it judges."""
        seen: Tensor = self.discriminator.body(x * 2 - 1)
        return seen

    def first_weights(self) -> Tensor:
        return self.painter.first.weight

    def inner_layer(self) -> nn.Module:
        return self.painter.start
