"""Whether Triton works here: it is one thing to be installed, another to find a driver and a C compiler."""

from __future__ import annotations

import subprocess

import torch
import triton
import triton.language as tl
from triton.errors import TritonError


@triton.jit
def _one(out):  # type: ignore[no-untyped-def]
    tl.store(out, 1.0)


def works(device: torch.device) -> bool:
    """Launches a kernel that writes a one."""
    out = torch.zeros(1, device=device)
    try:
        _one[(1,)](out, enable_fp_fusion=True)  # said, as Triton warns of a default that changes
    except (TritonError, RuntimeError, OSError, ImportError, subprocess.SubprocessError):
        return False
    return float(out) == 1
