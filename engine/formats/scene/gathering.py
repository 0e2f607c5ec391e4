"""Numbers of 4 bytes out of records, compiled by numba: a third of numpy's time, and one look for what is not finite.

Imported by need: the first import ever compiles, later ones read what was kept on disk. Knows neither files nor names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from engine.formats.scene.records import EXPONENT


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    # Unsigned throughout: a number that may be negative is held against the end of its array for each access.
    signature = "uint32(uint32[:,::1],uint64[::1],uint32[:,::1],uint64,uint64)"
    try:
        out: Callable[..., Any] = numba.njit(signature, cache=True, nogil=True)(function)
    except RuntimeError:  # there is no folder that may be written: compiled anew with each start
        out = numba.njit(signature, nogil=True)(function)
    return out


@_compiled
def gather(rows: np.ndarray, words: np.ndarray, out: np.ndarray, start: int, end: int) -> Any:
    """Copies ``words`` uint64 (k,) of the first of ``rows`` uint32 (n, w) to ``out[start:end]`` uint32 (N, k), and
    returns the most of their exponents: ``EXPONENT`` where, as float32, one of them is not finite."""
    top = np.uint32(0)
    for i in range(end - start):
        for c in range(np.uint64(words.size)):
            word = rows[i, words[c]]
            out[start + i, c] = word
            top = max(top, word & np.uint32(EXPONENT))
    return top
