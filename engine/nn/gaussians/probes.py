"""The questions that are put to Gaussians in space: flying among them, held-out photographs, where they multiply.

A study mixes in :class:`SplatProbes`; what it gives for them is said in :mod:`engine.nn.gaussians.looking`. Knows no
loss and no optimiser.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from engine.nn.gaussians.density import faint, mean_slope, wanting
from engine.nn.gaussians.gaussians import C0, splats_of
from engine.nn.gaussians.histograms import histogram
from engine.nn.gaussians.inspector import InspectorProbes
from engine.nn.gaussians.pinhole import Shot
from engine.nn.gaussians.surface import SurfaceProbe
from engine.nn.looking import things as things_of
from engine.nn.looking.common import decibels
from engine.nn.looking.likeness import ssim
from engine.nn.looking.pictures import Rendered, shades
from engine.nn.looking.probes import CAMERA, PHOTO
from engine.nn.pictures import array
from engine.nn.splatting import View, view_at
from engine.payloads import Curves, ImageGrid
from engine.probes import Choice, Number, Toggle, camera_of, probe
from engine.scene import Points, Render, Scene, Thing

MODES = ("RGB", "depth", "accumulation")
NUMBERS = ("opacity", "longest deviation", "flatness", "brightness")
FULLEST = 2.0
"""Pulls beyond so many times the threshold have the last colour."""
COUNTED_ANEW = "The pull is measured anew from round to round: the next step brings its colours back."
DRAG_SHARE = 0.5
"""Sides of a picture while a hand moves, as a share of what they are at rest."""


class SplatProbes(InspectorProbes, SurfaceProbe):
    """The probes; a study also says by ``thresholds`` where Gaussians are added."""

    def thresholds(self) -> tuple[float, float, float]:
        """The pull from which on a Gaussian is cloned or split, the width up to which it is cloned, the least
        opacity."""
        raise NotImplementedError

    @probe(
        Scene,
        title="View",
        refresh=0.5,
        degree=Number(
            3, 0, 3, text="Degree of the harmonics that are shown: at 0 colours are the same from all sides."
        ),
        size=Number(1.0, 0.05, 2.0, text="Ellipsoids are drawn so many times as large as they are."),
        most=Number(
            300_000, 1000, 6_000_000, log=True, text="How many are shown and saved: the widest and fullest first."
        ),
        cameras=Toggle(False, text="Whether the cameras stand in the picture; a click on one looks through it."),
        points=Toggle(False, text="Whether the capture's sparse points are shown."),
    )
    def view(self, degree: int, size: float, most: int, cameras: bool, points: bool) -> Scene:
        """The Gaussians themselves, drawn as splats from wherever you look; while it trains they move before your
        eyes."""
        g = self.gaussians
        opacity, pick = g.opacity.detach().sigmoid(), None
        if len(g) > most:
            cover = opacity * g.scales.detach().topk(2, 1).values.sum(1).exp()
            pick = cover.topk(most).indices.sort().values
        shown = splats_of(g, "splats", pick, degree=min(degree, self.degree), size=size, antialiased=self.antialiased)
        sparse = self._keep("points", (), lambda: things_of.sparse_points(self.source.source)) if points else ()
        around: tuple[Thing, ...] = (*self._frustums(), *self._frame()) if cameras else ()
        return Scene(
            (shown, *sparse, *around),
            caption=f"{len(g):,} Gaussians, harmonics of degree {self.degree}",
            readings={
                "Gaussians": float(len(g)),
                "opacity ≥ 0.5": float((opacity >= 0.5).sum()),
                "median opacity": float(opacity.median()),
            },
            notices=() if pick is None else (f"{most:,} of {len(g):,} are shown and saved: raise most for all.",),
            home=self._home(),
            world=self._world,
        )

    @probe(
        Render,
        title="Picture",
        camera=CAMERA,
        mode=Choice(MODES, text="What is shown of each pixel."),
        width=Number(320, 16, 1920, log=True, text="The picture's width in pixels."),
        height=Number(240, 16, 1080, log=True, text="The picture's height in pixels."),
    )
    def render(self, camera: str, mode: str, width: int, height: int) -> Render:
        """The Gaussians as one camera sees them, computed as in training, on white where the photographs have a
        transparent ground."""
        if self.dragging:
            width, height = (max(16, round(side * DRAG_SHARE)) for side in (width, height))
        view = view_at(*camera_of(self.stand(camera)), width, height, device=self.device)
        made = self.picture(view, torch.zeros(3, device=self.device))
        flat = Rendered(made.rgb.reshape(-1, 3), made.alpha.reshape(-1), made.depth.reshape(-1), None, made.alpha)
        far = (made.depth / made.alpha.clamp(min=1e-6))[made.alpha > 0.5]
        reach = (float(far.min()), float(far.max())) if len(far) else (0.0, 1.0)
        colour, alpha, depth = (array(x) for x in shades(mode, flat, None, reach))
        colour = colour.reshape(height, width, 3)
        if mode == "RGB":
            colour = colour + (1 - alpha.reshape(height, width, 1)) * array(self.ground)
        return Render(
            colour.clip(0, 1).astype(np.float32),
            depth.reshape(height, width),
            alpha.reshape(height, width),
            f"{mode}, {width} x {height} pixels, {len(self.gaussians):,} Gaussians",
        )

    @probe(
        ImageGrid,
        title="Held out",
        refresh=1.0,
        photo=PHOTO,
        width=Number(480, 16, 1920, log=True, text="Pixels across, at most; the photograph is averaged down to them."),
    )
    def compare(self, photo: str, width: int) -> ImageGrid:
        """A photograph, the Gaussians drawn from the same place, and four times the difference."""
        shot = self.shot(photo)
        most = min(width, 240) if self.dragging else width
        shrink = max(1, math.ceil(shot.view.width / most))
        made = self.picture(_shrunk(shot.view, shrink), self.ground).rgb.clamp(0, 1)
        truth, counts = _averaged(shot, self.ground, shrink)
        off = (made - truth).abs() * counts[..., None]
        mse = float(off.square().sum() / (3 * counts.sum()).clamp(min=1))
        words = f"{shot.photo.view.name}, {made.shape[1]} x {made.shape[0]}: PSNR {decibels(mse):.2f} dB"
        likeness = ssim(array(truth), array(made), counts.cpu().numpy() > 0)
        if likeness is not None:
            words += f", SSIM {likeness:.3f}"
        return ImageGrid(
            array(torch.stack([truth, made, (4 * off).clamp(0, 1)])),
            columns=3,
            captions=("photograph", "rendered", "difference x 4"),
            caption=words,
        )

    @probe(
        Scene,
        title="Where it grows",
        refresh=1.0,
        cameras=Toggle(False, text="Whether the cameras stand around it."),
    )
    def growth(self, cameras: bool) -> Scene:
        """Each Gaussian's middle, coloured by how hard it pulls at its place in the pictures, as a share of the pull
        from which on it is cloned or split: the brightest grow in the next round."""
        g, (pull, small, least) = self.gaussians, self.thresholds()
        clone, split = wanting(g, pull, small)
        share, pictures = array(mean_slope(g) / pull), float(g.seen.max()) if len(g) else 0.0
        shown = Points(
            name="middles",
            xyz=array(g.xyz),
            rgb=np.rint(array((0.5 + C0 * g.dc[:, 0]).clamp(0, 1)) * 255).astype(np.uint8),
            scalars={"pull": share.clip(0, FULLEST), "seen": array(g.seen)},
            colour_by="scalar:pull" if pictures else "rgb",
            size=4.0,
        )
        around = (*self._frustums(), *self._frame()) if cameras else self._frame()
        return Scene(
            (shown, *around),
            caption=f"{int((share >= 1).sum()):,} of {len(share):,} pull harder than the threshold"
            if pictures
            else f"{len(share):,} Gaussians in their own colours",
            notices=() if pictures else (COUNTED_ANEW,),
            readings={
                "to be cloned": float(clone.sum()),
                "to be split": float(split.sum()),
                "to be pruned": float(faint(g, least, None).sum()),
                "pictures seen": pictures,
            },
            home=self._home(),
            world=self._world,
        )

    @probe(
        Curves,
        title="How they differ",
        refresh=1.0,
        of=Choice(NUMBERS, text="Which number is counted; flatness is the shortest deviation by the middle one."),
    )
    def numbers(self, of: str) -> Curves:
        """How many Gaussians have which opacity, size, flatness or brightness."""
        g = self.gaussians
        deviation = g.scales.exp().sort(1).values
        measured: Mapping[str, Tensor] = {
            "opacity": g.opacity.sigmoid(),
            "longest deviation": deviation[:, 2],
            "flatness": deviation[:, 0] / deviation[:, 1].clamp(min=1e-12),
            "brightness": (0.5 + C0 * g.dc[:, 0]).mean(1),
        }
        if of == "longest deviation":
            return histogram(array(deviation[:, 2]), "longest deviation, by powers of ten", log=True)
        return histogram(array(measured[of]), of, (0.0, 1.0))


def _shrunk(view: View, shrink: int) -> View:
    """The view with ``shrink`` x ``shrink`` pixels made one; what is over at the ends is left out."""
    return replace(
        view,
        fx=view.fx / shrink,
        fy=view.fy / shrink,
        cx=view.cx / shrink,
        cy=view.cy / shrink,
        width=max(1, view.width // shrink),
        height=max(1, view.height // shrink),
    )


def _averaged(shot: Shot, ground: Tensor, shrink: int) -> tuple[Tensor, Tensor]:
    """The photograph (H, W, 3) on the ground and where it counts (H, W), ``shrink`` x ``shrink`` pixels averaged."""
    colour = shot.over(ground)
    counts = torch.ones_like(colour[..., 0]) if shot.counts is None else shot.counts
    if shrink == 1:
        return colour, counts
    both = torch.cat([colour, counts[..., None]], 2).movedim(-1, 0)[None]
    small = torch.nn.functional.avg_pool2d(both, min(shrink, *both.shape[2:]), stride=shrink)[0].movedim(0, -1)
    return small[..., :3], (small[..., 3] > 0.5).float()
