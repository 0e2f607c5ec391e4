"""Payloads to files: .png .gif .mp4 .strip.png .npz .json, scenes to .ply .obj .glb .xyz, by the name's ending.

Runs on the engine's thread; knows no study.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine.formats.atomic import write_atomic
from engine.formats.planes_picture import draw_planes
from engine.formats.scene.common import SceneFileError
from engine.formats.scene_export import SCENE_WRITERS, picture_of, scene_arrays
from engine.payloads import Bars, Frames, ImageGrid, LatentMap, Moment, Payload, Plane, PlaneFrames, Planes, SeedPlane
from engine.scene import Render, Scene, SceneFrames

GAP, PANEL_GAP, STRIP_GAP = 1, 3, 6
"""Pixels between the pictures of a grid, the panels of a moment, the moments of a strip; before any enlarging."""
STRIP_MOST = 12
"""Moments in a strip at most."""
LONG_SIDE, STRIP_SIDE = 512, 2048
"""Small pictures, and strips, are enlarged by the greatest whole factor that keeps their longer side within these."""
FRAME_MS = 80
"""Milliseconds that a frame of a timeline is shown in a .gif or .mp4."""


class ExportError(Exception):
    """A payload that cannot be written like that; the message is one line that says how it can."""


def check_ending(path: str) -> None:
    """ExportError if no payload is written to files that end like ``path``."""
    target = Path(path)
    if not _ending(target):
        raise ExportError(f"{target.name}: unknown ending; use one of {', '.join(WRITERS)}")


def _ending(target: Path) -> str:
    """The longest known ending of a file's name; '' if there is none or nothing stands before it."""
    name = target.name.lower()
    known = [ending for ending in WRITERS if name.endswith(ending) and name != ending]
    return max(known, key=len, default="")


def write(path: str, payloads: Sequence[Payload]) -> None:
    """Writes an answer (several payloads: a timeline's frames) to ``path``; ExportError if not possible."""
    check_ending(path)
    target = Path(path)
    writer = WRITERS[_ending(target)]
    if not payloads:
        raise ExportError(f"{target.name}: there is nothing to write yet")
    try:
        write_atomic(target, writer(target, payloads))
    except SceneFileError as e:
        raise ExportError(str(e)) from None
    except OSError as e:
        raise ExportError(f"{target}: cannot be written ({e.strerror})") from None


def _png(target: Path, payloads: Sequence[Payload]) -> bytes:
    return _encode(_picture(target, payloads[-1]), "PNG")


def _strip(target: Path, payloads: Sequence[Payload]) -> bytes:
    """Moments evenly over the timeline, first and last among them, from left to right; their panels are stacked."""
    n = min(len(payloads), STRIP_MOST)
    chosen = [payloads[round(i * (len(payloads) - 1) / max(1, n - 1))] for i in range(n)]
    return _encode(_enlarged(_beside([_pixels(target, p, stacked=True) for p in chosen], STRIP_GAP), STRIP_SIDE), "PNG")


def _gif(target: Path, payloads: Sequence[Payload]) -> bytes:
    pictures = [_picture(target, payload).convert("RGB") for payload in payloads]
    out = io.BytesIO()
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=FRAME_MS, loop=0)
    return out.getvalue()


def _mp4(target: Path, payloads: Sequence[Payload]) -> bytes:
    """H.264 with colour at half resolution, which every player knows; it wants even sides, so an odd one is repeated
    once at the edge."""
    import av  # brings all of FFmpeg, for this alone

    pictures = [np.asarray(_picture(target, payload).convert("RGB")) for payload in payloads]
    h, w = pictures[0].shape[:2]
    edge = ((0, h % 2), (0, w % 2), (0, 0))
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(1000, FRAME_MS), options={"crf": "16"})
        stream.width, stream.height, stream.pix_fmt = w + w % 2, h + h % 2, "yuv420p"
        for pixels in pictures:
            frame = av.VideoFrame.from_ndarray(np.pad(pixels, edge, "edge"), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def _npz(target: Path, payloads: Sequence[Payload]) -> bytes:
    """Arrays by the payload's own field names; those of a timeline get a leading axis of frames."""
    if isinstance(payloads[0], Scene | SceneFrames):
        return _packed(scene_arrays(payloads))
    arrays: dict[str, np.ndarray] = {}
    several = len(payloads) > 1 or isinstance(payloads[0], Moment)
    for f in dataclasses.fields(payloads[0]):
        values = [getattr(payload, f.name) for payload in payloads]
        if values[0] is None or isinstance(values[0], Mapping):
            continue
        if f.name == "planes":
            arrays |= _plane_arrays(values, several)
            continue
        array = np.array(values) if several else np.asarray(values[0])
        if array.dtype != object and array.size:
            arrays[f.name] = array
    return _packed(arrays)


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]  # the stub takes the names for its own flags
    return out.getvalue()


def _plane_arrays(moments: Sequence[Sequence[Plane]], several: bool) -> dict[str, np.ndarray]:
    """The arrays of planes, by ``planes_<number>_<field>``. Where a field's shape differs between the moments of a
    timeline (trails grow), or it is there in some only, each moment has its own: ``planes_<number>_<field>_<moment>``.
    """
    arrays: dict[str, np.ndarray] = {}
    for i in range(min(map(len, moments))):
        for f in dataclasses.fields(Plane):
            found = {k: np.asarray(v) for k, m in enumerate(moments) if (v := getattr(m[i], f.name)) is not None}
            name = f"planes_{i}_{f.name}"
            if len(found) == len(moments) and len({array.shape for array in found.values()}) == 1:
                arrays[name] = np.stack(list(found.values())) if several else found[0]
            else:
                arrays |= {f"{name}_{k}": array for k, array in found.items()}
    return arrays


def _json(target: Path, payloads: Sequence[Payload]) -> bytes:
    whole = [{f.name: _plain(getattr(p, f.name)) for f in dataclasses.fields(p)} for p in payloads]
    value = whole if isinstance(payloads[0], Moment) else whole[0]
    return (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no word for it
    return value


WRITERS: dict[str, Callable[[Path, Sequence[Payload]], bytes]] = {
    ".png": _png,
    ".gif": _gif,
    ".mp4": _mp4,
    ".strip.png": _strip,
    ".npz": _npz,
    ".json": _json,
    **SCENE_WRITERS,
}


def _picture(target: Path, payload: Payload) -> Image.Image:
    """The payload as pixels, small pictures enlarged by a whole factor."""
    return _enlarged(_pixels(target, payload))


def _pixels(target: Path, payload: Payload, stacked: bool = False) -> np.ndarray:
    """The payload as float32 (H, W, 1 or 3) at its own resolution; its panels side by side, or ``stacked``."""
    if isinstance(payload, ImageGrid | Frames):
        images, columns = np.asarray(payload.images), payload.columns or len(payload.heads)
        if images.dtype == np.uint8:  # the frames of a film, which are held in memory until they are written
            images = images.astype(np.float32) / np.float32(255)
        panels = max(1, len(payload.panels)) if isinstance(payload, Frames) else 1
        if len(images) % panels or not len(images):
            raise ExportError(f"{target.name}: {len(images)} pictures do not make {panels} equal panels")
        sheets = [_sheet(part, columns, GAP) for part in np.split(images, panels)]
        return _beside(sheets, PANEL_GAP, down=stacked)
    if isinstance(payload, LatentMap):
        rows, columns = payload.tiles.shape[:2]
        # Row 0 of the tiles lies at the low end of the upward axis; a picture's first row is at its top.
        tiles = np.asarray(payload.tiles)[::-1].reshape(rows * columns, *payload.tiles.shape[2:])
        return _sheet(tiles, columns, 0)
    if isinstance(payload, SeedPlane):
        return _seed_plane(payload)
    if isinstance(payload, Planes | PlaneFrames):
        return np.asarray(draw_planes(payload.planes), np.float32) / np.float32(255)
    if isinstance(payload, Scene | SceneFrames):
        return picture_of(payload)
    if isinstance(payload, Render):
        return np.asarray(payload.image)
    if isinstance(payload, Bars) and payload.image is not None:
        return _sheet(np.asarray(payload.image)[None], 1, 0)
    raise ExportError(f"{target.name}: a {type(payload).__name__} is no picture; write it as .json or .npz")


def _seed_plane(payload: SeedPlane) -> np.ndarray:
    """The square of tiles with a ring around the spot, and the picture at the spot beside it; both enlarged by the
    greatest whole factors that leave them no higher than half the long side, so that the ring is round."""
    tiles, image = np.asarray(payload.tiles), np.asarray(payload.image)
    rows, columns = tiles.shape[:2]
    square = _grown(_sheet(tiles.reshape(rows * columns, *tiles.shape[2:]), columns, 0), LONG_SIDE // 2)
    height, width = square.shape[:2]
    y, x = np.ogrid[:height, :width]
    away = np.hypot(x + 0.5 - payload.spot[0] * width, y + 0.5 - payload.spot[1] * height)
    radius = max(2.5, min(height, width) / 40)
    square[np.abs(away - radius) < 1.6] = 0.0  # dark around light: seen on any picture
    square[np.abs(away - radius) < 0.8] = 1.0
    return _beside([square, _grown(image, height)], PANEL_GAP)


def _grown(sheet: np.ndarray, side: int) -> np.ndarray:
    """``sheet`` (H, W, C) with each pixel repeated as often as its height stays within ``side``."""
    factor = max(1, side // sheet.shape[0])
    return sheet.repeat(factor, 0).repeat(factor, 1)


def _sheet(images: np.ndarray, columns: int, gap: int) -> np.ndarray:
    """Pictures (N, H, W, C) in rows of ``columns`` (0: about square) on white."""
    n, h, w, c = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.ones((rows * (h + gap) - gap, columns * (w + gap) - gap, c), np.float32)
    for i in range(n):
        y, x = (i // columns) * (h + gap), (i % columns) * (w + gap)
        sheet[y : y + h, x : x + w] = images[i]
    return sheet


def _beside(sheets: Sequence[np.ndarray], gap: int, down: bool = False) -> np.ndarray:
    """Sheets (H, W, C) from left to right, or ``down``, on white; those of a strip may differ in size and colour."""
    if len(sheets) == 1:
        return sheets[0]
    axis, across = (0, 1) if down else (1, 0)
    shape = [0, 0, max(sheet.shape[2] for sheet in sheets)]
    shape[axis] = sum(sheet.shape[axis] + gap for sheet in sheets) - gap
    shape[across] = max(sheet.shape[across] for sheet in sheets)
    whole = np.ones(shape, np.float32)
    at = 0
    for sheet in sheets:
        place = [slice(0, sheet.shape[0]), slice(0, sheet.shape[1])]
        place[axis] = slice(at, at + sheet.shape[axis])
        whole[place[0], place[1]] = sheet
        at += sheet.shape[axis] + gap
    return whole


def _enlarged(sheet: np.ndarray, side: int = LONG_SIDE) -> Image.Image:
    """float32 (H, W, 1 or 3) in 0..1 as a picture, enlarged by a whole factor where it is small."""
    pixels = np.round(np.clip(np.nan_to_num(sheet), 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(pixels[..., 0] if sheet.shape[2] == 1 else pixels)
    factor = max(1, side // max(picture.size))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _encode(picture: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()
