"""Pictures that were computed on a CUDA device, on their way into OpenGL's textures: on the card where CUDA and OpenGL
share memory, else round by the processor. On the thread that owns the context."""

from __future__ import annotations

import ctypes
from typing import Any

from OpenGL import GL

from widgets.viewport.drawing.gpu import Buffer, Texture
from widgets.viewport.drawing.interop import NoInterop, SharedBuffer


class Sent:
    """Of one texture, whose size the pictures have."""

    def __init__(self, texture: Texture) -> None:
        self._texture = texture
        self._buffer: Buffer | None = None
        self._shared: SharedBuffer | None = None
        self.can_share = True

    def send(self, plane: Any) -> None:
        """``plane`` has ``pointer``, ``device`` and ``size`` in bytes, and is an array by ``host()``; row 0 is the
        lowest."""
        if self.can_share:
            try:
                self._copy(plane)
            except NoInterop:
                self.can_share = False
        if not self.can_share:
            self._texture.fill(plane.host())
            return
        assert self._buffer is not None
        _, outer, number = Texture.FORMATS[self._texture.kind]
        self._texture.bind()
        GL.glBindBuffer(GL.GL_PIXEL_UNPACK_BUFFER, self._buffer.handle)
        GL.glTexSubImage2D(
            GL.GL_TEXTURE_2D, 0, 0, 0, self._texture.width, self._texture.height, outer, number, ctypes.c_void_p(0)
        )
        GL.glBindBuffer(GL.GL_PIXEL_UNPACK_BUFFER, 0)

    def _copy(self, plane: Any) -> None:
        """From the device into the buffer that the texture is filled from."""
        if self._buffer is None:
            self._buffer = Buffer(plane.size, GL.GL_PIXEL_UNPACK_BUFFER)
            GL.glBindBuffer(GL.GL_PIXEL_UNPACK_BUFFER, 0)
        if self._shared is None:
            self._shared = SharedBuffer(self._buffer.handle, plane.device)
        self._shared.copy(plane.pointer, plane.size)

    def free(self) -> None:
        if self._shared is not None:
            self._shared.free()
        if self._buffer is not None:
            self._buffer.free()
