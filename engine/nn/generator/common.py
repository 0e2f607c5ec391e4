"""What the probes of generators share: decoding in portions, and keeping what was computed until the weights change.

Knows no probe.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.nn.generator.generator import Generator, weights_state
from engine.nn.pictures import pictures
from engine.probes import Number

PORTION = 64
"""Codes that are decoded at once: more take longer than a hand waits."""
PSI = Number(
    1.0, 0.0, 2.0, label="ψ", text="Truncation: below 1 codes are drawn towards their middle, typical and alike."
)


class Keeping(Generator):
    """A generator that keeps what was computed of its weights, by name."""

    _kept: dict[str, tuple[Hashable, int, Any]] | None = None

    def recall(self, name: str, key: Hashable) -> Any:
        """What was kept as ``name`` for ``key``, with the weights as they are, or while a hand drags with older ones;
        None where there is no such thing."""
        there = (self._kept or {}).get(name)
        if there is None or there[0] != key or not (self.dragging or there[1] == weights_state(self)):
            return None
        return there[2]

    def keep(self, name: str, key: Hashable, state: int, value: Any) -> Any:
        """Keeps ``value``, computed from the weights of ``state``, in place of what had this name; gives it back."""
        if self._kept is None:
            self._kept = {}
        self._kept[name] = (key, state, value)
        return value

    def shown(self, w: Tensor) -> np.ndarray:
        """The pictures of codes (N, d_w): float32 (N, H, W, C) in 0..1."""
        return np.concatenate([pictures(self.decode_w(part)) for part in w.split(PORTION)])

    def drawn_w(self, count: int, seed: int = 0) -> Tensor:
        """``count`` codes (count, d_w) of a random draw."""
        z = self.draw_codes(count, torch.Generator().manual_seed(seed)).to(self.device)
        return torch.cat([self.to_w(part) for part in z.split(1000)])
