"""Asks and their answers on the engine's thread: latest wins, the last is always answered, nothing spins."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from engine import messages as m
from engine.mailbox import Outbox


def value_of(picture: m.Picture) -> float:
    assert picture.payload is not None
    return round(float(picture.payload.images.flat[0]), 4)  # type: ignore[attr-defined]


def cpu_share(seconds: float) -> float:
    begun, used = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    return (time.process_time() - used) / (time.perf_counter() - begun)


# ---- asks ---------------------------------------------------------------------------------------------------------


def test_an_ask_is_answered_with_its_slot_epoch_seq_phase_and_value(driver: Any) -> None:
    driver.open()
    driver.ask(7, "still", slot="left", value=0.25, phase="drag")
    picture = driver.until(m.Picture)
    assert (picture.slot, picture.epoch, picture.seq, picture.probe) == ("left", 1, 7, "still")
    assert (picture.phase, picture.done, picture.progress, picture.step) == ("drag", True, 1.0, 0)
    assert value_of(picture) == 0.25


def test_the_phase_reaches_the_study(driver: Any, plan: dict[str, Any]) -> None:
    driver.open()
    driver.ask(1, "still", phase="drag", value=0.1)
    driver.until(m.Picture)
    driver.ask(2, "still", phase="settled", value=0.2)
    driver.until(m.Picture)
    assert plan["asked"] == [(0.1, True), (0.2, False)]
    assert driver.session.study.dragging is False


@pytest.mark.parametrize("training", [False, True])
def test_of_a_flood_of_asks_the_last_is_answered_and_few_of_the_others_are_worked_on(
    driver: Any, plan: dict[str, Any], training: bool
) -> None:
    driver.open()
    plan.update(still=0.01, seconds=0.002)
    if training:
        driver.post(m.Train())
    for seq in range(1, 601):
        driver.ask(seq, "still", value=seq / 1000, phase="drag")
        driver.ask(10_000 + seq, "once", value=seq / 1000, phase="drag")
        time.sleep(0.0005)
    driver.ask(601, "still", value=0.9)
    driver.until(m.Picture, lambda p: p.slot == "still" and p.seq == 601 and value_of(p) == 0.9)
    asked_for_once = [p.seq for p in driver.all(m.Picture) if p.slot == "once"]
    if not asked_for_once or asked_for_once[-1] != 10_600:
        driver.until(m.Picture, lambda p: p.seq == 10_600)
    drags = [value for value, _ in plan["asked"]]
    assert 5 < len(drags) < 450
    assert drags == sorted(drags)
    assert len(set(plan["once"])) > 5  # the other slot had its turns too


def test_an_ask_of_another_epoch_is_dropped(driver: Any, plan: dict[str, Any]) -> None:
    driver.open(epoch=4)
    driver.ask(1, "still", epoch=3, value=0.3)
    driver.ask(2, "once", epoch=4, value=0.4)
    driver.until(m.Picture, lambda p: p.seq == 2)
    driver.settle()
    assert "asked" not in plan


def test_an_ask_posted_behind_an_open_is_answered_by_what_that_opens(driver: Any) -> None:
    driver.open(epoch=1)
    for epoch in range(2, 12):
        driver.post(m.Open(epoch, "toy"))
        driver.ask(epoch, "still", epoch=epoch)
        picture = driver.until(m.Picture)
        assert (picture.seq, picture.epoch) == (epoch, epoch)


def test_an_ask_while_nothing_is_open_is_answered_with_a_failure(driver: Any) -> None:
    driver.ask(3, "still", epoch=0)
    failure = driver.until(m.Failure)
    assert (failure.where, failure.slot, failure.seq) == ("probe", "still", 3)
    assert "no study is open" in failure.reason


# ---- failures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probe", "values", "reason"),
    [
        ("fails", {"how": "value"}, "ValueError: no"),
        ("fails", {"how": "type"}, "TypeError: fails answers with NoneType, not ImageGrid"),
        ("fails", {"how": "loudly"}, "how: 'loudly' is not one of value, memory, type"),
        ("still", {"value": 2.0}, "value: 2 is outside the range from 0 to 1"),
        ("still", {"shade": 2.0}, "shade: no such control of still; there are value"),
        ("nothing", {}, "nothing: no such probe of toy; there are still, once, film, short, fails, wild"),
    ],
)
def test_a_failing_probe_is_told_in_one_line_with_its_slot_and_seq(
    driver: Any, probe: str, values: dict[str, Any], reason: str
) -> None:
    driver.open()
    driver.ask(5, probe, slot="here", **values)
    failure = driver.until(m.Failure)
    assert (failure.where, failure.slot, failure.seq, failure.epoch) == ("probe", "here", 5, 1)
    assert failure.reason == reason
    assert "Traceback" in failure.detail
    driver.ask(6, "still", slot="here")
    assert driver.until(m.Picture).seq == 6  # the slot is none the worse


def test_every_failing_ask_is_answered_a_failing_redraw_only_once(driver: Any, plan: dict[str, Any]) -> None:
    driver.open()
    for seq in (1, 2, 3):
        driver.ask(seq, "fails", how="value")
        assert driver.until(m.Failure).seq == seq
    plan["seconds"] = 0.001
    driver.post(m.Train(), m.Save())
    time.sleep(0.6)  # a dozen redraws
    driver.post(m.Pause())
    driver.settle()
    assert [f.seq for f in driver.all(m.Failure) if f.where == "probe"] == [1, 2, 3]


def test_a_probe_that_runs_out_of_memory_says_so_and_training_goes_on(driver: Any) -> None:
    driver.open()
    driver.post(m.Train())
    driver.until(m.Status, lambda s: s.step > 3)
    driver.ask(1, "fails", how="memory")
    failure = driver.until(m.Failure)
    assert (failure.title, failure.reason, failure.slot) == ("Out of memory", "too much", "fails")
    assert "Lower" in failure.advice
    step = driver.session.step
    driver.until(m.Status, lambda s: s.state == "training" and s.step > step)


# ---- timelines ----------------------------------------------------------------------------------------------------


def test_a_timeline_arrives_whole_and_in_order(driver: Any) -> None:
    driver.open()
    driver.ask(1, "film", steps=100)
    driver.until(m.Picture, lambda p: p.done)
    frames = driver.all(m.Picture)
    assert [p.payload.index for p in frames] == list(range(100))
    assert [p.done for p in frames] == [False] * 99 + [True]
    assert [round(p.progress, 2) for p in frames] == [round((i + 1) / 100, 2) for i in range(100)]


def test_a_timeline_that_ends_early_says_that_it_has_ended(driver: Any) -> None:
    driver.open()
    driver.ask(1, "short")
    last = driver.until(m.Picture, lambda p: p.done)
    assert last.payload is None
    assert [p.payload.index for p in driver.all(m.Picture)[:-1]] == [0, 1]


def test_a_new_ask_replaces_the_film_that_is_running_and_closes_it(driver: Any, plan: dict[str, Any]) -> None:
    driver.open()
    driver.ask(1, "film", steps=1000)
    driver.until(m.Picture)
    driver.ask(2, "film", steps=7)
    driver.until(m.Picture, lambda p: p.seq == 2 and p.done)
    seqs = [p.seq for p in driver.all(m.Picture)]
    assert seqs == sorted(seqs)  # no frame of the old film after the new one began
    assert seqs.count(2) == 7
    assert seqs.count(1) < 1000
    assert plan["closed"] == [1000, 7]


def test_a_new_film_replaces_one_that_nobody_reads(driver: Any, plan: dict[str, Any]) -> None:
    driver.open()
    driver.ask(1, "film", steps=1000)
    while len(plan.get("frames", ())) < 32:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(plan["frames"]) == 32  # full: it waits for its reader
    driver.ask(2, "film", steps=6)
    while plan["frames"][-1] != (6, 5):
        time.sleep(0.01)
    driver.until(m.Picture, lambda p: p.done)
    assert [p.seq for p in driver.all(m.Picture)] == [2] * 6  # the old frames were not worth reading


def test_cancel_stops_a_film_and_says_that_it_has_ended(driver: Any, plan: dict[str, Any]) -> None:
    driver.open()
    driver.ask(1, "film", steps=1000)
    driver.until(m.Picture)
    driver.post(m.Cancel("film"))
    driver.until(m.Picture, lambda p: p.done and p.payload is None)
    made = len(plan["frames"])
    assert plan["closed"] == [1000]
    time.sleep(0.1)
    assert len(plan["frames"]) == made < 1000
    driver.ask(2, "film", steps=3)
    driver.until(m.Picture, lambda p: p.seq == 2 and p.done)


def test_a_full_timeline_stops_no_training_and_burns_no_processor(driver: Any, plan: dict[str, Any]) -> None:
    driver.open()
    driver.ask(1, "film", steps=1000)
    while len(plan.get("frames", ())) < 32:
        time.sleep(0.01)
    time.sleep(0.3)
    assert cpu_share(0.6) < 0.02
    driver.post(m.Train(per_second=20.0))  # slow motion must not spin either
    time.sleep(0.3)
    step = driver.session.step
    assert cpu_share(0.8) < 0.1
    assert driver.session.step - step >= 8
    driver.post(m.Train())
    time.sleep(0.3)
    step = driver.session.step
    time.sleep(0.3)
    assert driver.session.step > step + 20
    assert len(plan["frames"]) == 32
    driver.post(m.Pause())
    driver.until(m.Picture, lambda p: p.done, 30)  # once somebody reads, it goes on to its end
    assert [p.payload.index for p in driver.all(m.Picture)] == list(range(1000))


def test_reading_wakes_a_full_timeline_at_once(driver: Any, plan: dict[str, Any]) -> None:
    driver.open()
    driver.ask(1, "film", steps=320)
    begun = time.perf_counter()
    driver.until(m.Picture, lambda p: p.done)
    assert time.perf_counter() - begun < 2.0  # ten times full; each wait for the next look would be 0.25 s


# ---- redraws ------------------------------------------------------------------------------------------------------


def test_an_idle_engine_rests_and_redraws_nothing(driver: Any, plan: dict[str, Any]) -> None:
    driver.open()
    driver.ask(1, "still")
    driver.until(m.Picture)
    driver.settle()
    assert cpu_share(1.0) < 0.01
    assert len(plan["asked"]) == 1


def test_an_engine_with_nothing_open_rests_too(driver: Any) -> None:
    assert cpu_share(0.5) < 0.01


def test_what_is_shown_follows_the_weights_and_comes_to_rest_with_them(driver: Any, plan: dict[str, Any]) -> None:
    driver.open()
    driver.ask(1, "still", value=0.3)
    driver.ask(2, "once")
    driver.post(m.Train(50))
    driver.settle()
    last = [p for p in driver.all(m.Picture) if p.slot == "still"][-1]
    if last.step != 50:
        last = driver.until(m.Picture, lambda p: p.slot == "still" and p.step == 50)
    assert (last.seq, value_of(last)) == (1, 0.3)
    assert plan["once"] == [0.5]  # it declares no refresh
    made = len(plan["asked"])
    driver.post(m.SetKnob("rate", 0.01))  # a knob may change a picture as well
    driver.until(m.Picture)
    assert len(plan["asked"]) == made + 1
    driver.post(m.Forget("still"), m.Train(50))
    driver.settle()
    time.sleep(0.2)
    assert len(plan["asked"]) == made + 1


def test_redraws_take_a_bounded_share_of_training(driver: Any, plan: dict[str, Any]) -> None:
    driver.open()
    plan.update(still=0.01, seconds=0.001)
    for i in range(6):
        driver.ask(i, "still", slot=f"slot {i}")
    for _ in range(6):
        driver.until(m.Picture)
    driver.post(m.Train())
    driver.until(m.Status, lambda s: s.state == "training")
    time.sleep(0.5)
    before, step, begun = len(plan["asked"]), driver.session.step, time.perf_counter()
    time.sleep(2.5)
    spent = 0.01 * (len(plan["asked"]) - before) / (time.perf_counter() - begun)
    assert 0.01 < spent < 0.09  # a twentieth of the time, whatever their number
    assert driver.session.step - step > 250
    seen: set[str] = set()
    while len(seen) < 6:  # every one of them has its turn
        seen.add(driver.until(m.Picture, lambda p: p.step > step and p.slot not in seen).slot)


def test_a_hand_is_served_between_two_slow_redraws(driver: Any, plan: dict[str, Any]) -> None:
    """Many slow pictures are due at once; a new ask waits for one of them at most, not for all."""
    driver.open()
    for i in range(8):
        driver.ask(i, "still", slot=f"slot {i}")
    for _ in range(8):
        driver.until(m.Picture)
    plan["still"] = 0.1
    driver.post(m.SetKnob("rate", 0.02))  # all eight are to be drawn again
    time.sleep(0.15)
    begun = time.perf_counter()
    driver.ask(99, "once")
    driver.until(m.Picture, lambda p: p.seq == 99)
    assert time.perf_counter() - begun < 0.4


def test_the_outbox_is_the_contracts_own(driver: Any) -> None:
    assert isinstance(driver.engine.outbox, Outbox)
    assert [t.name for t in threading.enumerate() if t.name == "engine"] == ["engine"]
