"""What this machine and this installation are: device, memory, versions. Knows no study and no run."""

from __future__ import annotations

import gc
import os
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from engine.memory import trim


def pick_device(wish: str) -> torch.device:
    """``cpu``, ``cuda`` or ``auto`` (CUDA where there is one); ValueError with the reason where it cannot be had."""
    if wish not in ("cpu", "cuda", "auto"):
        raise ValueError(f"device {wish}: not one of cpu, cuda, auto")
    there = wish != "cpu" and torch.cuda.is_available()
    if wish == "cuda" and not there:
        raise ValueError("device cuda: this machine has no CUDA device that torch can use; take cpu or auto")
    return torch.device("cuda" if there else "cpu")


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"cpu x{torch.get_num_threads()}"


@lru_cache(maxsize=1)
def _process() -> Any:
    import psutil

    return psutil.Process()


def memory(device: torch.device) -> int:
    """Bytes in use now: of this process, or on the device where that is not the CPU."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    return int(_process().memory_info().rss)


def peak_memory(device: torch.device) -> int:
    """The most bytes that were ever in use: of this process, or on the device where that is not the CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # Windows: the present figure is the best there is
        return memory(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


@lru_cache(maxsize=1)
def _own_version() -> str:
    try:
        return version("mutoscope")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "0.1.0"


def versions() -> dict[str, str]:
    return {"mutoscope": _own_version(), "torch": str(torch.__version__), "python": sys.version.split()[0]}


def collect() -> None:
    """Collects cyclic garbage, unless somebody has turned that off: a window does, since its widgets must not be
    destroyed on the engine's thread, and collects on its own (``app/garbage.py``). A study itself needs none of it."""
    if gc.isenabled():
        gc.collect()


def give_back() -> None:
    """Returns to the system what a closed study leaves behind."""
    collect()
    trim()


@lru_cache(maxsize=4)
def fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 makes a network faster there. A processor has to have AMX: with AVX-512's bfloat16 alone a U-Net
    took longer than in float32. It is read from the flags, not measured: a resumed training must compute as before."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:  # not Linux: float32 is right everywhere
        return False
    return "amx_bf16" in flags
