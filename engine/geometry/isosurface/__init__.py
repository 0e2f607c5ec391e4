"""The surface where a function of space crosses a level: see ``extraction``. Knows no shape, no network and no view."""

from engine.geometry.isosurface.extraction import Surface, extract, finish
from engine.geometry.isosurface.grid import MAX_RESOLUTION, Field

__all__ = ["MAX_RESOLUTION", "Field", "Surface", "extract", "finish"]
