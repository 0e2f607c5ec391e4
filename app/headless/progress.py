"""The one line on stderr that says how far training is. Knows no engine."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from typing import TextIO

EVERY = 1.0
"""Seconds between two lines."""


class Progress:
    """Rewrites one line on a terminal; elsewhere (a file, a pipe) each is a line of its own."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._shown_at = float("-inf")
        self._standing = False

    @property
    def due(self) -> bool:
        return time.monotonic() - self._shown_at >= EVERY

    def show(self, text: str) -> None:
        self._shown_at = time.monotonic()
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r{text[:width]}\x1b[K")
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()
        self._standing = self._terminal

    def close(self) -> None:
        """Leaves the last line where it stands, so that what follows begins a new one."""
        if self._standing:
            self._stream.write("\n")
            self._standing = False


def step_line(step: int, target: int | None, rate: float, metrics: Mapping[str, float]) -> str:
    """``step 1,240 / 3,000  29.0 steps/s  elbo -18.2 ...``, with what is left where that is known."""
    parts = [f"step {step:,}" + (f" / {target:,}" if target is not None else "")]
    if rate > 0:
        parts.append(f"{rate:.1f} steps/s")
        if target is not None and target > step:
            parts.append(f"{span((target - step) / rate)} left")
    return "  ".join([*parts, *figures(metrics)])


def figures(metrics: Mapping[str, float]) -> list[str]:
    return [f"{name} {value:.5g}" for name, value in metrics.items()]


def span(seconds: float) -> str:
    """``42 s``, ``3:05 min`` or ``2:10 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
