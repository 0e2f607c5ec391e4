"""The base of all timelines: moments are seen as they are computed, then scrubbed and played.

Knows transport, slider, filmstrip, curves of the readings, play, loop, speed, keys and what is kept; it does not know
what a moment looks like. A subclass sets ``accepts`` to its kind of :class:`engine.payloads.Moment` and overrides:

    make_body() -> QWidget            the picture area; called once, before ``__init__`` of the subclass goes on
    check_moment(moment) -> None      ValueError with a sentence where it cannot be drawn
    show_moment(index, moment)        draws it in the body; also called again when it is replaced
    thumb(index) -> QImage | None     at most THUMB x THUMB pixels for the strip; None draws a plain tile; keep a cache
    forget_moment(index)              that moment was replaced or dropped: drop what is cached of it
    forget_moments()                  all are gone: drop every cache and clear the body

Of use to them: ``moment(index)`` (the kept one or None), ``moments()`` (the present sequence's, in order),
``position``, ``total``, ``body`` (what make_body made), ``redraw()`` and ``transport.add(widget)`` for controls of
their own.
"""

from __future__ import annotations

from typing import ClassVar, cast

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QImage, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.payloads import Moment, Payload
from widgets.views.base import View
from widgets.views.timeline.filmstrip import Filmstrip
from widgets.views.timeline.readings import ReadingsPlot
from widgets.views.timeline.transport import Transport

WHOLE_SECONDS = 4.0
"""A timeline plays in about this time at speed 1, within :data:`SLOWEST` and :data:`FASTEST` frames a second."""
SLOWEST, FASTEST = 4.0, 30.0
STRIP_FROM_HEIGHT, CURVES_FROM_HEIGHT = 280, 360
"""A lower view shows no filmstrip, and its readings as one line: the picture needs the room."""


class TimelineView(View):
    """Shows the newest moment while they come in; slider, filmstrip, play, Left and Right go through them."""

    accepts: ClassVar[type[Payload]] = Moment
    picture_formats = (
        "GIF animation (*.gif)",
        "MP4 film (*.mp4)",
        "PNG picture of this moment (*.png)",
        "PNG strip of up to 12 moments (*.strip.png)",
    )

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._moments: list[Moment | None] = []
        self._fresh: set[int] = set()
        self._position = 0
        self._following = True
        self._clock = QTimer(self)
        self._clock.setTimerType(Qt.TimerType.PreciseTimer)
        self._clock.timeout.connect(self._tick)
        self.body = self.make_body()
        self.readings = ReadingsPlot()
        self.readings.picked.connect(self._slid)
        self.strip = Filmstrip(self.thumb)
        self.strip.picked.connect(self.go_to)
        self.transport = Transport()
        self.slider, self.count_label = self.transport.slider, self.transport.count_label
        self.play_button, self.loop_button = self.transport.play_button, self.transport.loop_button
        self.speed_box = self.transport.speed_box
        self.transport.previous_button.clicked.connect(lambda: self._step(-1))
        self.transport.next_button.clicked.connect(lambda: self._step(1))
        self.play_button.clicked.connect(self.toggle_play)
        self.slider.valueChanged.connect(self._slid)
        self.speed_box.currentIndexChanged.connect(self._set_pace)
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(4)
        column.addWidget(self.body, 1)
        lower = QVBoxLayout()
        lower.setContentsMargins(12, 0, 12, 0)
        lower.setSpacing(4)
        lower.addWidget(self.readings)
        lower.addWidget(self.transport)
        lower.addWidget(self.strip)
        column.addLayout(lower)
        self.set_body(whole)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    # ---- what a kind of timeline overrides

    def make_body(self) -> QWidget:
        """The picture area."""
        return QWidget()

    def check_moment(self, moment: Moment) -> None:
        """Raises :class:`ValueError` with a sentence where ``moment`` cannot be drawn."""

    def show_moment(self, index: int, moment: Moment) -> None:
        """Draws ``moment`` in the body."""

    def thumb(self, index: int) -> QImage | None:
        """A small picture of moment ``index``, or None where there is none (yet)."""
        return None

    def forget_moment(self, index: int) -> None:
        """Drops what is cached of moment ``index``."""

    def forget_moments(self) -> None:
        """Drops all caches and clears the body."""

    # ---- moments come in

    def start_sequence(self, total: int) -> None:
        """New moments are coming. The old ones stay until each is replaced, so that nothing flickers."""
        total = max(1, total)
        self._fresh.clear()
        for index in range(total, len(self._moments)):
            self.forget_moment(index)
        self._moments = (self._moments + [None] * total)[:total]
        self._position = min(self._position, total - 1)
        self.strip.set_total(total)
        self._set_pace()
        self._tell()

    def draw_payload(self, payload: Payload) -> None:
        moment = cast(Moment, payload)
        if not 0 <= moment.index < moment.total:
            raise ValueError(f"Frame {moment.index} is not one of {moment.total}.")
        self.check_moment(moment)
        # a moment that has already come in this sequence is the beginning of the next one
        if moment.total != len(self._moments) or moment.index in self._fresh:
            self.start_sequence(moment.total)
        self._moments[moment.index] = moment
        self._fresh.add(moment.index)
        self.forget_moment(moment.index)
        if self._following and not self.playing:
            self._show(moment.index)
        elif moment.index == self._position:
            self._show(self._position)
        else:
            self._tell()
        self.readings.set_moments([None if m is None else m.readings for m in self._moments], self._fresh)
        self.strip.update()
        if self.more_to_come():
            self.set_busy(len(self._fresh) / moment.total)

    def more_to_come(self) -> bool:
        return len(self._fresh) < len(self._moments)

    def moment(self, index: int) -> Moment | None:
        """What is kept at ``index``; while a new sequence comes in, that may still be one of the last."""
        return self._moments[index] if 0 <= index < len(self._moments) else None

    def moments(self) -> tuple[Moment, ...]:
        """All moments of the present sequence that have come, in the timeline's order."""
        return tuple(m for i, m in enumerate(self._moments) if m is not None and i in self._fresh)

    def forget(self) -> None:
        self.pause()
        self._moments, self._position, self._following = [], 0, True
        self._fresh.clear()
        self.forget_moments()
        self.strip.set_total(0)
        self.readings.set_moments((), ())
        self.readings.show_values("", {})
        self.transport.show_place(0, 0, 0)

    # ---- going through them

    @property
    def position(self) -> int:
        """The index that is looked at."""
        return self._position

    @property
    def total(self) -> int:
        """How many moments the present sequence has or will have."""
        return len(self._moments)

    @property
    def playing(self) -> bool:
        return self._clock.isActive()

    def go_to(self, index: int) -> None:
        """Looks at moment ``index``; at the newest one the view follows what comes."""
        if not self._moments:
            return
        index = min(max(index, 0), len(self._moments) - 1)
        self._following = index >= max(self._fresh, default=0)
        self._show(index)

    def toggle_play(self) -> None:
        """Plays from here, or from the beginning where this is the end; or pauses."""
        if self.playing:
            self.pause()
        elif len(self._moments) > 1:
            if self._position >= len(self._moments) - 1:
                self._show(0)
            self._following = False
            self._set_pace()
            self._clock.start()
            self.transport.dress(True)

    def pause(self) -> None:
        self._clock.stop()
        self.transport.dress(False)

    def _tick(self) -> None:
        ahead = self._position + 1
        if ahead >= len(self._moments):
            if not self.loop_button.isChecked():
                self._following = True
                self.pause()
                return
            ahead = 0
        if self._moments[ahead] is not None:  # else it is still being computed: wait for it
            self._show(ahead)

    def _step(self, by: int) -> None:
        self.pause()
        self.go_to(self._position + by)

    def _slid(self, value: int) -> None:
        self.pause()
        self.go_to(value)

    def _set_pace(self) -> None:
        rate = min(max(len(self._moments) / WHOLE_SECONDS, SLOWEST), FASTEST) * self.transport.speed()
        self._clock.setInterval(max(8, round(1000 / rate)))

    def _show(self, index: int) -> None:
        self._position = index
        self.strip.set_position(index)
        self.readings.set_position(index)
        moment = self._moments[index]
        if moment is not None:
            self.show_moment(index, moment)
        self._tell()

    def _tell(self) -> None:
        """Slider, count and readings say where this is; an old picture is never shown as if it were the new one."""
        self.transport.show_place(self._position, len(self._moments), len(self._fresh))
        moment = self.moment(self._position)
        if self._position in self._fresh and moment is not None:
            self.readings.show_values(moment.caption, moment.readings)
        elif self._fresh:
            self.readings.show_values("Not computed yet" if moment is None else "Still the earlier answer here", {})

    # ---- the view's own

    def redraw(self) -> None:
        """Shows the present moment again, after something that is not of it changed."""
        moment = self.moment(self._position)
        if moment is not None:
            self.show_moment(self._position, moment)

    def payloads_for_picture(self) -> tuple[Payload, ...]:
        return self.moments()

    def payloads_for_data(self) -> tuple[Payload, ...]:
        return self.moments()

    def narrow(self, payloads: tuple[Payload, ...], path: str) -> tuple[Payload, ...]:
        """A still picture is the moment that is looked at; films and strips take all."""
        name = path.lower()
        if not name.endswith(".png") or name.endswith(".strip.png"):
            return payloads
        here = [p for p in payloads if isinstance(p, Moment) and p.index == self._position]
        return tuple(here) or payloads[-1:]

    def restyle(self) -> None:
        self.transport.dress(self.playing)
        self.body.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        ends = {Qt.Key.Key_Home: 0, Qt.Key.Key_End: len(self._moments) - 1}
        key = Qt.Key(event.key())
        if key in steps:
            self._step(steps[key])
        elif key in ends:
            self._slid(ends[key])
        elif key == Qt.Key.Key_K:
            self.toggle_play()
        elif key == Qt.Key.Key_L:
            self.loop_button.toggle()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.strip.setVisible(self.height() >= STRIP_FROM_HEIGHT)
        self.readings.set_low(self.height() < CURVES_FROM_HEIGHT)
        self.transport.fit_width(self.width())

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.pause()
