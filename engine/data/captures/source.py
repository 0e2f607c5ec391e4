"""A loaded capture: its photographs as pixels beside their cameras. Knows the readers and the pictures, no network.

Photographs are averaged down by a whole number of pixels where that is wished; the cameras follow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.data.captures.camera import Intrinsics
from engine.data.captures.capture import Capture, View, normalised
from engine.data.captures.files import read_mask
from engine.data.captures.reading import read_capture
from engine.data.picture import read_photo
from engine.data.source import DataError, DataSet, Part, Request, shown
from engine.study import DataOption

SHRINKS = ("1", "2", "4", "8")
"""By how much photographs can be made smaller."""
MOST_MEMORY = 4 * 2**30
"""Bytes of pixels that are held at most; more must be shrunk."""
THUMB = 96
"""Longer side of the pictures that the window picks from."""
DEFAULTS = {"shrink": "1", "orientation": "up", "fit": "cameras"}


@dataclass(frozen=True, eq=False)
class Photo:
    """One photograph as it is learned from: ``pixels`` uint8 (H, W, 3), or (H, W, 4) with alpha, and ``mask`` (H, W),
    0 where it does not count, or None. The view's camera has the pictures' size."""

    view: View
    pixels: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class CaptureSource:
    """A capture, normalised as it was wished, and its photographs in the order of its views."""

    key: str
    title: str
    text: str
    capture: Capture
    photos: tuple[Photo, ...]
    notices: tuple[str, ...] = ()
    label_names: tuple[str, ...] = ()

    def part(self, split: str) -> tuple[Photo, ...]:
        return tuple(photo for photo in self.photos if photo.view.split == split)

    @property
    def train(self) -> Part:
        """Thumbnails of the views that are trained on, for the window."""
        return thumbnails(self.part("train"))

    @property
    def held_out(self) -> Part:
        """Thumbnails of the views that are held out."""
        return thumbnails(self.part("held_out"))


def source_of(
    key: str, title: str, text: str, capture: Capture, request: Request, notices: tuple[str, ...] = ()
) -> CaptureSource:
    """The photographs of a capture that is in its file's world; DataError or Cancelled."""
    wishes = {**DEFAULTS, **request.wishes}
    shrink = int(wishes["shrink"])
    capture = normalised(capture, wishes["orientation"], wishes["fit"])
    views = [replace(view, camera=_smaller(view, shrink)) for view in capture.views]
    needed = sum(view.camera.width * view.camera.height * 4 for view in views)
    if needed > MOST_MEMORY:
        raise DataError(
            f"{title}: its photographs need {needed / 2**30:.1f} GB of memory; set shrink to more than {shrink}"
        )
    photos = []
    for i, (view, full) in enumerate(zip(views, capture.views, strict=True)):
        request.report(i / len(views), f"reading photographs, {i:,} of {len(views):,}")
        photos.append(_photo(view, full))
    capture = replace(capture, views=tuple(views))
    pixels = sum(photo.pixels.nbytes for photo in photos)
    sizes = sorted({(view.camera.width, view.camera.height) for view in views})
    size = " and ".join(f"{w} x {h}" for w, h in sizes[:2]) + (" and others" if len(sizes) > 2 else "")
    held = len(capture.part("held_out"))
    said = f"{text} {len(views)} photographs of {size} pixels ({pixels / 1e6:.0f} MB), {held} of them held out."
    return CaptureSource(key, title, said, capture, tuple(photos), (*capture.notices, *notices))


def _smaller(view: View, shrink: int) -> Intrinsics:
    camera = view.camera
    return camera.scaled(max(1, camera.width // shrink), max(1, camera.height // shrink))


def _photo(view: View, full: View) -> Photo:
    size = view.camera.width, view.camera.height
    if view.pixels is not None:
        assert size == (full.camera.width, full.camera.height)
        return Photo(view, view.pixels)
    assert view.path is not None
    pixels = read_photo(view.path)
    if pixels.shape[1::-1] != (full.camera.width, full.camera.height):
        there, said = pixels.shape[1::-1], (full.camera.width, full.camera.height)
        if abs(there[0] / there[1] - said[0] / said[1]) > 0.02 * said[0] / said[1]:
            raise DataError(
                f"{view.name}: has {there[0]} x {there[1]} pixels, its camera says {said[0]} x {said[1]}, which is "
                "another shape; were the photographs turned or cut?"
            )
    if pixels.shape[1::-1] != size:
        pixels = read_photo(view.path, size)
    return Photo(view, pixels, None if view.mask is None else read_mask(view.mask, size))


def thumbnails(photos: tuple[Photo, ...]) -> Part:
    """Small pictures of photographs, all in one frame."""
    from PIL import Image

    frames = np.full((len(photos), THUMB, THUMB, 3), 128, np.uint8)
    for i, photo in enumerate(photos):
        picture = Image.fromarray(photo.pixels)
        if picture.mode == "RGBA":
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
        picture.thumbnail((THUMB, THUMB), Image.Resampling.BOX)
        w, h = picture.size
        top, left = (THUMB - h) // 2, (THUMB - w) // 2
        frames[i, top : top + h, left : left + w] = np.asarray(picture)
    return Part(frames, np.zeros(len(photos), np.int64), tuple(photo.view.name for photo in photos))


# ---- the person's own -----------------------------------------------------------------------------------------------


def _option(cache: Path) -> DataOption:
    return DataOption(
        key="capture",
        title="A folder of photographs with cameras…",
        origin="yours: a COLMAP model, or transforms.json of instant-ngp, nerfstudio or Blender",
        size="2 or more photographs of one scene",
        licence="unknown",
        needs_folder=True,
        kind="captures",
    )


def _load(request: Request) -> CaptureSource:
    if not request.folder:
        raise DataError("no folder given: choose a folder of photographs with cameras")
    capture = read_capture(request.folder)
    if len(capture.views) < 2:
        raise DataError(f"{shown(capture.title)}: {len(capture.views)} photograph; a scene needs 2 or more")
    return source_of("capture", capture.title, "Photographs of yours with their cameras.", capture, request)


SETS = (DataSet("capture", _option, _load),)
