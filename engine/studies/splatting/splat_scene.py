"""Splat files: Gaussian splats of the person's own, side by side, graded, laid level and saved. Nothing is trained.

Each file is read once and kept until it changes or leaves the list; arrays that no control changes stay the same
objects. What is picked, selected, hidden and deleted belongs to the view. Knows no window and no way of drawing.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from engine.data.captures.still_life_splats import splats as still_life
from engine.formats.scene_shelf import Shelf, Together, stamp_of
from engine.geometry.splats.align import Ground, extent, ground, levelled, plane_through
from engine.geometry.splats.grade import Grade, graded
from engine.geometry.splats.harmonics import degree_of
from engine.geometry.splats.transform import UPRIGHT, in_world
from engine.geometry.splats.values import QUANTITIES, alpha_of, seen, spread, values_of
from engine.nn.splat_surface import surface
from engine.params import BadValue
from engine.payloads import Bars
from engine.probes import Choice, Number, Paths, Places, Toggle, probe
from engine.scene import FILE_KINDS, Handles, Scene, Splats, Thing
from engine.study import Study

AXES = {
    "y down": UPRIGHT,
    "y up": np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]),
    "z up": np.eye(4),
}
"""From a file's axes to the scene's, whose z points up."""
UP = np.array([0.0, 0, 1])
UNSET = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
"""Three places that nobody has set."""
MANY = 200_000
"""Splats of a file from which some are shown before it is read, and from which a hand that grades sees colours without
what changes with the view."""
SOLID = 0.3
"""Splats of a lesser alpha are no ground."""
LOOKED_AT = 40_000
"""Splats that are looked at for what holds of all."""
OUTSIDE = 0.005
"""Share of the splats at each end of each axis that the first look at a scene leaves out."""
GAP = 0.15
"""Between files beside each other, as a share of the left one's width."""
SPREAD_BINS = 40
FIRST = "A first look at some of the splats, drawn larger; the others are being read."
KINDS = ("ply", "splat", "spz", *(kind for kind in FILE_KINDS if kind not in ("ply", "splat", "spz")))
HOW = "An example, made without training. Drop .ply, .splat or .spz files with Gaussian splats here, or Ctrl+Shift+O."


class SharedFiles(Paths):
    """The files of a study, the same for all its probes."""

    shared: ClassVar[bool] = True


class SharedChoice(Choice):
    """A choice that is the same for all probes."""

    shared: ClassVar[bool] = True


FILES = SharedFiles(KINDS, text="Files with Gaussian splats; points and meshes may stand beside them.")
WAY_UP = SharedChoice(tuple(AXES), text="Which way is up in the files: captures and most splat files have y down.")


class SplatScene(Study):
    """Opens Gaussian splats from any common file: pick one, select by lasso or by value, delete floaters, grade the
    colours, lay the ground level, and save what is left in any format."""

    title, family = "Splat files", "Gaussian splats"
    paper = "Kerbl et al., 3D Gaussian Splatting for Real-Time Radiance Field Rendering, SIGGRAPH 2023."
    try_this = (
        "Set the degree of the harmonics to 0: the ball does not mirror any more, for all that changed with the view "
        "was in the higher ones.",
        "Open the histogram below Selection, take the splats of little opacity and press Delete: the haze in the air "
        "is gone.",
        "Make the splats half as large: the surfaces fall apart into the discs that they are made of.",
    )
    first_probes = ("scene",)

    @dataclass
    class Params:
        """Nothing to set before the files are read."""

    def build(self, device: torch.device) -> None:
        self._shelf = Shelf()
        self._example = Together()
        self._graded: dict[str, tuple[Any, Grade, Any]] = {}
        self._grounds: dict[Any, Ground | None] = {}

    @probe(
        Scene,
        title="Scene",
        files=FILES,
        axes=WAY_UP,
        stand=Choice(
            ("as it is", "ground found", "three places"),
            text="Lays the scene level: on the plane that most splats lie on, or on the plane of three handles.",
        ),
        places=Places(
            UNSET, text="The three handles on the ground; drag them, with Ctrl onto what is below the pointer."
        ),
        apart=Toggle(False, text="Sets the files beside each other; else each stands where its own numbers say."),
        degree=Number(3, 0, 3, text="Degree of the spherical harmonics: 0 has the same colour from all sides."),
        size=Number(1.0, 0.05, 2.0, text="Multiplies the size of every splat."),
        antialiased=Choice(
            ("as the file says", "on", "off"),
            text="Whether small splats fade instead of growing to a pixel, right for those that were trained so.",
        ),
        exposure=Number(0.0, -3.0, 3.0, text="Brightness in stops; saved with the splats, as all colour grading is."),
        contrast=Number(1.0, 0.2, 2.0, text="Spreads colours away from middle grey."),
        saturation=Number(1.0, 0.0, 2.0, text="How colourful: 0 is grey, 1 as it comes."),
        temperature=Number(0.0, -2.0, 2.0, text="Colder below 0, warmer above; greys keep their brightness."),
    )
    def scene(
        self, files: tuple[str, ...], axes: str, stand: str, places: tuple[tuple[float, float, float], ...],
        apart: bool, degree: int, size: float, antialiased: str, exposure: float, contrast: float, saturation: float,
        temperature: float,
    ) -> Iterator[float | Scene]:  # fmt: skip
        """All files together, upright and graded; what cannot be read is told in a line."""
        for there in self._things(files, MANY if stand == "as it is" else 0):
            if isinstance(there, Together):
                yield from self._stood(there, files, axes, stand, places, apart, degree, size, antialiased,
                                       Grade(exposure, contrast, saturation, temperature))  # fmt: skip
            else:
                yield there

    def _stood(
        self, there: Together, files: tuple[str, ...], axes: str, stand: str,
        places: tuple[tuple[float, float, float], ...], apart: bool, degree: int, size: float, antialiased: str,
        grade: Grade,
    ) -> Iterator[float | Scene]:  # fmt: skip
        """What there is of the files as the controls want it."""
        things, notices = there.things, there.notices
        turned = AXES[axes]
        matrix, said = turned, ""
        grips: tuple[np.ndarray, ...] = ()
        if stand != "as it is":
            key = (files, there.stamps, axes)
            if key not in self._grounds:
                self._grounds = {key: (yield from _scaled(ground(_solid_places(things, turned), UP), 0.9, 1.0))}
            found = self._grounds[key]
            if stand == "three places":
                own = places if places != UNSET else _on_ground(things, turned, found)
                at = np.asarray(own, np.float64)
                try:
                    found = plane_through(at @ turned[:3, :3].T + turned[:3, 3], UP)
                except BadValue as e:
                    notices, found = (*notices, f"{e}."), None
                grips = (at,)
            elif found is None:
                notices = (*notices, "No ground was found: no plane near level has most splats on or above it.")
            else:
                tilt = np.degrees(np.arccos(np.clip(found.normal @ UP, -1, 1)))
                said = f"The ground leant by {tilt:.1f}° and has {found.share:.0%} of the splats on it."
            if found is not None:
                matrix = levelled(found, UP) @ turned
        shifts = _side_by_side(things, matrix) if apart else [np.eye(4)] * len(things)
        shown = [
            self._dressed(t, shift @ matrix, degree, size, antialiased, grade)
            for t, shift in zip(things, shifts, strict=True)
        ]
        self._graded = {name: kept for name, kept in self._graded.items() if name in {t.name for t in shown}}
        low, high = extent(np.concatenate([*_places(shown, np.eye(4)), np.zeros((0, 3))]), OUTSIDE)
        handles = tuple(
            Handles(name="Three places", at=at.astype(np.float32), control="places", transform=matrix, colour="green",
                    texts=("1", "2", "3"), links=np.array([[0, 1], [1, 2], [2, 0]], np.int32))
            for at in grips
        )  # fmt: skip
        yield Scene(
            (*shown, *handles),
            "z",
            said or (HOW if not files else FIRST if there.progress < 1 else _line(shown) if len(shown) == 1 else ""),
            readings=_readings(shown, files) if there.progress == 1 else {},
            table=tuple(_row(t) for t in shown if isinstance(t, Splats)) if len(shown) > 1 else (),
            table_heads=("Splats", "Number", "Degree"),
            notices=notices,
            home=_home(low, high) if any(isinstance(t, Splats) for t in shown) else None,
            progress=there.progress,
            world=turned,
        )

    @probe(
        Bars,
        title="Spread",
        files=FILES,
        quantity=Choice(("size", *(q.key for q in QUANTITIES if q.key != "size")), text="Which number of every splat."),
    )
    def spread(self, files: tuple[str, ...], quantity: str) -> Iterator[float | Bars]:
        """How opacities, sizes or colours are spread over the splats: where the bulk is, and what lies far off it."""
        things = (yield from self._whole(files)).things
        known = next(q for q in QUANTITIES if q.key == quantity)
        values = {}
        for k, thing in enumerate(things):
            found = yield from _scaled(values_of(thing, quantity), k / len(things), (k + 1) / len(things))
            if found is not None and isinstance(thing, Splats):
                values[thing.name] = found
        if not values:
            raise BadValue("files: none of them has splats; open a .ply, .splat or .spz file that has some")
        histogram = spread(values, known.log, SPREAD_BINS)
        middles = np.sqrt(histogram.edges[1:] * histogram.edges[:-1]) if known.log else (
            histogram.edges[1:] + histogram.edges[:-1]) / 2  # fmt: skip
        every = np.concatenate([seen(v, known.log) for v in values.values()])
        low, middle, high = np.quantile(every, [0.05, 0.5, 0.95])
        low, middle, high = (10.0**v if known.log else v for v in (low, middle, high))
        yield Bars(
            histogram.counts.astype(np.float32),
            names=tuple(f"{v:.2g}" for v in middles),
            value_name="splats",
            caption=f"{known.title}: half of the {len(every):,} splats are below {middle:.3g}, nine in ten between "
            f"{low:.3g} and {high:.3g}.",
        )

    @probe(
        Scene,
        title="Surface",
        files=FILES,
        axes=WAY_UP,
        views=Number(24, 6, 80, text="From how many sides the splats are looked at."),
        detail=Number(96, 24, 256, text="Voxels along the longest side: what is thinner than one is lost."),
    )
    def surface(self, files: tuple[str, ...], axes: str, views: int, detail: int) -> Iterator[float | Scene]:
        """A mesh of the splats: their depths are rendered from all round and averaged as a signed distance. Of a room
        that was captured from within it finds the outside."""
        there = yield from self._whole(files)
        standing = []
        for thing in there.things:
            if isinstance(thing, Splats):
                turned = AXES[axes] if thing.transform is None else AXES[axes] @ np.asarray(thing.transform)
                standing.append((yield from _scaled(in_world(replace(thing, transform=turned)), 0.0, 0.1)))
        if not standing:
            raise BadValue("files: none of them has splats; open a .ply, .splat or .spz file that has some")
        views, detail = (max(6, views // 3), max(24, detail // 2)) if self.dragging else (views, detail)
        mesh = yield from _scaled(surface(standing, self.device, views, detail), 0.1, 1.0)
        low, high = extent(np.concatenate([s.xyz[:: max(1, len(s.xyz) // LOOKED_AT)] for s in standing]), OUTSIDE)
        yield Scene(
            (mesh,),
            "z",
            "" if len(mesh.faces) else "The views agree on no surface: the splats are too faint.",
            readings={"vertices": float(len(mesh.vertices)), "triangles": float(len(mesh.faces))},
            notices=there.notices,
            home=_home(low, high),
            world=AXES[axes],
        )

    def _things(self, files: tuple[str, ...], large: int = 0) -> Iterator[float | Together]:
        """What is in the files, of many splats with ``large`` a part at first; the example where there are none."""
        if files:
            yield from self._shelf.together(files, large)
            return
        if not self._example.things:
            self._example = Together((still_life(),))
        yield self._example

    def _whole(self, files: tuple[str, ...]) -> Generator[float, None, Together]:
        """What is in the files, all of it."""
        last = Together()
        for part in self._things(files):
            if isinstance(part, Together):
                last = part
            else:
                yield part
        return last

    def _dressed(
        self, thing: Thing, matrix: np.ndarray, degree: int, size: float, antialiased: str, grade: Grade
    ) -> Thing:
        """A thing as the controls want it."""
        own = None if thing.transform is None else np.asarray(thing.transform, np.float64)
        whole = matrix if own is None else matrix @ own
        if not isinstance(thing, Splats):
            return replace(thing, transform=whole)
        smooth = thing.antialiased if antialiased == "as the file says" else antialiased == "on"
        quick = self.dragging and len(thing.xyz) > MANY
        sh = thing.sh[:, :1] if quick and not grade.neutral else thing.sh
        kept = self._graded.get(thing.name)
        if kept is None or kept[0] is not thing.sh or kept[1] != grade or kept[2].shape != sh.shape:
            kept = (thing.sh, grade, graded(sh, grade))
            if not quick:
                self._graded[thing.name] = kept
        return replace(thing, transform=whole, degree=degree, size=size * thing.size, antialiased=smooth, sh=kept[2])


def _scaled(steps: Generator[float, None, Any], lo: float, hi: float) -> Generator[float, None, Any]:
    """``steps`` with its progress within ``lo``..``hi``."""
    while True:
        try:
            part = next(steps)
        except StopIteration as end:
            return end.value
        yield min(0.999, lo + (hi - lo) * float(part))


def _places(things: Sequence[Thing], matrix: np.ndarray, least: float = 0.0) -> list[np.ndarray]:
    """Where the splats of an alpha of at least ``least`` are, by ``matrix`` after their own: some ten thousands of each
    thing, float64 (N, 3)."""
    out = []
    for thing in things:
        if isinstance(thing, Splats):
            step = slice(None, None, max(1, len(thing.xyz) // LOOKED_AT))
            xyz = np.asarray(thing.xyz[step], np.float64)[alpha_of(thing.opacity[step]) >= least]
            whole = matrix if thing.transform is None else matrix @ np.asarray(thing.transform, np.float64)
            out.append((xyz + np.asarray(thing.origin)) @ whole[:3, :3].T + whole[:3, 3])
    return out


def _side_by_side(things: Sequence[Thing], matrix: np.ndarray) -> list[np.ndarray]:
    """Matrices (4, 4) that set things of splats one to the right of the other, as they stand by ``matrix``."""
    out, edge = [], None
    for thing in things:
        shift, places = np.eye(4), _places([thing], matrix, SOLID)
        if places and len(places[0]):
            low, high = extent(places[0], OUTSIDE)
            shift[0, 3] = 0.0 if edge is None else edge - low[0]
            edge = float(high[0] + shift[0, 3] + GAP * (high[0] - low[0]))
        out.append(shift)
    return out


def _solid_places(things: Sequence[Thing], matrix: np.ndarray) -> np.ndarray:
    return np.concatenate([*_places(things, matrix, SOLID), np.zeros((0, 3))])


def _on_ground(things: Sequence[Thing], turned: np.ndarray, found: Ground | None) -> tuple[tuple[float, ...], ...]:
    """Three places to begin with, in the files' axes: wide apart, on the ground if one is known, else at the bottom."""
    low, high = extent(_solid_places(things, turned))
    middle, reach = (low + high) / 2, 0.35 * float((high - low)[:2].min())
    out = []
    for angle in np.radians([90, 210, 330]):
        x, y = middle[:2] + reach * np.array([np.cos(angle), np.sin(angle)])
        z = low[2] if found is None else (found.level - found.normal[:2] @ [x, y]) / found.normal[2]
        out.append(tuple((np.linalg.inv(turned) @ [x, y, z, 1])[:3].tolist()))
    return tuple(out)


def _home(low: np.ndarray, high: np.ndarray) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """A camera that sees where nearly all splats are: floaters far away do not make all else small."""
    middle, radius = (low + high) / 2, max(float(np.linalg.norm(high - low)) / 2, 1e-6)
    way = np.array([0.6, -0.75, 0.42])
    eye = middle + way / np.linalg.norm(way) * radius * 3.0
    return tuple(eye.tolist()), tuple(middle.tolist())


def _readings(things: Sequence[Thing], files: Sequence[str]) -> dict[str, float]:
    """Numbers over the picture."""
    splats = [t for t in things if isinstance(t, Splats)]
    count = sum(len(t.xyz) for t in splats)
    out = {"splats": float(count)}
    held = sum(a.nbytes for t in splats for a in (t.xyz, t.scales, t.turns, t.opacity, t.sh))
    out["MB in memory"] = round(held / 1e6, 1)
    if files and count:
        on_disk = sum(stamp_of(path)[1] for path in files)
        out |= {"MB on disk": round(on_disk / 1e6, 1), "bytes a splat": round(on_disk / count, 1)}
    return out


def _row(splats: Splats) -> tuple[str, ...]:
    """A line of the table."""
    return splats.name, f"{len(splats.xyz):,}", str(degree_of(splats.sh.shape[1]))


def _line(things: Sequence[Thing]) -> str:
    """What is said of one file: its degree, how far it reaches in the scene, how much of it is faint."""
    splats = things[0]
    if not isinstance(splats, Splats):
        return ""
    step = slice(None, None, max(1, len(splats.xyz) // LOOKED_AT))
    low, high = extent(np.asarray(splats.xyz[step]) @ np.asarray(splats.transform)[:3, :3].T)
    faint = float(np.mean(alpha_of(splats.opacity[step]) < 0.1))
    sizes = " × ".join(f"{v:.3g}" for v in high - low)
    smooth = "; antialiased" if splats.antialiased else ""
    return f"Degree {degree_of(splats.sh.shape[1])}, {sizes} wide; {faint:.0%} fainter than 0.1{smooth}."
