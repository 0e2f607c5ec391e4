"""Whether a window can be shown here; where it cannot, the same command again on a virtual screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

XVFB = ("xvfb-run", "-a", "-s", "-screen 0 1920x1200x24")
NO_SCREEN = "There is no display here and no virtual screen: please install the package xvfb, then try again.\n"
INTERRUPTED = 130


def has_screen(environ: Mapping[str, str], platform: str) -> bool:
    """Whether ``environ`` names a place to show a window in; only X and Wayland systems can lack one."""
    if not platform.startswith(("linux", "freebsd")):
        return True
    if environ.get("QT_QPA_PLATFORM", "").split(":")[0] not in ("", "xcb", "wayland"):
        return True
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def again_on_a_virtual_screen() -> int:
    """Runs this very command under xvfb-run; its exit code, 1 with one line of advice where there is no xvfb-run."""
    if shutil.which(XVFB[0]) is None:
        sys.stderr.write(NO_SCREEN)
        return 1
    command = (*XVFB, sys.executable, *sys.orig_argv[1:])
    try:
        return subprocess.call(command, env={**os.environ, "QT_QPA_PLATFORM": "xcb"})
    except KeyboardInterrupt:
        return INTERRUPTED
