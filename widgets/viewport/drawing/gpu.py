"""The thin layer over OpenGL 3.3 core: one context off screen, programs, buffers, textures, targets. Draws nothing.

The context is one for all canvases of the process and draws into textures that are read back, not into a window's own
surface: a QOpenGLWidget makes Qt put the *whole* window together by OpenGL, which in software costs 50 ms for every
repaint of any other widget beside it, where reading back 1280 x 720 pixels costs 2 ms.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL
from PySide6.QtGui import QOffscreenSurface, QOpenGLContext, QSurfaceFormat
from shiboken6 import isValid

GL_TYPES = {
    np.dtype(np.float32): GL.GL_FLOAT,
    np.dtype(np.uint8): GL.GL_UNSIGNED_BYTE,
    np.dtype(np.int8): GL.GL_BYTE,
    np.dtype(np.uint32): GL.GL_UNSIGNED_INT,
    np.dtype(np.int32): GL.GL_INT,
}


class TooOld(RuntimeError):
    """There is no OpenGL 3.3 here; the text says so in one line."""


class Gpu:
    """The context and what is made once for it. Made by :func:`acquire`; TooOld where it cannot be."""

    def __init__(self) -> None:
        wanted = QSurfaceFormat()
        wanted.setVersion(3, 3)
        wanted.setProfile(QSurfaceFormat.OpenGLContextProfile.CoreProfile)
        self._context = QOpenGLContext()
        self._context.setFormat(wanted)
        if not self._context.create():
            raise TooOld("This display offers no OpenGL, so that 3-D scenes cannot be drawn.")
        self._surface = QOffscreenSurface()
        self._surface.setFormat(self._context.format())
        self._surface.create()
        if not self._context.makeCurrent(self._surface):
            raise TooOld("OpenGL cannot be used on this display, so that 3-D scenes cannot be drawn.")
        got = self._context.format()
        if (got.majorVersion(), got.minorVersion()) < (3, 3):
            version = f"{got.majorVersion()}.{got.minorVersion()}"
            raise TooOld(f"3-D scenes need OpenGL 3.3 and this display offers {version}.")
        sides = GL.glGetIntegerv(GL.GL_MAX_TEXTURE_SIZE), *GL.glGetIntegerv(GL.GL_MAX_VIEWPORT_DIMS)
        self.largest = min(int(side) for side in sides)
        self.renderer = GL.glGetString(GL.GL_RENDERER).decode(errors="replace")
        self._programs: dict[tuple[str, str, tuple[tuple[str, str], ...]], Program] = {}
        self.compiled = 0
        """How many programs there are: a frame that had to wait for the compiler says nothing about the next."""
        self._empty = Vao()
        GL.glEnable(GL.GL_PROGRAM_POINT_SIZE)
        GL.glPixelStorei(GL.GL_UNPACK_ALIGNMENT, 1)
        GL.glPixelStorei(GL.GL_PACK_ALIGNMENT, 4)

    @property
    def alive(self) -> bool:
        return bool(isValid(self._context) and isValid(self._surface))

    def current(self) -> None:
        """Makes the context the one that calls go to."""
        self._context.makeCurrent(self._surface)

    def program(self, vertex: str, fragment: str, **defines: Any) -> Program:
        """The program of two shaders with ``defines`` set, compiled at the first ask."""
        key = (vertex, fragment, tuple(sorted((name, str(value)) for name, value in defines.items())))
        if key not in self._programs:
            self._programs[key] = Program(vertex, fragment, dict(key[2]))
            self.compiled += 1
        return self._programs[key]

    def fill_screen(self, program: Program) -> None:
        """Runs ``program`` for every pixel; its vertex shader makes one large triangle of gl_VertexID."""
        program.use()
        self._empty.bind()
        GL.glDrawArrays(GL.GL_TRIANGLES, 0, 3)

    @staticmethod
    def wait() -> None:
        """Until everything asked for is drawn."""
        GL.glFinish()

    def destroy(self) -> None:
        if not self.alive:
            return
        self.current()
        for program in self._programs.values():
            program.free()
        self._programs.clear()
        self._empty.free()
        self._context.doneCurrent()
        self._surface.destroy()


_shared: list[Gpu] = []
_users = 0


def acquire() -> Gpu:
    """The context, current; made for the first of those who use it. TooOld where there is none to be had."""
    global _users
    if not _shared:
        _shared.append(Gpu())
    _users += 1
    _shared[0].current()
    return _shared[0]


def release() -> None:
    """Gives back one :func:`acquire`; the last one frees the context."""
    global _users
    _users -= 1
    if _users == 0:
        _shared.pop().destroy()


class Program:
    """A linked pair of shaders. RuntimeError with the compiler's words: a fault of ours or of the driver."""

    def __init__(self, vertex: str, fragment: str, defines: Mapping[str, str]) -> None:
        head = "#version 330 core\n" + "".join(f"#define {name} {value}\n" for name, value in defines.items())
        self._handle = GL.glCreateProgram()
        for kind, text in ((GL.GL_VERTEX_SHADER, vertex), (GL.GL_FRAGMENT_SHADER, fragment)):
            shader = GL.glCreateShader(kind)
            GL.glShaderSource(shader, head + text)
            GL.glCompileShader(shader)
            if not GL.glGetShaderiv(shader, GL.GL_COMPILE_STATUS):
                raise RuntimeError(f"shader: {GL.glGetShaderInfoLog(shader)!r}")
            GL.glAttachShader(self._handle, shader)
            GL.glDeleteShader(shader)
        GL.glLinkProgram(self._handle)
        if not GL.glGetProgramiv(self._handle, GL.GL_LINK_STATUS):
            raise RuntimeError(f"shaders: {GL.glGetProgramInfoLog(self._handle)!r}")
        self._places: dict[str, int] = {}

    def use(self) -> None:
        GL.glUseProgram(self._handle)

    def set(self, **values: Any) -> None:
        """Uniforms by name: bool and int, float, vectors and (N, 4) arrays of floats, 3x3 and 4x4 matrices written by
        rows as numpy has them. Names that the program does not use are passed over."""
        self.use()
        for name, value in values.items():
            place = self._places.get(name)
            if place is None:
                place = self._places[name] = GL.glGetUniformLocation(self._handle, name)
            if place >= 0:
                _set_uniform(place, value)

    def free(self) -> None:
        GL.glDeleteProgram(self._handle)


def _set_uniform(place: int, value: Any) -> None:
    if isinstance(value, bool | int | np.integer):
        GL.glUniform1i(place, int(value))
        return
    if isinstance(value, float | np.floating):
        GL.glUniform1f(place, float(value))
        return
    array = np.ascontiguousarray(value, np.float32)
    if array.shape == (4, 4) and isinstance(value, Matrix):
        GL.glUniformMatrix4fv(place, 1, GL.GL_TRUE, array)
    elif array.shape == (3, 3):
        GL.glUniformMatrix3fv(place, 1, GL.GL_TRUE, array)
    else:
        rows = array.reshape(-1, array.shape[-1])
        setter = {2: GL.glUniform2fv, 3: GL.glUniform3fv, 4: GL.glUniform4fv}[rows.shape[1]]
        setter(place, len(rows), rows)


class Matrix(np.ndarray[Any, np.dtype[np.float64]]):
    """A 4x4 array that is meant as a matrix, not as four vectors: ``m.view(Matrix)``."""


class Buffer:
    """Bytes on the graphics card, of a fixed size, filled in pieces."""

    def __init__(self, size: int, target: int = GL.GL_ARRAY_BUFFER) -> None:
        self.target = target
        self.handle = int(GL.glGenBuffers(1))
        # A vertex array that is bound would take an element buffer made now for its own.
        GL.glBindVertexArray(0)
        GL.glBindBuffer(target, self.handle)
        GL.glBufferData(target, max(size, 4), None, GL.GL_STATIC_DRAW)

    def fill(self, offset: int, rows: NDArray[Any]) -> None:
        """Writes ``rows`` (contiguous) at ``offset`` bytes."""
        if rows.size:
            GL.glBindVertexArray(0)
            GL.glBindBuffer(self.target, self.handle)
            GL.glBufferSubData(self.target, offset, rows.nbytes, rows)

    def free(self) -> None:
        GL.glDeleteBuffers(1, [self.handle])


class Vao:
    """Which buffers feed which inputs of a vertex shader."""

    def __init__(self) -> None:
        self.handle = int(GL.glGenVertexArrays(1))

    def bind(self) -> None:
        GL.glBindVertexArray(self.handle)

    def feed(
        self, place: int, buffer: Buffer, dtype: Any, width: int, *,
        stride: int = 0, offset: int = 0, divisor: int = 0, normalised: bool = False,
    ) -> None:  # fmt: skip
        """Input ``place`` takes ``width`` numbers of ``dtype`` every ``stride`` bytes (0: one after the other)."""
        self.bind()
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, buffer.handle)
        GL.glEnableVertexAttribArray(place)
        kind = GL_TYPES[np.dtype(dtype)]
        GL.glVertexAttribPointer(place, width, kind, normalised, stride, ctypes.c_void_p(offset))
        GL.glVertexAttribDivisor(place, divisor)

    def index(self, buffer: Buffer) -> None:
        self.bind()
        GL.glBindBuffer(GL.GL_ELEMENT_ARRAY_BUFFER, buffer.handle)

    def free(self) -> None:
        GL.glDeleteVertexArrays(1, [self.handle])


class Texture:
    """A picture on the graphics card. ``kind``: rgba (uint8), red (uint8, one), pair (float32, two), one and four
    (float32), half (float16, four) or depth."""

    FORMATS = {
        "rgba": (GL.GL_RGBA8, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE),
        "red": (GL.GL_R8UI, GL.GL_RED_INTEGER, GL.GL_UNSIGNED_BYTE),
        "pair": (GL.GL_RG32F, GL.GL_RG, GL.GL_FLOAT),
        "one": (GL.GL_R32F, GL.GL_RED, GL.GL_FLOAT),
        "four": (GL.GL_RGBA32F, GL.GL_RGBA, GL.GL_FLOAT),
        "half": (GL.GL_RGBA16F, GL.GL_RGBA, GL.GL_HALF_FLOAT),
        "depth": (GL.GL_DEPTH_COMPONENT32F, GL.GL_DEPTH_COMPONENT, GL.GL_FLOAT),
    }

    def __init__(
        self, width: int, height: int, kind: str = "rgba", smooth: bool = False, mipmaps: bool = False
    ) -> None:
        self.width, self.height, self.kind = width, height, kind
        self.handle = int(GL.glGenTextures(1))
        self._mipmaps = mipmaps
        inner, outer, number = self.FORMATS[kind]
        self.bind()
        GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, inner, width, height, 0, outer, number, None)
        plain = GL.GL_LINEAR if smooth else GL.GL_NEAREST
        GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MAG_FILTER, plain)
        small = GL.GL_LINEAR_MIPMAP_LINEAR if mipmaps else plain
        GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MIN_FILTER, small)
        for axis in (GL.GL_TEXTURE_WRAP_S, GL.GL_TEXTURE_WRAP_T):
            GL.glTexParameteri(GL.GL_TEXTURE_2D, axis, GL.GL_REPEAT if mipmaps else GL.GL_CLAMP_TO_EDGE)

    def bind(self, unit: int = 0) -> None:
        GL.glActiveTexture(GL.GL_TEXTURE0 + unit)
        GL.glBindTexture(GL.GL_TEXTURE_2D, self.handle)

    def fill(self, rows: NDArray[Any], top: int = 0) -> None:
        """Rows ``top`` and on, (H, W) or (H, W, numbers), contiguous and of the kind's own type."""
        self.bind()
        _, outer, number = self.FORMATS[self.kind]
        GL.glTexSubImage2D(GL.GL_TEXTURE_2D, 0, 0, top, rows.shape[1], rows.shape[0], outer, number, rows)
        if self._mipmaps and top + rows.shape[0] == self.height:
            GL.glGenerateMipmap(GL.GL_TEXTURE_2D)

    def free(self) -> None:
        GL.glDeleteTextures(1, [self.handle])


class Target:
    """What is drawn into: a colour texture and, where given, a depth texture, which may be another target's."""

    def __init__(self, colour: Texture, depth: Texture | None = None) -> None:
        self.colour, self.depth = colour, depth
        self.handle = int(GL.glGenFramebuffers(1))
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self.handle)
        for place, texture in ((GL.GL_COLOR_ATTACHMENT0, colour), (GL.GL_DEPTH_ATTACHMENT, depth)):
            if texture is not None:
                GL.glFramebufferTexture2D(GL.GL_FRAMEBUFFER, place, GL.GL_TEXTURE_2D, texture.handle, 0)
        if GL.glCheckFramebufferStatus(GL.GL_FRAMEBUFFER) != GL.GL_FRAMEBUFFER_COMPLETE:
            raise RuntimeError(f"OpenGL refuses a picture of {colour.width} x {colour.height} pixels")

    def bind(self) -> None:
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self.handle)
        GL.glViewport(0, 0, self.colour.width, self.colour.height)

    def copy_to(self, other: Target, *, flip: bool = False, smooth: bool = False) -> None:
        """The colours, stretched to the other's size."""
        GL.glBindFramebuffer(GL.GL_READ_FRAMEBUFFER, self.handle)
        GL.glBindFramebuffer(GL.GL_DRAW_FRAMEBUFFER, other.handle)
        y0, y1 = (other.colour.height, 0) if flip else (0, other.colour.height)
        how = GL.GL_LINEAR if smooth else GL.GL_NEAREST
        GL.glBlitFramebuffer(
            0, 0, self.colour.width, self.colour.height, 0, y0, other.colour.width, y1, GL.GL_COLOR_BUFFER_BIT, how
        )

    def free(self) -> None:
        GL.glDeleteFramebuffers(1, [self.handle])


def draw_ranges(mode: int, first: NDArray[np.int32], count: NDArray[np.int32]) -> None:
    """Draws many stretches of the bound buffers at once."""
    if len(first) == 1:
        GL.glDrawArrays(mode, int(first[0]), int(count[0]))
    elif len(first):
        starts, counts = np.ascontiguousarray(first, np.int32), np.ascontiguousarray(count, np.int32)
        GL.glMultiDrawArrays(mode, starts, counts, len(starts))


def set_flags(flags: Mapping[int, bool]) -> None:
    for flag, on in flags.items():
        (GL.glEnable if on else GL.glDisable)(flag)


def free_all(things: Sequence[Any]) -> None:
    for thing in things:
        thing.free()
