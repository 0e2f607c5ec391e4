"""A picture that becomes finer at rest: what that takes does not keep the coarse ones away while training."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from engine import messages as m

TOY = '''"""A study whose picture has a coarse and, at rest, a fine form that takes long."""

import time
from dataclasses import dataclass

import torch
from torch import nn

from engine.params import knob
from engine.probes import Number, probe
from engine.scene import Scene
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
        self.steps = 0

    def train_step(self, batch):
        self.steps += 1
        time.sleep(0.002)
        return {"loss": torch.zeros(())}

    @probe(Scene, refresh=0.05, value=Number(0.5, 0.0, 1.0))
    def view(self, value):
        """Nothing, coarse and fine."""
        began = self.steps
        time.sleep(0.005)
        yield Scene((), progress=0.1)
        for part in range(40):
            time.sleep(0.015)
            yield 0.1 + part / 50
            if self.steps != began:
                break
        yield Scene(())
'''


def test_what_a_fine_picture_took_at_rest_does_not_put_off_the_coarse_ones_while_training(
    toys: Callable[..., str], make_driver: Callable[[str], Any]
) -> None:
    driver = make_driver(toys(toy=TOY))
    driver.open()
    driver.ask(1, "view")
    fine = driver.until(m.Picture, lambda p: p.done)
    assert fine.seconds > 0.6  # twenty times of that would be beyond what is waited for below
    driver.post(m.Train())
    begun = time.perf_counter()
    driver.until(m.Picture, lambda p: p.step > 0, seconds=5.0)
    assert time.perf_counter() - begun < 3.0
