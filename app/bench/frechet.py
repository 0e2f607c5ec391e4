"""How close pictures are to real ones: the Frechet distance in the features of a small classifier, trained here.

Knows no study and no engine thread; imports torch, as :mod:`app.bench.plain` does: who judges must not go through
what is judged. After Heusel et al. 2017 (FID), with a classifier of the data itself in Inception's place.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from engine import data
from engine.data import ImageSource
from engine.data.source import cache_folder
from engine.formats.atomic import write_atomic
from engine.machine import cores
from engine.memory import keep_memory

RECIPE = 1
"""Rises with every change to the network or its training: a kept classifier of an older recipe is not used."""
FEATURES, WIDTH = 128, 32
EPOCHS, BATCH, RATE, SEED = 3, 128, 4e-3, 0
ASKED_AT_ONCE = 500

Floats = NDArray[np.float64]


# ---- the distance ---------------------------------------------------------------------------------------------------


def frechet(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The squared Frechet distance of the Gaussians with the moments of ``a`` (N, d) and ``b`` (M, d), >= 0:
    |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)); Dowson & Landau 1982. ValueError for fewer than two rows."""
    if min(len(a), len(b)) < 2:
        raise ValueError("a covariance needs two rows at least")
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return gaussian_distance(x.mean(0), covariance(x), y.mean(0), covariance(y))


def gaussian_distance(mean_a: Floats, cov_a: Floats, mean_b: Floats, cov_b: Floats) -> float:
    """The same of two Gaussians given by their means (d,) and covariances (d, d), which may be singular."""
    # tr (S_a S_b)^(1/2) is the sum of the singular values of S_a^(1/2) S_b^(1/2): no root of a small difference is
    # taken, as it would be with the eigenvalues of the product, so covariances without full rank do no harm.
    cross = np.linalg.svd(_root(cov_a) @ _root(cov_b), compute_uv=False).sum()
    apart = np.square(mean_a - mean_b).sum()
    return max(0.0, float(apart + np.trace(cov_a) + np.trace(cov_b) - 2 * cross))


def covariance(x: Floats) -> Floats:
    """The unbiased covariance (d, d) of the rows of ``x`` (N, d)."""
    centred = x - x.mean(0)
    out: Floats = centred.T @ centred / (len(x) - 1)
    return out


def _root(cov: Floats) -> Floats:
    """The symmetric square root; eigenvalues that may be nothing but rounding count as 0."""
    values, vectors = np.linalg.eigh(cov)
    rounding = len(values) * np.finfo(np.float64).eps * values.max()
    out: Floats = (vectors * np.sqrt(np.where(values > rounding, values, 0.0))) @ vectors.T
    return out


# ---- the classifier -------------------------------------------------------------------------------------------------


class Judge(nn.Module):
    """Two convolutions for grey or coloured pictures of ``side`` x ``side`` pixels, :data:`FEATURES` features, and a
    layer to the ``classes``. Every picture goes in as (N, H, W, C), uint8 or floats in 0..1."""

    def __init__(self, channels: int, side: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.body = nn.Sequential(
            nn.Conv2d(channels, WIDTH, 5, 2, 2), nn.BatchNorm2d(WIDTH), nn.ReLU(),
            nn.Conv2d(WIDTH, 2 * WIDTH, 3, 2, 1), nn.BatchNorm2d(2 * WIDTH), nn.ReLU(),
            nn.Flatten(), nn.Linear(2 * WIDTH * math.ceil(side / 4) ** 2, FEATURES), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(x))
        return out

    def features(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """(N, :data:`FEATURES`), what the last layer sees."""
        return self._through(self.body, images)

    def classified(self, images: NDArray[Any]) -> NDArray[np.int64]:
        """(N,) the class that each picture looks like most."""
        return np.argmax(self._through(self, images), 1)

    @torch.no_grad()
    def _through(self, part: nn.Module, images: NDArray[Any]) -> NDArray[np.float32]:
        self.eval()
        starts = range(0, len(images), ASKED_AT_ONCE)
        return torch.cat([part(tensor_of(images[at : at + ASKED_AT_ONCE])) for at in starts]).numpy()


def tensor_of(images: NDArray[Any]) -> Tensor:
    """(N, H, W, C) uint8 or floats in 0..1 -> (N, C, H, W) float32 in 0..1; what lies beyond is cut off."""
    x = torch.from_numpy(np.array(images, order="C")).permute(0, 3, 1, 2)
    return x.float() / 255 if x.dtype == torch.uint8 else x.float().clamp(0, 1)


def judge(source: ImageSource, folder: Path | None = None) -> Judge:
    """The classifier of a data set: the one kept in ``folder`` (without: in the user's cache), else trained now, which
    takes half a minute of one core for 60,000 pictures, and kept. It is the same for the same data and recipe
    up to rounding; torch's random state is left as it was."""
    h, _, c = source.shape
    with torch.random.fork_rng(devices=[]):
        model = Judge(c, h, len(source.label_names))
    pictures = zlib.crc32(np.ascontiguousarray(source.train.images).data)
    path = (folder or cache_folder() / "bench") / f"judge-{source.key}-{pictures:08x}-v{RECIPE}.safetensors"
    try:
        model.load_state_dict(load(path.read_bytes()))
    except (OSError, SafetensorError, RuntimeError):  # not there yet, or not whole
        train(model, source)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, save(model.state_dict()))
    return model.eval()


def train(model: Judge, source: ImageSource) -> None:
    """Trains ``model`` from weights of its own seed; torch's random state is left as it was."""
    pictures, labels = tensor_of(source.train.images), torch.from_numpy(source.train.labels)
    batches = max(1, len(pictures) // BATCH)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.reset_parameters()
        adam = torch.optim.Adam(model.parameters(), RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(adam, RATE, total_steps=EPOCHS * batches)
        model.train()
        for _ in range(EPOCHS):
            order = torch.randperm(len(pictures))
            for pick in order[: batches * BATCH].split(BATCH):
                loss = F.cross_entropy(model(pictures[pick]), labels[pick])
                adam.zero_grad(set_to_none=True)
                loss.backward()
                adam.step()
                schedule.step()


def coverage(classes: NDArray[np.int64], count: int, share: float) -> int:
    """How many of ``count`` classes are those of at least ``share`` of the pictures each."""
    return int((np.bincount(classes, minlength=count) >= share * len(classes)).sum())


def ready(key: str) -> tuple[ImageSource, Judge]:
    """A data set with its judge; :class:`engine.data.DataError` where the data cannot be had."""
    torch.set_num_threads(max(1, cores() - 1))  # as the engine does, and for its reason: short parallel sections
    keep_memory()
    source = data.load(key)
    return source, judge(source)
