"""Directions in a space of codes, as plain linear algebra: principal components, those of activations regressed on
codes, the closed-form factorisation, the normal between two kinds. Knows no generator.

Sources: Härkönen et al. 2020 (GANSpace), Shen & Zhou 2021 (SeFa), Shen et al. 2020 (InterfaceGAN).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

WEIGHT = 0.01
"""How freely the linear probe may weigh (scikit-learn's C), on codes of overall deviation 1. Held tightly, it prefers
directions in which codes do vary: after three deviations along its normal 75 % of the pictures of a rectified flow on
digits were of the class, 77 % of latent diffusion's; with C = 1 and every number scaled for itself 10 % and 71 %
(500 codes each)."""
EXACT = 1024
"""Up to this many rows or columns components are exact; above they are found by a randomised method."""


@dataclass(frozen=True)
class Found:
    """``vectors`` (R, d) of length 1, the largest entry of each positive; ``shares`` (R,) of the whole in 0..1."""

    vectors: Tensor
    shares: tuple[float, ...]


def fixed_signs(vectors: Tensor) -> Tensor:
    """Each row of (R, d) with its largest entry positive: a component's own sign is arbitrary."""
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return vectors * torch.where(largest < 0, -1.0, 1.0)


def principal(x: Tensor, count: int) -> Found:
    """The ``count`` principal components of (N, d) and their shares of the variance; fewer where there are no more."""
    centred = x - x.mean(0)
    count = min(count, *x.shape)
    whole = float(centred.square().sum())
    if x.shape[1] <= EXACT:
        values, vectors = torch.linalg.eigh(centred.T @ centred)
        values, vectors = values.flip(0)[:count], vectors.flip(1)[:, :count]
    elif len(x) <= EXACT:
        values, left = torch.linalg.eigh(centred @ centred.T)
        values, left = values.flip(0)[:count], left.flip(1)[:, :count]
        vectors = torch.nn.functional.normalize(centred.T @ left, dim=0)
    else:
        _, sizes, vectors = torch.pca_lowrank(centred, q=min(count + 8, *x.shape), center=False, niter=4)
        values, vectors = sizes.square()[:count], vectors[:, :count]
    shares = (values.clamp(min=0) / max(whole, 1e-12)).tolist()
    return Found(fixed_signs(vectors.T), tuple(shares))


def regressed(features: Tensor, w: Tensor, count: int) -> Found:
    """The directions in w (N, d) that go with the ``count`` principal components of features (N, F): the least-squares
    map from principal coordinates to codes, a direction each, of length 1. The coordinates are uncorrelated, so that
    each stands alone."""
    found = principal(features, count)
    coordinates = (features - features.mean(0)) @ found.vectors.T
    towards = coordinates.T @ (w - w.mean(0)) / coordinates.square().sum(0).clamp(min=1e-12)[:, None]
    # Features that never vary have no direction; the code's own axes are as good as any.
    lost = towards.norm(dim=1, keepdim=True) < 1e-12
    axes = torch.eye(towards.shape[1]).to(towards)[torch.arange(len(towards)) % towards.shape[1]]
    towards = torch.where(lost, axes, towards)
    return Found(fixed_signs(torch.nn.functional.normalize(towards, dim=1)), found.shares)


def factorised(a: Tensor, count: int) -> Found:
    """The eigenvectors of A^T A with the largest eigenvalues, for A (rows, d): along them the first layer's answer
    changes most. Shares are of the squared norm of A."""
    values, vectors = torch.linalg.eigh(a.T @ a)
    values, vectors = values.flip(0)[:count], vectors.flip(1)[:, :count]
    whole = float(a.square().sum())
    return Found(fixed_signs(vectors.T), tuple((values.clamp(min=0) / max(whole, 1e-12)).tolist()))


def alike_in_all_directions(found: Found, draws: int) -> bool:
    """Whether components of ``draws`` codes cannot be told from those of codes that vary alike in all directions: the
    largest has no larger share than chance gives it (Marchenko & Pastur 1967)."""
    d = found.vectors.shape[1]
    return found.shares[0] * d <= 1.1 * (1 + (d / draws) ** 0.5) ** 2


def normal_between(codes: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, float]:
    """The direction (d,), of length 1, in which codes (N, d) change from one kind to the other, ``positive`` bool (N,),
    and the balanced accuracy on a fifth of them that was set apart. By logistic regression, both kinds weighing
    alike; each kind needs ten codes at least."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score

    order = np.random.Generator(np.random.PCG64(0)).permutation(len(codes))
    # A fifth of either kind, so that both are in both parts.
    apart = np.concatenate([order[positive[order] == kind][::5] for kind in (False, True)])
    kept = np.setdiff1d(order, apart)
    spread = float(np.sqrt(codes[kept].var(0).mean())) + 1e-8
    scaled = (codes - codes[kept].mean(0)) / spread
    model = LogisticRegression(C=WEIGHT, class_weight="balanced", max_iter=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # kinds that are parted cleanly drive it ever further
        model.fit(scaled[kept], positive[kept])
    accuracy = float(balanced_accuracy_score(positive[apart], model.predict(scaled[apart])))
    normal = model.coef_[0]
    length = float(np.linalg.norm(normal))
    unit = normal / length if length > 0 else np.eye(codes.shape[1])[0]
    return unit.astype(np.float32), accuracy
