"""What Gaussian splats are blended into before they are laid over a picture. Knows no splat.

Colours and alpha are 16-bit floats: with eight bits a hundred faint splats would round each other away. Beside them
goes depth times alpha, whose quotient by alpha is the depth that the eye takes the pixel for; it is written to the
picture where more than half of the pixel is covered.
"""

from __future__ import annotations

from typing import Any

from OpenGL import GL

from widgets.viewport.drawing import shaders_over
from widgets.viewport.drawing.gpu import Gpu, Texture, free_all, set_flags
from widgets.viewport.drawing.shot import Shot
from widgets.viewport.drawing.splats import shaders as shaders_splats
from widgets.viewport.drawing.splats.sent import Sent


class Layer:
    """Of one picture's size, depth-tested against ``depth``. RuntimeError where the card cannot blend into floats."""

    def __init__(self, gpu: Gpu, width: int, height: int, depth: Texture) -> None:
        self._gpu = gpu
        self.size = width, height
        self._colour, self._distance = Texture(width, height, "half"), Texture(width, height, "one")
        self._handle = int(GL.glGenFramebuffers(1))
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._handle)
        places = GL.GL_COLOR_ATTACHMENT0, GL.GL_COLOR_ATTACHMENT1
        for place, texture in ((places[0], self._colour), (places[1], self._distance), (GL.GL_DEPTH_ATTACHMENT, depth)):
            GL.glFramebufferTexture2D(GL.GL_FRAMEBUFFER, place, GL.GL_TEXTURE_2D, texture.handle, 0)
        GL.glDrawBuffers(2, list(places))
        if GL.glCheckFramebufferStatus(GL.GL_FRAMEBUFFER) != GL.GL_FRAMEBUFFER_COMPLETE:
            self.free()
            raise RuntimeError("this OpenGL cannot blend into numbers of 16 bits")
        self.key: tuple[object, ...] = ()
        """What the picture in it is one of, () while it is none: see the painter."""
        self.alive = True
        self._sent: tuple[Sent, Sent] | None = None

    def clear(self) -> None:
        self.key = ()
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._handle)
        GL.glClearColor(0.0, 0.0, 0.0, 0.0)
        GL.glClear(GL.GL_COLOR_BUFFER_BIT)

    def bind(self) -> None:
        """From now on splats are drawn into it, farthest first, behind what is solid not at all."""
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._handle)
        GL.glViewport(0, 0, *self.size)
        set_flags({GL.GL_BLEND: True, GL.GL_DEPTH_TEST: True, GL.GL_CULL_FACE: False})
        GL.glBlendFunc(GL.GL_ONE, GL.GL_ONE_MINUS_SRC_ALPHA)
        GL.glDepthFunc(GL.GL_LEQUAL)
        GL.glDepthMask(False)

    def take(self, picture: Any, key: tuple[object, ...]) -> None:
        """A picture from elsewhere, of this size: ``colour`` and ``distance`` are what the textures hold (see
        :class:`Sent`)."""
        self._sent = self._sent or (Sent(self._colour), Sent(self._distance))
        self.key = ()
        for sent, plane in zip(self._sent, (picture.colour, picture.distance), strict=True):
            sent.send(plane)
        self.key = key

    @property
    def shares(self) -> bool:
        """Whether what was taken came without going round by the processor."""
        return self._sent is not None and all(sent.can_share for sent in self._sent)

    def lay(self, shot: Shot, by_alpha: bool) -> None:
        """Over the target that is bound, with its depth; ``by_alpha`` as greys that say how much is covered."""
        p = shot.projection
        program = self._gpu.program(shaders_over.SCREEN_VERTEX, shaders_splats.LAY_FRAGMENT)
        program.set(layer=0, distances=1, by_alpha=by_alpha, lens=(p[2, 2], p[2, 3], p[3, 2], p[3, 3]))
        self._colour.bind(0)
        self._distance.bind(1)
        GL.glBlendFunc(GL.GL_ONE, GL.GL_ONE_MINUS_SRC_ALPHA)
        GL.glDepthFunc(GL.GL_ALWAYS)  # they have been held against what is solid, one by one
        for number in (0, 1):
            GL.glDepthMask(number == 1)
            GL.glColorMask(*[number == 0] * 4)
            program.set(pass_=number)
            self._gpu.fill_screen(program)
        GL.glColorMask(True, True, True, True)
        GL.glDepthMask(True)
        GL.glDepthFunc(GL.GL_LEQUAL)

    def free(self) -> None:
        self.alive = False
        free_all(self._sent or ())
        GL.glDeleteFramebuffers(1, [self._handle])
        free_all([self._colour, self._distance])
