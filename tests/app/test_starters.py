"""The starters: that the command makes them, and that those in the repository are small, whole and worth opening."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import app.starters as starters
from app.cli import main
from app.headless import INTERRUPTED
from app.headless.client import Client
from app.headless.progress import Progress
from app.starters import FOLDER, RECIPES, ROWS, Recipe, evenly, thin
from app.welcome import STARTER_RUNS, STARTERS
from engine import messages as m
from engine.data import load
from engine.formats.runs import Run, read_snapshot
from engine.payloads import ImageGrid


@pytest.fixture(scope="module", autouse=True)
def _loaded(studies: dict[str, Any]) -> None:
    """Every test here starts an engine: what that imports is imported before, with its own warnings."""


def check_whole(folder: Path, recipe: Recipe) -> None:
    """What a starter's folder holds, whoever made it."""
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    snapshot = f"snapshots/step-{recipe.steps:09d}.safetensors"
    card = {"card.png"} if recipe.card is not None else set()
    assert names == {"config.json", "summary.json", "metrics.csv", snapshot} | card
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) <= 1_700_000

    state, step = read_snapshot(folder / snapshot, recipe.study)
    assert step == recipe.steps
    assert not any("param_groups" in part for part in state["parts"].values())  # no optimiser's moments

    config = Run(folder).config()
    summary = json.loads((folder / "summary.json").read_text())
    for record in (config, summary):
        assert (record["study"], record["data"], record["seed"]) == (recipe.study, recipe.data, recipe.seed)
        assert {name: str(record["knobs"][name]) for name in recipe.knobs} == dict(recipe.knobs)
    assert config["folder"] == ""
    assert summary["steps"] == recipe.steps
    assert summary["held_out"] or not recipe.data

    rows = list(csv.reader(io.StringIO((folder / "metrics.csv").read_text())))
    assert len(rows) - 1 <= ROWS
    curves = Run(folder).metrics()
    for name, value in summary["held_out"].items():
        steps, values = curves[f"held_out/{name}"]
        assert steps.tolist() == [recipe.steps]
        assert values[0] == pytest.approx(value, rel=1e-4)
    first = next(iter(curves.values()))[0]
    assert first[[0, -1]].tolist() == [1, recipe.steps]

    if recipe.card is None:
        return
    with Image.open(folder / "card.png") as picture:
        assert 540 <= picture.width <= 600
        assert 260 <= picture.height <= 310
        pixels = np.asarray(picture.convert("RGBA"))
    assert pixels[0, 0, 3] < 16  # round corners: it lies on a dark and on a light card
    assert (pixels[..., 3] > 128).mean() > 0.2
    assert pixels[pixels[..., 3] == 255].std(0).max() > 10  # there is something on it


@pytest.mark.parametrize("recipe", RECIPES, ids=[r.folder for r in RECIPES])
def test_what_the_repository_holds_was_made_by_the_recipe(recipe: Recipe) -> None:
    check_whole(FOLDER / recipe.folder, recipe)


def test_the_cards_of_the_welcome_page_have_their_starters(studies: dict[str, Any]) -> None:
    assert FOLDER == STARTERS
    assert [starter.folder for starter in STARTER_RUNS] == [recipe.folder for recipe in RECIPES]
    for starter, recipe in zip(STARTER_RUNS, RECIPES, strict=True):
        assert starter.study == recipe.study
        assert bool(starter.text) == (recipe.card is not None)
        assert starter.title
        assert studies[recipe.study].declaration(recipe.study).probe(starter.probe) is not None
    learning = {key for key, study in studies.items() if study.declaration(key).trains}
    assert {starter.study for starter in STARTER_RUNS} == learning


CODES = [r for r in RECIPES if r.study in ("vae", "autoencoder")]


@pytest.mark.parametrize("recipe", CODES, ids=[r.folder for r in CODES])
def test_the_first_slider_moves_the_picture_and_training_goes_on(recipe: Recipe) -> None:
    before = sorted(p.stat().st_mtime_ns for p in (FOLDER / recipe.folder).rglob("*"))
    with Client() as client:
        client.catalogue()
        opened = client.open(run=str(FOLDER / recipe.folder), keep=False, device="cpu")
        assert opened.step == recipe.steps
        hint = client.expect(m.Hints).hints["z"]
        first = hint.order[0]
        ends = []
        for way in (-2.0, 2.0):
            z = [0.0] * len(hint.order)
            z[first] = hint.mean[first] + way * hint.spread[first]
            (grid,) = client.ask("decode", {"z": tuple(z)})
            assert isinstance(grid, ImageGrid)
            ends.append(grid.images[0])
        client.post(m.Train(2))  # its optimiser starts afresh
        client.post(m.Evaluate())
        assert client.expect(m.HeldOut).step == recipe.steps + 2
    assert np.abs(ends[0] - ends[1]).mean() > 0.05
    assert sorted(p.stat().st_mtime_ns for p in (FOLDER / recipe.folder).rglob("*")) == before


@pytest.mark.parametrize("recipe", [r for r in RECIPES if r.study == "rectified_flow"], ids=["straight"])
def test_a_flow_draws_the_class_that_it_is_asked_for(recipe: Recipe) -> None:
    """Judged by the nearest real digits."""
    from sklearn.neighbors import KNeighborsClassifier

    digits = load("digits")
    judge = KNeighborsClassifier(5).fit(digits.train.images.reshape(len(digits.train.images), -1), digits.train.labels)
    with Client() as client:
        client.catalogue()
        client.open(run=str(FOLDER / recipe.folder), keep=False, device="cpu")
        (grid,) = client.ask("samples", {"count": 100, "steps": 8, "sampler": "Heun", "seed": 1})
    assert isinstance(grid, ImageGrid)
    seen = judge.predict(255 * grid.images.reshape(100, -1))
    assert (seen == grid.labels).mean() >= 0.9


def test_the_command_makes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = tuple(
        dataclasses.replace(r, steps=40, knobs={**r.knobs, "width": "4", "hidden": "16", "batch": "32"}) for r in CODES
    )
    monkeypatch.setattr(starters, "RECIPES", tiny)
    assert main(["starters", "--only", "digits_map", "--out", str(tmp_path)]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["digits_map"]
    check_whole(tmp_path / "digits_map", next(r for r in tiny if r.folder == "digits_map"))
    out = capsys.readouterr().out
    assert out.startswith("digits_map: vae on digits: step 40, ")
    assert out.endswith(f"in {tmp_path / 'digits_map'}\n")


def test_ctrl_c_leaves_a_starter_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shapes").mkdir()
    (tmp_path / "shapes" / "card.png").write_text("the old one")
    monkeypatch.setattr(Progress, "show", lambda self, text: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr(Progress, "due", property(lambda self: signal.getsignal(signal.SIGINT) is not signal.SIG_DFL))
    assert main(["starters", "--only", "shapes", "--out", str(tmp_path)]) == INTERRUPTED
    assert f"interrupted; {tmp_path / 'shapes'} is as it was" in capsys.readouterr().err
    assert (tmp_path / "shapes" / "card.png").read_text() == "the old one"


def test_the_rows_that_are_kept_lie_evenly_and_hold_the_ends() -> None:
    rows = [[str(i)] for i in range(6000)]
    kept = [int(row[0]) for row in evenly(rows, 299)]
    assert len(kept) == 299
    assert (kept[0], kept[-1]) == (0, 5999)
    assert set(np.diff(kept)) <= {20, 21}
    assert evenly(rows[:5], 299) == rows[:5]


def test_a_thin_table_keeps_the_last_held_out_figures() -> None:
    rows = [f"{i},{-i / 3:.9f},{-i / 7:.9f}," if i % 2 else f"{i},{-i / 3:.9f},," for i in range(1, 1001)]
    rows[400:400] = ["400,,,-5.5"]
    header, *kept = thin(
        "\n".join(["step,elbo,kl_per_dimension/0,held_out/elbo", *rows, "1000,,,-4.25"]) + "\n"
    ).split()
    assert header == "step,elbo,kl_per_dimension/0,held_out/elbo"
    assert ROWS - 5 < len(kept) <= ROWS
    assert kept[0] == "1,-0.33333,-0.14286,"
    assert kept[-2:] == ["1000,-333.33,,", "1000,,,-4.25"]
    assert not [row for row in kept[:-1] if row.split(",")[3]]
    assert all(row.split(",")[2] for row in kept[:-2])  # the rows that hold the vector
