"""The view lane: newest per key, one wake-up, failures as values, a clean stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest

from engine.lane import Answer, Lane

PATIENCE = 5.0


class Bell:
    """Counts wake-ups and lets a test wait for the next."""

    def __init__(self) -> None:
        self.rung = 0
        self._event = threading.Event()

    def __call__(self) -> None:
        self.rung += 1
        self._event.set()

    def wait(self) -> None:
        assert self._event.wait(PATIENCE)
        self._event.clear()


class Gate:
    """A job that says when it has begun and ends when it is let go."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()

    def __call__(self, value: int = 0) -> int:
        self.begun.set()
        assert self.let_go.wait(PATIENCE)
        return value


def lane_of(**jobs: Callable[..., Any]) -> tuple[Lane, Bell]:
    bell = Bell()
    return Lane(bell, jobs), bell


def test_an_answer_comes_back_by_one_wake_up() -> None:
    lane, bell = lane_of(double=lambda x: 2 * x)
    number = lane.ask("a", "double", x=21)
    bell.wait()
    assert lane.drain() == [Answer("a", number, 42)]
    assert lane.drain() == []
    assert bell.rung == 1
    assert lane.stop()


def test_the_newest_of_a_key_replaces_the_unread_older_one_and_other_keys_keep_their_turn() -> None:
    gate = Gate()
    done: list[int] = []
    lane, bell = lane_of(gate=gate, note=lambda x: done.append(x) or x)
    lane.ask("gate", "gate", value=1)
    assert gate.begun.wait(PATIENCE)
    for x in range(50):
        last = lane.ask("slider", "note", x=x)
    other = lane.ask("other", "note", x=-1)
    gate.let_go.set()
    found: dict[str, Answer] = {}
    while len(found) < 3:
        bell.wait()
        found |= {answer.key: answer for answer in lane.drain()}
    assert done == [49, -1]
    assert found["slider"] == Answer("slider", last, 49)
    assert found["other"].number == other
    assert lane.stop()


def test_an_answer_that_is_older_than_the_newest_ask_is_dropped() -> None:
    gate = Gate()
    lane, bell = lane_of(gate=gate, quick=lambda: "new")
    lane.ask("a", "gate")
    assert gate.begun.wait(PATIENCE)
    newest = lane.ask("a", "quick")
    gate.let_go.set()
    bell.wait()
    assert lane.drain() == [Answer("a", newest, "new")]
    assert lane.stop()


def test_cancel_drops_what_waits_and_what_is_worked_on() -> None:
    gate = Gate()
    ran: list[str] = []
    lane, bell = lane_of(gate=gate, note=lambda: ran.append("b"), end=lambda: "end")
    lane.ask("a", "gate")
    assert gate.begun.wait(PATIENCE)
    lane.ask("b", "note")
    lane.cancel("a")
    lane.cancel("b")
    lane.ask("c", "end")
    gate.let_go.set()
    bell.wait()
    assert [answer.key for answer in lane.drain()] == ["c"]
    assert ran == []
    assert lane.stop()


def test_a_generator_is_given_up_between_its_steps_and_answers_what_it_returns() -> None:
    begun, closed = threading.Event(), threading.Event()

    def long() -> Generator[float, None, str]:
        try:
            while True:
                begun.set()
                time.sleep(0.001)
                yield 0.5
        finally:
            closed.set()

    def short() -> Generator[float, None, str]:
        yield 0.5
        return "done"

    lane, bell = lane_of(long=long, short=short)
    lane.ask("a", "long")
    assert begun.wait(PATIENCE)
    lane.ask("a", "short")
    assert closed.wait(PATIENCE)
    bell.wait()
    assert [answer.value for answer in lane.drain()] == ["done"]
    lane.ask("a", "long")
    begun.clear()
    assert begun.wait(PATIENCE)
    closed.clear()
    assert lane.stop()
    assert closed.is_set()


def test_failures_are_values_and_the_lane_goes_on() -> None:
    def broken() -> None:
        raise ValueError("no such point\nwith a second line")

    lane, bell = lane_of(broken=broken, fine=lambda: 1)
    lane.ask("a", "broken")
    bell.wait()
    (answer,) = lane.drain()
    assert answer.failure == "ValueError: no such point"
    lane.ask("a", "nothing")
    bell.wait()
    assert "there is no view job 'nothing'" in lane.drain()[0].failure
    lane.ask("a", "fine")
    bell.wait()
    assert lane.drain()[0].value == 1
    assert lane.stop()


def test_nothing_is_delivered_after_stop_and_asking_is_refused() -> None:
    gate = Gate()
    lane, bell = lane_of(gate=gate)
    lane.ask("a", "gate")
    assert gate.begun.wait(PATIENCE)
    threading.Timer(0.05, gate.let_go.set).start()
    assert lane.stop()
    assert lane.stop()
    assert bell.rung == 0
    assert lane.drain() == []
    with pytest.raises(RuntimeError, match="stopped"):
        lane.ask("a", "gate")


def test_a_lane_that_was_never_asked_has_no_thread() -> None:
    before = threading.active_count()
    lane, _ = lane_of()
    assert threading.active_count() == before
    assert lane.stop()


def test_the_real_jobs_are_the_functions_of_viewing() -> None:
    bell = Bell()
    lane = Lane(bell)
    points = np.array([[0.0, 0, 0], [1, 0, 0]], np.float32)
    lane.ask("p", "inside_planes", places=points, planes=[[1, 0, 0, -0.5]])
    bell.wait()
    (answer,) = lane.drain()
    assert not answer.failure
    assert answer.value.tolist() == [False, True]
    lane.ask("p", "__import__", name="os")
    bell.wait()
    assert lane.drain()[0].failure
    assert lane.stop()
