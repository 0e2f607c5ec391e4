"""How soon the window stands, against a process that only imports PySide6's widgets and pyqtgraph.

Both are processes of their own, run in turns, so that a machine that slows down slows down both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from app.bench.rows import Row, median

PAIRS = 7
BAR = 1.5
ROOT = Path(__file__).resolve().parents[2]

# The real start, with one change: the first paint of the window asks for the time once it is on screen.
WINDOW = """
import os, sys, time
from PySide6.QtCore import QTimer
import app.start
from app.window import MainWindow
paint, seen = MainWindow.paintEvent, []
def done():
    sys.stdout.write(f"{time.monotonic()} {'torch' in sys.modules}")
    sys.stdout.flush()
    os._exit(0)
def first(self, event):
    paint(self, event)
    if not seen:
        seen.append(True)
        QTimer.singleShot(0, done)
MainWindow.paintEvent = first
from app.cli import main
main([])
"""
PEER = """
import sys, time
import PySide6.QtWidgets, pyqtgraph
sys.stdout.write(f"{time.monotonic()} False")
"""


def measure() -> list[Row]:
    """Medians of seven pairs after one pair that only warms the disk."""
    window: list[float] = []
    peer: list[float] = []
    with_torch = 0
    with tempfile.TemporaryDirectory(prefix="mutoscope-") as home:
        for _ in range(PAIRS + 1):
            seconds, torch = timed(WINDOW, home)
            window.append(seconds)
            with_torch += torch
            peer.append(timed(PEER, home)[0])
    ours, theirs = median(window[1:]), median(peer[1:])
    ratio = ours / theirs
    return [
        Row("startup: window on screen", ours, "s", f"importing PySide6 and pyqtgraph: {theirs:.3f} s", ratio,
            f"<= {BAR:g} x", ratio <= BAR),
        Row("startup: torch imported before the first picture", with_torch, f"of {PAIRS + 1} starts", bar="0",
            kept=with_torch == 0),
    ]  # fmt: skip


def timed(code: str, home: str) -> tuple[float, bool]:
    """Seconds from the start of a process to what ``code`` writes, and whether torch was imported by then.

    ``home`` stands in for the user's folders.
    """
    folders = {name: home for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA")}
    begun = time.monotonic()  # one clock for all processes of a machine
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **folders},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode or not done.stdout:
        raise RuntimeError(f"the process to be timed failed: {done.stderr.strip()[-500:]}")
    at, torch = done.stdout.split()
    return float(at) - begun, torch == "True"
