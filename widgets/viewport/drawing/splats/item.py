"""Gaussian splats among the things of a scene: in which order they are wanted, and how they are drawn. Sorts nothing.

What is sent once are the textures of :mod:`splats_rows`; per camera only the splats' numbers, farthest first, which
the view lane works out (``engine/geometry/splats/order.py``). Until the order for a picture is there, the picture
before stays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL

from engine.scene import Splats
from widgets.viewport.drawing import shaders_over
from widgets.viewport.drawing.gpu import Gpu, Matrix, Program, Vao, free_all
from widgets.viewport.drawing.shot import Array, Shot, world_of
from widgets.viewport.drawing.splats import shaders as shaders_splats
from widgets.viewport.drawing.splats.layer import Layer
from widgets.viewport.drawing.splats.made import CHUNK, QUADS, ROW, Made, Quads
from widgets.viewport.drawing.splats.rows import TEXELS, Ids, Rows, best_degree, packed_body, packed_tint, room_of
from widgets.viewport.drawing.streams import FlagPicture, Item, Plan
from widgets.viewport.style import SPLATS_AS, Changes

COST = 6
"""A splat counts as so many points in what a frame may draw."""
POINT = 2.0
"""Pixels of a centre point."""
ELLIPSOID, FAINTEST = 1.5, 0.1
"""Deviations at which an ellipsoid ends, and the alpha below which it is left out."""
HELD = 1.3
"""Times the tangent of half the field of view at which 3DGS holds the linearised lens."""


@dataclass(frozen=True)
class Ask:
    """A job of the view lane for one item; ``token`` says what its answer is for."""

    job: str
    arguments: dict[str, Any]
    token: tuple[Any, ...]
    key: str = ""
    """The view lane works on the newest ask of each."""


class SplatsItem(Item):
    """``rest`` is what is still to be drawn of the picture begun by :meth:`begin`, in points' units."""

    thing: Splats
    shown_thing: Splats

    def __init__(self, gpu: Gpu, thing: Splats) -> None:
        super().__init__(thing)
        self._gpu = gpu
        self._vao = Vao()
        self._quads: Quads | None = None
        """Of ellipsoids."""
        self._ids = Ids()
        self._worth: tuple[Any, Any] = (None, None)
        """An opacity array, and the worths of its splats."""
        self._order: tuple[Any, ...] = ()
        """What the order on the card is for: kind, places, camera."""
        self._asked: tuple[Any, ...] = ()
        self._unsorted: Any = None
        """The places that no order could be worked out for."""
        self._swell = 1.0
        self._marks: NDArray[np.float32] = np.zeros(0, np.float32)
        """How far ahead every ``_stretch``-th of the ids is, falling."""
        self._stretch = 1
        self._all = self._drawn = 0
        self._version = 0
        """Another one for each change of the textures or the order."""
        self._parts: list[Any] = []
        self._lacking = False
        self.on_card = False
        """Whether the order was made on a CUDA device."""

    # ---- what is sent -----------------------------------------------------------------------------------------------

    @property
    def show(self) -> str:
        """One of :data:`SPLATS_AS`."""
        wanted = self.changes.colour_by or ""
        return "points" if self._lacking else wanted if wanted in SPLATS_AS else ""

    @property
    def is_solid(self) -> bool:
        """Whether it is drawn as points or bodies that hide each other."""
        return self.show in ("ellipsoids", "points")

    def want(self, thing: Any, changes: Changes) -> None:
        super().want(thing, changes)
        self.LAYER = "solid" if self.is_solid else "splats"

    def lack(self) -> None:
        """This card cannot blend splats: from now on centre points have to do."""
        self._lacking = True
        self.LAYER = "solid"

    def connect(self) -> None:
        now = list(self.shown.values())
        if len(now) != len(self._parts) or any(a is not b for a, b in zip(now, self._parts, strict=True)):
            self._version += 1
        self._parts = now

    def plan(self) -> Plan:
        splats, changes, largest = self.thing, self.changes, self._gpu.largest
        n = min(len(splats.xyz), room_of(largest))
        bodies = (splats.xyz, splats.scales, splats.turns, splats.opacity)
        texels = TEXELS[best_degree(splats.sh.shape[1], n, largest)]
        found: dict[str, Any] = {
            "body": (
                bodies,
                lambda: Rows(bodies, n, 3, "four", largest, lambda part: packed_body(splats, part), watch=True),
            ),
            "tint": (
                (splats.sh,),
                lambda: Rows(
                    (splats.sh,), n, texels, "half", largest, lambda part: packed_tint(splats.sh, part, texels)
                ),
            ),
        }
        if changes.keep is not None or changes.marked is not None:
            flags = (changes.keep, changes.marked, n)
            found["flags"] = (flags, lambda: FlagPicture(flags, changes.keep, changes.marked, n))
        return found

    @property
    def notice(self) -> str:
        """What the card has no room for, in one line, or nothing."""
        splats, largest = self.thing, self._gpu.largest
        n, coefficients = len(splats.xyz), splats.sh.shape[1]
        if n > room_of(largest):
            room = room_of(largest)
            return f"{splats.name}: OpenGL has room for {room:,} of the {n:,} splats here; the rest is left out."
        degree = best_degree(coefficients, n, largest)
        if (degree + 1) ** 2 < coefficients:
            return (
                f"{splats.name}: OpenGL has room for harmonics of degree {degree} here, not for all that the file has."
            )
        return ""

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        part = self.shown.get("body")
        return None if part is None or part.low is None else (part.low, part.high)

    @property
    def there(self) -> int:
        return min((part.done for part in self.shown.values()), default=0)

    @property
    def weight(self) -> int:
        return self.there * COST

    @property
    def degree(self) -> int:
        """Of the harmonics that are used."""
        has = next(degree for degree, texels in TEXELS.items() if texels == self.shown["tint"].texels)
        asked = self.shown_thing.degree
        return has if asked < 0 else min(has, asked)

    # ---- in what order ----------------------------------------------------------------------------------------------

    def ask(self, shot: Shot, budget: int, moving: bool, *, again: bool = False) -> Ask | None:
        """The job that is to be done before, or for a better, picture of ``shot``; None where it is done or under way.
        ``again`` asks for what is under way as well. ``budget`` in splats."""
        splats = self.shown_thing
        if not self.there or self._unsorted is splats.xyz:
            return None
        view = shot.view @ world_of(splats, self.changes)
        ahead = -view[2]
        worth = self._worth[1] if self._worth[0] is splats.opacity else None
        same: dict[str, Any] = {"xyz": splats.xyz, "ahead": ahead}
        if self.is_solid:
            ask = Ask("worth", {"opacity": splats.opacity, "scales": splats.scales}, ("rank", splats.xyz, b""))
        elif moving and worth is None:
            ask = Ask("worth", {"opacity": splats.opacity, "scales": splats.scales}, ("worth", splats.xyz, b""))
        elif moving:
            clip = shot.projection @ view
            token = "quick", splats.xyz, clip.tobytes() + str(budget).encode()
            ask = Ask("quick_order", {**same, "worths": worth, "clip": clip, "budget": budget}, token)
        else:
            token = "exact", splats.xyz, ahead.tobytes()
            ask = Ask("exact_order", {**same, "perspective": bool(shot.perspective)}, token)
        if _same(ask.token, self._order):
            self._asked = ()
            return None
        # One that is under way for a camera that moves is not given up for the next: else none would ever be done.
        quick = self._asked and self._asked[0] == ask.token[0] == "quick" and self._asked[1] is splats.xyz
        if not again and (quick or _same(ask.token, self._asked)):
            return None
        self._asked = ask.token
        return Ask(f"geometry.splats.order.{ask.job}", ask.arguments, ask.token, f"order {self.thing.name}")

    def take(self, ask: Ask, answer: Any) -> None:
        """What came of a job; nothing, where other splats are shown by now."""
        if _same(ask.token, self._asked):
            self._asked = ()
        kind, places, _ = ask.token
        if places is not self.shown_thing.xyz:
            return
        if kind in ("worth", "rank"):
            self._worth = ask.arguments["opacity"], answer
        if kind == "worth":
            return
        self._ids.fill(answer.rank if kind == "rank" else answer.ids)
        if kind == "rank":
            self._swell, self._marks = 1.0, np.zeros(0, np.float32)
        else:
            self._swell, self._marks, self._stretch = answer.swell, np.asarray(answer.marks), answer.stretch
        self.on_card = kind != "rank" and hasattr(answer.ids, "pointer")
        self._order = ask.token
        self._version += 1

    def complaint(self, line: str) -> str:
        """What a person is told where a job broke down for the reason ``line``."""
        return f"The splats of {self.thing.name} are not sorted: {line}."

    def give_up(self) -> None:
        """No order could be worked out: that in which they came has to do."""
        self._unsorted, self._asked, self._order = self.shown_thing.xyz, (), ()
        self._ids.fill(np.arange(len(self.shown_thing.xyz), dtype=np.uint32))
        self._swell, self._marks = 1.0, np.zeros(0, np.float32)
        self._version += 1

    def suits(self, shot: Shot, moving: bool) -> bool:
        """Whether the order that is there does for a picture: for a camera that moves, that of a moment ago."""
        if not self.there or self._unsorted is self.shown_thing.xyz:
            return True
        if not self._order or self._order[1] is not self.shown_thing.xyz:
            return False
        if self.is_solid:
            return bool(self._order[0] == "rank")
        if moving:
            return self._order[0] in ("quick", "exact")
        ahead = -(shot.view @ world_of(self.shown_thing, self.changes))[2]
        return self._order[0] == "exact" and self._order[2] == ahead.tobytes()

    # ---- pictures that are computed ---------------------------------------------------------------------------------

    @property
    def is_plain(self) -> bool:
        """Whether it shows nothing that only OpenGL can: it is as opaque as it is, and its transform is a turn with one
        scale."""
        turn = world_of(self.shown_thing, self.changes)[:3, :3]
        square = turn @ turn.T
        alike = np.allclose(square, np.eye(3) * square[0, 0], rtol=0, atol=1e-5 * abs(square[0, 0]))
        return bool(alike and square[0, 0] > 0) and self.show in ("", "alpha", "depth") and self._alpha() == 1.0

    def part(self, shot: Shot) -> dict[str, Any]:
        """What ``nn.splatting.shown.picture`` needs of it."""
        thing, flags = self.shown_thing, self.shown.get("flags")
        world = world_of(thing, self.changes)
        keep, marked = flags.sources[:2] if flags is not None else (None, None)
        return {
            "splats": thing, "view": shot.view @ world, "keep": keep, "marked": marked, "planes": shot.planes @ world,
            "size": thing.size * shot.style.point_scale,
            "by_depth": shot.style.mode == "depth" or self.show == "depth",
        }  # fmt: skip

    # ---- what is drawn ----------------------------------------------------------------------------------------------

    @property
    def rest(self) -> int:
        return (self._all - self._drawn) * COST

    def fingerprint(self) -> tuple[Any, ...]:
        """Two pictures by one camera are one where this is."""
        thing, place = self.shown_thing, world_of(self.shown_thing, self.changes).tobytes()
        return self._version, self.there, place, self.show, thing.degree, thing.size, thing.antialiased, self._alpha()

    def skip(self) -> None:
        """The picture of it is there already."""
        self._drawn = self._all

    def begin(self, shot: Shot, budget: int, moving: bool) -> None:
        """A new picture; ``budget`` in points' units, kept to where the hand is ``moving``."""
        self._drawn = 0
        self._all = self._ids.count if self.there else 0
        if self.is_solid and moving:
            self._all = min(self._all, max(1, budget // COST))

    def advance(self, shot: Shot, amount: int) -> int:
        """Draws the next splats as bodies or points, about ``amount`` in points' units; how much it was."""
        begin, end = self._next(amount)
        if self.show == "points":
            program = self._program(shot, shaders_splats.POINT_VERTEX, shaders_splats.POINT_FRAGMENT)
            program.set(size=POINT * shot.style.point_scale * shot.pixel, first=begin)
            self._vao.bind()
            GL.glDrawArrays(GL.GL_POINTS, 0, end - begin)
            return (end - begin) * COST
        lit: dict[str, Any] = {"SHADED": 1} if shot.style.mode == "shaded" and shot.style.light != "none" else {}
        program = self._program(shot, shaders_splats.ELLIPSOID_VERTEX, shaders_splats.ELLIPSOID_FRAGMENT, **lit)
        program.set(**self._ellipsoids(shot))
        self._quads = self._quads or Quads()
        for first in range(begin, end, QUADS):
            program.set(first=first)
            self._quads.draw(min(QUADS, end - first))
        return (end - begin) * COST

    @property
    def ahead(self) -> float:
        """How far ahead the next stretch begins; infinite where that is not known."""
        at = self._drawn // self._stretch
        return float(self._marks[at]) if at < len(self._marks) else math.inf

    def blend(self, shot: Shot, amount: int, made: Made, layer: Layer, until: float = -math.inf) -> int:
        """Blends the next splats into ``layer``, about ``amount`` in points' units, and only whole stretches of which
        the next one begins nearer than ``until``; how much it was."""
        begin = self._drawn
        if len(self._marks):
            nearer = np.searchsorted(-self._marks, -until, side="left")
            stretches = max(int(nearer), begin // self._stretch + 1)
            amount = min(amount, (stretches * self._stretch - begin) * COST)
        begin, end = self._next(amount)
        thing = self.shown_thing
        defines: dict[str, Any] = {"ROW": ROW, **({"ANTIALIASED": 1} if thing.antialiased else {})}
        for first in range(begin, end, CHUNK):
            many = min(CHUNK, end - first)
            program = self._program(shot, shaders_over.SCREEN_VERTEX, shaders_splats.MADE_FRAGMENT, **defines)
            program.set(size=thing.size * shot.style.point_scale * self._swell, first=first, many=many)
            made.fill(program, many)
            layer.bind()
            made.draw(many, self._alpha())
        return (end - begin) * COST

    def _next(self, amount: int) -> tuple[int, int]:
        begin, self._drawn = self._drawn, min(self._all, self._drawn + max(1, amount // COST))
        return begin, self._drawn

    def _program(self, shot: Shot, vertex: str, fragment: str, **defines: Any) -> Program:
        """With what is sent bound, and the camera's numbers set."""
        parts, show = self.shown, self.show
        world = world_of(self.shown_thing, self.changes)
        mode = shot.style.mode if shot.style.mode != "shaded" else show if show in ("depth", "normal") else "shaded"
        defines["DEGREE"] = self.degree
        if len(shot.planes):
            defines["PLANES"] = len(shot.planes)
        if "flags" in parts:
            defines["FLAGS"] = 1
        if mode in ("normal", "depth"):
            defines[f"BY_{mode.upper()}"] = 1
        program = self._gpu.program(vertex, fragment, **defines)
        program.set(**shot.place(world), **self._lens(shot, world))
        for name, unit, texture in (("body", 0, parts["body"].texture), ("tint", 1, parts["tint"].texture)):
            texture.bind(unit)
            program.set(**{name: unit, f"{name}_row": parts[name].per})
        program.set(ids=2, flags=3, there=self.there, tint_texels=parts["tint"].texels)
        self._ids.bind(2)
        if "flags" in parts:
            parts["flags"].texture.bind(3)
        return program

    def _alpha(self) -> float:
        """What the outline says; the thing's own ``opacity`` is an array."""
        return 1.0 if self.changes.opacity is None else self.changes.opacity

    def _ellipsoids(self, shot: Shot) -> dict[str, Any]:
        return {
            "size": ELLIPSOID * self.shown_thing.size * shot.style.point_scale, "faintest": FAINTEST,
            "projection": shot.projection.view(Matrix), "back_turn": shot.view[:3, :3].T,
        }  # fmt: skip

    @staticmethod
    def _lens(shot: Shot, world: Array) -> dict[str, Any]:
        p = shot.projection
        wide, tall = shot.whole or (shot.width, shot.height)
        focal = p[0, 0] * shot.width / 2, p[1, 1] * shot.height / 2
        back = np.linalg.inv(shot.view @ world)
        return {
            "focal": focal,
            "limit": (HELD * wide / 2 / focal[0], HELD * tall / 2 / focal[1]),
            "seen_from": back[:3, 3] if shot.perspective else back[:3, 2],
            "world_normal": shot.turns(world)["world_normal"],
        }

    def free(self) -> None:
        super().free()
        free_all([self._vao, self._ids, *([self._quads] if self._quads else [])])


def _same(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Whether two tokens are one: arrays by which they are."""
    return len(a) == len(b) and all(
        x is y or (not isinstance(x, np.ndarray) and x == y) for x, y in zip(a, b, strict=True)
    )
