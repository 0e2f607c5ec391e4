"""What the engine measures on its own: hints for the sliders, held-out figures, and its warming up."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import messages as m
from engine import session as sessions
from engine.formats.runs import Run
from engine.worker import Engine, measurements

TINY = dict(latent=3, width=4, hidden=16, batch=32)
ITEMS = 270
"""Held-out digits."""


def held_out(driver: Any) -> list[tuple[int, float]]:
    points = [r.points["held_out/elbo"] for r in driver.all(m.Metrics) if "held_out/elbo" in r.points]
    return [(int(steps[0]), float(values[0])) for steps, values in points]


def test_hints_come_with_the_study_and_follow_training(driver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "HINTS_EVERY", 0.1)
    driver.open()
    assert driver.until(m.Hints).hints["z"].order == (0, 1)
    driver.post(m.Train())
    for _ in range(3):
        driver.until(m.Hints)
    driver.post(m.Pause())
    driver.settle()
    known = len(driver.all(m.Hints))
    time.sleep(0.4)
    driver.drain()
    assert len(driver.all(m.Hints)) <= known + 1  # once more for the last step, then all is known


def test_hints_that_fail_are_told_once_and_stop_nothing(driver: Any, plan: dict[str, Any]) -> None:
    plan["hints"] = RuntimeError("no hints")
    driver.open()
    for _ in range(2):
        driver.post(m.Train(5))
        driver.settle()
    assert [f.reason for f in driver.all(m.Failure)] == ["RuntimeError: no hints"]
    assert driver.session.step == 10


def test_hints_take_a_bounded_share_of_training(
    driver: Any, plan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurements, "HINTS_EVERY", 0.0)
    driver.open()
    study = type(driver.session.study)
    plain, spent = study.hints, [0.0]

    def slow(self: Any) -> Any:
        spent[0] += 0.02
        time.sleep(0.02)
        return plain(self)

    monkeypatch.setattr(study, "hints", slow)
    driver.post(m.Train())
    time.sleep(1.5)
    driver.post(m.Pause())
    driver.settle()
    assert 0.02 <= spent[0] <= 0.08  # once at the beginning, once at the end and hardly more


def test_held_out_figures_are_taken_while_training_a_batch_between_two_quanta(
    real_driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurements, "EVALUATE_EVERY", 0.1)
    monkeypatch.setattr(measurements, "SHARE", 1.0)
    monkeypatch.setattr(sessions, "HELD_OUT_BATCH", 30)
    real_driver.open("vae", knobs=TINY)
    study, sizes, at = real_driver.session.study, [], []
    plain = study.evaluate

    def evaluate(batch: Any) -> Any:
        sizes.append(len(batch.x))
        at.append(real_driver.session.step)
        return plain(batch)

    monkeypatch.setattr(study, "evaluate", evaluate)
    real_driver.post(m.Train())
    for _ in range(3):
        real_driver.until(m.Metrics, lambda r: "held_out/elbo" in r.points)
    assert real_driver.session.step > 0
    assert real_driver.all(m.Status)[-1].state == "training"
    assert set(sizes[:9]) == {30}
    assert at[0] < at[4] < at[8]  # training went on between the batches of one evaluation
    steps = [step for step, _ in held_out(real_driver)]
    assert steps == sorted(set(steps))


def test_when_training_stops_the_figures_are_those_of_the_last_step(real_driver: Any, tmp_path: Path) -> None:
    real_driver.open("vae", knobs=TINY)
    real_driver.post(m.AutosaveTo(str(tmp_path / "run")), m.Train(15))
    real_driver.until(m.Metrics, lambda r: "held_out/elbo" in r.points and r.points["held_out/elbo"][0][0] == 15)
    expected = whole(real_driver.session)
    assert held_out(real_driver)[-1] == (15, pytest.approx(expected["elbo"], rel=1e-6))
    real_driver.stop()
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["held_out"] == pytest.approx(expected, rel=1e-6)
    assert Run(tmp_path / "run").metrics()["held_out/elbo"][0][-1] == 15


def whole(session: Any) -> dict[str, float]:
    steps = session.evaluation()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return dict(end.value)


def test_the_whole_held_out_part_is_measured_when_training_stands_still(
    real_driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurements, "EVALUATE_ITEMS", 100)
    real_driver.open("vae", knobs=TINY)
    real_driver.post(m.Train(30), m.Evaluate())
    report = real_driver.until(m.HeldOut)
    assert (report.step, real_driver.session.step) == (30, 30)
    assert report.values == whole(real_driver.session)
    real_driver.post(m.Train(7), m.Evaluate(), m.Train(20))  # the newer order comes first
    report = real_driver.until(m.HeldOut)
    assert report.step == real_driver.session.step == 50
    assert len(real_driver.all(m.HeldOut)) == 2
    assert report.values == real_driver.session.held_out


def test_what_cannot_be_measured_is_answered_all_the_same(driver: Any) -> None:
    driver.open()
    driver.post(m.Train(3), m.Evaluate())
    report = driver.until(m.HeldOut)
    assert (report.step, dict(report.values)) == (3, {})


def test_figures_that_fail_are_told_once_and_training_goes_on(
    real_driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurements, "EVALUATE_EVERY", 0.05)
    real_driver.open("vae", knobs=TINY)

    def fails(batch: Any) -> Any:
        raise RuntimeError("no figures")

    monkeypatch.setattr(real_driver.session.study, "evaluate", fails)
    real_driver.post(m.Train(40))
    real_driver.settle()
    real_driver.post(m.Train(40))
    real_driver.settle()
    assert real_driver.session.step == 80
    failures = [(f.where, f.reason) for f in real_driver.all(m.Failure)]
    assert failures == [("engine", "RuntimeError: no figures")]
    real_driver.post(m.Evaluate())  # an order is answered every time
    assert real_driver.until(m.Failure).reason == "RuntimeError: no figures"


def test_a_warm_engine_does_what_takes_long_and_then_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    monkeypatch.setattr("engine.worker.thread.warm_up", lambda: (done.append(i) for i in range(3)))
    engine = Engine(lambda: None, threads=1, package="engine.studies", warm=True)
    engine.start()
    try:
        wait_for(lambda: len(done) == 3)
        begun, used = time.perf_counter(), time.process_time()
        time.sleep(0.5)
        assert (time.process_time() - used) / (time.perf_counter() - begun) < 0.02
    finally:
        engine.inbox.post(m.Shutdown())
        engine.join(10)
    assert engine.outbox.drain()[-1] != m.Failure
    assert not engine.is_alive()


def test_orders_do_not_wait_for_the_whole_of_the_warming_up(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []

    def endless() -> Any:
        for i in itertools.count():
            time.sleep(0.01)
            done.append(i)
            yield

    monkeypatch.setattr("engine.worker.thread.warm_up", endless)
    engine = Engine(lambda: None, threads=1, warm=True)
    engine.start()
    wait_for(lambda: len(done) > 2)
    engine.inbox.post(m.Shutdown())
    engine.join(2)
    assert not engine.is_alive()


def test_the_warming_up_reads_the_compiled_kernels_that_the_first_hash_grid_needs() -> None:
    from engine.nn.radiance.compiled.hashing import kernels
    from engine.registry import find
    from engine.worker.warming import warm_up

    kernels.cache_clear()
    assert len(list(warm_up())) > 4  # in parts, so that an order need not wait for all of it
    assert kernels.cache_info().currsize == 1
    kernels(find().studies["nerf_hash"].Params().features)  # type: ignore[attr-defined]
    assert kernels.cache_info().hits == 1


def wait_for(true: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)
