"""The views: from the type of a payload to what draws it. A new kind of picture is one line in :data:`VIEWS`."""

from __future__ import annotations

from importlib import import_module

from engine.payloads import Bars, Curves, Frames, ImageGrid, LatentMap, Payload, PlaneFrames, Planes, SeedPlane, Strips
from engine.scene import Render, Scene, SceneFrames
from widgets.views.base import View

VIEWS: dict[type[Payload], str] = {
    ImageGrid: "widgets.views.grid:ImageGridView",
    Frames: "widgets.views.timeline.frames:FramesView",
    LatentMap: "widgets.views.mapping.latent_map:LatentMapView",
    Bars: "widgets.views.bars:BarsView",
    Curves: "widgets.views.curves:CurvesPayloadView",
    Planes: "widgets.views.planes.view:PlanesView",
    PlaneFrames: "widgets.views.planes.view:PlaneFramesView",
    SeedPlane: "widgets.views.seed_plane:SeedPlaneView",
    Strips: "widgets.views.strips:StripsView",
    Render: "widgets.views.render:RenderView",
    Scene: "widgets.viewport.view:SceneView",
    SceneFrames: "widgets.viewport.frames:SceneFramesView",
    Payload: "widgets.views.unknown:UnknownView",
}
"""Module and class by the payload, looked up along its bases by :func:`view_for`. By name, so that none of them is
loaded before the first picture of its kind: the window stands a fifth of a second sooner."""


def view_for(payload: type[Payload]) -> type[View]:
    """The view that draws ``payload``: its own, else that of the nearest base; else a card that says there is none."""
    module, _, name = next((VIEWS[base] for base in payload.__mro__ if base in VIEWS), VIEWS[Payload]).partition(":")
    view: type[View] = getattr(import_module(module), name)
    return view


__all__ = ["VIEWS", "View", "view_for"]
