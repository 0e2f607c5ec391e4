"""What the engine is measured against: the same networks in plain loops, with nothing around them.

The one file of the application that imports torch: a benchmark's peer must not go through what is measured.
"""

from __future__ import annotations

import time
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine import data, registry
from engine.data.tensors import ImageTensors
from engine.machine import cores
from engine.params import with_values

BATCH, LATENT, WIDTH, HIDDEN, RATE = 128, 16, 32, 256, 1e-3
"""The VAE's own defaults, said again so that this file stands alone."""


def available() -> set[str]:
    """The keys of the data sets that are here."""
    return {option.key for option in data.options() if option.available}


class BareLoop:
    """A study stepped in a plain loop: its own ``train_step`` on its own batches, no metrics read, no probes."""

    def __init__(self, study: str, data_key: str) -> None:
        torch.set_num_threads(max(1, cores() - 1))  # as the engine does
        kind = registry.find().studies[study]
        device = torch.device("cpu")
        self._study = kind()
        self._study.p = with_values(kind.Params, {})
        self._study.device = device
        torch.manual_seed(0)
        self._study.source = ImageTensors(data.load(data_key), device, 0)
        self._study.build(device)
        self._step = 0

    def rate(self, seconds: float) -> float:
        """Steps per second over about ``seconds``."""
        batch = int(self._study.p.batch)
        begun, first = time.perf_counter(), self._step
        while time.perf_counter() - begun < seconds:
            self._study.train_step(self._study.source.batch(self._step, batch))
            self._step += 1
        return (self._step - first) / (time.perf_counter() - begun)


class _Reference(nn.Module):
    """The VAE with two convolutions each way for 28 x 28 grey pictures, written out."""

    def __init__(self) -> None:
        super().__init__()
        act = partial(nn.LeakyReLU, 0.1)
        self.inward = nn.Sequential(
            nn.Conv2d(1, WIDTH, 4, 2, 1), act(), nn.Conv2d(WIDTH, 2 * WIDTH, 4, 2, 1), act(), nn.Flatten(),
            nn.Linear(2 * WIDTH * 49, HIDDEN), act(), nn.Linear(HIDDEN, 2 * LATENT),
        )  # fmt: skip
        self.outward = nn.Sequential(
            nn.Linear(LATENT, HIDDEN), act(), nn.Linear(HIDDEN, 2 * WIDTH * 49), act(),
            nn.Unflatten(1, (2 * WIDTH, 7, 7)), nn.ConvTranspose2d(2 * WIDTH, WIDTH, 4, 2, 1), act(),
            nn.ConvTranspose2d(WIDTH, 1, 4, 2, 1),
        )  # fmt: skip

    def elbo(self, x: Tensor) -> Tensor:
        """One-sample ELBO per picture, (B,), in nats. Kingma & Welling 2013, eq. 10, with a Bernoulli likelihood."""
        mean, log_variance = self.inward(x).chunk(2, 1)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        reconstruction = -F.binary_cross_entropy_with_logits(self.outward(z), x, reduction="none").sum((1, 2, 3))
        kl: Tensor = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return reconstruction - kl


def reference_elbo(data_key: str, steps: int) -> tuple[float, float]:
    """Trains the reference on a 28 x 28 data set; its ELBO over the whole held-out part and the seconds of training."""
    torch.set_num_threads(max(1, cores() - 1))  # as the engine does
    torch.manual_seed(0)
    source = data.load(data_key)
    train = torch.from_numpy(source.train.images).permute(0, 3, 1, 2).float() / 255
    held_out = torch.from_numpy(source.held_out.images).permute(0, 3, 1, 2).float() / 255
    model = _Reference()
    adam = torch.optim.Adam(model.parameters(), RATE)
    begun, order = time.perf_counter(), torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        if len(order) < BATCH:
            order = torch.randperm(len(train))
        pick, order = order[:BATCH], order[BATCH:]
        loss = -model.elbo(train[pick]).mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
    seconds = time.perf_counter() - begun
    with torch.no_grad():
        sums = [float(model.elbo(part).double().sum()) for part in held_out.split(500)]
    return sum(sums) / len(held_out), seconds
