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

from engine.crop import Crop
from engine.geometry.isosurface import Surface, extract
from engine.nn.generator.generator import weights_state
from engine.nn.looking import things as things_of
from engine.nn.looking import truth
from engine.nn.looking.common import decibels
from engine.nn.looking.compared import ERROR, NO_LEGEND, USUAL, Compared
from engine.nn.looking.crop import planes_array, region, trimmed
from engine.nn.looking.likeness import ssim
from engine.nn.looking.live_view import STILL
from engine.nn.looking.pictures import FULL_COST, MODES, RaySamples, Rendered, distances
from engine.nn.pictures import array
from engine.payloads import Curves, ImageGrid
from engine.probes import Camera, Choice, Item, Number, Place, Places, Toggle, probe, size_of
from engine.scene import Field, Mesh, Points, Render, Scene, Thing

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

__all__ = ["RadianceProbes", "RaySamples", "Rendered", "decibels", "ssim"]

DRAG_CELLS, COARSE_CELLS = 20, 32
"""Cells along the longest side of a surface while a hand moves, and of the first of two."""
DRAG_POINTS, COVERED = 2000, 0.5
"""Rays of a point cloud while a hand moves; what of a pixel the field has to cover for its ray to end in it."""
NOTHING = Surface(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32), 0, 0.0, 0.0)
UNTOLD, WIDEST = 160, 1280
"""Pixels across the view where neither a person nor a window says how many, and where the window does at most."""
CAMERA = Camera("", text="Where the picture is taken from; at first where the first held-out photograph was.")
CROP = Crop(text="What is outside the clipping box is left out: drag it in a picture, from the scissors above it.")
COST_LEGEND = "network calls", tuple((math.log1p(n) / math.log1p(FULL_COST), f"{n}") for n in (0, 3, 15, 63, 255, 1023))


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


class RadianceProbes(Compared):
    """The probes; what a study gives for them is said in :class:`engine.nn.looking.common.RadianceStudy`."""

    @probe(
        Scene,
        title="View",
        refresh=1.0,
        camera=CAMERA,
        mode=Choice((*MODES, ERROR), text="What is shown of each pixel; cost is how often the network was asked, "
                    "error how far it is from the photograph at whose place the view stands."),
        width=Number(0, 0, 1920, text="Pixels across the picture once nothing moves; 0: as many as the window has, if "
                     "a picture of them takes seconds only."),
        passes=Number(2, 1, 32, log=True, text="Rays through each pixel, one after another, for smooth edges."),
        cameras=Toggle(False, text="Whether the cameras stand in the picture; a click on one looks through it."),
        photograph=Toggle(True, text="Whether the photograph lies over a part of the picture, up to a line that can be "
                          "dragged, where the view stands at its place."),
        crop=CROP,
        whole=Toggle(False, text="Whether a picture is finished though the network learns meanwhile, as those of a "
                     "film are."),
    )  # fmt: skip
    def view(
        self,
        camera: str,
        mode: str,
        width: int,
        passes: int,
        cameras: bool,
        photograph: bool,
        crop: str,
        whole: bool,
    ) -> Iterator[float | Scene]:
        """The field as the view's camera sees it: coarse while a hand moves or the network learns, finer and finer
        at rest."""
        camera = self.stand(camera)
        told = size_of(camera)
        w, h = told or USUAL
        across = width or (min(w, WIDEST) if told else UNTOLD)
        full = across, max(1, min(2 * across, round(across * h / w)))
        around: tuple[Thing, ...] = (*self._frustums(), *self._frame()) if cameras else ()
        planes = planes_array(crop)
        photo = truth.standing(camera, (*self.source.photos["held_out"], *self.source.photos["train"]))
        laid = photo is not None and photograph and mode != ERROR and not whole
        over = self._overlaid(photo, camera, h if told else full[1]) if photo is not None and laid else None
        wanted = "RGB" if mode == ERROR else mode
        for part in self._live_view().shots(
            *full,
            self._renderer(camera, wanted, planes),
            dragging=self.dragging,
            version=(lambda: 0) if whole else (lambda: weights_state(self)),
            passes=passes,
            still=math.inf if width or whole else STILL,
        ):
            if isinstance(part, float):
                yield part
                continue
            words = f"{mode}, {part.size[0]} x {part.size[1]} pixels, {part.rays} of {passes} rays each"
            field = Field(
                name="field",
                image=part.seen.image,
                alpha=part.seen.alpha,
                depth=part.seen.depth,
                camera=camera,
                truth=over,
                legend=COST_LEGEND if mode == "cost" else NO_LEGEND,
                planes=planes,
            )
            if photo is not None and wanted == "RGB":
                field, figures = self._held_against(field, photo, mode, part.size == full and not self.dragging)
                words = f"{photo.view.name}: {figures}; {words}"
            elif mode == ERROR:
                words = (
                    "No photograph was taken from here: switch the cameras on and click one, then its error is shown"
                )
            yield Scene(
                (field, *around),
                caption=words,
                readings={"network calls per ray": part.seen.cost},
                progress=part.progress,
                camera_control="camera",
                crop_control="crop",
                whole_control="whole",
                world=self._world,
            )

    @probe(
        Render,
        title="Picture",
        camera=CAMERA,
        mode=Choice(MODES, text="What is shown of each pixel; cost is how often the network was asked for it."),
        width=Number(160, 16, 1920, log=True, text="The picture's width in pixels."),
        height=Number(120, 16, 1080, log=True, text="The picture's height in pixels."),
        crop=CROP,
    )
    def render(self, camera: str, mode: str, width: int, height: int, crop: str) -> Iterator[float | Render]:
        """The field as one camera sees it, on white where the photographs have a transparent ground."""
        camera = self.stand(camera)
        width, height = self._budgeted(width, height) if self.dragging else (width, height)
        seen = yield from self._renderer(camera, mode, planes_array(crop))(width, height)
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
        origins, directions, shown, counts = self._photo_rays(chosen, shrink)
        seen = yield from self._shoot(origins, directions, self.ground)
        image = array(seen.rgb).clip(0, 1).reshape(shown.shape)
        off = np.where(counts[..., None], np.abs(image - shown), 0).astype(np.float32)
        mse = float(np.square(off[counts]).mean()) if counts.any() else 0.0
        size = f"{shown.shape[1]} x {shown.shape[0]}"
        words = f"{chosen.view.name}, {size}: PSNR {decibels(mse):.2f} dB"
        likeness = ssim(shown, image)
        if likeness is not None:
            words += f", SSIM {likeness:.3f}"
        yield ImageGrid(
            np.stack([shown, image, (4 * off).clip(0, 1)]),
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
        resolution=Number(64, 16, 256, log=True, text="Cells along the longest side of the bounds, or of the crop."),
        cameras=Toggle(False, text="Whether the cameras stand around it."),
        crop=CROP,
    )
    def surface(self, level: float, resolution: int, cameras: bool, crop: str) -> Iterator[float | Scene]:
        """Where the density reaches a level, by marching cubes, in the colours that rays straight onto it see. Saved as
        GLB or PLY it stands where the photographs' own cameras have it."""
        planes = planes_array(crop)
        around: tuple[Thing, ...] = (*self._frustums(), *self._frame()) if cameras else self._frame(planes)
        box = region(planes, *array(self.bounds))

        def value(points: Floats) -> Floats:
            return -array(self.density(torch.from_numpy(np.ascontiguousarray(points)).to(self.device)))

        cells = [min(resolution, DRAG_CELLS if self.dragging else COARSE_CELLS)]
        if not self.dragging and resolution > COARSE_CELLS:
            cells.append(resolution)
        for i, n in enumerate(cells):
            found = NOTHING
            if box is not None:
                found = trimmed((yield from extract(value, *box, n, level=-level)), planes)
            size = float(array(self.bounds[1] - self.bounds[0]).max())
            thing = yield from self._coloured_mesh(found, 2 * size / n, planes)
            yield Scene(
                (thing, *around),
                caption=f"σ = {level:g}, {n} cells along the longest side",
                readings={"triangles": float(len(found.faces))},
                notices=self._nothing(len(found.faces), box is not None, f"No density of {level:g} yet"),
                progress=1.0 if i == len(cells) - 1 else 0.2,
                crop_control="crop",
                world=self._world,
            )

    def _coloured_mesh(self, found: Surface, away: float, planes: Doubles) -> Generator[float, None, Mesh]:
        """The surface with the colours that rays see which come straight down onto it from ``away``."""
        rgb = None
        if len(found.vertices):
            out = torch.from_numpy(found.normals).to(self.device)
            places = torch.from_numpy(found.vertices).to(self.device)
            seen = yield from self._shoot(places + away * out, -out, torch.full((3,), 0.5, device=self.device), planes)
            rgb = np.round(array(seen.rgb).clip(0, 1) * 255).astype(np.uint8)
        return Mesh(name="surface", vertices=found.vertices, faces=found.faces, normals=found.normals, rgb=rgb)

    @probe(
        Scene,
        title="Point cloud",
        count=Number(20_000, 100, 1_000_000, log=True, text="Pixels of the photographs whose rays are followed."),
        level=Number(1.0, 0.0, 1000.0, text="The density that there has to be where a ray ends on average."),
        cameras=Toggle(False, text="Whether the cameras stand around it."),
        crop=CROP,
    )
    def cloud(self, count: int, level: float, cameras: bool, crop: str) -> Iterator[float | Scene]:
        """Where rays through pixels of the photographs end, in the colours that they see. Saved as PLY or GLB it stands
        where the photographs' own cameras have it."""
        planes = planes_array(crop)
        around: tuple[Thing, ...] = (*self._frustums(), *self._frame()) if cameras else self._frame(planes)
        total = self.source.train.count
        count = min(count, DRAG_POINTS if self.dragging else count, total)
        pick = torch.from_numpy(np.sort(np.random.Generator(np.random.PCG64(0)).choice(total, count, replace=False)))
        rays = self.source.train.rays(pick.to(self.device))
        black = torch.zeros(3, device=self.device)
        seen = yield from self._shoot(rays.origins, rays.directions, black, planes)
        places = rays.origins + distances(seen)[:, None] * rays.directions
        keep = (seen.alpha > COVERED).nonzero()[:, 0]
        keep = keep[self.density(places[keep]) >= level]  # the mean of two surfaces lies on neither
        rgb = (seen.rgb[keep] / seen.alpha[keep, None]).clamp(0, 1)
        points = Points(
            name="points",
            xyz=array(places[keep]),
            rgb=np.round(array(rgb) * 255).astype(np.uint8),
            normals=array(self.normals(places[keep])),
            size=2.0,
        )
        yield Scene(
            (points, *around),
            caption=f"{len(keep):,} of {count:,} rays end where the density is {level:g} or more",
            readings={"points": float(len(keep))},
            notices=self._nothing(len(keep), True, "No ray of these ends in the field yet"),
            crop_control="crop",
            world=self._world,
        )

    def _nothing(self, found: int, room: bool, reason: str) -> tuple[str, ...]:
        """What is said where nothing was found."""
        if not room:
            return ("The crop leaves nothing of the bounds: choose No clipping under the scissors, or move the box.",)
        return () if found else (f"{reason}: train further, lower the level, or widen the crop.",)

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
            world=self._world,
        )
