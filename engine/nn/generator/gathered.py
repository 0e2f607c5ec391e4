"""All probes that a generator can be asked, for a study to mix in at once. Knows no network."""

from __future__ import annotations

from engine.nn.generator.attributes import AttributeProbes
from engine.nn.generator.inversion import InversionProbes
from engine.nn.generator.sliders import SliderProbes
from engine.nn.generator.steering import SteeringProbes


class GeneratorProbes(InversionProbes, AttributeProbes, SteeringProbes, SliderProbes):
    """Needs ``draw_codes``, ``decode_w`` and the knob ``latent``; see :class:`engine.nn.generator.generator.Generator`
    for what else can be said. The last of the bases come first on screen."""
