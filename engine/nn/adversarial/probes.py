"""What a game of generator and discriminator can be asked: scores, gradients, classes. Knows no loss and no network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from engine.nn.adversarial import losses
from engine.nn.adversarial.watch import COVERED, ModeWatch
from engine.nn.generator.generator import Generator
from engine.nn.pictures import array
from engine.payloads import Bars, Curves
from engine.probes import Choice, Number, Seed, probe

BINS = 24
GRADIENT_BATCH = 64


class AdversarialProbes(Generator):
    """Further needs ``generator`` (codes z -> pictures in -1..1), ``discriminator`` (those -> logits (B,)), ``watch``
    and the knob ``loss``, one of ``losses.LOSSES``."""

    generator: nn.Module
    discriminator: nn.Module
    watch: ModeWatch

    def fakes(self, z: Tensor) -> Tensor:
        """Codes z (B, d) -> pictures in -1..1, by the generator that is being trained."""
        out: Tensor = self.generator(z)
        return out

    def score(self, x: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in -1..1 -> the discriminator's logits (B,)."""
        out: Tensor = self.discriminator(x)
        return out

    @probe(
        Curves,
        title="Scores",
        refresh=1.0,
        count=Number(500, 50, 2000, text="How many pictures of each kind are scored."),
        seed=Seed(text="Chooses the pictures, and the codes of the fakes."),
    )
    def scores(self, count: int, seed: int) -> Curves:
        """How the discriminator's logits are spread over training pictures, held-out ones and fakes. Where training
        pictures score above held-out ones, it knows them by heart; where the fakes score alike, it cannot tell."""
        generator = torch.Generator().manual_seed(seed)
        count = min(count, 200) if self.dragging else count
        logits = {}
        for name, part in (("training", self.source.train), ("held out", self.source.held_out)):
            pick = torch.randperm(len(part), generator=generator)[:count].to(self.device)
            logits[name] = self.score(part[pick].float().div_(255) * 2 - 1)
        z = self.draw_codes(count, generator).to(self.device)
        logits["fake"] = self.score(self.fakes(z))
        together = torch.cat(list(logits.values()))
        lo, hi = float(together.min()), float(together.max())
        margin = max(0.05 * (hi - lo), 1e-3)
        edges = np.linspace(lo - margin, hi + margin, BINS + 1)
        return Curves(
            ((edges[1:] + edges[:-1]) / 2).astype(np.float32),
            {name: shares(array(each), edges) for name, each in logits.items()},
            x_name="logit of D",
            y_name="density",
            caption="Means: " + ", ".join(f"{name} {float(each.mean()):+.2f}" for name, each in logits.items()),
        )

    @probe(
        Bars,
        title="Gradients",
        refresh=1.0,
        of=Choice(("generator", "discriminator"), text="Whose gradients are shown."),
        size=Choice(
            ("of the gradient", "gradient / weights"),
            text="The length of each layer's gradient, or its share of the length of the layer's weights.",
        ),
        seed=Seed(text="Chooses the codes and the real pictures that the loss is taken over."),
    )
    def gradients(self, of: str, size: str, seed: int) -> Bars:
        """How strongly each layer is pulled now: a discriminator that is sure of itself leaves the generator's layers
        no slope, one without a regulariser an ever steeper one."""
        generator = torch.Generator().manual_seed(seed)
        z = self.draw_codes(GRADIENT_BATCH, generator).to(self.device)
        pick = torch.randperm(len(self.source.train), generator=generator)[:GRADIENT_BATCH].to(self.device)
        net = self.generator if of == "generator" else self.discriminator
        layers = [m for m in net.modules() if isinstance(w := getattr(m, "weight", None), Tensor) and w.dim() > 1]
        weights = [next(p for p in layer.parameters() if p.dim() > 1) for layer in layers]
        with torch.enable_grad():
            on_fake = self.score(self.fakes(z))
            if of == "generator":
                loss = losses.g_loss(self.p.loss, on_fake)
            else:
                on_real = self.score(self.source.train[pick].float().div_(255) * 2 - 1)
                loss = losses.d_loss(self.p.loss, on_real, on_fake)
            slopes = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
        norms = torch.stack([slope.norm() for slope in slopes])
        if size == "gradient / weights":
            norms = norms / torch.stack([p.norm().clamp(min=1e-12) for p in weights])
        return Bars(
            array(norms),
            names=tuple(called(layer) for layer in layers),
            value_name="‖∇‖ / ‖w‖" if "/" in size else "‖∇‖",
            caption=f"The layers' channels, from what goes in to what comes out; together {float(norms.norm()):.3g}",
        )

    @probe(
        Bars,
        title="Classes",
        refresh=2.0,
        count=Number(500, 50, 2000, text="How many fresh pictures are drawn and sorted."),
        shown=Choice(
            ("share", "share / real share"),
            text="Per cent of the fakes, or how many times the class's share of the data.",
        ),
        seed=Seed(text="The seed of the codes."),
    )
    def modes(self, count: int, shown: str, seed: int) -> Bars:
        """Which classes the generator draws, as a small classifier sees it: one without a bar is a mode that is lost.
        Nearest real: how far a fake is from the nearest known picture, against how far another real one usually is."""
        names, watch = self.source.label_names or ("all",), self.watch
        if not watch.ready:
            caption = "The classifier that sorts the pictures still learns: train some hundred steps."
            return Bars(np.zeros(len(names), np.float32), names=names, caption=caption)
        generator = torch.Generator().manual_seed(seed)
        z = self.draw_codes(min(count, 100) if self.dragging else count, generator).to(self.device)
        fake = self.decode_w(self.to_w(z))
        share = torch.bincount(watch.classified(fake), minlength=len(names)) / len(fake)
        there = watch.real > 0
        covered = int((there & (share >= COVERED * watch.real)).sum())
        near = float(watch.nearest(fake).mean())
        caption = f"{covered} of {int(there.sum())} classes, largest {share.max():.0%}, nearest real {near:.2f} × usual"
        if shown == "share":
            return Bars(array(100 * share), names=names, value_name="share, %", caption=caption)
        ratio = share / watch.real.clamp(min=1e-3)
        return Bars(array(ratio), names=names, value_name="share / real share", caption=caption)


def shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The density of the values between the edges, float32."""
    return np.histogram(values, edges, density=True)[0].astype(np.float32)


def called(layer: nn.Module) -> str:
    """How many numbers or channels go into a layer and come out."""
    if isinstance(layer, nn.ConvTranspose2d):
        return f"{layer.in_channels}→{layer.out_channels}"
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return f"{weight.shape[1]}→{weight.shape[0]}"
