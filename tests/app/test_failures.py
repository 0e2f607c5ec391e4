"""What goes wrong is told in place, in one line, with one button that helps; the window lives on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from engine.probes import probes_of

if TYPE_CHECKING:
    from conftest import Driver


def break_probe(monkeypatch: pytest.MonkeyPatch, study: type, name: str, error: Exception) -> None:
    """Makes a probe of a study raise; its declaration stays."""

    def broken(self: Any, **controls: Any) -> None:
        raise error

    broken.probe_spec = next(s for s in probes_of(study) if s.name == name)  # type: ignore[attr-defined]
    monkeypatch.setattr(study, name, broken)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """An image file: a bright ring, not of the data."""
    path = tmp_path / "ring.png"
    y, x = np.mgrid[:24, :24] - 11.5
    ring = np.abs(np.hypot(x, y) - 8) < 2
    Image.fromarray((255 * ring).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder with twenty little images."""
    folder = tmp_path / "album"
    folder.mkdir()
    for i in range(20):
        grey = np.random.default_rng(i).integers(0, 255, (16, 16), dtype=np.uint8)
        Image.fromarray(grey).save(folder / f"{i:02}.png")
    return folder


def test_a_failing_probe_shows_a_card_and_try_again_works(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    drive.open()
    good = drive.image().copy()
    with monkeypatch.context() as patch:
        break_probe(patch, drive.studies["vae"], "decode", ZeroDivisionError("by nought"))
        drive.bench.settle_control("decode", "z", (1.0, 0.0, 0.0))
        drive.until(lambda: drive.failed("decode"))
        card = drive.stage.docks["decode"].view.card
        assert card.texts[0] == "Latent sliders has no answer"
        assert card.texts[1] == "ZeroDivisionError: by nought"
        assert card.button.text() == "Try again"
        assert not drive.window.toolbar.trouble.text(), "the card is where the picture would be, not twice"
        assert "by nought" in drive.log()
        drive.click(card.button)
        drive.until(lambda: len(drive.failures) == 2)
        assert card.isVisible()
    drive.click(card.button)
    drive.until(lambda: not drive.failed("decode"))
    assert not card.isVisible()
    assert not np.array_equal(drive.image(), good)
    drive.train(2)  # the rest of the window never noticed


def test_a_failing_probe_does_not_stop_training(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    break_probe(monkeypatch, drive.studies["vae"], "samples", RuntimeError("no luck"))
    drive.until(lambda: drive.bench.studies)
    drive.bench.open_study("vae", knobs=drive.tiny("vae"))
    drive.until(lambda: drive.opened and drive.failed("samples"))
    drive.train(5)
    assert drive.image("decode") is not None


def test_diverging_says_so_and_goes_back_to_a_good_snapshot(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    drive.open()
    drive.train(3)
    good = drive.image().copy()
    plain = drive.studies["vae"].train_step

    def spoil(self: Any, batch: Any) -> dict[str, Any]:
        metrics = plain(self, batch)
        return {name: value * float("nan") for name, value in metrics.items()}

    bar = drive.window.toolbar
    with monkeypatch.context() as patch:
        patch.setattr(drive.studies["vae"], "train_step", spoil)
        drive.bench.train()
        drive.until(lambda: drive.failures)
    assert drive.failures[0].diverged
    assert not drive.bench.training
    assert bar.trouble.isVisible()
    assert bar.trouble.width() >= bar.trouble.fontMetrics().horizontalAdvance("Training diverged: ")
    assert bar.trouble.text().replace("\n", " ").startswith("Training diverged: ")
    assert bar.trouble.toolTip().startswith("Training diverged: ")
    assert "finite" in bar.trouble.toolTip()
    drive.until(bar.help.isVisible)
    assert bar.help.text() == "Back to step 3"
    drive.click(bar.help)
    drive.until(lambda: drive.bench.step == 3 and not bar.trouble.text())
    drive.until(lambda: not bar.help.isVisible())
    drive.settled()
    np.testing.assert_array_equal(drive.image(), good)
    drive.train(2)
    assert drive.bench.step == 5
    assert len(drive.failures) == 1


def test_a_huge_rate_diverges_and_leaves_the_window_alive(drive: Driver) -> None:
    drive.open(rate=0.1, likelihood="Gaussian", sigma=0.01)
    drive.bench.train(100)
    drive.until(lambda: drive.failures or (drive.bench.step >= 100 and not drive.bench.training))
    drive.until(lambda: not drive.bench.training)
    assert all(f.where == "train" and f.diverged for f in drive.failures)
    drive.bench.rebuild()
    drive.until(lambda: len(drive.opened) == 2)
    assert not drive.window.toolbar.trouble.text()


def test_what_cannot_be_opened_leaves_what_was_open(drive: Driver) -> None:
    drive.open()
    drive.train(4)
    weights = drive.image().copy()
    missing = next(o for o in drive.bench.data_options if not o.available)
    drive.bench.choose_data(missing.key)
    drive.until(lambda: drive.failures)
    trouble = drive.window.toolbar.trouble
    drive.until(lambda: len(drive.opened) == 2)
    drive.settled()
    assert trouble.toolTip().count("\n") == 0
    assert missing.key in trouble.toolTip()
    assert drive.bench.data == "digits"
    assert drive.window.data.box.currentData() == "digits"
    assert drive.bench.step == 4
    np.testing.assert_array_equal(drive.image(), weights)
    drive.train(2)
    assert drive.bench.step == 6
    assert len(drive.failures) == 1


def test_a_study_not_yet_trained_comes_back_with_its_knobs_too(drive: Driver, tmp_path: Path) -> None:
    drive.open()
    drive.window.knobs.knob_widget("beta").set_value(3.0, quiet=False)
    drive.bench.open_run(str(tmp_path / "no-such-run"))
    drive.until(lambda: len(drive.opened) == 2)
    assert len(drive.failures) == 1
    assert "no-such-run" in drive.window.toolbar.trouble.toolTip()
    assert drive.bench.knobs["beta"] == drive.window.knobs.knob_widget("beta").value() == 3.0
    assert drive.bench.study.key == "vae"
    drive.settled()
    drive.train(1)


def test_what_cannot_be_opened_first_of_all_leaves_a_window_to_go_on_with(drive: Driver, tmp_path: Path) -> None:
    drive.until(lambda: drive.bench.studies)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "config.json").write_text("[]", "utf-8")
    assert drive.drop(tmp_path / "foreign")
    drive.until(lambda: drive.failures)
    assert drive.bench.study is None
    assert drive.window.toolbar.trouble.toolTip().count("\n") == 0
    assert not drive.window.commands.actions["train"].isEnabled()
    drive.open()
    assert not drive.window.toolbar.trouble.text()


def test_a_file_that_is_nothing_of_ours_is_told(drive: Driver, tmp_path: Path) -> None:
    drive.open()
    drive.settled()
    path = tmp_path / "notes.txt"
    path.write_text("hello", "utf-8")
    assert drive.drop(path)
    assert (
        drive.window.toolbar.trouble.toolTip()
        == "notes.txt: neither a run, a folder, an image nor a 3-D file that can be read"
    )
    drive.click(drive.window.toolbar.dismiss)
    assert not drive.window.toolbar.trouble.text()
    assert len(drive.opened) == 1


def test_an_image_dropped_on_a_probe_that_takes_one_is_encoded(drive: Driver, picture: Path) -> None:
    drive.open()
    drive.show("posterior")
    drive.settled()
    view: Any = drive.stage.docks["posterior"].view
    before = view.payload
    assert drive.drop(picture)
    assert drive.bench.values("posterior")["item"] == f"file:{picture}"
    drive.until(lambda: view.payload is not before)
    assert view.payload.image.shape == (8, 8, 1)
    assert view.payload.image[0, 0, 0] < 0.02  # the ring's corner, in the data's size
    assert drive.window.controls.values()["item"] == f"file:{picture}"
    drive.bench.undo.undo()
    assert drive.bench.values("posterior")["item"] == "held_out:0"


def test_an_image_dropped_on_interpolation_begins_the_path(drive: Driver, picture: Path) -> None:
    drive.open()
    drive.show("interpolation")
    assert drive.drop(picture)
    assert drive.bench.values("interpolation")["a"] == f"file:{picture}"
    drive.settled()
    assert not drive.failed("interpolation")


def test_an_image_dropped_where_none_is_wanted_says_what_to_do(drive: Driver, picture: Path) -> None:
    drive.open()
    drive.stage.activate("decode")
    assert drive.drop(picture)
    assert "ring.png" in drive.window.toolbar.trouble.toolTip()


def test_an_image_that_cannot_be_read_fails_in_its_dock(drive: Driver, tmp_path: Path) -> None:
    drive.open()
    drive.show("posterior")
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    assert drive.drop(path)
    drive.until(lambda: drive.failed("posterior"))
    assert "broken.png" in drive.stage.docks["posterior"].view.card.texts[1]


def test_a_dropped_run_folder_opens_with_its_curves_and_weights(drive: Driver) -> None:
    drive.open()
    drive.train(5)
    shown, run = drive.image().copy(), Path(drive.bench.run)
    curve = drive.curve("elbo")[1]
    drive.open("autoencoder")
    assert drive.drop(run)
    drive.until(lambda: drive.bench.study.key == "vae")
    drive.settled()
    assert drive.bench.step == 5
    assert drive.bench.run == str(run)
    np.testing.assert_array_equal(drive.image(), shown)
    np.testing.assert_allclose(drive.curve("elbo")[1], curve, rtol=1e-6)
    drive.train(1)
    assert drive.bench.run == str(run)


def test_a_dropped_folder_of_images_is_learned_from_and_comes_back_with_its_run(drive: Driver, album: Path) -> None:
    drive.open()
    assert drive.drop(album)
    drive.until(lambda: drive.bench.data == "folder")
    assert drive.bench.folder == str(album)
    assert drive.window.data.box.currentData() == "folder"
    drive.settled()
    side = drive.image().shape[1]
    drive.train(2)
    run = drive.bench.run
    drive.open("autoencoder")
    assert drive.bench.folder == ""
    drive.bench.open_run(run)
    drive.until(lambda: drive.bench.data == "folder")
    assert drive.bench.folder == str(album)
    seen = len(drive.opened)
    drive.bench.rebuild()  # needs the folder again
    drive.until(lambda: len(drive.opened) > seen)
    drive.settled()
    assert drive.image().shape[1] == side
    assert drive.failures == []


def test_an_empty_folder_is_refused_by_name_and_the_data_stay(drive: Driver, tmp_path: Path) -> None:
    drive.open()
    empty = tmp_path / "empty"
    empty.mkdir()
    assert drive.drop(empty)
    drive.until(lambda: drive.failures and len(drive.opened) == 2)
    assert "empty" in drive.window.toolbar.trouble.toolTip()
    assert (drive.bench.data, drive.bench.folder) == ("digits", "")


def test_a_folder_dropped_with_nothing_open_says_what_to_do(drive: Driver, album: Path) -> None:
    drive.until(lambda: drive.bench.studies)
    assert drive.drop(album)
    assert drive.window.toolbar.trouble.toolTip() == "Open a study first, then choose what it learns from."


def test_one_failing_listener_does_not_lose_the_other_reports(drive: Driver) -> None:
    from engine.messages import Notice

    def broken(report: Notice) -> None:
        raise ValueError(report.text)

    heard: list[str] = []
    drive.until(lambda: drive.bench.studies)
    drive.bench.noticed.connect(lambda text, _level: heard.append(text))
    drive.window.bridge._handlers[Notice].append(broken)
    with drive.qtbot.captureExceptions() as raised:
        drive.engine.outbox.put(Notice("one"))
        drive.engine.outbox.put(Notice("two"))
        drive.until(lambda: len(heard) == 2)
        drive.rest(0.02)
    assert heard == ["one", "two"]
    assert [str(error[1]) for error in raised] == ["one", "two"]
