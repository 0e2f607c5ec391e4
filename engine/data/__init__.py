"""Data sets of images, without torch; see :mod:`engine.data.images`."""

from engine.data.images import (
    Cancelled,
    DataError,
    ImageSource,
    Part,
    fetch,
    fetching,
    load,
    options,
    read_image,
)

__all__ = ["Cancelled", "DataError", "ImageSource", "Part", "fetch", "fetching", "load", "options", "read_image"]
