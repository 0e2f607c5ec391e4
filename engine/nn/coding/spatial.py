"""A convolutional autoencoder whose code is a small picture: what latent diffusion works on. Knows no loss."""

from __future__ import annotations

from torch import Tensor, nn

from engine.nn.coding.coder import Shape, halvings
from engine.nn.diffusion.unet import groups


class Residual(nn.Module):
    """Two convolutions beside the way straight through, (B, C, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(groups(channels), channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(groups(channels), channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


class SpatialEncoder(nn.Module):
    """(B, C, H, W) -> mean and log variance of the code, (B, ``channels``, h, w) each: sides halved ``halvings``
    times."""

    def __init__(self, shape: Shape, width: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = shape[0]
        for i in range(halvings(*shape[1:])):
            after = width * min(2, 2**i)
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.SiLU()]
            before = after
        layers += [Residual(before), nn.GroupNorm(groups(before), before), nn.SiLU()]
        last = nn.Conv2d(before, 2 * channels, 3, padding=1)
        # It begins with little noise on the code: at variance 1 the decoder would see hardly anything else.
        nn.init.constant_(last.bias[channels:], -5.0)  # type: ignore[index]  # it has one
        self.net = nn.Sequential(*layers, last)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.net(2 * x - 1).chunk(2, 1)
        return mean, log_variance.clamp(-20, 10)


class SpatialDecoder(nn.Module):
    """(B, ``channels``, h, w) -> pictures (B, C, H, W), no squashing at the end: the way back."""

    def __init__(self, shape: Shape, width: int, channels: int) -> None:
        super().__init__()
        n = halvings(*shape[1:])
        top = width * min(2, 2 ** (n - 1))
        layers: list[nn.Module] = [nn.Conv2d(channels, top, 3, padding=1), Residual(top), Residual(top)]
        before = top
        for i in range(n - 1, -1, -1):
            after = width * min(2, 2 ** (i - 1)) if i else max(4, width // 2)
            # An odd side was rounded down on the way in; the output padding gives the lost row or column back.
            odd = ((shape[1] >> i) % 2, (shape[2] >> i) % 2)
            layers += [nn.GroupNorm(groups(before), before), nn.SiLU()]
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, output_padding=odd)]
            before = after
        self.net = nn.Sequential(*layers, nn.SiLU(), nn.Conv2d(before, shape[0], 3, padding=1))

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.net(z)
        return out
