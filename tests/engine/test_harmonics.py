"""Spherical harmonics: orthonormal over the sphere, each band closed under rotation, the signs that files expect."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.nn.fields.harmonics import harmonics


def sphere() -> tuple[torch.Tensor, torch.Tensor]:
    """Directions (N, 3) and weights (N,) of a quadrature that is exact for polynomials of degree 7."""
    z, w = np.polynomial.legendre.leggauss(6)
    turn = np.arange(12) * 2 * np.pi / 12
    flat = np.sqrt(1 - z**2)
    d = np.stack([np.outer(flat, np.cos(turn)), np.outer(flat, np.sin(turn)), np.outer(z, np.ones(12))], -1)
    return torch.from_numpy(d.reshape(-1, 3)), torch.from_numpy(np.repeat(w, 12) * 2 * np.pi / 12)


def test_the_harmonics_are_orthonormal_over_the_sphere() -> None:
    d, w = sphere()
    y = harmonics(d, 4)
    torch.testing.assert_close(y.T @ (w[:, None] * y), torch.eye(16, dtype=y.dtype), atol=1e-12, rtol=0)


def test_what_a_band_tells_does_not_depend_on_the_axes() -> None:
    one, other = torch.nn.functional.normalize(torch.randn(2, 40, 3, dtype=torch.float64), dim=2)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    for low, high in ((0, 1), (1, 4), (4, 9), (9, 16)):
        plain = (harmonics(one, 4) * harmonics(other, 4))[:, low:high].sum(1)
        turned = (harmonics(one @ turn, 4) * harmonics(other @ turn, 4))[:, low:high].sum(1)
        torch.testing.assert_close(plain, turned)


def test_the_signs_of_the_first_bands_and_their_number() -> None:
    d = torch.tensor([[1.0, 2.0, 3.0]]) / 14**0.5
    assert harmonics(d, 2)[0].tolist() == pytest.approx(
        [0.2820948, -0.4886025 * 2 / 14**0.5, 0.4886025 * 3 / 14**0.5, -0.4886025 / 14**0.5], abs=1e-6
    )
    assert [harmonics(d, bands).shape[1] for bands in (1, 2, 3, 4)] == [1, 4, 9, 16]
    with pytest.raises(ValueError, match="5 bands"):
        harmonics(d, 5)
