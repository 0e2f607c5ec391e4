"""Decides where windows go: the person's own display, or a virtual one. Knows the command line, not the application.

``screen.py window [ARG]...`` starts the application, or its recorded tour where there is no display;
``screen.py virtual COMMAND...`` runs a command on a virtual screen, so that nobody's desktop is disturbed.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURES = "out/tour"
XVFB = ("xvfb-run", "-a", "-s", "-screen 0 1920x1200x24")
NO_XVFB = "There is no virtual screen: please install the package xvfb (it brings xvfb-run), then try again."


@dataclass(frozen=True)
class Plan:
    """What to do: say ``before``, run ``command`` (none: give up), and where that went well say ``after``."""

    command: tuple[str, ...] = ()
    before: str = ""
    after: str = ""
    virtual: bool = False


def reachable(address: str | tuple[str, int]) -> bool:
    """Whether something listens at a socket's path, or at a host and port."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(2.0)
        try:
            s.connect(address)
        except OSError:
            return False
    return True


def has_display(
    environ: Mapping[str, str], platform: str, listens: Callable[[str | tuple[str, int]], bool] = reachable
) -> bool:
    """Whether a window can open here: ``environ`` names a display, and something answers there."""
    if not platform.startswith(("linux", "freebsd")):
        return True
    if environ.get("QT_QPA_PLATFORM", "").split(":")[0] not in ("", "xcb", "wayland"):
        return True  # somebody has said where to draw (offscreen, vnc, eglfs): not ours to doubt
    wayland = environ.get("WAYLAND_DISPLAY", "")
    if wayland and listens(os.path.join(environ.get("XDG_RUNTIME_DIR", ""), wayland)):
        return True
    host, colon, number = environ.get("DISPLAY", "").rpartition(":")
    number = number.split(".")[0]
    if not (colon and number.isdigit()):
        return False
    if host in ("", "unix"):
        path = f"/tmp/.X11-unix/X{number}"
        return listens(path) or listens("\0" + path)  # the second: Linux's abstract name of the same
    return listens((host, 6000 + int(number)))


def plan_window(display: bool, xvfb: bool, python: str, args: Sequence[str] = ()) -> Plan:
    """What ``make run`` does."""
    if display:
        return Plan((python, "main.py", *args))
    if not xvfb:
        return Plan(before=f"There is no display here to open a window on. {NO_XVFB}")
    return Plan(
        (python, "main.py", "tour", "--out", PICTURES),
        before=f"There is no display here: running the recorded tour instead, its pictures go to {PICTURES}/.",
        after=f"The pictures of the tour are in {ROOT / PICTURES}",
        virtual=True,
    )


def plan_virtual(platform: str, xvfb: bool, command: Sequence[str]) -> Plan:
    """What the tests and the other commands with windows do: where there is no Xvfb to expect, the real screen."""
    if not platform.startswith("linux"):
        return Plan(tuple(command))
    return Plan(tuple(command), virtual=True) if xvfb else Plan(before=NO_XVFB)


def carry_out(plan: Plan) -> int:
    """Does what the plan says; the command's exit status, 1 where there is none to run."""
    if plan.before:
        print(plan.before, flush=True)
    if not plan.command:
        return 1
    env = dict(os.environ)
    command = plan.command
    if plan.virtual:
        command = (*XVFB, *command)
        env["QT_QPA_PLATFORM"] = "xcb"
        env.pop("WAYLAND_DISPLAY", None)
    try:
        status = subprocess.call(command, cwd=ROOT, env=env)
    except KeyboardInterrupt:
        return 130
    if status == 0 and plan.after:
        print(plan.after, flush=True)
    return status if status >= 0 else 128 - status


def main(argv: Sequence[str]) -> int:
    xvfb = shutil.which(XVFB[0]) is not None
    if argv[:1] == ["window"]:
        return carry_out(plan_window(has_display(os.environ, sys.platform), xvfb, sys.executable, argv[1:]))
    if argv[:1] == ["virtual"] and len(argv) > 1:
        return carry_out(plan_virtual(sys.platform, xvfb, argv[1:]))
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
