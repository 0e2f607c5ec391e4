"""What Gaussians learn of the still life in one and in five CPU-minutes, against the hash grid in the same run.

Knows the two studies by name; how fast the rasteriser is, is measured in :mod:`app.bench.rasteriser`. Environment
variables: ``MUTOSCOPE_BENCH_CPU_SECONDS`` for each training (300), ``MUTOSCOPE_BENCH_STUDIES`` (where not both are
wanted), ``MUTOSCOPE_BENCH_THREADS`` (1) and ``MUTOSCOPE_BENCH_RUNS``: a folder in which pictures of what
was learned are kept.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from app.bench.judged import Plan, carried_out, one_by_one, planned, say, train_for
from app.bench.nerf import held_out
from app.bench.rows import Row
from app.headless.client import Client
from engine.formats.export import write
from engine.params import Value

BENCH = "splat training"
DATA = "still_life"
PEER, SPLATS = STUDIES = ("nerf_hash", "gaussian_splatting")
"""The peer comes first: what it reached is known when the other's rows are made."""
KNOBS: Mapping[str, Mapping[str, Value]] = {}
"""By study, what is set otherwise than it has it by itself: nothing."""
MARKS = (60.0, 300.0)
"""CPU-seconds after which the held-out photographs are looked at."""


def plan(environ: Mapping[str, str]) -> Plan:
    """The plan in the environment variables; CommandError naming the one that makes no sense."""
    return planned(environ, MARKS[-1], STUDIES)


def marks(cpu_seconds: float) -> tuple[float, ...]:
    """When the held-out photographs are looked at while training so long: at those of :data:`MARKS` and at the end."""
    return (*(mark for mark in MARKS if mark < cpu_seconds), cpu_seconds)


def measure() -> list[Row]:
    """Rows for both studies, or the one that is wanted. Ends the process with one line where there are no data."""
    return carried_out(BENCH, lambda: plan(os.environ), _measure)


def _measure(wanted: Plan, folder: Path) -> list[Row]:
    reached: dict[float, float] = {}
    return one_by_one(BENCH, wanted, lambda study: study_rows(study, wanted, folder, reached))


def study_rows(study: str, wanted: Plan, folder: Path, reached: dict[float, float]) -> list[Row]:
    """Trains a study and looks at the held-out photographs at every mark; ``reached`` is the peer's dB by mark, filled
    where the study is the peer."""
    rows: list[Row] = []
    with Client(wanted.threads or 1) as client:
        if study not in {d.key for d in client.catalogue().studies if not d.error}:
            return [Row(f"{BENCH}: {study}", 0.0, "(none)", peer="skipped: there is no such study")]
        knobs = KNOBS.get(study, {})
        client.open(study=study, data=DATA, knobs=knobs)
        train_for(client, 0.0)  # what is compiled or loaded with the first step is no step's time
        client.open(study=study, data=DATA, knobs=knobs)
        spent = 0.0
        for mark in marks(wanted.cpu_seconds):
            steps, seconds = train_for(client, mark - spent)
            spent += seconds
            psnr = held_out(client)
            say(f"{study}: {psnr:.2f} dB after {spent:.1f} CPU-seconds, {steps} steps")
            rows.append(row(study, mark, psnr, f"{steps:,} steps in {spent:.1f} CPU-s", reached.get(mark)))
            if study == PEER:
                reached[mark] = psnr
        write(str(folder / f"{study}.png"), client.ask("compare", {"photo": "held_out:0"}))
    return rows


def row(study: str, mark: float, psnr: float, words: str, peer: float | None) -> Row:
    """What a study reached at a mark, in dB, against what the ``peer`` did; that it is more is promised at
    :data:`MARKS`."""
    name = f"{BENCH}: {study}, held-out PSNR after {mark:g} CPU-s"
    if peer is None:
        return Row(name, psnr, "dB", words)
    found = Row(name, psnr, "dB", f"{PEER}: {peer:.2f} dB; {words}", psnr / peer)
    return replace(found, bar=f"above {PEER}", kept=psnr > peer) if mark in MARKS else found
