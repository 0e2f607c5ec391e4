"""What a camera that the hand moves may cost training, and that a hand that asks too fast still sees pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from engine import messages as m

TOY = '''"""A study whose steps and pictures take as long as ``plan`` says; a picture is made in four parts."""

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from engine.params import knob
from engine.payloads import ImageGrid
from engine.probes import Camera, Number, probe
from engine.study import Study, Term


class Toy(Study):
    """A toy."""

    title, family = "Toy", "Toys"
    objective = [Term("L", "loss", "orange", "The loss.")]

    @dataclass
    class Params:
        width: int = knob(4, "Units.", lo=1, hi=64)

    plan = {}

    def build(self, device):
        self.net = nn.Linear(1, 1)
        self.optimizer = torch.optim.SGD(self.net.parameters(), 0.1)

    def train_step(self, batch):
        begun = time.perf_counter()
        time.sleep(self.plan.get("step", 0.0))
        self.plan["trained"] = self.plan.get("trained", 0.0) + time.perf_counter() - begun
        return {"loss": torch.zeros(())}

    @probe(ImageGrid, camera=Camera("0,-3,1/0,0,0/0,0,1/40"), value=Number(0.5, 0.0, 1.0))
    def view(self, camera, value):
        """One grey."""
        self.plan.setdefault("begun", []).append((camera, value))
        for part in range(self.plan.get("parts", 4)):
            begun = time.perf_counter()
            time.sleep(self.plan.get("part", 0.0))
            self.plan["drawn"] = self.plan.get("drawn", 0.0) + time.perf_counter() - begun
            yield part / 4
        if self.plan.get("fails"):
            raise ValueError("no picture")
        self.plan.setdefault("made", []).append((camera, value))
        yield ImageGrid(np.full((1, 2, 2, 1), value, np.float32))
'''

STEP, PART = 0.03, 0.01


def camera(turn: int) -> str:
    return f"{turn},-3,1/0,0,0/0,0,1/40"


@pytest.fixture
def orbit(toys: Callable[..., str], make_driver: Callable[[str], Any]) -> tuple[Any, dict[str, Any]]:
    """An engine that trains the toy, and what that is told to do."""
    driver = make_driver(toys(toy=TOY))
    driver.open()
    plan: dict[str, Any] = driver.session.study.plan
    plan.update(step=STEP, part=PART)
    return driver, plan


def moved(
    driver: Any, plan: dict[str, Any], seconds: float, ask: Callable[[int], None], every: float = 0.008
) -> tuple[float, float, int]:
    """Asks again and again for so long; seconds trained and seconds drawn by second, and pictures that came meanwhile.
    By the study's own clock: what the machine does beside is in none of them."""
    trained, drawn = plan.get("trained", 0.0), plan.get("drawn", 0.0)
    begun, before, seq = time.perf_counter(), len(driver.all(m.Picture)), 1
    while time.perf_counter() - begun < seconds:
        seq += 1
        ask(seq)
        time.sleep(every)
        driver.drain()
    taken = time.perf_counter() - begun
    return (plan["trained"] - trained) / taken, (plan["drawn"] - drawn) / taken, len(driver.all(m.Picture)) - before


def test_a_camera_that_moves_shares_the_engine_with_training_by_halves(orbit: tuple[Any, dict[str, Any]]) -> None:
    """A picture takes 40 ms and is owed as much training, that is two steps of 30 ms."""
    driver, plan = orbit
    driver.ask(1, "view", camera=camera(0), value=0.5)
    driver.post(m.Train())
    driver.until(m.Metrics)
    trained, drawn, pictures = moved(
        driver, plan, 1.5, lambda seq: driver.ask(seq, "view", 1, "drag", camera=camera(seq), value=0.5)
    )
    assert 1.0 < trained / drawn < 2.2
    assert trained + drawn > 0.7  # and nobody waits for anybody else
    assert len(plan["begun"]) <= pictures + 3  # what is begun is finished


def test_another_control_of_the_same_probe_still_holds_long_steps_up(orbit: tuple[Any, dict[str, Any]]) -> None:
    driver, plan = orbit
    driver.ask(1, "view", camera=camera(0), value=0.5)
    driver.post(m.Train())
    driver.until(m.Metrics)
    trained, drawn, _ = moved(
        driver, plan, 1.5, lambda seq: driver.ask(seq, "view", 1, "drag", camera=camera(0), value=seq % 100 / 100)
    )
    assert trained < 0.6 * drawn  # one step in 40 times its own time while no ask is late


@pytest.mark.parametrize("training", [False, True])
def test_a_hand_that_asks_faster_than_pictures_are_made_sees_them(
    orbit: tuple[Any, dict[str, Any]], training: bool
) -> None:
    """Each answer has four places where it could be given up for a newer ask, which come four times as fast."""
    driver, plan = orbit
    plan["part"] = 0.04  # longer than what is made at a stretch
    if training:
        driver.post(m.Train())
        driver.until(m.Metrics)
    if not training:
        plan["trained"] = 0.0
    *_, pictures = moved(driver, plan, 1.6, lambda seq: driver.ask(seq, "view", 1, "drag", value=seq % 100 / 100))
    assert pictures >= 3
    assert len(plan["begun"]) - len(plan["made"]) <= 1
    driver.ask(999, "view", value=0.75)
    begun = time.perf_counter()
    driver.until(m.Picture, lambda p: p.seq == 999)
    assert time.perf_counter() - begun < 3
    assert plan["made"][-1][1] == 0.75
    assert len(plan["begun"]) - len(plan["made"]) <= 1  # at rest what is half done is given up


def test_the_newest_of_what_the_hand_asked_for_meanwhile_is_next(orbit: tuple[Any, dict[str, Any]]) -> None:
    driver, plan = orbit
    plan["part"] = 0.12
    driver.ask(1, "view", 1, "drag", value=0.1)
    while not plan.get("begun"):
        time.sleep(0.005)
    for seq in range(2, 8):
        driver.ask(seq, "view", 1, "drag", value=seq / 10)
        time.sleep(0.02)
    driver.until(m.Picture, lambda p: p.seq == 7)
    assert [value for _, value in plan["made"]] == [0.1, 0.7]
    assert [p.seq for p in driver.all(m.Picture)] == [1, 7]


def test_after_a_picture_that_fails_the_newer_ask_is_taken_up(orbit: tuple[Any, dict[str, Any]]) -> None:
    driver, plan = orbit
    plan.update(part=0.06, fails=True)
    driver.ask(1, "view", 1, "drag", value=0.1)
    while not plan.get("begun"):
        time.sleep(0.005)
    time.sleep(0.15)
    driver.ask(2, "view", 1, "drag", value=0.2)
    assert driver.until(m.Failure).seq == 1
    plan["fails"] = False
    assert driver.until(m.Picture).seq == 2


@pytest.mark.parametrize("order", [m.Cancel("view"), m.Forget("view")])
def test_what_waits_is_given_up_with_what_is_made(orbit: tuple[Any, dict[str, Any]], order: m.Order) -> None:
    driver, plan = orbit
    plan["part"] = 0.12
    driver.ask(1, "view", 1, "drag", value=0.1)
    while not plan.get("begun"):
        time.sleep(0.005)
    driver.ask(2, "view", 1, "drag", value=0.2)
    time.sleep(0.05)
    driver.post(order)
    time.sleep(0.6)
    assert len(plan["begun"]) == 1
    assert "made" not in plan


def test_in_slow_motion_pictures_wait_for_no_step(orbit: tuple[Any, dict[str, Any]]) -> None:
    driver, plan = orbit
    driver.post(m.Train(per_second=4.0))
    driver.until(m.Metrics)
    trained, drawn, _ = moved(driver, plan, 1.0, lambda seq: driver.ask(seq, "view", 1, "drag", camera=camera(seq)))
    assert drawn > 3 * trained  # two steps a picture would be less than half
