"""What image files of the person's look like, for the controls that they were dropped on or chosen in.

Stands between the workbench, where a picture is a control's value like ``file:PATH``, and the engine, which reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.workbench import Workbench
from engine import messages as m
from engine.probes import Item

if TYPE_CHECKING:
    from widgets.controls.probe_controls import ControlForm


class DroppedPictures:
    """Asks for the pixels of each file that a control is set to, and shows them to ``form``: as the thumbnail, and for
    tracing and painting over."""

    def __init__(self, bench: Workbench, form: ControlForm) -> None:
        self._bench, self._form = bench, form
        bench.control_changed.connect(self._on_control)
        bench.opened.connect(lambda _: self._ask_all())
        bench.bridge.on(m.PictureRead, self._on_read)

    def _on_control(self, probe: str, name: str, value: Any) -> None:
        spec = self._bench.study.probe(probe) if self._bench.study is not None else None
        if spec is not None and isinstance(spec.controls.get(name), Item) and not self._bench.dragging:
            self._ask(value)

    def _ask_all(self) -> None:
        """Other data may want another size."""
        for spec in self._bench.study.probes if self._bench.study is not None else ():
            if any(isinstance(control, Item) for control in spec.controls.values()):
                for name, value in self._bench.values(spec.name).items():
                    if isinstance(spec.controls[name], Item):
                        self._ask(value)

    def _ask(self, value: str) -> None:
        kind, _, path = value.partition(":")
        if kind == "file":
            self._bench.bridge.inbox.post(m.ReadPicture(path))

    def _on_read(self, report: m.PictureRead) -> None:
        self._form.set_file_thumbnail(report.path, report.pixels)
