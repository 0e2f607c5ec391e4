"""The surface of a scene of Gaussians: what they look like from all photographs, fused to one mesh.

Knows no growth and no loss.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from engine.nn.gaussians.looking import SplatStudy
from engine.nn.pictures import array
from engine.nn.splatting.fusion import fuse
from engine.probes import Number, Toggle, probe
from engine.scene import Mesh, Scene

DRAG_CELLS, DRAG_VIEWS = 24, 6
"""Voxels and views while a hand moves."""
MOST_VIEWS = 60
"""Views that are fused at most, evenly chosen."""
OUTLIERS = 0.02
"""Share of the Gaussians on each side of each axis that lie outside the box, where the capture names none."""
MARGIN = 0.05


class SurfaceProbe(SplatStudy):
    """The probe that turns Gaussians into triangles."""

    def _surface_box(self) -> NDArray[np.float64]:
        """(2, 3): the capture's own, else the one that holds nearly all Gaussians."""
        if self.source.box is not None:
            return np.asarray(self.source.box, np.float64)
        places = array(self.gaussians.xyz).astype(np.float64)
        low, high = np.quantile(places, [OUTLIERS, 1 - OUTLIERS], axis=0)
        margin = MARGIN * float((high - low).max()) + 1e-3
        return np.stack([low - margin, high + margin])

    @probe(
        Scene,
        title="Surface",
        resolution=Number(64, 16, 256, log=True, text="Voxels along the longest side of the box."),
        opaque=Number(0.6, 0.05, 0.99, text="Pixels that the Gaussians cover less than this show no surface."),
        cameras=Toggle(False, text="Whether the cameras stand around it."),
    )
    def surface(self, resolution: int, opaque: float, cameras: bool) -> Iterator[float | Scene]:
        """A mesh: the depths that the Gaussians have from the photographs' places are averaged in a grid of voxels, and
        where the mean changes its sign there is a surface."""
        shots = self.shots["train"]
        most = DRAG_VIEWS if self.dragging else MOST_VIEWS
        cells = min(resolution, DRAG_CELLS) if self.dragging else resolution
        pick = np.unique(np.linspace(0, len(shots) - 1, min(most, len(shots))).round().astype(int))
        views, depths, rgbs = [shots[i].view for i in pick], [], []
        for number, view in enumerate(views):
            seen = self.picture(view, torch.zeros(3, device=self.device))
            share = seen.alpha.clamp(min=1e-6)
            covers = seen.alpha >= opaque
            depths.append(torch.where(covers, seen.depth / share, torch.zeros_like(share)))
            rgbs.append((seen.rgb / share[..., None]).clamp(0, 1))
            yield 0.5 * (number + 1) / len(views)
        fusing = fuse(depths, rgbs, views, self._surface_box(), cells)
        while True:
            try:
                yield 0.5 + 0.5 * next(fusing)
            except StopIteration as end:
                found = end.value
                break
        mesh = Mesh(
            name="surface",
            vertices=found.vertices,
            faces=found.faces,
            rgb=np.round(found.rgb * 255).astype(np.uint8),
        )
        around = (*self._frustums(), *self._frame()) if cameras else self._frame()
        yield Scene(
            (mesh, *around),
            caption=f"{len(views)} depths fused, {cells} voxels along the longest side",
            readings={"triangles": float(len(found.faces))},
            notices=() if len(found.faces) else ("No surface yet: train further, or let less opaque pixels count.",),
            home=self._home(),
            world=self._world,
        )
