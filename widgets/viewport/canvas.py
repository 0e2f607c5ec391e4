"""The drawing surface of a viewport: things and a camera in, a picture of them on screen. Knows no mouse and no tool.

Painting goes off screen by OpenGL (``drawing/``, imported with the first picture) and is put on the widget as an image.
While the hand moves (:meth:`Canvas.interacting`) a budget of points and the resolution are fitted to the time that a
frame may take; at rest the picture is completed by more paints, none of which blocks for long. Splats wait for their
order, which the view lane makes; the picture before stays until then.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QHideEvent, QImage, QPainter, QPaintEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QWidget

from engine.scene import Thing
from widgets.theme import theme
from widgets.viewport.asking import Asking
from widgets.viewport.drawing.holder import Holder
from widgets.viewport.lod import Pace
from widgets.viewport.style import Changes, Style

if TYPE_CHECKING:
    from widgets.viewport.drawing.shot import Palette, Shot
    from widgets.viewport.drawing.stage import Stage

__all__ = ["Canvas", "Changes", "Style"]

Array = NDArray[np.float64]
FRAME = 0.04
"""Seconds that a paint should take, while the hand moves and for each that completes a picture at rest."""
SHOW_EVERY = 0.15
"""Seconds between two states of a picture in the making that are read back: reading is a good part of a paint."""
UPLOAD = 0.012
"""Seconds per paint for sending arrays to the graphics card."""
ALL = 1 << 40
"""More points and faces than there are."""
FINE_BELOW = 0.01
"""Where a frame takes less than these seconds, one at rest is drawn with four times the pixels, for smooth edges."""

FINE_AFTER = 150
"""Milliseconds of rest before that: while a slider is dragged, the next answer would have to wait for it."""


class Canvas(QWidget):
    """See the module. Arrays are only read, and kept while they are shown; all is freed when it is destroyed."""

    drawn = Signal(float)
    """Seconds that a frame took, until the graphics card was done."""
    notice = Signal(str)
    """One line on why nothing can be drawn here."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumSize(64, 64)
        self.setAccessibleName("3-D picture")
        self.style_ = Style()
        self.pace = Pace(FRAME)
        self._things: tuple[Thing, ...] = ()
        self._changes: dict[str, Changes] = {}
        self._view, self._projection = np.eye(4), np.eye(4)
        self._planes = np.zeros((0, 4))
        self._moving = False
        self._image: QImage | None = None
        self._inside = Holder()
        self._asking = Asking(self._inside, self)
        self._asking.answered.connect(self._answered)
        self._asking.failed.connect(self.notice)
        self._begun = False
        self._next = ""
        self._shown_at = 0.0
        self._said = ""
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.setInterval(0)
        self._again.timeout.connect(self.update)
        self._dirty = True
        self._calm = False
        """Whether the picture on screen is whole and shows what is looked at, if not how it is now."""
        self._waiting = False
        """Whether a picture waits for the order of its splats."""
        self.failed = ""
        inside = self._inside
        self.destroyed.connect(lambda: inside.free())
        theme.changed.connect(self.redraw)

    # ---- what is shown ----------------------------------------------------------------------------------------------

    @property
    def things(self) -> tuple[Thing, ...]:
        return self._things

    def set_things(self, things: Sequence[Thing]) -> None:
        """What stands in the scene from now on; names are the keys. An array that is the very same as before is not
        sent again. What the outline changed is kept for names that are there again."""
        self._things = tuple(things)
        self._hand_over(calm=True)

    def set_camera(self, view: Array, projection: Array, eye: Any = None) -> None:
        """float64 (4, 4) each, for column vectors: clip = projection @ view @ world; ``eye`` is known from ``view``."""
        old = self._projection
        if np.array_equal(view, self._view) and np.array_equal(projection, old):
            return
        # Where only the nearest and farthest depth are others, things have changed and not what is looked at.
        calm = np.array_equal(view, self._view) and np.array_equal(np.delete(projection, 2, 0), np.delete(old, 2, 0))
        self._view, self._projection = np.array(view, np.float64), np.array(projection, np.float64)
        self.redraw(calm)

    @property
    def camera(self) -> tuple[Array, Array]:
        return self._view, self._projection

    def set_style(self, style: Style) -> None:
        if style != self.style_:
            self.style_ = style
            self.redraw()

    def set_clip(self, planes: Any) -> None:
        """(K, 4), K <= 7: kept is what has ``plane.xyz . p + plane.w >= 0`` for all of them; none shows everything."""
        found = np.asarray(planes, np.float64).reshape(-1, 4)
        if len(found) > 7:
            raise ValueError(f"there are {len(found)} clip planes; at most 7 can be drawn")
        self._planes = found
        self.redraw()

    def interacting(self, on: bool) -> None:
        """Whether the hand is moving the camera: then every frame has to be quick."""
        if on != self._moving:
            self._moving = on
            if not on:
                self.redraw()

    # ---- what the outline and the tools change, by name -------------------------------------------------------------

    def changes(self, name: str) -> Changes:
        return self._changes.get(name, Changes())

    def set_hidden(self, name: str, hidden: bool | None = True) -> None:
        self._change(name, hidden=hidden)

    def set_opacity(self, name: str, opacity: float | None) -> None:
        self._change(name, opacity=opacity)

    def set_transform(self, name: str, transform: Any) -> None:
        self._change(name, transform=transform)

    def set_colour_by(self, name: str, colour_by: str | None) -> None:
        self._change(name, colour_by=colour_by)

    def set_colour(self, name: str, colour: str | None) -> None:
        self._change(name, colour=colour)

    def set_mask(self, name: str, keep: Any) -> None:
        """bool (N,) by point or face: False is not drawn; None shows all. Hand over a new array for each change."""
        self._change(name, keep=keep)

    def set_marked(self, name: str, marked: Any) -> None:
        """bool (N,) by point or face: True is shown as selected; None for no selection."""
        self._change(name, marked=marked)

    def set_range(self, name: str, found: tuple[float, float] | None) -> None:
        """What the ends of the colours stand for; None takes the least and greatest value."""
        self._change(name, range=found)

    def set_hover(self, name: str, index: int) -> None:
        """The handle below the pointer; -1 for none."""
        if self.changes(name).hovered != index:
            self._change(name, hovered=index)

    def set_wipe(self, name: str, share: float) -> None:
        """Up to which share of its width the photograph of a field lies over it."""
        if self.changes(name).wipe != share:
            self._change(name, wipe=share)

    def _change(self, name: str, **values: Any) -> None:
        self._changes[name] = replace(self.changes(name), **values)
        self._hand_over()

    def _hand_over(self, calm: bool = False) -> None:
        if self._inside.painter is not None:
            self._inside.gpu.current()
            self._inside.painter.set_things(self._things, self._changes)
            self._asking.complete_meshes()
        self.redraw(calm)

    # ---- what others ask --------------------------------------------------------------------------------------------

    def bounds(self) -> tuple[Array, Array] | None:
        """The least and greatest corner in the world of what is visible, as far as it has been sent; None without."""
        return None if self._inside.painter is None else self._inside.painter.bounds()

    def range_of(self, name: str) -> tuple[str, float, float] | None:
        """What the colours of a thing stand for: ``colour_by`` and the values at the table's ends; None where they
        stand for no numbers."""
        painter = self._inside.painter
        item: Any = None if painter is None else painter.items.get(name)
        by = getattr(item, "colour_by", "")
        if by == "height":
            return by, *self._heights()
        return (by, *item.range()) if by.startswith("scalar:") else None

    @property
    def complete(self) -> bool:
        """Whether the picture on screen lacks nothing."""
        painter = self._inside.painter
        busy = painter is None or painter.rest > 0 or any(item.busy for item in painter.items.values())
        return not (busy or self._dirty or self._next or self._again.isActive())

    def read_depth(self, x: float, y: float, reach: int = 3) -> float | None:
        """How far in front of the eye, along the way the camera looks and in world units, lies what is drawn nearest to
        the widget's pixel (x, y), at most ``reach`` pixels off; None where nothing is."""
        z = self._depth(x, y, reach)
        if z is None:
            return None
        p = self._projection
        return float((p[2, 3] - z * p[3, 3]) / (p[2, 2] - z * p[3, 2]))

    def place_under(self, x: float, y: float, reach: int = 3) -> Array | None:
        """The world's place (3,) that is drawn at the widget's pixel (x, y), or None."""
        z = self._depth(x, y, reach)
        if z is None:
            return None
        ndc = np.array([(x + 0.5) / self.width() * 2 - 1, 1 - (y + 0.5) / self.height() * 2, z, 1.0])
        found = np.linalg.solve(self._projection @ self._view, ndc)
        return np.asarray(found[:3] / found[3])

    def drawn_depths(self) -> tuple[NDArray[np.float32], Array, tuple[float, float]] | None:
        """Of the picture as it stands: depths 0..1 (H, W) with row 0 at the bottom, the projection (4, 4), the widget's
        width and height; None before there is one."""
        stage = self._inside.stage
        if stage is None or not self._begun:
            return None
        self._inside.gpu.current()
        return stage.all_depths(), self._projection, (float(self.width()), float(self.height()))

    def _depth(self, x: float, y: float, reach: int) -> float | None:
        """The depth as after the projection, -1..1."""
        stage = self._inside.stage
        if stage is None or not self._begun:
            return None
        self._inside.gpu.current()
        width, height = stage.size[:2]
        column = int((x + 0.5) / max(1, self.width()) * width)
        row = int((1 - (y + 0.5) / max(1, self.height())) * height)
        depths = stage.depths(column, row, reach)
        away = np.add.outer(np.arange(-reach, reach + 1) ** 2, np.arange(-reach, reach + 1) ** 2)
        away = np.where(depths < 1.0, away, 10**6)
        best = int(away.argmin())
        return float(depths.flat[best]) * 2 - 1 if away.flat[best] < 10**6 else None

    def render_image(
        self, width: int, height: int, transparent: bool = False, scale: float = 1.0,
        camera: tuple[Array, Array] | None = None,
    ) -> NDArray[np.uint8]:  # fmt: skip
        """uint8 (height, width, 4) with straight alpha: the whole scene, complete, by the camera as it is now or by
        ``camera``, view and projection, which should be of the picture's shape. Points, lines and words are ``scale``
        times as large as on screen. RuntimeError with one line where OpenGL cannot be used."""
        if not self._ready():
            raise RuntimeError(self.failed)
        from widgets.viewport.drawing.tiles import render_tiles

        inside = self._inside
        assert inside.painter is not None
        inside.gpu.current()
        view, projection = camera or self.camera
        style = replace(self.style_, background="transparent") if transparent else self.style_
        palette = self._palette()
        while inside.painter.pump(math.inf, palette, scale)[1]:
            pass
        shot = replace(self._shot(width, height, scale), view=view, projection=projection, style=style)
        picture = render_tiles(inside.gpu, inside.painter, shot)
        self.redraw()
        return picture

    # ---- painting ---------------------------------------------------------------------------------------------------

    def redraw(self, calm: bool = False) -> None:
        """Begins a new picture with the next paint; a ``calm`` one of splats only comes when it is whole, since nobody
        waits for it: what trains must not flicker between a quick picture and a good one."""
        self._dirty = True
        self._calm = self._calm and calm
        self._next = ""
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._ready() and (self._dirty or self._wants_more()):
            self._paint()
        painter = QPainter(self)
        if self._image is None:
            painter.fillRect(self.rect(), theme.colours.ground)
        else:
            painter.drawImage(self.rect(), self._image)
        painter.end()

    def _wants_more(self) -> bool:
        painter = self._inside.painter
        return painter is not None and (
            self._next == "full"
            or (self._next == "fine" and not self._again.isActive())
            or painter.rest > 0
            or any(i.busy for i in painter.items.values())
        )

    def _ready(self) -> bool:
        """Makes what drawing needs, at the first paint; False where that cannot be."""
        if self._inside.painter is not None:
            return True
        if self.failed:
            return False
        self.failed = self._inside.begin()
        if self.failed:
            self.notice.emit(self.failed)
            return False
        self._hand_over()
        return True

    def _palette(self) -> Palette:
        from widgets.viewport.drawing.shot import Palette

        colours = theme.colours
        return Palette(line=colours.quiet, text=colours.text, ground=colours.ground, accent=colours.accent)

    def _heights(self) -> tuple[float, float]:
        found = self.bounds()
        up = 1 if self.style_.up == "y" else 2
        return (0.0, 1.0) if found is None else (float(found[0][up]), float(found[1][up]))

    def _shot(self, width: int, height: int, pixel: float) -> Shot:
        from widgets.viewport.drawing.shot import Shot

        return Shot(
            self._view, self._projection, width, height, pixel, self.style_, self._planes, self._near_far(),
            self._heights(), self._palette(),
        )  # fmt: skip

    def _near_far(self) -> tuple[float, float]:
        """How far the nearest and farthest corner of the scene are in front of the eye."""
        found = self.bounds()
        if found is None:
            return 0.0, 1.0
        corners = np.stack([np.where([k & 1, k & 2, k & 4], found[1], found[0]) for k in range(8)])
        along = -(corners @ self._view[2, :3] + self._view[2, 3])
        low, high = max(0.0, float(along.min())), float(along.max())
        return (low, high) if high > low else (low, low + 1.0)

    def _paint(self) -> None:
        inside, painter = self._inside, self._inside.painter
        assert painter is not None
        began = time.perf_counter()
        inside.gpu.current()
        ratio = self.devicePixelRatioF()
        full = max(1, round(self.width() * ratio)), max(1, round(self.height() * ratio))
        # What is under way is finished first, or nothing would ever be while arrays come faster than pictures.
        under_way = self._calm and self._begun and not self._moving and painter.has_splats and painter.rest > 0
        held = under_way or self._waiting
        changed, more = (False, painter.busy) if held else painter.pump(UPLOAD, self._palette(), ratio)
        new = (self._dirty and not under_way) or changed or not self._begun
        fine = self._next == "fine" and not new and not more and not self._moving
        factor = 2.0 if fine else (self.pace.factor if self._moving else 1.0)
        size = max(1, round(full[0] * factor)), max(1, round(full[1] * factor))
        stage = inside.stage_of(size, full)
        new = new or inside.stage_is_new
        # A picture that takes several paints is begun with a quick one, as while the hand moves.
        large = painter.can_be_quick and painter.weight > self.pace.budget
        quick = new and not fine and (self._moving or (large and not (self._calm and painter.has_splats)))
        sent, compiled = time.perf_counter(), inside.gpu.compiled
        shot = self._shot(*size, ratio * factor)
        self._waiting = bool(new or self._next) and self._asking.waits(shot, self.pace.budget, quick)
        if self._waiting:  # the answer is followed by a paint
            self._dirty = self._dirty or new
            return
        if new or self._next:
            painter.begin(stage, shot, self.pace.budget, quick)
            self._begun, self._dirty = True, self._dirty and under_way
        drawn = painter.advance(stage, shot, ALL if quick or fine else self.pace.budget)
        late = time.perf_counter() - self._shown_at > SHOW_EVERY
        self._say(painter.notice)
        calm = self._calm and painter.has_splats
        if (new and not calm) or painter.rest <= 0 or (late and not painter.holes):
            self._calm = self._calm or (painter.rest <= 0 and not quick and not more)
            painter.finish(stage, shot)
            self._read(stage, full, ratio)
            self._shown_at = time.perf_counter()
            if painter.rest <= 0 and not (quick or more):
                self._asking.at_rest(shot)
        else:
            inside.gpu.wait()
        took = time.perf_counter() - sent
        if inside.gpu.compiled == compiled:  # else it was the compiler's time
            self.pace.learn(drawn, took, whole=new and not fine, moving=self._moving)
        self._next = self._what_next(quick, fine, more, max(full))
        if self._next or more or painter.rest > 0 or self._dirty:
            self._again.start(FINE_AFTER if self._next == "fine" and not more and painter.rest <= 0 else 0)
        self.drawn.emit(time.perf_counter() - began)

    def _answered(self, order: bool) -> None:
        """Something came from the view lane; what was drawn while the hand moves was drawn by an older order."""
        self._dirty = self._dirty or (order and self._moving)
        self.update()

    def _say(self, line: str) -> None:
        """A notice of the painter's, once."""
        if line and line != self._said:
            self._said = line
            self.notice.emit(line)

    def _what_next(self, quick: bool, fine: bool, more: bool, side: int) -> str:
        """What picture follows this one at rest: ``full`` after a quick one, ``fine`` where that is cheap."""
        inside = self._inside
        assert inside.painter is not None
        if self._moving or more:
            return ""
        if quick:
            return "full"
        # Splats are widened by a part of a pixel; with four times the pixels they would be others.
        cheap = self.pace.seconds < FINE_BELOW and side * 2 <= inside.gpu.largest and not inside.painter.has_splats
        return "fine" if cheap and not fine and inside.painter.rest <= 0 and self._next != "fine" else ""

    def _read(self, stage: Stage, full: tuple[int, int], ratio: float) -> None:
        if self._image is None or (self._image.width(), self._image.height()) != full:
            self._image = QImage(*full, QImage.Format.Format_ARGB32_Premultiplied)
        self._image.setDevicePixelRatio(1.0)
        stage.read(self._image.bits(), blue_first=True)
        self._image.setDevicePixelRatio(ratio)

    # ---- the widget's own life --------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.redraw()

    def showEvent(self, event: QShowEvent) -> None:
        self.redraw()

    def hideEvent(self, event: QHideEvent) -> None:
        self._again.stop()
