"""Which of two ways draws splats sooner on this machine: OpenGL's triangles, or pictures computed on the CUDA device.

Knows neither: it is told what each took, by the size of the scene, and remembers that while the program runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from OpenGL import GL

OPENGL, COMPUTED = "opengl", "computed"
BETTER = 0.8
"""Computed pictures have to take less than this share of OpenGL's time: they come a moment later."""


@dataclass
class _Found:
    opengl: float | None = None
    computed: float | None = None


@dataclass
class Choice:
    """By classes: splats and pixels to within a factor of two."""

    _found: dict[tuple[int, int], _Found] = field(default_factory=dict)

    @staticmethod
    def class_of(splats: int, pixels: int) -> tuple[int, int]:
        return splats.bit_length(), pixels.bit_length()

    def way(self, size: tuple[int, int]) -> str:
        """What to draw by; OpenGL until both are known."""
        found = self._found.get(size, _Found())
        if found.opengl is None or found.computed is None:
            return OPENGL
        return COMPUTED if found.computed < BETTER * found.opengl else OPENGL

    def lacks(self, size: tuple[int, int]) -> str:
        """Which way is to be measured next, '' none."""
        found = self._found.get(size, _Found())
        return OPENGL if found.opengl is None else COMPUTED if found.computed is None else ""

    def took(self, size: tuple[int, int], way: str, seconds: float) -> None:
        """A whole picture by ``way`` took ``seconds``."""
        found = self._found.setdefault(size, _Found())
        if way == OPENGL:
            found.opengl = seconds
        else:
            found.computed = seconds


choice = Choice()
"""Of this process."""


class Stopwatch:
    """How long the graphics card takes over what is drawn in stretches, without waiting for it."""

    def __init__(self) -> None:
        self.running = False
        """Whether :meth:`lap` counts."""
        self._done = False
        self._queries: list[int] = []

    @contextmanager
    def lap(self) -> Iterator[None]:
        """What is drawn within is counted."""
        if not self.running:
            yield
            return
        self._queries.append(int(np.atleast_1d(GL.glGenQueries(1))[0]))
        GL.glBeginQuery(GL.GL_TIME_ELAPSED, self._queries[-1])
        try:
            yield
        finally:
            GL.glEndQuery(GL.GL_TIME_ELAPSED)

    def stop(self) -> None:
        """That was all."""
        self._done, self.running = self.running, False

    def read(self) -> float | None:
        """Seconds; None before :meth:`stop`, and until the card is done."""
        if not self._done or not all(_number(query, GL.GL_QUERY_RESULT_AVAILABLE) for query in self._queries):
            return None
        return sum(_number(query, GL.GL_QUERY_RESULT) for query in self._queries) * 1e-9

    def reset(self) -> None:
        """Nothing has been counted."""
        self.running = self._done = False
        if self._queries:
            GL.glDeleteQueries(len(self._queries), self._queries)
        self._queries = []


def _number(query: int, what: int) -> int:
    return int(np.atleast_1d(GL.glGetQueryObjectuiv(query, what))[0])
