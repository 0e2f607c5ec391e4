"""The multiresolution hash grid of ``nn/fields`` in its faster forms: the same table, the same numbers, less time.

Knows no network. Only the plain form can be differentiated twice.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from engine.nn.fields import encodings
from engine.nn.radiance import forms


class HashGrid(encodings.HashGrid):
    """Places x (N, 3) in [-1, 1]^3 -> (N, ``size``): x and the features of all levels. ``form`` is for all calls that
    name none; None: the best of the device."""

    def __init__(
        self,
        levels: int,
        log_entries: int,
        features: int = 2,
        coarsest: int = 16,
        finest: int = 512,
        form: str | None = None,
    ) -> None:
        super().__init__(levels, log_entries, features, coarsest, finest)
        self.form = form
        self.register_buffer("side_of_level", torch.tensor(self.sides), persistent=False)

    side_of_level: Tensor

    def forward(self, x: Tensor, form: str | None = None) -> Tensor:
        form = forms.of(form or self.form, x)
        if form == forms.PLAIN:
            return super().forward(x)
        encode: Callable[..., Tensor]
        if form == forms.COMPILED:
            from engine.nn.radiance.compiled.hashing import Encode  # compiles, or reads what was compiled before

            encode = Encode.apply
        else:
            from engine.nn.radiance.cuda import hashing as on_cuda

            encode = on_cuda.Encode.apply
        return encode(x, self.table, self.side_of_level, self.entries)
