"""The probes that every radiance field answers alike: flying through it, held-out photographs, rays, surface, cameras.

A study mixes in :class:`RadianceProbes` and says how to send out rays; the questions are then the same for all. Knows
no network, no sampling of rays and no loss.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from engine.geometry.isosurface import Surface, extract
from engine.nn.generator.generator import weights_state
from engine.nn.looking import things as things_of
from engine.nn.looking.common import RadianceStudy, decibels
from engine.nn.looking.pictures import MODES, RaySamples, Rendered
from engine.nn.pictures import array
from engine.payloads import Curves, ImageGrid
from engine.probes import Camera, Choice, Item, Number, Place, Places, Toggle, probe, size_of
from engine.scene import Field, Mesh, Render, Scene, Thing

Floats = NDArray[np.float32]

__all__ = ["RadianceProbes", "RaySamples", "Rendered", "decibels"]

DRAG_CELLS, COARSE_CELLS = 20, 32
"""Cells along the longest side of a surface while a hand moves, and of the first of two."""
USUAL = 4, 3
"""The shape of a picture where the camera does not tell one."""
CAMERA = Camera("2.6,-2.2,1.3/0,0,0/0,0,1/40", text="Where the picture is taken from.")
MODE = Choice(MODES, text="What is shown of each pixel; cost is how often the network was asked for it.")


@dataclass(frozen=True)
class Photograph(Item):
    """One photograph of the capture; all probes that look at one look at the same."""

    shared: ClassVar[bool] = True


@dataclass(frozen=True)
class Pixel(Places):
    """A pixel of a photograph as (u, v, 0): shares of its width and height from the upper left corner."""

    shared: ClassVar[bool] = True


PHOTO = Photograph(text="Which photograph is looked at; held-out ones were not learned from.")
PIXEL = Pixel(((0.5, 0.5, 0.0),), text="The pixel that the ray goes through: drag the handle over the photograph.")


class RadianceProbes(RadianceStudy):
    """The probes; what a study gives for them is said in :class:`RadianceStudy`."""

    @probe(
        Scene,
        title="View",
        refresh=1.0,
        camera=CAMERA,
        mode=MODE,
        width=Number(160, 16, 1920, log=True, text="Pixels across the picture once nothing moves."),
        passes=Number(2, 1, 32, log=True, text="Rays through each pixel, one after another, for smooth edges."),
        cameras=Toggle(False, text="Whether the cameras stand in the picture; a click on one looks through it."),
    )
    def view(self, camera: str, mode: str, width: int, passes: int, cameras: bool) -> Iterator[float | Scene]:
        """The field as the view's camera sees it: coarse while a hand moves or the network learns, finer and finer
        at rest."""
        w, h = size_of(camera) or USUAL
        full = width, max(1, min(2 * width, round(width * h / w)))
        around: tuple[Thing, ...] = (*self._frustums(), *self._frame()) if cameras else ()
        for part in self._live_view().shots(
            *full,
            self._renderer(camera, mode),
            dragging=self.dragging,
            version=lambda: weights_state(self),
            passes=passes,
        ):
            if isinstance(part, float):
                yield part
                continue
            seen = part.seen
            yield Scene(
                (Field(name="field", image=seen.image, alpha=seen.alpha, depth=seen.depth, camera=camera), *around),
                caption=f"{mode}, {part.size[0]} x {part.size[1]} pixels, {part.rays} of {passes} rays each",
                readings={"network calls per ray": seen.cost},
                home=self._home(),
                progress=part.progress,
                camera_control="camera",
            )

    @probe(
        Render,
        title="Picture",
        camera=CAMERA,
        mode=MODE,
        width=Number(160, 16, 1920, log=True, text="The picture's width in pixels."),
        height=Number(120, 16, 1080, log=True, text="The picture's height in pixels."),
    )
    def render(self, camera: str, mode: str, width: int, height: int) -> Iterator[float | Render]:
        """The field as one camera sees it, on white where the photographs have a transparent ground."""
        width, height = self._budgeted(width, height) if self.dragging else (width, height)
        seen = yield from self._renderer(camera, mode)(width, height)
        behind = (1 - seen.alpha[..., None]) * array(self.ground) if mode == "RGB" else np.float32(0)
        words = f"{mode}, {width} x {height} pixels, {seen.cost:.3g} network calls each"
        yield Render((seen.image + behind).clip(0, 1), seen.depth, seen.alpha, words)

    # ---- held-out photographs ----

    @probe(
        ImageGrid,
        title="Held out",
        refresh=4.0,
        photo=PHOTO,
        width=Number(100, 16, 1920, log=True, text="Pixels across, at most; the photograph is averaged down to them."),
    )
    def compare(self, photo: str, width: int) -> Iterator[float | ImageGrid]:
        """A photograph, the field seen from the same place, and four times the difference."""
        chosen = self.photo(photo)
        most = min(width, self._budgeted(width, width)[0]) if self.dragging else width
        shrink = max(1, math.ceil(chosen.view.camera.width / most))
        origins, directions, truth, counts = self._photo_rays(chosen, shrink)
        seen = yield from self._shoot(origins, directions, self.ground)
        image = array(seen.rgb).clip(0, 1).reshape(truth.shape)
        off = np.where(counts[..., None], np.abs(image - truth), 0).astype(np.float32)
        mse = float(np.square(off[counts]).mean()) if counts.any() else 0.0
        size = f"{truth.shape[1]} x {truth.shape[0]}"
        words = f"{chosen.view.name}, {size}: PSNR {decibels(mse):.2f} dB"
        likeness = ssim(truth, image)
        if likeness is not None:
            words += f", SSIM {likeness:.3f}"
        yield ImageGrid(
            np.stack([truth, image, (4 * off).clip(0, 1)]),
            columns=3,
            captions=("photograph", "rendered", "difference x 4"),
            caption=words,
        )

    # ---- one ray ----

    @probe(
        Curves,
        title="Along a ray",
        refresh=1.0,
        photo=PHOTO,
        pixel=PIXEL,
        colours=Toggle(False, text="Whether the colour at each sample is drawn too."),
    )
    def ray(self, photo: str, pixel: tuple[Place, ...], colours: bool) -> Curves:
        """What the ray of one pixel meets: density σ, opacity α of each sample, transmittance T that is left before
        it, and the weight T α with which its colour counts."""
        _, _, origin, direction = self._pixel_ray(photo, pixel)
        s = self.ray_samples(origin, direction)
        if not len(s.t):
            empty = torch.zeros(2, device=self.device)
            s = RaySamples(torch.arange(2.0), empty, empty, empty, empty + 1, empty, torch.zeros(2, 3))
        highest = float(s.sigma.max())
        lines = {
            "σ, as a share of its highest": array(s.sigma / max(highest, 1e-12)),
            "α": array(s.alpha),
            "T": array(s.transmittance),
            "weight": array(s.weight),
        }
        if colours:
            lines |= {name: array(s.rgb[:, i]) for i, name in enumerate(("red", "green", "blue"))}
        return Curves(array(s.t), lines, x_name="distance t along the ray", y_name=f"highest σ {highest:.3g}")

    @probe(Scene, title="Ray in space", refresh=1.0, photo=PHOTO, pixel=PIXEL)
    def ray_scene(self, photo: str, pixel: tuple[Place, ...]) -> Scene:
        """The ray of one pixel among the cameras, its samples coloured by how much they count. Drag the pixel over the
        photograph and the ray follows."""
        chosen, place, origin, direction = self._pixel_ray(photo, pixel)
        s = self.ray_samples(origin, direction)
        depth = things_of.LARGER * self._depth()
        sheet = self._keep("sheet", (photo,), lambda: things_of.photo_sheet(chosen, depth))
        colour = (s.weight[:, None] * s.rgb).sum(0) + (1 - s.weight.sum()).clamp(min=0) * self.ground
        at = float((s.weight * s.t).sum() / s.weight.sum().clamp(min=1e-6))
        left = float((1 - s.weight.sum()).clamp(0, 1))
        return Scene(
            (
                sheet,
                things_of.pixel_handle(chosen, depth, place, "pixel"),
                *things_of.ray_things(array(origin), array(direction), array(s.t), array(s.weight)),
                *self._frustums(),
                *self._frame(),
            ),
            caption=f"{chosen.view.name}: the ray's colour is {', '.join(f'{float(c):.2f}' for c in colour)}",
            readings={"samples": float(len(s.t)), "mean distance": at, "light that passes": left},
        )

    # ---- the surface, and what stands around ----

    @probe(
        Scene,
        title="Surface",
        level=Number(10.0, 0.1, 1000.0, log=True, text="The density at which the surface is taken."),
        resolution=Number(64, 16, 256, log=True, text="Cells along the longest side of the bounds."),
        cameras=Toggle(False, text="Whether the cameras stand around it."),
    )
    def surface(self, level: float, resolution: int, cameras: bool) -> Iterator[float | Scene]:
        """Where the density reaches a level, by marching cubes, in the colours that rays straight onto it see."""
        low, high = array(self.bounds)
        around: tuple[Thing, ...] = (*self._frustums(), *self._frame()) if cameras else self._frame()

        def value(points: Floats) -> Floats:
            return -array(self.density(torch.from_numpy(np.ascontiguousarray(points)).to(self.device)))

        cells = [min(resolution, DRAG_CELLS if self.dragging else COARSE_CELLS)]
        if not self.dragging and resolution > COARSE_CELLS:
            cells.append(resolution)
        for i, n in enumerate(cells):
            found = yield from extract(value, low, high, n, level=-level)
            thing = yield from self._coloured_mesh(found, 2 * float((high - low).max()) / n)
            nothing = () if len(found.faces) else (f"No density of {level:g} yet: train further, or lower the level.",)
            yield Scene(
                (thing, *around),
                caption=f"σ = {level:g}, {n} cells along the longest side",
                readings={"triangles": float(len(found.faces))},
                notices=nothing,
                progress=1.0 if i == len(cells) - 1 else 0.2,
            )

    def _coloured_mesh(self, found: Surface, away: float) -> Generator[float, None, Mesh]:
        """The surface with the colours that rays see which come straight down onto it from ``away``."""
        rgb = None
        if len(found.vertices):
            out = torch.from_numpy(found.normals).to(self.device)
            places = torch.from_numpy(found.vertices).to(self.device)
            seen = yield from self._shoot(places + away * out, -out, torch.full((3,), 0.5, device=self.device))
            rgb = np.round(array(seen.rgb).clip(0, 1) * 255).astype(np.uint8)
        return Mesh(name="surface", vertices=found.vertices, faces=found.faces, normals=found.normals, rgb=rgb)

    @probe(Scene, title="Cameras", points=Toggle(True, text="Whether the capture's sparse points are shown."))
    def cameras(self, points: bool) -> Scene:
        """Where the photographs were taken: blue ones are learned from, orange ones are held out. A click on one looks
        through it."""
        photos = self.source.photos
        capture = self.source.source.capture
        sparse = self._keep("points", (), lambda: things_of.sparse_points(self.source.source)) if points else ()
        readings = {"learned from": float(len(photos["train"])), "held out": float(len(photos["held_out"]))}
        if capture.points is not None:
            readings["sparse points"] = float(len(capture.points))
        return Scene(
            (*self._frustums(), *sparse, *self._frame()),
            caption=capture.title,
            readings=readings,
            notices=self.source.source.notices,
        )


def ssim(a: Floats, b: Floats) -> float | None:
    """The structural similarity of two pictures (H, W, 3) in 0..1 (Wang et al. 2004), by scikit-image with its window
    of 7 pixels; None where a side is shorter than 7."""
    if min(a.shape[:2]) < 7:
        return None
    from skimage.metrics import structural_similarity  # a quarter of a second, for this alone

    return float(structural_similarity(a, b, channel_axis=2, data_range=1.0))
