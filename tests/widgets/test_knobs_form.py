"""The form of the knobs: live and rebuild knobs, the bar of waiting changes, seed and reset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from engine.params import knob, knobs_of
from widgets.controls.fields import FieldLabel, NumberBox
from widgets.controls.knobs import KnobForm
from widgets.controls.simple import ChoiceBox, ToggleBox
from widgets.controls.slider import ValueSlider

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
SYMBOL = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="16" viewBox="0 -12 10 16">'
    '<path d="M 0 -12 L 10 -12 L 10 4 L 0 4 Z"/></svg>'
)


@dataclass
class Params:
    """Knobs of every kind."""

    beta: float = knob(1.0, "weight of the KL term", lo=0, hi=16, symbol=r"\beta", live=True)
    latent: int = knob(8, "size of the code z", lo=2, hi=64, symbol="d_z")
    rate: float = knob(1e-3, "length of a step", lo=1e-5, hi=1, log=True, live=True)
    likelihood: str = knob("bernoulli", "what a pixel is taken to be", choices=("bernoulli", "gaussian"))
    denoise: bool = knob(False, "learn to remove noise")
    decay: float = knob(0.0, "pull towards zero", lo=0.0, live=True)


@dataclass
class Others:
    """The knobs of another study."""

    depth: int = knob(2, "how many layers", lo=1, hi=8)


KNOBS = knobs_of(Params)
DEFAULTS = {k.name: k.default for k in KNOBS}


class Watch:
    """What the form said."""

    def __init__(self, form: KnobForm) -> None:
        self.moved: list[Any] = []
        self.settled: list[Any] = []
        self.rebuilds: list[dict[str, Any]] = []
        self.seeds: list[int] = []
        self.restarts = 0
        form.knob_moved.connect(lambda *what: self.moved.append(what))
        form.knob_settled.connect(lambda *what: self.settled.append(what))
        form.rebuild_requested.connect(self.rebuilds.append)
        form.seed_changed.connect(self.seeds.append)
        form.restart_requested.connect(self._restart)

    def _restart(self) -> None:
        self.restarts += 1


def make(qtbot: QtBot, values: dict[str, Any] | None = None) -> tuple[KnobForm, Watch]:
    form = KnobForm()
    qtbot.addWidget(form)
    form.set_knobs(KNOBS, DEFAULTS if values is None else values, {"beta": SYMBOL}, running=False)
    form.resize(300, 500)
    form.show()
    qtbot.waitExposed(form)
    form.activateWindow()
    return form, Watch(form)


def click_track(slider: ValueSlider, fraction: float) -> None:
    track = slider.track_rect()
    spot = QPoint(round(track.left() + fraction * track.width()), slider.height() // 2)
    QTest.mouseClick(slider, LEFT, NONE, spot)


def test_each_kind_has_its_widget_and_its_sentence(qtbot: QtBot) -> None:
    form, _ = make(qtbot)
    kinds = {k.name: type(form.knob_widget(k.name)) for k in KNOBS}
    assert kinds == {
        "beta": ValueSlider,
        "latent": ValueSlider,
        "rate": ValueSlider,
        "likelihood": ChoiceBox,
        "denoise": ToggleBox,
        "decay": NumberBox,
    }
    assert form.knob_widget("beta").toolTip() == "Weight of the KL term."
    assert form.knob_widget("rate").scale.fraction(10**-2.5) == pytest.approx(0.5)
    assert form.values() == DEFAULTS


def test_a_symbol_stands_beside_the_name(qtbot: QtBot) -> None:
    form, _ = make(qtbot)
    labels = {label.text.text(): label for label in form.findChildren(FieldLabel)}
    assert labels["beta"].symbol.isVisible()
    assert labels["beta"].symbol.svg() == SYMBOL
    assert not labels["rate"].symbol.isVisible()


def test_a_live_knob_speaks_at_once_and_needs_no_rebuild(qtbot: QtBot) -> None:
    form, watch = make(qtbot)
    click_track(form.knob_widget("beta"), 0.5)
    value = form.values()["beta"]
    assert value == pytest.approx(8.0, abs=0.3)
    assert watch.moved == [("beta", value)]
    assert watch.settled == [("beta", value)]
    assert not form.bar.isVisible()


def test_rebuild_knobs_wait_in_the_bar(qtbot: QtBot) -> None:
    form, watch = make(qtbot)
    click_track(form.knob_widget("latent"), 0.5)
    assert form.bar.isVisible()
    assert form.bar.text.text() == "1 change needs a rebuild"
    assert watch.moved == []
    form.knob_widget("denoise").click()
    assert form.bar.text.text() == "2 changes need a rebuild"
    latent = form.values()["latent"]
    assert watch.settled == [("latent", latent), ("denoise", True)]
    QTest.mouseClick(form.bar.rebuild, LEFT)
    assert watch.rebuilds == [DEFAULTS | {"latent": latent, "denoise": True}]
    form.set_knobs(KNOBS, watch.rebuilds[0], {"beta": SYMBOL})
    assert not form.bar.isVisible()
    assert form.pending() == {}


def test_going_back_by_hand_needs_no_rebuild(qtbot: QtBot) -> None:
    form, _ = make(qtbot)
    form.knob_widget("denoise").click()
    form.knob_widget("denoise").click()
    assert not form.bar.isVisible()


def test_undo_puts_back_what_was_built_and_leaves_live_knobs(qtbot: QtBot) -> None:
    form, watch = make(qtbot, DEFAULTS | {"latent": 16})
    click_track(form.knob_widget("beta"), 0.5)
    beta = form.values()["beta"]
    click_track(form.knob_widget("latent"), 0.9)
    watch.settled.clear()
    QTest.mouseClick(form.bar.undo, LEFT)
    assert form.values() == DEFAULTS | {"latent": 16, "beta": beta}
    assert watch.settled == [("latent", 16)]
    assert not form.bar.isVisible()


def test_the_bar_can_be_switched_off(qtbot: QtBot) -> None:
    form, watch = make(qtbot)
    form.pending_bar_enabled = False
    form.knob_widget("denoise").click()
    assert watch.settled == [("denoise", True)]
    assert not form.bar.isVisible()
    form.pending_bar_enabled = True
    assert form.bar.isVisible()


def test_reset_goes_to_the_defaults(qtbot: QtBot) -> None:
    form, watch = make(qtbot, DEFAULTS | {"latent": 16, "beta": 4.0, "likelihood": "gaussian"})
    assert not form.bar.isVisible()
    QTest.mouseClick(form.reset_button, LEFT)
    assert form.values() == DEFAULTS
    assert sorted(name for name, _ in watch.settled) == ["beta", "latent", "likelihood"]
    assert form.bar.text.text() == "2 changes need a rebuild"


def test_quiet_values_and_loud_ones(qtbot: QtBot) -> None:
    form, watch = make(qtbot)
    form.set_values({"beta": 2.0, "unknown": 1})
    assert (form.values()["beta"], watch.settled) == (2.0, [])
    form.set_values({"beta": 3.0, "latent": 8}, quiet=False)
    assert watch.settled == [("beta", 3.0)]


def test_the_same_knobs_keep_their_rows(qtbot: QtBot) -> None:
    form, _ = make(qtbot)
    beta = form.knob_widget("beta")
    form.set_knobs(KNOBS, DEFAULTS | {"beta": 5.0}, {"beta": SYMBOL}, running=True)
    assert form.knob_widget("beta") is beta
    assert beta.value() == 5.0
    form.set_knobs(KNOBS[:2], DEFAULTS, {})
    assert list(form.values()) == ["beta", "latent"]


def test_a_rebuild_knob_does_not_settle_in_mid_drag(qtbot: QtBot) -> None:
    form, watch = make(qtbot)
    slider = form.knob_widget("latent")
    track = slider.track_rect()
    QTest.mousePress(slider, LEFT, NONE, QPoint(round(track.center().x()), 12))
    qtbot.wait(220)
    assert watch.settled == []
    QTest.mouseRelease(slider, LEFT, NONE, QPoint(round(track.center().x()), 12))
    assert len(watch.settled) == 1


def test_seed_and_restart(qtbot: QtBot) -> None:
    form, watch = make(qtbot)
    form.set_seed(41)
    assert (form.seed(), watch.seeds) == (41, [])
    QTest.mouseClick(form.seed_box.shuffle_button, LEFT)
    assert watch.seeds == [form.seed()]
    assert form.seed() != 41
    QTest.mouseClick(form.restart_button, LEFT)
    assert watch.restarts == 1


def test_disabled_with_the_reason(qtbot: QtBot) -> None:
    form, _ = make(qtbot)
    form.set_enabled_reason("The model is being built.")
    assert not form.knob_widget("beta").isEnabled()
    assert form.toolTip() == "The model is being built."
    form.set_enabled_reason(None)
    form.set_enabled_reason("Only while denoising.", "beta")
    assert form.knob_widget("beta").toolTip() == "Only while denoising."
    assert form.knob_widget("latent").isEnabled()


def test_what_waits_while_another_study_comes_settles_for_the_old_one(qtbot: QtBot) -> None:
    form = KnobForm()
    qtbot.addWidget(form)
    form.set_knobs(KNOBS, DEFAULTS)
    form.show()
    watch = Watch(form)
    slider = form.knob_widget("latent").findChild(ValueSlider) or form.knob_widget("latent")
    QTest.keyClick(slider, Qt.Key.Key_Right)
    assert watch.settled == []  # a key may be pressed again: it waits a moment
    form.set_knobs(knobs_of(Others), {})
    assert watch.settled == [("latent", 9)]
    assert form.pending() == {}


def test_an_empty_form_says_what_would_be_here(qtbot: QtBot) -> None:
    form = KnobForm()
    qtbot.addWidget(form)
    assert form.values() == {}
    assert any("knobs of a study that learns" in label.text() for label in form.findChildren(QLabel))
    assert not form.reset_button.isEnabled()


def test_fits_the_column_and_names_every_part(qtbot: QtBot) -> None:
    form, _ = make(qtbot)
    form.knob_widget("denoise").click()
    assert form.minimumSizeHint().width() <= 280
    for part in form.findChildren(QWidget):
        own = part.window() is form  # a drop-down's list is a window of its own
        if own and part.focusPolicy() & Qt.FocusPolicy.TabFocus and part.focusProxy() is None:
            named = part.accessibleName() or getattr(part, "text", lambda: "")()
            assert named, part
