"""What the tests of the engine share: a small study that does as it is told, and a driver of the engine's thread."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from engine import data
from engine import messages as m
from engine.data.captures import still_life
from engine.worker import Engine

R = TypeVar("R", bound=m.Report)

TOY = '''"""A study whose steps and probes do what ``plan`` says. Dropout, batch norm and momentum make its training
depend on every state that a careless look could disturb."""

import random
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from engine.params import knob
from engine.payloads import Frames, ImageGrid
from engine.probes import Choice, Hint, Latent, Number, Steps, probe
from engine.study import Study, Term


class Toy(Study):
    """A toy."""

    title, family = "Toy", "Toys"
    objective = [Term("L", "loss", "orange", "The loss.")]

    @dataclass
    class Params:
        width: int = knob(4, "Units.", lo=1, hi=64)
        rate: float = knob(0.01, "Step size.", lo=1e-4, hi=1.0, live=True)

    plan = {}

    def build(self, device):
        if self.plan.get("build"):
            raise self.plan["build"]
        self.net = nn.Sequential(nn.Linear(4, self.p.width), nn.BatchNorm1d(self.p.width), nn.Dropout(0.3),
                                 nn.Linear(self.p.width, 1))
        self.optimizer = torch.optim.SGD(self.net.parameters(), self.p.rate, momentum=0.9)
        self.rates = []

    def knob_changed(self, name):
        if self.plan.get("knob"):
            raise self.plan["knob"]
        for group in self.optimizer.param_groups:
            group["lr"] = self.p.rate

    def train_step(self, batch):
        time.sleep(self.plan.get("seconds", 0.0))
        if self.plan.get("step"):
            raise self.plan["step"]
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        x = torch.randn(8, 4)
        loss = (self.net(x) - x.sum(1, keepdim=True)).square().mean()
        loss = loss + random.random() * 1e-3 + np.random.rand() * 1e-3
        self.optimizer.zero_grad()
        loss.backward()
        if self.plan.get("poison"):
            with torch.no_grad():
                self.net[0].weight.fill_(float("nan"))
        self.optimizer.step()
        metrics = {"loss": loss.detach(), "each": self.net[3].bias.detach().repeat(3)}
        if self.plan.get("nan"):
            metrics["loss"] = metrics["loss"] * float("nan")
        self.steps_marked = getattr(self, "steps_marked", 0) + 1
        if self.plan.get("mark") and self.steps_marked % self.plan["mark"] == 0:
            self.mark(f"mark,   {self.steps_marked}")
        if self.plan.get("metrics"):
            metrics.update(self.plan["metrics"])
        return metrics

    def hints(self):
        if self.plan.get("hints"):
            raise self.plan["hints"]
        return {"z": Hint((0, 1), (1.0, 1.0), (0.0, 0.0), (1.0, 0.5))}

    def _image(self, value):
        return np.full((1, 2, 2, 1), value, np.float32)

    @probe(ImageGrid, refresh=0.05, value=Number(0.5, 0.0, 1.0))
    def still(self, value):
        """One grey."""
        time.sleep(self.plan.get("still", 0.0))
        self.plan.setdefault("asked", []).append((value, self.dragging))
        return ImageGrid(self._image(value))

    @probe(ImageGrid, value=Number(0.5, 0.0, 1.0))
    def once(self, value):
        """One grey that is not redrawn."""
        self.plan.setdefault("once", []).append(value)
        return ImageGrid(self._image(value))

    @probe(Frames, steps=Steps(5, 1, 1000))
    def film(self, steps):
        """A timeline."""
        made = self.plan.setdefault("frames", [])
        try:
            for i in range(steps):
                made.append((steps, i))
                yield Frames(self._image(i / steps), index=i, total=steps)
        finally:
            self.plan.setdefault("closed", []).append(steps)

    @probe(Frames)
    def short(self):
        """Says five frames and makes two."""
        for i in range(2):
            yield Frames(self._image(0.0), index=i, total=5)

    @probe(ImageGrid, refresh=0.05, how=Choice(("value", "memory", "type")))
    def fails(self, how):
        """Never answers."""
        if how == "type":
            return None
        raise {"value": ValueError("no\\nanswer"), "memory": MemoryError("too much")}[how]

    @probe(ImageGrid, refresh=0.05, end=Choice(("well", "badly")))
    def wild(self, end):
        """Does much that a probe should not."""
        random.random(), np.random.rand(3), torch.randn(7)
        self.net(torch.randn(8, 4))  # in training mode this would move batch norm's averages
        with torch.enable_grad():
            self.net(torch.randn(8, 4)).sum().backward()
        self.net.train()
        if end == "badly":
            raise RuntimeError("as promised")
        return ImageGrid(self._image(torch.rand(()).item()))
'''


class Driver:
    """The engine's thread with all that it reported. ``idle`` reads nothing, as a window that hangs would."""

    def __init__(self, package: str = "engine.studies") -> None:
        self.woken = threading.Event()
        self.wakes = 0
        self.engine = Engine(self._wake, threads=1, package=package)
        self.reports: list[m.Report] = []
        self._read = 0
        self.engine.start()

    def _wake(self) -> None:
        self.wakes += 1
        self.woken.set()

    def post(self, *orders: m.Order) -> None:
        for order in orders:
            self.engine.inbox.post(order)

    def ask(self, seq: int, probe: str, epoch: int = 1, phase: str = "settled", slot: str = "", **values: Any) -> None:
        self.engine.inbox.ask(m.Ask(slot or probe, epoch, seq, probe, values, phase))

    def drain(self) -> list[m.Report]:
        fresh = self.engine.outbox.drain()
        self.reports += fresh
        self._read = len(self.reports)
        return fresh

    def until(self, kind: type[R], wanted: Callable[[R], bool] = lambda r: True, seconds: float = 10.0) -> R:
        """The first report of ``kind`` that is ``wanted``, after the one that was found last."""
        end = time.monotonic() + seconds
        while True:
            self.reports += self.engine.outbox.drain()
            while self._read < len(self.reports):
                report = self.reports[self._read]
                self._read += 1
                if isinstance(report, kind) and wanted(report):
                    return report
            left = end - time.monotonic()
            if left <= 0:
                seen = "\n".join(str(r)[:200] for r in self.reports[-12:])
                raise AssertionError(f"no {kind.__name__} within {seconds} s; the last reports were:\n{seen}")
            self.woken.wait(min(left, 0.1))
            self.woken.clear()

    def settle(self, seconds: float = 10.0) -> None:
        """Waits until every order posted so far was carried out and nothing is trained."""
        number = self.engine.inbox.posted
        self.until(m.Status, lambda s: s.orders >= number and s.state == "idle", seconds)

    def all(self, kind: type[R]) -> list[R]:
        return [r for r in self.reports if isinstance(r, kind)]

    def open(self, study: str = "toy", epoch: int = 1, **what: Any) -> m.Opened:
        self.post(m.Open(epoch, study, **what))
        report = self.until(m.Report, lambda r: isinstance(r, m.Opened | m.Failure) and r.epoch == epoch)
        assert isinstance(report, m.Opened), report
        return report

    def stop(self) -> float:
        """Shuts down; the seconds that took."""
        begun = time.monotonic()
        if self.engine.is_alive():
            self.post(m.Shutdown())
            self.engine.join(10)
        assert not self.engine.is_alive()
        self.drain()
        return time.monotonic() - begun

    @property
    def session(self) -> Any:
        return self.engine._desk.session


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Torch computes on one thread: the nets are tiny, and where cores are shared its threads wait for each other."""
    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 0
    if torch is not None:
        torch.set_num_threads(1)
    yield
    if torch is not None:
        torch.set_num_threads(before)


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Makes a package of study files: name -> text; its own name comes back. Gone after the test."""
    names: list[str] = []

    def make(**files: str) -> str:
        name = f"toys{len(names)}_{abs(hash(str(tmp_path))) % 10**9}"
        names.append(name)
        folder = tmp_path / "packages" / name / "family"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").write_text('"""Toys."""\n')
        (folder / "__init__.py").write_text('"""A family."""\n')
        for key, text in files.items():
            (folder / f"{key}.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path / "packages"))
        return name

    yield make
    for loaded in list(sys.modules):
        if loaded.partition(".")[0] in names:
            del sys.modules[loaded]


@pytest.fixture
def toy_class(toys: Callable[..., str]) -> Any:
    """The toy study, without a thread."""
    from engine.registry import find

    study = find(toys(toy=TOY)).studies["toy"]
    study.plan = {}  # type: ignore[attr-defined]
    return study


@pytest.fixture
def make_driver() -> Iterator[Callable[[str], Driver]]:
    """Starts engines that look for studies in a package; they are stopped after the test."""
    made: list[Driver] = []

    def make(package: str) -> Driver:
        made.append(Driver(package))
        made[-1].until(m.Catalogue)
        return made[-1]

    yield make
    for it in made:
        it.stop()


@pytest.fixture
def driver(toys: Callable[..., str], make_driver: Callable[[str], Driver]) -> Driver:
    """An engine that knows the toy study only."""
    return make_driver(toys(toy=TOY))


@pytest.fixture
def plan(driver: Driver) -> dict[str, Any]:
    """What the toy study of ``driver`` is told to do."""
    made: dict[str, Any] = driver.engine._registry.studies["toy"].plan  # type: ignore[attr-defined]
    made.clear()
    return made


@pytest.fixture
def real_driver(make_driver: Callable[[str], Driver]) -> Driver:
    """An engine with the project's own studies."""
    return make_driver("engine.studies")


@pytest.fixture
def small_life(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The still life in six photographs of 24 pixels, two of them held out: made in a moment."""
    monkeypatch.setattr(still_life, "VIEWS", 4)
    monkeypatch.setattr(still_life, "HELD_OUT", 2)
    monkeypatch.setitem(still_life.SIDES, "still_life", 24)
    return data.load("still_life", cache=tmp_path)
