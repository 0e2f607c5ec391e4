"""A virtual screen for each process of a test run that is spread over several. Knows Xvfb, no Qt and no test.

Two windows on one screen take the keyboard from each other, and which of them is active decides many a test.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys

SIZE = "1920x1200x24"
_PR_SET_PDEATHSIG = 1


def own_screen() -> subprocess.Popen[bytes] | None:
    """Starts a screen and makes it this process's ``DISPLAY``, before Qt looks for one; None where there is no Xvfb.
    It ends with this process, however that ends."""
    xvfb = shutil.which("Xvfb") if sys.platform.startswith("linux") else None
    if xvfb is None:
        return None
    libc = ctypes.CDLL(None)
    reading, writing = os.pipe()
    server = subprocess.Popen(
        [xvfb, "-displayfd", str(writing), "-screen", "0", SIZE, "-nolisten", "tcp"],
        pass_fds=[writing],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),
    )
    os.close(writing)
    with os.fdopen(reading) as told:
        number = told.readline().strip()  # comes once the screen can be drawn on; empty if it never can
    if not number:
        raise OSError(f"Xvfb gave no screen (exit status {server.wait()})")
    os.environ.update(DISPLAY=f":{number}", QT_QPA_PLATFORM="xcb")
    os.environ.pop("WAYLAND_DISPLAY", None)
    return server
