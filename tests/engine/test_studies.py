"""What every study has to do, whichever it is: found by the registry, no exceptions, no skip list."""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine import data
from engine.formats.equations import svg
from engine.formats.runs import Run, flatten
from engine.params import Knob, knobs_of
from engine.payloads import Frames, ImageGrid, LatentMap, Moment, Payload
from engine.probes import EVERY_CLASS, NO_CLASS, Label, Latent, ProbeSpec, Steps
from engine.registry import find
from engine.scene import Render
from engine.session import Session, Working
from engine.study import Declaration, Images, Study, data_kind

CPU = torch.device("cpu")
STUDIES = find().studies
COLOURS = {"orange", "purple", "blue", "green", "red"}  # those of the theme
DATA = {"": "", "images": "digits", "captures": "still_life"}
"""The data set by the kind that a study learns from."""
TRAINING = sorted(key for key, study in STUDIES.items() if study.train_step is not Study.train_step)


@pytest.fixture(params=sorted(STUDIES))
def key(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def declared(key: str) -> Declaration:
    return STUDIES[key].declaration(key)


def probes_of(key: str) -> tuple[ProbeSpec, ...]:
    return STUDIES[key].declaration(key).probes


def built(key: str, seed: int = 1, **knobs: Any) -> Session:
    study = STUDIES[key]
    name = DATA[data_kind(study.data)]
    source = data.load(name) if name else None
    return Session.build(key, study, {**study.tiny, **knobs}, seed, CPU, source, name)


def payloads(answer: Iterable[Payload | Working]) -> Iterator[Payload]:
    """An answer without what it says of its progress."""
    return (part for part in answer if isinstance(part, Payload))


def answers(session: Session, values: Mapping[str, Mapping[str, Any]] | None = None) -> Iterator[tuple[str, Payload]]:
    """Every payload of every probe, with initial controls but for ``values`` by probe."""
    for name in session.specs:
        for payload in payloads(session.answer(name, (values or {}).get(name, {}))):
            yield name, payload


FEW = 3
"""Steps that an answer takes where it is not the steps that are looked at."""


@functools.cache
def few_steps(key: str) -> dict[str, dict[str, int]]:
    """Controls by probe that make long answers short: few steps for each that says how far it is before it shows
    anything. Others show what they have step by step, and nobody has to ask for all of it."""
    session = built(key)
    found: dict[str, dict[str, int]] = {}
    for name, spec in session.specs.items():
        few = {c: max(kind.lo, FEW) for c, kind in spec.controls.items() if isinstance(kind, Steps)}
        found[name] = few if isinstance(next(iter(session.answer(name, few))), Working) else {}
    return found


def check_payload(session: Session, name: str, payload: Payload) -> None:
    assert type(payload) is session.specs[name].payload
    for where, value in vars(payload).items():
        if isinstance(value, np.ndarray):
            assert np.isfinite(value).all(), f"{name}.{where}"
            assert not value.flags.writeable, f"{name}.{where}"
    pictures = {ImageGrid: "images", Frames: "images", LatentMap: "tiles", Render: "image"}.get(type(payload))
    if pictures:
        images = getattr(payload, pictures)
        assert images.dtype == np.float32
        assert images.shape[-1] in (1, 3)
        assert images.min() >= 0.0, name
        assert images.max() <= 1.0, name


def sentence(text: str) -> bool:
    return bool(re.fullmatch(r"[A-ZΣµ0-9].*[^.]\.", text, re.S))


# ---- the declaration ----------------------------------------------------------------------------------------------


def test_the_declaration_is_complete(declared: Declaration) -> None:
    assert declared.title
    assert declared.family != "Other"
    assert sentence(declared.text)
    assert re.search(r"(19|20)\d\d", declared.paper), "the paper's year"
    assert len(declared.try_this) == 3
    assert all(sentence(line) for line in declared.try_this)
    assert declared.probes
    assert len({p.title for p in declared.probes}) == len(declared.probes)
    if STUDIES[declared.key].data is not None:
        assert declared.default_data in {o.key for o in data.options()}


def test_every_knob_has_a_sentence_a_range_with_its_default_and_a_symbol_that_can_be_set(declared: Declaration) -> None:
    for k in declared.knobs:
        assert sentence(k.text), k.name
        assert k.check(k.default) == k.default
        assert not k.symbol or svg(k.symbol).startswith("<svg"), k.name
        if k.kind in ("int", "float"):
            assert k.lo is not None, k.name
            assert k.hi is not None, k.name
            assert k.lo < k.hi, k.name
            assert not k.log or k.lo > 0, k.name
    symbols = [k.symbol for k in declared.knobs if k.symbol]
    assert len(set(symbols)) == len(symbols)


def test_the_objective_can_be_set_and_each_term_says_what_it_is(declared: Declaration) -> None:
    if declared.trains:
        assert declared.objective
        assert svg(declared.left).startswith("<svg")
    for term in declared.objective:
        assert svg(term.latex).startswith("<svg"), term.latex
        assert term.colour in COLOURS, term.colour
        assert sentence(term.text), term.latex
    assert len({t.colour for t in declared.objective}) == len(declared.objective)


def test_every_probe_and_control_says_what_it_is(key: str, declared: Declaration) -> None:
    knobs = {**declared.initial_knobs(), **STUDIES[key].tiny}
    for p in declared.probes:
        assert sentence(p.text), p.name
        for name, control in p.controls.items():
            assert sentence(control.text), f"{p.name}.{name}"
            initial = control.initial(knobs)
            assert control.check(name, initial, knobs) == initial
        assert set(p.values({}, knobs)) == set(p.controls)
        assert not p.timeline or p.refresh is None


def test_an_image_model_draws_samples_by_count_and_seed(declared: Declaration) -> None:
    samples = declared.probe("samples")
    if isinstance(STUDIES[declared.key].data, Images):
        assert samples is not None
        assert {"count", "seed"} <= set(samples.controls)


# ---- training -----------------------------------------------------------------------------------------------------


def test_twenty_steps_give_the_metrics_that_the_objective_names_and_lower_the_loss(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if key not in TRAINING:
        return
    session = built(key)
    losses: list[float] = []
    plain = torch.Tensor.backward

    def backward(loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        losses.append(float(loss.detach()))
        plain(loss, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "backward", backward)
    for _ in range(20):
        session.train_step()
    pending = session._pending
    assert [step for step, _ in pending] == list(range(1, 21))
    for _, metrics in pending:
        assert {term.metric for term in session.study.objective} <= set(metrics)
        assert all(not value.requires_grad and value.ndim <= 1 for value in metrics.values())
    points = session.read_metrics()
    assert all(np.isfinite(values).all() for _, values in points.values())
    if losses:  # a step that is no gradient descent has none
        assert np.mean(losses[-5:]) < np.mean(losses[:5])


@pytest.mark.parametrize("seed", [1])
def test_training_changes_every_weight_and_the_modes_are_right(key: str, seed: int) -> None:
    if key not in TRAINING:
        return
    session = built(key, seed)
    before = {f"{n}.{k}": p.clone() for n, m in session.modules().items() for k, p in m.named_parameters()}
    for _ in range(5):
        session.train_step()
    after = {f"{n}.{k}": p for n, m in session.modules().items() for k, p in m.named_parameters()}
    unmoved = [name for name, p in before.items() if p.requires_grad and torch.equal(p, after[name])]
    assert unmoved == []
    assert session.parameters() == sum(p.numel() for p in after.values() if p.requires_grad)


def test_the_state_round_trips_and_a_resumed_run_is_bit_identical(key: str, tmp_path: Path) -> None:
    session = built(key, 3)
    steps = 6 if key in TRAINING else 0
    for _ in range(steps):
        session.train_step()
    session.start_run(tmp_path / "run")
    assert session.run is not None
    session.run.close()
    for _ in range(steps):
        session.train_step()
    other = built(key, seed=77)
    torch.manual_seed(123)
    state, at, complaints = Run(tmp_path / "run").load(key)
    assert (at, complaints) == (steps, [])
    other.seed = 3  # what opening takes from config.json
    if other.study.source is not None:
        other.study.source.seed = 3
    other.load_state(state)
    for _ in range(steps):
        other.train_step()
    assert tensors_of(session) == tensors_of(other)


def tensors_of(session: Session) -> dict[str, bytes]:
    tensors: dict[str, torch.Tensor] = {}
    flatten({"parts": session.state()["parts"]}, tensors)
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def test_the_held_out_figures_are_finite_and_do_not_depend_on_the_batch(key: str) -> None:
    session = built(key)
    if session.source is None:
        return
    steps, progress = session.evaluation(), []
    while True:
        try:
            progress.append(next(steps))
        except StopIteration as end:
            figures = end.value
            break
    assert all(math.isfinite(v) for v in figures.values())
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    with session._looking(0):
        batch = session.study.source.held_out_batch(0, 7)
        values = session.study.evaluate(batch)
    assert all(v.shape == (7,) for v in values.values())
    assert set(values) <= set(figures)  # some figures are no means, as a ratio in decibels


# ---- probes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 10])
def test_every_probe_answers_what_it_declares(key: str, steps: int) -> None:
    session = built(key)
    for _ in range(steps if key in TRAINING else 0):
        session.train_step()
    values = few_steps(key) if steps else {}  # untrained with the controls as they are at first
    seen: dict[str, int] = {}
    first: dict[str, Payload] = {}
    for name, payload in answers(session, values):
        check_payload(session, name, payload)
        first.setdefault(name, payload)
        # What is still to be bettered is no answer of its own.
        seen[name] = seen.get(name, 0) + (getattr(payload, "progress", 1.0) >= 1.0)
        if isinstance(payload, Moment):
            assert payload.index == seen[name] - 1
    assert set(seen) == set(session.specs)
    for name, spec in session.specs.items():
        one = first[name]
        assert seen[name] == (one.total if isinstance(one, Moment) else 1)
        if not spec.timeline:  # the same question, the same answer
            assert repr(next(payloads(session.answer(name, values.get(name, {}))))) == repr(one)


@pytest.mark.parametrize(("key", "name"), [(key, p.name) for key in sorted(STUDIES) for p in probes_of(key)])
def test_every_probe_answers_at_the_ends_of_its_controls(key: str, name: str) -> None:
    session = built(key)
    for control, kind in session.specs[name].controls.items():
        for value in ends_of_control(kind, session.knobs):
            asked = {**few_steps(key)[name], control: value}
            payload = next(payloads(session.answer(name, asked, dragging=True)))
            check_payload(session, name, payload)


def ends_of_control(control: Any, knobs: Mapping[str, Any]) -> list[Any]:
    if isinstance(control, Latent):
        size = len(control.initial(knobs))
        return [(-control.reach,) * size, (control.reach,) * size]
    if isinstance(control, Label):
        return [v for v in (NO_CLASS, EVERY_CLASS, 9) if v >= control.lo]
    if hasattr(control, "lo"):
        return [control.lo, control.hi]
    return list(getattr(control, "options", ()))


def ends_of_knob(k: Knob) -> list[Any]:
    if k.kind == "choice":
        return list(k.choices)
    if k.kind == "drawing":
        return ["", "-1,-1 1,1; 0,0.5"]
    if k.kind == "path":
        return [""]
    return [False, True] if k.kind == "bool" else [k.lo, k.hi]


EXTREMES = [
    (key, k, value) for key in sorted(STUDIES) for k in knobs_of(STUDIES[key].Params) for value in ends_of_knob(k)
]


@pytest.mark.parametrize(("key", "k", "value"), EXTREMES, ids=[f"{s}-{k.name}-{v}" for s, k, v in EXTREMES])
def test_every_probe_answers_at_the_ends_of_every_knob(key: str, k: Knob, value: Any) -> None:
    if k.live:
        session = built(key)
        session.set_knob(k.name, value)
    else:
        session = built(key, **{k.name: value})
    if key in TRAINING:
        session.train_step()
        assert all(np.isfinite(values).all() for _, values in session.read_metrics().values())
    for name, spec in session.specs.items():
        answer = payloads(session.answer(name, few_steps(key)[name], dragging=True))
        for payload in itertools.islice(answer, 2 if spec.timeline else 1):
            check_payload(session, name, payload)
    assert getattr(session.study.p, k.name) == session.config()["knobs"][k.name] == value


def test_hints_are_sane(key: str) -> None:
    session = built(key)
    latents = {n: c for s in session.specs.values() for n, c in s.controls.items() if isinstance(c, Latent)}
    for name, hint in session.hints().items():
        assert name in latents
        size = len(latents[name].initial(session.knobs))
        assert sorted(hint.order) == list(range(size))
        assert len(hint.spread) == len(hint.mean) == len(hint.activity) == size
        assert all(math.isfinite(v) for v in (*hint.spread, *hint.mean, *hint.activity))
        assert min(hint.spread) > 0
        assert [hint.activity[d] for d in hint.order] == sorted(hint.activity, reverse=True)
        assert hint.activity_name
