"""A loaded set of images as tensors on a device: batches in a reproducible order, single items by reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from engine.data.images import DataError, ImageSource, Part, read_image


@dataclass(frozen=True)
class Batch:
    """``x`` float32 (B, C, H, W) in 0..1; ``y`` int64 (B,) classes, zeros where there are none."""

    x: torch.Tensor
    y: torch.Tensor


class ImageTensors:
    """``train`` and ``held_out`` as uint8 (N, C, H, W) on the device, with their labels."""

    def __init__(self, source: ImageSource, device: torch.device, seed: int) -> None:
        self.source = source
        self.device = device
        self.seed = seed
        self.train, self.train_labels = self._put(source.train)
        self.held_out, self.held_out_labels = self._put(source.held_out)
        self._order: tuple[int, torch.Tensor] | None = None

    def _put(self, part: Part) -> tuple[torch.Tensor, torch.Tensor]:
        pictures = torch.from_numpy(np.ascontiguousarray(part.images.transpose(0, 3, 1, 2))).to(self.device)
        return pictures, torch.from_numpy(part.labels.astype(np.int64)).to(self.device)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        c, h, w = self.train.shape[1:]
        return int(c), int(h), int(w)

    @property
    def label_names(self) -> tuple[str, ...]:
        return self.source.label_names

    def batch(self, step: int, size: int) -> Batch:
        """The batch of one step. Its items depend on the seed, ``step`` and ``size`` alone, so that a resumed run
        sees the very batches that an uninterrupted one would; each epoch is a fresh permutation, the rest dropped."""
        n = len(self.train)
        size = min(size, n)
        epoch, place = divmod(step, n // size)
        if self._order is None or self._order[0] != epoch:
            order = np.random.Generator(np.random.PCG64([self.seed, epoch])).permutation(n)
            self._order = (epoch, torch.from_numpy(order).to(self.device))
        pick = self._order[1][place * size : (place + 1) * size]
        return Batch(self.train[pick].float().div_(255), self.train_labels[pick])

    def held_out_batch(self, start: int, size: int) -> Batch:
        """Held-out items ``start`` .. ``start + size``, in their order."""
        return Batch(self.held_out[start : start + size].float().div_(255), self.held_out_labels[start : start + size])

    def item(self, reference: str) -> torch.Tensor:
        """(1, C, H, W) float32 in 0..1 for ``held_out:3``, ``train:3`` or ``file:PATH``; DataError if there is none."""
        where, _, rest = reference.partition(":")
        if where == "file":
            c, h, w = self.shape
            picture = read_image(rest, (h, w, c))
            tensor = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].to(self.device)
            return tensor.float().div_(255)
        part = self.train if where == "train" else self.held_out
        index = int(rest)
        if index >= len(part):
            raise DataError(f"{reference}: the data has {len(part)} such items, numbered from 0")
        return part[index : index + 1].float().div_(255)
