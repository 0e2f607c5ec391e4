"""Pairs of pictures made from any set of pictures: a drawing of each, or pictures of two classes. Knows no network.

A drawing has the shape of its picture (B, C, H, W), in 0..1, so that a network that goes one way fits the other.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.data.tensors import ImageTensors

FAINT, CLEAR = 0.05, 0.15
"""Slopes of brightness per pixel below which there is no line, and from which there is a black one."""
FAINTEST, FAINTEST_ROUGH = 0.02, 0.22
"""What a roughened drawing takes for :data:`FAINT`, at least and at most: a hand leaves out what is faint."""
APART = 0.12
"""How far a pixel of the object is from the colour of the picture's border."""
DETAIL = 8
"""Side of a picture of low detail, in pixels."""
WOBBLE = 0.7
"""Standard deviation in pixels of how far a line of a roughened drawing strays."""


def edges(x: Tensor, faint: Tensor | float = FAINT) -> Tensor:
    """Black lines on white where the colours change, (B, C, H, W): Sobel's slopes of the channel that changes most,
    thinned to their ridges across the line as Canny 1986 does. White up to a slope of ``faint``, a number or (B,),
    black from a tenth more on."""
    step = x.new_tensor([[1.0, 2, 1], [0, 0, 0], [-1, -2, -1]]) / 8
    kernel = torch.stack([step.T, step])[:, None]
    b, c, h, w = x.shape
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate").reshape(b * c, 1, h + 2, w + 2)
    slopes = F.conv2d(padded, kernel).view(b, c, 2, h, w)
    size, channel = slopes.square().sum(2).max(1)
    size = size.sqrt()
    dx, dy = slopes.gather(1, channel[:, None, None].expand(b, 1, 2, h, w))[:, 0].unbind(1)
    ridge = torch.zeros_like(size, dtype=torch.bool)
    around = F.pad(size, (1, 1, 1, 1))
    # Across the line: to the right, downwards, and along the two diagonals; on a tie the first one is the ridge.
    steep = dy.abs() / dx.abs().clamp(min=1e-9)
    same = dx * dy >= 0
    ways = {
        (0, 1): steep < 0.4142,
        (1, 0): steep > 2.4142,
        (1, 1): (steep >= 0.4142) & (steep <= 2.4142) & same,
        (1, -1): (steep >= 0.4142) & (steep <= 2.4142) & ~same,
    }
    for (down, right), here in ways.items():
        after = around[:, 1 + down : 1 + down + h, 1 + right : 1 + right + w]
        before = around[:, 1 - down : 1 - down + h, 1 - right : 1 - right + w]
        ridge |= here & (size > before + 1e-6) & (size >= after - 1e-6)
    low = torch.as_tensor(faint, dtype=x.dtype, device=x.device).view(-1, 1, 1)
    dark = ((size - low) / (CLEAR - FAINT)).clamp(0, 1) * ridge
    return (1 - dark)[:, None].repeat(1, c, 1, 1)


def outline(x: Tensor, faint: Tensor | float = FAINT) -> Tensor:
    """The edge of what differs from the colour of the picture's border, black on white, (B, C, H, W)."""
    frame = torch.cat([x[:, :, 0], x[:, :, -1], x[:, :, :, 0], x[:, :, :, -1]], 2)
    ground = frame.median(2).values[:, :, None, None]
    thing = ((x - ground).abs().amax(1, keepdim=True) / APART - 0.5).clamp(0, 1)
    # Holes are part of the thing: what the outside cannot reach by going through what is not thing.
    outside = torch.zeros_like(thing)
    free = 1 - thing
    padded = F.pad(outside, (1, 1, 1, 1), value=1.0)
    for _ in range(x.shape[2] + x.shape[3]):
        reached = torch.minimum(F.max_pool2d(padded, 3, 1, 1), F.pad(free, (1, 1, 1, 1), value=1.0))
        if torch.equal(reached, padded):
            break
        padded = reached
    return edges((1 - padded[:, :, 1:-1, 1:-1]).repeat(1, x.shape[1], 1, 1), faint)


def low_detail(x: Tensor, faint: Tensor | float = FAINT) -> Tensor:
    """The picture through a square of :data:`DETAIL` x :data:`DETAIL` pixels at most, (B, C, H, W)."""
    h, w = x.shape[2:]
    small = F.adaptive_avg_pool2d(x, (min(DETAIL, max(1, h // 2)), min(DETAIL, max(1, w // 2))))
    return F.interpolate(small, size=(h, w))


def grey(x: Tensor, faint: Tensor | float = FAINT) -> Tensor:
    """The picture's brightness in every channel, (B, C, H, W); weights of Rec. 601."""
    if x.shape[1] == 1:
        return x
    weights = x.new_tensor([0.299, 0.587, 0.114])[:, None, None]
    return (x * weights).sum(1, keepdim=True).repeat(1, 3, 1, 1)


DRAWINGS: dict[str, Callable[..., Tensor]] = {
    "edges": edges,
    "outline": outline,
    "low detail": low_detail,
    "grey": grey,
}
LINES = ("edges", "outline")
CLASSES = "two classes"
KINDS = (*DRAWINGS, CLASSES)


def roughened(lines: Tensor) -> Tensor:
    """Lines as a hand might have drawn them, (B, C, H, W): they stray a little, are thicker or softer, with gaps.
    Random numbers come from torch's global generator."""
    b, _, h, w = lines.shape
    device = lines.device

    def each() -> Tensor:
        return torch.rand(b, 1, 1, 1, device=device)

    strays = torch.randn(b, 2, 4, 4, device=device) * each() * WOBBLE
    field = F.interpolate(strays, size=(h, w), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    still = torch.eye(2, 3, device=device).expand(b, 2, 3)
    places = F.affine_grid(still, [b, 1, h, w], align_corners=False)
    places = places + field * torch.tensor([2 / w, 2 / h], device=device)
    ink = F.grid_sample(1 - lines[:, :1], places, padding_mode="border", align_corners=False)
    ink = torch.lerp(ink, F.max_pool2d(ink, 3, 1, 1), 0.8 * each() * (each() < 0.5))
    ink = torch.lerp(ink, F.avg_pool2d(ink, 3, 1, 1), 0.4 * each())
    cells = torch.rand(b, 1, max(1, h // 4), max(1, w // 4), device=device) < 0.2 * each() * each()
    kept = 1 - F.interpolate(cells.float(), size=(h, w))
    return (1 - ink * kept).clamp(0, 1).expand_as(lines)


class Pairs:
    """What is translated into what. ``turned``: from the picture to its drawing, or from the second class to the
    first; ``classes`` are the numbers of the two classes (one that is not there is the last one)."""

    def __init__(
        self, source: ImageTensors, kind: str, turned: bool = False, classes: tuple[int, int] = (0, 1)
    ) -> None:
        self.source, self.kind, self.turned = source, kind, turned
        self.classes = (classes[1], classes[0]) if turned else classes
        generator = torch.Generator().manual_seed(source.seed)
        order = torch.randperm(len(source.train), generator=generator).to(source.device)
        half = (len(order) + 1) // 2
        self._halves = order[:half], order[half:] if len(order) > 1 else order
        if kind == CLASSES:
            self._halves = self._members(source.train_labels, 0), self._members(source.train_labels, 1)

    @property
    def known(self) -> bool:
        """Whether the right answer to each A is known."""
        return self.kind != CLASSES

    @property
    def drawable(self) -> bool:
        """Whether A is a drawing made of lines."""
        return self.kind in LINES and not self.turned

    @property
    def grey(self) -> tuple[bool, bool]:
        """Whether A and B have no colours."""
        drawn = self.kind in ("edges", "outline", "grey")
        return (drawn and not self.turned, drawn and self.turned)

    def _members(self, labels: Tensor, side: int) -> Tensor:
        last = int(self.source.train_labels.max())
        members = (labels == min(self.classes[side], last)).nonzero()[:, 0]
        return members if len(members) else torch.arange(len(labels), device=labels.device)

    def drawing(self, x: Tensor, faint: Tensor | float = FAINT) -> Tensor:
        """What is drawn of pictures (B, C, H, W); the pictures themselves where there are two classes."""
        return DRAWINGS[self.kind](x, faint) if self.kind != CLASSES else x

    def pair(self, x: Tensor, faint: Tensor | float = FAINT) -> tuple[Tensor, Tensor]:
        """A and B (B, C, H, W) of pictures, in the same order; with two classes the picture is both."""
        drawing = self.drawing(x, faint)
        return (x, drawing) if self.turned else (drawing, x)

    def paired(self, x: Tensor, rough: bool = False) -> tuple[Tensor, Tensor]:
        """A and B to learn from, mirrored at random, the lines of A ``rough``. Two classes have no pairs: then they
        are two random pictures. Random numbers come from torch's global generator."""
        if self.kind == CLASSES:
            return self.unpaired(len(x))
        x = mirrored(x)
        if not (rough and self.drawable):
            return self.pair(x)
        faint = FAINTEST + (FAINTEST_ROUGH - FAINTEST) * torch.rand(len(x), device=x.device).square()
        a, b = self.pair(x, faint)
        return roughened(a), b

    def unpaired(self, count: int) -> tuple[Tensor, Tensor]:
        """``count`` random A and as many random B, mirrored at random. No picture is used on both sides: those of A
        come from one half of the training set, those of B from the other."""
        sides = []
        for side, half in enumerate(self._halves):
            pick = half[torch.randint(len(half), (count,), device=half.device)]
            sides.append(self.pair(mirrored(self.source.train[pick].float().div_(255)))[side])
        return sides[0], sides[1]

    def held_out(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """``count`` held-out A with their B, or with others where none is known, chosen by ``seed``."""
        sides = []
        for side in (0, 1):
            labels = self.source.held_out_labels
            among = (
                self._members(labels, side) if self.kind == CLASSES else torch.arange(len(labels), device=labels.device)
            )
            order = torch.randperm(len(among), generator=torch.Generator().manual_seed(seed)).to(among.device)
            pick = among[order[torch.arange(count, device=among.device) % len(order)]]
            sides.append(self.pair(self.source.held_out[pick].float().div_(255))[side])
        return sides[0], sides[1]


def mirrored(x: Tensor) -> Tensor:
    """Every other picture, at random, as a mirror shows it."""
    flip = torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5
    return torch.where(flip, x.flip(3), x)
