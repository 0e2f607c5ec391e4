"""The views: from the type of a payload to what draws it. A new kind of picture is one line in :data:`VIEWS`."""

from __future__ import annotations

from engine.payloads import Bars, Curves, Frames, ImageGrid, LatentMap, Payload, PlaneFrames, Planes
from engine.scene import Render, Scene, SceneFrames
from widgets.viewport.frames import SceneFramesView
from widgets.viewport.view import SceneView
from widgets.views.bars import BarsView
from widgets.views.base import View
from widgets.views.curves import CurvesPayloadView
from widgets.views.frames import FramesView
from widgets.views.grid import ImageGridView
from widgets.views.latent_map import LatentMapView
from widgets.views.planes import PlaneFramesView, PlanesView
from widgets.views.render import RenderView
from widgets.views.unknown import UnknownView

VIEWS: dict[type[Payload], type[View]] = {
    ImageGrid: ImageGridView,
    Frames: FramesView,
    LatentMap: LatentMapView,
    Bars: BarsView,
    Curves: CurvesPayloadView,
    Planes: PlanesView,
    PlaneFrames: PlaneFramesView,
    Render: RenderView,
    Scene: SceneView,
    SceneFrames: SceneFramesView,
}
"""Looked up along the payload's bases by :func:`view_for`."""


def view_for(payload: type[Payload]) -> type[View]:
    """The view that draws ``payload``: its own, else that of the nearest base; else a card that says there is none."""
    return next((VIEWS[base] for base in payload.__mro__ if base in VIEWS), UnknownView)


__all__ = [
    "VIEWS",
    "BarsView",
    "CurvesPayloadView",
    "FramesView",
    "ImageGridView",
    "LatentMapView",
    "PlaneFramesView",
    "PlanesView",
    "RenderView",
    "SceneFramesView",
    "SceneView",
    "UnknownView",
    "View",
    "view_for",
]
