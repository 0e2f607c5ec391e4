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
    ``heads`` name the rows and columns of a table of pictures. ``caption`` is one line under the whole.
    """

    images: Floats
    columns: int = 0
    captions: tuple[str, ...] = ()
    labels: Any = None
    rows: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    caption: str = ""


@dataclass(frozen=True)
class Strips(ImageGrid):
    """Pictures in rows, a row for a direction in a space of codes: ``vectors`` (R, d) of length 1, row for row, in
    the space named ``space``. ``control`` names the control that keeps directions (``engine.steering.Directions``)."""

    vectors: Any = None
    space: str = "z"
    control: str = "directions"


@dataclass(frozen=True)
class SeedPlane(Payload):
    """What a square of codes between four corners looks like: ``image`` (H, W, C) float32 in 0..1 at ``spot`` (u, v) in
    the unit square, u right and v down; ``tiles`` (R, K, h, w, C) at the centres of an even grid over it, row 0 at the
    top; ``names`` of the corners: top left, top right, bottom left, bottom right. ``control`` names the
    control that holds the spot. An array that is the same object as before need not be drawn again."""

    image: Floats
    tiles: Floats
    spot: tuple[float, float]
    names: tuple[str, str, str, str] = ("", "", "", "")
    control: str = "spot"
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Moment(Payload):
    """Base of what a timeline is made of: moment ``index`` of ``total``, in words, with the numbers read off there.

    A probe that declares a kind of moment is a generator; each item that it yields is one, and all are kept. The
    ``readings`` of one timeline have the same names in all its moments; they are drawn as curves over it.
    """

    index: int
    total: int
    caption: str = ""
    readings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Frames(Moment):
    """A moment that is seen in pictures: ``images``, ``columns``, ``rows`` and ``heads`` as in :class:`ImageGrid`.

    ``panels`` names grids that are shown side by side (x_t, the predicted x_0 ...); the pictures of the first come
    first, then those of the second ...: N is a multiple of their number.
    """

    images: Floats
    columns: int = 0
    panels: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plane(Payload):
    """What lies in a plane, from the ground up; what is None is not there.

    ``extent`` (x0, x1, y0, y1) of the view and of ``heat`` (R, C), any range >= 0, row 0 at y0, a density named
    ``heat_name``; where ``heat_ends`` (low, high) is given it is no density but an opinion between these two, in two
    colours that meet in the middle. ``contours`` (R, C) is another density over the same extent (or, beside
    ``heat_ends``, an opinion between the same ends), drawn as lines; ``lines`` (L, T, 2) are drawn as they are.
    ``backdrop`` (K, 2) points are drawn small and faint, the data for instance. ``arrows`` (M, 4): x, y and the vector
    dx, dy in plane units. ``trails`` (N, T, 2) are the paths that lead to ``points`` (N, 2), coloured by ``labels`` int
    (N,).
    ``thumbs`` uint8 (N, h, w, C) show the points as pictures, C 1 or 3.
    """

    extent: tuple[float, float, float, float]
    title: str = ""
    heat: Any = None
    heat_name: str = ""
    contours: Any = None
    backdrop: Any = None
    arrows: Any = None
    trails: Any = None
    points: Any = None
    labels: Any = None
    thumbs: Any = None
    axes: tuple[str, str] = ("x", "y")
    lines: Any = None
    heat_ends: tuple[float, float] | None = None


@dataclass(frozen=True)
class Planes(Payload):
    """Planes side by side, with one extent where they show the same space."""

    planes: tuple[Plane, ...]
    caption: str = ""


@dataclass(frozen=True)
class PlaneFrames(Moment):
    """A moment of a timeline that is seen in planes."""

    planes: tuple[Plane, ...]


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
    """Lines over one axis: ``x`` (N,), ``lines`` name -> (N,); ``caption`` is one line beside them. Names should stay
    the same from answer to answer, for a line that is hidden stays so by its name."""

    x: Floats
    lines: Mapping[str, Any]
    x_name: str = ""
    y_name: str = ""
    caption: str = ""
