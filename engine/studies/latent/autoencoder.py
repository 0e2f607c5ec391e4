"""The plain autoencoder, denoising if wished, beside PCA, the best linear one. Knows nothing of training loops."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.data.tensors import Batch, ImageTensors
from engine.nn.coding.coder import Decoder, Encoder
from engine.nn.coding.latent_probes import BY_ACTIVITY, LatentProbes
from engine.nn.generator.generator import weights_state
from engine.params import knob
from engine.payloads import Bars
from engine.probes import probe
from engine.study import Images, Study, Term

PCA_ITEMS = 5000
PCA_NUMBERS = 2**24
"""Pixels that the principal components are found from at most, 64 MB of them: fewer items where pictures are large."""
PCA_EXACT = 1024
"""Up to this many pixels the principal components are exact; above they are found by a randomised method."""


class Autoencoder(LatentProbes, Study):
    """Squeezes an image through a few numbers and draws it again. Nothing orders those numbers, so the space of codes
    has holes: places that mean no picture. Compare its latent map and its samples with the variational one's."""

    title, family = "Autoencoder and PCA", "Latent variables"
    paper = "Hinton & Salakhutdinov 2006; denoising: Vincent et al. 2008"
    data = Images(default="digits")
    left = r"\mathcal{L}(\theta,\phi)\;="
    objective = [
        Term(
            r"\left\|x - g_\theta(f_\phi(\tilde{x}))\right\|_2^2",
            "reconstruction",
            "orange",
            "Squared error of the picture that comes back, summed over its pixels.",
        ),
    ]
    try_this = (
        "Open Samples beside those of the variational autoencoder: codes drawn at random often mean nothing here.",
        "With two latent dimensions, drag across an empty part of the latent map: the picture falls apart.",
        "Compare the rows of Reconstructions: PCA is the best that a linear code of that size can do.",
    )

    @dataclass
    class Params:
        latent: int = knob(
            16, "How many numbers the code z has; changing it builds a new network.", lo=1, hi=64, symbol="d_z"
        )
        noise: float = knob(
            0.0,
            "Standard deviation of the noise put on the input, which the network has to remove.",
            lo=0.0,
            hi=1.0,
            symbol=r"\sigma_{\tilde{x}}",
            live=True,
        )
        width: int = knob(
            32, "Channels of the first convolution; each further one has twice as many.", lo=4, hi=128, symbol="c"
        )
        hidden: int = knob(256, "Units of the layer between the convolutions and the code.", lo=16, hi=1024, symbol="h")
        batch: int = knob(128, "How many images one step looks at.", lo=8, hi=512, symbol="B", live=True)
        rate: float = knob(1e-3, "Step size of the Adam optimiser.", lo=1e-5, hi=1e-1, log=True, symbol=r"\eta",
                           live=True)  # fmt: skip

    p: Params
    source: ImageTensors
    tiny = dict(latent=3, width=4, hidden=16, batch=32)

    def build(self, device: torch.device) -> None:
        shape = self.source.shape
        self.encoder = Encoder(shape, self.p.width, self.p.hidden, self.p.latent).to(device)
        self.decoder = Decoder(shape, self.p.width, self.p.hidden, self.p.latent).to(device)
        self.optimizer = torch.optim.Adam([*self.encoder.parameters(), *self.decoder.parameters()], self.p.rate)
        items = min(PCA_ITEMS, max(2 * self.p.latent, PCA_NUMBERS // math.prod(shape)))
        self.pca_mean, self.pca_axes = principal_axes(self.source.train[:items], self.p.latent)

    def knob_changed(self, name: str) -> None:
        if name == "rate":
            for group in self.optimizer.param_groups:
                group["lr"] = self.p.rate

    # ---- training ----

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        x = batch.x
        seen = x + self.p.noise * torch.randn_like(x) if self.p.noise > 0 else x
        loss = squared_error(x, self.decoder(self.encoder(seen)).sigmoid()).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return {"reconstruction": loss.detach()}

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        x = batch.x
        return {
            "reconstruction": squared_error(x, self.decode_images(self.encoder(x))),
            "pca": squared_error(x, self.through_pca(x)),
        }

    def through_pca(self, x: Tensor) -> Tensor:
        """``x`` projected on the principal axes and back, (B, C, H, W)."""
        centred = x.flatten(1) - self.pca_mean
        return (centred @ self.pca_axes.T @ self.pca_axes + self.pca_mean).view_as(x)

    # ---- what the probes ask ----

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z: Tensor = self.encoder(x)
        return z, torch.zeros_like(z)

    def decode_images(self, z: Tensor) -> Tensor:
        drawn: Tensor = self.decoder(z)
        return drawn.sigmoid()

    def reconstruct(self, x: Tensor) -> dict[str, Tensor]:
        return {**super().reconstruct(x), "PCA": self.through_pca(x)}

    def codes_gaussian(self) -> tuple[Tensor, Tensor]:
        """The mean (d,) of real pictures' codes, and a root (d, d) of their covariance, on the processor."""
        state = weights_state(self)
        kept: tuple[Tensor, Tensor] | None = self.recall("gaussian", ())
        if kept is None:
            codes = self.codes(1000)[0].cpu()
            covariance = torch.cov(codes.T, correction=0).reshape(self.p.latent, self.p.latent)
            # By eigenvectors, not Cholesky's factor: a dimension that never varies makes the covariance singular.
            values, vectors = torch.linalg.eigh(covariance)
            kept = self.keep("gaussian", (), state, (codes.mean(0), vectors * values.clamp(min=0).sqrt()))
        return kept

    def draw_codes(self, count: int, generator: torch.Generator) -> Tensor:
        # There is no prior: the fairest guess is a Gaussian of the codes' own mean and covariance.
        mean, root = self.codes_gaussian()
        return mean + torch.randn(count, self.p.latent, generator=generator) @ root.T

    def mean_w(self) -> Tensor:
        return self.codes_gaussian()[0].to(self.device)

    def first_weights(self) -> Tensor:
        return self.decoder.first_weights()

    def inner_layer(self) -> nn.Module:
        return self.decoder.first_features()

    def activity(self, mean: Tensor, sigma: Tensor) -> tuple[Tensor, str]:
        return mean.var(0, correction=0), "variance"

    @probe(Bars, title="Variance per dimension", refresh=0.5, order=BY_ACTIVITY)
    def code_activity(self, order: str) -> Bars:
        """How much each dimension of the code varies from image to image: one that never varies says nothing."""
        return self.activity_bars(order)


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """||x - y||^2 per item, (B,)."""
    return F.mse_loss(y, x, reduction="none").flatten(1).sum(1)


def principal_axes(images: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean (D,) and the ``count`` axes of largest variance (count, D), orthonormal, of uint8 images (N, C, H, W).

    Exact by the covariance's eigenvectors up to ``PCA_EXACT`` pixels, else by Halko, Martinsson & Tropp 2011.
    """
    x = images.flatten(1).float() / 255
    mean = x.mean(0)
    count = min(count, *x.shape)
    if x.shape[1] <= PCA_EXACT:
        _, vectors = torch.linalg.eigh(torch.cov(x.T, correction=0))
        return mean, vectors.flip(1)[:, :count].T.contiguous()
    _, _, v = torch.pca_lowrank(x - mean, q=min(count + 8, *x.shape), center=False, niter=4)
    return mean, v[:, :count].T.contiguous()
