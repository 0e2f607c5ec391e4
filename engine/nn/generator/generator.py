"""What a generator is: codes come in, pictures come out. The contract of all probes that steer one; knows no probe.

Two spaces of codes: z, which is drawn, and w, in which is steered. Most models have one space only: w is z then. A
model with a mapping (StyleGAN) has both; a flow's z is the noise that it starts from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from engine.data.tensors import ImageTensors
from engine.params import BadValue


class Generator:
    """A study mixes this in, by way of the probes that it wants, and says how codes become pictures.

    It must give :meth:`draw_codes` and :meth:`decode_w`; the rest has answers of its own.
    """

    p: Any
    source: ImageTensors
    device: torch.device
    dragging: bool
    _coded: tuple[int, dict[str, Tensor]] | None = None
    """Codes of items that were asked for, and the state of the weights then."""

    # ---- what a study says ----

    def draw_codes(self, count: int, generator: torch.Generator) -> Tensor:
        """``count`` codes z (count, d) to make new pictures from, drawn on the processor."""
        raise NotImplementedError

    def decode_w(self, w: Tensor) -> Tensor:
        """(B, d_w) -> pictures (B, C, H, W) in 0..1, which can be differentiated after w. Deterministic: noise that
        belongs to the model rather than to the code is fixed, or left out."""
        raise NotImplementedError

    def to_w(self, z: Tensor) -> Tensor:
        """(B, d) -> (B, d_w): the code in the space in which is steered."""
        return z

    @property
    def spaces(self) -> tuple[str, ...]:
        """What the spaces are called; the last one is where is steered: ``("z",)`` or ``("z", "w")``."""
        return ("z",)

    def mean_w(self) -> Tensor:
        """(d_w,) the middle of all w, towards which truncation pulls."""
        generator = torch.Generator().manual_seed(0)
        return torch.zeros_like(self.to_w(self.draw_codes(1, generator).to(self.device))[0])

    def encode_w(self, x: Tensor) -> Tensor | None:
        """Pictures (B, C, H, W) in 0..1 -> (B, d_w); None where the model has no encoder."""
        return None

    def first_weights(self) -> Tensor | None:
        """The matrix (rows, d_w) that first touches w, rows of all layers stacked where there are several, for the
        closed-form factorisation; None where w meets no linear map."""
        return None

    def inner_layer(self) -> nn.Module | None:
        """The module whose output is the first features of a picture, for principal components of activations."""
        return None

    # ---- what follows ----

    def seeded(self, *seeds: int) -> Tensor:
        """The codes z (len(seeds), d) of seeds, each drawn by itself: the same seed is the same code everywhere."""
        codes = [self.draw_codes(1, torch.Generator().manual_seed(seed)) for seed in seeds]
        return torch.cat(codes).to(self.device)

    def truncated(self, w: Tensor, psi: float) -> Tensor:
        """``w`` drawn towards the middle: mean + psi (w - mean). Karras et al. 2019."""
        return w if psi == 1.0 else torch.lerp(self.mean_w().to(w), w, psi)

    def search_w(self, x: Tensor) -> Iterator[float | Tensor]:
        """Looks for the code (1, d_w) of a picture (1, C, H, W) where there is no encoder: numbers in 0..1 say how far
        it is, the code comes last. BadValue where this model cannot be searched."""
        raise BadValue("this model has no encoder: pick a seed instead of an image")

    def w_of(self, reference: str) -> Iterator[float | Tensor]:
        """The code (1, d_w) of an item (``held_out:3``, ``file:...``) or of a seed (``seed:5``); numbers in 0..1 on
        the way, the code last. What was found stays until the weights change, while a hand drags even longer."""
        kind, _, rest = reference.partition(":")
        if kind == "seed":
            yield self.to_w(self.seeded(int(rest)))
            return
        state = weights_state(self)
        if self._coded is None or not (self.dragging or self._coded[0] == state):
            self._coded = (state, {})
        kept = self._coded[1]
        if reference not in kept:
            x = self.source.item(reference)
            w = self.encode_w(x)
            for part in (w,) if w is not None else self.search_w(x):
                if isinstance(part, float):
                    yield part
                else:
                    kept[reference] = part.detach()
        yield kept[reference]


def weights_state(study: object) -> int:
    """A number that rises whenever a weight of ``study`` is written to: torch counts that for each tensor."""
    parts = [part for part in vars(study).values() if isinstance(part, nn.Module)]
    return sum(p._version for part in parts for p in part.parameters())
