"""Minutes of random clicking, dragging, typing and dropping on the real window while it trains: `make soak`."""

from __future__ import annotations

import gc
import threading
import time
import warnings

import psutil
import pytest

from app.tour.rig import Rig
from engine.machine import give_back
from tests.soak.robot import Robot

SETTLED_SECONDS = 120.0
"""After this much the caches of Qt, fonts and torch are full: what is used then is what the end is compared with."""
GROWTH = 1.10
CLOSE_SECONDS = 5.0
HOME = ("vae", "digits")


@pytest.mark.soak
def test_the_window_survives_a_robot(request: pytest.FixtureRequest) -> None:
    minutes = request.config.getoption("--soak-minutes")
    seed = request.config.getoption("--soak-seed")
    soak(60 * minutes, seed, min(SETTLED_SECONDS, 60 * minutes / 3))


def soak(seconds: float, seed: int, settled: float | None) -> Robot:
    """Lets a robot loose for ``seconds``; asserts that nothing broke and, with ``settled``, that memory did not grow
    from then to the end."""
    load_quietly()
    with Rig() as rig:
        assert rig.ready()
        assert rig.open(*HOME), rig.watch.complaints
        robot = Robot(rig, seed)
        begun = time.monotonic()
        then = 0
        while time.monotonic() - begun < seconds:
            robot.act()
            assert "engine" in {thread.name for thread in threading.enumerate()}, robot.last
            if settled is not None and not then and time.monotonic() - begun > settled:
                visit_all(rig, robot)
                then = memory_at_home(rig, robot)
        now = memory_at_home(rig, robot) if settled is not None else 0
        robot.stop()
        faults = [f for f in rig.watch.failures if f.fault]
        assert not faults, f"{faults[0].title}: {faults[0].detail}\nafter {robot.last}"
        assert rig.open(*HOME), (robot.last, rig.watch.complaints)
        rig.window.bench.train()
        rig.hand.rest(0.5)
        begun = time.monotonic()
        rig.close()
        closing = time.monotonic() - begun
        told = {line(f) for f in rig.watch.failures}
        complaints = [c for c in rig.watch.complaints if not any(t in c for t in told)]
        assert not complaints, "\n".join(complaints)
        assert closing < CLOSE_SECONDS
        assert "engine" not in {thread.name for thread in threading.enumerate()}
        if settled is not None:
            assert now <= GROWTH * then, f"{then / 1e6:.0f} MB grew to {now / 1e6:.0f} MB"
    return robot


def load_quietly() -> None:
    """Loads what warns of its own old ways while it is imported, which the tests would take for a fault of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from engine import registry
        from engine.formats.equations import svg

        assert svg(r"\beta")
        assert not registry.find().errors


def line(failure: object) -> str:
    """How the watch words a failure: a refusal of bad input is what the robot asked for."""
    return f"{failure.title}: {failure.reason}"  # type: ignore[attr-defined]


def visit_all(rig: Rig, robot: Robot) -> None:
    """Opens every study once and trains it a little: what torch, Qt and the fonts keep of each is there from then on,
    whichever studies chance has led to so far."""
    robot.close_all()
    for study in sorted(rig.window.bench.studies):
        assert rig.open(study), (study, robot.last, rig.watch.complaints)
        rig.window.bench.train(3)
        rig.hand.rest(0.5)


def memory_at_home(rig: Rig, robot: Robot) -> int:
    """Resident bytes with the same small study open and trained a little, so that two readings can be compared."""
    robot.close_all()
    rig.window.layouts.reset()
    assert rig.open(*HOME), (robot.last, rig.watch.complaints)
    rig.window.bench.train(20)
    rig.hand.wait(lambda: rig.window.bench.step >= 20, 60.0)
    rig.hand.rest(2.0)
    gc.collect()
    give_back()  # what glibc keeps for the next steps is not growth, and is a hundred megabytes more or less by chance
    return int(psutil.Process().memory_info().rss)
