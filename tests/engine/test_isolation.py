"""Looking does not disturb: training with probes, hints and evaluations in between is the same bit for bit."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from engine import data
from engine import messages as m
from engine.formats.runs import Run, flatten, read_snapshot
from engine.isolation import looking, private_random
from engine.payloads import Payload
from engine.registry import find
from engine.session import Session

CPU = torch.device("cpu")
STUDIES = {key: study for key, study in find().studies.items() if study.declaration(key).trains}


def draws() -> tuple[float, float, float]:
    return torch.rand(()).item(), random.random(), float(np.random.rand())


def bits(session: Session) -> dict[str, bytes]:
    """Every tensor of a session's state, as bytes, and its other numbers as text."""
    tensors: dict[str, torch.Tensor] = {}
    state = {k: v for k, v in session.state().items() if k != "seconds"}
    shape = flatten(state, tensors)
    random_states = repr((random.getstate(), np.random.get_state(legacy=False)))
    return {"shape": repr(shape).encode(), "random": random_states.encode()} | {
        k: v.numpy().tobytes() for k, v in tensors.items()
    }


def built(study: Any, key: str = "", seed: int = 3) -> Session:
    source = data.load(study.data.default) if study.data else None  # the first import of scikit-learn draws numbers
    random.seed(seed)
    np.random.seed(seed)
    return Session.build(key, study, study.tiny, seed, CPU, source)


@pytest.fixture(scope="module", autouse=True)
def _warm_torch() -> None:
    """What torch imports at its first step draws from Python's generator, once."""
    weight = torch.ones(1, requires_grad=True)
    weight.sum().backward()
    torch.optim.Adam([weight]).step()


def test_private_random_numbers_start_from_the_seed_and_leave_no_trace() -> None:
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    expected = draws()
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    with private_random(CPU, 1):
        first = draws()
    with contextlib.suppress(KeyError), private_random(CPU, 1):
        assert draws() == first
        raise KeyError
    with private_random(CPU, 2):
        assert draws() != first
    assert draws() == expected


def test_looking_puts_modes_and_gradients_back_whatever_happens_within() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.BatchNorm1d(3))
    net[1].eval()
    net(torch.ones(4, 2)).sum().backward()
    modes = [module.training for module in net.modules()]
    gradients = [p.grad for p in net.parameters()]
    copies = [None if g is None else g.clone() for g in gradients]
    with contextlib.suppress(KeyError), looking([net], CPU, 0):
        assert not any(module.training for module in net.modules())
        assert not torch.is_grad_enabled()
        with torch.enable_grad():
            (net(torch.ones(4, 2)) * 100).sum().backward()
        net.train()
        raise KeyError
    assert [module.training for module in net.modules()] == modes
    assert torch.is_grad_enabled()
    for p, gradient, copy in zip(net.parameters(), gradients, copies, strict=True):
        assert p.grad is gradient
        assert copy is None or torch.equal(copy, p.grad)


def pictures(answer: Iterable[Any]) -> list[Payload]:
    """An answer without what it says of its progress, and without scenes that a better one follows."""
    return [part for part in answer if isinstance(part, Payload) and getattr(part, "progress", 1.0) >= 1.0]


def test_a_wild_probe_disturbs_nothing(toy_class: Any) -> None:
    plain = built(toy_class)
    for _ in range(12):
        plain.train_step()
    expected = bits(plain)
    watched = built(toy_class)
    film = watched.answer("film", {"steps": 100})
    for i in range(12):
        watched.train_step()
        next(watched.answer("wild", {}))
        with pytest.raises(RuntimeError, match="as promised"):
            next(watched.answer("wild", {"end": "badly"}))
        next(film)
        if i == 6:
            film.close()
            film = watched.answer("film", {"steps": 100})
    assert bits(watched) == expected


def test_the_same_question_has_the_same_answer_however_often_it_is_asked(toy_class: Any) -> None:
    session = built(toy_class)
    first = next(session.answer("wild", {})).images  # type: ignore[attr-defined]
    session.train_step()
    torch.randn(3)
    assert np.array_equal(next(session.answer("wild", {})).images, first)  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", sorted(STUDIES))
def test_training_with_every_probe_in_between_is_bit_identical(key: str) -> None:
    study = STUDIES[key]
    steps = 4
    plain = built(study, key)
    for _ in range(steps):
        plain.train_step()
    expected = bits(plain)

    watched = built(study, key)
    timelines = {name: watched.answer(name, {}) for name, spec in watched.specs.items() if spec.timeline}
    evaluation = watched.evaluation()
    for _ in range(steps):
        watched.train_step()
        for name, spec in watched.specs.items():
            if spec.timeline:
                if next(timelines[name], None) is None:
                    timelines[name] = watched.answer(name, {})
            else:
                assert len(pictures(watched.answer(name, {}, dragging=True))) == 1
                assert len(pictures(watched.answer(name, {}))) == 1
            with pytest.raises(Exception, match="no_such_control"):
                next(watched.answer(name, {"no_such_control": 1}))
        for name, spec in watched.specs.items():  # those that can be made to raise in their own code
            for control, kind in spec.controls.items():
                if type(kind).__name__ == "Item":
                    with pytest.raises(data.DataError):
                        next(watched.answer(name, {control: "held_out:99999999"}))
        watched.hints()
        next(evaluation, None)
        watched.read_metrics()
    assert bits(watched) == expected


@pytest.mark.parametrize("key", sorted(STUDIES))
def test_the_engine_trains_the_same_whether_anybody_watches(key: str, tmp_path: Any, real_driver: Any) -> None:
    study = STUDIES[key]

    def trained(epoch: int, look: Callable[[], None]) -> dict[str, bytes]:
        folder = tmp_path / str(epoch)
        real_driver.open(key, epoch=epoch, knobs=dict(study.tiny), seed=5)
        real_driver.post(m.AutosaveTo(str(folder), every_seconds=0.05), m.Train(40))
        look()
        real_driver.settle(30)
        state, step = read_snapshot(Run(folder).snapshot_path(40), key)
        assert step == 40
        tensors: dict[str, torch.Tensor] = {}
        flatten(state, tensors)
        return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}

    def look() -> None:
        for seq, spec in enumerate(study.declaration(key).probes):
            real_driver.ask(seq, spec.name, epoch=2)

    assert trained(1, lambda: None) == trained(2, look)
    assert len({p.slot for p in real_driver.all(m.Picture)}) >= 1
    assert real_driver.all(m.Failure) == []
