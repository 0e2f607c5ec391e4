"""Pictures into pictures: pix2pix, CycleGAN and BicycleGAN. Knows nothing of how it is trained, saved or shown."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.data.pairs import KINDS, Pairs
from engine.data.tensors import Batch, ImageTensors
from engine.nn.adversarial.losses import d_loss, g_loss
from engine.nn.adversarial.translation.networks import PATCHES, PatchGAN, Translator, frozen
from engine.nn.adversarial.translation.probes import TranslationProbes
from engine.nn.average import Average
from engine.nn.coding.coder import Encoder
from engine.nn.gaussian import kl_to_standard_normal
from engine.params import knob
from engine.study import Images, Study, Term

BETAS = (0.5, 0.99)
"""Of Adam: with less memory of earlier gradients, as usual where the other side moves."""
DECAY = 0.995
"""Of the running average of the translators, which is what the probes look at."""


class Translation(TranslationProbes, Study):
    """Draws one kind of picture from another, a drawing of an emoji from its lines for instance, while a second
    network judges every patch of what comes out: with pairs (pix2pix), without any (CycleGAN: there and back again
    must be the same picture), or with noise that chooses among the many right answers (BicycleGAN)."""

    title, family = "Image translation", "Adversarial"
    paper = "Isola et al. 2017, arXiv:1611.07004; Zhu et al. 2017, arXiv:1703.10593 and 1711.11586"
    data = Images(default="emoji")
    left = r"\min_{G,E}\max_D\;"
    objective = [
        Term(
            r"\mathcal{L}_{\mathrm{GAN}}(G, D)",
            "g_loss",
            "blue",
            "How far the judge is from taking the patches of what is drawn for real.",
        ),
        Term(
            r"+\;\lambda_1\,\mathbb{E}\left\|B - G(A)\right\|_1",
            "l1",
            "orange",
            "The mean difference of a pixel from the right answer; CycleGAN measures it but is not told.",
        ),
        Term(
            r"+\;\lambda_c\,\mathbb{E}\left\|F(G(A)) - A\right\|_1",
            "cycle",
            "green",
            "CycleGAN: what is lost on the way there and back, from both sides; 0 in the other methods.",
        ),
        Term(
            r"+\;\lambda_{\mathrm{KL}}\,D_{\mathrm{KL}}\left(E(B)\,\|\,\mathcal{N}(0, I)\right)",
            "kl",
            "purple",
            "BicycleGAN: what the noise found in a real picture costs; 0 in the other methods.",
        ),
        Term(
            r"+\;\lambda_z\,\mathbb{E}\left\|E(G(A, z)) - z\right\|_1",
            "latent",
            "red",
            "BicycleGAN: how badly the noise can be read off what was drawn with it; 0 in the other methods.",
        ),
    ]
    try_this = (
        "Open the sketch, draw a circle with two dots and an arc, and watch the picture follow the pen.",
        "Set λ₁ to 0 and then to 200: without it the pictures are sharp and wrong, with it alone right and blurred.",
        "Choose CycleGAN and look at B → A → B: the way back is good because faint dots in A carry what lines cannot.",
    )

    first_probes = ("sketch", "translate")

    @dataclass
    class Params:
        method: str = knob(
            "pix2pix",
            "What teaches it: pairs (pix2pix), there and back again without pairs (CycleGAN), or pairs and a noise "
            "that chooses among answers (BicycleGAN).",
            choices=("pix2pix", "CycleGAN", "BicycleGAN"),
        )
        pair: str = knob(
            "edges",
            "What A is: lines where colours change, the outline alone, a coarse or a grey picture, or another class.",
            choices=KINDS,
        )
        direction: str = knob(
            "A to B", "Which way G goes: from the drawing to the picture, or back.", choices=("A to B", "B to A")
        )
        first: int = knob(0, "The class of A where the pair is two classes.", lo=0, hi=9)
        second: int = knob(1, "The class of B where the pair is two classes.", lo=0, hi=9)
        rough: bool = knob(
            True,
            "Lines to learn from are bent, thickened and broken a little, as a hand would draw them (not CycleGAN).",
            live=True,
        )
        loss: str = knob(
            "least squares",
            "What the two networks play for.",
            choices=("least squares", "non-saturating", "hinge"),
            live=True,
        )
        l1: float = knob(
            20.0, "Weight of the difference from the right answer: blurred but right.", lo=0.0, hi=200.0,
            symbol=r"\lambda_1", live=True,
        )  # fmt: skip
        cycle: float = knob(
            10.0, "Weight of coming back to the same picture (CycleGAN).", lo=0.0, hi=100.0,
            symbol=r"\lambda_c", live=True,
        )  # fmt: skip
        identity: float = knob(
            0.0, "Weight of leaving alone what is of the target's kind already (CycleGAN): keeps colours.", lo=0.0,
            hi=50.0, symbol=r"\lambda_i", live=True,
        )  # fmt: skip
        kl: float = knob(
            0.3, "Weight of the noise's cost (BicycleGAN): higher, and random noise is like what E finds.", lo=0.0,
            hi=2.0, symbol=r"\lambda_{\mathrm{KL}}", live=True,
        )  # fmt: skip
        code: float = knob(
            0.2, "Weight of reading the noise off the picture (BicycleGAN): higher, and noise shows more.", lo=0.0,
            hi=20.0, symbol=r"\lambda_z", live=True,
        )  # fmt: skip
        latent: int = knob(4, "How many numbers the noise z has (BicycleGAN).", lo=1, hi=32, symbol="d_z")
        patch: str = knob(
            "16", "Side in pixels of the patches that are judged; 1 judges colours alone.", choices=tuple(PATCHES)
        )
        width: int = knob(32, "Channels at half the picture's resolution; coarser ones have more.", lo=4, hi=128,
                          symbol="c")  # fmt: skip
        batch: int = knob(16, "How many pictures one step looks at.", lo=2, hi=256, symbol="B", live=True)
        rate: float = knob(5e-4, "Step size of Adam, for both sides.", lo=1e-5, hi=1e-2, log=True, symbol=r"\eta",
                           live=True)  # fmt: skip

    p: Params
    source: ImageTensors
    tiny = dict(width=4, batch=16, latent=2)

    def build(self, device: torch.device) -> None:
        p, shape = self.p, self.source.shape
        self.pairs = Pairs(self.source, p.pair, p.direction == "B to A", (p.first, p.second))
        alone = p.method == "CycleGAN"
        grey_a, grey_b = self.pairs.grey  # else CycleGAN would hide the colours of B in those of lines
        self.translator = Translator(shape, p.width, p.latent if p.method == "BicycleGAN" else 0, grey_b).to(device)
        # With pairs the judge sees A beside B, without them B alone.
        self.judge = PatchGAN(shape[0] * (1 if alone else 2), p.width, p.patch).to(device)
        self.average = Average(self.translator)
        drawing: list[nn.Module] = [self.translator]
        judging: list[nn.Module] = [self.judge]
        self.encoder = self.back = self.back_judge = self.back_average = None
        if p.method == "BicycleGAN":
            self.encoder = Encoder(shape, p.width, 4 * p.width, 2 * p.latent).to(device)
            drawing.append(self.encoder)
        if alone:
            self.back = Translator(shape, p.width, grey=grey_a).to(device)
            self.back_judge = PatchGAN(shape[0], p.width, p.patch).to(device)
            self.back_average = Average(self.back)
            drawing.append(self.back)
            judging.append(self.back_judge)
        self.optimizer = torch.optim.Adam([w for part in drawing for w in part.parameters()], p.rate, BETAS)
        self.judge_optimizer = torch.optim.Adam([w for part in judging for w in part.parameters()], p.rate, BETAS)

    def knob_changed(self, name: str) -> None:
        if name == "rate":
            for optimizer in (self.optimizer, self.judge_optimizer):
                for group in optimizer.param_groups:
                    group["lr"] = self.p.rate

    # ---- the game ----

    def play(self, judge: PatchGAN, real: Tensor, fake: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What judge and translator minimise, scalars over the verdicts on all patches. ``beside`` is what the judge is
        shown with the pictures (B, C, H, W). Neither loss moves the weights of the other side."""

        def scores(x: Tensor) -> Tensor:
            logits: Tensor = judge(x if beside is None else torch.cat([beside, x], 1))
            return logits.flatten()

        with frozen(judge):
            fooled = g_loss(self.p.loss, scores(fake))
        return d_loss(self.p.loss, scores(real), scores(fake.detach())), fooled

    # ---- training ----

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        step = {"pix2pix": self.pix2pix, "BicycleGAN": self.bicycle, "CycleGAN": self.there_and_back}[self.p.method]
        judging, drawing, metrics = step(batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.judge_optimizer.zero_grad(set_to_none=True)
        (drawing + judging).backward()  # once for both: neither reaches the other's weights
        self.optimizer.step()
        self.judge_optimizer.step()
        self.average.update(self.translator, DECAY)
        if self.back is not None and self.back_average is not None:
            self.back_average.update(self.back, DECAY)
        names = ("g_loss", "l1", "cycle", "identity", "kl", "latent")
        none = judging.new_zeros(())
        return {"d_loss": judging.detach()} | {name: metrics.get(name, none).detach() for name in names}

    def pix2pix(self, batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """What the judge and the translator minimise, and the terms. Isola et al. 2017."""
        a, b = self.pairs.paired(batch.x, self.p.rough)
        fake = self.translator(a)
        judging, fooled = self.play(self.judge, b, fake, beside=a)
        l1 = (fake - b).abs().mean()
        return judging, fooled + self.p.l1 * l1, dict(g_loss=fooled, l1=l1)

    def bicycle(self, batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """One half of the batch is drawn with the noise that the encoder finds in the right answer and must become
        it; the other with random noise, which the encoder must find again. Zhu et al. 2017b."""
        assert self.encoder is not None
        a, b = self.pairs.paired(batch.x, self.p.rough)
        half = (len(a) + 1) // 2
        mean, log_variance = self.encoder(b[:half]).chunk(2, 1)
        found = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        drawn = torch.randn(len(a) - half, self.p.latent, device=a.device)
        fake = self.translator(a, torch.cat([found, drawn]))
        judging, fooled = self.play(self.judge, b, fake, beside=a)
        l1 = (fake[:half] - b[:half]).abs().mean()
        kl = kl_to_standard_normal(mean, log_variance).sum(1).mean()
        with frozen(self.encoder):  # else it would help the translator to hide the noise
            latent = (self.encoder(fake[half:]).chunk(2, 1)[0] - drawn).abs().mean()
        total = fooled + self.p.l1 * l1 + self.p.kl * kl + self.p.code * latent
        return judging, total, dict(g_loss=fooled, l1=l1, kl=kl, latent=latent)

    def there_and_back(self, batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Two translators, each judged by how real its pictures look, must undo each other. Zhu et al. 2017."""
        assert self.back is not None
        assert self.back_judge is not None
        a, b = self.pairs.unpaired(len(batch.x))
        fake_b, fake_a = self.translator(a), self.back(b)
        judging_b, fooled_b = self.play(self.judge, b, fake_b)
        judging_a, fooled_a = self.play(self.back_judge, a, fake_a)
        cycle = cycle_error(a, self.back(fake_b)) + cycle_error(b, self.translator(fake_a))
        total = fooled_b + fooled_a + self.p.cycle * cycle
        metrics = dict(g_loss=fooled_b + fooled_a, cycle=cycle)
        if self.p.identity:
            metrics["identity"] = cycle_error(b, self.translator(b)) + cycle_error(a, self.back(a))
            total = total + self.p.identity * metrics["identity"]
        return judging_a + judging_b, total, metrics

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        figures = {}
        a, b = self.pairs.pair(batch.x)
        if self.pairs.known:
            figures["l1"] = (self.to_b(a) - b).abs().flatten(1).mean(1)
        return figures


def cycle_error(x: Tensor, again: Tensor) -> Tensor:
    """Mean absolute difference of a pixel, a scalar."""
    return (x - again).abs().mean()
