"""A few photographs of many, and cameras that stand between them: what a field is learned from, and where it is only
asked to be sensible. Knows no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from engine.data.captures.capture import looked_at
from engine.data.captures.source import Photo
from engine.data.rays import CaptureRays


def spread(photos: Sequence[Photo], count: int) -> tuple[int, ...]:
    """The indices, rising, of ``count`` photographs (all where there are no more) that stand far apart: the one nearest
    to the mean place, then ever the one that is farthest from those that were taken."""
    places = np.array([photo.view.centre for photo in photos])
    chosen = [int(np.linalg.norm(places - places.mean(0), axis=1).argmin())]
    apart = np.linalg.norm(places - places[chosen[0]], axis=1)
    while len(chosen) < min(count, len(photos)):
        apart[chosen] = -1.0  # photographs may stand in the same place
        chosen.append(int(apart.argmax()))
        apart = np.minimum(apart, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return tuple(sorted(chosen))


class FewViews(CaptureRays):
    """A capture of which only some training photographs are learned from. ``photos`` still has all of them; where none
    are held out, the ones that are left over stand in for those that the figures are measured on."""

    def __init__(self, whole: CaptureRays, count: int) -> None:
        train, held = whole.photos["train"], whole.photos["held_out"]
        self.chosen = spread(train, count)
        few = tuple(train[i] for i in self.chosen)
        rest = tuple(photo for i, photo in enumerate(train) if i not in self.chosen)
        if not held:
            held = tuple(replace(photo, view=replace(photo.view, split="held_out")) for photo in rest)
            rest = ()
        super().__init__(replace(whole.source, photos=(*few, *held)), whole.device, whole.seed)
        self.source, self.photos = whole.source, {"train": train, "held_out": held}
        self.few, self.rest = few, rest


class Between:
    """Cameras where nobody photographed: about the place that the given ones look at, in directions between theirs."""

    def __init__(self, photos: Sequence[Photo], capture_middle: Tensor, device: torch.device) -> None:
        views = [photo.view for photo in photos]
        self.middle = capture_middle.to(device)
        self.eyes = torch.tensor(np.array([v.centre for v in views]), dtype=torch.float32, device=device)
        self.ups = torch.tensor(np.array([v.pose[:3, 1] for v in views]), dtype=torch.float32, device=device)
        self.focal = float(np.mean([(v.camera.fx + v.camera.fy) / 2 / v.camera.width for v in views]))
        self.width = float(np.mean([v.camera.width for v in views]))

    @classmethod
    def of(cls, rays: FewViews) -> Between:
        """Those between the photographs that are learned from."""
        few = replace(rays.source.capture, views=tuple(photo.view for photo in rays.few))
        return cls(rays.few, torch.tensor(looked_at(few), dtype=torch.float32), rays.device)

    def patches(self, count: int, side: int) -> tuple[Tensor, Tensor]:
        """Origins and unit directions (count * side * side, 3) of square patches of neighbouring pixels, row by row,
        each of a camera of its own; drawn from torch's generator."""
        device = self.eyes.device
        share = -torch.rand(count, len(self.eyes)).clamp(min=1e-6).log()  # even over all mixtures: Dirichlet(1, ... 1)
        share = (share / share.sum(1, keepdim=True)).to(device)
        away = self.eyes - self.middle
        far = away.norm(dim=1)
        back = torch.nn.functional.normalize(share @ (away / far[:, None].clamp(min=1e-6)), dim=1)
        eye = self.middle + back * (share @ far)[:, None]
        up = share @ self.ups
        right = torch.nn.functional.normalize(torch.linalg.cross(up, back), dim=1)
        above = torch.linalg.cross(back, right)
        room = max(0.0, self.width - side)
        corner = torch.rand(count, 2).to(device) * room - self.width / 2
        step = torch.arange(side, device=device) + 0.5
        x = (corner[:, :1] + step) / (self.focal * self.width)
        y = (corner[:, 1:] + step) / (self.focal * self.width)
        d = (
            x[:, None, :, None] * right[:, None, None]
            - y[:, :, None, None] * above[:, None, None]
            - back[:, None, None]
        )
        d = torch.nn.functional.normalize(d, dim=3)
        return eye[:, None, None].expand_as(d).reshape(-1, 3), d.reshape(-1, 3)
