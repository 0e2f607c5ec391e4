"""The main flow, by mouse and keys: open, train, watch, drag while it trains, pause, step, undo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PySide6.QtCore import Qt

if TYPE_CHECKING:
    from conftest import Driver

from app.panels.objective import number


def test_a_click_in_the_catalogue_opens_the_study_as_its_starter_left_it(drive: Driver) -> None:
    drive.until(lambda: drive.bench.studies)
    tree = drive.window.catalogue.tree
    item = next(i for i in drive.window.catalogue._items() if i.text(0) == "Autoencoder and PCA")
    drive.click(tree.viewport(), tree.visualItemRect(item).center())
    drive.until(lambda: drive.opened)
    assert drive.bench.study is not None
    assert drive.bench.study.key == "autoencoder"
    assert drive.bench.step == 3000
    assert drive.bench.knobs == {**drive.bench.study.initial_knobs(), "latent": 8, "width": 16, "hidden": 64}
    assert drive.window.knobs.values() == drive.bench.knobs
    assert drive.window.toolbar.study.text() == "Autoencoder and PCA"
    assert drive.window.pages.currentWidget() is drive.stage
    assert list(drive.stage.docks) == [spec.name for spec in drive.bench.study.probes]
    drive.until(lambda: drive.image("decode") is not None)
    assert drive.image("decode").shape == (1, 8, 8, 1)


def test_a_study_without_a_starter_opens_with_its_default_knobs(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.welcome.STARTERS", Path("nowhere"))
    drive.until(lambda: drive.bench.studies)
    drive.window.choose_study("vae")
    drive.until(lambda: drive.opened)
    assert drive.bench.step == 0
    assert drive.bench.knobs == drive.bench.study.initial_knobs()


def test_a_double_click_in_the_catalogue_opens_once(drive: Driver) -> None:
    from PySide6.QtTest import QTest

    drive.until(lambda: drive.bench.studies)
    tree = drive.window.catalogue.tree
    item = next(i for i in drive.window.catalogue._items() if i.text(0) == "Autoencoder and PCA")
    at = tree.visualItemRect(item).center()
    drive.click(tree.viewport(), at)
    QTest.mouseDClick(tree.viewport(), Qt.MouseButton.LeftButton, pos=at)
    QTest.mouseRelease(tree.viewport(), Qt.MouseButton.LeftButton, pos=at)
    drive.until(lambda: drive.opened)
    drive.settled()
    assert drive.bench.epoch == 1


def test_train_draws_curves_and_the_objective_reads_their_newest_points(drive: Driver) -> None:
    drive.open()
    drive.click(drive.window.toolbar.train)
    assert drive.bench.training
    assert drive.window.toolbar.train.text() == "Pause"
    drive.until(lambda: drive.bench.step >= 20)
    drive.click(drive.window.toolbar.train)
    drive.settled()
    assert drive.window.toolbar.train.text() == "Train"
    drive.until(lambda: len(drive.curve("elbo")[0]) == drive.bench.step > 0)
    steps, elbo = drive.curve("elbo")
    assert steps.tolist() == list(range(1, drive.bench.step + 1))
    assert np.isfinite(elbo).all()
    assert elbo[-5:].mean() > elbo[:5].mean()
    for view in drive.window.objective._terms:
        assert view.value.text() == number(drive.curve(view.term.metric)[1][-1])
    _, kl = drive.curve("kl")
    _, reconstruction = drive.curve("reconstruction")
    assert elbo == pytest.approx(reconstruction - kl, abs=1e-3)
    vectors = drive.window.curves.vectors["kl_per_dimension"]._book.runs["run 1"]
    assert sum(s.data.y[-1] for s in vectors.values()) == pytest.approx(kl[-1], abs=1e-4)
    assert f"step {drive.bench.step:,}" in drive.window.toolbar.progress_text.text()


def test_a_slider_dragged_while_it_trains_moves_the_picture_in_order_and_settles_last(drive: Driver) -> None:
    drive.open()
    drive.key(Qt.Key.Key_Space)
    drive.until(lambda: drive.bench.step >= 5)
    row = drive.window.controls.control_widget("z").row(0)
    before = drive.image().copy()
    seen = len(drive.pictures)
    drive.drag(row, 0.95, moves=40)
    final = drive.bench._seq
    drive.until(lambda: any(p.seq == final and p.slot == "decode" for p in drive.pictures[seen:]))
    shown = [p for p in drive.pictures[seen:] if p.slot == "decode" and p.seq > 0]
    assert [p.seq for p in shown] == sorted(p.seq for p in shown)
    dragged = [p for p in shown if p.phase == "drag"]
    assert len(dragged) >= 2, "the picture follows the hand before it lets go"
    last = next(p for p in shown if p.seq == final)
    assert last.phase == "settled"
    assert drive.bench.training
    assert drive.stage.docks["decode"]._shown == final
    assert not np.array_equal(drive.image(), before)
    assert drive.bench.values("decode")["z"][0] == pytest.approx(row.scale.at(0.95), abs=0.1)
    assert drive.window.status._labels["latency"].text().startswith("last slider → picture ")


def test_the_picture_is_that_of_the_final_code(drive: Driver, monkeypatch: Any) -> None:
    decoded: list[Any] = []
    plain = drive.studies["vae"].decode_images
    monkeypatch.setattr(
        drive.studies["vae"], "decode_images", lambda self, z: (decoded.append((z, plain(self, z))), decoded[-1][1])[1]
    )
    drive.open()
    row = drive.window.controls.control_widget("z").row(1)
    drive.drag(row, 0.2)
    drive.settled()
    z = drive.bench.values("decode")["z"]
    assert z[1] < -1
    code, picture = next(pair for pair in reversed(decoded) if len(pair[0]) == 1)
    assert code[0].tolist() == pytest.approx(z)
    np.testing.assert_array_equal(drive.image()[0, ..., 0], picture[0, 0].numpy())


def test_space_trains_and_pauses_and_dot_takes_one_step(drive: Driver) -> None:
    drive.open()
    drive.key(Qt.Key.Key_Space)
    drive.until(lambda: drive.bench.step > 3)
    drive.key(Qt.Key.Key_Space)
    drive.settled()
    held = drive.bench.step
    drive.rest(0.3)
    assert drive.bench.step == held
    drive.key(".")
    drive.until(lambda: drive.bench.step == held + 1 and not drive.bench.training)
    assert drive.window.toolbar.train.text() == "Train"


def test_one_step_does_not_leave_the_button_on_pause(drive: Driver) -> None:
    """The engine is back at rest before it says a word: its next status counts, however like the last it is."""
    drive.open()
    for wanted in (1, 2, 3):
        drive.key(".")
        drive.until(lambda wanted=wanted: drive.bench.step == wanted and not drive.bench.training, 2000)
        assert drive.window.toolbar.train.text() == "Train"


def test_the_button_does_not_flicker_when_orders_come_quickly(drive: Driver) -> None:
    drive.open()
    said: list[bool] = []
    drive.bench.training_changed.connect(said.append)
    wanted = []
    for on in (True, False, True, False, True):
        drive.key(Qt.Key.Key_Space)
        wanted.append(on)
        drive.rest(0.12)
    drive.rest(0.4)
    assert said == wanted
    assert drive.bench.training


def test_keys_after_a_click_in_the_catalogue_are_the_windows(drive: Driver) -> None:
    drive.until(lambda: drive.bench.studies)
    tree = drive.window.catalogue.tree
    item = next(i for i in drive.window.catalogue._items() if i.text(0) == "Autoencoder and PCA")
    drive.click(tree.viewport(), tree.visualItemRect(item).center())
    drive.until(lambda: drive.opened)
    assert tree.hasFocus()
    drive.key(".")
    drive.until(lambda: drive.bench.step == 3001)
    drive.key("2")
    assert drive.stage.active == list(drive.stage.docks)[1]


def test_digits_raise_probes_and_r_resets_the_active_one(drive: Driver) -> None:
    drive.open()
    names = list(drive.stage.docks)[:9]
    for i, name in enumerate(names, start=1):
        drive.key(str(i))
        drive.until(lambda name=name: drive.stage.docks[name].on_screen)
        assert drive.stage.active == name
        assert drive.window.controls.probe().name == name
    drive.key("2")
    name = names[1]
    assert name == "samples"
    drive.bench.settle_control(name, "count", 9)
    drive.until(lambda: drive.image(name) is not None and len(drive.image(name)) == 9)
    assert drive.window.controls.values()["count"] == 9
    drive.key("r")
    drive.until(lambda: len(drive.image(name)) == 25)
    assert drive.window.controls.values()["count"] == 25


def test_f_frames_the_view_of_the_active_probe(drive: Driver, monkeypatch: Any) -> None:
    drive.open()
    fitted: list[str] = []
    monkeypatch.setattr(drive.stage.docks["decode"].view, "fit", lambda: fitted.append("decode"))
    drive.key("f")
    assert fitted == ["decode"]


def test_brackets_go_to_snapshots_and_back(drive: Driver) -> None:
    drive.open()
    drive.train(3)
    three = drive.image().copy()
    drive.train(4)
    drive.settled()
    seven = drive.image().copy()
    assert drive.bench.snapshots == (0, 3, 7)
    assert not np.array_equal(three, seven)
    drive.key("[")
    drive.until(lambda: drive.bench.step == 3)
    drive.settled()
    np.testing.assert_array_equal(drive.image(), three)
    drive.key("]")
    drive.until(lambda: drive.bench.step == 7)
    drive.settled()
    np.testing.assert_array_equal(drive.image(), seven)
    assert drive.window.commands.by_key("]") is None
    assert "later" in drive.window.commands.actions["later"].toolTip()


def test_the_same_seed_gives_the_same_curves_and_another_seed_does_not(drive: Driver) -> None:
    drive.open()
    drive.train(6)
    drive.click(drive.window.toolbar.restart)
    drive.until(lambda: len(drive.opened) == 2)
    assert drive.bench.step == 0
    drive.train(6)
    for name in ("elbo", "reconstruction", "kl"):
        np.testing.assert_array_equal(drive.curve(name, 0)[1][:6], drive.curve(name, 1)[1][:6])
    drive.click(drive.window.knobs.seed_box.shuffle_button)
    assert drive.bench.seed != drive.opened[-1].seed
    drive.click(drive.window.knobs.restart_button)
    drive.until(lambda: len(drive.opened) == 3)
    drive.train(6)
    assert not np.array_equal(drive.curve("elbo", 0)[1][:6], drive.curve("elbo", 2)[1][:6])


def test_pictures_of_an_older_build_are_dropped(drive: Driver) -> None:
    drive.open()
    drive.settled()
    old = drive.pictures[-1]
    shown = drive.image().copy()
    drive.bench.rebuild()
    drive.until(lambda: len(drive.opened) == 2)
    drive.settled()
    drive.pictures.clear()
    drive.engine.outbox.put_picture(old)
    drive.rest(0.05)
    assert all(picture.epoch == 2 for picture in drive.pictures)
    np.testing.assert_array_equal(drive.image(), shown)


def test_an_answer_to_an_older_question_does_not_replace_a_newer_one(drive: Driver) -> None:
    drive.open()
    drive.settled()
    old = next(p for p in drive.pictures if p.slot == "decode")
    drive.bench.settle_control("decode", "z", (2.0, 0.0, 0.0))
    drive.settled()
    newer = drive.image().copy()
    drive.engine.outbox.put_picture(old)
    drive.rest(0.05)
    np.testing.assert_array_equal(drive.image(), newer)
