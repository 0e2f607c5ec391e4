"""The parts of a style-based generator and its discriminator, after StyleGAN2. Knows no loss, no step and no probe.

Karras et al. 2020, arXiv:1912.04958; the mapping and the noise: Karras et al. 2019, arXiv:1812.04948; the growing, the
equalised learning rate and the batch's deviation: Karras et al. 2018, arXiv:1710.10196.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, int, int]
"""(C, H, W)"""
Noise = Sequence[Tensor | None]
"""For each layer a plane (1 or B, 1, h, w) of normal numbers, or None for no noise."""

SLOPE, GAIN = 0.2, math.sqrt(2.0)
"""The rectifier's slope below zero, and what keeps the size of its output that of its input."""
SMALLEST = 4
"""No side is halved below this."""
MOST_TIMES_WIDER = 4
"""The coarsest resolutions have so many times the channels of the finest, at most."""
GROUP = 4
"""Pictures whose deviation from each other the discriminator is told."""
EPS = 1e-8
W_MEMORY = 0.995
"""Memory of the running mean of w, per step."""

GROUPS: dict[str, tuple[str, ...]] = {
    "middle": ("middle",),
    "coarse": ("coarse",),
    "fine": ("fine",),
    "coarse and middle": ("coarse", "middle"),
    "middle and fine": ("middle", "fine"),
    "all": ("coarse", "middle", "fine"),
    "none": (),
}
"""What can be chosen of the layers, by the kinds that they fall into."""
NAMES = ("coarse", "middle", "fine")
"""The kinds of layers, by their resolution."""


def ladder(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """The resolutions (h, w) that a picture is built up through, coarsest first: halves, while both sides are even and
    stay at :data:`SMALLEST` at least. 28 gives 7, 14, 28; 32 gives 4, 8, 16, 32."""
    sizes = [(height, width)]
    while not (height % 2 or width % 2) and min(height, width) // 2 >= SMALLEST:
        height, width = height // 2, width // 2
        sizes.insert(0, (height, width))
    return tuple(sizes)


def channels(levels: int, width: int) -> tuple[int, ...]:
    """The channels of each resolution, coarsest first: ``width`` at the finest, twice as many at each below, capped."""
    return tuple(width * min(2 ** (levels - 1 - level), MOST_TIMES_WIDER) for level in range(levels))


# ---- equalised layers ---------------------------------------------------------------------------------------------


class EqualLinear(nn.Module):
    """(B, inputs) -> (B, outputs). The weights are drawn from N(0, 1) and divided by the square root of ``inputs`` each
    time they are used, so that an optimiser that moves every weight alike moves every layer alike. ``rate`` is how
    much slower the layer learns: its weights are kept that much larger."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def matrix(self) -> Tensor:
        """The matrix (outputs, inputs) that is applied."""
        return self.weight * self.scale

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.matrix(), self.bias * self.rate)


class EqualConv(nn.Module):
    """(B, inputs, h, w) -> (B, outputs, h, w), or half the sides where ``halve``: an odd kernel, equalised weights.

    Halving averages 2 x 2 pixels of what comes out; both are one convolution, with stride 2, of a kernel one wider.
    ``gain`` multiplies all that comes out.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, bias: bool = True, halve: bool = False, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.halve, self.gain = 1 / math.sqrt(inputs * kernel**2), halve, gain

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * (self.scale * self.gain)
        bias = None if self.bias is None else self.bias * self.gain
        if not self.halve:
            return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
        # An odd side loses its last row or column.
        return F.conv2d(x, averaging(weight), bias, stride=2, padding=weight.shape[-1] // 2)


def averaging(weight: Tensor) -> Tensor:
    """The kernel (o, i, k + 1, k + 1) that does what ``weight`` (o, i, k, k) and then averaging 2 x 2 pixels do."""
    places = ((0, 1, 0, 1), (1, 0, 0, 1), (0, 1, 1, 0), (1, 0, 1, 0))
    return torch.stack([F.pad(weight, place) for place in places]).mean(0)


def rectified(x: Tensor) -> Tensor:
    """The leaky rectifier, in place; the gain goes into the layer before, where the tensors are smaller."""
    return F.leaky_relu_(x, SLOPE)


def pixel_norm(z: Tensor) -> Tensor:
    """(B, d) -> the same directions with a mean square of 1."""
    return z * torch.rsqrt(z.square().mean(1, keepdim=True) + EPS)


def upsampled(x: Tensor, size: Sequence[int]) -> Tensor:
    """(B, C, h, w) -> (B, C, *size), bilinear: the blur [1, 3, 3, 1] of pixels set apart, where a side is doubled."""
    size = list(size)
    return x if list(x.shape[2:]) == size else F.interpolate(x, size, mode="bilinear", align_corners=False)


def deviation(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, 1, H, W): how much the pictures of a group of up to :data:`GROUP` differ, the standard
    deviation over the group averaged over everything else; groups take every n-th picture. Karras et al. 2018."""
    size = next(g for g in range(min(GROUP, len(x)), 0, -1) if len(x) % g == 0)
    groups = x.reshape(size, -1, *x.shape[1:])
    # torch's own variance is ten times slower over the first dimension.
    spread = ((groups - groups.mean(0)).square().mean(0) + EPS).sqrt().flatten(1).mean(1)
    return spread.repeat(size)[:, None, None, None].expand(-1, 1, *x.shape[2:])


# ---- the generator ------------------------------------------------------------------------------------------------


class Mapping(nn.Module):
    """z (B, d) -> w (B, d): ``depth`` layers that learn a hundredth as fast as the rest. ``mean`` (d,) is the running
    mean of the w that were seen in training."""

    mean: Tensor

    def __init__(self, size: int, depth: int, rate: float = 0.01) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EqualLinear(size, size, rate=rate) for _ in range(depth))
        self.register_buffer("mean", torch.zeros(size))

    def forward(self, z: Tensor) -> Tensor:
        w = pixel_norm(z)
        for layer in self.layers:
            w = rectified(layer(w)) * GAIN
        return w

    @torch.no_grad()
    def remember(self, w: Tensor) -> None:
        """Takes the w (B, d) of one training step into the mean."""
        self.mean.lerp_(w.mean(0), 1 - W_MEMORY)


class Modulated(nn.Module):
    """A convolution whose weights a style scales: input channel i by style_i, and then, if ``demodulated``, each output
    channel so that its weights have norm 1. (B, inputs, h, w), (B, inputs) -> (B, outputs, h, w), or twice the sides
    where ``double``, through the blur [1, 3, 3, 1].

    The channels of the picture are scaled before and after instead of the weights, which comes to the same: all
    pictures then share one kernel. Equation 3 of Karras et al. 2020.
    """

    blur: Tensor

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, demodulated: bool = True, double: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale, self.demodulated, self.doubles = 1 / math.sqrt(inputs * kernel**2), demodulated, double
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4  # sums to 2 per side: three of four pixels set apart are 0
        kernels = torch.outer(taps, taps).expand(outputs, 1, 4, 4).clone()
        self.register_buffer("blur", kernels, persistent=False)

    def factors(self, style: Tensor) -> Tensor:
        """What demodulation multiplies each output channel by, (B, outputs)."""
        power = (self.weight * self.scale).square().sum((2, 3))
        return torch.rsqrt(style.square() @ power.T + EPS)

    def forward(self, x: Tensor, style: Tensor, shift: Tensor, gain: float = 1.0) -> Tensor:
        """The convolution times ``gain``, plus ``shift``, which can be broadcast to what comes out."""
        x, weight = x * style[:, :, None, None], self.weight * self.scale
        if self.doubles:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            x = F.conv2d(x, self.blur, padding=1, groups=len(weight))
        else:
            x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        if not self.demodulated:
            return gain * x + shift
        return torch.addcmul(shift, x, (gain * self.factors(style))[:, :, None, None])


class StyledLayer(nn.Module):
    """One layer of the generator: a style made of w, a modulated convolution, noise, bias and rectifier.

    ``strength`` says how strong the noise is, 0 at first. ``plane`` is the noise that a picture has when nothing is
    drawn anew.
    """

    plane: Tensor

    def __init__(self, latent: int, inputs: int, outputs: int, size: tuple[int, int], *, double: bool) -> None:
        super().__init__()
        self.size = size
        self.style = EqualLinear(latent, inputs, bias=1.0)
        self.convolution = Modulated(inputs, outputs, 3, double=double)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        self.register_buffer("plane", torch.randn(1, 1, *size))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        bias = GAIN * self.bias
        if noise is None:
            return rectified(self.convolution(x, self.style(w), bias, GAIN))
        # Noise and bias one after the other: their sum would be as large as the picture.
        return rectified(self.convolution(x, self.style(w), GAIN * self.strength * noise, GAIN).add_(bias))


class Synthesis(nn.Module):
    """w for every layer -> pictures: from a learned constant, resolution after resolution, each adding its share to a
    picture that is doubled in between. Layer 0 is the coarsest; every further resolution has two."""

    def __init__(self, shape: Shape, latent: int, width: int) -> None:
        super().__init__()
        self.sizes = ladder(*shape[1:])
        wide = channels(len(self.sizes), width)
        self.constant = nn.Parameter(torch.randn(1, wide[0], *self.sizes[0]))
        self.layers = nn.ModuleList([StyledLayer(latent, wide[0], wide[0], self.sizes[0], double=False)])
        for level in range(1, len(self.sizes)):
            size = self.sizes[level]
            self.layers.append(StyledLayer(latent, wide[level - 1], wide[level], size, double=True))
            self.layers.append(StyledLayer(latent, wide[level], wide[level], size, double=False))
        self.colour_styles = nn.ModuleList(EqualLinear(latent, c, bias=1.0) for c in wide)
        self.colours = nn.ModuleList(Modulated(c, shape[0], 1, demodulated=False) for c in wide)
        self.colour_bias = nn.ParameterList(torch.zeros(1, shape[0], 1, 1) for _ in wide)

    def level(self, layer: int) -> int:
        """The resolution that a layer belongs to, by its place in ``sizes``."""
        return (layer + 1) // 2

    def last_layer(self, level: int) -> int:
        """The last layer of a resolution."""
        return 2 * level

    def fixed(self) -> list[Tensor]:
        """The noise that stays the same."""
        return [layer.plane for layer in self.styled()]

    def drawn(self, count: int, generator: torch.Generator | None = None) -> list[Tensor]:
        """Noise for ``count`` pictures, drawn anew: by torch's global generator, or by one on the processor."""
        device = self.constant.device
        where = device if generator is None else None
        planes = [torch.randn(count, 1, *layer.size, generator=generator, device=where) for layer in self.styled()]
        return [plane.to(device) for plane in planes]

    def styled(self) -> list[StyledLayer]:
        return [layer for layer in self.layers if isinstance(layer, StyledLayer)]

    def forward(self, w: Tensor, noise: Noise, level: int = -1, fade: float = 1.0) -> Tensor:
        """``w`` (B, layers, d) -> (B, C, h, w) in -1..1 at resolution ``level``, whose own share is faded in by
        ``fade`` 0..1."""
        level %= len(self.sizes)
        x = self.constant.expand(len(w), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        picture = torch.zeros((), device=w.device)
        for at, layer in enumerate(self.layers[: self.last_layer(level) + 1]):
            x = layer(x, w[:, at], noise[at])
            here = self.level(at)
            if at == self.last_layer(here):
                share = self.colours[here](x, self.colour_styles[here](w[:, at]), self.colour_bias[here])
                if here == level and fade < 1:
                    share = fade * share
                picture = share if here == 0 else upsampled(picture, self.sizes[here]) + share
        return picture.tanh()


class StyleGenerator(nn.Module):
    """z -> w -> pictures: :class:`Mapping` and :class:`Synthesis`."""

    def __init__(self, shape: Shape, latent: int, depth: int, width: int) -> None:
        super().__init__()
        self.mapping = Mapping(latent, depth)
        self.synthesis = Synthesis(shape, latent, width)

    def everywhere(self, w: Tensor) -> Tensor:
        """(B, d) -> (B, layers, d): the same w for every layer."""
        return w[:, None].expand(-1, len(self.synthesis.layers), -1)

    def crossed(self, z: Tensor, other: Tensor, share: float) -> Tensor:
        """The w for every layer (B, layers, d) of codes z (B, d); a ``share`` of the pictures, drawn at random, has
        those of ``other`` from a random layer on: style mixing, which keeps layers from relying on each other."""
        layers = len(self.synthesis.layers)
        w, w_other = self.mapping(torch.cat([z, other])).chunk(2)
        cut = torch.randint(1, max(layers, 2), (len(z), 1), device=z.device)
        mixed = torch.rand(len(z), 1, device=z.device) < share
        swap = mixed & (torch.arange(layers, device=z.device) >= cut)
        return torch.where(swap[:, :, None], w_other[:, None], w[:, None])


# ---- the discriminator ----------------------------------------------------------------------------------------------


class Block(nn.Module):
    """(B, inputs, h, w) -> (B, outputs, h/2, w/2): two convolutions beside a straight way, their sum over sqrt 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualConv(inputs, inputs, 3, gain=GAIN)
        self.second = EqualConv(inputs, outputs, 3, halve=True, gain=GAIN / math.sqrt(2))
        self.straight = EqualConv(inputs, outputs, 1, bias=False, halve=True, gain=1 / math.sqrt(2))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = rectified(self.second(rectified(self.first(x)))) + self.straight(x)
        return out


class Discriminator(nn.Module):
    """Pictures (B, C, h, w) in -1..1 -> logits (B,). With ``grows`` it has an entrance for every resolution, else for
    the finest only. An entrance takes 2 x 2 pixels at once, so that its features begin a resolution below the
    picture's: that saves a quarter of a step, and after the same time on Fashion-MNIST samples were better."""

    def __init__(self, shape: Shape, width: int, grows: bool) -> None:
        super().__init__()
        self.sizes = ladder(*shape[1:])
        wide = channels(len(self.sizes), width)
        finest = len(wide) - 1
        entrances = range(len(wide)) if grows else [finest]
        self.entrances = nn.ModuleDict({str(i): self.entrance(shape[0], i, wide[self.begins(i)]) for i in entrances})
        self.blocks = nn.ModuleList(Block(wide[i], wide[i - 1]) for i in range(1, self.begins(finest) + 1))
        self.last = EqualConv(wide[0] + 1, wide[0], 3, gain=GAIN)
        self.hidden = EqualLinear(wide[0] * math.prod(self.sizes[0]), wide[0])
        self.score = EqualLinear(wide[0], 1)

    def begins(self, level: int) -> int:
        """The level of the features that pictures of a level become first."""
        return max(level - 1, 0)

    def entrance(self, colours: int, level: int, wide: int) -> EqualConv:
        halve = self.begins(level) < level
        return EqualConv(colours, wide, 3 if halve else 1, halve=halve, gain=GAIN)

    def down(self, h: Tensor, level: int, to: int) -> Tensor:
        """Features of a level -> those of the coarser level ``to``."""
        for at in range(level, to, -1):
            h = self.blocks[at - 1](h)
        return h

    def features(self, x: Tensor, level: int = -1, fade: float = 1.0) -> Tensor:
        """What the score is read off, (B, c)."""
        level %= len(self.sizes)
        at = self.begins(level)
        # Only now, for a grey picture's own layout cannot be told from any other; on a processor all is faster so.
        h = rectified(self.entrances[str(level)](x)).contiguous(memory_format=torch.channels_last)
        if fade < 1:
            before = rectified(self.entrances[str(level - 1)](F.avg_pool2d(x, 2)))
            h, at = torch.lerp(before, self.down(h, at, self.begins(level - 1)), fade), self.begins(level - 1)
        h = self.down(h, at, 0)
        h = rectified(self.last(torch.cat([h, deviation(h)], 1)))
        return rectified(self.hidden(h.flatten(1))) * GAIN

    def forward(self, x: Tensor, level: int = -1, fade: float = 1.0) -> Tensor:
        out: Tensor = self.score(self.features(x, level, fade))[:, 0]
        return out
