"""The Frechet distance against closed forms, the judge against real pictures, and the benchmark from end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.bench import diffusion, frechet
from app.bench.diffusion import Plan, Samples, plan
from app.headless import CommandError
from engine import data
from engine.payloads import ImageGrid
from engine.probes import Label, Number, Seed, probe
from engine.study import Study

# ---- the distance ---------------------------------------------------------------------------------------------------


def test_commuting_covariances_have_a_closed_form() -> None:
    """sum (sqrt(a_i) - sqrt(b_i))^2 where both are diagonal in one basis, plus the squared distance of the means."""
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    a, b = rng.uniform(0.1, 4, 6), np.array([0.0, 2.0, 0.5, 0.0, 1.0, 3.0])  # one of them without full rank
    mean_a, mean_b = rng.normal(size=6), rng.normal(size=6)
    closed = np.square(mean_a - mean_b).sum() + np.square(np.sqrt(a) - np.sqrt(b)).sum()
    found = frechet.gaussian_distance(mean_a, (basis * a) @ basis.T, mean_b, (basis * b) @ basis.T)
    assert found == pytest.approx(closed, rel=1e-12)


def test_covariances_that_do_not_commute_agree_with_the_eigenvalues_of_their_product() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 5)), rng.normal(size=(30, 5)) @ rng.normal(size=(5, 5)) + 1
    s, t = np.cov(x.T), np.cov(y.T)
    expected = (
        np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s + t) - 2 * np.sqrt(np.linalg.eigvals(s @ t).real).sum()
    )
    assert frechet.frechet(x, y) == pytest.approx(expected, rel=1e-9)
    assert frechet.frechet(y, x) == pytest.approx(expected, rel=1e-9)


def test_identical_sets_are_at_zero_and_a_shift_is_its_length_squared() -> None:
    x = np.random.default_rng(2).normal(size=(50, 128)).astype(np.float32) * 10  # fewer rows than dimensions
    assert frechet.frechet(x, x) == pytest.approx(0, abs=1e-8)
    shift = np.zeros(128)
    shift[[3, 7]] = 3, 4
    assert frechet.frechet(x.astype(np.float64) + shift, x) == pytest.approx(25, rel=1e-9)
    with pytest.raises(ValueError, match="two rows"):
        frechet.frechet(x[:1], x)


# ---- the judge ------------------------------------------------------------------------------------------------------


def test_the_judge_learns_is_kept_and_is_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = data.load("digits")
    monkeypatch.setattr(frechet, "EPOCHS", 12)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    judge = frechet.judge(source, tmp_path)
    assert torch.equal(torch.rand(1), expected)  # nobody else's random numbers are used up
    seen = judge.classified(source.held_out.images)
    assert (seen == source.held_out.labels).mean() > 0.9
    features = judge.features(source.held_out.images)
    assert features.shape == (len(seen), frechet.FEATURES)
    floats = judge.features(source.held_out.images.astype(np.float32) / 255)
    np.testing.assert_allclose(floats, features, rtol=1e-4, atol=1e-4)  # both kinds of picture are the same picture

    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith("judge-digits-")
    with monkeypatch.context() as patch:
        patch.setattr(frechet, "train", lambda model, source: pytest.fail("trained again"))
        np.testing.assert_array_equal(frechet.judge(source, tmp_path).features(source.held_out.images), features)
    again: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(frechet, "train", lambda model, source: again.append(source.key))
        kept.write_bytes(kept.read_bytes()[:1000])  # a disk that was full: trained again
        frechet.judge(source, tmp_path)
    assert again == ["digits"]

    real = frechet.frechet(judge.features(source.train.images[:250]), features)
    noisy = np.clip(source.train.images[:250] / 255 + np.random.default_rng(0).normal(0, 0.5, (250, 8, 8, 1)), 0, 1)
    assert frechet.frechet(judge.features(noisy), features) > 2 * real


def test_coverage_counts_classes_with_enough_pictures() -> None:
    classes = np.array([0] * 60 + [1] * 38 + [3] * 2)
    assert frechet.coverage(classes, 5, 0.02) == 3
    assert frechet.coverage(classes, 5, 0.03) == 2


# ---- the benchmark --------------------------------------------------------------------------------------------------


class Asked:
    """In the place of a client: pictures that tell the seed, the place and the class."""

    def __init__(self) -> None:
        self.values: list[dict[str, Any]] = []

    def ask(self, name: str, values: dict[str, Any]) -> list[Any]:
        assert name == "samples"
        self.values.append(dict(values))
        n = values["count"]
        labels = np.arange(n) % 10 if values.get("label") == -1 else None
        return [ImageGrid(np.full((n, 2, 2, 1), values["seed"] % 97 / 97, np.float32), labels=labels)]


class Labelled(Study):
    @probe(ImageGrid, count=Number(20, 1, 45), seed=Seed(), label=Label(default=3), steps=Number(9, 1, 99))
    def samples(self, count: int, seed: int, label: int, steps: int) -> None:
        """Made up."""


class Unlabelled(Study):
    @probe(ImageGrid, count=Number(20, 1, 400), seed=Seed())
    def samples(self, count: int, seed: int) -> None:
        """Made up."""


def opened(study: type[Study]) -> Any:
    from engine.messages import Opened

    return Opened(1, study.declaration("made_up"), {}, 0, "fashion_mnist", "cpu", 0, 0)


def test_samples_come_in_parts_with_seeds_of_their_own_and_every_class_as_often() -> None:
    client = Asked()
    settings = {"steps": 7, "sampler": "Heun", "guidance": 0.0}
    images, asked = Samples(client, opened(Labelled), 10).draw(100, settings)  # type: ignore[arg-type]
    assert [v["count"] for v in client.values] == [40, 40, 20]  # 45 is no multiple of the classes
    assert len({v["seed"] for v in client.values}) == 3
    assert all(v["label"] == -1 and v["steps"] == 7 and v.keys() == {"count", "seed", "label", "steps"}
               for v in client.values)  # fmt: skip
    assert images.shape == (100, 2, 2, 1)
    assert asked is not None
    assert np.bincount(asked).tolist() == [10] * 10


def test_a_study_without_classes_is_asked_for_none() -> None:
    client = Asked()
    images, asked = Samples(client, opened(Unlabelled), 10).draw(500, {"guidance": 0.0})  # type: ignore[arg-type]
    assert (len(images), asked) == (500, None)
    assert client.values[0].keys() == {"count", "seed"}


def test_the_plan_is_in_the_environment() -> None:
    assert plan({}).full
    assert plan({}).cpu_seconds == 600
    short = plan({"MUTOSCOPE_BENCH_CPU_SECONDS": "2.5", "MUTOSCOPE_BENCH_STUDIES": "ddpm,vae"})
    assert (short.cpu_seconds, short.studies, short.full) == (2.5, ("vae", "ddpm"), False)
    for name, text in (("CPU_SECONDS", "soon"), ("SAMPLES", "-3"), ("STUDIES", "gan"), ("CPU_SECONDS", "nan")):
        with pytest.raises(CommandError, match=f"MUTOSCOPE_BENCH_{name}: '{text}'"):
            plan({f"MUTOSCOPE_BENCH_{name}": text})


def test_without_the_data_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(key: str) -> Any:
        raise data.DataError(f"{key}: is not on this machine")

    monkeypatch.setattr(diffusion, "ready", missing)
    with pytest.raises(SystemExit, match=r"^bench: diffusion: fashion_mnist: is not on this machine$"):
        diffusion.measure()


def test_from_end_to_end_in_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The VAE on digits, trained through the engine, judged and kept; a missing study is a row that says so."""
    source = data.load("digits")
    monkeypatch.setattr(frechet, "EPOCHS", 2)
    score = (source, frechet.judge(source, tmp_path))
    monkeypatch.setattr(diffusion, "DATA", "digits")
    monkeypatch.setattr(diffusion, "ready", lambda key: score)
    monkeypatch.setattr(diffusion, "MAIN", {"vae": {}, "no_such_study": {}})
    rows = diffusion._measure(Plan(0.5, 40, 1, ("vae", "no_such_study")), tmp_path)
    by_name = {row.name: row for row in rows}
    assert by_name["diffusion: vae, training steps of 128"].figure >= 1
    vae = by_name["diffusion: vae"]
    assert vae.figure > 0
    assert vae.ratio == 1
    assert vae.kept is None  # nothing is promised of a short trial
    assert by_name["diffusion: no_such_study"].peer == "skipped: there is no such study"
    real = next(row for name, row in by_name.items() if "real training" in name)
    assert real.ratio is not None
    assert real.ratio < 1
    assert (tmp_path / "vae" / "config.json").is_file()
    assert (tmp_path / "vae.png").is_file()
    assert "CPU-seconds" in capsys.readouterr().err
