"""A small style-based GAN, after StyleGAN2. Knows nothing of how it is trained, saved or shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.data.tensors import Batch, ImageTensors
from engine.nn.adversarial import losses
from engine.nn.adversarial.probes import AdversarialProbes
from engine.nn.adversarial.style import GROUPS, NAMES, Discriminator, Noise, StyleGenerator, upsampled
from engine.nn.adversarial.watch import ModeWatch
from engine.nn.average import Average
from engine.nn.generator.common import PORTION
from engine.nn.generator.gathered import GeneratorProbes
from engine.nn.pictures import pictures
from engine.params import knob
from engine.payloads import ImageGrid
from engine.probes import Choice, Number, Seed, probe
from engine.study import Images, Study, Term

BETAS = (0.0, 0.99)
"""Adam's memories, as in the paper: none of the gradient, since a game turns round."""
LOOK_EVERY = 8
"""Steps between two looks of the watch."""

SEED = Seed(text="The seed of the code, as the samples are numbered.")
PSI = Number(1.0, 0.0, 2.0, label="ψ", text="Truncation: below 1 codes are drawn towards the mean w.")


class StyleGAN(GeneratorProbes, AdversarialProbes, Study):
    """Learns to draw by a game, with a generator made to be steered: noise is first mapped to a code w, and w sets the
    style of every layer, from the coarse ones, which decide what it is, to the fine ones, which decide its surface;
    noise of their own gives the layers what is random in a picture."""

    title, family = "StyleGAN", "Adversarial"
    paper = "Karras et al. 2020, arXiv:1912.04958; mapping, mixing, truncation: Karras et al. 2019, arXiv:1812.04948"
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
            "What keeps the discriminator's slope at real pictures small: R1, measured at every k-th step.",
        ),
        Term(
            r"\qquad\mathcal{L}_G=-\,\mathbb{E}_{z}\left[\log D(G(z))\right]",
            "g_loss",
            "orange",
            "What the generator minimises: small where its pictures pass for real.",
        ),
    ]
    try_this = (
        "Open Style mixing and take coarse, middle, then fine layers from the column's code: shape, parts, surface.",
        "Pull ψ in Truncation towards 0: every code becomes the one mean picture, the most typical of all.",
        "Set growth to 500 and train afresh: it learns 7 pixels first, then each finer resolution fades in.",
    )

    first_probes = ("samples", "style_mixing", "truncation", "noise", "activations", "seed_plane")

    @dataclass
    class Params:
        loss: str = knob(
            "non-saturating", "What both players minimise; the paper's is the non-saturating one.",
            choices=losses.LOSSES, live=True,
        )  # fmt: skip
        latent: int = knob(
            64, "How many numbers the codes z and w have; changing it builds new networks.", lo=2, hi=256, symbol="d_z"
        )
        depth: int = knob(4, "Layers of the mapping from z to w.", lo=1, hi=8, symbol=r"n_f")
        width: int = knob(
            16, "Channels of both networks at the finest resolution; up to four times as many below.",
            lo=4, hi=64, symbol="c",
        )  # fmt: skip
        growth: int = knob(
            0, "Steps that each resolution learns before the next finer one fades in; 0: all from the start.",
            lo=0, hi=20_000,
        )  # fmt: skip
        mixing: float = knob(
            0.5, "Share of the pictures that are drawn from two codes, with another from a random layer on.",
            lo=0.0, hi=1.0, live=True,
        )  # fmt: skip
        gamma: float = knob(
            0.05, "Weight of R1, the penalty on the discriminator's slope at real pictures.",
            lo=0.0, hi=100.0, symbol=r"\gamma", live=True,
        )  # fmt: skip
        every: int = knob(
            16, "At each how many steps R1 is computed, so many times as strong: lazy regularisation.",
            lo=1, hi=64, symbol="k", live=True,
        )  # fmt: skip
        batch: int = knob(
            32, "How many real and how many drawn pictures one step looks at.", lo=4, hi=256, symbol="B", live=True
        )
        rate: float = knob(
            3e-3, "Step size of Adam for both networks, whose weights all have size 1; the mapping's is a hundredth.",
            lo=1e-5, hi=1e-1, log=True, symbol=r"\eta", live=True,
        )  # fmt: skip
        decay: float = knob(
            0.998, "Memory of the running average of the generator, which is what the pictures come from.",
            lo=0.0, hi=0.9999, symbol=r"\mu", live=True,
        )  # fmt: skip

    p: Params
    source: ImageTensors
    generator: StyleGenerator
    discriminator: Discriminator
    tiny = dict(latent=4, depth=2, width=4, batch=8, every=1)

    def build(self, device: torch.device) -> None:
        p, shape = self.p, self.source.shape
        self.generator = StyleGenerator(shape, p.latent, p.depth, p.width).to(device)
        self.discriminator = Discriminator(shape, p.width, grows=p.growth > 0).to(device)
        self.average = Average(self.generator)
        self.watch = ModeWatch(shape, len(self.source.label_names)).to(device)
        self.generator_weights = list(self.generator.parameters())
        self.discriminator_weights = list(self.discriminator.parameters())
        self.generator_optimizer = torch.optim.Adam(self.generator_weights, p.rate, BETAS)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator_weights, p.rate, BETAS)

    def knob_changed(self, name: str) -> None:
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = self.p.rate

    # ---- the resolution now ----

    def stage(self) -> tuple[int, float]:
        """The finest resolution that is drawn at the present step, and how far it is faded in, 0..1: each has so many
        steps as the knob ``growth`` says, half of them to fade in."""
        finest = len(self.generator.synthesis.sizes) - 1
        if not self.p.growth:
            return finest, 1.0
        level, rest = divmod(int(self.average.steps), self.p.growth)
        if level > finest or level == 0:
            return min(level, finest), 1.0
        return level, min(1.0, rest / max(1, self.p.growth // 2))

    def real(self, x: Tensor, level: int, fade: float) -> Tensor:
        """Real pictures (B, C, H, W) in 0..1 as the discriminator sees them: in -1..1, at the resolution of ``level``,
        and while that fades in without the detail that is not yet there."""
        sizes = self.generator.synthesis.sizes
        for _ in range(len(sizes) - 1 - level):
            x = F.avg_pool2d(x, 2)
        if fade < 1:
            x = torch.lerp(upsampled(F.avg_pool2d(x, 2), sizes[level]), x, fade)
        return x * 2 - 1

    # ---- the game ----

    def draw(self, size: int, level: int, fade: float) -> Tensor:
        """Fresh fakes in -1..1, with noise and mixed styles, to be trained through."""
        z, other = torch.randn(2 * size, self.p.latent, device=self.device).chunk(2)
        w = self.generator.crossed(z, other, self.p.mixing)
        self.generator.mapping.remember(w[:, 0].detach())
        synthesis = self.generator.synthesis
        fake: Tensor = synthesis(w, synthesis.drawn(size), level, fade)
        return fake

    def score(self, x: Tensor) -> Tensor:
        """Pictures (B, C, h, w) in -1..1 -> logits (B,); those of full size are brought to the present resolution."""
        level, fade = self.stage()
        if list(x.shape[2:]) != list(self.generator.synthesis.sizes[level]):
            x = self.real((x + 1) / 2, level, fade)
        out: Tensor = self.discriminator(x, level, fade)
        return out

    def fakes(self, z: Tensor) -> Tensor:
        net = self.generator
        fake: Tensor = net.synthesis(net.everywhere(net.mapping(z)), net.synthesis.fixed(), *self.stage())
        return fake

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        n, (level, fade) = int(self.average.steps), self.stage()
        if self.p.growth and level and n == level * self.p.growth:
            self.mark("{} x {} pixels fade in".format(*self.generator.synthesis.sizes[level]))
        lazy = n % self.p.every == 0
        real = self.real(batch.x, level, fade).requires_grad_(lazy)
        fake = self.draw(len(real), level, fade)
        # The discriminator's step. Gradients are asked for one player's weights only: the other's would be for nothing.
        on_real, on_fake = self.score(real), self.score(fake.detach())
        d_loss = losses.d_loss(self.p.loss, on_real, on_fake)
        said = {"d_loss": d_loss, "d_real": on_real.mean(), "d_fake": on_fake.mean()}
        if lazy:
            said["penalty"] = self.p.gamma / 2 * losses.r1(on_real, real).mean()
            d_loss = d_loss + self.p.every * said["penalty"]
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(d_loss, inputs=self.discriminator_weights)
        self.discriminator_optimizer.step()
        # The generator's, with the same pictures, along the slope of what the discriminator is now.
        said["g_loss"] = losses.g_loss(self.p.loss, self.score(fake))
        self.generator_optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(said["g_loss"], inputs=self.generator_weights)
        said["g_grad"] = losses.grad_norm(self.generator_weights)
        self.generator_optimizer.step()
        self.average.update(self.generator, self.p.decay)
        self.watch.learn(batch.x, batch.y)
        if n % LOOK_EVERY == 0:
            said |= self.watch.look((upsampled(fake.detach(), batch.x.shape[2:]) + 1) / 2)
            if warning := self.watch.warning(self.source.label_names):
                self.mark(warning)
        return {name: value.detach() for name, value in said.items()}

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        return {"d_real": self.score(self.real(batch.x, *self.stage()))}

    # ---- what the probes ask ----

    @property
    def spaces(self) -> tuple[str, ...]:
        return ("z", "w")

    @property
    def net(self) -> StyleGenerator:
        """The averaged generator, which all pictures that are shown come from."""
        net = self.average.net
        assert isinstance(net, StyleGenerator)
        return net

    def draw_codes(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randn(count, self.p.latent, generator=generator)

    def to_w(self, z: Tensor) -> Tensor:
        w: Tensor = self.net.mapping(z)
        return w

    def mean_w(self) -> Tensor:
        return self.net.mapping.mean

    def decode_w(self, w: Tensor) -> Tensor:
        return self.drawn(self.net.everywhere(w), self.net.synthesis.fixed())

    def drawn(self, w: Tensor, noise: Noise) -> Tensor:
        """Pictures (B, C, H, W) in 0..1 of a w for every layer (B, layers, d), by the averaged generator."""
        picture = self.net.synthesis(w, noise, *self.stage())
        return (upsampled(picture, self.source.shape[1:]) + 1) / 2

    @property
    def layers(self) -> int:
        return len(self.net.synthesis.layers)

    def decode_layers(self, w: Tensor) -> Tensor:
        return self.drawn(w, self.net.synthesis.fixed())

    def first_weights(self) -> Tensor:
        return torch.cat([layer.style.matrix() for layer in self.net.synthesis.styled()])

    def inner_layer(self) -> nn.Module:
        return self.net.synthesis.layers[0]

    def chosen(self, layers: str) -> Tensor:
        """Which layers a choice of :data:`GROUPS` names, (layers,) of bool: by their resolution where there are three
        at least, else by their place."""
        synthesis = self.net.synthesis
        count, levels = len(synthesis.layers), len(synthesis.sizes)
        thirds = [3 * synthesis.level(i) // levels if levels > 2 else 3 * i // count for i in range(count)]
        return torch.tensor([NAMES[third] in GROUPS[layers] for third in thirds], device=self.device)

    def called(self, chosen: Tensor) -> str:
        """The chosen layers by number and resolution: "layers 3, 4 (14 px)"."""
        numbers = [i for i, there in enumerate(chosen.tolist()) if there]
        if not numbers:
            return "no layer"
        synthesis = self.net.synthesis
        sides = sorted({synthesis.sizes[synthesis.level(i)][0] for i in numbers})
        word = "layer" if len(numbers) == 1 else "layers"
        return f"{word} {', '.join(str(i + 1) for i in numbers)} ({', '.join(map(str, sides))} px)"

    @probe(
        ImageGrid,
        title="Truncation",
        refresh=1.0,
        seed=Seed(text="The seed of the first column's code, the next has the next."),
        count=Number(8, 1, 24, text="How many codes are shown, a column for each."),
        steps=Number(6, 2, 16, text="How many rows there are from the mean w to the code itself."),
        beyond=Number(
            1.0, 0.5, 2.0, label="largest ψ", text="The ψ of the last row: above 1 codes lie beyond their own place."
        ),
    )
    def truncation(self, seed: int, count: int, steps: int, beyond: float) -> ImageGrid:
        """Each row draws the codes nearer to their middle, w̄ + ψ (w − w̄): at ψ = 0 all are the mean picture, at 1 as
        they were drawn. Fewer surprises, fewer failures, less variety."""
        steps = min(steps, 4) if self.dragging else steps
        w = self.to_w(self.seeded(*range(seed, seed + count)))
        rows = torch.linspace(0.0, beyond, steps).tolist()
        return ImageGrid(
            self.shown(torch.cat([self.truncated(w, psi) for psi in rows])),
            columns=count,
            rows=tuple(f"ψ {psi:.2f}" for psi in rows),
            heads=tuple(f"seed {seed + i}" for i in range(count)),
        )

    @probe(
        ImageGrid,
        title="Style mixing",
        refresh=1.0,
        layers=Choice(
            tuple(GROUPS), text="The layers that take their style from the column's code; the others keep the row's."
        ),
        rows=Seed(1, text="The seed of the first row's code, the next has the next."),
        columns=Seed(101, text="The seed of the first column's code, the next has the next."),
        count=Number(5, 1, 12, text="How many codes there are on each side."),
        psi=PSI,
    )
    def style_mixing(self, layers: str, rows: int, columns: int, count: int, psi: float) -> ImageGrid:
        """Crosses codes: each picture has the column's style in the chosen layers and its row's in all others. The
        first column and the first row are the codes by themselves."""
        net, chosen = self.net, self.chosen(layers)
        count = min(count, 4) if self.dragging else count
        own, others = (self.truncated(self.to_w(self.seeded(*range(s, s + count))), psi) for s in (rows, columns))
        table = [torch.cat([self.mean_w()[None], others])]  # the corner is the mean picture
        crossed = [net.everywhere(table[0])]
        for w in own:
            mixed = torch.where(chosen[:, None], others[:, None], w[None, None])
            crossed += [net.everywhere(w[None]), mixed]
        noise = net.synthesis.fixed()
        return ImageGrid(
            np.concatenate([pictures(self.drawn(part, noise)) for part in torch.cat(crossed).split(PORTION)]),
            columns=count + 1,
            rows=("column's own", *(f"seed {rows + i}" for i in range(count))),
            heads=("own", *(f"{columns + i}" for i in range(count))),
            caption=f"The column's seed gives {self.called(chosen)}, the row's all others.",
        )

    @probe(
        ImageGrid,
        title="Noise",
        refresh=1.0,
        seed=SEED,
        layers=Choice(
            ("all", *(name for name in GROUPS if name != "all")), text="The layers that get noise; the others get none."
        ),
        noise=Seed(1, text="The seed of the first noise, the next has the next."),
        count=Number(7, 2, 40, text="How often the noise is drawn anew."),
        psi=PSI,
    )
    def noise(self, seed: int, layers: str, noise: int, count: int, psi: float) -> ImageGrid:
        """The same code with noise drawn anew: what changes is chance to the model. First the picture without noise,
        and how much each pixel differs from draw to draw: its standard deviation, the largest shown white."""
        net, chosen = self.net, self.chosen(layers)
        w = net.everywhere(self.truncated(self.to_w(self.seeded(seed)), psi))
        silent = self.drawn(w, [None] * len(chosen))
        planes = [net.synthesis.drawn(1, torch.Generator().manual_seed(noise + i)) for i in range(count)]
        kept = [torch.cat([draw[at] for draw in planes]) if there else None for at, there in enumerate(chosen.tolist())]
        drawn = self.drawn(w.expand(count, -1, -1), kept)
        spread = drawn.std(0, correction=0)
        largest = float(spread.max())
        strengths = ", ".join(f"{float(layer.strength):+.2f}" for layer in net.synthesis.styled())
        return ImageGrid(
            pictures(torch.cat([silent, spread[None] / max(largest, 1e-3), drawn])),
            captions=("no noise", f"σ, white {largest:.2g}", *(f"draw {noise + i}" for i in range(count))),
            caption=f"Noise in {self.called(chosen)}; learned strengths {strengths}.",
        )

    @probe(
        ImageGrid,
        title="Activations",
        refresh=1.0,
        seed=SEED,
        layer=Number(
            3, 1, 11, text="Which layer's features are shown, the coarsest being 1; one too high is the last."
        ),
        count=Number(24, 1, 128, text="How many channels are shown, those that vary most over the picture first."),
        psi=PSI,
    )
    def activations(self, seed: int, layer: int, count: int, psi: float) -> ImageGrid:
        """What a layer has made of the code: a picture for every channel, grey where it is 0, brighter above. Coarse
        layers lay out the parts, the fine ones draw edges and surfaces."""
        synthesis = self.net.synthesis
        at = min(layer, synthesis.last_layer(self.stage()[0]) + 1) - 1
        seen: list[Tensor] = []
        watched = synthesis.layers[at].register_forward_hook(lambda *said: seen.append(said[2]))
        try:
            picture = self.decode_w(self.truncated(self.to_w(self.seeded(seed)), psi))
        finally:
            watched.remove()
        maps = seen[0][0]
        order = torch.argsort(maps.flatten(1).var(1, correction=0), descending=True, stable=True)[:count]
        shown = maps[order, None] / (2 * maps[order].abs().amax((1, 2)).clamp(min=1e-6)[:, None, None, None]) + 0.5
        shown = F.interpolate(shown, self.source.shape[1:], mode="nearest").expand(-1, picture.shape[1], -1, -1)
        h, w = synthesis.sizes[synthesis.level(at)]
        return ImageGrid(
            pictures(torch.cat([picture, shown])),
            captions=("G(z)", *(f"{i + 1}" for i in order.tolist())),
            caption=f"Layer {at + 1} of {len(synthesis.layers)}: {len(maps)} channels of {h} × {w} numbers.",
        )
