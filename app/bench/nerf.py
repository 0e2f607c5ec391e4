"""What radiance fields learn of the still life in three CPU-minutes, how fast they learn it, and what looking costs;
and what the hash grid learns of a scene as Blender's users make them.

Knows the studies by name; ``object`` stands for that scene. Environment variables: ``MUTOSCOPE_BENCH_CPU_SECONDS`` for
each training (180), ``MUTOSCOPE_BENCH_STUDIES`` (names with commas, where not all are wanted),
``MUTOSCOPE_BENCH_THREADS`` (1) and ``MUTOSCOPE_BENCH_RUNS``: a folder in which pictures of what was learned are kept.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.bench.judged import Plan, carried_out, one_by_one, planned, say, train_for
from app.bench.object_scene import SIDE, VIEWS, made
from app.bench.rows import Row, median, percentile
from app.headless.client import Client, heed
from engine import messages as m
from engine.formats.export import write
from engine.params import Value

BENCH = "nerf"
DATA = "still_life"
HASHED = "nerf_hash"
OBJECT = "object"
STUDIES = ("nerf", HASHED, OBJECT)
KNOBS: Mapping[str, Value] = {}
"""What is set otherwise than the studies have it by themselves: nothing."""
MARKS = (15.0, 60.0, 180.0)
"""CPU-seconds after which the held-out photographs are looked at."""
PROMISED = 25.0
"""dB of the hash grid after the last mark."""
FASTER = 3.0
"""Promised: the compiled form over plain torch."""
LOST = 5.0
"""Per cent of the training speed that an orbiting camera may cost beyond its pictures."""
TURNS = 4
ORBITS = 8
"""Pairs of turns with and without an orbit, half as long: what another program does meanwhile is then in few."""
SHARE_OF_A_TURN = 0.03
"""A turn of a comparison lasts so much of the training time."""
ASKS_A_SECOND = 30
PICTURES = 12
"""Of a moving hand, timed while nothing is trained; the first half of them find out how many pixels there is time for.
"""
SECONDS_ROUND = 6.0
"""How long the camera takes to go round."""


def plan(environ: Mapping[str, str]) -> Plan:
    """The plan in the environment variables; CommandError naming the one that makes no sense."""
    return planned(environ, MARKS[-1], STUDIES)


def marks(cpu_seconds: float) -> tuple[float, ...]:
    """When the held-out photographs are looked at while training so long: at those of :data:`MARKS` and at the end."""
    return (*(mark for mark in MARKS if mark < cpu_seconds), cpu_seconds)


def measure() -> list[Row]:
    """Rows for every study that is wanted. Ends the process with one line where there are no data."""
    return carried_out(BENCH, lambda: plan(os.environ), _measure)


def _measure(wanted: Plan, folder: Path) -> list[Row]:
    return one_by_one(BENCH, wanted, lambda study: _study_rows(study, wanted, folder))


def _study_rows(study: str, wanted: Plan, folder: Path) -> list[Row]:
    if study == OBJECT:
        return _object_rows(wanted, folder)
    with Client(wanted.threads or 1) as client:
        known = {d.key for d in client.catalogue().studies if not d.error}
        if study not in known:
            return [Row(f"{BENCH}: {study}", 0.0, "(none)", peer="skipped: there is no such study")]
        client.open(study=study, data=DATA, knobs=KNOBS)
        train_for(client, 0.0)  # what is compiled or loaded with the first step is no step's time
        opened = client.open(study=study, data=DATA, knobs=KNOBS)
        rows = _learned(client, study, wanted, marks(wanted.cpu_seconds))
        picture = client.ask("compare", {"photo": "held_out:0"})
        write(str(folder / f"{study}.png"), picture)
        turn = max(0.2, SHARE_OF_A_TURN * wanted.cpu_seconds)
        if "form" in opened.knobs:
            rows += _forms(client, study, int(opened.knobs["batch"]), turn)
        return [*rows, _orbit_row(client, study, turn)]


def _object_rows(wanted: Plan, folder: Path) -> list[Row]:
    """What the hash grid has learned of the other scene after the last mark."""
    say(f"{OBJECT}: tracing {VIEWS} pictures of {SIDE} x {SIDE} …")
    scene = made(folder / OBJECT)
    with Client(wanted.threads or 1) as client:
        if HASHED not in {d.key for d in client.catalogue().studies if not d.error}:
            return [Row(f"{BENCH}: {OBJECT}", 0.0, "(none)", peer="skipped: there is no such study")]
        client.open(study=HASHED, data="capture", folder=str(scene), knobs=KNOBS)
        train_for(client, 0.0)  # what is compiled or loaded with the first step is no step's time
        client.open(study=HASHED, data="capture", folder=str(scene), knobs=KNOBS)
        name = f"{HASHED} on {VIEWS} views of {SIDE} x {SIDE}"
        rows = _learned(client, name, wanted, (wanted.cpu_seconds,))
        write(str(folder / f"{OBJECT}.png"), client.ask("compare", {"photo": "held_out:0", "width": SIDE}))
    return rows


# ---- what is learned ------------------------------------------------------------------------------------------------


def _learned(client: Client, study: str, wanted: Plan, looks: tuple[float, ...]) -> list[Row]:
    """Trains as long as is wanted; the held-out figure at every one of ``looks``, measured while no time counts."""
    rows = []
    spent, steps = 0.0, 0
    for mark in looks:
        done, seconds = train_for(client, mark - spent)
        spent, steps = spent + seconds, done
        psnr = held_out(client)
        say(f"{study}: {psnr:.2f} dB after {spent:.1f} CPU-seconds, {steps} steps")
        name = f"{BENCH}: {study}, held-out PSNR after {mark:g} CPU-s"
        promised = study.startswith(HASHED) and mark == MARKS[-1]
        bar = dict(bar=f">= {PROMISED:g} dB", kept=psnr >= PROMISED) if promised else {}
        rows.append(Row(name, psnr, "dB", f"{steps:,} steps in {spent:.1f} CPU-s", **bar))  # type: ignore[arg-type]  # a bar in words and whether it is kept
    return rows


def held_out(client: Client) -> float:
    """The PSNR over the held-out part, in dB."""
    client.post(m.Evaluate())
    return float(client.expect(m.HeldOut).values["psnr"])


# ---- how fast -------------------------------------------------------------------------------------------------------


def _forms(client: Client, study: str, batch: int, turn: float) -> list[Row]:
    """The compiled form and plain torch in turns, on the weights that are there: steps by CPU-second."""
    rates: dict[str, list[float]] = {"best": [], "plain": []}
    for _ in range(TURNS):
        for form, found in rates.items():
            client.post(m.SetKnob("form", form))
            found.append(_rate(client, turn, time.process_time).rate)
    client.post(m.SetKnob("form", "best"))
    ours, plain = median(rates["best"]), median(rates["plain"])
    ratio = median([a / b for a, b in zip(rates["best"], rates["plain"], strict=True)])
    kept = ratio >= FASTER
    return [
        Row(f"{BENCH}: {study}, steps of {batch} rays", ours, "steps/CPU-s", f"plain torch: {plain:.2f}", ratio,
            f">= {FASTER:g}", kept),
        Row(f"{BENCH}: {study}, rays", ours * batch, "rays/CPU-s", f"plain torch: {plain * batch:,.0f}", ratio),
    ]  # fmt: skip


@dataclass(frozen=True)
class Turn:
    """A stretch of training: steps by second, pictures shown meanwhile by second."""

    rate: float
    pictures: float


def _rate(client: Client, seconds: float, clock: Callable[[], float], orbit: bool = False) -> Turn:
    """Trains for about ``seconds`` by ``clock`` after the first steps, the camera going round meanwhile where
    ``orbit``."""
    client.post(m.Train())
    points = client.expect(m.Metrics).points
    first = max(int(steps[-1]) for steps, _ in points.values())
    camera = Orbit(client)
    begun, pictures = clock(), 0
    while clock() - begun < seconds:
        if orbit:
            camera.turn()
        report = client.next_report(1 / ASKS_A_SECOND)
        pictures += camera.heard(report)
        heed(report)
    client.post(m.Pause())
    taken = clock() - begun
    while not (isinstance(report := client.next_report(), m.Status) and report.state == "idle"):
        heed(report)
    return Turn((report.step - first) / taken, pictures / taken)


class Orbit:
    """A hand that leads the camera round: asks for the study's view when the last one is there, as a new ask would
    throw away what is half done, and no faster than a hand moves."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._begun = time.perf_counter()
        self._next = 0.0
        self._waits = False
        self.asked = 0

    def turn(self) -> None:
        """Asks for the next view when it is time."""
        now = time.perf_counter() - self._begun
        if now >= self._next and not self._waits:
            self._waits = True
            self._next = now + 1 / ASKS_A_SECOND
            angle = 2 * math.pi * now / SECONDS_ROUND
            eye = f"{3.2 * math.cos(angle):.4f},{3.2 * math.sin(angle):.4f},1.5"
            self._client.look("view", {"camera": f"{eye}/0,0,0/0,0,1/40"}, "drag")
            self.asked += 1

    def heard(self, report: m.Report | None) -> bool:
        """Whether ``report`` is the picture that was asked for."""
        there = self._waits and isinstance(report, m.Picture) and report.phase == "drag" and report.done
        self._waits = self._waits and not there
        return there


def _orbit_row(client: Client, study: str, turn: float) -> Row:
    """How much slower training is while the camera goes round, beyond the time that the pictures take by themselves.
    Which of a pair of turns comes first alternates, as training grows slower or faster by itself."""
    losses, shown, each = [], [], []
    for k in range(ORBITS):
        first = _rate(client, turn / 2, time.perf_counter, orbit=k % 2 == 1)
        each.append(_seconds_a_picture(client))
        second = _rate(client, turn / 2, time.perf_counter, orbit=k % 2 == 0)
        alone, orbiting = (second, first) if k % 2 else (first, second)
        shown.append(orbiting.pictures)
        losses.append(100 * (1 - orbiting.rate / (alone.rate * max(1 - orbiting.pictures * each[-1], 0.05))))
    lost, low, high = median(losses), percentile(losses, 25), percentile(losses, 75)
    peer = (
        f"subtracted: {median(shown):.1f} pictures/s of {1000 * median(each):.0f} ms each without training; "
        f"half of {ORBITS} pairs of turns within {low:.1f} .. {high:.1f}"
    )
    return Row(f"{BENCH}: {study}, speed lost beyond the pictures of an orbit", lost, "%", peer,
               bar=f"< {LOST:g} %", kept=lost < LOST)  # fmt: skip


def _seconds_a_picture(client: Client) -> float:
    """How long a picture for a moving hand takes the engine while nothing is trained, the median of some."""
    camera = Orbit(client)
    found: list[float] = []
    while len(found) < PICTURES:
        camera.turn()
        report = client.next_report(1 / ASKS_A_SECOND)
        if camera.heard(report) and isinstance(report, m.Picture):
            found.append(report.seconds)
        heed(report)
    return median(found[PICTURES // 2 :])
