"""The textures that a picture goes through, the ground behind it, eye-dome lighting, and reading it back.

Solid things are drawn into ``solid``, over several paints if they are many. ``final`` takes a copy of that, with
eye-dome lighting where it is wanted, and the lines, see-through things and signs over it; both share one depth texture.
``out`` is ``final`` upside down, since OpenGL's first row is the lowest, and at the size that is read back.

Eye-dome lighting: Boucheny, Interactive Scientific Visualization of Large Datasets (2009), as in Potree: a pixel is
darkened by exp(-s * sum max(0, log2 d - log2 d_i)) over four neighbours' distances d_i.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL

from widgets.viewport.colours import rgb
from widgets.viewport.drawing import shaders_over
from widgets.viewport.drawing.gpu import Gpu, Target, Texture, free_all, set_flags
from widgets.viewport.drawing.shot import Shot
from widgets.viewport.drawing.splats.layer import Layer


class Stage:
    """Targets of one size: ``width`` x ``height`` drawn, ``out_width`` x ``out_height`` read back."""

    def __init__(self, gpu: Gpu, width: int, height: int, out_width: int, out_height: int) -> None:
        self._gpu = gpu
        self.size = (width, height, out_width, out_height)
        self._depth = Texture(width, height, "depth")
        colours = [Texture(width, height, smooth=True) for _ in range(2)]
        self._out_colour = Texture(out_width, out_height)
        self._textures = [self._depth, *colours, self._out_colour]
        self._solid = Target(colours[0], self._depth)
        self._final = Target(colours[1], self._depth)
        # A depth texture that is read may not be drawn into at the same time, so the lighting goes to one without.
        self._final_plain = Target(colours[1])
        self._out = Target(self._out_colour)
        self.splats: Layer | None = None
        self._ground: Target | None = None
        self._ground_key: tuple[object, ...] = ()

    def begin(self, shot: Shot, part: tuple[float, float] = (0.0, 1.0)) -> None:
        """Clears, and paints the ground; ``part`` is which piece of the whole picture's height this is, from below."""
        set_flags({GL.GL_BLEND: False, GL.GL_CULL_FACE: False, GL.GL_DEPTH_TEST: False, GL.GL_SCISSOR_TEST: False})
        GL.glDepthMask(True)
        low, high = ground(shot)
        if low != high:
            self._paint_ground(low, high, part)
        self._solid.bind()
        GL.glClearDepth(1.0)
        GL.glClearColor(*low)
        GL.glClear(GL.GL_DEPTH_BUFFER_BIT | (GL.GL_COLOR_BUFFER_BIT if low == high else 0))

    def _paint_ground(self, low: tuple[float, ...], high: tuple[float, ...], part: tuple[float, float]) -> None:
        """Kept from frame to frame: in software, copying it takes a tenth of the time of painting it."""
        if self._ground is None:
            self._ground = Target(Texture(*self.size[:2]))
            self._textures.append(self._ground.colour)
        if self._ground_key != (low, high, part):
            self._ground_key = (low, high, part)
            self._ground.bind()
            program = self._gpu.program(shaders_over.SCREEN_VERTEX, shaders_over.GROUND_FRAGMENT)
            program.set(low=low, high=high, part=part)
            self._gpu.fill_screen(program)
        self._ground.copy_to(self._solid)

    def draw_solid(self, shot: Shot) -> None:
        """From now on things are drawn as solid ones."""
        self._solid.bind()
        self._usual(shot)

    def layer(self) -> Layer:
        """What splats are blended into. RuntimeError where they cannot be."""
        if self.splats is None:
            self.splats = Layer(self._gpu, *self.size[:2], self._depth)
        return self.splats

    def draw_over(self, shot: Shot) -> None:
        """Takes over what is solid so far; from now on things are drawn over it."""
        if shot.style.edl and shot.style.mode == "shaded":
            self._final_plain.bind()
            set_flags({GL.GL_BLEND: False, GL.GL_DEPTH_TEST: False})
            program = self._gpu.program(shaders_over.SCREEN_VERTEX, shaders_over.EDL_FRAGMENT)
            reach = 1.4 * shot.pixel
            program.set(
                picture=0, depths=1, reach=(reach / shot.width, reach / shot.height),
                strength=shot.style.edl_strength, lens=shot.lens,
            )  # fmt: skip
            self._solid.colour.bind(0)
            self._depth.bind(1)
            self._gpu.fill_screen(program)
        else:
            self._solid.copy_to(self._final)
        self._final.bind()
        self._usual(shot)

    @staticmethod
    def _usual(shot: Shot) -> None:
        set_flags({GL.GL_BLEND: True, GL.GL_DEPTH_TEST: True, GL.GL_CULL_FACE: False})
        GL.glBlendFunc(GL.GL_ONE, GL.GL_ONE_MINUS_SRC_ALPHA)
        GL.glDepthFunc(GL.GL_LEQUAL)
        GL.glDepthMask(True)
        for k in range(8):
            set_flags({GL.GL_CLIP_DISTANCE0 + k: k < len(shot.planes)})

    def read(self, into: Any, *, blue_first: bool) -> None:
        """Waits for the picture and writes it to ``into``, rows from the top: 4 bytes a pixel, alpha multiplied in."""
        for k in range(8):
            set_flags({GL.GL_CLIP_DISTANCE0 + k: False})
        width, height, out_width, out_height = self.size
        self._final.copy_to(self._out, flip=True, smooth=(width, height) != (out_width, out_height))
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._out.handle)
        order = GL.GL_BGRA if blue_first else GL.GL_RGBA
        GL.glReadPixels(0, 0, out_width, out_height, order, GL.GL_UNSIGNED_BYTE, into)

    def depths(self, x: int, y: int, reach: int) -> NDArray[np.float32]:
        """Depths 0..1 in the square of ``reach`` pixels round (x, y), which is from the lower left; 1 is the ground."""
        width, height = self.size[:2]
        left, low = max(0, x - reach), max(0, y - reach)
        right, high = min(width, x + reach + 1), min(height, y + reach + 1)
        found = np.ones((2 * reach + 1, 2 * reach + 1), np.float32)
        if right <= left or high <= low:
            return found
        piece = np.empty((high - low, right - left), np.float32)
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._solid.handle)
        GL.glReadPixels(left, low, right - left, high - low, GL.GL_DEPTH_COMPONENT, GL.GL_FLOAT, piece)
        top, side = low - (y - reach), left - (x - reach)
        found[top : top + piece.shape[0], side : side + piece.shape[1]] = piece
        return found

    def all_depths(self) -> NDArray[np.float32]:
        """Depths 0..1 (height, width), row 0 at the bottom; 1 is the ground."""
        width, height = self.size[:2]
        found = np.empty((height, width), np.float32)
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._solid.handle)
        GL.glReadPixels(0, 0, width, height, GL.GL_DEPTH_COMPONENT, GL.GL_FLOAT, found)
        return found

    def free(self) -> None:
        targets = [self._solid, self._final, self._final_plain, self._out, *([self._ground] if self._ground else [])]
        free_all([*targets, *self._textures, *([self.splats] if self.splats else [])])


def ground(shot: Shot) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What is behind everything, below and above, with alpha."""
    style = shot.style
    if style.mode == "depth":
        return (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 1.0)
    if style.background == "transparent":
        return (0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)
    if style.background != "gradient":
        plain = (*rgb(style.background, shot.palette.ground), 1.0)
        return plain, plain
    base = np.asarray(rgb(shot.palette.ground, ""))
    light = float(base.mean()) > 0.5
    low, high = (base * 0.97, base * 0.9) if light else (base * 0.85, base + 0.075)
    return (*low.tolist(), 1.0), (*high.tolist(), 1.0)
