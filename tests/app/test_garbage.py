"""Cyclic garbage is collected on the GUI thread only, whatever the engine's thread does, and without long pauses."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from app.garbage import FULL_EVERY, HELD_TICKS, TICK_MS, YOUNG, Garbage
from tests.app.conftest import Driver


class Knot:
    """Garbage once it is let go of: it holds on to itself, and to ``thing``."""

    def __init__(self, thing: Any = None) -> None:
        self.thing, self.me = thing, self


@pytest.fixture
def where() -> Iterator[Callable[[Any], list[threading.Thread]]]:
    """Tells the threads on which objects are destroyed: a list that is filled then."""
    ends: list[Any] = []

    def watch(thing: Any) -> list[threading.Thread]:
        threads: list[threading.Thread] = []
        ends.append(weakref.finalize(thing, lambda: threads.append(threading.current_thread())))
        return threads

    yield watch
    for end in ends:
        end.detach()


@pytest.fixture
def collecting() -> Iterator[None]:
    """Python's own collecting is on, as in an application; tests/conftest.py has turned it off."""
    gc.enable()
    yield
    gc.disable()


def stands(drive: Driver) -> None:
    """Opens a first study; what is there once nothing more is loaded is never looked at again."""
    drive.open("vae")
    drive.until(gc.get_freeze_count)


def test_what_is_garbage_when_a_study_is_closed_ends_on_the_gui_thread(
    drive: Driver, where: Callable[[Any], list[threading.Thread]]
) -> None:
    """A plot of pyqtgraph's instead of this widget, destroyed on the engine's thread, would end the process here."""
    stands(drive)
    knot = Knot(QWidget())
    ended = where(knot)
    del knot
    drive.open("autoencoder")
    drive.until(lambda: ended, timeout=30_000)
    assert ended == [threading.main_thread()]


def test_the_engine_never_collects_however_much_it_makes(
    collecting: None, make_drive: Callable[..., Driver], where: Callable[[Any], list[threading.Thread]]
) -> None:
    drive = make_drive()
    stands(drive)
    ended = [where(Knot(QWidget())) for _ in range(20)]
    many: list[Any] = []

    def allocate() -> None:
        for _ in range(3):
            many.append([[] for _ in range(5 * YOUNG)])

    other = threading.Thread(target=allocate)
    other.start()
    other.join()
    assert not any(ended)
    drive.until(lambda: all(ended), timeout=30_000)
    assert {thread for threads in ended for thread in threads} == {threading.main_thread()}


def test_collecting_is_pythons_own_again_after_the_last_window(
    collecting: None, make_window: Callable[..., Any], qtbot: Any
) -> None:
    first, second = make_window(), make_window()
    assert not gc.isenabled()
    first.close()
    assert not gc.isenabled()
    second.close()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_a_closed_study_leaves_no_dock_behind(drive: Driver) -> None:
    stands(drive)
    docks: list[list[weakref.ref[Any]]] = []
    for study in ("autoencoder", "vae", "autoencoder", "vae"):
        drive.open(study)
        docks.append([weakref.ref(dock) for dock in drive.stage.docks.values()])
    # A module that is loaded meanwhile may keep the docks of one study, never those of every study.
    drive.until(lambda: sum(any(dock() for dock in them) for them in docks[:-1]) <= 1, timeout=30_000)


class TestGarbage:
    @pytest.fixture
    def garbage(self, qtbot: Any) -> Iterator[Garbage]:
        it = Garbage()
        it.start()
        it.soon()
        qtbot.waitUntil(lambda: it._frozen and not it._wanted)  # what was there is set aside
        yield it
        it.stop()

    def test_new_garbage_goes_soon_old_garbage_at_the_next_full_look(self, garbage: Garbage, qtbot: Any) -> None:
        def litter() -> weakref.ref[Knot]:
            knots = [Knot() for _ in range(2 * YOUNG)]
            return weakref.ref(knots[0])

        new = litter()
        qtbot.waitUntil(lambda: new() is None, timeout=10 * TICK_MS)
        old = Knot()
        for generation in (0, 1):  # lives long
            gc.collect(generation)
        gone = weakref.ref(old)
        del old
        for _ in range(FULL_EVERY):
            assert gone() is not None
            litter()
            garbage._tick()
        garbage._not_before = 0.0
        garbage._tick()
        assert gone() is None

    def test_a_full_look_waits_while_a_button_is_held(self, garbage: Garbage, qtbot: Any) -> None:
        widget = QWidget()
        qtbot.addWidget(widget)
        widget.show()
        knot = weakref.ref(Knot())
        QTest.mousePress(widget, Qt.MouseButton.LeftButton)
        garbage.soon()
        QTest.qWait(3 * TICK_MS)
        assert knot() is not None
        QTest.mouseRelease(widget, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: knot() is None, timeout=10 * TICK_MS)
        QTest.mousePress(widget, Qt.MouseButton.LeftButton)
        knot = weakref.ref(Knot())
        garbage._not_before = 0.0
        garbage.soon()
        for _ in range(HELD_TICKS):
            garbage._tick()
        assert knot() is not None
        garbage._tick()  # but not for ever
        assert knot() is None
        QTest.mouseRelease(widget, Qt.MouseButton.LeftButton)

    def test_full_looks_take_a_hundredth_of_the_time_at_most(self, garbage: Garbage) -> None:
        some = [[] for _ in range(15_000)]
        garbage._not_before = 0.0
        garbage.soon()
        begun = time.perf_counter()
        garbage._tick()
        took = time.perf_counter() - begun
        knot = weakref.ref(Knot())
        garbage.soon()
        garbage._tick()
        assert knot() is not None, "the second came at once"
        assert some
        assert garbage._not_before - begun > 50 * took

    @pytest.mark.parametrize(("limit", "found", "set_aside"), [(0.0, 0, True), (0.0, 3_000, False), (9.0, 0, False)])
    def test_objects_that_take_long_and_stay_are_not_looked_at_again(
        self, garbage: Garbage, monkeypatch: pytest.MonkeyPatch, limit: float, found: int, set_aside: bool
    ) -> None:
        monkeypatch.setattr("app.garbage.SLOW", limit)
        loaded = [[] for _ in range(5_000)]
        litter = [Knot() for _ in range(found)]
        before = gc.get_freeze_count()
        del litter
        garbage._not_before = 0.0
        garbage.soon()
        garbage._tick()
        assert (gc.get_freeze_count() - before > len(loaded)) is set_aside
