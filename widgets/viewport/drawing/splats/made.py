"""What follows from splats' numbers for one camera, worked out once per splat: pixels of textures, which the corners of
what is drawn read. Knows neither the camera nor the splats.

A vertex shader would do all of it once per corner: the projection, the ellipse and up to 16 harmonics. Drawn is one
triangle, not the two of a quad: of splats of a few pixels most of the time goes into setting up triangles.
"""

from __future__ import annotations

import ctypes

import numpy as np
from OpenGL import GL

from widgets.viewport.drawing.gpu import Buffer, Gpu, Program, Texture, Vao, free_all, set_flags
from widgets.viewport.drawing.splats import shaders as shaders_splats

ROW = 1024
"""Splats in a row of the textures."""
CHUNK = 1 << 17
"""Splats that are made and then drawn at once: what is made of them stays in a graphics card's cache."""
QUADS = 1 << 15
"""Ellipsoids in one call: the numbers of their corners are shared by all calls."""


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


class Made:
    """Three numbers of four a splat: place, half axes, colour. RuntimeError where they cannot be drawn into."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._vao = Vao()
        self._textures = [Texture(ROW, CHUNK // ROW, "four") for _ in range(3)]
        self._handle = int(GL.glGenFramebuffers(1))
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._handle)
        places = [GL.GL_COLOR_ATTACHMENT0 + k for k in range(3)]
        for place, texture in zip(places, self._textures, strict=True):
            GL.glFramebufferTexture2D(GL.GL_FRAMEBUFFER, place, GL.GL_TEXTURE_2D, texture.handle, 0)
        GL.glDrawBuffers(3, places)
        if GL.glCheckFramebufferStatus(GL.GL_FRAMEBUFFER) != GL.GL_FRAMEBUFFER_COMPLETE:
            self.free()
            raise RuntimeError("this OpenGL cannot draw into numbers of 32 bits")

    def fill(self, program: Program, many: int) -> None:
        """Makes the first ``many`` by ``program``, whose fragments they are."""
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._handle)
        GL.glViewport(0, 0, ROW, -(-many // ROW))
        set_flags({GL.GL_BLEND: False, GL.GL_DEPTH_TEST: False, GL.GL_CULL_FACE: False})
        self._gpu.fill_screen(program)

    def draw(self, many: int, opacity: float) -> None:
        """Their triangles, in order, into what is bound; ``opacity`` multiplies their alphas."""
        program = self._gpu.program(shaders_splats.SPLAT_VERTEX, shaders_splats.SPLAT_FRAGMENT, ROW=ROW)
        program.set(spots=4, forms=5, colours=6, opacity=opacity)
        for unit, texture in enumerate(self._textures, 4):
            texture.bind(unit)
        self._vao.bind()
        GL.glDrawArrays(GL.GL_TRIANGLES, 0, 3 * many)

    def free(self) -> None:
        GL.glDeleteFramebuffers(1, [self._handle])
        free_all([self._vao, *self._textures])
