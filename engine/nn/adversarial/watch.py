"""Watches what a generator draws: which classes, how evenly, how near to real pictures. Knows no generator and no loss.

Its eye is a small classifier that learns from the real pictures which training sees anyway, a batch a step, until it is
done after a few hundred; from then on its features measure. After the inception score's and FID's idea (Salimans et
al. 2016, Heusel et al. 2017) at a size that costs a training step a few per cent of its time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LESSONS = 400
"""Training steps of the classifier."""
KNOWN = 1024
"""Real pictures whose features are kept."""
RECENT = 1000
"""About how many of the latest fakes the shares speak of."""
FEATURES, WIDTH = 64, 16
RATE, MOMENTUM = 0.02, 0.9
COVERED, LOST = 0.2, 0.1
"""Share of the fakes, in parts of the share that real pictures have, from which on a class counts as covered and below
which as lost; apart, so that a class on the border is not lost again and again."""


class ModeWatch(nn.Module):
    """For pictures ``shape`` (C, H, W) of so many ``classes``; all its state is in buffers and weights."""

    taught: Tensor
    known: Tensor
    filled: Tensor
    usual: Tensor
    real: Tensor
    seen: Tensor
    covered: Tensor
    lost: Tensor

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        c, h, w = shape
        self.classes = max(1, classes)
        self.body = nn.Sequential(
            nn.Conv2d(c, WIDTH, 5, 2, 2), nn.GroupNorm(4, WIDTH), nn.ReLU(),
            nn.Conv2d(WIDTH, 2 * WIDTH, 3, 2, 1), nn.GroupNorm(4, 2 * WIDTH), nn.ReLU(),
            nn.Flatten(), nn.Linear(2 * WIDTH * math.ceil(h / 4) * math.ceil(w / 4), FEATURES), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(FEATURES, self.classes)
        self.requires_grad_(False)  # these weights are not the study's: nobody counts them as learned parameters
        for i, p in enumerate(self.parameters()):
            self.register_buffer(f"speed{i}", torch.zeros_like(p))
        self.register_buffer("taught", torch.zeros((), dtype=torch.long))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))
        self.register_buffer("known", torch.zeros(KNOWN, FEATURES))
        self.register_buffer("usual", torch.zeros(()))
        self.register_buffer("real", torch.zeros(self.classes))
        self.register_buffer("seen", torch.zeros(self.classes))
        self.register_buffer("covered", torch.zeros(self.classes, dtype=torch.bool))
        self.register_buffer("lost", torch.zeros(self.classes, dtype=torch.bool))

    # ---- the eye ----

    @property
    def ready(self) -> bool:
        """Whether it has learned all that it will, and can look."""
        return int(self.filled) == KNOWN

    def learn(self, x: Tensor, y: Tensor) -> None:
        """One step on real pictures (B, C, H, W) in 0..1 of classes (B,), none of which need be a new one: first the
        classifier learns, then features of real pictures are kept; nothing once it is :attr:`ready`."""
        if int(self.taught) < LESSONS:
            self._lesson(x.detach(), y)
        elif not self.ready:
            self._keep(x)

    @torch.enable_grad()
    def _lesson(self, x: Tensor, y: Tensor) -> None:
        weights = list(self.parameters())
        try:
            self.requires_grad_(True)
            slopes = torch.autograd.grad(F.cross_entropy(self.head(self.body(x)), y), weights)
        finally:
            self.requires_grad_(False)
        n = int(self.taught)
        rate = RATE * (1 - n / LESSONS)
        for i, (p, slope) in enumerate(zip(weights, slopes, strict=True)):
            speed = self.get_buffer(f"speed{i}")
            speed.mul_(MOMENTUM).add_(slope)
            p.sub_(speed, alpha=rate)
        self.taught += 1

    @torch.no_grad()
    def _keep(self, x: Tensor) -> None:
        at = int(self.filled)
        features = self.body(x)[: KNOWN - at]
        self.known[at : at + len(features)] = features
        self.real += self._counts(features) / KNOWN
        self.filled += len(features)
        if self.ready:
            apart = distances(self.known, self.known)
            # Of a small data set some pictures are kept twice: none is its own neighbour, nor is a copy.
            others = torch.where(apart > 1e-3 * apart.mean(), apart, torch.inf).min(1).values
            found = torch.isfinite(others)
            self.usual.copy_(others[found].mean() if bool(found.any()) else torch.ones(()))

    @torch.no_grad()
    def classified(self, x: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in 0..1 -> (B,) the class that each looks like most."""
        out: Tensor = self.head(self.body(x)).argmax(1)
        return out

    @torch.no_grad()
    def nearest(self, x: Tensor) -> Tensor:
        """How far each picture is from the nearest real one that is known, (B,), in parts of what is usual between a
        real picture and the nearest other: 0 for a copy, about 1 for a new real picture."""
        return self._apart(self.body(x))

    def _apart(self, features: Tensor) -> Tensor:
        return distances(features, self.known).min(1).values / self.usual.clamp(min=1e-12)

    # ---- the watch ----

    @torch.no_grad()
    def look(self, fake: Tensor) -> dict[str, Tensor]:
        """Takes in fakes (B, C, H, W) in 0..1; scalars: ``classes_covered`` and ``largest_class`` (share) of about the
        last :data:`RECENT` fakes, and ``nearest``, the mean of :meth:`nearest` over these. {} before it is ready."""
        if not self.ready:
            return {}
        features = self.body(fake)
        self.seen.mul_(max(0.0, 1 - len(fake) / RECENT)).add_(self._counts(features))
        share = self.shares()
        self.lost.copy_(self.covered & (share < LOST * self.real))
        # What the classifier finds in no real picture it would find in no fake either.
        self.covered.copy_((self.covered & ~self.lost) | ((share >= COVERED * self.real) & (self.real > 0)))
        return {
            "classes_covered": self.covered.sum().float(),
            "largest_class": self.shares().max(),
            "nearest": self._apart(features).mean(),
        }

    def _counts(self, features: Tensor) -> Tensor:
        """(classes,) how many of the pictures with these features look like each class."""
        return torch.bincount(self.head(features).argmax(1), minlength=self.classes)

    def shares(self) -> Tensor:
        """(classes,) the share that each class has of the recent fakes, as ``real`` is that of the real pictures; zeros
        before the first look."""
        return self.seen / self.seen.sum().clamp(min=1)

    def warning(self, names: Sequence[str] = ()) -> str:
        """One line when classes vanished from the fakes with the last look, '' else; ``names`` of the classes."""
        lost = self.lost.nonzero().flatten().tolist()
        if not lost:
            return ""
        called = ", ".join(names[i] if i < len(names) else f"class {i}" for i in lost)
        return f"mode collapse: {called} lost, {int(self.covered.sum())} of {self.classes} classes left"


def distances(a: Tensor, b: Tensor) -> Tensor:
    """(N, d), (M, d) -> (N, M), exactly 0 for equal rows, unlike by way of |a|^2 + |b|^2 - 2 ab."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
