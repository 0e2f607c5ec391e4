"""What the probes of a radiance field are made of: the rays that a study sends out, the ground, photographs as rays.

Knows no network, no sampling of rays and no loss; the probes themselves are in :mod:`engine.nn.looking.probes`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.captures.capture import View
from engine.data.captures.source import Photo
from engine.data.rays import CaptureRays, Rays
from engine.nn.generator.generator import weights_state
from engine.nn.looking import things as things_of
from engine.nn.looking.crop import cut
from engine.nn.looking.likeness import WINDOW, window_pixels, window_ssim
from engine.nn.looking.live_view import LiveView, Seen
from engine.nn.looking.pictures import RaySamples, Rendered, distances, joined, shades
from engine.nn.looking.truth import shrunk
from engine.nn.pictures import array
from engine.params import BadValue
from engine.probes import Place, camera_of
from engine.render.raster import Camera
from engine.scene import Thing
from engine.study import Study

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

AT_ONCE = 2048
"""Rays between two places where an answer can be given up, where a study knows no better."""
DRAG_SECONDS = 0.04
"""How long a picture may take while a hand moves."""
FIRST_DRAG_RAYS = 600
"""Rays of the first picture while a hand moves, when it is not known yet how long a ray takes."""
EACH = 50
"""Held-out pixels for each of which there is a window whose similarity is measured: about as many rays again."""
LEAST_WIDTH = 12
SLOPE = 8e-3
"""Distance over which the density's slope is measured, as a share of the bounds."""
HALF_SIDE = 2.0
"""Half the side of the bounds where nobody says where the scene lies: a capture is fitted so that its farthest camera
stands 2 from the middle."""


def decibels(mse: float) -> float:
    """The peak signal-to-noise ratio in dB of a mean squared error of colours in 0..1; 100 at most."""
    return -10 * math.log10(max(mse, 1e-10))


class RadianceStudy(Study):
    """Base of studies whose model is a radiance field; a study gives the four methods that raise here or have a
    default, and its data are captures."""

    source: CaptureRays
    _ray_seconds: float | None = None
    _live: tuple[int, LiveView] | None = None
    _kept: dict[str, Any] | None = None
    _planes: Doubles | None = None

    # ---- what a study gives ----

    def render_rays(self, origins: Tensor, directions: Tensor, ground: Tensor) -> Rendered:
        """What rays from ``origins`` (R, 3) in unit ``directions`` (R, 3) see over a ``ground`` (3,); any R."""
        raise NotImplementedError

    @property
    def rays_at_once(self) -> int:
        """Rays between two places where an answer can be given up: what takes some hundredths of a second."""
        return AT_ONCE

    def ray_samples(self, origin: Tensor, direction: Tensor) -> RaySamples:
        """The samples of one ray (3,), (3,) as a picture would take them; none where it misses the bounds."""
        raise NotImplementedError

    def density(self, points: Tensor) -> Tensor:
        """Densities (N,) >= 0 per unit of length at ``points`` (N, 3)."""
        raise NotImplementedError

    @property
    def bounds(self) -> Tensor:
        """(2, 3) the box that the field fills: the capture's own, else a cube round what the cameras look at."""
        box = self.source.box
        if box is None:
            box = np.array([[-HALF_SIDE] * 3, [HALF_SIDE] * 3])
        return torch.tensor(np.asarray(box), dtype=torch.float32, device=self.device)

    def within_crop(self, origins: Tensor, directions: Tensor, near: Tensor, far: Tensor) -> tuple[Tensor, Tensor]:
        """What a picture's crop leaves of rays (R, 3) between ``near`` and ``far`` (R,), 0 and 0 where nothing: a study
        asks for it where it finds out where its rays begin and end. While it learns nothing is cropped."""
        return (near, far) if self._planes is None else cut(self._planes, origins, directions, near, far)

    # ---- the ground, and the held-out figures ----

    @property
    def transparent(self) -> bool:
        """Whether the photographs have alpha, and hence any ground."""
        return all(photo.pixels.shape[-1] == 4 for photo in self.source.photos["train"])

    @property
    def ground(self) -> Tensor:
        """The ground (3,) of held-out figures and pictures: white behind photographs with alpha, else black."""
        return torch.full((3,), float(self.transparent), device=self.device)

    def training_ground(self) -> Tensor:
        """The ground (3,) of one step: any colour behind photographs with alpha, so that alpha has to be learned."""
        if self.transparent:
            return torch.rand(3).to(self.device)
        return torch.zeros(3, device=self.device)

    def evaluate(self, batch: Rays) -> dict[str, Tensor]:
        seen = self.render_rays(batch.origins, batch.directions, self.ground)
        values = {"mse": (seen.rgb - batch.over(self.ground)).square().mean(1)}
        photos = self.source.photos["held_out"] or self.source.photos["train"]
        if all(min(photo.pixels.shape[:2]) >= WINDOW for photo in photos):
            alike = self._alike(photos, batch.view[::EACH], batch.directions[::EACH])
            values["ssim"] = alike.repeat_interleave(EACH)[: len(batch)]
        return values

    def _alike(self, photos: Sequence[Photo], view: Tensor, directions: Tensor) -> Tensor:
        """The structural similarity (K,) of windows about the pixels of rays (K, 3) of photographs ``view`` (K,)."""
        truths, counts, origins, ways = [], [], [], []
        for number, way in zip(view.tolist(), directions.double().cpu().numpy(), strict=True):
            photo = photos[number]
            camera, pose = photo.view.camera, photo.view.pose
            place = torch.from_numpy(camera.project((way @ pose[:3, :3])[None])[0]).nan_to_num().long()
            pick = window_pixels(place[:1], place[1:], camera.width, camera.height)[0]
            own = self.source.directions(camera)[pick.to(self.device)].double().cpu().numpy()
            shown = np.where(np.isfinite(own), own, [0.0, 0.0, -1.0]) @ pose[:3, :3].T  # a lens shows no more there
            ways.append(shown / np.linalg.norm(shown, axis=1, keepdims=True))
            origins.append(np.broadcast_to(photo.view.centre, shown.shape))
            pixels = photo.pixels.reshape(-1, photo.pixels.shape[-1])[pick.numpy()].astype(np.float32) / np.float32(255)
            alpha = pixels[:, 3:] if pixels.shape[1] == 4 else np.ones_like(pixels[:, :1])
            truths.append(pixels[:, :3] * alpha + (1 - alpha) * array(self.ground))
            counts.append(np.ones(len(pick), bool) if photo.mask is None else photo.mask.ravel()[pick.numpy()] > 127)
        o, d = (torch.tensor(np.concatenate(x), dtype=torch.float32, device=self.device) for x in (origins, ways))
        truth = torch.tensor(np.stack(truths), dtype=torch.float32, device=self.device)
        seen = self.render_rays(o, d, self.ground).rgb.clamp(0, 1).view(truth.shape)
        counted = torch.tensor(np.stack(counts), device=self.device)[..., None]
        return window_ssim(truth, torch.where(counted, seen, truth))

    def figures(self, means: dict[str, float]) -> dict[str, float]:
        return {**means, **({"psnr": decibels(means["mse"])} if "mse" in means else {})}

    # ---- pictures ----

    def _shoot(
        self, origins: Tensor, directions: Tensor, ground: Tensor, planes: Doubles | None = None
    ) -> Generator[float, None, Rendered]:
        """:meth:`render_rays` within ``planes`` with progress 0..1 in between; it also learns how long a ray takes."""
        parts: list[Rendered] = []
        begun, size = time.perf_counter(), self.rays_at_once
        for at in range(0, len(origins), size):
            if at:
                spent = time.perf_counter()
                yield at / len(origins)
                begun += time.perf_counter() - spent  # what others did meanwhile is not the rays' time
            self._planes = planes  # not over a yield: the study learns meanwhile
            try:
                parts.append(self.render_rays(origins[at : at + size], directions[at : at + size], ground))
            finally:
                self._planes = None
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self._ray_seconds = (time.perf_counter() - begun) / max(1, len(origins))
        return joined(parts)

    def normals(self, points: Tensor) -> Tensor:
        """Unit normals (N, 3) of the density at ``points`` (N, 3): against its slope, by central differences."""
        step = SLOPE * float((self.bounds[1] - self.bounds[0]).max())
        shifts = step * torch.eye(3, device=points.device)
        sides = [self.density(points + shift) - self.density(points - shift) for shift in shifts]
        return torch.nn.functional.normalize(-torch.stack(sides, 1), dim=1)

    def _renderer(
        self, camera: str, mode: str, planes: Doubles | None = None
    ) -> Callable[..., Generator[float, None, Seen]]:
        """What takes pictures of what is within ``planes`` with ``camera`` in a mode: (width, height, where in its
        pixel each ray goes) -> Seen."""
        eye, ways, forward = placed(camera)
        low, high = array(self.bounds)
        reach = (
            float(np.linalg.norm(np.clip(eye, low, high) - eye)),
            float(np.linalg.norm(np.maximum(np.abs(eye - low), np.abs(high - eye)))),
        )
        black = torch.zeros(3, device=self.device)

        def render(width: int, height: int, shift: tuple[float, float] = (0.5, 0.5)) -> Generator[float, None, Seen]:
            out = ways(width, height, shift)
            directions = torch.from_numpy(out.astype(np.float32)).to(self.device)
            origins = torch.tensor(eye, dtype=torch.float32, device=self.device).expand_as(directions)
            seen = yield from self._shoot(origins, directions, black, planes)
            normal = seen.normal
            if mode == "normals" and normal is None:
                normal = self.normals(origins + distances(seen)[:, None] * directions)
            colour, alpha, far = shades(mode, seen, normal, reach)
            ahead = array(far) * (out @ forward).astype(np.float32)
            return Seen(
                array(colour).reshape(height, width, 3),
                array(alpha).reshape(height, width),
                np.where(array(alpha) > 0, ahead, 0).astype(np.float32).reshape(height, width),
                float(seen.cost.float().mean()),
            )

        return render

    def _live_view(self) -> LiveView:
        """What sizes the pictures of the view. It remembers what a pixel took, for while a hand moves or the network
        learns; of the same weights at rest it makes the same pictures each time."""
        state = weights_state(self)
        live = self._live[1] if self._live is not None and (self.dragging or self._live[0] != state) else LiveView()
        self._live = state, live
        return live

    def _budgeted(self, width: int, height: int) -> tuple[int, int]:
        """The size of a picture while a hand moves: its sides follow the square root of what the time is enough for."""
        rays = FIRST_DRAG_RAYS if self._ray_seconds is None else DRAG_SECONDS / max(self._ray_seconds, 1e-9)
        share = min(1.0, math.sqrt(rays / (width * height)))
        small = max(min(width, LEAST_WIDTH), round(width * share))
        return small, max(1, round(small * height / width))

    # ---- photographs as rays ----

    def photo(self, reference: str) -> Photo:
        """The photograph that ``train:3`` or ``held_out:0`` names; of a capture with nothing held out, those that are
        learned from stand in. DataError where there is none."""
        if not self.source.photos["held_out"]:
            reference = reference.replace("held_out:", "train:")
        return self.source.photo(reference)

    def _photo_rays(self, photo: Photo, shrink: int) -> tuple[Tensor, Tensor, Floats, NDArray[np.bool_]]:
        """Origins and directions (R, 3), the photograph's colours (H, W, 3) on the ground and where it counts (H, W),
        with ``shrink`` x ``shrink`` pixels averaged to one."""
        small = shrunk(photo.view.camera, shrink)
        w, h = small.width, small.height
        own = small.directions(small.centres())
        good = np.isfinite(own[:, 0])
        own = np.where(good[:, None], own, [0.0, 0.0, -1.0]) @ photo.view.pose[:3, :3].T
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        directions = torch.tensor(own, dtype=torch.float32, device=self.device)
        origins = torch.tensor(photo.view.centre, dtype=torch.float32, device=self.device).expand_as(directions)
        pixels: Floats = photo.pixels.astype(np.float32) / np.float32(255)
        colour = pixels[..., :3]
        if pixels.shape[-1] == 4:
            colour = colour * pixels[..., 3:] + (1 - pixels[..., 3:]) * array(self.ground)
        counts = good.reshape(h, w)
        if photo.mask is not None:
            counts = counts & (_averaged(photo.mask[..., None].astype(np.float32), w, h)[..., 0] > 127)
        return origins, directions, _averaged(colour, w, h), counts

    def _pixel_ray(self, photo: str, pixel: tuple[Place, ...]) -> tuple[Photo, tuple[float, float], Tensor, Tensor]:
        """The photograph, the pixel as (u, v) within it, and the ray's origin and unit direction, (3,) each."""
        chosen = self.photo(photo)
        u, v = (min(max(value, 0.0), 1.0) for value in pixel[0][:2])
        camera = chosen.view.camera
        own = camera.directions(np.array([[u * camera.width, v * camera.height]]))[0]
        if not np.isfinite(own).all():
            raise BadValue("pixel: the lens shows nothing there; choose one nearer to the middle")
        way = chosen.view.pose[:3, :3] @ own
        way /= np.linalg.norm(way)
        place, direction = (torch.tensor(x, dtype=torch.float32, device=self.device) for x in (chosen.view.centre, way))
        return chosen, (u, v), place, direction

    # ---- what stands around ----

    def _keep(self, name: str, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """What ``make`` gave for ``key`` the last time: the very same arrays are not sent to the screen again."""
        kept = self._kept = {} if self._kept is None else self._kept
        if name not in kept or kept[name][0] != key:
            kept[name] = key, make()
        return kept[name][1]

    def _depth(self) -> float:
        return things_of.frustum_depth([photo.view for photo in self.source.source.photos])

    def _frustums(self) -> tuple[Thing, ...]:
        names = {"train": "learned from", "held_out": "held out"}

        def make() -> tuple[Thing, ...]:
            ahead = float(np.linalg.norm(array(self.bounds).mean(0) - self.source.source.capture.centres.mean(0))) + 1
            return tuple(
                things_of.frustums(photos, names[split], self._depth(), ahead)
                for split, photos in self.source.photos.items()
                if photos
            )

        made: tuple[Thing, ...] = self._keep("frustums", (), make)
        return made

    def _frame(self, planes: Doubles | None = None) -> tuple[Thing, ...]:
        """The edges of the bounds; none where the view's own box stands within them."""
        if planes is not None and len(planes):
            return ()
        return (self._keep("box", (), lambda: things_of.box_lines(array(self.bounds))),)

    def stand(self, camera: str) -> str:
        """A camera's text, of '' that of the first held-out photograph."""
        if camera:
            return camera
        view = (self.source.photos["held_out"] or self.source.photos["train"])[0].view
        return things_of.camera_text(view, self._ahead(view))

    def _ahead(self, view: View) -> float:
        """How far before a camera the middle of the bounds is, along its viewing direction."""
        middle = array(self.bounds).mean(0).astype(np.float64)
        return max(float((middle - view.centre) @ -view.pose[:3, 2]), 0.5)

    @property
    def _world(self) -> Doubles:
        """From the frame of the capture's own files to this one."""
        return self.source.source.capture.world

    def _home(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Where the camera stands at first: at the first held-out photograph, or the first of all."""
        photos = self.source.photos["held_out"] or self.source.photos["train"]
        view = photos[0].view
        eye, target = view.centre, view.centre - self._ahead(view) * view.pose[:3, 2]
        return (float(eye[0]), float(eye[1]), float(eye[2])), (float(target[0]), float(target[1]), float(target[2]))


def placed(camera: str) -> tuple[Doubles, Callable[[int, int, tuple[float, float]], Doubles], Doubles]:
    """The eye (3,) of a camera's text; what gives the unit directions (H * W, 3) of a picture's rays, row by row; and
    the viewing direction (3,)."""
    eye, target, up, fov = camera_of(camera)
    right, above, back = Camera(eye, target, up, fov).axes()
    tall = math.tan(math.radians(fov) / 2)

    def ways(width: int, height: int, shift: tuple[float, float]) -> Doubles:
        x = ((np.arange(width) + shift[0]) * 2 / width - 1) * (tall * width / height)
        y = (1 - (np.arange(height) + shift[1]) * 2 / height) * tall
        out = y[:, None, None] * above + x[None, :, None] * right - back
        return np.asarray((out / np.linalg.norm(out, axis=2, keepdims=True)).reshape(-1, 3))

    return np.array(eye), ways, -back


def _averaged(pixels: Floats, width: int, height: int) -> Floats:
    """Pixels (H, W, C) averaged to ``width`` x ``height`` by whole blocks; what is over at the ends is left out."""
    if pixels.shape[:2] == (height, width):
        return pixels
    rows, columns = pixels.shape[0] // height, pixels.shape[1] // width
    cut = pixels[: rows * height, : columns * width]
    return cut.reshape(height, rows, width, columns, -1).mean((1, 3), dtype=np.float32)
