"""The three forms of the rasteriser: plain torch (the reference), compiled for the processor, and on CUDA gsplat's
kernels where they are installed, else Triton's.

Knows which of them this machine has, not what they compute. A form is chosen by device and installation alone, never
by what is ready by now: a training that is resumed has to compute what it computed before.
"""

from __future__ import annotations

import subprocess
from functools import lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor

from engine.nn.radiance import forms as radiance

PLAIN, COMPILED, CUDA = "plain", "compiled", "cuda"
FORMS = (PLAIN, COMPILED, CUDA)


@lru_cache(maxsize=1)
def has_gsplat() -> bool:
    """Whether gsplat is installed and its kernels are there, which it compiles at its first import where it can: they
    are taken on CUDA in place of ours."""
    if find_spec("gsplat") is None:
        return False
    try:
        from gsplat.cuda._backend import _C
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError):
        return False
    return _C is not None


def best(device: torch.device) -> str:
    """The fastest form that ``device`` has."""
    name = radiance.best(device)
    if device.type == "cuda":
        return CUDA if name == radiance.TRITON else PLAIN
    return COMPILED if name == radiance.COMPILED else PLAIN


def of(form: str | None, tensor: Tensor) -> str:
    """``form``, or where it is None the best one for ``tensor``: only plain torch computes in more than float32."""
    if form is None:
        return best(tensor.device) if tensor.dtype == torch.float32 else PLAIN
    if form not in FORMS:
        raise ValueError(f"form {form}: not one of {', '.join(FORMS)}")
    return form
