"""The probes of a generator whose code is set number by number: sliders, samples, traversal. Knows no encoder."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from engine.nn.generator.common import PORTION, PSI, Keeping
from engine.nn.generator.generator import weights_state
from engine.nn.pictures import pictures
from engine.payloads import ImageGrid
from engine.probes import Hint, Latent, Number, Seed, Steps, probe

HINT_CODES = 1000
"""Codes from which mean and spread are read where there is no encoder."""
LOOKS, LOOK_CODES = 4, 32
"""How often, and at how many codes, the influence of the code's numbers is looked at."""


class SliderProbes(Keeping):
    """Further needs the knob ``p.latent``, how many numbers the code z has."""

    def _z(self, z: tuple[float, ...]) -> Tensor:
        return torch.tensor([z], dtype=torch.float32, device=self.device)

    def hints(self) -> dict[str, Hint]:
        """Of codes as they are drawn; the activity of a number is how much of the picture it moves."""
        state = weights_state(self)
        kept: dict[str, Hint] | None = self.recall("hints", ())
        if kept is None:
            z = self.draw_codes(HINT_CODES, torch.Generator().manual_seed(0)).to(self.device)
            spread = z.std(0, correction=0).clamp(min=1e-3)
            activity = self.influence(z[:LOOK_CODES]) * spread.square()
            order = torch.argsort(activity, descending=True, stable=True)
            hint = Hint(
                order=tuple(order.tolist()),
                spread=tuple(spread.tolist()),
                mean=tuple(z.mean(0).tolist()),
                activity=tuple(activity.tolist()),
                activity_name="‖σ ∂x/∂z‖²",
            )
            kept = self.keep("hints", (), state, {"z": hint})
        return kept

    def influence(self, z: Tensor) -> Tensor:
        """How much each number of the code moves the picture: ||dx/dz_i||^2, mean over the codes (N, d), as (d,).

        By Hutchinson's estimate: for random signs u, E (J^T u)_i^2 is the squared length of column i of J. One
        backward pass for all numbers; the signs are always the same, so that the order does not flicker.
        """
        signs = torch.Generator().manual_seed(1)
        total = torch.zeros(z.shape[1], device=z.device)
        for _ in range(LOOKS):
            with torch.enable_grad():
                at = z.detach().requires_grad_()
                x = self.decode_w(self.to_w(at))
                u = torch.randint(0, 2, x.shape, generator=signs).to(x) * 2 - 1
                (pulled,) = torch.autograd.grad((x * u).sum(), at)
            total += pulled.square().mean(0)
        return (total / LOOKS).nan_to_num(0.0, 0.0, 0.0)

    # ---- probes ----

    @probe(
        ImageGrid,
        title="Latent sliders",
        refresh=0.1,
        z=Latent("latent", text="The code z that is decoded; the most active dimensions come first."),
    )
    def decode(self, z: tuple[float, ...]) -> ImageGrid:
        """The picture that is made of the code z set by the sliders."""
        return ImageGrid(pictures(self.decode_w(self.to_w(self._z(z)))))

    @probe(
        ImageGrid,
        title="Samples",
        refresh=0.5,
        count=Number(25, 1, 2000, text="How many pictures are drawn."),
        seed=Seed(text="The seed of the first code, the next has the next: the same codes while the model learns."),
        psi=PSI,
    )
    def samples(self, count: int, seed: int, psi: float) -> Iterator[float | ImageGrid]:
        """New pictures of random codes, numbered by their seeds, by which other probes can be told of them."""
        made = []
        for first in range(0, count, PORTION):
            if first:
                yield first / count
            seeds = range(seed + first, seed + min(first + PORTION, count))
            w = self.truncated(self.to_w(self.seeded(*seeds)), psi)
            made.append(pictures(self.decode_w(w)))
        yield ImageGrid(np.concatenate(made), captions=tuple(f"seed {seed + i}" for i in range(count)))

    @probe(
        ImageGrid,
        title="Traversal",
        refresh=1.0,
        z=Latent("latent", text="The code around which each dimension is moved."),
        dimensions=Number(8, 1, 32, text="How many of the most active dimensions are shown."),
        steps=Steps(11, 3, 31, text="How many pictures a row has."),
        reach=Number(3.0, 0.5, 6.0, text="How far each dimension is moved, in its own standard deviations."),
    )
    def traversal(self, z: tuple[float, ...], dimensions: int, steps: int, reach: float) -> ImageGrid:
        """Each row moves one dimension of the code by so many of its standard deviations; the others stay put."""
        hint = self.hints()["z"]
        order = hint.order[: min(dimensions, len(z))]
        span = torch.linspace(-reach, reach, steps)
        grid = self._z(z).repeat(len(order) * steps, 1)
        for row, d in enumerate(order):
            values = hint.mean[d] + span * hint.spread[d]
            grid[row * steps : (row + 1) * steps, d] = values.to(grid)
        return ImageGrid(
            self.shown(self.to_w(grid)),
            columns=steps,
            rows=tuple(f"z{d + 1}" for d in order),
            heads=tuple(f"{v:+.1f}" if abs(v) > 0.05 else "0" for v in span.tolist()),
        )
