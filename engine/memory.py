"""How glibc's allocator serves a training: what it keeps, in how many heaps. Knows no torch; idle on other systems."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache

_KEEP = {-1: 2**30, -3: 2**25}
"""glibc's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD (its largest), by their numbers in malloc.h."""
_ARENA_MAX = -8


@lru_cache(maxsize=1)
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


def one_arena() -> None:
    """Lets all threads share one heap; to be called before the thread that trains is started. In a heap of its own that
    thread cannot keep what it frees beyond 64 MB: the VAE made 11 to 12 steps/s there, and 15 in the shared one."""
    glibc = _glibc()
    if glibc is not None:
        glibc.mallopt(_ARENA_MAX, 1)


def keep_memory() -> None:
    """Lets the process keep the memory that a training step frees, for the next one. By itself glibc returns it to the
    system and fetches it again at each step: 55,000 page faults a second, a fifth of a training's speed."""
    glibc = _glibc()
    if glibc is not None:
        for option, value in _KEEP.items():
            glibc.mallopt(option, value)


def trim() -> None:
    """Returns to the system what is free."""
    glibc = _glibc()
    if glibc is not None:
        glibc.malloc_trim(0)
