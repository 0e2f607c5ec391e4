"""A buffer of OpenGL's that CUDA writes into, so that what was computed on the card does not go round by the processor.

By ``cuda.bindings.runtime`` (the package cuda-bindings), on the thread that owns the OpenGL context. Knows no Qt.
"""

from __future__ import annotations

import importlib
from typing import Any

RUNTIME = "cuda.bindings.runtime"


class NoInterop(RuntimeError):
    """This machine's CUDA and OpenGL do not share memory; the text says why."""


class SharedBuffer:
    """``handle`` is a buffer of the current OpenGL context, of a fixed size. NoInterop where it cannot be shared."""

    def __init__(self, handle: int, device: int) -> None:
        try:
            self._cuda: Any = importlib.import_module(RUNTIME)
        except ImportError as error:
            raise NoInterop(str(error)) from error
        self._device = device
        self._checked(self._cuda.cudaSetDevice(device))
        flags = self._cuda.cudaGraphicsRegisterFlags.cudaGraphicsRegisterFlagsWriteDiscard
        (self._resource,) = self._checked(self._cuda.cudaGraphicsGLRegisterBuffer(handle, flags))

    def copy(self, pointer: int, size: int) -> None:
        """``size`` bytes at ``pointer`` on the device to the buffer's beginning. NoInterop where CUDA refuses."""
        cuda = self._cuda
        self._checked(cuda.cudaSetDevice(self._device))
        self._checked(cuda.cudaGraphicsMapResources(1, self._resource, 0))
        try:
            into, room = self._checked(cuda.cudaGraphicsResourceGetMappedPointer(self._resource))
            if size > room:
                raise NoInterop(f"a buffer of {room:,} bytes cannot take {size:,}")
            kind = cuda.cudaMemcpyKind.cudaMemcpyDeviceToDevice
            self._checked(cuda.cudaMemcpy(into, pointer, size, kind))
        finally:
            self._checked(cuda.cudaGraphicsUnmapResources(1, self._resource, 0))

    def free(self) -> None:
        """Before the buffer itself is."""
        self._cuda.cudaGraphicsUnregisterResource(self._resource)

    def _checked(self, answer: tuple[Any, ...]) -> tuple[Any, ...]:
        """What follows the error code."""
        code, *rest = answer
        if int(code) != 0:
            raise NoInterop(f"CUDA error {int(code)}")
        return tuple(rest)
