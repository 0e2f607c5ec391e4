"""What a canvas owns on the graphics card, and when that is made and freed. Imports OpenGL only then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from widgets.viewport.drawing.painter import Painter
    from widgets.viewport.drawing.stage import Stage


class Holder:
    """Outlives its widget by the moment that it takes to be freed."""

    def __init__(self) -> None:
        self.gpu: Any = None
        self.painter: Painter | None = None
        self.stage: Stage | None = None
        self.stage_is_new = False

    def begin(self) -> str:
        """Makes the context and the painter; why it could not, in one line, or nothing."""
        try:
            from widgets.viewport.drawing import gpu
            from widgets.viewport.drawing.painter import Painter
        except (ImportError, AttributeError, OSError) as error:
            return f"3-D scenes need PyOpenGL and a display with OpenGL: {error}"
        try:
            self.gpu = gpu.acquire()
        except gpu.TooOld as error:
            return str(error)
        self.painter = Painter(self.gpu)
        return ""

    def stage_of(self, size: tuple[int, int], full: tuple[int, int]) -> Stage:
        from widgets.viewport.drawing.stage import Stage

        self.stage_is_new = self.stage is None or self.stage.size != (*size, *full)
        if self.stage_is_new:
            if self.stage is not None:
                self.stage.free()
            self.stage = Stage(self.gpu, *size, *full)
        assert self.stage is not None
        return self.stage

    def free(self) -> None:
        if self.painter is None:
            return
        from widgets.viewport.drawing import gpu

        if self.gpu.alive:  # at the program's end Qt may have been quicker, and all of it is gone
            self.gpu.current()
            self.painter.free()
            if self.stage is not None:
                self.stage.free()
        self.painter = self.stage = self.gpu = None
        gpu.release()
