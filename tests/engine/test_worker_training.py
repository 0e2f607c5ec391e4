"""Training on the engine's thread: knobs, failures, divergence, memory, saving, the end."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import messages as m
from engine.formats import runs
from engine.formats.runs import Run, read_snapshot
from engine.worker import training


def loss_steps(driver: Any) -> list[int]:
    return [int(s) for r in driver.all(m.Metrics) if "loss" in r.points for s in r.points["loss"][0]]


def failures(driver: Any, where: str = "") -> list[m.Failure]:
    return [f for f in driver.all(m.Failure) if where in ("", f.where)]


# ---- steps --------------------------------------------------------------------------------------------------------


def test_so_many_steps_are_taken_and_every_one_is_on_the_curve(driver: Any) -> None:
    driver.open()
    driver.post(m.Train(100))
    driver.settle()
    driver.post(m.Train(23))
    driver.settle()
    assert driver.session.step == 123
    assert loss_steps(driver) == list(range(1, 124))
    assert driver.all(m.Status)[-1].target == 123


def test_a_vector_comes_with_less_than_every_step_but_with_the_last(driver: Any) -> None:
    driver.open()
    driver.post(m.Train(100))
    driver.settle()
    steps = [int(s) for r in driver.all(m.Metrics) if "each" in r.points for s in r.points["each"][0]]
    assert steps[-1] == 100
    assert len(steps) < 50
    assert all(r.points["each"][1].shape == (1, 3) for r in driver.all(m.Metrics))


def test_pause_stops_and_slow_motion_is_slow(driver: Any) -> None:
    driver.open()
    driver.post(m.Train(per_second=25.0))
    time.sleep(1.0)
    driver.post(m.Pause())
    driver.settle()
    step = driver.session.step
    assert 12 <= step <= 27
    time.sleep(0.2)
    assert driver.session.step == step
    driver.post(m.Train(per_second=5.0), m.Train(3))  # the newest order says how
    driver.settle()
    assert driver.session.step == step + 3


def test_the_rate_that_is_told_is_the_rate(driver: Any, plan: dict[str, Any]) -> None:
    driver.open()
    plan["seconds"] = 0.02
    driver.post(m.Train())
    time.sleep(1.2)
    driver.drain()
    status = driver.until(m.Status, lambda s: s.state == "training")
    assert 30 < status.steps_per_second < 50
    assert status.load > 0.8
    driver.post(m.Pause())
    driver.settle()
    status = driver.until(m.Status, lambda s: s.load == 0.0)
    assert (status.steps_per_second, status.state) == (0.0, "idle")


def test_a_dragging_hand_does_not_wait_for_long_steps_and_training_never_stands_still(
    driver: Any, plan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "HELD_AT_MOST", 0.6)
    driver.open()
    plan["seconds"] = 0.1
    driver.post(m.Train())
    driver.until(m.Metrics)
    driver.ask(1, "still", phase="drag", value=0.0)  # meets a step under way
    driver.until(m.Picture)
    waits, step = [], driver.session.step
    for seq in range(2, 82):
        begun = time.perf_counter()
        driver.ask(seq, "still", phase="drag", value=seq / 100)
        driver.until(m.Picture, lambda p, seq=seq: p.seq == seq)
        waits.append(time.perf_counter() - begun)
        time.sleep(0.016)
    steps = driver.session.step - step
    assert sorted(waits)[60] < 0.05  # three of four do not meet a step, each of which takes 0.1 s
    assert 1 <= steps <= 6  # at least one per 0.6 s held up; without that there would be ten a second
    step = driver.session.step
    time.sleep(0.8)
    assert driver.session.step >= step + 3  # the hand rests: on as before


def test_what_a_click_asks_for_does_not_meet_a_long_step_if_the_press_was_told(
    driver: Any, plan: dict[str, Any]
) -> None:
    driver.open()
    plan["seconds"] = 0.08
    driver.post(m.Train())
    driver.until(m.Metrics)
    waits, begun, step = [], time.perf_counter(), driver.session.step
    for seq in range(1, 13):
        driver.post(m.HandDown())
        time.sleep(0.11)  # a click; the step under way ends meanwhile
        asked = time.perf_counter()
        driver.ask(seq, "still", value=seq / 100)
        driver.until(m.Picture, lambda p, seq=seq: p.seq == seq)
        waits.append(time.perf_counter() - asked)
        time.sleep(0.3)
    assert sorted(waits)[8] < 0.03  # without the press they would wait for half a step, 0.04 s, in the mean
    assert driver.session.step - step > 0.3 * (time.perf_counter() - begun) / 0.08  # held up for 0.2 s at most


def test_training_needs_something_open(driver: Any) -> None:
    driver.post(m.Train())
    assert "no study is open" in driver.until(m.Failure).reason
    assert failures(driver)[0].where == "train"


# ---- knobs --------------------------------------------------------------------------------------------------------


def test_a_live_knob_applies_at_the_next_step_and_is_kept_with_the_run(driver: Any, tmp_path: Path) -> None:
    driver.open()
    driver.post(m.AutosaveTo(str(tmp_path / "run")), m.Train(5))
    driver.settle()
    driver.post(m.Train(), m.SetKnob("rate", 0.02))
    while len(driver.session.study.rates) < 10:
        time.sleep(0.01)
    driver.post(m.Pause())
    driver.settle()
    assert driver.session.study.rates[:5] == [0.01] * 5
    assert set(driver.session.study.rates[5:]) == {0.02}
    assert json.loads((tmp_path / "run" / "config.json").read_text())["knobs"] == {"width": 4, "rate": 0.02}
    assert "knob rate set to 0.02" in (tmp_path / "run" / "log.txt").read_text()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("rate", 3.0, "rate: 3 is outside the range from 0.0001 to 1"),
        ("rate", "fast", "rate: 'fast' is not a number"),
        ("rate", float("nan"), "rate: nan is not a finite number"),
        ("width", 8, "width: takes effect only when the study is built again"),
        ("depth", 1, "depth: no such knob; there are width, rate"),
    ],
)
def test_a_bad_knob_is_told_in_one_line_and_changes_nothing(driver: Any, name: str, value: Any, reason: str) -> None:
    driver.open()
    driver.post(m.SetKnob(name, value))
    failure = driver.until(m.Failure)
    assert (failure.where, failure.reason, failure.fault) == ("knob", reason, False)
    assert driver.session.knobs == {"width": 4, "rate": 0.01}
    assert (driver.session.study.p.width, driver.session.study.p.rate) == (4, 0.01)


def test_a_study_that_fails_to_take_a_knob_keeps_the_old_one(driver: Any, plan: dict[str, Any]) -> None:
    driver.open()
    plan["knob"] = RuntimeError("cannot")
    driver.post(m.SetKnob("rate", 0.5))
    assert driver.until(m.Failure).reason == "RuntimeError: cannot"
    assert (driver.session.study.p.rate, driver.session.knobs["rate"]) == (0.01, 0.01)


# ---- failures -----------------------------------------------------------------------------------------------------


def test_a_failing_step_stops_training_and_nothing_else(driver: Any, plan: dict[str, Any]) -> None:
    driver.open()
    driver.post(m.Train())
    driver.until(m.Status, lambda s: s.step > 10)
    plan["step"] = RuntimeError("a bad step")
    failure = driver.until(m.Failure)
    assert (failure.where, failure.reason, failure.fault) == ("train", "RuntimeError: a bad step", True)
    assert failure.title == f"Training stopped at step {driver.session.step}"
    driver.settle()
    assert loss_steps(driver) == list(range(1, driver.session.step + 1))  # the good steps are on the curve
    driver.ask(1, "still")
    driver.until(m.Picture)
    plan.clear()
    step = driver.session.step
    driver.post(m.Train(3))
    driver.settle()
    assert driver.session.step == step + 3


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nand more lines"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_out_of_memory_frees_says_so_and_after_another_knob_training_goes_on(
    driver: Any, plan: dict[str, Any], error: Exception
) -> None:
    driver.open()
    driver.post(m.Train(4))
    driver.settle()
    plan["step"] = error
    driver.post(m.Train())
    failure = driver.until(m.Failure)
    assert (failure.where, failure.title) == ("train", "Out of memory")
    assert "\n" not in failure.reason
    assert "batch" in failure.advice
    driver.settle()
    assert all(p.grad is None for p in driver.session.study.net.parameters())
    plan.clear()
    driver.post(m.SetKnob("rate", 0.02), m.Train(4))
    driver.settle()
    assert driver.session.step == 8
    assert driver.session.study.rates[-1] == 0.02


def test_memory_that_ran_out_is_let_go_of_before_anybody_goes_on() -> None:
    from engine.worker.failures import release

    class Big:
        alive = 0

        def __init__(self) -> None:
            Big.alive += 1

        def __del__(self) -> None:
            Big.alive -= 1

    def step() -> None:
        activations = Big()
        try:
            raise MemoryError
        except MemoryError:
            raise RuntimeError(f"while {type(activations).__name__} was held")  # noqa: B904  # as a study would

    try:
        step()
    except RuntimeError as e:
        assert Big.alive == 1
        release(e)
        assert Big.alive == 0


# ---- divergence ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["nan", "poison"])
def test_what_is_not_finite_stops_training_and_is_never_saved(
    driver: Any, plan: dict[str, Any], tmp_path: Path, how: str
) -> None:
    """``nan``: a metric says it; ``poison``: the weights are spoilt by a step whose own metrics are still good."""
    driver.open()
    folder = tmp_path / "run"
    driver.post(m.AutosaveTo(str(folder), every_seconds=0.02), m.Train(10))
    driver.settle()
    plan[how] = True
    driver.post(m.Train())
    failure = driver.until(m.Failure)
    assert (failure.where, failure.diverged, failure.fault) == ("train", True, False)
    assert "is not a finite number at step" in failure.reason
    assert "last good snapshot, step 10" in failure.advice
    assert driver.until(m.Status, lambda s: s.state == "idle").state == "idle"
    driver.post(m.Train(5))
    assert "not finite" in driver.until(m.Failure, lambda f: not f.diverged).reason  # no step more from here
    driver.post(m.Save())
    assert driver.until(m.Failure).where == "save"
    driver.ask(1, "still")
    assert "not finite" in driver.until(m.Failure).reason
    assert Run(folder).snapshots()[-1] == 10
    plan.clear()
    driver.post(m.LoadSnapshot(10))
    assert driver.until(m.Opened).step == 10
    driver.post(m.Train(5))
    driver.settle()
    assert driver.session.step == 15
    assert driver.session.finite()
    assert Run(folder).snapshots()[-1] == 15
    steps, _ = Run(folder).metrics()["loss"]
    assert steps.tolist() == list(range(1, 16))  # the rows of the spoilt steps are gone


@pytest.mark.parametrize("end", ["shutdown", "open"])
def test_spoilt_weights_are_not_saved_at_the_end_either(
    driver: Any, plan: dict[str, Any], tmp_path: Path, end: str
) -> None:
    driver.open()
    plan["seconds"] = 0.03  # so that the end comes before the metrics of the bad step are read
    driver.post(m.AutosaveTo(str(tmp_path / "run")), m.Train(3))
    driver.settle()
    assert Run(tmp_path / "run").snapshots() == (0, 3)
    plan["poison"] = True
    step = driver.session.step
    driver.post(m.Train())
    while driver.session.step == step:
        time.sleep(0.001)
    if end == "shutdown":
        driver.stop()
    else:
        driver.open(epoch=2)
    assert Run(tmp_path / "run").snapshots() == (0, 3)
    state, _ = read_snapshot(Run(tmp_path / "run").snapshot_path(3))
    assert all(torch.isfinite(v).all() for v in state["parts"]["net"].values())
    assert [f.diverged for f in driver.all(m.Failure)] == [True]


def test_the_points_before_a_bad_one_are_not_lost(driver: Any, plan: dict[str, Any]) -> None:
    driver.open()
    driver.post(m.Train(7))
    driver.settle()
    plan["nan"] = True
    driver.post(m.Train())
    driver.until(m.Failure)
    assert loss_steps(driver) == list(range(1, 8))
    assert failures(driver)[-1].reason == "loss is not a finite number at step 8"


def test_metrics_that_are_none_stop_training_with_a_reason(driver: Any, plan: dict[str, Any]) -> None:
    driver.open()
    plan["metrics"] = {"loss": "a word"}
    driver.post(m.Train())
    failure = driver.until(m.Failure)
    assert (failure.where, failure.fault) == ("train", True)
    driver.settle()


# ---- disks --------------------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_is_told_and_training_goes_on(driver: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    driver.open()
    driver.post(m.AutosaveTo(str(tmp_path / "file" / "run")), m.Train(20))
    failure = driver.until(m.Failure)
    assert (failure.where, failure.title) == ("save", "The run folder could not be made")
    driver.settle()
    assert driver.session.step == 20


def test_a_full_disk_is_told_once_training_goes_on_and_saving_recovers(
    driver: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.open()
    driver.post(m.AutosaveTo(str(tmp_path / "run"), every_seconds=0.05), m.Train(5))
    driver.settle()

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(runs, "write_atomic", full)
        driver.post(m.Train())
        failure = driver.until(m.Failure)
        assert (failure.where, failure.title) == ("save", "The snapshot was not saved")
        assert "No space left on device" in failure.reason
        time.sleep(0.4)
        step = driver.session.step
    driver.until(m.Saved, lambda s: s.step > step)
    driver.post(m.Pause())
    driver.settle()
    assert driver.session.step > step > 5
    assert len(failures(driver)) == 1


def test_metrics_that_cannot_be_written_stop_nothing(
    driver: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.open()
    driver.post(m.AutosaveTo(str(tmp_path / "run")), m.Train(5))
    driver.settle()

    def full(run: Run, rows: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log_metrics", full)
        driver.post(m.Train(300))
        driver.settle()
    assert [f.title for f in failures(driver)] == ["The metrics were not written"]
    assert loss_steps(driver) == list(range(1, 306))


# ---- runs ---------------------------------------------------------------------------------------------------------


def test_training_is_saved_while_it_goes_on_and_when_it_stops(driver: Any, tmp_path: Path) -> None:
    driver.open()
    driver.post(m.AutosaveTo(str(tmp_path / "run"), every_seconds=0.1), m.Train())
    for _ in range(3):
        driver.until(m.Saved)
    driver.post(m.Pause())
    driver.settle()
    run = Run(tmp_path / "run")
    assert len(run.snapshots()) >= 3
    assert run.snapshots()[-1] == driver.session.step
    assert run.metrics()["loss"][0].tolist() == list(range(1, driver.session.step + 1))
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["steps"] == driver.session.step
    assert driver.all(m.Saved)[-1].snapshots == run.snapshots()


def test_nothing_is_written_before_the_first_step_is_wanted(driver: Any, tmp_path: Path) -> None:
    driver.open()
    driver.post(m.AutosaveTo(str(tmp_path / "run")))
    driver.ask(1, "still")
    driver.until(m.Picture)
    driver.stop()
    assert not (tmp_path / "run").exists()


def test_going_back_and_on_branches_so_that_the_later_snapshots_stay(driver: Any, tmp_path: Path) -> None:
    driver.open()
    driver.post(m.AutosaveTo(str(tmp_path / "run")), m.Train(10))
    driver.settle()
    driver.post(m.Train(10))
    driver.settle()
    driver.post(m.LoadSnapshot(10))
    assert driver.until(m.Opened).step == 10
    driver.post(m.Train(5))
    driver.settle()
    assert Run(tmp_path / "run").snapshots() == (0, 10, 20)
    assert Run(tmp_path / "run").metrics()["loss"][0][-1] == 20
    branch = Run(tmp_path / "run-from-10")
    assert branch.snapshots() == (10, 15)
    assert branch.metrics()["loss"][0].tolist() == list(range(1, 16))
    assert driver.all(m.Saved)[-1].run == str(branch.folder)


def test_a_snapshot_that_is_not_there_or_does_not_fit_changes_nothing(driver: Any, tmp_path: Path) -> None:
    driver.open()
    driver.post(m.AutosaveTo(str(tmp_path / "run")), m.Train(10))
    driver.settle()
    driver.post(m.LoadSnapshot(7))
    failure = driver.until(m.Failure)
    assert "step-000000007.safetensors: not found" in failure.reason
    state = driver.session.state()
    state["parts"]["net"] = {**state["parts"]["net"], "0.weight": torch.zeros(9, 4)}
    driver.session.run.save("toy", 7, state)
    before = {k: v.clone() for k, v in driver.session.study.net.state_dict().items()}
    driver.post(m.LoadSnapshot(7))
    failure = driver.until(m.Failure)
    assert "does not fit these knobs" in failure.reason
    assert "\n" not in failure.reason
    driver.settle()
    assert driver.session.step == 10
    assert all(torch.equal(before[k], v) for k, v in driver.session.study.net.state_dict().items())


def test_shutdown_while_training_saves_ends_fast_and_leaves_no_thread(
    driver: Any, plan: dict[str, Any], tmp_path: Path
) -> None:
    driver.open()
    plan["seconds"] = 0.01
    driver.post(m.AutosaveTo(str(tmp_path / "run")), m.Train())
    driver.ask(1, "film", steps=1000)
    driver.until(m.Status, lambda s: s.step > 5)
    assert driver.stop() < 2.0
    assert not [t for t in threading.enumerate() if t.name == "engine"]
    run = Run(tmp_path / "run")
    assert run.snapshots()[-1] > 5
    assert run.metrics()["loss"][0][-1] == run.snapshots()[-1]
    assert driver.all(m.Failure) == []
    assert not [name for name in os.listdir(tmp_path / "run") if name.endswith(".part")]


def test_the_folder_of_one_study_is_not_used_for_the_next(driver: Any, tmp_path: Path) -> None:
    driver.open()
    driver.post(m.AutosaveTo(str(tmp_path / "run")), m.Train(3))
    driver.settle()
    driver.open(epoch=2)
    driver.post(m.Train(2))
    driver.settle()
    assert Run(tmp_path / "run").snapshots() == (0, 3)
    assert failures(driver) == []


def test_a_fault_of_the_engines_own_leaves_it_alive(
    driver: Any, monkeypatch: pytest.MonkeyPatch, toys: Callable[..., str]
) -> None:
    driver.open()
    with monkeypatch.context() as patch:
        patch.setattr(driver.engine._slots, "advance", lambda: 1 / 0)
        failure = driver.until(m.Failure)
        assert (failure.where, failure.fault) == ("engine", True)
    driver.ask(1, "still")
    driver.until(m.Picture)
