"""``view``: files of the person's in three dimensions, in the window or as one picture without it.

A picture is drawn by the viewport's own canvas, off screen; where there is no OpenGL, by the engine's own drawing.
Knows no study; reads the files itself where no window is wanted.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.headless import FAULT, CommandError
from engine.scene import Thing

if TYPE_CHECKING:  # the window imports this module before it is on screen
    import numpy as np

    from widgets.viewport.camera import Camera

SIZE = (1280, 800)
LOOK_SECONDS = 0.5
"""How long a file is looked into before the window opens on it: a damaged head shows at once."""


@dataclass(frozen=True)
class Wish:
    """``camera`` as text, '' shows all; ``background`` r, g, b in 0..1, None is the theme's."""

    files: tuple[str, ...]
    size: tuple[int, int] | None = None
    camera: str = ""
    background: tuple[float, float, float] | None = None


def view(wish: Wish, screenshot: str = "") -> int:
    """The exit code; CommandError for a file that cannot be read or a camera that makes no sense."""
    from widgets.viewport.camera import from_text

    try:
        camera = from_text(wish.camera) if wish.camera else None
    except ValueError as e:
        raise CommandError(f"--{e}" if str(e).startswith("camera") else f"--camera: {e}") from None
    if screenshot:
        take_picture(wish, camera, Path(screenshot))
        return 0
    look_into(wish.files)
    from app.start import run_window

    return run_window(wish=wish)


def look_into(files: Sequence[str]) -> None:
    """Complains of files that are not there, of an unknown kind or damaged at their beginning."""
    from engine.formats.scene import SceneFileError, read

    for path in files:
        reading = read(path)
        end = time.monotonic() + LOOK_SECONDS
        try:
            while time.monotonic() < end:
                next(reading)
        except StopIteration:
            pass
        except SceneFileError as e:
            raise CommandError(str(e)) from None
        finally:
            reading.close()


def take_picture(wish: Wish, camera: Camera | None, out: Path) -> None:
    """Draws the files and writes a PNG picture; CommandError with the reason where that cannot be."""
    if out.suffix.lower() != ".png":
        raise CommandError(f"{out.name}: a screenshot is a .png file")
    if not out.absolute().parent.is_dir():
        raise CommandError(f"{out}: there is no such folder")
    width, height = wish.size or SIZE
    things, up = read_files(wish.files)
    seen = camera or whole_view(things, up, width / height)
    pixels = _by_opengl(things, up, seen, width, height, wish.background)
    if pixels is None:
        pixels = _by_hand(things, seen, width, height, wish.background)
    from PIL import Image

    try:
        Image.fromarray(pixels).save(out)
    except OSError as e:
        raise CommandError(f"{out}: cannot be written ({e.strerror})") from None
    sys.stdout.write(f"{out}: {width} x {height} pixels of {_words(things)}\n")


def read_files(files: Sequence[str]) -> tuple[tuple[Thing, ...], str]:
    """The things of all files under different names, and the axis that points up."""
    from engine.formats.scene import SceneFileError, named_apart, read_all, up_of
    from engine.formats.splats import stood_up

    try:
        things = [thing for path in files for thing in read_all(path)]
    except SceneFileError as e:
        raise CommandError(str(e)) from None
    named = (replace(t, name=name) for t, name in zip(things, named_apart(things), strict=True))
    up = up_of(files[0])
    return stood_up(tuple(named), up)[0], up


def whole_view(things: Sequence[Thing], up: str, aspect: float) -> Camera:
    """A camera that sees all of the things."""
    from engine.formats.scene_export import corners_of
    from widgets.viewport import camera as cam

    axis = (0.0, 1.0, 0.0) if up == "y" else (0.0, 0.0, 1.0)
    there = cam.Camera(eye=cam.to_world((3.0, -4.0, 2.4), axis), up=axis)
    return cam.framed(there, corners_of(things), aspect)


def _by_opengl(
    things: Sequence[Thing],
    up: str,
    camera: Camera,
    width: int,
    height: int,
    background: tuple[float, float, float] | None,
) -> np.ndarray | None:
    """uint8 (H, W, 3) as the viewport draws it; None where OpenGL cannot be used here."""
    import numpy as np

    from app.tour.screen import has_screen

    if not has_screen(os.environ, sys.platform):
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from app.start import make_app
    from engine.formats.scene_export import corners_of
    from widgets.viewport import camera as cam
    from widgets.viewport.canvas import Canvas
    from widgets.viewport.style import Style

    app = make_app()
    canvas = Canvas()
    canvas.resize(width, height)
    canvas.set_style(Style(background=_hex(background), grid=False, axes=False, up=up))
    canvas.set_things(things)
    corners = corners_of(things)
    middle, radius = np.asarray(camera.target), camera.distance
    if len(corners):
        middle = (corners.min(0) + corners.max(0)) / 2
        radius = max(float(np.linalg.norm(corners - middle, axis=1).max()), 1e-9)
    near, far = cam.near_far(camera, middle, radius * 1.01)
    canvas.set_camera(cam.view_matrix(camera), cam.projection_matrix(camera, width / height, near, far), camera.eye)
    try:
        pixels = canvas.render_image(width, height)
    except RuntimeError:
        return None
    finally:
        canvas.deleteLater()
        app.sendPostedEvents(None, 52)  # DeferredDelete: what is on the graphics card goes before the program ends
    return np.ascontiguousarray(pixels[..., :3])


def _by_hand(
    things: Sequence[Thing],
    camera: Camera,
    width: int,
    height: int,
    background: tuple[float, float, float] | None,
) -> np.ndarray:
    """uint8 (H, W, 3) drawn without OpenGL."""
    import numpy as np

    from engine.params import BadValue
    from engine.render.raster import Camera as Eye
    from engine.render.raster import render

    eye = Eye(camera.eye, camera.target, camera.up, camera.fov, camera.ortho)
    try:
        image = render(things, eye, width, height, background or (0.08, 0.09, 0.11))[0]
    except BadValue as e:
        raise CommandError(str(e)) from None
    except MemoryError:
        raise CommandError(f"a picture of {width} x {height} pixels does not fit into memory", FAULT) from None
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _hex(background: tuple[float, float, float] | None) -> str:
    return "gradient" if background is None else "#" + "".join(f"{round(255 * c):02x}" for c in background)


def _words(things: Sequence[Thing]) -> str:
    from engine.scene import Mesh, Points, Splats

    points = sum(len(t.xyz) for t in things if isinstance(t, Points))
    faces = sum(len(t.faces) for t in things if isinstance(t, Mesh))
    splats = sum(len(t.xyz) for t in things if isinstance(t, Splats))
    named = ((points, "points"), (faces, "triangles"), (splats, "splats"))
    counts = [f"{n:,} {word}" for n, word in named if n]
    return " and ".join(counts) or f"{len(things)} things"


def place_camera(viewport: Any, wish: Wish) -> None:
    """Puts the camera and background of ``wish`` into a viewport."""
    from widgets.viewport.camera import from_text

    if wish.camera:
        viewport.navigator.busy.emit(False)  # as after a gesture: another size of the window does not frame anew
        viewport.navigator.set_camera(from_text(wish.camera))
    if wish.background is not None:
        looks = viewport.tools.looks
        looks.changed.emit(replace(looks.style_now, background=_hex(wish.background)))
