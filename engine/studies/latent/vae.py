"""The variational autoencoder, with beta. Knows nothing of how it is trained, saved or shown."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.data.tensors import Batch, ImageTensors
from engine.nn.coding.coder import Decoder, Encoder
from engine.nn.coding.latent_probes import BY_ACTIVITY, LatentProbes
from engine.nn.gaussian import kl_to_standard_normal, log_bernoulli, log_normal
from engine.params import knob
from engine.payloads import Bars
from engine.probes import probe
from engine.study import Images, Study, Term


class VAE(LatentProbes, Study):
    """Learns a smooth code for images: an encoder says where in the code's space an image may lie, a decoder draws
    what lies there, and a prior keeps the space free of holes, so that every code means a picture."""

    title, family = "Variational autoencoder", "Latent variables"
    paper = "Kingma & Welling 2013, arXiv:1312.6114; beta: Higgins et al. 2017"
    data = Images(default="digits")
    left = r"\log p_\theta(x)\;\geq"
    objective = [
        Term(
            r"\mathbb{E}_{q_\phi(z|x)}\left[\log p_\theta(x|z)\right]",
            "reconstruction",
            "orange",
            "How likely the image is under what the decoder draws of its code.",
        ),
        Term(
            r"-\;\beta\,D_{\mathrm{KL}}\left(q_\phi(z|x)\,\|\,p(z)\right)",
            "kl",
            "purple",
            "What the code costs: how far the encoder's answer lies from the prior N(0, I).",
        ),
    ]
    try_this = (
        "Drag the first two sliders while it trains: the same code keeps its meaning as the picture sharpens.",
        "Set β to 8 and watch KL per dimension: most dimensions fall silent, the few left carry one factor each.",
        "Open the latent map and drag across a border between two classes: every place in between is a picture.",
    )

    @dataclass
    class Params:
        latent: int = knob(
            16, "How many numbers the code z has; changing it builds a new network.", lo=1, hi=64, symbol="d_z"
        )
        beta: float = knob(
            1.0,
            "Weight of the KL term: above 1 fewer dimensions stay active, at 0 holes open up.",
            lo=0.0,
            hi=16.0,
            symbol=r"\beta",
            live=True,
        )
        likelihood: str = knob(
            "Bernoulli",
            "What noise the decoder assumes on a pixel: on/off, or Gaussian around its value.",
            choices=("Bernoulli", "Gaussian"),
        )
        sigma: float = knob(
            0.1,
            "Standard deviation of a pixel under the Gaussian likelihood: smaller cares more for detail.",
            lo=0.01,
            hi=1.0,
            log=True,
            symbol=r"\sigma_x",
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
        self.encoder = Encoder(shape, self.p.width, self.p.hidden, 2 * self.p.latent).to(device)
        self.decoder = Decoder(shape, self.p.width, self.p.hidden, self.p.latent).to(device)
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.optimizer = torch.optim.Adam(parameters, self.p.rate)

    def knob_changed(self, name: str) -> None:
        if name == "rate":
            for group in self.optimizer.param_groups:
                group["lr"] = self.p.rate

    # ---- the model ----

    def infer(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """q(z|x): mean and log variance, (B, d) each."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        return mean, log_variance

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats, (B,)."""
        drawn = self.decoder(z)
        if self.p.likelihood == "Bernoulli":
            return log_bernoulli(x, drawn)
        return log_normal(x, drawn, self.p.sigma)

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """One-sample estimate of E_q[log p(x|z)], (B,), and KL(q(z|x) || p(z)) per dimension, (B, d)."""
        mean, log_variance = self.infer(x)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return self.log_likelihood(x, z), kl_to_standard_normal(mean, log_variance)

    # ---- training ----

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        log_likelihood, kl = self.terms(batch.x)
        reconstruction, kl_per_dimension = log_likelihood.mean(), kl.mean(0)
        cost = kl_per_dimension.sum()
        loss = self.p.beta * cost - reconstruction
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return {
            "elbo": (reconstruction - cost).detach(),
            "reconstruction": reconstruction.detach(),
            "kl": cost.detach(),
            "kl_per_dimension": kl_per_dimension.detach(),
        }

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        reconstruction, kl = self.terms(batch.x)
        cost = kl.sum(1)
        return {"elbo": reconstruction - cost, "reconstruction": reconstruction, "kl": cost}

    # ---- what the probes ask ----

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.infer(x)
        return mean, torch.exp(0.5 * log_variance)

    def decode_images(self, z: Tensor) -> Tensor:
        drawn: Tensor = self.decoder(z)
        return drawn.sigmoid() if self.p.likelihood == "Bernoulli" else drawn

    def draw_codes(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randn(count, self.p.latent, generator=generator)

    def first_weights(self) -> Tensor:
        return self.decoder.first_weights()

    def inner_layer(self) -> nn.Module:
        return self.decoder.first_features()

    def activity(self, mean: Tensor, sigma: Tensor) -> tuple[Tensor, str]:
        return kl_to_standard_normal(mean, 2 * sigma.clamp(min=1e-12).log()).mean(0), "KL, nats"

    @probe(Bars, title="KL per dimension", refresh=0.5, order=BY_ACTIVITY)
    def code_activity(self, order: str) -> Bars:
        """How much each dimension of the code says of an image: its share of the KL term, 0 where it is silent."""
        return self.activity_bars(order)
