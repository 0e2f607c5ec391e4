"""The two lanes in, the one wake-up out. Plain threading: no study and no torch."""

from __future__ import annotations

import threading
import time

import numpy as np

from engine import messages as m
from engine.mailbox import Inbox, Outbox
from engine.payloads import ImageGrid


def ask(slot: str, seq: int, epoch: int = 1) -> m.Ask:
    return m.Ask(slot, epoch, seq, "decode")


def picture(slot: str, seq: int) -> m.Picture:
    return m.Picture(slot, 1, seq, "decode", ImageGrid(np.zeros((1, 1, 1, 1), np.float32)), 0)


def status(step: int) -> m.Status:
    return m.Status(1, "idle", step, None, 0.0, 0.0, 0, "cpu")


def failure(slot: str, seq: int) -> m.Failure:
    return m.Failure("probe", "no", "no", slot=slot, seq=seq)


# ---- in -----------------------------------------------------------------------------------------------------------


def test_orders_come_out_in_their_order_and_none_is_lost() -> None:
    inbox = Inbox()
    for i in range(500):
        inbox.post(m.SetKnob("beta", i))
    assert [inbox.take_order() for _ in range(501)] == [*(m.SetKnob("beta", i) for i in range(500)), None]
    assert (inbox.posted, inbox.taken) == (500, 500)


def test_of_a_slot_only_the_newest_ask_waits() -> None:
    inbox = Inbox()
    for seq in range(100):
        inbox.ask(ask("a", seq))
        inbox.ask(ask("b", 1000 + seq))
    assert [(a.slot, a.seq) for a, _ in inbox.take_asks()] == [("a", 99), ("b", 1099)]
    assert inbox.take_asks() == []


def test_an_ask_carries_the_time_at_which_it_came() -> None:
    inbox = Inbox()
    before = time.perf_counter()
    inbox.ask(ask("a", 1))
    after = time.perf_counter()
    ((_, came),) = inbox.take_asks()
    assert before <= came <= after


def test_asks_wait_while_an_order_does_for_it_may_open_what_they_ask_about() -> None:
    inbox = Inbox()
    inbox.post(m.Open(2, "vae"))
    inbox.ask(ask("a", 5, epoch=2))
    assert inbox.take_asks() == []
    assert isinstance(inbox.take_order(), m.Open)
    assert [a.seq for a, _ in inbox.take_asks()] == [5]


def test_opening_drops_older_asks_and_cancelling_or_forgetting_those_of_its_slot() -> None:
    for order, left in (
        (m.Open(2, "vae"), []),
        (m.Cancel("a"), ["b"]),
        (m.Forget("b"), ["a"]),
        (m.Pause(), ["a", "b"]),
    ):
        inbox = Inbox()
        inbox.ask(ask("a", 1))
        inbox.ask(ask("b", 1))
        inbox.post(order)
        inbox.take_order()
        assert [a.slot for a, _ in inbox.take_asks()] == left, order


def test_what_is_being_loaded_learns_that_something_else_is_wanted() -> None:
    inbox = Inbox()
    inbox.post(m.Pause())
    assert not inbox.has_open()
    for order in (m.Open(1, "vae"), m.Shutdown()):
        other = Inbox()
        other.post(m.Pause())
        other.post(order)
        assert other.has_open()


def test_waiting_ends_at_once_for_an_order_an_ask_or_a_nudge_even_one_that_came_before() -> None:
    for wake in (lambda b: b.post(m.Pause()), lambda b: b.ask(ask("a", 1)), lambda b: b.nudge()):
        for delay in (0.0, 0.05):
            inbox = Inbox()
            timer = threading.Timer(delay, wake, [inbox])
            timer.start()
            begun = time.perf_counter()
            if not delay:
                timer.join()
            inbox.wait(5.0)
            assert time.perf_counter() - begun < 2.0
            timer.join()
    inbox.nudge()
    inbox.take_order()
    inbox.wait(0.0)
    begun = time.perf_counter()
    Inbox().wait(0.05)
    assert time.perf_counter() - begun >= 0.04


# ---- out ----------------------------------------------------------------------------------------------------------


def test_the_reader_is_woken_once_however_much_there_is_to_read() -> None:
    wakes: list[int] = []
    outbox = Outbox(lambda: wakes.append(1))
    for i in range(100):
        outbox.put(status(i))
        outbox.put_picture(picture("a", i))
        outbox.put_frame(picture("film", i))
    assert len(wakes) == 1
    assert len(outbox.drain()) == 201
    assert outbox.drain() == []
    outbox.put(status(0))
    assert len(wakes) == 2


def test_of_a_slots_pictures_the_latest_is_kept_of_reports_and_frames_all() -> None:
    outbox = Outbox(lambda: None)
    for i in range(3):
        outbox.put_picture(picture("a", i))
        outbox.put_frame(picture("film", i))
        outbox.put(status(i))
    out = outbox.drain()
    assert [p.seq for p in out if isinstance(p, m.Picture) and p.slot == "a"] == [2]
    assert [p.seq for p in out if isinstance(p, m.Picture) and p.slot == "film"] == [0, 1, 2]
    assert [s.step for s in out if isinstance(s, m.Status)] == [0, 1, 2]


def test_what_is_said_is_read_in_the_order_in_which_it_was_said() -> None:
    outbox = Outbox(lambda: None)
    outbox.put_picture(picture("a", 1))
    outbox.put(status(1))
    outbox.put_picture(picture("a", 2))  # replaces the first, and is newer than the status
    outbox.put(failure("b", 3))
    outbox.put_picture(picture("b", 4))
    kinds = [(type(r).__name__, getattr(r, "seq", 0)) for r in outbox.drain()]
    assert kinds == [("Status", 0), ("Picture", 2), ("Failure", 3), ("Picture", 4)]


def test_a_failure_takes_the_place_of_the_unread_older_picture_which_would_cover_it() -> None:
    outbox = Outbox(lambda: None)
    outbox.put_picture(picture("a", 1))
    outbox.put_picture(picture("b", 1))
    outbox.put(failure("a", 2))
    assert [(type(r).__name__, r.slot) for r in outbox.drain()] == [("Picture", "b"), ("Failure", "a")]  # type: ignore[attr-defined]


def test_a_timeline_has_room_for_so_many_frames_and_tells_when_it_has_again() -> None:
    freed: list[int] = []
    outbox = Outbox(lambda: None, depth=3, freed=lambda: freed.append(1))
    for i in range(3):
        assert outbox.has_room("film")
        outbox.put_frame(picture("film", i))
    assert not outbox.has_room("film")
    assert outbox.has_room("other film")
    assert len(outbox.drain()) == 3
    assert freed == [1]
    assert outbox.has_room("film")
    outbox.put_frame(picture("film", 3))
    outbox.drain()
    assert freed == [1]  # it was not full


def test_what_is_forgotten_is_not_read_and_leaves_room() -> None:
    outbox = Outbox(lambda: None, depth=2)
    for slot in ("a", "b"):
        outbox.put_frame(picture(slot, 0))
        outbox.put_frame(picture(slot, 1))
        outbox.put_picture(picture(slot, 2))
    outbox.forget("a")
    assert outbox.has_room("a")
    assert [r.slot for r in outbox.drain()] == ["b", "b", "b"]  # type: ignore[attr-defined]


def test_many_threads_post_and_nothing_is_lost() -> None:
    inbox, outbox = Inbox(), Outbox(lambda: None)
    read: list[m.Report] = []

    def post(n: int) -> None:
        for i in range(200):
            inbox.post(m.SetKnob(str(n), i))
            outbox.put(status(n * 1000 + i))

    threads = [threading.Thread(target=post, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        read += outbox.drain()
    read += outbox.drain()
    orders = []
    while (order := inbox.take_order()) is not None:
        orders.append(order)
    assert len(orders) == 800
    for n in range(4):
        assert [o.value for o in orders if o.name == str(n)] == list(range(200))  # type: ignore[attr-defined]
    assert sorted(s.step for s in read) == sorted(n * 1000 + i for n in range(4) for i in range(200))  # type: ignore[attr-defined]
