"""The view of :class:`Frames`: a timeline that is seen as it is computed, then scrubbed and played.

All frames are kept as they came (for saving); their pixels are cached within :data:`CACHE_BYTES`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QHideEvent, QImage, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSlider, QToolButton, QVBoxLayout, QWidget

from engine.payloads import Frames, Payload
from widgets.theme import icon, tabular, theme
from widgets.views.base import View
from widgets.views.canvas import ImageCanvas
from widgets.views.filmstrip import THUMB, Filmstrip, Readings
from widgets.views.images import Atlas, check_images, make_atlas

CACHE_BYTES = 256 * 2**20
WHOLE_SECONDS = 4.0
"""A timeline plays in about this time at speed 1, within :data:`SLOWEST` and :data:`FASTEST` frames a second."""
SLOWEST, FASTEST = 4.0, 30.0
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)
STRIP_FROM_HEIGHT = 280
"""A lower view shows no filmstrip: the picture needs the room."""


class FramesView(View):
    """Shows the newest frame while they come in; slider, filmstrip, K or the button, Left and Right go through them."""

    accepts = Frames
    picture_formats = ("GIF animation (*.gif)", "MP4 film (*.mp4)", "PNG picture of this moment (*.png)")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._frames: list[Frames | None] = []
        self._fresh: set[int] = set()
        self._position = 0
        self._following = True
        self._sheets: OrderedDict[int, Atlas] = OrderedDict()
        self._sheet_bytes = 0
        self._thumbs: dict[int, QImage] = {}
        self._clock = QTimer(self)
        self._clock.setTimerType(Qt.TimerType.PreciseTimer)
        self._clock.timeout.connect(self._tick)
        self.canvas = ImageCanvas()
        self.canvas.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.canvas.setAccessibleName("Frame")
        self.readings = Readings()
        self.strip = Filmstrip(self._thumb)
        self.strip.picked.connect(self.go_to)
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(4)
        column.addWidget(self.canvas, 1)
        lower = QVBoxLayout()
        lower.setContentsMargins(12, 0, 12, 0)
        lower.setSpacing(4)
        lower.addWidget(self.readings)
        lower.addLayout(self._transport())
        lower.addWidget(self.strip)
        column.addLayout(lower)
        self.set_body(body)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.restyle()

    def _transport(self) -> QHBoxLayout:
        def button(tip: str, checkable: bool = False) -> QToolButton:
            made = QToolButton()
            made.setToolTip(tip)
            made.setAccessibleName(tip)
            made.setCheckable(checkable)
            made.setIconSize(QSize(16, 16))
            return made

        self.previous_button = button("One frame back (Left)")
        self.play_button = button("Play or pause (K)")
        self.next_button = button("One frame on (Right)")
        self.loop_button = button("Begin again at the end (L)", checkable=True)
        self.loop_button.setChecked(True)
        self.previous_button.clicked.connect(lambda: self._step(-1))
        self.next_button.clicked.connect(lambda: self._step(1))
        self.play_button.clicked.connect(self.toggle_play)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("Moment of the timeline")
        self.slider.setToolTip("Drag through the timeline")
        self.slider.setMinimumWidth(40)
        self.slider.valueChanged.connect(self._slid)
        self.count_label = QLabel()
        self.count_label.setProperty("role", "caption")
        self.count_label.setFont(tabular(self.count_label.font()))
        self.count_label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.speed_box = QComboBox()
        for speed in SPEEDS:
            self.speed_box.addItem(f"{speed:g}×", speed)
        self.speed_box.setCurrentIndex(SPEEDS.index(1.0))
        self.speed_box.setFixedWidth(68)
        self.speed_box.setToolTip("Speed of play")
        self.speed_box.setAccessibleName("Speed of play")
        self.speed_box.currentIndexChanged.connect(self._set_pace)
        row = QHBoxLayout()
        row.setSpacing(4)
        for widget in (self.previous_button, self.play_button, self.next_button):
            row.addWidget(widget)
        row.addWidget(self.slider, 1)
        row.addWidget(self.count_label)
        row.addWidget(self.loop_button)
        row.addWidget(self.speed_box)
        return row

    # ---- frames come in

    def start_sequence(self, total: int) -> None:
        """New frames are coming. The old ones stay until each is replaced, so that nothing flickers."""
        total = max(1, total)
        self._fresh.clear()
        self._frames = (self._frames + [None] * total)[:total]
        for index in [i for i in self._sheets if i >= total]:
            self._sheet_bytes -= self._sheets.pop(index).nbytes
        self._thumbs = {i: thumb for i, thumb in self._thumbs.items() if i < total}
        self._position = min(self._position, total - 1)
        self.slider.blockSignals(True)
        self.slider.setRange(0, total - 1)
        self.slider.blockSignals(False)
        self.strip.set_total(total)
        widest = self.count_label.fontMetrics().horizontalAdvance(f"{total} / {total}")
        self.count_label.setMinimumWidth(widest + 4)
        self._set_pace()

    def draw_payload(self, payload: Payload) -> None:
        frame = cast(Frames, payload)
        if not 0 <= frame.index < frame.total:
            raise ValueError(f"Frame {frame.index} is not one of {frame.total}.")
        if not len(check_images(frame.images)):
            raise ValueError("The frame holds no pictures.")
        # a frame that has already come in this sequence is the beginning of the next one
        if frame.total != len(self._frames) or frame.index in self._fresh:
            self.start_sequence(frame.total)
        self._frames[frame.index] = frame
        self._fresh.add(frame.index)
        if frame.index in self._sheets:
            self._sheet_bytes -= self._sheets.pop(frame.index).nbytes
        self._thumbs.pop(frame.index, None)
        if self._following and not self.playing:
            self._show_frame(frame.index)
        elif frame.index == self._position:
            self._show_frame(self._position)
        self.strip.update()
        if self.more_to_come():
            self.set_busy(len(self._fresh) / frame.total)

    def more_to_come(self) -> bool:
        return len(self._fresh) < len(self._frames)

    def frames(self) -> tuple[Frames, ...]:
        """All frames of the present sequence that have come, in the timeline's order."""
        return tuple(f for i, f in enumerate(self._frames) if f is not None and i in self._fresh)

    def forget(self) -> None:
        self.pause()
        self._frames, self._position, self._following = [], 0, True
        self._fresh.clear()
        self._sheets.clear()
        self._thumbs.clear()
        self._sheet_bytes = 0
        self.canvas.clear()
        self.strip.set_total(0)

    # ---- going through them

    @property
    def position(self) -> int:
        """The index that is looked at."""
        return self._position

    @property
    def playing(self) -> bool:
        return self._clock.isActive()

    def go_to(self, index: int) -> None:
        """Looks at frame ``index``; at the newest one the view follows what comes."""
        if not self._frames:
            return
        index = min(max(index, 0), len(self._frames) - 1)
        self._following = index >= max(self._fresh, default=0)
        self._show_frame(index)

    def toggle_play(self) -> None:
        """Plays from here, or from the beginning where this is the end; or pauses."""
        if self.playing:
            self.pause()
        elif len(self._frames) > 1:
            if self._position >= len(self._frames) - 1:
                self._show_frame(0)
            self._following = False
            self._set_pace()
            self._clock.start()
            self._dress_play()

    def pause(self) -> None:
        self._clock.stop()
        self._dress_play()

    def _tick(self) -> None:
        ahead = self._position + 1
        if ahead >= len(self._frames):
            if not self.loop_button.isChecked():
                self._following = True
                self.pause()
                return
            ahead = 0
        if self._frames[ahead] is not None:  # else it is still being computed: wait for it
            self._show_frame(ahead)

    def _step(self, by: int) -> None:
        self.pause()
        self.go_to(self._position + by)

    def _slid(self, value: int) -> None:
        self.pause()
        self.go_to(value)

    def _set_pace(self) -> None:
        rate = min(max(len(self._frames) / WHOLE_SECONDS, SLOWEST), FASTEST) * float(self.speed_box.currentData())
        self._clock.setInterval(max(8, round(1000 / rate)))

    def _show_frame(self, index: int) -> None:
        self._position = index
        self.slider.blockSignals(True)
        self.slider.setValue(index)
        self.slider.blockSignals(False)
        self.strip.set_position(index)
        self.count_label.setText(f"{index + 1} / {len(self._frames)}")
        frame = self._frames[index]
        if frame is not None:
            self.canvas.set_images(frame.images, atlas=self._sheet(index, frame))
            self.readings.show_values(frame.caption, frame.readings)

    def _sheet(self, index: int, frame: Frames) -> Atlas:
        sheet = self._sheets.get(index)
        if sheet is None:
            sheet = self._sheets[index] = make_atlas(frame.images)
            self._sheet_bytes += sheet.nbytes
            while self._sheet_bytes > CACHE_BYTES and len(self._sheets) > 1:
                self._sheet_bytes -= self._sheets.popitem(last=False)[1].nbytes
        else:
            self._sheets.move_to_end(index)
        return sheet

    def _thumb(self, index: int) -> QImage | None:
        """The first picture of a frame, small; made when the strip first needs it."""
        frame = self._frames[index] if index < len(self._frames) else None
        if frame is None:
            return None
        if index not in self._thumbs:
            one = make_atlas(frame.images[:1])
            grows = max(one.width, one.height) <= THUMB
            how = Qt.TransformationMode.FastTransformation if grows else Qt.TransformationMode.SmoothTransformation
            # copied first: scaling to the same size would share memory that goes away with the sheet
            self._thumbs[index] = one.image.copy().scaled(THUMB, THUMB, Qt.AspectRatioMode.KeepAspectRatio, how)
        return self._thumbs[index]

    # ---- the view's own

    def picture(self) -> QImage:
        return self.canvas.picture()

    def payloads_for_picture(self) -> tuple[Payload, ...]:
        return self.frames()

    def payloads_for_data(self) -> tuple[Payload, ...]:
        return self.frames()

    def narrow(self, payloads: tuple[Payload, ...], path: str) -> tuple[Payload, ...]:
        """A still picture is the moment that is looked at."""
        if not path.lower().endswith(".png"):
            return payloads
        here = [p for p in payloads if isinstance(p, Frames) and p.index == self._position]
        return tuple(here) or payloads[-1:]

    def restyle(self) -> None:
        self.previous_button.setIcon(icon("caret-left"))
        self.next_button.setIcon(icon("caret-right"))
        self.loop_button.setIcon(icon("repeat"))
        self._dress_play()

    def _dress_play(self) -> None:
        self.play_button.setIcon(icon("pause" if self.playing else "play", theme.colours.text))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        ends = {Qt.Key.Key_Home: 0, Qt.Key.Key_End: len(self._frames) - 1}
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
        self.speed_box.setVisible(self.width() >= 360)
        self.previous_button.setVisible(self.width() >= 260)
        self.next_button.setVisible(self.width() >= 260)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.pause()
