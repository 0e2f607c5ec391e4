"""A folder of the user's own images, sub-folders as classes. Every file that cannot be used is named, none is fatal.

Knows no format: :mod:`engine.data.picture` reads the files. Hidden files are passed over; links to folders are not
followed, so that no circle of them can be walked for ever.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.data.picture import ENDINGS, read_image
from engine.data.source import DataError, DataSet, ImageSource, Part, Request, shown, split
from engine.study import DataOption

MAX_IMAGES = 20_000
MAX_FILES = 500_000
"""Entries that are looked at below the folder before the search is given up."""
FEWEST = 8
NAMED = 20
"""Skipped files that are named one by one; the rest are counted."""
LOOSE = "(not in a sub-folder)"


def _option(cache: Path) -> DataOption:
    return DataOption(
        key="folder",
        title="A folder of images…",
        origin="yours; sub-folders become classes",
        size=f"{FEWEST} to {MAX_IMAGES:,} pictures, brought to 32 x 32, colour",
        licence="unknown",
        needs_folder=True,
    )


def find_images(folder: Path, request: Request) -> tuple[list[str], list[str]]:
    """Paths of image files by their ending, relative, '/' between, sorted; and notices of what was not looked into."""
    found: list[str] = []
    notices: list[str] = []
    seen = 0

    def failed(error: OSError) -> None:
        notices.append(f"skipped the folder {shown(str(error.filename))}: {error.strerror}")

    for here, folders, files in os.walk(folder, onerror=failed):
        request.report(0.0, f"looking for images, {len(found):,} found")
        for name in folders:
            if os.path.islink(os.path.join(here, name)):
                notices.append(f"skipped {shown(_relative(folder, here, name))}: a link to a folder")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            _relative(folder, here, name)
            for name in files
            if name.lower().endswith(ENDINGS) and not name.startswith(".")
        ]
        seen += len(files) + len(folders)
        if seen > MAX_FILES:
            notices.append(f"stopped looking after {MAX_FILES:,} files: choose a smaller folder")
            break
    return sorted(found), notices


def _relative(folder: Path, here: str, name: str) -> str:
    return Path(os.path.join(here, name)).relative_to(folder).as_posix()


def _load(request: Request) -> ImageSource:
    if not request.folder:
        raise DataError("no folder given: choose a folder of images")
    folder = Path(os.path.expanduser(request.folder))
    title = shown(str(folder))
    if not os.path.isdir(folder):
        raise DataError(f"{title}: no such folder; choose a folder of images")
    found, notices = find_images(folder, request)
    if not found:
        why = f"; {notices[0]}" if notices else ""
        raise DataError(f"{title}: no images in it ({', '.join(ENDINGS)}); choose another folder{why}")
    chosen = found
    if len(found) > MAX_IMAGES:
        chosen = [found[i] for i in np.linspace(0, len(found) - 1, MAX_IMAGES).astype(int)]
        notices.append(f"took {MAX_IMAGES:,} of the {len(found):,} images, evenly from all")
    names, images, skipped = _read_all(folder, chosen, request)
    if len(names) < FEWEST:
        first = f"; {skipped[0]}" if skipped else ""
        raise DataError(f"{title}: {len(names)} usable images, at least {FEWEST} are needed{first}")
    label_names, labels = classes(names)
    label_names = tuple(map(shown, label_names))
    train, held_out = split(Part(images, labels, tuple(map(shown, names))), request.split_seed)
    notices += [f"skipped {line}" for line in skipped[:NAMED]]
    if len(skipped) > NAMED:
        notices.append(f"skipped {len(skipped) - NAMED:,} more files that could not be read")
    return ImageSource(
        key="folder",
        title=shown(folder.name) or title,
        text=f"{len(names):,} images of yours, the centre of each brought to {request.size} x {request.size} pixels.",
        label_names=label_names,
        train=train,
        held_out=held_out,
        notices=tuple(notices),
    )


def _read_all(folder: Path, chosen: Sequence[str], request: Request) -> tuple[list[str], NDArray[np.uint8], list[str]]:
    """Names and pixels (N, size, size, 3) of the files that can be read, and a line on each one that cannot."""
    shape = (request.size, request.size, 3)
    names: list[str] = []
    images = np.empty((len(chosen), *shape), np.uint8)
    skipped: list[str] = []
    for number, name in enumerate(chosen):
        if number % 8 == 0:
            request.report(number / len(chosen), f"reading images, {number:,} of {len(chosen):,}")
        try:
            images[len(names)] = read_image(str(folder / name), shape, name=name)
            names.append(name)
        except DataError as error:
            skipped.append(str(error))
    return names, images[: len(names)], skipped


def classes(names: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Class names and the labels (N,) of files by the sub-folder directly below the chosen one; () where all lie
    in the chosen folder itself."""
    tops = [name.split("/", 1)[0] if "/" in name else LOOSE for name in names]
    label_names = tuple(sorted(set(tops) - {LOOSE})) + ((LOOSE,) if LOOSE in tops else ())
    if label_names == (LOOSE,):
        return (), np.zeros(len(names), np.int64)
    place = {name: i for i, name in enumerate(label_names)}
    return label_names, np.array([place[top] for top in tops], np.int64)


SETS = (DataSet("folder", _option, _load),)
