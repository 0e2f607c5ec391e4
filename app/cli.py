"""The command line: which words there are and who answers them. Imports what a command needs, when it needs it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

BAD_INPUT = 2


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="main.py", description="Mutoscope: turn the crank, watch the model change.")
    words = top.add_subparsers(dest="command", metavar="COMMAND")
    window = words.add_parser("window", help="the window (the default)")
    window.add_argument("run", nargs="?", default="", metavar="RUN", help="a run folder or snapshot to open")
    window.add_argument("--study", default="", help="a study to open")
    return top


def main(argv: Sequence[str]) -> int:
    """Runs one command; its exit code: 0 done, 2 bad arguments or input, 3 training diverged, 130 interrupted."""
    args = parser().parse_args(list(argv) or ["window"])
    if args.command == "window":
        from app.start import run_window

        return run_window(args.run, args.study)
    return BAD_INPUT
