"""What adversarial models learn in fifteen CPU-minutes, and how well their codes are found again.

Knows the studies by name. :mod:`app.bench.judged` tells how they are trained and judged, and by which environment
variables the plan is changed; each study trains for 900 CPU-seconds. The VAE and rectified flow are measured beside
the GANs where they are named, else the figures of another day stand in for them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.bench.frechet import ready
from app.bench.judged import (
    DATA,
    SHEET,
    Plan,
    Samples,
    Score,
    Settings,
    Trained,
    carried_out,
    one_by_one,
    planned,
    say,
    trained,
)
from app.bench.rows import Row, median
from app.headless.client import Client
from engine.formats.export import write
from engine.payloads import Frames, ImageGrid

BENCH = "gan"
BUDGET = 900.0
YARDSTICK = "vae"
MAIN: dict[str, Settings] = {
    YARDSTICK: {},
    "rectified_flow": {"guidance": 0.0, "sampler": "Heun", "steps": 10},
    "dcgan": {"psi": 1.0},
    "style_gan": {"psi": 1.0},
}
"""The studies in their order and how each is sampled: without truncation, by the averaged weights."""
GANS = ("dcgan", "style_gan")
RECORDED = {YARDSTICK: 70.3, "rectified_flow": 9.12, "ddpm": 13.9, "latent_diffusion": 28.8}
"""Frechet distances of ``bench diffusion`` after 600 CPU-seconds on two cores, 22 November 2026."""
CLASSES, LARGEST = 9, 25.0
"""Promised: so many classes seen, and none with more than so many per cent of the samples."""
EXACT = 35.0
"""Promised: decibels at which a picture of the model's own comes back."""
INVERTED = 10
FIRST_SEED = 101
"""Of the generated pictures that are inverted."""


def plan(environ: Mapping[str, str]) -> Plan:
    """The plan in the environment variables; CommandError naming the one that makes no sense."""
    return planned(environ, BUDGET, MAIN, GANS)


def measure() -> list[Row]:
    """Rows for every study that is wanted, for those recorded and for real pictures. Ends the process with one line
    where there are no data."""
    return carried_out(BENCH, lambda: plan(os.environ), _measure)


def _measure(wanted: Plan, folder: Path) -> list[Row]:
    score = Score(*ready(DATA), BENCH)
    recorded = {name: figure for name, figure in RECORDED.items() if name not in wanted.studies}
    score.vae = recorded.get(YARDSTICK)
    rows = one_by_one(BENCH, wanted, lambda study: _study_rows(study, wanted, score, folder))
    rows += [Row(f"{BENCH}: {name}, recorded on another day", figure, "Frechet") for name, figure in recorded.items()]
    return rows + score.yardsticks()


def _study_rows(study: str, wanted: Plan, score: Score, folder: Path) -> list[Row]:
    """Trains one study, judges its samples and inverts pictures; CommandError where it fails."""
    with trained(BENCH, study, DATA, wanted, folder) as done:
        if done.client is None or done.opened is None:
            return [done.row]
        images, _ = Samples(done.client, done.opened, score.classes).draw(wanted.samples, MAIN[study])
        write(str(folder / f"{study}.png"), [ImageGrid(images[:SHEET], columns=10)])
        distance = score.distance(images)
        if study == YARDSTICK:
            score.vae = distance
        name = f"{BENCH}: {study}"
        rows = [done.row, score.row(name, distance), *_class_rows(name, images, score, study in GANS and wanted.full)]
        return rows + (_inversion_rows(name, done, folder / f"{study}-inversion.png") if study in GANS else [])


def _class_rows(name: str, images: NDArray[np.float32], score: Score, promised: bool) -> list[Row]:
    """How many classes the judge sees in the samples, and the share of the one that it sees most."""
    seen, largest = score.covered(images), 100 * score.largest(images)
    rows = [Row(f"{name}, classes seen", seen, f"of {score.classes}"), Row(f"{name}, largest class", largest, "%")]
    if not promised:
        return rows
    return [
        Row(rows[0].name, seen, rows[0].unit, bar=f">= {CLASSES}", kept=seen >= CLASSES),
        Row(rows[1].name, largest, "%", bar=f"<= {LARGEST:g} %", kept=largest <= LARGEST),
    ]


# ---- inversion ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inverted:
    """What came of one picture: the panels of the last frame (3, H, W, C), its PSNR in dB, the seconds that it took and
    the processor's."""

    panels: NDArray[np.float32]
    psnr: float
    seconds: float
    cpu_seconds: float


def inverted(client: Client, item: str) -> Inverted:
    """Asks the probe ``invert`` for the code of an item, with its controls as they are at first."""
    wall, cpu = time.perf_counter(), time.process_time()
    last = client.ask("invert", {"item": item})[-1]
    assert isinstance(last, Frames)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    return Inverted(last.images, last.readings["PSNR, dB"], seconds, cpu_seconds)


def _inversion_rows(name: str, done: Trained, sheet: Path) -> list[Row]:
    """Pictures of the model's own, which it must find again, and real ones that it has never seen."""
    assert done.client is not None
    assert done.opened is not None
    if done.opened.study.probe("invert") is None:
        return [Row(f"{name}, inversion", 0.0, "(none)", peer="skipped: the study has no probe 'invert'")]
    say(f"{name.partition(': ')[2]}: inversion of {2 * INVERTED} pictures …")
    own = [inverted(done.client, f"seed:{FIRST_SEED + i}") for i in range(INVERTED)]
    real = [inverted(done.client, f"held_out:{i}") for i in range(INVERTED)]
    _write_sheet(sheet, own, real)
    least = min(one.psnr for one in own)
    exact = sum(one.psnr >= EXACT for one in own)
    return [
        Row(f"{name}, {INVERTED} generated pictures inverted, least PSNR", least, "dB",
            f"{exact} of {INVERTED} at {EXACT:g} dB", bar=f">= {EXACT:g} dB", kept=least >= EXACT),
        _median_row(f"{name}, {INVERTED} generated pictures inverted, median PSNR", own),
        _median_row(f"{name}, {INVERTED} held-out pictures inverted, median PSNR", real),
        Row(f"{name}, an inversion", median([one.seconds for one in own + real]), "s",
            f"{median([one.cpu_seconds for one in own + real]):.2f} CPU-s"),
    ]  # fmt: skip


def _median_row(name: str, found: Sequence[Inverted]) -> Row:
    values = [one.psnr for one in found]
    return Row(name, median(values), "dB", f"{min(values):.1f} to {max(values):.1f} dB")


def _write_sheet(path: Path, own: Sequence[Inverted], real: Sequence[Inverted]) -> None:
    """Targets, what was found and the differences, a column for each picture: generated ones above, real ones below."""
    found, target, difference = range(3)
    rows = [one.panels[panel] for part in (own, real) for panel in (target, found, difference) for one in part]
    write(str(path), [ImageGrid(np.stack(rows), columns=len(own))])
