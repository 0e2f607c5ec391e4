"""What benchmarks of generating studies share: training for so much processor time, drawing samples, judging them.

Knows the probe ``samples`` by its controls, and no study by name; the judge is :mod:`app.bench.frechet`. Environment
variables: ``MUTOSCOPE_BENCH_CPU_SECONDS`` for each study's training (processor time of the whole process, all threads
together), ``MUTOSCOPE_BENCH_SAMPLES`` (2000), ``MUTOSCOPE_BENCH_THREADS`` (all cores), ``MUTOSCOPE_BENCH_STUDIES``
(names with commas, where others are wanted) and ``MUTOSCOPE_BENCH_RUNS``: a folder in which the runs and pictures of
their samples are kept.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.bench.frechet import Judge, coverage, frechet
from app.bench.rows import Row
from app.headless import CommandError
from app.headless.client import Client, Interrupted, heed
from engine import messages as m
from engine.data import DataError
from engine.machine import cores
from engine.payloads import ImageGrid
from engine.probes import EVERY_CLASS

DATA = "fashion_mnist"
SAMPLES = 2000
POLL = 0.25
SEED, NEXT_SEED = 7, 1_000_003
"""Samples beyond what one answer holds come with the next seed; far apart, since a study may number its noise."""
COVERED = 0.02
"""A class counts as covered from this share of the samples on; a tenth would be even."""
SHEET = 100
"""Samples on the sheet that is kept."""

Settings = Mapping[str, Any]


# ---- what is wanted -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What is wanted of a benchmark; ``budget`` is the training time that its promises are about."""

    cpu_seconds: float
    samples: int = SAMPLES
    threads: int | None = None
    studies: tuple[str, ...] = ()
    runs: Path | None = None
    budget: float = 600.0

    @property
    def full(self) -> bool:
        """Whether the promises are about figures like these."""
        return self.cpu_seconds == self.budget and self.samples >= SAMPLES


def planned(environ: Mapping[str, str], budget: float, known: Iterable[str], default: Iterable[str] = ()) -> Plan:
    """The plan in the environment variables: of the studies that are ``known`` those that are named, else ``default``,
    else all. CommandError naming the variable that makes no sense."""

    def positive(name: str, kind: Callable[[str], Any], default: Any) -> Any:
        text = environ.get(name, "")
        try:
            value = kind(text) if text else default
        except ValueError:
            value = -1
        if value is not None and not 0 < value < 1e9:
            raise CommandError(f"{name}: {text!r} is not a positive number")
        return value

    there = tuple(known)
    wanted = tuple(filter(None, environ.get("MUTOSCOPE_BENCH_STUDIES", "").split(","))) or tuple(default) or there
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise CommandError(f"MUTOSCOPE_BENCH_STUDIES: {unknown[0]!r} is not one of {', '.join(there)}")
    runs = environ.get("MUTOSCOPE_BENCH_RUNS", "")
    return Plan(
        positive("MUTOSCOPE_BENCH_CPU_SECONDS", float, budget),
        max(20, positive("MUTOSCOPE_BENCH_SAMPLES", int, SAMPLES)),  # fewer tell nothing, two per class
        positive("MUTOSCOPE_BENCH_THREADS", int, None),
        tuple(name for name in there if name in wanted),
        Path(runs) if runs else None,
        budget,
    )


def carried_out(bench: str, plan: Callable[[], Plan], measure: Callable[[Plan, Path], list[Row]]) -> list[Row]:
    """The rows of ``measure``, which gets the plan and a folder for runs and pictures. Ends the process with one line
    where the plan makes no sense or there are no data."""
    try:
        wanted = plan()
        if wanted.runs is not None:
            wanted.runs.mkdir(parents=True, exist_ok=True)
            return measure(wanted, Path(tempfile.mkdtemp(prefix=f"{bench}-", dir=wanted.runs)))
        with tempfile.TemporaryDirectory(prefix="mutoscope-bench-") as folder:
            return measure(wanted, Path(folder))
    except Interrupted:
        raise SystemExit(f"bench: {bench}: interrupted") from None
    except (CommandError, DataError, OSError) as e:
        raise SystemExit(f"bench: {bench}: {' '.join(str(e).split())}") from None


def one_by_one(bench: str, wanted: Plan, rows_of: Callable[[str], list[Row]]) -> list[Row]:
    """The rows of every study that is wanted; one that fails is a row that says so."""
    rows: list[Row] = []
    for study in wanted.studies:
        say(f"{study}: {wanted.cpu_seconds:g} CPU-seconds of training …")
        try:
            rows += rows_of(study)
        except CommandError as e:  # the others' hours are not thrown away with it
            say(f"{study}: {e}")
            rows.append(Row(f"{bench}: {study}", 0.0, "(none)", peer=f"failed: {e}", kept=False))
    return rows


def say(text: str) -> None:
    """One line on how far it is."""
    sys.stderr.write(f"  {text}\n")


# ---- training and judging -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """A study that is open and has been trained; ``row`` tells for how long. ``client`` is None where there is no such
    study."""

    row: Row
    client: Client | None = None
    opened: m.Opened | None = None


@contextmanager
def trained(bench: str, study: str, data: str, wanted: Plan, folder: Path) -> Iterator[Trained]:
    """Trains a study through the engine, as ``main.py train`` does, into a run in ``folder``."""
    with Client(wanted.threads or cores()) as client:
        known = {d.key for d in client.catalogue().studies if not d.error}
        if study not in known:
            yield Trained(Row(f"{bench}: {study}", 0.0, "(none)", peer="skipped: there is no such study"))
            return
        opened = client.open(study=study, data=data)
        client.post(m.AutosaveTo(str(folder / study)))
        steps, seconds = train_for(client, wanted.cpu_seconds)
        say(f"{study}: {steps} steps in {seconds:.0f} CPU-seconds; {wanted.samples} samples …")
        name = f"{bench}: {study}, training steps of {opened.knobs.get('batch', '?')}"
        yield Trained(Row(name, steps, "steps", f"{seconds:.0f} CPU-s"), client, opened)


class Score:
    """Distances to the held-out pictures, and to what the VAE reached once that is known."""

    def __init__(self, source: Any, judge: Judge, bench: str = "diffusion") -> None:
        self._source = source
        self._bench = bench
        self._judge = judge
        self._real = judge.features(source.held_out.images)
        self.vae: float | None = None

    @property
    def classes(self) -> int:
        return len(self._source.label_names)

    def distance(self, images: NDArray[Any]) -> float:
        return frechet(self._judge.features(images), self._real)

    def right(self, images: NDArray[Any], asked: NDArray[np.int64]) -> float:
        """The share of pictures in which the judge sees the class that was asked for."""
        return float((self._judge.classified(images) == asked).mean())

    def covered(self, images: NDArray[Any]) -> int:
        return coverage(self._judge.classified(images), self.classes, COVERED)

    def largest(self, images: NDArray[Any]) -> float:
        """The share of the class that the judge sees most often."""
        return float(np.bincount(self._judge.classified(images)).max() / len(images))

    def row(self, name: str, distance: float, bar: float | None = None) -> Row:
        """A distance against the VAE's; ``bar`` is the promised ratio."""
        ratio = distance / self.vae if self.vae else None
        peer = f"VAE: {self.vae:.2f}" if self.vae else ""
        if bar is None or ratio is None:
            return Row(name, distance, "Frechet", peer, ratio)
        return Row(name, distance, "Frechet", peer, ratio, f"<= {bar:g} of the VAE's", ratio <= bar)

    def yardsticks(self) -> list[Row]:
        """Real pictures of the training part in the place of samples, and how often the judge itself is right."""
        train, held_out = self._source.train.images, self._source.held_out
        accuracy = 100 * self.right(held_out.images, held_out.labels)
        counts = sorted({min(n, len(train)) for n in (SAMPLES, 10_000)})
        return [
            *(self.row(f"{self._bench}: {n:,} real training pictures", self.distance(train[:n])) for n in counts),
            Row(f"{self._bench}: real held-out pictures, right class", accuracy, "%"),
        ]


def train_for(client: Client, cpu_seconds: float) -> tuple[int, float]:
    """Trains what is open until this process has used so much processor time, at least one step; the steps and the
    seconds that it really took, the first snapshot of the run among them. CommandError if training fails."""
    begun = time.process_time()
    client.post(m.Train())
    step, asked = 0, False
    while True:
        report = client.next_report(POLL)
        if isinstance(report, m.Status):
            step = max(step, report.step)
            if asked and report.state == "idle":
                return step, time.process_time() - begun
        else:
            heed(report)
        if not asked and step and time.process_time() - begun >= cpu_seconds:
            client.post(m.Pause())
            asked = True


class Samples:
    """Draws from the probe ``samples`` of what is open, in as many asks as its ``count`` makes necessary."""

    def __init__(self, client: Client, opened: m.Opened, classes: int) -> None:
        spec = opened.study.probe("samples")
        if spec is None:
            raise CommandError(f"{opened.study.key} has no probe 'samples'")
        self._client = client
        self._spec = spec
        self._classes = classes
        self._defaults = spec.values({}, opened.knobs)
        most = int(getattr(spec.controls["count"], "hi", 1))
        self._most = max(1, most - most % classes) if most > classes else most  # so that classes go on in turn

    def control(self, name: str) -> Any:
        """A control's own value; 0 where there is no such control."""
        return self._defaults.get(name, 0)

    def draw(self, count: int, settings: Settings) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
        """Pictures (count, H, W, C) and the classes that they were asked to be, every class in turn; None where the
        study cannot be asked for one. ``settings`` that the probe has no control for are left out."""
        given = {name: value for name, value in settings.items() if name in self._spec.controls}
        if "label" in self._spec.controls:
            given["label"] = EVERY_CLASS
        pictures: list[Any] = []
        labels: list[Any] = []
        for part, at in enumerate(range(0, count, self._most)):
            n = min(self._most, count - at)
            (grid,) = self._client.ask("samples", given | {"count": n, "seed": SEED + NEXT_SEED * part})
            if not isinstance(grid, ImageGrid) or len(grid.images) != n:
                raise CommandError(f"samples: {n} pictures were asked for, {type(grid).__name__} came")
            pictures.append(grid.images)
            labels.append(np.arange(n) % self._classes if grid.labels is None else grid.labels)
        return np.concatenate(pictures), np.concatenate(labels) if "label" in given else None
