"""The probes of image translation: rows of A and B, there and back, a sketch, many answers, what the judge believes.

A mixin; knows a translator by its pictures, no loss and no study.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.data.pairs import Pairs
from engine.data.tensors import ImageTensors
from engine.nn.adversarial.translation.networks import PatchGAN
from engine.nn.average import Average
from engine.nn.gaussian import slerp
from engine.nn.pictures import pictures
from engine.payloads import ImageGrid
from engine.probes import Item, Number, Seed, probe
from engine.sketch import Sketch, raster

REAL, FAKE = (0.20, 0.45, 0.95), (0.95, 0.55, 0.10)
"""What a patch is tinted with that is held real or made: blue and orange, which every eye tells apart."""
TINT = 0.85
SURE = 0.4
"""A logit that is this far from the boundary has the full tint."""
COUNT = Number(10, 2, 40, text="How many held-out pictures are shown.")
SEED = Seed(text="Chooses which held-out pictures are shown, and the noise where there is any.")
ITEM = Item("held_out:0", text="The picture that is taken: pick a thumbnail or drop an image file.")


class TranslationProbes:
    """Needs of the study ``pairs``, ``average``, ``judge`` and, for CycleGAN, ``back_average``."""

    p: Any
    source: ImageTensors
    device: torch.device
    dragging: bool
    pairs: Pairs
    average: Average
    back_average: Average | None
    judge: PatchGAN

    # ---- shared ----

    @property
    def noisy(self) -> bool:
        """Whether the translator takes noise."""
        return bool(self.p.method == "BicycleGAN")

    def noise(self, count: int, seed: int) -> Tensor | None:
        """Noise (count, d) drawn with a seed; None where there is none."""
        if not self.noisy:
            return None
        return torch.randn(count, self.p.latent, generator=torch.Generator().manual_seed(seed)).to(self.device)

    def to_b(self, a: Tensor, z: Tensor | None = None) -> Tensor:
        """G(A, z), (B, C, H, W) in 0..1, with the averaged weights; without noise its most likely value, 0."""
        if self.noisy and z is None:
            z = torch.zeros(len(a), self.p.latent, device=a.device)
        made: Tensor = self.average.net(a, z)
        return made

    def to_a(self, b: Tensor) -> Tensor | None:
        """The way back: CycleGAN's second translator, else the rule that pairs are made by, None if there is none."""
        if self.back_average is not None:
            made: Tensor = self.back_average.net(b)
            return made
        return self.pairs.drawing(b) if self.pairs.known and not self.pairs.turned else None

    # ---- probes ----

    @probe(ImageGrid, title="Translate", refresh=0.5, count=COUNT, seed=SEED)
    def translate(self, count: int, seed: int) -> ImageGrid:
        """Held-out pictures of A, what is drawn from them, and the right answers."""
        a, b = self.pairs.held_out(count, seed)
        made = self.to_b(a, self.noise(count, seed))
        known = self.pairs.known
        error = (made - b).abs().flatten(1).mean(1)
        return ImageGrid(
            pictures(torch.cat([a, made, b])),
            columns=count,
            rows=("A", "G(A)", "B" if known else "some B"),
            caption=f"L1 to the right answer: {float(error.mean()):.3f} on average, {float(error.min()):.3f} to "
            f"{float(error.max()):.3f}"
            if known
            else "Two classes have no right answers: B are other pictures",
        )

    @probe(
        ImageGrid,
        title="Sketch",
        refresh=0.5,
        sketch=Sketch(item="item", text="What you draw is A: drag to draw, with the right button to erase."),
        item=Item("held_out:0", text="A picture whose lines can be traced into the sketch."),
        seed=Seed(text="Chooses the noise, where there is any."),
    )
    def sketch(self, sketch: str, item: str, seed: int) -> ImageGrid:
        """Your own drawing as A, what is drawn from it while your hand moves, and the picture that can be traced."""
        c, h, w = self.source.shape
        a = torch.from_numpy(1 - raster(sketch, h, w)).to(self.device).expand(1, c, h, w)
        rows = {"A": a, "G(A)": self.to_b(a, self.noise(1, seed)), "to trace": self.source.item(item)}
        return ImageGrid(
            pictures(torch.cat(list(rows.values()))),
            captions=tuple(rows),
            caption="" if self.pairs.drawable else "It learned no lines: choose edges or outline as the pair, A to B",
        )

    @probe(
        ImageGrid,
        title="There and back",
        refresh=1.0,
        a=Item("held_out:0", text="The picture that gives A: pick a thumbnail or drop an image file."),
        b=Item("held_out:1", text="The picture that gives B: pick a thumbnail or drop an image file."),
    )
    def cycle(self, a: str, b: str) -> ImageGrid:
        """From A to B and back to A; from B to A and back to B. With pairs the way to A is the rule that made them."""
        start, end = self.pairs.pair(self.source.item(a))[0], self.pairs.pair(self.source.item(b))[1]
        made, drawn = self.to_b(start), self.to_a(end)
        again = self.to_a(made)
        if again is None or drawn is None:
            return ImageGrid(
                pictures(torch.cat([start, made])),
                columns=2,
                heads=("A", "G(A)"),
                caption="Nothing leads back from B to A here: CycleGAN learns both ways",
            )
        back = self.to_b(drawn)
        there = pictures(torch.cat([start, made, again, end, drawn, back]))
        return ImageGrid(
            there,
            columns=3,
            rows=("A → B → A", "B → A → B"),
            captions=("A", "G(A)", "F(G(A))", "B", "F(B)", "G(F(B))"),
            caption="Mean difference of a pixel after both ways: "
            f"{_l1(start, again):.3f} of A, {_l1(end, back):.3f} of B",
        )

    @probe(
        ImageGrid,
        title="Many answers",
        refresh=1.0,
        item=ITEM,
        count=Number(8, 2, 16, text="How many answers are shown in a row."),
        seed=Seed(text="Chooses the noises."),
    )
    def many(self, item: str, count: int, seed: int) -> ImageGrid:
        """One A with many noises: above, each its own; below, along an arc from the first noise to the second."""
        a = self.pairs.pair(self.source.item(item))[0]
        z = self.noise(count, seed)
        if z is None:
            return ImageGrid(
                pictures(torch.cat([a, self.to_b(a)])),
                columns=2,
                heads=("A", "G(A)"),
                caption=f"{self.p.method} has no noise, so there is one answer: choose BicycleGAN",
            )
        arc = torch.stack([slerp(z[0], z[1], i / (count - 1)) for i in range(count)])
        own = self.to_b(a.expand(count, -1, -1, -1), z)
        between = self.to_b(a.expand(count, -1, -1, -1), arc)
        apart = float((own[:, None] - own[None]).abs().flatten(2).mean(2).sum() / (count * (count - 1)))
        return ImageGrid(
            pictures(torch.cat([a, own, a, between])),
            columns=count + 1,
            rows=("each its own z", "from the first z to the second"),
            heads=("A", *(f"z{i + 1}" for i in range(count))),
            caption=f"Mean difference of two answers: {apart:.3f}; 0 would mean that the noise is not heard",
        )

    @probe(
        ImageGrid,
        title="What the judge believes",
        refresh=1.0,
        item=ITEM,
        seed=Seed(text="Chooses the noise, where there is any."),
    )
    def patch_scores(self, item: str, seed: int) -> ImageGrid:
        """A real B and the drawn one, tinted by the judge's verdict on the patch about each place: blue where it is
        held real, orange where it is held made."""
        a, b = self.pairs.pair(self.source.item(item))
        both = torch.cat([b, self.to_b(a, self.noise(1, seed))])
        beside = torch.cat([a, a])
        logits = self.judge(both if self.p.method == "CycleGAN" else torch.cat([beside, both], 1))
        middle = 0.5 if self.p.loss == "least squares" else 0.0  # its targets are 0 and 1
        belief = (logits - middle).clamp(-SURE, SURE) / SURE
        right = (logits > middle).float().mean((1, 2, 3))
        tinted = _tinted(both, F.interpolate(belief, size=both.shape[2:], mode="bilinear"))
        plain = both if both.shape[1] == 3 else both.expand(-1, 3, -1, -1)
        return ImageGrid(
            np.concatenate([pictures(plain), pictures(tinted)]),
            columns=2,
            rows=("picture", "verdict"),
            heads=("real B", "G(A)"),
            caption=f"Held real: {float(right[0]):.0%} of the real picture's patches, {float(right[1]):.0%} of the "
            f"drawn one's; {logits.shape[2]} × {logits.shape[3]} patches of {self.p.patch} px",
        )

    @probe(
        ImageGrid,
        title="Samples",
        refresh=0.5,
        count=Number(25, 1, 400, text="How many pictures are drawn."),
        seed=SEED,
    )
    def samples(self, count: int, seed: int) -> ImageGrid:
        """What is drawn from held-out A taken at random, each with its own noise where there is any."""
        a, _ = self.pairs.held_out(count, seed)
        return ImageGrid(pictures(self.to_b(a, self.noise(count, seed))), columns=math.ceil(math.sqrt(count)))


def _l1(x: Tensor, y: Tensor) -> float:
    return float((x - y).abs().mean())


def _tinted(x: Tensor, belief: Tensor) -> Tensor:
    """Pictures (B, C, H, W) as grey ones, tinted by belief (B, 1, H, W) in -1..1: (B, 3, H, W)."""
    tint = torch.where(belief > 0, x.new_tensor(REAL)[:, None, None], x.new_tensor(FAKE)[:, None, None])
    faint = 0.6 + 0.4 * x.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    return torch.lerp(faint, tint * faint, TINT * belief.abs()).clamp(0, 1)
