"""The view of :class:`Render`: the picture of a camera, its depth beside it. Knows neither scene nor camera."""

from __future__ import annotations

from typing import cast

import numpy as np

from engine.payloads import ImageGrid, Payload
from engine.scene import Render
from widgets.views.grid import ImageGridView

NEAREST, FARTHEST = 0.95, 0.25
"""Greys of the nearest and farthest depth; where nothing is met it is black."""


class RenderView(ImageGridView):
    """Two pictures: what is seen, and how far it is."""

    accepts = Render  # type: ignore[assignment]  # the same canvas, another kind of answer

    def draw_payload(self, payload: Payload) -> None:
        p = cast(Render, payload)
        if p.image.ndim != 3 or p.image.shape[:2] != p.depth.shape or p.depth.shape != p.alpha.shape:
            raise ValueError("The picture, its depth and its alpha differ in size.")
        met = p.alpha > 0
        far = p.depth[met]
        lo, hi = (float(far.min()), float(far.max())) if far.size else (0.0, 1.0)
        grey = np.zeros(p.depth.shape, np.float32)
        grey[met] = NEAREST + (FARTHEST - NEAREST) * (far - lo) / max(hi - lo, 1e-9)
        both = np.stack([p.image, np.repeat(grey[..., None], 3, axis=2)])
        depth = f"depth, {lo:.3g} to {hi:.3g}" if far.size else "depth: nothing is met"
        self.canvas.set_images(both, 2, ("picture", depth), None, (), (), caption=p.caption)

    def payloads_for_picture(self) -> tuple[Payload, ...]:
        """The picture alone, at its own resolution."""
        payload = cast(Render, self.payload)
        return (ImageGrid(payload.image[None]),)
