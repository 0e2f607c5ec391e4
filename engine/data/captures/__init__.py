"""Captures of one scene: photographs with their cameras, from the files of several programs."""

from engine.data.captures.camera import Intrinsics
from engine.data.captures.capture import Capture, View, moved, normalised
from engine.data.captures.reading import read_capture

__all__ = ["Capture", "Intrinsics", "View", "moved", "normalised", "read_capture"]
