"""Emoji rendered from the machine's own colour font, with their Unicode names as captions. Ships no picture.

Only single code points: no flags, no skin tones, no joined sequences. What a font lacks, or has without colour, is left
out. The rendered set is kept in the user's cache. Knows no other data set.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from engine.data import store
from engine.data.source import DataError, DataSet, ImageSource, Part, Request, split
from engine.study import DataOption


@dataclass(frozen=True)
class FontKind:
    """A colour font as vendors ship it: file name, usual folders (~ is the user's, * one folder), licence."""

    file: str
    title: str
    licence: str
    folders: tuple[str, ...]


_UNIX = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts", "~/Library/Fonts")
FONTS = (
    FontKind(
        "NotoColorEmoji.ttf",
        "Noto Color Emoji",
        "SIL Open Font Licence 1.1",
        tuple(root + below for root in _UNIX for below in ("", "/*", "/*/*"))
        + ("/run/current-system/sw/share/X11/fonts",),
    ),
    FontKind("Apple Color Emoji.ttc", "Apple Color Emoji", "Apple's, for use on this Mac", ("/System/Library/Fonts",)),
    FontKind("seguiemj.ttf", "Segoe UI Emoji", "Microsoft's, for use on this computer", ("C:/Windows/Fonts",)),
)
BLOCKS = (
    (0x203C, 0x32FF, "older symbols"),
    (0x1F000, 0x1F2FF, "tiles, cards, enclosed letters"),
    (0x1F300, 0x1F5FF, "symbols and pictographs"),
    (0x1F600, 0x1F64F, "emoticons"),
    (0x1F680, 0x1F6FF, "transport and maps"),
    (0x1F7E0, 0x1F7FF, "coloured circles and squares"),
    (0x1F900, 0x1F9FF, "supplemental symbols and pictographs"),
    (0x1FA70, 0x1FAFF, "extended symbols and pictographs"),
)
"""First and last code point, and the label: Unicode's blocks, neighbouring small ones joined. Unicode itself knows no
coarser meaning of a code point."""
_PARTS_OF_EMOJI = ("REGIONAL INDICATOR", "EMOJI MODIFIER", "EMOJI COMPONENT", "COMBINING", "VARIATION")
_SIZES = (109, 160, 136, 128, 96, 64)  # bitmap fonts have one size: Noto's is 109, Apple's largest 160
_INK = (255, 0, 254)  # what a glyph without colours of its own is drawn with
_VERSION = 1  # of the rendering, part of the cached file's name
_FEWEST = 100


def find_font() -> tuple[FontKind, Path] | None:
    """The first colour emoji font in the usual places."""
    for kind in FONTS:
        for pattern in kind.folders:
            folder = Path(os.path.expanduser(pattern))
            fixed = Path(*(part for part in folder.parts if part != "*"))
            stars = "/".join(part for part in folder.parts if part == "*")
            for found in sorted(fixed.glob(f"{stars}/{kind.file}" if stars else kind.file)):
                if os.path.isfile(found):
                    return kind, found
    return None


def candidates() -> Iterator[tuple[int, str, int]]:
    """(code point, its name in small letters, its label) of all named characters in :data:`BLOCKS` that can be a
    picture by themselves."""
    for label, (first, last, _) in enumerate(BLOCKS):
        for code in range(first, last + 1):
            name = unicodedata.name(chr(code), "")
            if name and not name.startswith(_PARTS_OF_EMOJI):
                yield code, name.lower(), label


def open_font(path: Path) -> ImageFont.FreeTypeFont:
    """The font at a size that it has; :class:`DataError` if it cannot be used."""
    problem = ""
    for size in _SIZES:
        try:
            return ImageFont.truetype(str(path), size)
        except OSError as error:
            problem = store.one_line(error)
    raise DataError(f"{path}: cannot be used as a font ({problem}); install another colour emoji font")


def draw(font: ImageFont.FreeTypeFont, text: str, size: int) -> NDArray[np.uint8] | None:
    """One glyph centred on white, uint8 (size, size, 3); None where the font has no coloured picture for it."""
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text))
    width, height = right - left, bottom - top
    if min(width, height) <= 0:
        return None
    side = max(width, height)
    glyph = Image.new("RGBA", (side, side), (*_INK, 0))
    at = ((side - width) // 2 - left, (side - height) // 2 - top)
    ImageDraw.Draw(glyph).text(at, text, font=font, fill=_INK, embedded_color=True)
    pixels = np.asarray(glyph)
    solid = pixels[pixels[..., 3] > 0][:, :3]
    if not len(solid) or bool((solid == _INK).all()):
        return None
    small = glyph.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB")).copy()


def _key(size: int) -> str:
    return "emoji" if size == 32 else f"emoji{size}"


def _missing() -> str:
    if sys.platform.startswith("linux"):
        return "no colour emoji font found: install one (Debian and Ubuntu: fonts-noto-color-emoji)"
    return f"no colour emoji font found: install {FONTS[0].title}"


def _option(size: int, cache: Path) -> DataOption:
    found = find_font()
    return DataOption(
        key=_key(size),
        title=f"Emoji, {size} px",
        origin=f"drawn with {found[0].title}, found on this machine"
        if found
        else "a colour emoji font of this machine",
        size=f"about 1,300 pictures of {size} x {size}, colour",
        licence=found[0].licence if found else "unknown",
        available=found is not None,
        reason="" if found else _missing(),
    )


def _load(size: int, request: Request) -> ImageSource:
    found = find_font()
    if not found:
        raise DataError(f"Emoji: {_missing()}")
    kind, path = found
    title = f"Emoji, {size} px"
    notices: tuple[str, ...] = ()
    file = path.stat()
    stamp = f"{file.st_size}-{file.st_mtime_ns}-unicode{unicodedata.unidata_version}-v{_VERSION}"
    kept = request.cache / f"{_key(size)}-{stamp}.npz"
    part = _kept(kept, size)
    if part is None:
        part = render(path, size, request, title)
        try:
            store.write(kept, {"images": part.images, "labels": part.labels, "names": np.array(part.captions)})
        except OSError as error:
            notices = (f"{title}: could not be kept for next time in {kept.parent} ({store.one_line(error)})",)
    train, held_out = split(part, request.split_seed)
    text = f"Emoji as {kind.title} draws them, on white, each with its Unicode name."
    names = tuple(name for _, _, name in BLOCKS)
    return ImageSource(_key(size), title, text, names, train, held_out, notices=notices)


def _kept(path: Path, size: int) -> Part | None:
    """The set as rendered before, or None where it is not there or damaged: then it is simply rendered again."""
    if not os.path.isfile(path):
        return None
    try:
        arrays: dict[str, NDArray[Any]] = store.read(path, {"images": "u", "labels": "i", "names": "U"})
    except DataError:
        return None
    images, labels, names = arrays["images"], arrays["labels"], arrays["names"]
    n = len(images)
    whole = images.shape == (n, size, size, 3) and labels.shape == names.shape == (n,) and n >= _FEWEST
    if not whole or labels.min() < 0 or labels.max() >= len(BLOCKS):
        return None
    return Part(images.astype(np.uint8), labels.astype(np.int64), tuple(names.tolist()))


def render(path: Path, size: int, request: Request, title: str) -> Part:
    """Every emoji of the font; :class:`DataError` if it has next to none in colour."""
    font = open_font(path)
    codes = list(candidates())
    images: list[NDArray[np.uint8]] = []
    captions: list[str] = []
    labels: list[int] = []
    try:
        nothing = draw(font, "\U0010fffd", size)  # never assigned: whatever stands for a missing glyph
        for number, (code, name, label) in enumerate(codes):
            if number % 50 == 0:
                request.report(number / len(codes), f"drawing {title}")
            picture = draw(font, chr(code), size)
            if picture is None or (nothing is not None and np.array_equal(picture, nothing)):
                continue
            images.append(picture)
            captions.append(name)
            labels.append(label)
    except OSError as error:
        raise DataError(
            f"{path}: its glyphs cannot be drawn ({store.one_line(error)}); install another font"
        ) from error
    if len(images) < _FEWEST:
        raise DataError(f"{path}: only {len(images)} coloured emoji can be drawn with it; install {FONTS[0].title}")
    return Part(np.stack(images), np.array(labels, np.int64), tuple(captions))


SETS = tuple(DataSet(_key(size), partial(_option, size), partial(_load, size)) for size in (32, 64))
