"""From an order to an open session: afresh, resumed, from a snapshot, and with one line where it cannot be."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine import data
from engine import messages as m
from engine.data.images import DataError, ImageSource, Part
from engine.formats.runs import Run, RunError
from engine.opening import OpenError, branch, build, opened, preview
from engine.params import BadValue
from engine.registry import Registry, find
from engine.session import Session

TINY = dict(latent=3, width=4, hidden=16, batch=32)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return find()


@pytest.fixture(scope="module")
def options() -> dict[str, Any]:
    return {o.key: o for o in data.options()}


@pytest.fixture(scope="module")
def sources() -> dict[tuple[str, str], ImageSource]:
    return {}


@pytest.fixture
def open_it(registry: Registry, options: Any, sources: Any) -> Any:
    made: list[Session] = []

    def do(**what: Any) -> Session:
        made.append(build(registry, m.Open(1, **{"device": "cpu", **what}), options, sources=sources))
        return made[-1]

    yield do
    for session in made:
        if session.run is not None:
            session.run.close()


def train(session: Session, steps: int) -> None:
    for _ in range(steps):
        session.train_step()
    session.log_points(session.read_metrics())


def weights(session: Session) -> list[torch.Tensor]:
    return [p.detach().clone() for part in session.modules().values() for p in part.parameters()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture(scope="module")
def template(registry: Registry, options: Any, sources: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 12 steps with snapshots at 0, 6 and 12."""
    torch.set_num_threads(1)
    order = m.Open(1, "vae", knobs=TINY, seed=4, device="cpu")
    session = build(registry, order, options, sources=sources)
    session.start_run(tmp_path_factory.mktemp("template") / "run")
    for _ in range(2):
        train(session, 6)
        session.save()
    assert session.run is not None
    session.run.close()
    return session.run.folder


@pytest.fixture
def saved(template: Path, tmp_path: Path) -> Path:
    """A copy of the template to do with as one likes."""
    return Path(shutil.copytree(template, tmp_path / "run"))


# ---- afresh -------------------------------------------------------------------------------------------------------


def test_the_same_seed_builds_the_same_weights_another_one_others(open_it: Any) -> None:
    a, b, c = (open_it(study="vae", knobs=TINY, seed=seed) for seed in (1, 1, 2))
    assert same(weights(a), weights(b))
    assert not same(weights(a), weights(c))
    a = open_it(study="vae", knobs=TINY, seed=1)
    train(a, 3)
    b = open_it(study="vae", knobs=TINY, seed=1)
    train(b, 3)
    assert same(weights(a), weights(b))


@pytest.mark.parametrize(
    ("what", "kind", "line"),
    [
        ({"study": "nothing"}, OpenError, "there is no study 'nothing'; there are autoencoder, "),
        ({"study": "vae", "data": "cats"}, OpenError, "there is no data set 'cats'; there are digits"),
        ({"study": "vae", "device": "tpu"}, OpenError, "device tpu: not one of cpu, cuda, auto"),
        ({"study": "vae", "knobs": {"latent": 0}}, BadValue, "latent: 0 is outside the range from 1 to 64"),
        ({"study": "vae", "knobs": {"sigma": "x"}}, BadValue, "sigma: 'x' is not a number"),
        ({"study": "vae", "knobs": {"likelihood": "Poisson"}}, BadValue, "likelihood: 'Poisson' is not one"),
        ({"study": "vae", "knobs": {"moment": 1}}, BadValue, "moment: no such knob; there are latent"),
        ({"study": "vae", "data": "folder", "folder": "/no/such/folder"}, DataError, "/no/such/folder"),
        ({"run": "/no/such/run"}, OpenError, "/no/such/run: there is no such run folder"),
        ({"run": "/x/other.safetensors"}, OpenError, "open a run folder, or a file of its folder snapshots"),
    ],
)  # fmt: skip
def test_what_cannot_be_opened_is_told_in_one_line(open_it: Any, what: Any, kind: type[Exception], line: str) -> None:
    with pytest.raises(kind) as error:
        open_it(**what)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_a_data_set_is_loaded_once_for_the_same_and_the_persons_own_folder_every_time(
    registry: Registry, options: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loads: list[str] = []
    plain = data.load

    def load(key: str, **kwargs: Any) -> ImageSource:
        loads.append(key)
        return plain("digits")

    monkeypatch.setattr(data, "load", load)
    kept: Any = {}
    for key in ("digits", "digits", "shapes", "digits", "folder", "folder"):
        build(registry, m.Open(1, "vae", key, TINY, folder=str(tmp_path), device="cpu"), options, sources=kept)
    assert loads == ["digits", "shapes", "digits", "folder", "folder"]
    assert len(kept) <= 1


def test_what_is_told_of_an_open_study_is_complete(open_it: Any) -> None:
    session = open_it(study="vae", knobs=TINY, seed=3)
    report = opened(session, 8)
    assert (report.epoch, report.seed, report.data, report.step, report.run) == (8, 3, "digits", 0, "")
    assert report.parameters == sum(w.numel() for w in weights(session))
    assert len(report.equation) == 1 + len(report.study.objective)
    assert all(picture.startswith("<svg") for picture in (*report.equation, *report.symbols.values()))
    shown = preview(session, 8)
    assert shown.held_out.shape == (240, 8, 8, 1)
    assert shown.held_out.dtype == np.uint8
    assert np.array_equal(shown.train, session.source.train.images[:240])
    assert len(shown.held_out_captions) == 240


# ---- runs ---------------------------------------------------------------------------------------------------------


def test_a_run_is_taken_up_where_it_stopped_bit_for_bit(open_it: Any, saved: Path) -> None:
    whole = open_it(study="vae", knobs=TINY, seed=4)
    train(whole, 20)
    resumed = open_it(run=str(saved))
    assert (resumed.step, resumed.seed, resumed.knobs["latent"], resumed.data_key) == (12, 4, 3, "digits")
    assert resumed.seconds > 0
    train(resumed, 8)
    assert same(weights(whole), weights(resumed))
    steps, values = Run(saved).metrics()["elbo"] if resumed.run.flush() is None else (None, None)
    assert steps.tolist() == list(range(1, 21))
    train(whole, 0)
    assert values[-1] == pytest.approx(resumed.latest["elbo"], rel=1e-8)


def test_a_snapshot_file_opens_the_run_there(open_it: Any, saved: Path) -> None:
    session = open_it(run=str(saved / "snapshots" / "step-000000006.safetensors"))
    assert session.step == 6
    assert session.metrics_so_far["elbo"][0].tolist() == list(range(1, 7))
    assert opened(session, 1).metrics["elbo"][0].tolist() == list(range(1, 7))
    assert Run(saved).snapshots() == (0, 6, 12)
    assert Run(saved).metrics()["elbo"][0][-1] == 12  # looking changes nothing


def test_a_starter_is_only_read(open_it: Any, saved: Path, tmp_path: Path) -> None:
    before = {p: p.read_bytes() for p in saved.rglob("*") if p.is_file()}
    session = open_it(run=str(saved), keep=False)
    assert session.run is None
    train(session, 2)
    session.start_run(tmp_path / "mine")
    train(session, 2)
    session.save()
    assert {p: p.read_bytes() for p in saved.rglob("*") if p.is_file()} == before
    assert Run(tmp_path / "mine").metrics()["elbo"][0].tolist() == [*range(1, 13), 15, 16]
    assert Run(tmp_path / "mine").snapshots() == (14, 16)


def test_a_branch_leaves_the_later_snapshots_where_they_are(open_it: Any, saved: Path) -> None:
    for name in ("run-from-6", "run-from-6-2"):
        session = open_it(run=str(saved / "snapshots" / "step-000000006.safetensors"))
        branch(session)
        assert session.run.folder == saved.parent / name
        assert session.run.snapshots() == (6,)
        assert session.run.metrics()["elbo"][0].tolist() == list(range(1, 7))
        assert "branched from" in (session.run.folder / "log.txt").read_text()
    assert Run(saved).snapshots() == (0, 6, 12)


def test_damaged_newer_snapshots_are_told_of_and_set_aside(open_it: Any, saved: Path) -> None:
    path = Run(saved).snapshot_path(12)
    path.write_bytes(path.read_bytes()[:100])
    looked = open_it(run=str(saved), keep=False)
    assert looked.step == 6
    assert "step-000000012.safetensors" in looked.complaints[0]
    assert path.exists()
    kept = open_it(run=str(saved))
    assert kept.step == 6
    assert not path.exists()
    assert Path(f"{path}.damaged").exists()


def test_a_run_that_ended_before_its_first_snapshot_begins_again(open_it: Any, saved: Path) -> None:
    for path in (saved / "snapshots").iterdir():
        path.unlink()
    session = open_it(run=str(saved))
    assert session.step == 0
    assert same(weights(session), weights(open_it(study="vae", knobs=TINY, seed=4)))
    assert "begins again" in session.complaints[0]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"study": "gan"}, "there is no study 'gan'"),
        ({"study": "autoencoder"}, "a snapshot of study 'vae', not of 'autoencoder'"),
        ({"knobs": {**TINY, "latent": 5}}, "the snapshot does not fit these knobs: size mismatch"),
        ({"knobs": {**TINY, "latent": 500}}, "config.json: latent: 500 is outside the range"),
        ({"knobs": {"old": 1}}, "config.json: old: no such knob"),
        ({"data": "cats"}, "there is no data set 'cats'"),
        ({"format": 2}, "written by a newer Mutoscope"),
        ({"seed": None}, "lacks seed"),
    ],
)
def test_a_run_that_does_not_fit_is_told_in_one_line(
    open_it: Any, saved: Path, change: dict[str, Any], line: str
) -> None:
    path = saved / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises((OpenError, RunError)) as error:
        open_it(run=str(saved))
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_a_weights_only_snapshot_can_be_opened_and_trained(open_it: Any, saved: Path) -> None:
    run = Run(saved)
    state, _, _ = run.load("vae", 12)
    parts = {name: part for name, part in state["parts"].items() if name != "optimizer"}
    run.save("vae", 20, {"parts": parts, "step": 20})
    session = open_it(run=str(saved))
    assert session.step == 20
    train(session, 2)
    run.save("vae", 30, {"parts": {"encoder": parts["encoder"]}, "step": 30})
    with pytest.raises(OpenError, match="the snapshot lacks decoder"):
        open_it(run=str(saved))


def test_a_state_that_does_not_fit_leaves_the_session_as_it_was(open_it: Any) -> None:
    session = open_it(study="vae", knobs=TINY, seed=4)
    train(session, 3)
    before, random_state = weights(session), torch.get_rng_state()
    good = session.state()
    bad = dict(good["parts"])
    bad["decoder"] = {**bad["decoder"], "net.0.bias": torch.zeros(99)}
    bad["encoder"] = {k: torch.zeros_like(v) for k, v in bad["encoder"].items()}
    for state in (
        {"parts": bad},
        {"parts": 7},
        {},
        {**good, "parts": {**good["parts"], "optimizer": {"state": {}, "param_groups": []}}},
        {**good, "parts": {**good["parts"], "optimizer": 7}},
        {**good, "random": torch.zeros(3)},
        {**good, "step": "x"},
    ):
        with pytest.raises(ValueError, match="the snapshot"):
            session.load_state(state)
        assert same(weights(session), before)
        assert session.step == 3
        assert torch.equal(torch.get_rng_state(), random_state)
    train(session, 1)


def test_the_rate_knob_outlives_the_learning_rate_in_a_snapshot(open_it: Any) -> None:
    session = open_it(study="vae", knobs=TINY, seed=4)
    state = session.state()
    session.set_knob("rate", 0.002)
    session.load_state(state)
    assert session.study.optimizer.param_groups[0]["lr"] == 0.002


# ---- on the engine's thread ---------------------------------------------------------------------------------------


def test_opening_something_else_gives_up_a_slow_data_set(real_driver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, started, given_up = data.load, threading.Event(), threading.Event()

    def load(key: str, *, cancelled: Callable[[], bool], **kwargs: Any) -> ImageSource:
        if key == "digits":
            return plain(key)
        started.set()
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if cancelled():
                given_up.set()
                raise data.Cancelled("cancelled")
            kwargs["progress"](0.5, "reading")
            time.sleep(0.005)
        raise AssertionError("nobody cancelled")

    monkeypatch.setattr(data, "load", load)
    real_driver.post(m.Open(1, "vae", "shapes", TINY))
    assert started.wait(10)
    status = real_driver.until(m.Status, lambda s: s.detail == "reading")
    assert (status.state, status.progress, status.epoch) == ("building", 0.5, 1)
    real_driver.ask(1, "decode", epoch=1)
    real_driver.post(m.Open(2, "vae", "digits", TINY))
    real_driver.ask(2, "decode", epoch=2)
    assert real_driver.until(m.Picture).seq == 2
    assert given_up.is_set()
    assert [r.epoch for r in real_driver.all(m.Opened)] == [2]
    assert real_driver.all(m.Failure) == []  # giving up is no failure
    assert len(real_driver.all(m.Status)) < 100
    started.clear()
    real_driver.post(m.Open(3, "vae", "shapes", TINY))
    assert started.wait(10)
    assert real_driver.stop() < 2.0


def test_a_study_that_fails_to_build_is_told_and_the_next_can_be_opened(driver: Any, plan: dict[str, Any]) -> None:
    plan["build"] = MemoryError("too big")
    driver.post(m.Open(5, "toy"))
    failure = driver.until(m.Failure)
    assert (failure.where, failure.title, failure.epoch) == ("open", "Out of memory", 5)
    assert driver.session is None
    plan.clear()
    assert driver.open(epoch=6).epoch == 6


def test_opening_a_run_to_look_at_it_writes_nothing(real_driver: Any, saved: Path) -> None:
    before = {p: p.read_bytes() for p in saved.rglob("*") if p.is_file()}
    real_driver.post(m.Open(1, run=str(saved)))
    real_driver.until(m.Opened)
    real_driver.ask(1, "decode")
    real_driver.until(m.Picture)
    held_out = real_driver.until(m.Metrics, lambda r: "held_out/elbo" in r.points)
    assert held_out.points["held_out/elbo"][0].tolist() == [12]
    real_driver.settle()
    real_driver.stop()
    assert {p: p.read_bytes() for p in saved.rglob("*") if p.is_file()} == before


def test_a_resumed_run_goes_on_in_its_folder_after_dropping_rows_beyond_its_snapshot(
    real_driver: Any, saved: Path
) -> None:
    run = Run(saved)
    run.log_metrics([{"step": step, "elbo": -1.0} for step in (13, 14, 15)])  # trained, killed before it was saved
    run.close()
    real_driver.post(m.Open(1, run=str(saved)), m.Train(4), m.Evaluate())
    report = real_driver.until(m.HeldOut)
    assert report.step == 16
    assert set(report.values) == {"elbo", "reconstruction", "kl"}
    real_driver.stop()
    assert run.snapshots() == (0, 6, 12, 16)
    steps, values = run.metrics()["elbo"]
    assert steps.tolist() == list(range(1, 17))
    assert -1.0 not in values
    summary = json.loads((saved / "summary.json").read_text())
    assert summary["steps"] == 16
    assert summary["held_out"] == dict(report.values)
    assert summary["train"]["elbo"] == pytest.approx(values[-1], rel=1e-6)


def part(n: int) -> Part:
    return Part(np.random.default_rng(0).integers(0, 255, (n, 9, 11, 3), np.uint8), np.zeros(n, np.int64))


NEED_CLASSES = ("attribute",)
"""Probes that say so in one line where there are none."""


@pytest.mark.parametrize("study", ["vae", "autoencoder"])
@pytest.mark.parametrize("items", [1, 2])
def test_a_data_set_of_hardly_any_pictures_works(registry: Registry, study: str, items: int) -> None:
    source = ImageSource("few", "Few", "Hardly any.", (), part(items + 1), part(items))
    session = Session.build(study, registry.studies[study], TINY, 0, torch.device("cpu"), source)
    train(session, 2)
    for name, spec in session.specs.items():
        values = {c: "held_out:0" for c, kind in spec.controls.items() if type(kind).__name__ == "Item"}
        with pytest.raises(BadValue, match="no classes") if name in NEED_CLASSES else contextlib.nullcontext():
            for payload in session.answer(name, values):
                for array in (v for v in vars(payload).values() if isinstance(v, np.ndarray)):
                    assert np.isfinite(array).all(), (name, payload)
