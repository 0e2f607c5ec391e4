"""How far an answer is reaches whoever waits for it: not too often, not for redraws, not once it has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine import messages as m
from engine.mailbox import Outbox
from engine.payloads import ImageGrid

SLOW = '''"""A study whose probe takes a while."""

import time
from dataclasses import dataclass

import numpy as np

from engine.payloads import ImageGrid
from engine.probes import Number, probe
from engine.study import Study


class Slow(Study):
    """A slow one."""

    plan = {}

    @dataclass
    class Params:
        """None."""

    def build(self, device):
        pass

    @probe(ImageGrid, steps=Number(10, 1, 10_000))
    def picture(self, steps):
        """A picture."""
        for i in range(steps):
            time.sleep(0.01)
            if self.plan.get("fail") == i:
                raise ValueError("broke")
            yield (i + 1) / steps
        yield ImageGrid(np.zeros((1, 2, 2, 1), np.float32))
'''


def test_progress_comes_before_the_picture_and_rises(
    toys: Callable[..., str], make_driver: Callable[[str], Any]
) -> None:
    driver = make_driver(toys(slow=SLOW))
    driver.open("slow")
    driver.ask(5, "picture", steps=40)
    seen: list[m.Report] = []
    while not any(isinstance(r, m.Picture) for r in seen):
        driver.woken.wait(0.02)
        driver.woken.clear()
        seen += driver.drain()
    told = [r for r in seen if isinstance(r, m.Progress)]
    assert 3 <= len(told) <= 20  # 20 a second at most, over 0.4 s and whatever the machine adds
    assert [t.progress for t in told] == sorted(t.progress for t in told)
    assert all((t.slot, t.epoch, t.seq) == ("picture", 1, 5) for t in told)
    assert seen.index(told[-1]) < next(i for i, r in enumerate(seen) if isinstance(r, m.Picture))


def test_of_unread_progress_only_the_newest_is_kept_and_a_picture_takes_its_place() -> None:
    box = Outbox(lambda: None)
    for k in range(50):
        box.put_progress(m.Progress("a", 1, 2, k / 50))
    box.put_progress(m.Progress("b", 1, 3, 0.5))
    first = box.drain()
    assert [(r.slot, r.progress) for r in first] == [("a", 0.98), ("b", 0.5)]  # type: ignore[attr-defined]
    box.put_progress(m.Progress("a", 1, 2, 0.99))
    box.put_progress(m.Progress("b", 1, 3, 0.6))
    picture = m.Picture("a", 1, 2, "p", ImageGrid(np.zeros((1, 1, 1, 1), np.float32)), 0)
    box.put_picture(picture)
    box.put(m.Failure("probe", "t", "r", slot="b"))
    assert [type(r) for r in box.drain()] == [m.Picture, m.Failure]
    box.put_progress(m.Progress("a", 1, 4, 0.1))
    box.forget("a")
    assert box.drain() == []


def test_a_cancelled_answer_says_no_more(toys: Callable[..., str], make_driver: Callable[[str], Any]) -> None:
    driver = make_driver(toys(slow=SLOW))
    driver.open("slow")
    driver.ask(1, "picture", steps=10_000)
    driver.until(m.Progress)
    driver.post(m.Cancel("picture"))
    end = driver.until(m.Picture)
    assert end.payload is None
    driver.settle()
    later = driver.reports[driver.reports.index(end) :]
    assert not any(isinstance(r, m.Progress) for r in later)
