"""A capture as tensors on a device: batches of rays in a reproducible order, whole pictures, single views.

Knows no network. A ray goes from a camera through the centre of a pixel; its direction has length 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.data.captures.camera import Intrinsics
from engine.data.captures.source import CaptureSource, Photo
from engine.data.source import DataError, ImageSource
from engine.data.tensors import ImageTensors

HELD_OUT_RAYS = 8192
"""Pixels of the held-out views on which the held-out figures are measured at most."""


@dataclass(frozen=True)
class Rays:
    """``origins`` and unit ``directions`` float32 (B, 3); ``rgb`` (B, 3) in 0..1 and ``alpha`` (B, 1) are what the
    photograph shows there (colours not multiplied by alpha); ``view`` int64 (B,) is the number of the photograph."""

    origins: Tensor
    directions: Tensor
    rgb: Tensor
    alpha: Tensor
    view: Tensor

    def __len__(self) -> int:
        return len(self.origins)

    def over(self, ground: Tensor) -> Tensor:
        """The colours (B, 3) on a ``ground`` (3,) or (B, 3)."""
        return torch.lerp(ground.expand_as(self.rgb), self.rgb, self.alpha)


class CaptureRays:
    """The photographs of a capture's two parts; ``held_out`` is what the held-out figures are measured on."""

    def __init__(self, source: CaptureSource, device: torch.device, seed: int) -> None:
        self.source = source
        self.device = device
        self.seed = seed
        self.photos = {split: source.part(split) for split in ("train", "held_out")}
        if not self.photos["train"]:
            raise DataError(f"{source.title}: no photograph of it is to be trained on")
        self._tables: dict[Intrinsics, Tensor] = {}
        self.train = _Pixels(self, self.photos["train"])
        self._held = _Pixels(self, self.photos["held_out"] or self.photos["train"])
        count = min(HELD_OUT_RAYS, self._held.count)
        generator = np.random.Generator(
            np.random.PCG64(0)
        )  # the same pixels whatever the seed: figures can be compared
        self.held_out = torch.from_numpy(np.sort(generator.choice(self._held.count, count, replace=False))).to(device)
        self._order: tuple[int, Tensor] | None = None

    @property
    def box(self) -> np.ndarray | None:
        """(2, 3) where the scene lies, if that is known."""
        return self.source.capture.box

    def batch(self, step: int, size: int) -> Rays:
        """The rays of one step, from all training photographs; they depend on the seed, ``step`` and ``size``
        alone. Each epoch is a fresh permutation of the pixels, the rest dropped."""
        n = self.train.count
        size = min(size, n)
        epoch, place = divmod(step, n // size)
        if self._order is None or self._order[0] != epoch:
            order = np.random.Generator(np.random.PCG64([self.seed, epoch])).permutation(n).astype(np.int32)
            self._order = (epoch, torch.from_numpy(order).to(self.device))
        return self.train.rays(self._order[1][place * size : (place + 1) * size].long())

    def held_out_batch(self, start: int, size: int) -> Rays:
        """Rays of the held-out pixels ``start`` .. ``start + size``."""
        return self._held.rays(self.held_out[start : start + size])

    def photo(self, reference: str) -> Photo:
        """The photograph that ``train:3`` or ``held_out:0`` names; DataError where there is none."""
        split, _, number = reference.partition(":")
        photos = self.photos.get(split, ())
        if not number.isdecimal() or int(number) >= len(photos):
            raise DataError(f"{reference}: there are {len(photos)} photographs of that part, numbered from 0")
        return photos[int(number)]

    def picture(self, photo: Photo) -> Rays:
        """All rays of a photograph, row by row; ``view`` is -1."""
        return _Pixels(self, (photo,), every=True).all()

    def directions(self, camera: Intrinsics) -> Tensor:
        """Rays (H * W, 3) in the camera's axes, of depth 1, row by row; NaN where the lens shows nothing."""
        if camera not in self._tables:
            table = camera.directions(camera.centres()).astype(np.float32)
            self._tables[camera] = torch.from_numpy(table).to(self.device)
        return self._tables[camera]


class _Pixels:
    """The pixels of some photographs, one after another, without those that a mask or the lens takes out."""

    def __init__(self, owner: CaptureRays, photos: tuple[Photo, ...], every: bool = False) -> None:
        device = owner.device
        self._turns = torch.tensor(np.array([p.view.pose[:3, :3] for p in photos]), dtype=torch.float32, device=device)
        self._places = torch.tensor(np.array([p.view.pose[:3, 3] for p in photos]), dtype=torch.float32, device=device)
        cameras = list(dict.fromkeys(photo.view.camera for photo in photos))
        tables = [owner.directions(camera) for camera in cameras]
        starts = np.cumsum([0, *(len(table) for table in tables)])
        self._table = torch.cat(tables)
        colours, view, at = [], [], []
        for i, photo in enumerate(photos):
            place = cameras.index(photo.view.camera)
            flat = photo.pixels.reshape(-1, photo.pixels.shape[-1])
            if flat.shape[1] == 3:
                flat = np.concatenate([flat, np.full((len(flat), 1), 255, np.uint8)], 1)
            good = np.isfinite(tables[place][:, 0].cpu().numpy())
            if photo.mask is not None:
                good &= photo.mask.ravel() > 127
            pick = np.arange(len(flat)) if every else np.flatnonzero(good)
            colours.append(flat[pick])
            view.append(np.full(len(pick), i, np.int32))
            at.append((pick + starts[place]).astype(np.int32))
        self._rgba = torch.from_numpy(np.concatenate(colours)).to(device)
        self._view = torch.from_numpy(np.concatenate(view)).to(device)
        self._at = torch.from_numpy(np.concatenate(at)).to(device)
        self._single = every
        if not len(self._at):
            raise DataError(f"{owner.source.title}: its masks leave no pixel to learn from")

    @property
    def count(self) -> int:
        return len(self._at)

    def all(self) -> Rays:
        return self.rays(torch.arange(self.count, device=self._at.device))

    def rays(self, pick: Tensor) -> Rays:
        view = self._view[pick].long()
        d = (self._turns[view] @ self._table[self._at[pick].long()][:, :, None])[:, :, 0]
        rgba = self._rgba[pick].float() / 255
        return Rays(
            self._places[view],
            torch.nn.functional.normalize(d, dim=1),
            rgba[:, :3],
            rgba[:, 3:],
            torch.full_like(view, -1) if self._single else view,
        )


def on_device(source: ImageSource | CaptureSource, device: torch.device, seed: int) -> ImageTensors | CaptureRays:
    """A loaded data set as the studies of its kind learn from it."""
    return ImageTensors(source, device, seed) if isinstance(source, ImageSource) else CaptureRays(source, device, seed)
