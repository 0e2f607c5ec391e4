"""What a live picture is held against where its camera stands at a photograph's place: the overlay, the error, figures.

Methods that the probes of radiance fields share. Knows no network and sends out no ray.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.data.captures.source import Photo
from engine.nn.looking import truth
from engine.nn.looking.common import RadianceStudy, decibels, placed
from engine.nn.looking.likeness import ssim
from engine.nn.pictures import array
from engine.probes import camera_of, size_of
from engine.scene import Field

USUAL = 4, 3
"""The shape of a picture where the camera does not tell one."""
ERROR = "error"
NO_LEGEND: tuple[str, tuple[tuple[float, str], ...]] = ("", ())


class Compared(RadianceStudy):
    """What of a radiance field's pictures has to do with photographs."""

    def _overlaid(self, photo: Photo, camera: str, height: int) -> NDArray[np.uint8]:
        """The photograph in the view's picture, as fine as it is itself, uint8 (h, w, 4)."""
        w, h = size_of(camera) or USUAL
        _, ways, _ = placed(camera)
        fov = camera_of(camera)[3]
        ratio = math.tan(math.radians(fov) / 2) / (photo.view.camera.height / 2 / photo.view.camera.fy)
        tall = max(1, round(min(height, photo.view.camera.height * ratio)))
        wide = max(1, round(tall * w / h))
        made: NDArray[np.uint8] = self._keep(
            "overlaid",
            (photo.view.name, camera),
            lambda: truth.taken(photo, ways(wide, tall, (0.5, 0.5)), wide, tall, fov).pixels(),
        )
        return made

    def _held_against(self, field: Field, photo: Photo, mode: str, likeness: bool) -> tuple[Field, str]:
        """The picture, or in mode error its difference from the photograph in colours, and what that comes to."""
        height, width = field.alpha.shape
        _, ways, _ = placed(field.camera)
        seen: truth.Truth = self._keep(
            "truth",
            (photo.view.name, field.camera, width, height),
            lambda: truth.taken(photo, ways(width, height, (0.5, 0.5)), width, height, camera_of(field.camera)[3]),
        )
        ground = array(self.ground)
        apart, image = truth.off(seen, field.image, field.alpha, ground)
        whole = seen.over(ground)
        mse = float(np.square(image - whole)[seen.there].mean()) if seen.there.any() else 0.0
        words = f"PSNR {decibels(mse):.2f} dB"
        alike = ssim(np.where(seen.there[..., None], image, whole), whole, seen.there) if likeness else None
        if alike is not None:
            words += f", SSIM {alike:.3f}"
        if mode != ERROR:
            return field, words
        there = seen.there.astype(np.float32)
        behind = float(field.depth.max()) or 1.0  # every pixel of the photograph has a place in the picture
        return replace(
            field,
            image=truth.colours(apart) * there[..., None],
            alpha=there,
            depth=np.where(field.depth > 0, field.depth, np.float32(behind)) * there,
            legend=truth.LEGEND,
        ), words
