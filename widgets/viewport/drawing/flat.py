"""Sheets and words: pictures in space, one standing in the world, the others turned to the eye. Draws one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter

from engine.scene import Handles, Sheet, Words
from widgets.theme import CAPTION
from widgets.viewport.colours import rgb
from widgets.viewport.drawing import shaders_over
from widgets.viewport.drawing.gpu import Gpu, Vao
from widgets.viewport.drawing.shot import Shot, world_of
from widgets.viewport.drawing.streams import Item, Picture, Plan, Stream, array_stream
from widgets.viewport.lod import consecutive_blocks

ATLAS_WIDTH = 1024
MOST_WORDS = 2000
"""Texts of one thing that are painted; more could not be read on one screen."""


class SheetItem(Item):
    LAYER = "glass"
    thing: Sheet
    shown_thing: Sheet

    def __init__(self, gpu: Gpu, thing: Sheet) -> None:
        super().__init__(thing)
        self._gpu = gpu
        self._vao = Vao()

    def plan(self) -> Plan:
        sheet = self.thing
        sources = (sheet.image, sheet.smooth)
        image = np.asarray(sheet.image)
        largest = self._gpu.largest
        image = image[:: -(-image.shape[0] // largest), :: -(-image.shape[1] // largest)]
        return {"picture": (sources, lambda: Picture(sources, image, smooth=sheet.smooth))}

    def bounds(self) -> Any:
        corner, u, v = (np.asarray(a, np.float64) for a in (self.thing.corner, self.thing.u, self.thing.v))
        corners = np.stack([corner, corner + u, corner + v, corner + u + v])
        return corners.min(axis=0), corners.max(axis=0)

    def draw(self, shot: Shot) -> None:
        sheet = self.shown_thing
        defines: dict[str, Any] = {"PLANES": len(shot.planes)} if len(shot.planes) else {}
        program = self._gpu.program(shaders_over.SHEET_VERTEX, shaders_over.SHEET_FRAGMENT, **defines)
        program.set(
            **shot.place(world_of(sheet, self.changes)),
            corner=sheet.corner, side_u=sheet.u, side_v=sheet.v, picture=1,
            alpha=sheet.opacity if self.changes.opacity is None else self.changes.opacity,
        )  # fmt: skip
        self.shown["picture"].texture.bind(1)
        self._vao.bind()
        GL.glDrawArrays(GL.GL_TRIANGLE_STRIP, 0, 4)

    def free(self) -> None:
        super().free()
        self._vao.free()


class WordsItem(Item):
    """Texts of :class:`Words`, or those of :class:`Handles`, which stand above their discs."""

    LAYER = "signs"
    thing: Words | Handles
    shown_thing: Words | Handles

    def __init__(self, gpu: Gpu, thing: Words | Handles) -> None:
        super().__init__(thing)
        self._gpu = gpu
        self._vao = Vao()
        self.ink = ("#e6e8ec", "#15171c")
        """Text and halo; a change is seen with the next :meth:`want`."""
        self.pixel = 1.0

    def set_ink(self, text: str, halo: str, pixel: float) -> None:
        if (text, halo) != self.ink or pixel != self.pixel:
            self.ink, self.pixel, self._stale = (text, halo), pixel, True

    def plan(self) -> Plan:
        words = self.thing
        texts = words.texts[:MOST_WORDS]
        colour = self.changes.colour or words.colour
        shift = 14.0 if isinstance(words, Handles) else 0.0
        sources = ("|".join(texts), colour, *self.ink, self.pixel, shift)
        made: list[tuple[NDArray[np.uint8], NDArray[np.float32]]] = []

        def atlas() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
            if not made:
                made.append(painted(texts, colour or self.ink[0], self.ink[1], self.pixel, shift))
            return made[0]

        blocks = consecutive_blocks(len(texts))
        return {
            "xyz": array_stream(words.at, np.float32, blocks, watch=True),
            "picture": (sources, lambda: Picture(sources, atlas()[0], smooth=False)),
            "boxes": (sources, lambda: Stream(sources, blocks, 24, lambda block: atlas()[1][block])),
        }

    def connect(self) -> None:
        self._vao.free()
        self._vao = Vao()
        self._vao.feed(0, self.shown["xyz"].buffer, np.float32, 3, divisor=1)
        self._vao.feed(1, self.shown["boxes"].buffer, np.float32, 4, stride=24, divisor=1)
        self._vao.feed(2, self.shown["boxes"].buffer, np.float32, 2, stride=24, offset=16, divisor=1)

    def draw(self, shot: Shot) -> None:
        words = self.shown_thing
        count = min(self.shown["xyz"].done, self.shown["boxes"].done)
        if not count or not self.shown["picture"].complete:
            return
        defines: dict[str, Any] = {"PLANES": len(shot.planes)} if len(shot.planes) else {}
        program = self._gpu.program(shaders_over.WORD_VERTEX, shaders_over.WORD_FRAGMENT, **defines)
        texture = self.shown["picture"].texture
        program.set(
            **shot.place(world_of(words, self.changes)),
            atlas=(float(texture.width), float(texture.height)), picture=1, pixel=shot.pixel / self.pixel,
            alpha=words.opacity if self.changes.opacity is None else self.changes.opacity,
        )  # fmt: skip
        texture.bind(1)
        self._vao.bind()
        GL.glDrawArraysInstanced(GL.GL_TRIANGLE_STRIP, 0, 4, count)

    def free(self) -> None:
        super().free()
        self._vao.free()


def painted(
    texts: tuple[str, ...], colour: str, halo: str, pixel: float, shift: float
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """All texts on one picture, uint8 (H, W, 4) with colours multiplied by alpha, and float32 (M, 6) of where each is:
    x, y, width, height in pixels, and by how much its centre is moved to the right and up."""
    font = QFont()
    font.setPixelSize(max(1, round(CAPTION * pixel)))
    metrics = QFontMetricsF(font)
    margin = 2.0 * pixel
    boxes = np.zeros((len(texts), 6), np.float32)
    x = y = 0.0
    height = float(np.ceil(metrics.height() + 2 * margin))
    cut = []
    for k, text in enumerate(texts):
        line = metrics.elidedText(text.replace("\n", " "), Qt.TextElideMode.ElideRight, ATLAS_WIDTH - 4 * margin)
        cut.append(line)
        width = float(np.ceil(metrics.horizontalAdvance(line) + 2 * margin))
        if x + width > ATLAS_WIDTH:
            x, y = 0.0, y + height
        boxes[k] = x, y, width, height, 0.0, shift * pixel
        x += width
    image = QImage(ATLAS_WIDTH, int(y + height), QImage.Format.Format_RGBA8888_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
    painter.setFont(font)
    ink, under = (QColor.fromRgbF(*rgb(text, "#808080")) for text in (colour, halo))
    under.setAlphaF(0.6)
    for line, (left, top, width, _, _, _) in zip(cut, boxes.tolist(), strict=True):
        area = QRectF(left, top, width, height)
        painter.setPen(under)
        for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            painter.drawText(area.translated(QPointF(dx, dy) * pixel), Qt.AlignmentFlag.AlignCenter, line)
        painter.setPen(ink)
        painter.drawText(area, Qt.AlignmentFlag.AlignCenter, line)
    painter.end()
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine() // 4, 4)
    return pixels[:, :ATLAS_WIDTH].copy(), boxes
