"""Pictures and films of a viewport: at any size, with or without ground, and frame by frame along a path.

Knows a viewport's canvas and camera; where the files go is the owner's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, QRectF
from PySide6.QtGui import QGuiApplication, QImage, QPainter

from engine.payloads import ImageGrid
from engine.scene import Thing
from widgets.viewport.camera import Camera
from widgets.viewport.film import Film

if TYPE_CHECKING:
    from widgets.viewport.viewport import Viewport

WIDEST = 1280
"""A film is no wider: all its frames are held in memory until they are written."""


class Shots(QObject):
    """Makes pictures of ``viewport`` and emits its ``exported``."""

    def __init__(self, viewport: Viewport) -> None:
        super().__init__(viewport)
        self._view = viewport
        self.film: Film | None = None

    def render(self, camera: Camera, width: int, height: int, clear: bool = False) -> Any:
        """uint8 (height, width, 4) as ``camera`` sees the scene; the one on screen stays."""
        return np.asarray(
            self._view.canvas.render_image(
                width, height, transparent=clear, camera=self._view.matrices(camera, width / height)
            )
        )

    def shoot(self, width: int, height: int, clear: bool, what: str) -> None:
        """A picture to the clipboard (``copy``) or a file (``save``)."""
        pixels = self.render(self._view.navigator.camera, width, height, clear)
        if what == "copy":
            QGuiApplication.clipboard().setImage(to_image(pixels))
            return
        images = pixels[None].astype(np.float32) / np.float32(255)
        self._view.exported.emit("picture", (ImageGrid(images if clear else images[..., :3].copy()),))

    def on_screen(self) -> QImage:
        """The picture as it stands with what lies over it, without hover, cube and tools."""
        canvas = self._view.canvas
        ratio = canvas.devicePixelRatioF()
        width, height = max(canvas.width(), 1), max(canvas.height(), 1)
        pixels = self.render(self._view.navigator.camera, round(width * ratio), round(height * ratio))
        image = to_image(pixels)
        painter = QPainter(image)
        painter.scale(ratio, ratio)
        self._view.touch.leave()
        self._view.overlay.paint(painter, QRectF(0, 0, width, height))
        painter.end()
        return image

    def flat(self) -> Any:
        """uint8 (H, W, 4): the canvas as it stands, at its size on screen."""
        width, height = max(self._view.canvas.width(), 1), max(self._view.canvas.height(), 1)
        return self.render(self._view.navigator.camera, width, height)

    def thumb(self, side: int, things: Sequence[Thing] | None = None) -> QImage | None:
        """The canvas as it stands, or ``things`` in their place, small and square; None where nothing can be drawn."""
        canvas = self._view.canvas
        try:
            if things is not None:
                canvas.set_things(things)
            return to_image(self.render(self._view.navigator.camera, side, side))
        except RuntimeError:  # no OpenGL: the canvas has said so
            return None
        finally:
            if things is not None:
                canvas.set_things(self._view.shown.things)

    def make_film(self) -> None:
        """Draws every frame of the path; ``exported`` follows, with ``progress`` meanwhile. What the engine renders is
        waited for, camera by camera."""
        if self.film is not None or self._view.path_bar.why_not():
            return
        wide, tall = self._view.tools.shot.wide.value(), self._view.tools.shot.tall.value()
        shrink = min(1.0, WIDEST / wide)
        wide, tall = round(wide * shrink) // 2 * 2, round(tall * shrink) // 2 * 2
        cameras = self._view.path_bar.film()
        through = self._view.through

        def draw(k: int) -> Any:
            return self.render(cameras[k], wide, tall) if through.rendered(cameras[k], wide, tall) else None

        self.draw_film(len(cameras), draw)

    def draw_film(self, total: int, draw: Callable[[int], Any]) -> None:
        """``total`` frames by ``draw``, one in a turn of the event loop; ``exported`` follows."""
        self.stop()
        self.film = Film(total, draw, self)
        self.film.progress.connect(self._view.progress)
        self.film.done.connect(self._finished)

    def stop(self) -> None:
        """Gives a film up."""
        if self.film is not None:
            self.film.stop()
            self.film.deleteLater()
            self.film = None
            self._view.through.film_over()
            self._view.progress.emit(-1.0)

    def _finished(self, frames: tuple[Any, ...]) -> None:
        if self.film is not None:
            self.film.deleteLater()
            self.film = None
        self._view.through.film_over()
        self._view.exported.emit("film", frames)


def to_image(pixels: Any) -> QImage:
    """uint8 (H, W, 4), straight alpha, as a picture that owns its memory."""
    rows = np.ascontiguousarray(pixels)
    height, width = rows.shape[:2]
    return QImage(rows.data, width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()
