"""A model that turns noise into pictures step by step, as a generator: its code is the noise that it starts from.

The steps are few and without fresh noise, so that the same code is always the same picture, within the time that a hand
waits. Knows no study.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from engine.nn.diffusion.denoising_real import DenoisingReal
from engine.nn.diffusion.noising import StraightLine
from engine.nn.diffusion.samplers import DDIM, Heun, Sampler, inverting, sampling
from engine.nn.generator.attributes import AttributeProbes
from engine.nn.generator.common import PSI
from engine.nn.generator.directions import ALONG, AROUND, COUNT, FAR, OF_ACTIVATIONS, OF_W
from engine.nn.generator.steering import ARC, STRAIGHT, SteeringProbes
from engine.payloads import Frames, SeedPlane, Strips
from engine.probes import NO_CLASS, Choice, Seed, Toggle, probe
from engine.steering import KeyFrame, KeyFrames, Spot

METHOD_TEXT = f"In between: {ARC}, or {STRAIGHT}, whose middle is noise too weak to be any."
ENCODING_STEPS = (12, 6)
"""From a picture to its noise: at rest, and while a hand drags."""


class NoiseProbes(AttributeProbes, SteeringProbes, DenoisingReal):
    """What a study of denoising mixes in to be steered as well; no class is named on the way. Noise has as many numbers
    as a picture and no first matrix: there are no sliders, and no factorisation."""

    tile_sides = (4, 2)
    activation_draws = (1000, 200)
    encoded_items = (300, 60)
    encoded_at_once = 16

    @property
    def _walk(self) -> tuple[type[Sampler], int]:
        """How noise becomes a picture: Heun's method where paths are almost straight, else DDIM; fewer steps while a
        hand drags."""
        if isinstance(self.noising, StraightLine):
            return Heun, 3 if self.dragging else 5
        return DDIM, 5 if self.dragging else 10

    def draw_codes(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randn(count, *self.space, generator=generator).flatten(1)

    def decode_w(self, w: Tensor) -> Tensor:
        start = w.view(-1, *self.space)
        y = self.classes_of(NO_CLASS, len(start))
        tool, steps = self._walk
        look = lambda x, t: self.look(x, t, y, 0.0, "EMA")  # noqa: E731
        nothing = lambda: torch.zeros_like(start)  # noqa: E731
        *_, end = sampling(tool(self.noising), start, self.noising.times(steps), look, nothing)
        return self.decoded(end.x)

    def encode_w(self, x: Tensor) -> Tensor:
        start = self.from_images(x)
        y = self.classes_of(NO_CLASS, len(x))
        times = self.noising.times(ENCODING_STEPS[self.dragging])[::-1]
        look = lambda x, t: self.look(x, t, y, 0.0, "EMA")  # noqa: E731
        *_, end = inverting(self.noising, start, times, look)
        return end.x.flatten(1)

    def inner_layer(self) -> nn.Module:
        """Where the network is narrowest, or half way through it."""
        net = self.average.net
        blocks = getattr(net, "blocks", None)
        inner = blocks[len(blocks) // 2] if isinstance(blocks, nn.ModuleList) else net.middle2
        assert isinstance(inner, nn.Module)
        return inner

    # ---- the probes that are asked otherwise of noise: along arcs first, and without a factorisation ----

    @probe(
        SeedPlane,
        title="Seed plane",
        refresh=5.0,
        spot=Spot(text="The place in the plane whose picture is shown: drag it."),
        top_left=Seed(1, label="top left", text="The seed of the noise in the top left corner."),
        top_right=Seed(2, label="top right", text="The seed of the noise in the top right corner."),
        bottom_left=Seed(3, label="bottom left", text="The seed of the noise in the bottom left corner."),
        bottom_right=Seed(4, label="bottom right", text="The seed of the noise in the bottom right corner."),
        method=Choice(("slerp", "bilinear"), text=METHOD_TEXT),
        psi=PSI,
    )
    def seed_plane(
        self,
        spot: tuple[float, float],
        top_left: int,
        top_right: int,
        bottom_left: int,
        bottom_right: int,
        method: str,
        psi: float,
    ) -> SeedPlane:
        """A plane of noise between four seeds: wherever the spot is dragged, what is drawn of the noise there is shown,
        made in a few steps."""
        return super().seed_plane(spot, top_left, top_right, bottom_left, bottom_right, method, psi)

    @probe(
        Frames,
        title="Path",
        keys=KeyFrames(text="The noise that the film passes, by seed: in how many steps each next one is reached."),
        method=Choice(("slerp", "lerp"), text=METHOD_TEXT),
        loop=Toggle(False, text="Whether the film goes on from the last key frame back to the first."),
        psi=PSI,
    )
    def path(self, keys: tuple[KeyFrame, ...], method: str, loop: bool, psi: float) -> Iterator[Frames]:
        """A film through the noise of some seeds, one after the other, each moment of it denoised in a few steps."""
        return super().path(keys, method, loop, psi)

    @probe(
        Strips,
        title="Directions",
        method=Choice(
            (OF_ACTIVATIONS, OF_W),
            text="Where most varies: the network's narrowest layer at the first step (GANSpace), or the noise itself.",
        ),
        count=COUNT,
        steps=ALONG,
        reach=FAR,
        seed=AROUND,
    )
    def directions(self, method: str, count: int, steps: int, reach: float, seed: int) -> Iterator[float | Strips]:
        """Directions in the noise that the network has found by itself, a row for each."""
        return super().directions(method, count, steps, reach, seed)
