"""The form of one probe: a row per control, made from the declaration. Knows controls by type, never a study.

A new kind of control is a new widget class and one line in :data:`CONTROL_WIDGETS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.crop import Crop
from engine.params import BadValue
from engine.probes import (
    Camera,
    Choice,
    Control,
    Hint,
    Item,
    Knobs,
    Label,
    Latent,
    Mask,
    Number,
    Paths,
    Places,
    ProbeSpec,
    Seed,
    Toggle,
    Tree,
)
from engine.sketch import Sketch
from engine.steering import Directions, KeyFrames, Spot
from widgets.controls.fields import FieldLabel
from widgets.controls.latent import LatentSliders
from widgets.controls.picking.item import ItemPicker, item_thumbnail
from widgets.controls.picking.label import LabelBox
from widgets.controls.picking.paths import PathList
from widgets.controls.shapes.tree import TreeEditor
from widgets.controls.simple import ChoiceBox, NumberSlider, SeedBox, ToggleBox
from widgets.controls.sketching.mask import MaskPainter
from widgets.controls.sketching.sketch import SketchBoard
from widgets.controls.steering.directions import DirectionList
from widgets.controls.steering.key_frames import KeyFrameRow
from widgets.controls.steering.spot import SpotBox
from widgets.controls.text_line import CameraBox, CropBox, PlacesBox
from widgets.theme import UNIT

if TYPE_CHECKING:
    from engine.messages import DataPreview

CONTROL_WIDGETS: dict[type[Control], type[QWidget]] = {
    Latent: LatentSliders,
    Number: NumberSlider,
    Seed: SeedBox,
    Choice: ChoiceBox,
    Toggle: ToggleBox,
    Item: ItemPicker,
    Label: LabelBox,
    Mask: MaskPainter,
    Camera: CameraBox,
    Crop: CropBox,
    Directions: DirectionList,
    KeyFrames: KeyFrameRow,
    Paths: PathList,
    Places: PlacesBox,
    Sketch: SketchBoard,
    Spot: SpotBox,
    Tree: TreeEditor,
}
"""Which widget a control gets: the entry of its own class, else of the nearest base (so Steps is a Number)."""


def widget_class(control: Control) -> type[QWidget] | None:
    """The widget's class for a control, None where its kind has none."""
    return next((CONTROL_WIDGETS[c] for c in type(control).__mro__ if c in CONTROL_WIDGETS), None)


class ControlForm(QWidget):
    """The controls of one probe. ``moved`` comes while the hand moves, ``settled`` once it rests: (name, value)."""

    moved = Signal(str, object)
    settled = Signal(str, object)
    save_wanted = Signal(str, str, object)
    """A control's name, the file that the person chose, and the value to write."""
    load_wanted = Signal(str, str)
    """A control's name and the file that the person chose."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._spec: ProbeSpec | None = None
        self._knobs: dict[str, Any] = {}
        self._widgets: dict[str, Any] = {}  # each answers the protocol of widgets.controls.simple
        self._opaque: dict[str, Any] = {}  # values of controls without a widget
        self._preview: DataPreview | None = None
        self._files: dict[str, Any] = {}
        self._body: QWidget | None = None
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(3 * UNIT, 2 * UNIT, 3 * UNIT, 2 * UNIT)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    # ---- what the owner does ------------------------------------------------------------------------------------

    def set_probe(
        self,
        spec: ProbeSpec | None,
        knobs: Knobs,
        values: Mapping[str, Any] | None = None,
        hints: Mapping[str, Hint] | None = None,
    ) -> None:
        """Shows the controls of ``spec`` with ``values`` (initial ones where missing or no longer fitting)."""
        self.flush()
        initial = self._fitting(spec, knobs, values or {})
        same = self._spec is not None and spec is not None and dict(self._spec.controls) == dict(spec.controls)
        if not same or self._sizes(spec, self._knobs) != self._sizes(spec, knobs):
            self._build(spec, knobs)
        self._spec, self._knobs = spec, dict(knobs)
        for name, value in initial.items():
            self.set_control_value(name, value)
        self.set_hints(hints or {})

    def probe(self) -> ProbeSpec | None:
        return self._spec

    def values(self) -> dict[str, Any]:
        """Every control's value as it stands."""
        return {name: widget.value() for name, widget in self._widgets.items()} | self._opaque

    def set_control_value(self, name: str, value: Any) -> None:
        """Shows ``value`` without a signal; an unknown name is ignored, for controls are shared between probes."""
        if name in self._widgets:
            self._widgets[name].set_value(value, quiet=True)
            self._show_masked(name)
        elif name in self._opaque:
            self._opaque[name] = value

    def set_hints(self, hints: Mapping[str, Hint]) -> None:
        """News of the weights, by the control's name."""
        for name, hint in hints.items():
            widget = self._widgets.get(name)
            if isinstance(widget, LatentSliders):
                widget.set_hint(hint)

    def set_thumbnails(self, preview: DataPreview | None) -> None:
        """The pictures that item pickers choose from, and what the classes are called; kept for probes shown later."""
        self._preview = preview
        for widget in list(self._widgets.values()):
            self._show_data(widget)
        self._show_masked()

    def set_file_thumbnail(self, path: str, array: Any) -> None:
        """What an image file of the person's looks like: uint8 (h, w, C)."""
        self._files[path] = array
        for widget in self._pickers():
            widget.set_file_thumbnail(path, array)
        self._show_masked()

    def reset_all(self) -> None:
        """Every control back to its first value; ``settled`` comes for each that changes."""
        for widget in list(self._widgets.values()):
            widget.reset()

    def flush(self) -> None:
        """Settles now what still waits."""
        for widget in list(self._widgets.values()):
            widget.flush()

    def control_widget(self, name: str) -> Any:
        """The widget of a control, None where it has none."""
        return self._widgets.get(name)

    # ---- making -------------------------------------------------------------------------------------------------

    def _pickers(self) -> list[ItemPicker]:
        return [w for w in self._widgets.values() if isinstance(w, ItemPicker)]

    def _show_data(self, widget: QWidget) -> None:
        """Tells ``widget`` what is known of the data, as far as its kind is concerned with that."""
        if isinstance(widget, ItemPicker):
            widget.set_thumbnails(self._preview)
        elif isinstance(widget, LabelBox):
            widget.set_label_names(self._preview.label_names if self._preview is not None else ())

    def _show_masked(self, item: str = "") -> None:
        """Masks and sketches know the picture that their item control stands at: those of ``item``, or all."""
        for widget in self._widgets.values():
            if isinstance(widget, MaskPainter | SketchBoard) and item in ("", widget.item):
                picker = self._widgets.get(widget.item)
                value = picker.value() if isinstance(picker, ItemPicker) else ""
                widget.set_picture(item_thumbnail(value, self._preview, self._files))

    @staticmethod
    def _fitting(spec: ProbeSpec | None, knobs: Knobs, values: Mapping[str, Any]) -> dict[str, Any]:
        fitting = {}
        for name, control in (spec.controls if spec else {}).items():
            try:
                fitting[name] = control.check(name, values[name], knobs)
            except (BadValue, KeyError):  # say a code of another size, or a control that is new
                fitting[name] = control.initial(knobs)
        return fitting

    @staticmethod
    def _sizes(spec: ProbeSpec | None, knobs: Knobs) -> list[Any]:
        """What of the knobs decides how the widgets are built."""
        controls = spec.controls.values() if spec else ()
        return [knobs.get(c.size) for c in controls if isinstance(c, Latent)]

    def _build(self, spec: ProbeSpec | None, knobs: Knobs) -> None:
        if self._body is not None:
            self._grid.removeWidget(self._body)
            self._body.hide()
            self._body.deleteLater()
        self._widgets, self._opaque = {}, {}
        self._body = QWidget()
        grid = QGridLayout(self._body)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(2 * UNIT)
        grid.setVerticalSpacing(UNIT)
        grid.setColumnStretch(1, 1)
        controls = dict(spec.controls) if spec else {}
        if not controls:
            note = QLabel("This probe has nothing to set." if spec else "The controls of the probe in view are here.")
            note.setProperty("role", "quiet")
            note.setWordWrap(True)
            grid.addWidget(note, 0, 0, 1, 2)
        for row, (name, control) in enumerate(controls.items()):
            self._add(grid, row, name, control, knobs)
        self._show_masked()
        self._grid.addWidget(self._body, 0, 0)

    def _add(self, grid: QGridLayout, row: int, name: str, control: Control, knobs: Knobs) -> None:
        title = control.label or name.replace("_", " ")
        cls: Any = widget_class(control)
        if cls is None:
            note = QLabel(f"{title}: there is no widget for a control of kind {type(control).__name__}.")
            note.setProperty("role", "quiet")
            note.setWordWrap(True)
            grid.addWidget(note, row, 0, 1, 2)
            self._opaque[name] = control.initial(knobs)
            return
        widget = cls(title, control, knobs)
        widget.setToolTip(control.text)
        self._widgets[name] = widget
        widget.moved.connect(partial(self.moved.emit, name))
        widget.settled.connect(partial(self.settled.emit, name))
        self._show_data(widget)
        if isinstance(widget, ItemPicker):
            widget.moved.connect(lambda *_: self._show_masked(name))
            widget.settled.connect(lambda *_: self._show_masked(name))
            for path, array in self._files.items():
                widget.set_file_thumbnail(path, array)
        if isinstance(widget, DirectionList):
            widget.save_wanted.connect(partial(self.save_wanted.emit, name))
            widget.load_wanted.connect(partial(self.load_wanted.emit, name))
        if isinstance(widget, LatentSliders):  # brings its own title
            grid.addWidget(widget, row, 0, 1, 2)
            return
        label = FieldLabel(title)
        label.setToolTip(control.text)
        if getattr(widget, "full_width", False):
            block = QVBoxLayout()
            block.setSpacing(UNIT)
            block.addWidget(label)
            block.addWidget(widget)
            grid.addLayout(block, row, 0, 1, 2)
            return
        top = Qt.AlignmentFlag.AlignTop if getattr(widget, "wide", False) else Qt.AlignmentFlag.AlignVCenter
        grid.addWidget(label, row, 0, top)
        grid.addWidget(widget, row, 1)
