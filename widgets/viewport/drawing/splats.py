"""Gaussian splats among the things of a scene: in which order they are wanted, and how they are drawn. Sorts nothing.

What is sent once are the textures of :mod:`splats_rows`; per camera only the splats' numbers, farthest first, which
the view lane works out (``engine/geometry/splats_order.py``). Until the order for a picture is there, the picture
before stays.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL

from engine.scene import Splats
from widgets.viewport.drawing import shaders_over, shaders_splats
from widgets.viewport.drawing.gpu import Buffer, Gpu, Matrix, Program, Vao, free_all
from widgets.viewport.drawing.shot import Array, Shot, world_of
from widgets.viewport.drawing.splats_layer import Layer
from widgets.viewport.drawing.splats_made import CHUNK, ROW, Made
from widgets.viewport.drawing.splats_rows import TEXELS, Ids, Rows, best_degree, packed_body, packed_tint, room_of
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


QUADS = 1 << 15
"""Ellipsoids in one call: the numbers of their corners are shared by all calls."""


@dataclass(frozen=True)
class Ask:
    """A job of the view lane for one item; ``token`` says what its answer is for."""

    job: str
    arguments: dict[str, Any]
    token: tuple[Any, ...]


class Quads:
    """Up to ``QUADS`` squares of two triangles whose vertices have the numbers 4 k to 4 k + 3."""

    def __init__(self) -> None:
        self._vao = Vao()
        corners = np.arange(QUADS, dtype=np.uint32)[:, None] * np.uint32(4) + np.array([0, 1, 2, 1, 3, 2], np.uint32)
        self._corners = Buffer(corners.nbytes, GL.GL_ELEMENT_ARRAY_BUFFER)
        self._corners.fill(0, corners)
        self._vao.index(self._corners)

    def draw(self, many: int) -> None:
        self._vao.bind()
        GL.glDrawElements(GL.GL_TRIANGLES, 6 * many, GL.GL_UNSIGNED_INT, ctypes.c_void_p(0))

    def free(self) -> None:
        free_all([self._vao, self._corners])


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
        self._all = self._drawn = 0
        self._version = 0
        """Another one for each change of the textures or the order."""
        self._parts: list[Any] = []
        self._lacking = False

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
        return Ask(f"splats_order.{ask.job}", ask.arguments, ask.token)

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
        self._swell = 1.0 if kind == "rank" else answer.swell
        self._order = ask.token
        self._version += 1

    def give_up(self) -> None:
        """No order could be worked out: that in which they came has to do."""
        self._unsorted, self._asked, self._order = self.shown_thing.xyz, (), ()
        self._ids.fill(np.arange(len(self.shown_thing.xyz), dtype=np.uint32))
        self._swell = 1.0
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
        values = (
            self._ellipsoids(shot)
            if self.show == "ellipsoids"
            else {"size": POINT * shot.style.point_scale * shot.pixel}
        )
        shaders = (
            (shaders_splats.ELLIPSOID_VERTEX, shaders_splats.ELLIPSOID_FRAGMENT)
            if self.show == "ellipsoids"
            else (shaders_splats.POINT_VERTEX, shaders_splats.POINT_FRAGMENT)
        )
        shaded = self.show == "ellipsoids" and shot.style.mode == "shaded" and shot.style.light != "none"
        program = self._program(shot, *shaders, **({"SHADED": 1} if shaded else {}))
        program.set(**values)
        if self.show == "points":
            self._vao.bind()
            program.set(first=begin)
            GL.glDrawArrays(GL.GL_POINTS, 0, end - begin)
            return (end - begin) * COST
        self._quads = self._quads or Quads()
        for first in range(begin, end, QUADS):
            program.set(first=first)
            self._quads.draw(min(QUADS, end - first))
        return (end - begin) * COST

    def blend(self, shot: Shot, amount: int, made: Made, layer: Layer) -> int:
        """Blends the next splats into ``layer``, about ``amount`` in points' units; how much it was."""
        begin, end = self._next(amount)
        thing = self.shown_thing
        defines = {"ROW": ROW, **({"ANTIALIASED": 1} if thing.antialiased else {})}
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
