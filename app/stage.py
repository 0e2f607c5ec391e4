"""The stage: one dock per probe, tabbed or tiled as the hand likes. Asks when a probe becomes visible or its
controls move; drops answers that are older than what it shows. Knows payloads, never a study."""

from __future__ import annotations

import time
from typing import Any

from PySide6.QtCore import QByteArray, QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QApplication, QWidget

from app.undo import Edit
from app.workbench import Workbench
from engine import messages as m
from engine.payloads import Planes
from engine.probes import ProbeSpec
from engine.scene import Scene
from widgets.dock import Dock, DockWindow
from widgets.views import View, view_for


class ProbeDock(Dock):
    """One probe: its view, its newest answer. ``slot`` is the probe's name."""

    def __init__(self, spec: ProbeSpec, bench: Workbench, parent: QWidget) -> None:
        view = view_for(spec.payload)()
        super().__init__(f"probe-{spec.name}", spec.title, spec.text, view, parent)
        self.spec = spec
        self.slot = spec.name
        self.view: View = view
        view.setAccessibleName(spec.title)
        self._bench = bench
        self._asked = 0
        self._shown = 0
        self._wanted = False
        self._given_up = False
        """Whether the person does not wait for the answer to the last question."""
        self.view.show_empty(spec.title, f"{spec.text} It appears as soon as the study is built.")
        self.visibilityChanged.connect(self._visible)
        self.view.cancel_requested.connect(self._cancel)

    @property
    def on_screen(self) -> bool:
        return self._wanted

    def ask(self, phase: str = "settled") -> None:
        """Puts the question if anybody can see the answer."""
        if self._wanted and self._bench.study is not None:
            self._asked = self._bench.ask(self.slot, self.spec.name, phase)
            self._given_up = False
            if self.spec.timeline:
                self.view.set_busy(0.0, True)

    def show_picture(self, picture: m.Picture) -> bool:
        """Shows an answer unless a newer one is on screen; whether it did."""
        if picture.seq < self._shown:
            return False
        if picture.payload is None:  # a timeline that ended early
            self.view.set_idle()
            return False
        self._shown = picture.seq
        self.view.show_payload(picture.payload, picture.step)
        if picture.done:
            self.view.set_idle()
        else:
            self.view.set_busy(picture.progress, True)
        return True

    def show_progress(self, progress: m.Progress) -> None:
        """How far the answer to the last question is, unless it is on screen or was given up."""
        if progress.seq == self._asked and self._wanted and not self._given_up:
            self.view.set_busy(progress.progress, True)

    def show_failure(self, failure: m.Failure) -> None:
        if failure.seq >= self._shown:
            self._shown = failure.seq
            self.view.set_idle()
            self.view.show_failure(failure.title, failure.reason, failure.advice, "Try again", self.ask)

    def renew(self) -> None:
        """Another build of the same study: what is shown is old, but stays until the new answer comes."""
        self.ask()
        self._shown = self._asked  # what was asked of the weights before is not shown any more

    def _visible(self, visible: bool) -> None:
        if visible == self._wanted:
            return
        self._wanted = visible
        if visible:
            self.ask()
        else:
            self._bench.forget(self.slot)

    def _cancel(self) -> None:
        self._bench.bridge.inbox.post(m.Cancel(self.slot))
        self._given_up = True
        self.view.set_idle()


class Stage(DockWindow):
    """A main window within the window, so that probes tile among themselves and the other docks stay around them."""

    active_changed = Signal(object)  # ProbeSpec or None
    latency = Signal(float)  # seconds from a moved control to its picture on screen

    def __init__(self, bench: Workbench, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Widget)
        self._bench = bench
        self.docks: dict[str, ProbeDock] = {}
        self.active: str = ""
        self.study = ""
        bench.picture.connect(self._on_picture)
        bench.failed.connect(self._on_failure)
        bench.progressed.connect(self._on_progress)
        bench.control_changed.connect(self._on_control)
        bench.training_changed.connect(self._on_training)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusChanged.connect(self._on_focus)

    # ---- which probes ----

    def set_study(self, key: str, probes: tuple[ProbeSpec, ...]) -> None:
        """Docks for the probes of a study; the same study built again keeps its docks where they are."""
        if key == self.study:
            for dock in self.docks.values():
                self._show_shared(dock)
                dock.renew()
            return
        self.clear()
        self.study = key
        for spec in probes:
            dock = ProbeDock(spec, self._bench, self)
            dock.view.control_set.connect(
                lambda name, value, phase, spec=spec: self._from_view(spec.name, name, value, phase)
            )
            dock.view.export_requested.connect(
                lambda payloads, path: self._bench.bridge.inbox.post(m.Export(path, payloads))
            )
            dock.view.edited.connect(lambda text, redo, undo: self._bench.undo.push(Edit(text, redo, undo)))
            dock.installEventFilter(self)
            self.docks[spec.name] = dock
            dock.visibilityChanged.connect(lambda on, name=spec.name: self._raised(name, on))
            self._show_shared(dock)
        self.arrange()
        if self.docks:
            self.activate(next(iter(self.docks)))

    def _show_shared(self, dock: ProbeDock) -> None:
        """Tells a view what the controls that all probes share are set to, where that came with the run."""
        for name, value in self._bench.shared_values().items():
            dock.view.show_control(name, value)

    def _on_training(self, on: bool) -> None:
        """What is not made again while training, as a film or a surface, is made again when training rests, if it is on
        screen."""
        opened = self._bench.study
        if on or opened is None or opened.key != self.study:  # another study comes: these docks go
            return
        for dock in self.docks.values():
            if (dock.spec.timeline or dock.spec.refresh is None) and dock.on_screen:
                dock.ask()

    def clear(self) -> None:
        for dock in self.docks.values():
            dock.removeEventFilter(self)
            dock.visibilityChanged.disconnect()
            self.removeDockWidget(dock)
            dock.setObjectName("")  # else a layout would be restored to it instead of its successor of that name
            dock.deleteLater()
        self.docks.clear()
        self.active = self.study = ""

    def arrange(self) -> None:
        """The default: the first probe by itself on the left, the others as tabs on the right."""
        docks = list(self.docks.values())
        for dock in docks:
            dock.setFloating(False)  # before: a dock that was taken out stays afloat
            self.removeDockWidget(dock)
        for i, dock in enumerate(docks):
            # Each goes straight to its place: stacked first, they would ask for more height than the screen has.
            if i == 0:
                self.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
            elif i == 1:
                self.splitDockWidget(docks[0], dock, Qt.Orientation.Horizontal)
            else:
                self.tabifyDockWidget(docks[1], dock)
            dock.show()
        if len(docks) > 1:
            docks[1].raise_()
            self.resizeDocks(docks[:2], _shares(docks[0].spec, docks[1].spec), Qt.Orientation.Horizontal)

    def layout_state(self) -> QByteArray:
        return self.saveState()

    def restore_layout(self, state: QByteArray) -> bool:
        return self.restoreState(state)

    # ---- the active probe ----

    def activate(self, name: str) -> None:
        """Makes a probe the one whose controls are shown."""
        if name in self.docks and name != self.active:
            self.active = name
            self.active_changed.emit(self.docks[name].spec)

    def raise_probe(self, index: int) -> None:
        """The keys 1 to 9."""
        names = list(self.docks)
        if index < len(names):
            dock = self.docks[names[index]]
            dock.show()
            dock.raise_()
            self.activate(names[index])

    def raise_named(self, name: str) -> None:
        """Brings a probe to the front."""
        if name in self.docks:
            self.raise_probe(list(self.docks).index(name))

    def _raised(self, name: str, visible: bool) -> None:
        # A tab that comes to the front because it was clicked is what the hand looks at now; at start-up every
        # dock becomes visible once, which must not count.
        if visible and self.isVisible() and self.active and self.underMouse():
            QTimer.singleShot(0, self, lambda: self.activate(name))

    def _on_focus(self, _old: QWidget | None, now: QWidget | None) -> None:
        window = self.window()
        if isinstance(window, DockWindow) and window.tabbing:  # else Tab could never come to the controls of the first
            return
        for name, dock in self.docks.items():
            if now is not None and dock.isAncestorOf(now):
                self.activate(name)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.MouseButtonPress and isinstance(watched, ProbeDock):
            self.activate(watched.slot)
        return False

    # ---- answers ----

    def ask_all(self) -> None:
        for dock in self.docks.values():
            dock.ask()

    def _on_control(self, probe: str, name: str, value: Any) -> None:
        phase = "drag" if self._bench.dragging else "settled"
        for affected in self._bench.probes_with(probe, name):
            if affected in self.docks:
                self.docks[affected].ask(phase)
        if probe == "":
            for dock in self.docks.values():
                dock.view.show_control(name, value)

    def _from_view(self, probe: str, name: str, value: Any, phase: str) -> None:
        """A click or drag on a picture sets a control: its own probe's, or that of whichever probe has one so named."""
        spec = self._bench.study.probe(probe) if self._bench.study else None
        if spec is None:
            return
        if name not in spec.controls:
            probe = next((s.name for s in self._bench.study.probes if name in s.controls), "")  # type: ignore[union-attr]  # a spec was found, so there is a study
        if not probe:
            return
        if phase == "drag":
            self._bench.move_control(probe, name, value)
        elif phase == "fitted":
            self._bench.fit_control(probe, name, value)
        else:
            self._bench.settle_control(probe, name, value)

    def _on_picture(self, picture: m.Picture) -> None:
        dock = self.docks.get(picture.slot)
        if dock is None or not dock.show_picture(picture):
            return
        sent = self._bench.sent_at(picture.seq)
        if sent is not None and not dock.spec.timeline:
            dock.view.repaint()  # the figure counts only once the picture is on screen
            self.latency.emit(time.perf_counter() - sent)

    def _on_progress(self, progress: m.Progress) -> None:
        if progress.slot in self.docks:
            self.docks[progress.slot].show_progress(progress)

    def _on_failure(self, failure: m.Failure) -> None:
        if failure.slot in self.docks:
            self.docks[failure.slot].show_failure(failure)


def _shares(first: ProbeSpec, second: ProbeSpec) -> list[int]:
    """How wide the first probe and those on its right are, in parts of the same size."""
    turned = issubclass(first.payload, Scene)  # what is turned by hand wants as much room as what follows
    planes = issubclass(first.payload, Planes) and not second.timeline  # as do several planes beside bars or curves
    return [400, 400] if turned or planes else [320, 500]
