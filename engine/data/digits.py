"""scikit-learn's handwritten digits: 8x8 pixels, inside the package, so always there. Knows no other data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.data.source import DataSet, ImageSource, Part, Request, named, split
from engine.study import DataOption

NAMES = tuple("0123456789")


def _option(cache: Path) -> DataOption:
    return DataOption(
        key="digits",
        title="Digits",
        origin="UCI Optical Recognition of Handwritten Digits (test part), inside scikit-learn",
        size="1,797 pictures of 8 x 8, grey",
        licence="BSD-3-Clause with scikit-learn; the original's: unknown",
    )


def _load(request: Request) -> ImageSource:
    request.report(0.0, "reading Digits")
    # Importing scikit-learn takes a second: only where it is needed.
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]  # the set counts ink in 0..16
    labels = bunch.target.astype(np.int64)
    train, held_out = split(Part(images, labels, named(labels, NAMES)), request.split_seed)
    return ImageSource(
        "digits",
        "Digits",
        "Handwritten digits of 43 people, counted down to 8 x 8 grey pixels.",
        NAMES,
        train,
        held_out,
    )


SETS = (DataSet("digits", _option, _load),)
