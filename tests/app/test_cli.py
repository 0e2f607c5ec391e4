"""The command line: what it lists, what it refuses and how, what a probe writes. Training has its own file."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence
from safetensors.numpy import save_file

from app.cli import main
from app.headless import BAD_INPUT

TINY = ["--set", "latent=3", "--set", "width=4", "--set", "hidden=16", "--set", "batch=32", "--device", "cpu"]


@pytest.fixture(scope="module", autouse=True)
def _loaded(studies: dict[str, Any]) -> None:
    """Every test here starts an engine: what that imports is imported before, with its own warnings."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six steps, with snapshots at 0 and 6; tests that change it copy it."""
    run = tmp_path_factory.mktemp("runs") / "six"
    assert main(["train", "vae", "--steps", "6", *TINY, "--out", str(run)]) == 0
    return run


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def refusal(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line on stderr with which a command ends that is given something wrong."""
    capsys.readouterr()
    assert main(argv) == BAD_INPUT
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    return err


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"")
        for p in sorted(folder.rglob("*"))
    }


# ---- list -----------------------------------------------------------------------------------------------------------


def test_list_names_every_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    families = ("Latent variables", "Diffusion and flows")
    assert len({line.index(family) for line in lines for family in families if family in line}) == 1  # columns
    (vae,) = [line for line in lines if line.startswith("vae ")]
    assert "Variational autoencoder" in vae
    assert "arXiv:1312.6114" in vae


def test_list_as_json_says_what_a_script_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    studies = {s["key"]: s for s in json.loads(capsys.readouterr().out)}
    vae = studies["vae"]
    assert (vae["family"], vae["title"], vae["error"]) == ("Latent variables", "Variational autoencoder", "")
    beta = next(k for k in vae["knobs"] if k["name"] == "beta")
    assert (beta["kind"], beta["default"], beta["lo"], beta["hi"]) == ("float", 1.0, 0.0, 16.0)
    samples = next(p for p in vae["probes"] if p["name"] == "samples")
    assert samples["controls"] == ["count", "seed", "psi"]


def test_a_broken_study_is_listed_with_its_error_and_cannot_be_trained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from engine import registry

    whole = registry.find("engine.studies")
    broken = registry.Registry(whole.studies, {"nerf": "SyntaxError: invalid syntax"})
    monkeypatch.setattr(registry, "find", lambda _: broken)
    assert main(["list"]) == 0
    assert "nerf" in capsys.readouterr().out.splitlines()[-1]
    assert main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[-1]["error"] == "SyntaxError: invalid syntax"
    line = refusal(capsys, "train", "nerf", "--out", str(tmp_path / "run"))
    assert "study nerf could not be loaded: SyntaxError" in line


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["paint"], "invalid choice: 'paint'"),
        (["train"], "required: STUDY, --out"),
        (["train", "vae", "--out", "R", "--steps", "0"], "0 is outside the range from 1"),
        (["train", "vae", "--out", "R", "--steps", "1.5"], "'1.5' is not a whole number"),
        (["train", "vae", "--out", "R", "--steps", "5", "--seconds", "1"], "not allowed with"),
        (["train", "vae", "--out", "R", "--seconds", "nan"], "nan is not a positive number of seconds"),
        (["train", "vae", "--out", "R", "--seed", "-1"], "-1 is outside the range"),
        (["train", "vae", "--out", "R", "--set", "beta"], "'beta' is not NAME=VALUE"),
        (["train", "vae", "--out", "R", "--device", "tpu"], "invalid choice: 'tpu'"),
        (["train", "vae", "--out", "R", "--st", "5"], "unrecognized arguments: --st 5"),
        (["probe", "R", "samples"], "required: --out"),
        (["tour", "--out", "T", "--size", "wide"], "'wide' is not WIDTHxHEIGHT"),
        (["starters", "--only", "cats"], "there is no starter 'cats'; there are shapes, noise, surface, digits_map"),
    ],
)
def test_bad_arguments_are_one_line(capsys: pytest.CaptureFixture[str], argv: list[str], words: str) -> None:
    assert words in refusal(capsys, *argv)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["vea"], "there is no study 'vea'; there are autoencoder, "),
        (["vae", "--set", "beta=99"], "beta: 99 is outside the range from 0 to 16"),
        (["vae", "--set", "latent=2.5"], "latent: '2.5' is not a whole number"),
        (["vae", "--set", "likelihood=Poisson"], "likelihood: 'Poisson' is not one of Bernoulli, Gaussian"),
        (["vae", "--set", "bta=1"], "bta: no such knob of vae; there are latent, beta"),
        (["vae", "--data", "cats"], "there is no data set 'cats'; there are digits"),
        (["vae", "--data", "folder", "--folder", "nowhere"], "nowhere"),
        (["vae", "--data", "digits", "--folder", "."], "--folder goes with --data folder or capture, not with digits"),
    ],
)
def test_what_cannot_be_trained_is_one_line_and_makes_no_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, argv: list[str], words: str
) -> None:
    assert words in refusal(capsys, "train", *argv, "--out", str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    line = refusal(capsys, "train", "vae", "--device", "cuda", "--out", str(tmp_path / "run"))
    assert "no CUDA device" in line


def test_a_folder_that_holds_a_run_is_left_alone(capsys: pytest.CaptureFixture[str], trained: Path) -> None:
    before = state_of(trained)
    assert "holds a run already" in refusal(capsys, "train", "vae", *TINY, "--out", str(trained))
    assert state_of(trained) == before


def test_an_out_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path, trained: Path) -> None:
    (tmp_path / "file").write_text("here")
    assert "is a file" in refusal(capsys, "train", "vae", *TINY, "--out", str(tmp_path / "file"))
    below = str(tmp_path / "file" / "run")
    assert f"{below}: cannot be made" in refusal(capsys, "train", "vae", *TINY, "--steps", "2", "--out", below)
    picture = str(tmp_path / "file" / "a.png")
    assert f"{picture}: cannot be written" in refusal(capsys, "probe", str(trained), "samples", "--out", picture)


# ---- runs that are missing, damaged or foreign ----------------------------------------------------------------------


@pytest.mark.parametrize("command", ["probe", "resume"])
def test_a_run_that_is_not_there_or_not_ours(capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str) -> None:
    rest = ["samples", "--out", str(tmp_path / "a.png")] if command == "probe" else []
    assert "there is no such run folder" in refusal(capsys, command, str(tmp_path / "none"), *rest)
    assert "config.json: not found" in refusal(capsys, command, str(tmp_path), *rest)
    (tmp_path / "config.json").write_text("{")
    assert "the file is damaged or not ours" in refusal(capsys, command, str(tmp_path), *rest)


@pytest.mark.parametrize("command", ["probe", "resume"])
def test_a_run_of_a_newer_program(capsys: pytest.CaptureFixture[str], copied: Path, command: str) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "format": 99}))
    rest = ["samples", "--out", str(copied / "a.png")] if command == "probe" else []
    assert "written by a newer Mutoscope (format 99" in refusal(capsys, command, str(copied), *rest)


def test_a_truncated_snapshot_falls_back_to_an_earlier_one(capsys: pytest.CaptureFixture[str], copied: Path) -> None:
    newest, first = (copied / "snapshots" / f"step-{s:09d}.safetensors" for s in (6, 0))
    newest.write_bytes(newest.read_bytes()[:2000])
    out = str(copied / "a.png")
    assert main(["probe", str(copied), "samples", "--out", out]) == 0
    told = capsys.readouterr()
    assert "at step 0" in told.out
    assert told.err.startswith("warning: ")
    assert newest.name in told.err
    assert told.err.count("\n") == 1

    before = {name for name in state_of(copied) if "snapshots" in name}
    assert main(["resume", str(copied), "--steps", "2"]) == 0
    after = {name for name in state_of(copied) if "snapshots" in name}
    assert before - after == {f"snapshots/{newest.name}"}
    assert after - before == {f"snapshots/{newest.name}.damaged", "snapshots/step-000000002.safetensors"}
    rows = (copied / "metrics.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows if row.split(",")[1]] == ["1", "2"]

    first.write_bytes(b"")
    (copied / "snapshots" / "step-000000002.safetensors").unlink()
    assert "not a whole safetensors file" in refusal(capsys, "probe", str(copied), "samples", "--out", out)


def test_a_foreign_safetensors_file(capsys: pytest.CaptureFixture[str], copied: Path) -> None:
    out = str(copied / "a.png")
    foreign = copied / "snapshots" / "step-000000009.safetensors"
    save_file({"weight": np.zeros(3, np.float32)}, foreign)
    assert "not a snapshot of Mutoscope's" in refusal(capsys, "probe", str(foreign), "samples", "--out", out)
    elsewhere = shutil.copy(foreign, copied / "model.safetensors")
    assert "open a run folder" in refusal(capsys, "probe", str(elsewhere), "samples", "--out", out)


# ---- probe ----------------------------------------------------------------------------------------------------------


def test_samples_as_npz_keep_the_convention(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.npz"
    assert main(["probe", str(trained), "samples", "--set", "count=7", "--set", "seed=3", "--out", str(out)]) == 0
    with np.load(out) as arrays:
        images = arrays["images"]
        assert "labels" not in arrays  # a model without classes does not know them
    assert (images.shape, images.dtype) == ((7, 8, 8, 1), np.float32)
    assert 0 <= images.min() < images.max() <= 1
    again, other = tmp_path / "b.npz", tmp_path / "c.npz"
    assert main(["probe", str(trained), "samples", "--set", "count=7", "--set", "seed=3", "--out", str(again)]) == 0
    assert main(["probe", str(trained), "samples", "--set", "count=7", "--set", "seed=4", "--out", str(other)]) == 0
    assert np.array_equal(np.load(again)["images"], images)
    assert not np.array_equal(np.load(other)["images"], images)


def test_a_timeline_becomes_a_film(capsys: pytest.CaptureFixture[str], trained: Path, tmp_path: Path) -> None:
    import av

    ask = ["probe", str(trained), "interpolation", "--set", "a=held_out:3", "--set", "steps=5", "--out"]
    for name in ("a.gif", "a.mp4", "a.npz", "a.json", "a.png"):
        assert main([*ask, str(tmp_path / name)]) == 0
        assert "Interpolation of vae at step 6, 5 frames" in capsys.readouterr().out
    with Image.open(tmp_path / "a.gif") as gif:
        shown = [frame.info["duration"] for frame in ImageSequence.Iterator(gif)]  # equal frames are merged into one
    assert sum(shown) == 5 * 80
    with av.open(str(tmp_path / "a.mp4")) as film:
        frames = [frame.to_ndarray(format="gray") for frame in film.decode(video=0)]
    assert len(frames) == 5
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["images"].shape == (5, 1, 8, 8, 1)
        assert arrays["index"].tolist() == [0, 1, 2, 3, 4]
        last = arrays["images"][-1, 0, :, :, 0]
    cell = frames[-1].shape[0] // 8
    middles = frames[-1][cell // 2 :: cell, cell // 2 :: cell] / 255
    assert np.abs(middles[:8, :8] - last).max() < 0.05  # the film shows the pictures that the arrays hold
    with Image.open(tmp_path / "a.png") as still:
        assert still.size == (512, 512)
    assert [frame["readings"]["t"] for frame in json.loads((tmp_path / "a.json").read_text())] == [
        0,
        0.25,
        0.5,
        0.75,
        1,
    ]


def test_a_film_of_odd_sides_gets_even_ones() -> None:
    import av

    from engine.formats.export import WRITERS
    from engine.payloads import ImageGrid

    grid = ImageGrid(np.linspace(0, 1, 301 * 521 * 3, dtype=np.float32).reshape(1, 301, 521, 3))
    with av.open(io.BytesIO(WRITERS[".mp4"](Path("a.mp4"), [grid]))) as film:
        (frame,) = film.decode(video=0)
    assert (frame.width, frame.height) == (522, 302)


def test_a_probe_reads_a_run_and_a_snapshot_without_touching_it(
    capsys: pytest.CaptureFixture[str], trained: Path, tmp_path: Path
) -> None:
    before = state_of(trained)
    snapshot = trained / "snapshots" / "step-000000000.safetensors"
    for run, step in ((trained, 6), (snapshot, 0)):
        out = tmp_path / f"{step}.json"
        assert main(["probe", str(run), "posterior", "--out", str(out)]) == 0
        assert f"at step {step}" in capsys.readouterr().out
    assert state_of(trained) == before
    zero, six = (json.loads((tmp_path / f"{step}.json").read_text())["values"] for step in (0, 6))
    assert len(zero) == 3
    assert zero != six


@pytest.mark.parametrize(
    ("probe", "setting", "words"),
    [
        ("painting", "count=3", "painting: no such probe of vae; there are decode, samples"),
        ("samples", "cunt=3", "cunt: no such control of samples; there are count, seed"),
        ("samples", "count=9000", "count: 9000 is outside the range from 1 to 2000"),
        ("samples", "count=few", "count: 'few' is not a whole number"),
        ("decode", "z=1,2", "z: has 2 numbers, the study's code has 3"),
        ("interpolation", "method=jump", "method: 'jump' is not one of lerp, slerp"),
        ("posterior", "item=held_out:99999", "held_out:99999: the data has 270 such items"),
        ("posterior", "item=/no/such.png", "such.png"),
    ],
)
def test_a_bad_question_is_one_line_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], trained: Path, tmp_path: Path, probe: str, setting: str, words: str
) -> None:
    out = tmp_path / "a.png"
    assert words in refusal(capsys, "probe", str(trained), probe, "--set", setting, "--out", str(out))
    assert not out.exists()


@pytest.mark.parametrize(("ending", "words"), [("tiff", ".png, .gif"), ("ply", "for scenes"), ("", "unknown ending")])
def test_an_ending_that_nobody_writes(
    capsys: pytest.CaptureFixture[str], trained: Path, tmp_path: Path, ending: str, words: str
) -> None:
    assert words in refusal(capsys, "probe", str(trained), "samples", "--out", str(tmp_path / f"a.{ending}"))


def test_what_is_no_picture_is_not_forced_into_one(
    capsys: pytest.CaptureFixture[str], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.formats import export

    monkeypatch.setattr(export, "_picture", lambda *_: (_ for _ in ()).throw(export.ExportError("a.png: no picture")))
    assert "no picture" in refusal(capsys, "probe", str(trained), "posterior", "--out", str(tmp_path / "a.png"))
