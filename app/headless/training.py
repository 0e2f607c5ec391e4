"""``train`` and ``resume``: a study trained into a run folder, without a window. Knows no study."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.headless import FAULT, INTERRUPTED, CommandError
from app.headless.client import Client, Interrupted, failed, heed, warn
from app.headless.progress import Progress, figures, step_line
from engine import messages as m
from engine.params import BadValue
from engine.study import Declaration

FOLDERS = ("folder", "capture")
"""Data sets that are a folder of the person's: of images, of photographs with cameras."""
DEFAULT_STEPS = 1000
"""Steps of ``train`` without --steps and --seconds, and of ``resume`` where the run has reached what was asked for."""
STATUS_EVERY = 0.25


def train(
    study: str,
    out: str,
    *,
    data: str = "",
    folder: str = "",
    knobs: Mapping[str, str] | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    device: str = "auto",
) -> None:
    """Trains ``study`` afresh into the run folder ``out``: ``steps`` steps, or as many as fit into ``seconds``.

    ``knobs`` are as typed, ``folder`` the images of data set ``folder``. CommandError with the reason where it fails.
    """
    path = Path(out)
    if (path / "config.json").exists():
        raise CommandError(f"{out}: holds a run already; choose another folder, or resume it")
    if path.exists() and not path.is_dir():
        raise CommandError(f"{out}: is a file; --out names a folder")
    if folder:
        if data not in ("", *FOLDERS):
            raise CommandError(f"--folder goes with --data {' or '.join(FOLDERS)}, not with {data}")
        data, folder = data or FOLDERS[0], str(Path(folder).resolve())  # so that it is found again from elsewhere
    if steps is None and seconds is None:
        steps = DEFAULT_STEPS
    with Client() as client:
        training = _Training(client, path)
        try:
            declaration = declared(client.catalogue(), study)
            if not declaration.trains:
                raise CommandError(f"{study} has nothing to train")
            values = parse_knobs(declaration, knobs or {})
            opened = client.open(study=study, data=data, knobs=values, seed=seed, folder=folder, device=device)
            training.run(opened, steps, seconds)
        except Interrupted:
            raise training.interrupted() from None


def resume(run: str, *, steps: int | None = None) -> None:
    """Trains the run on in its folder, on the kind of device that it was on: ``steps`` more steps; without, up to the
    step that it was once asked for, or ``DEFAULT_STEPS`` more where it is there already or never was asked for one."""
    from engine.formats.runs import Run, RunError

    path = Path(run)
    if not path.is_dir():
        raise CommandError(f"{run}: there is no such run folder")
    try:
        config = Run(path).config()
    except RunError as e:
        raise CommandError(str(e)) from None
    device = config.get("device") if config.get("device") in ("cpu", "cuda") else "auto"
    with Client() as client:
        training = _Training(client, path)
        try:
            client.catalogue()
            opened = client.open(run=run, keep=True, device=device)
            if steps is None:
                target = config.get("target")
                left = target - opened.step if isinstance(target, int) else 0
                steps = left if left > 0 else DEFAULT_STEPS
            training.run(opened, steps, None)
        except Interrupted:
            raise training.interrupted() from None


def declared(catalogue: m.Catalogue, study: str) -> Declaration:
    """The declaration of a study that can be opened; CommandError naming those that there are."""
    good = {d.key: d for d in catalogue.studies if not d.error}
    broken = {d.key: d.error for d in catalogue.studies if d.error}
    if study in broken:
        raise CommandError(f"study {study} could not be loaded: {broken[study]}")
    if study not in good:
        raise CommandError(f"there is no study {study!r}; there are {', '.join(sorted(good))}")
    return good[study]


def parse_knobs(declaration: Declaration, texts: Mapping[str, str]) -> dict[str, Any]:
    """Typed values of the knobs that a person set; CommandError for an unknown name or a bad value."""
    known = {k.name: k for k in declaration.knobs}
    for name in texts:
        if name not in known:
            raise CommandError(f"{name}: no such knob of {declaration.key}; there are {', '.join(known) or 'none'}")
    try:
        return {name: known[name].parse(text) for name, text in texts.items()}
    except BadValue as e:
        raise CommandError(str(e)) from None


class _Training:
    """One training of a command: follows the engine's reports until the held-out figures are in."""

    def __init__(self, client: Client, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self._progress = Progress()
        self._metrics: dict[str, float] = {}
        self._status: m.Status | None = None
        self._saved: m.Saved | None = None
        self._unsaved: m.Failure | None = None
        self._snapshots: tuple[int, ...] = ()
        self._ends_at: float | None = None

    def run(self, opened: m.Opened, steps: int | None, seconds: float | None) -> None:
        resumed = bool(opened.run)
        self._snapshots = opened.snapshots
        if not resumed:
            self._client.post(m.AutosaveTo(str(self._folder)))
        self._client.post(m.Train(steps))
        self._client.post(m.Evaluate())
        try:
            while True:
                report = self._client.next_report(STATUS_EVERY if self._ends_at is None else self._until_the_end())
                if isinstance(report, m.HeldOut):
                    break
                self._take(report, resumed)
                if seconds is not None and self._saved is not None and self._ends_at is None:
                    self._ends_at = time.monotonic() + seconds  # the run's first snapshot comes before its first step
                if self._ends_at is not None and time.monotonic() >= self._ends_at:
                    self._client.post(m.Pause())
                    self._ends_at = float("inf")
                line = self._line(opened.step)
                if line and self._progress.due:
                    self._progress.show(line)
        finally:
            self._progress.close()
        for late in self._client.finish():
            self._take(late, resumed)
        if self._unsaved is not None:
            raise failed(self._unsaved)

    def _until_the_end(self) -> float:
        assert self._ends_at is not None
        return max(0.0, min(STATUS_EVERY, self._ends_at - time.monotonic()))

    def _take(self, report: m.Report | None, resumed: bool) -> None:
        match report:
            case m.Saved():
                self._saved, self._unsaved, self._snapshots = report, None, report.snapshots
            case m.Metrics():
                for name, (_, values) in report.points.items():
                    if values.ndim == 1 and not name.startswith("held_out/"):
                        self._metrics[name] = float(values[-1])
            case m.Status():
                self._status = report
            case m.Failure(diverged=True):
                kept = f"; {self._folder} keeps the last good snapshot, step {max(self._snapshots, default=0)}"
                e = failed(report)
                raise CommandError(f"{e}{kept}", e.code)
            case m.Failure(where="save") if resumed or self._saved is not None:
                self._unsaved = report
                warn(f"{report.title}: {report.reason}")
            case _:
                heed(report)

    def _line(self, begun_at: int) -> str:
        status = self._status
        if status is None or status.step == begun_at:
            return ""
        if status.state == "idle":
            return f"step {status.step:,}  measuring the held-out part"
        return step_line(status.step, status.target, status.steps_per_second, self._metrics)

    def interrupted(self) -> CommandError:
        """Ctrl+C: saves, ends the engine and says how to go on."""
        self._client.post(m.Pause())
        for report in self._client.finish():
            match report:
                case m.Saved():
                    self._saved = report
                case m.Failure():
                    warn(f"{report.title}: {report.reason}")
        if self._saved is None:
            return CommandError("interrupted before anything was trained", INTERRUPTED)
        command = f"main.py resume {shlex.quote(self._saved.run)}"
        return CommandError(f"interrupted; saved at step {self._saved.step}; go on with: {command}", INTERRUPTED)


def closing_line(folder: Path) -> str:
    """What a run has come to, from its summary, as one line."""
    try:
        summary = json.loads((folder / "summary.json").read_text("utf-8"))
    except (OSError, ValueError) as e:
        raise CommandError(f"{folder / 'summary.json'}: was not written ({e})", FAULT) from None
    on = f" on {summary['data']}" if summary["data"] else ""
    held_out = ", ".join(figures(summary["held_out"]))
    return (
        f"{summary['study']}{on}: step {summary['steps']:,}, {summary['seconds']:.1f} s of training "
        f"({summary['steps_per_second']:.1f} steps/s){'; held out: ' if held_out else ''}{held_out}; saved in {folder}"
    )
