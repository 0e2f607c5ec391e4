"""Answers asks: one slot per probe on screen, each with the ask that stands and its answer in the making."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine import messages as m
from engine.params import BadValue
from engine.payloads import Payload
from engine.probes import Camera, ProbeSpec
from engine.worker.desk import Desk

if TYPE_CHECKING:  # the session imports torch
    from engine.session import Working

REDRAW_SHARE = 20.0
"""While training, a redraw waits this many times its own cost times the number of probes that redraw themselves: all
of them together take at most a twentieth of the time."""

PROGRESS_EVERY = 0.05
"""Seconds between two words on how far an answer is."""

ORBIT_TURN = 1.0
"""A picture that follows a camera waits until training had so many times as long as the last such picture took: the
pictures take half of the engine's time at most. The view bends the last picture to its camera until the next one comes,
so the eye does not miss it, whereas nothing stands in for the picture that a slider changes."""
IN_ONE_GO = 0.1
"""Seconds for which a picture is worked on at a stretch while the hand moves; without, there would be a training step
at every place where it can be given up."""


@dataclass
class _Slot:
    """``seen`` are the versions of weights and knobs that the last answer was made of; ``cost`` the seconds that the
    next redraw is reckoned with."""

    ask: m.Ask
    spec: ProbeSpec
    answer: Generator[Payload | Working, None, None] | None
    came: float
    asked: bool = True
    """Whether the answer in the making is to the ask itself; else it is a redraw that nobody waits for."""
    index: int = 0
    spent: float = 0.0
    first: float = 0.0
    """Seconds of the answer's first picture."""
    rested: bool = False
    """Whether the answer was begun while nothing was learned, and so had the time for finer pictures."""
    served: float = 0.0
    cost: float = 0.0
    told: float = 0.0
    done_at: float = 0.0
    camera: bool = False
    """Whether the ask only follows a camera that the hand moves."""
    turn_at: float = 0.0
    """How many seconds of training there are to have been before its next picture is begun."""
    newer: tuple[m.Ask, float] | None = None
    """What the moving hand asked for since the picture in the making was begun, and when that came."""
    seen: tuple[int, int] = field(default=(-1, -1))

    @property
    def redraws(self) -> bool:
        return self.spec.refresh is not None and not self.spec.timeline

    @property
    def dragged(self) -> bool:
        """Whether what is in the making is for a hand that moves."""
        return self.answer is not None and self.asked and self.ask.phase == "drag"


class Slots:
    """A new ask of a slot replaces the answer in the making; a slot that was forgotten is not redrawn.

    While the hand moves, a picture that was begun is finished before a newer ask of its slot is taken up: of a hand
    that asks faster than pictures are made none would ever be seen else. What is asked for at rest does not wait.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._slots: dict[str, _Slot] = {}
        self._trained: float | None = None

    # ---- orders ----

    def follows_camera(self, ask: m.Ask) -> bool:
        """Whether all that a drag ask changes of what its slot shows is where a camera stands."""
        session = self._desk.session
        if session is None or ask.phase != "drag" or ask.epoch != self._desk.epoch:
            return False
        spec = session.specs.get(ask.probe)
        cameras = {name for name, control in spec.controls.items() if isinstance(control, Camera)} if spec else set()
        old = self._slots.get(ask.slot)
        before = old.ask.values if old is not None and old.ask.probe == ask.probe else {}
        changed = {name for name in {*before, *ask.values} if before.get(name) != ask.values.get(name)}
        return bool(cameras) and changed <= cameras

    def take(self, ask: m.Ask, came: float) -> None:
        """Takes up an ask that came at ``came``, at once or after the picture in the making; one of another epoch is
        dropped. One that cannot be asked is told."""
        old = self._slots.get(ask.slot)
        waits = old is not None and old.dragged and old.spent > 0 and old.index == 0
        if old is not None and waits and ask.phase == "drag" and ask.epoch == old.ask.epoch:
            old.newer = ask, came
            return
        self._desk.guard(lambda: self._begin(ask, came), "probe", "The probe cannot be asked", ask.slot, ask.seq)

    def _begin(self, ask: m.Ask, came: float) -> None:
        if ask.epoch != self._desk.epoch:
            return
        camera = self.follows_camera(ask)
        old = self._slots.pop(ask.slot, None)
        if old is not None:
            self._close(ask.slot, old)
            if old.spec.timeline:
                self._desk.outbox.forget(ask.slot)  # frames of another film
        session = self._desk.need_session()
        if session.spoilt:
            raise BadValue("the weights are not finite numbers; go back to an earlier snapshot or restart")
        answer = session.answer(ask.probe, ask.values, ask.phase == "drag")
        slot = _Slot(ask, session.spec(ask.probe), answer, came, camera=camera, rested=not self._desk.training)
        self._slots[ask.slot] = slot
        if old is not None:  # asked again and again, it must not go before the others every time
            slot.served, slot.cost, slot.turn_at = old.served, old.cost, old.turn_at

    def cancel(self, name: str) -> None:
        """Stops an answer in the making; a picture without payload says that no more of it comes."""
        slot = self._slots.get(name)
        if slot is not None and slot.answer is not None:
            slot.newer = None
            self._end(name, slot)
            self._desk.outbox.forget(name)
            self._send(name, slot, None)

    def forget(self, name: str) -> None:
        """The slot is not shown any more: what is unread of it is not wanted either."""
        slot = self._slots.pop(name, None)
        if slot is not None:
            self._desk.outbox.forget(name)
            self._close(name, slot)

    def clear(self) -> None:
        for name in list(self._slots):
            self.forget(name)

    # ---- the loop ----

    def wait(self) -> float | None:
        """Seconds until there is something to do here; None where only an ask or a reader can change that."""
        waits = [0.0 if slot.answer is not None else self._until_redraw(slot) for slot in self._able()]
        return min((w for w in waits if w is not None), default=None)

    def advance(self, least: float = 0.0, trained: float | None = None) -> None:
        """Advances every answer in the making by one, asks before redraws, the one served longest ago first. At least
        one is advanced, so all get their turn; after it, a hand that wants something new is not made to wait.

        Asks go on for ``least`` seconds, the time of a training step: a film that a person waits for would otherwise
        have one frame per step, however short its frames and long the steps. ``trained`` are the seconds that training
        has had so far, by which pictures that follow a camera have their turn; None where no step is due.
        """
        self._trained = trained
        for slot in self._slots.values():
            if slot.answer is None and self._until_redraw(slot) == 0.0:
                self._redraw(slot)
        end = time.perf_counter() + least
        live = self._live()
        while live:
            for n, slot in enumerate(live):
                if n and self._desk.inbox.pending:
                    return
                if slot.answer is not None:
                    self._advance(slot.ask.slot, slot)
            if self._desk.inbox.pending or time.perf_counter() >= end:
                return
            live = [slot for slot in self._live() if slot.asked]

    def _live(self) -> list[_Slot]:
        live = [slot for slot in self._able() if slot.answer is not None and not self._is_trainings_turn(slot)]
        return sorted(live, key=lambda slot: (not slot.asked, slot.served))

    def _is_trainings_turn(self, slot: _Slot) -> bool:
        """Whether a picture that would follow a camera is not begun before training has had its share."""
        begun = slot.spent > 0
        return slot.camera and slot.dragged and not begun and self._trained is not None and self._trained < slot.turn_at

    def _able(self) -> list[_Slot]:
        """All but the timelines whose frames nobody has read."""
        room = self._desk.outbox.has_room
        return [slot for name, slot in self._slots.items() if not slot.spec.timeline or room(name)]

    def _until_redraw(self, slot: _Slot) -> float | None:
        session = self._desk.session
        if session is None or session.spoilt or not slot.redraws:
            return None
        if slot.seen == (session.weights_version, session.knobs_version):
            return None
        if not self._desk.training:
            return 0.0
        assert slot.spec.refresh is not None
        others = sum(other.redraws for other in self._slots.values())
        wait = max(slot.spec.refresh, REDRAW_SHARE * others * slot.cost)
        return max(0.0, slot.done_at + wait - time.perf_counter())

    def _redraw(self, slot: _Slot) -> None:
        slot.answer = self._desk.need_session().answer(slot.ask.probe, slot.ask.values)
        slot.came, slot.asked, slot.index, slot.spent = time.perf_counter(), False, 0, 0.0
        slot.rested = not self._desk.training

    def _advance(self, name: str, slot: _Slot) -> None:
        assert slot.answer is not None
        begun = time.perf_counter()
        once = f"redraw {name}"
        if slot.asked:
            self._desk.fine(once)
        try:
            payload = self._next(slot, begun)
        except Exception as e:  # noqa: BLE001  # a failing probe shows a card where its picture would be
            self._spend(slot, begun)
            self._end(name, slot)
            # A redraw fails as the ask did, again and again: one card is enough.
            self._desk.fail(e, "probe", f"{slot.spec.title} has no answer", name, slot.ask.seq, once)
            self._take_newer(slot)
            return
        self._spend(slot, begun)
        self._desk.fine(once)
        if not isinstance(payload, Payload | None):
            self._tell(name, slot, payload.progress)
            return
        slot.index += 1
        if slot.index == 1:
            slot.first = slot.spent
        done = self._progress(slot, payload)
        if done >= 1.0:
            self._end(name, slot)
        self._send(name, slot, payload, done)
        self._take_newer(slot)

    @staticmethod
    def _next(slot: _Slot, begun: float) -> Payload | Working | None:
        """The next part of an answer; for a hand that moves the next picture, if it is there within a moment."""
        assert slot.answer is not None
        dragged = slot.dragged
        while True:
            part = next(slot.answer, None)
            if not dragged or part is None or isinstance(part, Payload) or time.perf_counter() - begun >= IN_ONE_GO:
                return part

    def _take_newer(self, slot: _Slot) -> None:
        """What the hand asked for while the picture was made."""
        newer, slot.newer = slot.newer, None
        if newer is not None:
            self.take(*newer)

    def _tell(self, name: str, slot: _Slot, progress: float) -> None:
        """How far an answer is that somebody waits for. Of a redraw nothing: its picture stands meanwhile."""
        if slot.asked and slot.served - slot.told >= PROGRESS_EVERY:
            slot.told = slot.served
            self._desk.outbox.put_progress(m.Progress(name, slot.ask.epoch, slot.ask.seq, progress))

    @staticmethod
    def _progress(slot: _Slot, payload: Payload | None) -> float:
        """How much of the answer there is with ``payload``; 1 where nothing more comes."""
        if payload is None:
            return 1.0
        if slot.spec.timeline:
            return slot.index / getattr(payload, "total", 1)
        return float(getattr(payload, "progress", 1.0))  # a scene that is made finer says how far it is

    def _spend(self, slot: _Slot, begun: float) -> None:
        slot.served = time.perf_counter()
        slot.spent += slot.served - begun

    def _end(self, name: str, slot: _Slot) -> None:
        """No more of this answer: notes what it was made of and what it cost."""
        session = self._desk.need_session()
        slot.done_at, slot.cost = time.perf_counter(), slot.first if slot.rested and slot.index else slot.spent
        if slot.camera and self._trained is not None:
            slot.turn_at = self._trained + ORBIT_TURN * slot.spent
        slot.seen = (session.weights_version, session.knobs_version)
        self._close(name, slot)

    def _close(self, name: str, slot: _Slot) -> None:
        answer, slot.answer = slot.answer, None
        if answer is not None:
            self._desk.guard(answer.close, "probe", f"{slot.spec.title} did not stop cleanly", name, slot.ask.seq)

    def _send(self, name: str, slot: _Slot, payload: Payload | None, progress: float = 1.0) -> None:
        ask, session = slot.ask, self._desk.need_session()
        done = slot.answer is None
        picture = m.Picture(
            name,
            ask.epoch,
            ask.seq,
            ask.probe,
            payload,
            session.step,
            ask.phase if slot.asked else "settled",
            done=done,
            progress=1.0 if done else progress,
            seconds=time.perf_counter() - slot.came,
        )
        if slot.spec.timeline:
            self._desk.outbox.put_frame(picture)
        elif payload is not None or slot.asked:
            self._desk.outbox.put_picture(picture)
