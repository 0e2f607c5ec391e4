"""The view of :class:`ImageGrid`: one picture or many. Knows how tiles lie, not what they are."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget

from engine.payloads import ImageGrid, Payload
from widgets.views.base import View
from widgets.views.canvas import ImageCanvas


class ImageGridView(View):
    """Pictures as large as fit: small ones by whole factors, hover reads a pixel, a click tells the tile's index."""

    tile_clicked = Signal(int)
    accepts = ImageGrid

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvas = ImageCanvas(self)
        self.canvas.tile_clicked.connect(self.tile_clicked)
        self.set_body(self.canvas)
        self.setFocusProxy(self.canvas)

    def draw_payload(self, payload: Payload) -> None:
        p = cast(ImageGrid, payload)
        if not len(p.images):
            raise ValueError("The answer holds no pictures.")
        self.canvas.set_images(p.images, p.columns, p.captions, p.labels, p.rows, p.heads, caption=p.caption)

    def forget(self) -> None:
        self.canvas.clear()

    def restyle(self) -> None:
        self.canvas.update()

    def picture(self) -> QImage:
        return self.canvas.picture()

    def payloads_for_picture(self) -> tuple[Payload, ...]:
        """The pictures themselves, at their own resolution."""
        return self.payloads_for_data()
