"""The command line: which words there are and who answers them. Imports what a command needs, when it needs it."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from app.headless import INTERRUPTED, CommandError

LARGEST = 2**31 - 1

EXIT_CODES = """exit codes: 0 done, 1 a fault of the program or the machine, 2 bad arguments or bad input, 3 training
diverged, 130 interrupted by Ctrl+C (what was trained is saved and can be resumed; a second Ctrl+C ends at once)"""


class _Parser(argparse.ArgumentParser):
    """Complains in one line, without the usage; accepts no shortened options, which scripts would come to rely on."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **kwargs})

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message}; {self.prog} --help tells more")


# ---- kinds of arguments ---------------------------------------------------------------------------------------------


def _whole(lo: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not lo <= value <= LARGEST:
            raise argparse.ArgumentTypeError(f"{text} is outside the range from {lo} to {LARGEST}")
        return value

    return whole


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return value


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _colour(text: str) -> tuple[float, float, float]:
    try:
        r, g, b = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not R,G,B, such as 1,1,1") from None
    if not all(0 <= c <= 1 for c in (r, g, b)):  # not a number fails too
        raise argparse.ArgumentTypeError(f"{text} is not within 0..1")
    return r, g, b


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{2,5})x(\d{2,5})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, such as 1280x800")
    return int(found[1]), int(found[2])


# ---- the words ------------------------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    top = _Parser(
        prog="main.py",
        description="Mutoscope: turn the crank, watch the model change. Without a command: the window.",
        epilog=EXIT_CODES,
    )
    words = top.add_subparsers(dest="command", metavar="COMMAND")

    def word(name: str, text: str, answer: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        command = words.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", epilog=EXIT_CODES)
        command.set_defaults(answer=answer)
        return command

    window = word("window", "the window (the default)", _window)
    window.add_argument("run", nargs="?", default="", metavar="RUN", help="a run folder or snapshot to open")
    window.add_argument("--study", default="", help="a study to open")

    studies = word("list", "the studies: key, family, title, paper", _list)
    studies.add_argument("--json", action="store_true", help="as a JSON array, with knobs and probes")

    train = word("train", "trains a study into a run folder, without a window", _train)
    train.add_argument("study", metavar="STUDY", help="its key, as list shows it")
    train.add_argument("--data", default="", metavar="D", help="data set; without: the study's own choice")
    train.add_argument("--folder", default="", metavar="PATH", help="folder of images, for data set folder")
    amount = train.add_mutually_exclusive_group()
    amount.add_argument("--steps", type=_whole(1), metavar="N", help="exactly so many steps (without: 1000)")
    amount.add_argument("--seconds", type=_seconds, metavar="S", help="as many steps as fit into S seconds of training")
    _add_set(train, "KNOB=VALUE")
    train.add_argument("--seed", type=_whole(0), default=0, metavar="K", help="of weights, batches and noise")
    _add_device(train)
    train.add_argument("--out", required=True, metavar="RUN", help="run folder to make")

    resume = word("resume", "goes on with a run, bit for bit as if it had never stopped (on a CPU)", _resume)
    resume.add_argument("run", metavar="RUN", help="run folder")
    resume.add_argument(
        "--steps",
        type=_whole(1),
        metavar="N",
        help="so many more steps; without: up to the step once asked for, or 1000 more if it is reached",
    )

    probe = word("probe", "puts a question to a run and writes the answer; the run is only read", _probe)
    probe.add_argument("run", metavar="RUN", help="run folder, snapshot file, or a study without training")
    probe.add_argument("probe", metavar="PROBE", help="its name, as list --json shows it")
    _add_set(probe, "CONTROL=VALUE")
    _add_device(probe)
    probe.add_argument("--out", required=True, metavar="FILE", help=".png .gif .mp4 .json .npz .ply .spz .obj ...")

    view = word("view", "shows meshes, point clouds and splats, in the window or as a picture", _view)
    view.add_argument("files", nargs="+", metavar="FILE", help="PLY, SPLAT, SPZ, OBJ, STL, GLB, PCD, XYZ, LAS, NPY ...")
    view.add_argument("--size", type=_size, default=None, metavar="WxH", help="of the window or picture")
    camera = "in the files' own coordinates, such as 3,0,1/0,0,0/0,0,1/45; without: all is seen"
    view.add_argument("--camera", default="", metavar="EYE/TARGET/UP/FOV", help=camera)
    view.add_argument("--background", type=_colour, default=None, metavar="R,G,B", help="each within 0..1")
    view.add_argument("--screenshot", default="", metavar="PNG", help="makes this picture, without a window")

    convert = word("convert", "writes a 3-D file as another kind, and tells what was rounded or lost", _convert)
    convert.add_argument("source", metavar="A", help="splats: PLY, compressed PLY, SPLAT, SPZ, SOG; points and meshes")
    kinds = ".ply .compressed.ply .splat .spz, points and meshes: .ply .obj .glb .xyz"
    convert.add_argument("target", metavar="B", help=f"its ending says what it becomes: {kinds}")
    convert.add_argument("--force", action="store_true", help="replaces B where it is there already")
    convert.add_argument("--spz", type=int, choices=(2, 3, 4), default=3, help="version of .spz (without: 3)")

    starters = word("starters", "trains the snapshots that the welcome page opens", _starters)
    starters.add_argument("--only", default="", metavar="NAME", help="one of them")
    starters.add_argument("--out", default="", metavar="DIR", help="where (without: resources/starters)")
    _add_device(starters)

    tour = word("tour", "drives the window through every study and saves pictures", _tour)
    tour.add_argument("--out", required=True, metavar="DIR", help="where the pictures go")
    tour.add_argument("--size", type=_size, default=None, metavar="WxH", help="of the window")
    tour.add_argument("--theme", choices=("dark", "light"), default=None)
    tour.add_argument("--screenshot", default="", metavar="PNG", help="copies the README's picture there")
    tour.add_argument("--seconds", type=_seconds, default=8.0, metavar="S", help="of training in each study")
    tour.add_argument("--only", nargs="+", default=[], metavar="STUDY", help="goes through these studies and no more")

    bench = word("bench", "measures: figure, unit, machine, ratio to its peer in the same run", _bench)
    bench.add_argument("names", nargs="*", metavar="NAME", help="benchmarks (without: all)")
    bench.add_argument("--json", default=None, metavar="FILE", help="also write them to FILE")
    return top


def _add_set(command: argparse.ArgumentParser, form: str) -> None:
    command.add_argument("--set", action="append", type=_setting, default=[], metavar=form, dest="settings")


def _add_device(command: argparse.ArgumentParser) -> None:
    text = "without: auto, CUDA where there is one"
    command.add_argument("--device", choices=("cpu", "cuda", "auto"), default="auto", help=text)


# ---- who answers ----------------------------------------------------------------------------------------------------


def _window(args: argparse.Namespace) -> int:
    from app.start import run_window

    return run_window(args.run, args.study)


def _list(args: argparse.Namespace) -> int:
    from app.headless.asking import list_studies

    list_studies(args.json)
    return 0


def _train(args: argparse.Namespace) -> int:
    from app.headless.training import closing_line, train

    train(
        args.study,
        args.out,
        data=args.data,
        folder=args.folder,
        knobs=dict(args.settings),
        steps=args.steps,
        seconds=args.seconds,
        seed=args.seed,
        device=args.device,
    )
    sys.stdout.write(closing_line(Path(args.out)) + "\n")
    return 0


def _resume(args: argparse.Namespace) -> int:
    from app.headless.training import closing_line, resume

    resume(args.run, steps=args.steps)
    sys.stdout.write(closing_line(Path(args.run)) + "\n")
    return 0


def _probe(args: argparse.Namespace) -> int:
    from app.headless.asking import probe

    probe(args.run, args.probe, dict(args.settings), args.out, args.device)
    return 0


def _view(args: argparse.Namespace) -> int:
    from app.viewing import Wish, view

    return view(Wish(tuple(args.files), args.size, args.camera, args.background), args.screenshot)


def _convert(args: argparse.Namespace) -> int:
    from app.headless.converting import convert

    convert(args.source, args.target, args.force, args.spz)
    return 0


def _starters(args: argparse.Namespace) -> int:
    from app.starters import make_starters

    make_starters(args.only, Path(args.out) if args.out else None, args.device)
    return 0


def _tour(args: argparse.Namespace) -> int:
    from app.tour import run_tour

    screenshot = Path(args.screenshot) if args.screenshot else None
    return run_tour(Path(args.out), args.size, args.theme, args.seconds, screenshot, tuple(args.only))


def _bench(args: argparse.Namespace) -> int:
    from app.bench import run_bench

    return run_bench(args.names, Path(args.json) if args.json else None)


def main(argv: Sequence[str]) -> int:
    """Runs one command; its exit code: 0 done, 1 fault, 2 bad arguments or input, 3 training diverged, 130 interrupted.

    Whatever goes wrong is one line on stderr, after a traceback only where the program is to blame.
    """
    command = ""
    try:
        args = parser().parse_args(list(argv) or ["window"])
        command = args.command
        answer: Callable[[argparse.Namespace], int] = args.answer
        return answer(args)
    except CommandError as e:
        sys.stderr.write(f"{e.detail}main.py{f' {command}' if command else ''}: {e}\n")
        return e.code
    except KeyboardInterrupt:
        return INTERRUPTED
