"""What diffusion learns in ten CPU-minutes: every image study on Fashion-MNIST for the same time, judged alike.

Trains through the engine as ``main.py train`` does; the judge is :mod:`app.bench.frechet`. Knows the studies by name
and their probe ``samples`` by its controls. Environment variables: ``MUTOSCOPE_BENCH_CPU_SECONDS`` for each study's
training (default 600: processor time of the whole process, all threads together), ``MUTOSCOPE_BENCH_SAMPLES`` (2000),
``MUTOSCOPE_BENCH_THREADS`` (all cores), ``MUTOSCOPE_BENCH_STUDIES`` (names with commas, where not all are wanted) and
``MUTOSCOPE_BENCH_RUNS``: a folder in which the runs and pictures of their samples are kept.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.bench.frechet import Judge, coverage, frechet, ready
from app.bench.rows import Row
from app.headless import CommandError
from app.headless.client import Client, Interrupted, heed
from engine import messages as m
from engine.data import DataError
from engine.formats.export import write
from engine.machine import cores
from engine.payloads import ImageGrid
from engine.probes import EVERY_CLASS

DATA = "fashion_mnist"
BUDGET, SAMPLES = 600.0, 2000
BAR = 0.1
"""Of the VAE's distance: the promise for :data:`PROMISED` at the full budget and number of samples."""
PROMISED = "rectified_flow"
YARDSTICK = "vae"
POLL = 0.25
SEED, NEXT_SEED = 7, 1_000_003
"""Samples beyond what one answer holds come with the next seed; far apart, since a study may number its noise."""
LITTLE = 0.2
"""Guidance with which the distance is measured once more: little of it makes up for a network that is not done."""
GUIDED = 500
"""Samples with guidance, which cost twice as much: enough for a share of right classes to 2 % or so."""
COVERED = 0.02
"""A class counts as covered from this share of the samples on; a tenth would be even."""
SHEET = 100

Settings = Mapping[str, Any]
PLAIN: dict[str, Any] = {"guidance": 0.0}
MAIN: dict[str, Settings] = {
    YARDSTICK: {},
    "rectified_flow": PLAIN | {"sampler": "Heun", "steps": 10},
    "ddpm": PLAIN | {"sampler": "DDIM", "steps": 50},
    "latent_diffusion": PLAIN | {"sampler": "DDIM", "steps": 50},
}
"""The studies in their order, the yardstick first, and how each is sampled: 50 network calls, and the 19 of Heun 10,
which came nearer to the data than Heun 25 in every run so far."""
PAIRS: dict[str, tuple[tuple[tuple[str, int], tuple[str, int]], ...]] = {
    "rectified_flow": ((("Heun", 10), ("Euler", 20)), (("Heun", 5), ("Euler", 10))),
    "ddpm": ((("DDIM", 10), ("DDIM", 50)),),
}
"""Samplers set against each other on the same weights and noise; Heun's steps cost two calls each, but for the last."""


@dataclass(frozen=True)
class Plan:
    """What is wanted of the benchmark."""

    cpu_seconds: float = BUDGET
    samples: int = SAMPLES
    threads: int | None = None
    studies: tuple[str, ...] = tuple(MAIN)
    runs: Path | None = None

    @property
    def full(self) -> bool:
        """Whether the promise is about figures like these."""
        return self.cpu_seconds == BUDGET and self.samples >= SAMPLES


def plan(environ: Mapping[str, str]) -> Plan:
    """The plan in the environment variables; CommandError naming the one that makes no sense."""

    def positive(name: str, kind: Callable[[str], Any], default: Any) -> Any:
        text = environ.get(name, "")
        try:
            value = kind(text) if text else default
        except ValueError:
            value = -1
        if value is not None and not 0 < value < 1e9:
            raise CommandError(f"{name}: {text!r} is not a positive number")
        return value

    wanted = tuple(filter(None, environ.get("MUTOSCOPE_BENCH_STUDIES", "").split(","))) or tuple(MAIN)
    unknown = [name for name in wanted if name not in MAIN]
    if unknown:
        raise CommandError(f"MUTOSCOPE_BENCH_STUDIES: {unknown[0]!r} is not one of {', '.join(MAIN)}")
    runs = environ.get("MUTOSCOPE_BENCH_RUNS", "")
    return Plan(
        positive("MUTOSCOPE_BENCH_CPU_SECONDS", float, BUDGET),
        max(20, positive("MUTOSCOPE_BENCH_SAMPLES", int, SAMPLES)),  # fewer tell nothing, two per class
        positive("MUTOSCOPE_BENCH_THREADS", int, None),
        tuple(name for name in MAIN if name in wanted),
        Path(runs) if runs else None,
    )


def measure() -> list[Row]:
    """Rows for every study and for real pictures. Ends the process with one line where there are no data."""
    try:
        wanted = plan(os.environ)
        if wanted.runs is not None:
            wanted.runs.mkdir(parents=True, exist_ok=True)
            return _measure(wanted, Path(tempfile.mkdtemp(prefix="diffusion-", dir=wanted.runs)))
        with tempfile.TemporaryDirectory(prefix="mutoscope-bench-") as folder:
            return _measure(wanted, Path(folder))
    except Interrupted:
        raise SystemExit("bench: diffusion: interrupted") from None
    except (CommandError, DataError, OSError) as e:
        raise SystemExit(f"bench: diffusion: {' '.join(str(e).split())}") from None


def _measure(wanted: Plan, folder: Path) -> list[Row]:
    score = Score(*ready(DATA))
    rows: list[Row] = []
    for study in wanted.studies:
        _say(f"{study}: {wanted.cpu_seconds:g} CPU-seconds of training …")
        try:
            rows += _study_rows(study, wanted, score, folder)
        except CommandError as e:  # the others' hours are not thrown away with it
            _say(f"{study}: {e}")
            rows.append(Row(f"diffusion: {study}", 0.0, "(none)", peer=f"failed: {e}", kept=False))
    return rows + score.yardsticks()


def _say(text: str) -> None:
    sys.stderr.write(f"  {text}\n")


class Score:
    """Distances to the held-out pictures, and to what the VAE reached once that is known."""

    def __init__(self, source: Any, judge: Judge) -> None:
        self._source = source
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
            *(self.row(f"diffusion: {n:,} real training pictures", self.distance(train[:n])) for n in counts),
            Row("diffusion: real held-out pictures, right class", accuracy, "%"),
        ]


def _study_rows(study: str, wanted: Plan, score: Score, folder: Path) -> list[Row]:
    """Trains one study and judges its samples; CommandError where it fails."""
    with Client(wanted.threads or cores()) as client:
        known = {d.key: d for d in client.catalogue().studies if not d.error}
        if study not in known:
            return [Row(f"diffusion: {study}", 0.0, "(none)", peer="skipped: there is no such study")]
        opened = client.open(study=study, data=DATA)
        client.post(m.AutosaveTo(str(folder / study)))
        steps, seconds = train_for(client, wanted.cpu_seconds)
        batch = opened.knobs.get("batch", "?")
        rows = [Row(f"diffusion: {study}, training steps of {batch}", steps, "steps", f"{seconds:.0f} CPU-s")]
        _say(f"{study}: {steps} steps in {seconds:.0f} CPU-seconds; {wanted.samples} samples …")
        made = Samples(client, opened, score.classes)
        images, asked = made.draw(wanted.samples, MAIN[study])
        write(str(folder / f"{study}.png"), [ImageGrid(images[:SHEET], columns=10)])
        distance = score.distance(images)
        if study == YARDSTICK:
            score.vae = distance
        name = f"diffusion: {study}{_how(MAIN[study])}"
        rows.append(score.row(name, distance, BAR if study == PROMISED and wanted.full else None))
        rows.append(Row(f"{name}, classes seen", score.covered(images), f"of {score.classes}"))
        if asked is not None:
            rows.append(Row(f"{name}, right class", 100 * score.right(images, asked), "%"))
            images, asked = made.draw(wanted.samples, {**MAIN[study], "guidance": LITTLE})
            assert asked is not None
            bar = BAR if study == PROMISED and wanted.full else None
            rows.append(score.row(f"{name}, guidance {LITTLE:g}", score.distance(images), bar))
            rows.append(Row(f"{name}, guidance {LITTLE:g}, right class", 100 * score.right(images, asked), "%"))
            guided = {key: value for key, value in MAIN[study].items() if key != "guidance"}
            images, asked = made.draw(min(GUIDED, wanted.samples), guided)
            assert asked is not None
            w = made.control("guidance")
            rows.append(Row(f"diffusion: {study}, guidance {w:g}, right class", 100 * score.right(images, asked), "%"))
            write(str(folder / f"{study}-guided.png"), [ImageGrid(images[:SHEET], columns=10)])
        for pair in PAIRS.get(study, ()):
            first, second = (score.distance(made.draw(wanted.samples, _sampler(*one))[0]) for one in pair)
            (ours, n), (theirs, k) = pair
            rows.append(Row(f"diffusion: {study}, {ours} {n} against {theirs} {k}", first, "Frechet",
                            f"{theirs} {k}: {second:.2f}", first / second))  # fmt: skip
        return rows


def _sampler(name: str, steps: int) -> Settings:
    return PLAIN | {"sampler": name, "steps": steps}


def _how(settings: Settings) -> str:
    return f", {settings['sampler']} {settings['steps']}" if "sampler" in settings else ""


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
