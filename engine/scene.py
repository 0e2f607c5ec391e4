"""What a 3-D viewport shows, as plain read-only arrays: part of the contract, like the other payloads.

A :class:`Scene` is a list of things with unique names: the outline's lines, by which the view remembers what is hidden
or selected while the payloads are renewed. An array that is the very same object as before is not uploaded again, so
a study keeps what does not change and hands it over again. Positions are float32 relative to ``origin`` (float64
numbers), which keeps maps of a whole country exact. Where z points up is said by ``up``; files keep their own axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.payloads import Moment, Payload

COLOUR_BY = ("plain", "rgb", "height", "normal", "label", "scalar")
"""What points and meshes can be coloured by; a scalar is named ``scalar:NAME``."""
FILE_KINDS = (
    "ply", "obj", "stl", "off", "glb", "gltf", "pcd", "xyz", "pts", "csv", "asc", "las", "laz", "npy", "npz",
    "splat", "spz", "sog",
)  # fmt: skip
"""Endings of the files that are read as scenes."""


@dataclass(frozen=True, kw_only=True)
class Thing(Payload):
    """Base of all that stands in a scene. ``transform`` float64 (4, 4) takes it to the world, None leaves it.

    ``colour`` is '#rrggbb' or a name of a term's colour (orange, purple, blue, green, red), '' the view's choice;
    ``opacity`` 0..1; ``locked`` things cannot be selected or picked.
    """

    name: str
    transform: Any = None
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    visible: bool = True
    opacity: float = 1.0
    colour: str = ""
    locked: bool = False


@dataclass(frozen=True, kw_only=True)
class PointTree(Payload):
    """Levels of detail of a cloud: an octree whose nodes own consecutive points and add to those of their parents.

    Node k owns the points ``start[k] : start[k] + count[k]`` (int64 (K,)), lies in the cube of half side ``half[k]``
    round ``centre[k]`` (float32 (K, 3)), and its points are about ``spacing[k]`` apart; ``parent[k]`` < k, -1 for the
    root. Nodes go level by level, so that any prefix of the points is a coarser picture of the whole.
    """

    start: Any
    count: Any
    parent: Any
    centre: Any
    half: Any
    spacing: Any


@dataclass(frozen=True, kw_only=True)
class Points(Thing):
    """A cloud: ``xyz`` float32 (N, 3); what is None is not known.

    ``rgb`` uint8 (N, 3); ``normals`` float32 (N, 3); ``labels`` int32 (N,) with ``label_names`` by number;
    ``scalars`` name -> float32 (N,). ``colour_by`` is one of :data:`COLOUR_BY` or ``scalar:NAME``, '' the best there
    is. ``size`` is in pixels, or in world units where ``world_size``. ``index`` int64 (N,) is the number of each point
    in its file where the order was changed, for ``tree``.
    """

    xyz: Any
    rgb: Any = None
    normals: Any = None
    labels: Any = None
    label_names: Mapping[int, str] = field(default_factory=dict)
    scalars: Mapping[str, Any] = field(default_factory=dict)
    colour_by: str = ""
    size: float = 3.0
    world_size: bool = False
    tree: PointTree | None = None
    index: Any = None


@dataclass(frozen=True, kw_only=True)
class Mesh(Thing):
    """Triangles: ``vertices`` float32 (V, 3), ``faces`` int32 (F, 3) counter-clockwise from outside.

    ``normals`` float32 (V, 3), ``rgb`` uint8 (V, 3), ``scalars`` name -> float32 (V,), ``uv`` float32 (V, 2) from the
    lower left with ``texture`` uint8 (H, W, 3 or 4), row 0 at the top. ``shading`` is smooth, flat or none;
    ``wireframe`` draws the edges over the faces; ``colour_by`` as in :class:`Points`, '' the texture or best there is.
    """

    vertices: Any
    faces: Any
    normals: Any = None
    rgb: Any = None
    scalars: Mapping[str, Any] = field(default_factory=dict)
    uv: Any = None
    texture: Any = None
    colour_by: str = ""
    shading: str = "smooth"
    wireframe: bool = False


@dataclass(frozen=True, kw_only=True)
class Lines(Thing):
    """Segments: ``ends`` float32 (M, 2, 3), ``rgb`` uint8 (M, 3) or None; ``width`` in pixels."""

    ends: Any
    rgb: Any = None
    width: float = 1.5


@dataclass(frozen=True, kw_only=True)
class Arrows(Thing):
    """``vectors`` float32 (M, 3) drawn from ``at`` float32 (M, 3), in world units; ``rgb`` uint8 (M, 3) or None."""

    at: Any
    vectors: Any
    rgb: Any = None
    width: float = 1.5


@dataclass(frozen=True, kw_only=True)
class Sheet(Thing):
    """A picture on a parallelogram, a slice for instance: ``corner`` (3,) is that of ``image``'s lower left, ``u`` and
    ``v`` (3,) its sides to the right and up. ``image`` uint8 (H, W, 3 or 4), row 0 at the top, straight alpha."""

    corner: Any
    u: Any
    v: Any
    image: Any
    smooth: bool = True


@dataclass(frozen=True, kw_only=True)
class Words(Thing):
    """Short texts at places: ``at`` float32 (M, 3), one of ``texts`` each; they keep their size on screen."""

    at: Any
    texts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Handles(Thing):
    """Points that the hand can drag: ``at`` float32 (M, 3). Dragging sets the control named ``control`` to a tuple of
    M (x, y, z) tuples of float. ``links`` int32 (L, 2) are drawn as lines between them."""

    at: Any
    control: str
    links: Any = None
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Field(Thing):
    """What one camera sees of something that has no surface, rendered by the engine: the view puts it among its things
    with their depth, and bends it to its own camera until the picture of that one comes.
    :mod:`engine.nn.looking.live_view` makes such pictures by the time that they may take.

    ``image`` float32 (H, W, 3), row 0 at the top: colour times alpha, as it is composited over black; ``alpha`` float32
    (H, W) 0..1; ``depth`` float32 (H, W), the distance from the eye along the viewing direction (not along the pixel's
    own ray) in world units, 0 where alpha is 0. ``camera`` is the text of an :class:`engine.probes.Camera`, whose size
    is not read: the picture has the aspect W / H, square pixels and the camera's vertical field of view.

    ``truth`` uint8 (h, w, 4) is a photograph as the same camera would have taken it, its colours times their alpha, 0
    where it shows nothing: the view lays it over a part of the picture. ``legend`` says what the picture's colours, if
    they are of viridis, stand for: a title and the texts at shares 0..1 of the table. ``planes`` float64 (K, 4) are
    those that the field was cropped by (:mod:`engine.crop`).
    """

    image: Any
    alpha: Any
    depth: Any
    camera: str
    truth: Any = None
    legend: tuple[str, tuple[tuple[float, str], ...]] = ("", ())
    planes: Any = None


@dataclass(frozen=True, kw_only=True)
class Frustums(Thing):
    """Cameras as pyramids: a click on one puts the view's camera there. ``eyes`` float32 (M, 3); ``corners`` float32
    (M, 4, 3), the picture's in space: upper left, upper right, lower right, lower left.

    ``cameras`` are M texts of :class:`engine.probes.Camera`, what the view's camera is set to; ``images`` uint8
    (M, h, w, 3), row 0 at the top, are put on the pictures' planes; ``texts`` are M names that the pointer is told.
    ``control`` names a whole number that is set to the index of the one that is clicked, '' none; ``chosen`` is the
    index that is marked, -1 none.
    """

    eyes: Any
    corners: Any
    cameras: tuple[str, ...]
    images: Any = None
    texts: tuple[str, ...] = ()
    control: str = ""
    chosen: int = -1


@dataclass(frozen=True, kw_only=True)
class Splats(Thing):
    """Gaussians in space, with the numbers that training leaves and INRIA's files hold, N of them.

    ``xyz`` float32 (N, 3) are the means; ``scales`` float32 (N, 3) natural logarithms of the deviations along the own
    axes; ``turns`` float32 (N, 4) the quaternions w x y z from those to the thing's, of any length but 0; ``opacity``
    float32 (N,) logits of the alpha at the mean; ``sh`` float32 (N, K, 3) the colours' spherical harmonics, K = 1, 4, 9
    or 16, red green blue: a colour is 0.5 plus their sum, seen from the eye towards the mean.

    ``degree`` is that of the harmonics that are used at most, -1 all; ``size`` multiplies the deviations;
    ``antialiased`` says that it was trained with opacities that make up for the width that a pixel adds. ``index``
    int64 (N,) is the number of each in its file where the order was changed.
    """

    xyz: Any
    scales: Any
    turns: Any
    opacity: Any
    sh: Any
    degree: int = -1
    size: float = 1.0
    antialiased: bool = False
    index: Any = None


@dataclass(frozen=True)
class Scene(Payload):
    """Things that stand together. ``up`` is z or y. ``readings`` are numbers shown beside the picture, ``table`` rows
    of texts under ``table_heads``. ``notices`` are lines on what went wrong while the rest stands.

    ``hover`` names a control that is set to the place (x, y, z) below the pointer. ``progress`` < 1 says that a better
    scene follows for the same ask. ``home`` (eye, target) is where the camera stands at first, None: all in view.
    ``camera_control`` names a :class:`engine.probes.Camera` that the view sets to where it looks from and how large it
    is (``eye/target/up/fov/WIDTHxHEIGHT``), for scenes with a :class:`Field`. ``crop_control`` names a
    :class:`engine.crop.Crop` that the view sets to its clipping box; ``whole_control`` a toggle that is on while frames
    of a film are asked for, which have to be whole even if the weights change. ``world`` float64 (4, 4) leads from the
    frame that files are written in to the scene's; None where that is the same.
    """

    things: tuple[Thing, ...]
    up: str = "z"
    caption: str = ""
    readings: Mapping[str, float] = field(default_factory=dict)
    table: tuple[tuple[str, ...], ...] = ()
    table_heads: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    hover: str = ""
    home: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None
    progress: float = 1.0
    camera_control: str = ""
    crop_control: str = ""
    whole_control: str = ""
    world: Any = None


@dataclass(frozen=True)
class Render(Payload):
    """What one camera sees: ``image`` float32 (H, W, 3) in 0..1, row 0 at the top; ``alpha`` float32 (H, W) 0..1, how
    much of the pixel the scene covers; ``depth`` float32 (H, W), the distance from the eye along the viewing
    direction (not along the pixel's own ray) in world units, 0 where alpha is 0."""

    image: Any
    depth: Any
    alpha: Any
    caption: str = ""


@dataclass(frozen=True)
class SceneFrames(Moment):
    """A moment of a timeline that is seen in 3-D; ``table`` as in :class:`Scene`."""

    things: tuple[Thing, ...]
    up: str = "z"
    table: tuple[tuple[str, ...], ...] = ()
    table_heads: tuple[str, ...] = ()
