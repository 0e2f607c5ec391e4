"""What diffusion learns in ten CPU-minutes: every image study on Fashion-MNIST for the same time, judged alike.

Knows the studies by name. :mod:`app.bench.judged` tells how they are trained and judged, and by which environment
variables the plan is changed; each study trains for 600 CPU-seconds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.bench.frechet import ready
from app.bench.judged import DATA, SHEET, Plan, Samples, Score, Settings, carried_out, one_by_one, planned, trained
from app.bench.rows import Row
from engine.formats.export import write
from engine.payloads import ImageGrid

BUDGET = 600.0
BAR = 0.1
"""Of the VAE's distance: the promise for :data:`PROMISED` at the full budget and number of samples."""
PROMISED = "rectified_flow"
YARDSTICK = "vae"
LITTLE = 0.2
"""Guidance with which the distance is measured once more: little of it makes up for a network that is not done."""
GUIDED = 500
"""Samples with guidance, which cost twice as much: enough for a share of right classes to 2 % or so."""

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


def plan(environ: Mapping[str, str]) -> Plan:
    """The plan in the environment variables; CommandError naming the one that makes no sense."""
    return planned(environ, BUDGET, MAIN)


def measure() -> list[Row]:
    """Rows for every study and for real pictures. Ends the process with one line where there are no data."""
    return carried_out("diffusion", lambda: plan(os.environ), _measure)


def _measure(wanted: Plan, folder: Path) -> list[Row]:
    score = Score(*ready(DATA))
    rows = one_by_one("diffusion", wanted, lambda study: _study_rows(study, wanted, score, folder))
    return rows + score.yardsticks()


def _study_rows(study: str, wanted: Plan, score: Score, folder: Path) -> list[Row]:
    """Trains one study and judges its samples; CommandError where it fails."""
    with trained("diffusion", study, DATA, wanted, folder) as done:
        rows = [done.row]
        if done.client is None or done.opened is None:
            return rows
        made = Samples(done.client, done.opened, score.classes)
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
