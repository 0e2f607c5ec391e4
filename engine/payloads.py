"""Payloads: what a probe answers. Plain read-only arrays; knows neither who made them nor how they are drawn.

A new kind of picture is a new class here and one line in the widgets' table from payload to view.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the contract imports in milliseconds: numpy is only named here
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
else:
    Floats = Any


@dataclass(frozen=True)
class Payload:
    """Base of all payloads; freezes the arrays that it is given."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            for array in value.values() if isinstance(value, Mapping) else (value,):
                if hasattr(array, "setflags"):
                    array.setflags(write=False)


@dataclass(frozen=True)
class ImageGrid(Payload):
    """Pictures in rows: ``images`` float32 (N, H, W, C), C 1 or 3, in 0..1; ``columns`` 0 lets the view choose.

    ``captions`` has one line per image or is empty; ``labels`` int64 (N,) where classes are known; ``rows`` and
    ``heads`` name the rows and columns of a table of pictures.
    """

    images: Floats
    columns: int = 0
    captions: tuple[str, ...] = ()
    labels: Any = None
    rows: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frames(Payload):
    """One moment of a timeline: ``images`` as in :class:`ImageGrid`, ``index`` of ``total``, numbers read off there.

    A probe that declares ``Frames`` is a generator; each item that it yields is one of these, and all are kept.
    """

    images: Floats
    index: int
    total: int
    caption: str = ""
    readings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Bars(Payload):
    """One bar per entry: ``values`` (N,), whiskers ``spread`` (N,) or None, names for the ticks.

    ``image`` (H, W, C) in 0..1 is what the bars are about, drawn beside them. ``control`` names the latent control
    that the values can be sent to, '' for none.
    """

    values: Floats
    spread: Any = None
    names: tuple[str, ...] = ()
    value_name: str = ""
    spread_name: str = ""
    image: Any = None
    caption: str = ""
    control: str = ""


@dataclass(frozen=True)
class LatentMap(Payload):
    """A plane through a latent space with the data on it.

    ``points`` (N, 2) plane coordinates, ``labels`` int (N,) with ``label_names``; ``items`` (N,) held-out indices;
    ``codes`` (N, d) the full codes; the code of plane point (u, v) is ``origin + u * basis[0] + v * basis[1]``.
    ``tiles`` (R, C, H, W, ch) are decoded at the centres of an even grid over ``extent`` (u0, u1, v0, v1),
    row 0 at v0. ``thumbs`` (N, h, w, ch) uint8 show the items. ``control`` names the latent control that a click sets.
    """

    points: Floats
    labels: Any
    label_names: tuple[str, ...]
    items: Any
    codes: Floats
    origin: Floats
    basis: Floats
    tiles: Floats
    extent: tuple[float, float, float, float]
    thumbs: Any
    axes: tuple[str, str] = ("u", "v")
    control: str = "z"
    caption: str = ""


@dataclass(frozen=True)
class Curves(Payload):
    """Lines over one axis: ``x`` (N,), ``lines`` name -> (N,)."""

    x: Floats
    lines: Mapping[str, Any]
    x_name: str = ""
    y_name: str = ""
