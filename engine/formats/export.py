"""Payloads to files: .png .gif .mp4 .json .npz, by the name's ending. Runs on the engine's thread; knows no study."""

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

from engine.formats.runs import write_atomic
from engine.payloads import Bars, Frames, ImageGrid, LatentMap, Moment, Payload

GAP = 1
"""Pixels between the pictures of a grid."""
FRAME_MS = 80
"""Milliseconds that a frame of a timeline is shown in a .gif or .mp4."""


class ExportError(Exception):
    """A payload that cannot be written like that; the message is one line that says how it can."""


def check_ending(path: str) -> None:
    """ExportError if no payload is written to files that end like ``path``."""
    target = Path(path)
    if target.suffix.lower() not in WRITERS:
        scenes = " (.ply and .obj are for scenes)" if target.suffix.lower() in (".ply", ".obj") else ""
        raise ExportError(f"{target.name}: unknown ending; use one of {', '.join(WRITERS)}{scenes}")


def write(path: str, payloads: Sequence[Payload]) -> None:
    """Writes an answer (several payloads: a timeline's frames) to ``path``; ExportError if not possible."""
    check_ending(path)
    target = Path(path)
    writer = WRITERS[target.suffix.lower()]
    if not payloads:
        raise ExportError(f"{target.name}: there is nothing to write yet")
    try:
        write_atomic(target, writer(target, payloads))
    except OSError as e:
        raise ExportError(f"{target}: cannot be written ({e.strerror})") from None


def _png(target: Path, payloads: Sequence[Payload]) -> bytes:
    return _encode(_picture(target, payloads[-1]), "PNG")


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
    arrays: dict[str, np.ndarray] = {}
    several = len(payloads) > 1 or isinstance(payloads[0], Moment)
    for f in dataclasses.fields(payloads[0]):
        values = [getattr(payload, f.name) for payload in payloads]
        if values[0] is None or isinstance(values[0], Mapping):
            continue
        array = np.array(values) if several else np.asarray(values[0])
        if array.dtype != object and array.size:
            arrays[f.name] = array
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]  # the stub takes the names for its own flags
    return out.getvalue()


def _json(target: Path, payloads: Sequence[Payload]) -> bytes:
    whole = [{f.name: _plain(getattr(p, f.name)) for f in dataclasses.fields(p)} for p in payloads]
    value = whole if isinstance(payloads[0], Moment) else whole[0]
    return (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _plain(value: Any) -> Any:
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
    ".npz": _npz,
    ".json": _json,
}


def _picture(target: Path, payload: Payload) -> Image.Image:
    """The payload as pixels, small pictures enlarged by a whole factor."""
    if isinstance(payload, ImageGrid | Frames):
        return _atlas(np.asarray(payload.images), getattr(payload, "columns", 0), GAP)
    if isinstance(payload, LatentMap):
        rows, columns = payload.tiles.shape[:2]
        # Row 0 of the tiles lies at the low end of the upward axis; a picture's first row is at its top.
        tiles = np.asarray(payload.tiles)[::-1].reshape(rows * columns, *payload.tiles.shape[2:])
        return _atlas(tiles, columns, 0)
    if isinstance(payload, Bars) and payload.image is not None:
        return _atlas(np.asarray(payload.image)[None], 1, 0)
    raise ExportError(f"{target.name}: a {type(payload).__name__} is no picture; write it as .json or .npz")


def _atlas(images: np.ndarray, columns: int, gap: int) -> Image.Image:
    n, h, w, c = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.ones((rows * (h + gap) - gap, columns * (w + gap) - gap, c), np.float32)
    for i in range(n):
        y, x = (i // columns) * (h + gap), (i % columns) * (w + gap)
        sheet[y : y + h, x : x + w] = images[i]
    pixels = np.round(np.clip(np.nan_to_num(sheet), 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(pixels[..., 0] if c == 1 else pixels)
    factor = max(1, 512 // max(picture.size))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _encode(picture: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()
