"""Compiled kernels: how they are compiled, and how their work is spread over as many threads as torch uses.

Threads live for one call: a kernel takes milliseconds, a thread's start and end a twentieth of one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor


def kernel(signature: str, fastmath: Any = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compiles a function for the types of ``signature`` now, or reads what was compiled before; ``fastmath`` as numba
    has it."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            out: Callable[..., Any] = numba.njit(signature, cache=True, **options)(function)
        except RuntimeError:  # there is no folder that may be written: compiled anew with each start
            out = numba.njit(signature, **options)(function)
        return out

    return compiled


def array(tensor: Tensor) -> np.ndarray:
    """The tensor's memory as an array that the kernels take: contiguous float32 stays where it is."""
    out: np.ndarray = tensor.detach().contiguous().numpy()
    return out


def spread(work: Callable[[int, int], None], count: int, least: int) -> None:
    """Calls ``work(start, end)`` for parts of 0 .. ``count``, none but the last smaller than ``least``, at once."""
    parts = min(torch.get_num_threads(), max(1, count // least))
    if parts == 1:
        work(0, count)
        return
    bounds = [count * i // parts for i in range(parts + 1)]
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))
