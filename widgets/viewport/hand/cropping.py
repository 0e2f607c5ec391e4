"""The clipping of a view as a control of the study: what the engine renders and takes out is cropped alike.

Knows no widget and no event of the mouse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from engine.params import BadValue
from engine.scene import Scene
from widgets.viewport.hand.clip import Clip, clip_of, text_of

if TYPE_CHECKING:
    from widgets.viewport.viewport import Viewport


class Cropping(QObject):
    """The clipping box of one viewport, as the engine has it."""

    control_set = Signal(str, object, str)
    """A control's name, its value, and the phase, as of :class:`widgets.viewport.hand.through.Through`."""

    def __init__(self, viewport: Viewport) -> None:
        super().__init__(viewport)
        self._view = viewport
        self.control = ""
        """Which control is set to the clipping; '' for none: then a clipping is a step of undo by itself."""
        self._said = ""
        self._heard: dict[str, str] = {}
        self._hearing = False
        """Whether the clipping follows the control just now, which is not to be answered."""

    def take(self, scene: Scene) -> None:
        """Another scene."""
        if scene.crop_control != self.control:
            self.control, self._said = scene.crop_control, ""
        if self.control and self.control in self._heard:
            self.hear(self.control, self._heard.pop(self.control))

    def say(self, clip: Clip | None, phase: str) -> None:
        """The clipping is this one; what is settled is always said."""
        text = text_of(clip)
        if self.control and not self._hearing and (phase == "settled" or text != self._said):
            self._said = text
            self.control_set.emit(self.control, text, phase)

    def hear(self, name: str, value: object) -> None:
        """A control that all probes share was set, here, elsewhere or by an undo."""
        if not self.control:  # no scene has said yet which one it is
            self._heard[name] = str(value)
        elif name == self.control and value != self._said:
            self._said = str(value)
            try:
                clip = clip_of(self._said, self._view.shown.corners(self._view.state))
            except BadValue:  # a control of that name that holds something else
                return
            self._hearing = True
            try:
                self._view.editing.clip_to(clip)
            finally:
                self._hearing = False
