"""Splats of a scene as pictures that the CUDA device computes, in place of OpenGL's triangles: when that can be, which
of the two is taken, and what the view lane is asked for (``engine/nn/splatting/shown.py``). Draws nothing.

All things' splats are sorted among each other there. Not for what OpenGL alone can do: solid things that hide splats,
parallel views, normals, pictures in tiles.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from OpenGL import GL

from widgets.viewport.drawing.shot import MARKED, Shot
from widgets.viewport.drawing.splats.choice import COMPUTED, OPENGL, Stopwatch, choice
from widgets.viewport.drawing.splats.item import Ask, SplatsItem
from widgets.viewport.drawing.splats.layer import Layer

JOB = "nn.splatting.shown.picture"
TRIES = 2
"""Pictures of a trial, the last of which counts: the first has to copy the splats to the device, and may compile."""


class Computed:
    """The last picture computed, and what the next one is asked for."""

    def __init__(self) -> None:
        self._picture: Any = None
        self._token: tuple[Any, ...] = ()
        """What the picture is of: size, things, camera."""
        self._asked: tuple[Any, ...] = ()
        self._refused = False
        self.stopwatch = Stopwatch()
        """Of what OpenGL draws."""
        self._timed = 0, 0
        self.number = 0
        """Of the picture."""

    # ---- which way --------------------------------------------------------------------------------------------------

    def can(self, items: Sequence[SplatsItem], solid: Sequence[Any], shot: Shot) -> bool:
        """Whether a picture of ``items`` could be computed: there is a CUDA device, known by orders that came from it,
        and nothing that it cannot do."""
        return (
            not self._refused and bool(items) and not solid and shot.perspective > 0 and shot.whole is None
            and shot.style.mode in ("shaded", "depth") and all(item.on_card and item.is_plain for item in items)
        )  # fmt: skip

    def chosen(self, items: Sequence[SplatsItem], solid: Sequence[Any], shot: Shot) -> bool:
        """Whether it is to be computed, as far as is known."""
        return self.can(items, solid, shot) and choice.way(_class(items, shot)) == COMPUTED

    # ---- what is asked for ------------------------------------------------------------------------------------------

    def ask(self, items: Sequence[SplatsItem], shot: Shot) -> Ask | None:
        """The picture for ``shot``; None where it is there, or one is under way: that one is not given up for the next
        place of a camera that moves."""
        token = _token(items, shot)
        if token == self._token or (self._asked and self._asked[:2] == token[:2]):
            return None
        self._asked = token
        return self._job(items, shot, token)

    def time_opengl(self, items: Sequence[SplatsItem], shot: Shot) -> None:
        """OpenGL begins a whole picture: it is timed, where that is not known."""
        self.stopwatch.reset()
        self._timed = _class(items, shot)
        self.stopwatch.running = choice.lacks(self._timed) == OPENGL

    def trial(self, items: Sequence[SplatsItem], shot: Shot, layer: Layer | None) -> Ask | None:
        """A picture for its time only, once OpenGL's is known; it is sent to ``layer``."""
        seconds = self.stopwatch.read()
        if seconds is not None:
            self.stopwatch.reset()
            choice.took(self._timed, OPENGL, seconds)
        size = _class(items, shot)
        if choice.lacks(size) != COMPUTED or self._asked:
            return None
        self._asked = "trial", size, layer
        return self._job(items, shot, self._asked)

    @staticmethod
    def _job(items: Sequence[SplatsItem], shot: Shot, token: tuple[Any, ...]) -> Ask:
        parts = [item.part(shot) for item in items]
        values: dict[str, Any] = {
            "parts": parts, "projection": shot.projection, "width": shot.width, "height": shot.height,
            "near_far": shot.near_far, "mark": MARKED, "times": TRIES if token[0] == "trial" else 1,
        }  # fmt: skip
        return Ask(JOB, values, token, "picture of splats")

    def take(self, ask: Ask, answer: Any) -> None:
        """What came of a job."""
        self._asked = ()
        if ask.token[0] != "trial":
            self._picture, self._token, self.number = answer, ask.token, self.number + 1
            return
        _, size, layer = ask.token
        # In the midst of a picture there is none to replace: then another time.
        if (
            layer is not None
            and layer.alive
            and layer.key
            and layer.size == (ask.arguments["width"], ask.arguments["height"])
        ):
            GL.glFinish()
            begin = time.perf_counter()
            layer.take(answer, ())
            GL.glFinish()
            choice.took(size, COMPUTED, answer.seconds + time.perf_counter() - begin)

    def give_up(self) -> None:
        """OpenGL has to do, for good."""
        self._refused, self._asked = True, ()

    @staticmethod
    def complaint(line: str) -> str:
        return f"OpenGL draws the splats, since CUDA could not: {line}."

    # ---- pictures ---------------------------------------------------------------------------------------------------

    def suits(self, items: Sequence[SplatsItem], shot: Shot, moving: bool) -> bool:
        """Whether the picture does for ``shot``: for a camera that moves, that of a moment ago."""
        token = _token(items, shot)
        return token[:2] == self._token[:2] if moving else token == self._token

    def put(self, layer: Layer) -> None:
        """The picture into ``layer``, where it is not in it already."""
        key = "computed", id(self), self.number
        if layer.key != key:
            layer.take(self._picture, key)


def _class(items: Sequence[SplatsItem], shot: Shot) -> tuple[int, int]:
    return choice.class_of(sum(item.there for item in items), shot.width * shot.height)


def _token(items: Sequence[SplatsItem], shot: Shot) -> tuple[Any, ...]:
    style = shot.style.mode, shot.style.point_scale
    camera = shot.view.tobytes(), shot.projection.tobytes(), shot.planes.tobytes(), shot.near_far
    return (shot.width, shot.height, style), tuple(item.fingerprint() for item in items), camera
