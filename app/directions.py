"""The directions that the person keeps: they stay with the run, come back with it, and go to and from files.

Stands between the workbench, where they are a control like any other, and the engine, which writes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.workbench import Workbench
from engine import messages as m
from engine.steering import Direction, Directions, joined

if TYPE_CHECKING:
    from widgets.controls.probe_controls import ControlForm

Kept = tuple[Direction, ...]


class KeptDirections:
    """Make it before whoever asks for pictures when a study is opened: by then its directions are in place."""

    def __init__(self, bench: Workbench, form: ControlForm) -> None:
        self._bench, self._form = bench, form
        self._epoch = 0
        self._starters: dict[str, Kept] = {}
        """Those of runs that are only read, by their path, for as long as this window is open."""
        bench.opened.connect(self._on_opened)
        bench.control_changed.connect(self._on_control)
        bench.bridge.on(m.DirectionsRead, self._on_read)
        form.save_wanted.connect(self._save)
        form.load_wanted.connect(self._load)

    def _place(self) -> tuple[str, str] | None:
        """A probe of the open study that has kept directions as a control, and the control's name."""
        for spec in self._bench.study.probes if self._bench.study is not None else ():
            for name, control in spec.controls.items():
                if isinstance(control, Directions):
                    return spec.name, name
        return None

    def _on_opened(self, opened: m.Opened) -> None:
        """A run brings its directions; a study built afresh keeps those that are on screen, if it is the same one."""
        place, known = self._place(), opened.epoch == self._epoch
        self._epoch = opened.epoch
        if place is None or known:  # another snapshot of what is open
            return
        run = self._bench.opened_from
        if run:
            brought = self._starters.get(run, opened.directions)
            self._bench.bring_control(*place, brought)
            self._form.set_control_value(place[1], brought)
        self._tell(self._bench.values(place[0])[place[1]], opened.directions)

    def _on_control(self, _probe: str, name: str, value: Any) -> None:
        place = self._place()
        if place is None or name != place[1] or self._bench.dragging:
            return
        run = self._bench.opened_from
        if run and not self._bench.run:
            self._starters[run] = value
        self._tell(value)

    def _tell(self, kept: Kept, known: Kept | None = None) -> None:
        if kept != known:
            self._bench.bridge.inbox.post(m.KeepDirections(kept))

    # ---- files ----

    def _save(self, _name: str, path: str, value: Kept) -> None:
        self._bench.bridge.inbox.post(m.WriteDirections(path, value))

    def _load(self, name: str, path: str) -> None:
        self._bench.bridge.inbox.post(m.ReadDirections(path, name))

    def _on_read(self, report: m.DirectionsRead) -> None:
        """What a file holds comes to what is kept; a step of undo."""
        place = self._place()
        if place is not None and place[1] == report.control:
            probe, name = place
            self._bench.settle_control(probe, name, joined(self._bench.values(probe)[name], report.directions))
