"""The benchmark of adversarial models: what it promises, whom it asks, and one run from end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.bench import frechet, gan
from app.bench.gan import BUDGET, plan
from app.bench.judged import Plan, Score
from app.headless import CommandError
from engine import data
from engine.payloads import Frames


class Seen:
    """In the place of the judge's score: ten classes, of which the pictures are made up."""

    classes = 10

    def __init__(self, covered: int, largest: float) -> None:
        self._covered, self._largest = covered, largest

    def covered(self, images: object) -> int:
        return self._covered

    def largest(self, images: object) -> float:
        return self._largest


class Asked:
    """In the place of a client: seeds come back exactly but for one, real pictures do not."""

    def __init__(self) -> None:
        self.items: list[str] = []

    def ask(self, name: str, values: dict[str, Any]) -> list[Any]:
        assert name == "invert"
        item = values["item"]
        self.items.append(item)
        kind, number = item.split(":")
        psnr = 20.0 + int(number) if kind == "held_out" else (60.0 if int(number) % 10 else 34.0)
        images = np.stack([np.full((2, 2, 1), v, np.float32) for v in (0.25, 0.5, 1.0)])
        readings = {"PSNR, dB": psnr, "loss": 0.0}
        return [Frames(images, index=i, total=2, readings={**readings, "PSNR, dB": i * psnr}) for i in range(2)]


class Study:
    def probe(self, name: str) -> object:
        return name == "invert" or None


def test_the_gans_are_what_is_measured_unless_others_are_named() -> None:
    whole = plan({})
    assert (whole.studies, whole.cpu_seconds, whole.full) == (("dcgan", "style_gan"), 900.0, True)
    named = plan({"MUTOSCOPE_BENCH_STUDIES": "style_gan,vae", "MUTOSCOPE_BENCH_SAMPLES": "100"})
    assert (named.studies, named.full) == (("vae", "style_gan"), False)
    assert not plan({"MUTOSCOPE_BENCH_CPU_SECONDS": "600"}).full  # another benchmark's budget
    with pytest.raises(CommandError, match="MUTOSCOPE_BENCH_STUDIES: 'ddpm' is not one of vae, rectified_flow, dcgan"):
        plan({"MUTOSCOPE_BENCH_STUDIES": "ddpm"})


@pytest.mark.parametrize(
    ("covered", "largest", "kept"),
    [(9, 0.25, (True, True)), (8, 0.2, (False, True)), (10, 0.26, (True, False))],
)
def test_classes_are_promised(covered: int, largest: float, kept: tuple[bool, bool]) -> None:
    score: Any = Seen(covered, largest)
    seen, most = gan._class_rows("gan: dcgan", np.zeros((20, 2, 2, 1), np.float32), score, promised=True)
    assert (seen.kept, most.kept) == kept
    assert (seen.figure, most.figure) == (covered, pytest.approx(100 * largest))
    assert all(row.kept is None for row in gan._class_rows("", np.zeros((20, 2, 2, 1)), score, promised=False))


def test_the_least_of_the_models_own_pictures_counts(tmp_path: Path) -> None:
    client, opened = Asked(), type("Opened", (), {"study": Study()})()
    done: Any = type("Done", (), {"client": client, "opened": opened})()
    least, own, real, seconds = gan._inversion_rows("gan: dcgan", done, tmp_path / "sheet.png")
    assert client.items == [f"seed:{i}" for i in range(101, 111)] + [f"held_out:{i}" for i in range(10)]
    assert (least.figure, least.kept, least.peer) == (34.0, False, "9 of 10 at 35 dB")
    assert own.figure == 60.0
    assert (real.figure, real.peer) == (24.5, "20.0 to 29.0 dB")
    assert 0 <= seconds.figure < 1
    assert (tmp_path / "sheet.png").is_file()


def test_from_end_to_end_in_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A GAN on digits, trained through the engine for a moment, judged, inverted and kept."""
    source = data.load("digits")
    monkeypatch.setattr(frechet, "EPOCHS", 2)
    score = (source, frechet.judge(source, tmp_path))
    monkeypatch.setattr(gan, "DATA", "digits")
    monkeypatch.setattr(gan, "ready", lambda key: score)
    monkeypatch.setattr(gan, "INVERTED", 2)
    rows = gan._measure(Plan(0.5, 40, 1, ("dcgan",), None, BUDGET), tmp_path)
    by_name = {row.name: row for row in rows}
    assert rows[0].name.startswith("gan: dcgan, training steps of")
    assert rows[0].figure >= 1
    distance = by_name["gan: dcgan"]
    assert distance.ratio == pytest.approx(distance.figure / 70.3)
    assert distance.peer == "VAE: 70.30"
    assert by_name["gan: vae, recorded on another day"].figure == 70.3
    assert by_name["gan: rectified_flow, recorded on another day"].figure == 9.12
    assert by_name["gan: dcgan, classes seen"].kept is None  # nothing is promised of a short trial
    assert by_name["gan: dcgan, 2 generated pictures inverted, least PSNR"].figure > 25
    assert by_name["gan: dcgan, 2 held-out pictures inverted, median PSNR"].figure > 8
    assert any(name.startswith("gan: 1") and "real training" in name for name in by_name)
    for name in ("dcgan.png", "dcgan-inversion.png", "dcgan/config.json"):
        assert (tmp_path / name).is_file()
    assert "inversion of 4 pictures" in capsys.readouterr().err


def test_the_largest_class_is_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    class Judge:
        def features(self, images: Any) -> Any:
            return np.zeros((len(images), 2))

        def classified(self, images: Any) -> Any:
            return np.array([0] * 3 + [7] * 5 + [2] * 2)

    source = data.load("digits")
    score = Score(source, Judge(), "gan")  # type: ignore[arg-type]
    assert score.largest(np.zeros((10, 8, 8, 1))) == 0.5
    assert score.covered(np.zeros((10, 8, 8, 1))) == 3
