"""Splats that tests show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.scene import Splats
from widgets.viewport.camera import Camera
from widgets.viewport.style import Style

PLAIN = Style(light="none", background="#000000", grid=False, axes=False)
NEAR = 0.05
C0 = 0.28209479177387814
OUTSIDE = Camera(eye=(2.4, -2.4, 1.5))
PARTS = ("xyz", "scales", "turns", "opacity", "sh")


def ball(n: int = 400, coefficients: int = 16, seed: int = 0) -> Splats:
    """A bumpy sphere of splats of all turns and shapes."""
    random = np.random.default_rng(seed)
    way = random.normal(size=(n, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    sh = random.normal(0, 0.2, (n, coefficients, 3))
    sh[:, 0] = way * 1.5
    return Splats(
        name="splats", xyz=(way * (1 + 0.2 * np.sin(5 * way[:, :1]))).astype(np.float32),
        scales=random.normal(math.log(2.5 / math.sqrt(n)), 0.7, (n, 3)).astype(np.float32),
        turns=(random.normal(size=(n, 4)) * random.uniform(0.1, 9, (n, 1))).astype(np.float32),
        opacity=random.normal(0, 2, n).astype(np.float32), sh=sh.astype(np.float32),
    )  # fmt: skip


def one(
    place: tuple[float, float, float] = (0.0, 0.0, 0.0), deviations: tuple[float, float, float] = (0.3, 0.3, 0.3),
    alpha: float = 0.9, rgb: tuple[float, float, float] = (1.0, 0.0, 0.0), name: str = "one", **more: Any,
) -> Splats:  # fmt: skip
    logit = math.log(alpha / (1 - alpha)) if alpha < 1 else 30.0
    return Splats(
        name=name, xyz=np.array([place], np.float32), scales=np.log(np.array([deviations], np.float32)),
        turns=np.array([[1.0, 0, 0, 0]], np.float32), opacity=np.array([logit], np.float32),
        sh=((np.array([[rgb]]) - 0.5) / C0).astype(np.float32), **more,
    )  # fmt: skip
