"""The view of :class:`Frames`: a timeline whose moments are pictures, and its comparison with a pinned one.

All frames are kept as they came (for saving); their pixels are cached within :data:`CACHE_BYTES`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QImage, QKeyEvent
from PySide6.QtWidgets import QMenu, QVBoxLayout, QWidget

from engine.payloads import Frames, Moment
from widgets.theme import icon, theme
from widgets.views.compare import (
    DIFFERENCE,
    NOW,
    PINNED,
    SIDE,
    SWIPE,
    CompareBar,
    CompareCanvas,
    difference,
    paired_titles,
    unlike,
)
from widgets.views.images import Atlas, check_images, make_atlas, to_uint8
from widgets.views.timeline.filmstrip import THUMB
from widgets.views.timeline.timeline import TimelineView
from widgets.views.timeline.transport import tool_button

CACHE_BYTES = 256 * 2**20
DIVIDER_STEP = 0.05
PIN_TIP = "Pin this timeline and compare the next ones with it (P)"


@dataclass(frozen=True)
class Sheet:
    """Pictures and how they are drawn; ``extra`` bytes are held by the pictures beside the atlas's."""

    atlas: Atlas
    images: NDArray[Any]
    extra: int = 0

    @property
    def nbytes(self) -> int:
        return self.atlas.nbytes + self.extra


class FramesView(TimelineView):
    """A timeline of pictures; P pins it, C changes the way of comparing, Shift+Left and Right move the divider."""

    accepts = Frames

    def __init__(self, parent: QWidget | None = None) -> None:
        self._sheets: OrderedDict[tuple[str, int], Sheet] = OrderedDict()
        self._sheet_bytes = 0
        self._thumbs: dict[int, QImage] = {}
        self._pinned: tuple[Frames | None, ...] = ()
        self._pinned_step = 0
        self._moved_on = False
        super().__init__(parent)
        self.pin_button = tool_button(PIN_TIP, checkable=True)
        self.pin_button.clicked.connect(self.toggle_pin)
        self.transport.add(self.pin_button)
        self.slider.installEventFilter(self)
        self.restyle()
        self._dress_pin()

    def make_body(self) -> QWidget:
        self.canvas = CompareCanvas()
        self.canvas.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.canvas.setAccessibleName("Frame")
        self.compare_bar = CompareBar()
        self.compare_bar.changed.connect(self.redraw)
        self.compare_bar.unpin_requested.connect(self.unpin)
        self.compare_bar.hide()
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.compare_bar)
        column.addWidget(self.canvas, 1)
        return body

    # ---- one moment

    def check_moment(self, moment: Moment) -> None:
        frame = cast(Frames, moment)
        n = len(check_images(frame.images))
        if not n:
            raise ValueError("The frame holds no pictures.")
        if frame.panels and n % len(frame.panels):
            raise ValueError(f"{n} pictures do not make {len(frame.panels)} equal panels.")

    def show_moment(self, index: int, moment: Moment) -> None:
        frame = cast(Frames, moment)
        other = self.pinned_at(index)
        trouble = ""
        if other is not None:
            trouble = unlike(other.images, frame.images, (other.panels, frame.panels))
        elif self._pinned:
            trouble = "This moment had not been computed when the timeline was pinned."
        self.compare_bar.tell(self._pin_text(), trouble)
        if other is None or trouble:
            self._draw(frame, frame.panels, self._sheet(("now", index), lambda: frame.images))
        else:
            self._draw_compared(index, frame, other)

    def _draw(
        self, frame: Frames, titles: Sequence[str], sheet: Sheet, groups: int = 1, left: Sheet | None = None
    ) -> None:
        self.canvas.set_images(
            sheet.images,
            columns=frame.columns,
            rows=frame.rows,
            heads=frame.heads,
            atlas=sheet.atlas,
            panels=titles,
            groups=groups,
        )
        if left is None:
            self.canvas.set_other(None)
        else:
            self.canvas.set_other(left.atlas, left.images)

    def _draw_compared(self, index: int, frame: Frames, other: Frames) -> None:
        names = frame.panels or ("",)
        mode, gain = self.compare_bar.mode, self.compare_bar.gain
        if mode == SIDE:
            both = self._sheet(("side", index), lambda: np.concatenate([other.images, frame.images]))
            self._draw(frame, paired_titles(frame.panels), both, groups=2)
        elif mode == DIFFERENCE:
            apart = self._sheet((f"× {gain}", index), lambda: difference(frame.images, other.images, gain))
            self._draw(frame, [f"|{name or NOW} − {PINNED}| ×{gain}" for name in names], apart)
        else:
            now = self._sheet(("now", index), lambda: frame.images)
            left = self._sheet((PINNED, other.index), lambda: other.images)
            self._draw(frame, frame.panels or [f"{PINNED} | {NOW}"], now, left=left)

    def _sheet(self, key: tuple[str, int], make: Callable[[], NDArray[Any]]) -> Sheet:
        sheet = self._sheets.get(key)
        if sheet is None:
            images = make()
            kept = key[0] in ("now", PINNED)
            # what was computed here is kept in bytes: enough to be read under the mouse
            sheet = Sheet(make_atlas(images), images if kept else to_uint8(images), 0 if kept else images.size)
            self._sheets[key] = sheet
            self._sheet_bytes += sheet.nbytes
            while self._sheet_bytes > CACHE_BYTES and len(self._sheets) > 1:
                self._sheet_bytes -= self._sheets.popitem(last=False)[1].nbytes
        else:
            self._sheets.move_to_end(key)
        return sheet

    def forget_moment(self, index: int) -> None:
        self._drop(lambda kind, at: at == index and kind != PINNED)
        self._thumbs.pop(index, None)

    def forget_moments(self) -> None:
        self._sheets.clear()
        self._thumbs.clear()
        self._sheet_bytes = 0
        self.unpin()
        self.canvas.clear()

    def _drop(self, which: Callable[[str, int], bool]) -> None:
        for key in [key for key in self._sheets if which(*key)]:
            self._sheet_bytes -= self._sheets.pop(key).nbytes

    def frames(self) -> tuple[Frames, ...]:
        """All frames of the present sequence that have come, in the timeline's order."""
        return cast(tuple[Frames, ...], self.moments())

    def thumb(self, index: int) -> QImage | None:
        """The first picture of a frame, small; made when the strip first needs it."""
        frame = self.moment(index)
        if frame is None:
            return None
        if index not in self._thumbs:
            one = make_atlas(cast(Frames, frame).images[:1])
            grows = max(one.width, one.height) <= THUMB
            how = Qt.TransformationMode.FastTransformation if grows else Qt.TransformationMode.SmoothTransformation
            # copied first: scaling to the same size would share memory that goes away with the sheet
            self._thumbs[index] = one.image.copy().scaled(THUMB, THUMB, Qt.AspectRatioMode.KeepAspectRatio, how)
        return self._thumbs[index]

    # ---- pinning

    @property
    def pinned(self) -> tuple[Frames | None, ...]:
        """The pinned timeline, None where it was not computed yet; () when nothing is pinned."""
        return self._pinned

    def pinned_at(self, index: int) -> Frames | None:
        """What of the pinned timeline lies at the same part of its way as ``index`` of this one."""
        if not self._pinned:
            return None
        part = index / max(1, self.total - 1)
        return self._pinned[round(part * (len(self._pinned) - 1))]

    def toggle_pin(self) -> None:
        if self._pinned:
            self.unpin()
        else:
            self.pin()

    def pin(self) -> None:
        """Keeps the present timeline; whatever is asked next is compared with it. Nothing without a timeline."""
        frames = {frame.index: frame for frame in self.frames()}
        if frames:
            self._set_pinned(tuple(frames.get(i) for i in range(self.total)))
        else:
            self._dress_pin()

    def unpin(self) -> None:
        self._set_pinned(())

    def _set_pinned(self, frames: tuple[Frames | None, ...]) -> None:
        self._pinned, self._pinned_step, self._moved_on = frames, self.step, False
        self._drop(lambda kind, at: kind != "now")
        self.readings.set_pinned([None if frame is None else frame.readings for frame in frames])
        self.compare_bar.setVisible(bool(frames))
        self._dress_pin()
        self.redraw()

    def _pin_text(self) -> str:
        if not self._moved_on:
            return "Pinned; the next answers are compared with it."
        left = " (left)" if self.compare_bar.mode == SWIPE else ""
        return f"Pinned{left}: {len(self._pinned)} moments of step {self._pinned_step:,}"

    def _dress_pin(self) -> None:
        if not hasattr(self, "pin_button"):
            return
        there = bool(self._pinned or self._moments)
        tip = "Unpin: no more comparing (P)" if self._pinned else PIN_TIP
        self.pin_button.setToolTip(tip if there else "There is no timeline to pin yet")
        self.pin_button.setAccessibleName(tip)
        self.pin_button.setEnabled(there)
        self.pin_button.setChecked(bool(self._pinned))
        self.pin_button.setIcon(icon("push-pin", theme.colours.accent if self._pinned else theme.colours.text))

    def start_sequence(self, total: int) -> None:
        if total != self.total:  # other moments of the pinned timeline lie at the same indices now
            self._drop(lambda kind, at: kind not in ("now", PINNED))
        super().start_sequence(total)
        self._moved_on = True
        self._dress_pin()
        if self._pinned:
            self.redraw()

    # ---- the view's own

    def menu(self) -> QMenu:
        menu = super().menu()
        if self._pinned:
            for action in menu.actions()[1:]:
                action.setToolTip("Saves the newest timeline, without the pinned one")
        return menu

    def picture(self) -> QImage:
        return self.canvas.picture()

    def restyle(self) -> None:
        super().restyle()
        self.compare_bar.restyle()
        self._dress_pin()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """With Shift the arrows are the divider's, also where the slider has the keyboard."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress and self._moves_divider(event):
            return True
        return super().eventFilter(watched, event)

    def _moves_divider(self, event: QKeyEvent) -> bool:
        step = {Qt.Key.Key_Left: -DIVIDER_STEP, Qt.Key.Key_Right: DIVIDER_STEP}.get(Qt.Key(event.key()))
        wanted = step is not None and bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if step is None or not wanted or not self.canvas.divider_lines():
            return False
        self.canvas.move_divider(self.canvas.divider + step)
        return True

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_P:
            self.toggle_pin()
        elif event.key() == Qt.Key.Key_C and self._pinned:
            self.compare_bar.next_mode()
        elif not self._moves_divider(event):
            super().keyPressEvent(event)
