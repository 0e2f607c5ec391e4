"""Photographs as a pinhole would have taken them, for what is drawn by projecting knows no lens. Knows no Gaussian."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.captures.camera import Intrinsics
from engine.data.captures.source import Photo
from engine.nn.splatting import View, view_of

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Shot:
    """One photograph on a device: ``rgba`` uint8 (H, W, 4); ``counts`` float32 (H, W), 0 where it says nothing, or None
    where all of it counts. ``photo`` is the same for the window, its camera a pinhole; ``view`` that camera for what is
    projected."""

    photo: Photo
    view: View
    rgba: Tensor
    counts: Tensor | None

    def over(self, ground: Tensor) -> Tensor:
        """The colours (H, W, 3) in 0..1 on a ``ground`` (3,)."""
        pixels = self.rgba.float() / 255
        return torch.lerp(ground.expand(*pixels.shape[:2], 3), pixels[..., :3], pixels[..., 3:])


def pinhole(camera: Intrinsics) -> Intrinsics:
    """The camera without its lens."""
    return replace(camera, lens="pinhole", radial=(), tangential=(0.0, 0.0))


def shot_of(photo: Photo, device: torch.device) -> Shot:
    """A photograph bent straight, pixel for pixel."""
    bent = photo.view.camera
    flat = pinhole(bent)
    pixels = photo.pixels
    if pixels.shape[-1] == 3:
        pixels = np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 255, np.uint8)], 2)
    counts = None if photo.mask is None else (photo.mask > 127).astype(np.float32)
    if not bent.straight:
        plane = (flat.centres() - [flat.cx, flat.cy]) / [flat.fx, flat.fy]
        at = bent.bent(plane) * [bent.fx, bent.fy] + [bent.cx, bent.cy]
        inside = ((at >= 0.5) & (at <= [bent.width - 0.5, bent.height - 0.5])).all(1)
        inside &= np.abs(bent.flattened((at - [bent.cx, bent.cy]) / [bent.fx, bent.fy]) - plane).max(1) < 1e-4
        shape = flat.height, flat.width
        there = np.where(inside[:, None], at, 0.5)
        pixels = np.rint(sampled(pixels, there)).astype(np.uint8).reshape(*shape, 4)
        pixels[~inside.reshape(shape)] = 0
        seen = np.ones_like(inside) if counts is None else sampled(counts[..., None], there)[:, 0] > 0.5
        counts = (inside & seen).astype(np.float32).reshape(shape)
        if counts.all():
            counts = None
    view = view_of(flat, photo.view.pose, device=device)
    whole = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
    straight = replace(photo, view=replace(photo.view, camera=flat), pixels=pixels[..., : photo.pixels.shape[2]])
    return Shot(straight, view, whole, None if counts is None else torch.from_numpy(counts).to(device))


def sampled(pixels: NDArray[np.generic], at: NDArray[np.floating]) -> Floats:
    """The colours (M, C) of a picture (H, W, C) at places (M, 2) in pixels, x then y, between four pixels' centres."""
    h, w = pixels.shape[:2]
    x, y = np.clip(at[:, 0] - 0.5, 0, w - 1), np.clip(at[:, 1] - 0.5, 0, h - 1)
    left, top = np.minimum(x.astype(np.int64), max(w - 2, 0)), np.minimum(y.astype(np.int64), max(h - 2, 0))
    right, below = np.minimum(left + 1, w - 1), np.minimum(top + 1, h - 1)
    u, v = (x - left)[:, None], (y - top)[:, None]
    upper = pixels[top, left] * (1 - u) + pixels[top, right] * u
    lower = pixels[below, left] * (1 - u) + pixels[below, right] * u
    return np.asarray(upper * (1 - v) + lower * v, np.float32)
