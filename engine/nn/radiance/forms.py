"""The three forms of the hot path: plain torch (the reference), compiled for the processor, Triton on CUDA.

Knows which of them this machine has, not what they compute. A form is chosen by the device alone, never by what is
ready by now: a training that is resumed has to compute what it computed before.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor

PLAIN, COMPILED, TRITON = "plain", "compiled", "triton"


@lru_cache(maxsize=1)
def _numba() -> bool:
    return find_spec("numba") is not None


@lru_cache(maxsize=4)
def _triton(device: torch.device) -> bool:
    if find_spec("triton") is None:
        return False
    from engine.nn.radiance.cuda.trial import works

    return works(device)


def best(device: torch.device) -> str:
    """The fastest form that ``device`` has."""
    if device.type == "cpu" and _numba():
        return COMPILED
    if device.type == "cuda" and _triton(device):
        return TRITON
    return PLAIN


def of(form: str | None, tensor: Tensor) -> str:
    """``form``, or where it is None the best one for ``tensor``: only plain torch computes in more than float32."""
    if form is None:
        return best(tensor.device) if tensor.dtype == torch.float32 else PLAIN
    if form not in (PLAIN, COMPILED, TRITON):
        raise ValueError(f"form {form}: not one of {PLAIN}, {COMPILED}, {TRITON}")
    return form
