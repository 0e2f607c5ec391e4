"""What follows from splats' numbers for one camera, worked out once per splat: pixels of textures, which the corners of
what is drawn read. Knows neither the camera nor the splats.

A vertex shader would do all of it once per corner: the projection, the ellipse and up to 16 harmonics. Drawn is one
triangle, not the two of a quad: of splats of a few pixels most of the time goes into setting up triangles.
"""

from __future__ import annotations

from OpenGL import GL

from widgets.viewport.drawing import shaders_splats
from widgets.viewport.drawing.gpu import Gpu, Program, Texture, Vao, free_all, set_flags

ROW = 1024
"""Splats in a row of the textures."""
CHUNK = 1 << 17
"""Splats that are made and then drawn at once: what is made of them stays in a graphics card's cache."""


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
