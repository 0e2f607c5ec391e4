"""From an order to an open session: a study built afresh, or a run taken up where it stopped. Knows no thread."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine import data
from engine.data.images import ImageSource, Part
from engine.formats.equations import svg
from engine.formats.runs import Run
from engine.messages import DataPreview, Open, Opened
from engine.registry import Registry
from engine.session import Session, device_name, pick_device
from engine.study import DataOption, Study

PREVIEW = 240
"""Items of each part whose pictures are sent to the window: enough to pick from, small enough to send."""

Progress = Callable[[float, str], None]


class OpenError(Exception):
    """A study or run that cannot be opened; the message is one line that says why and what to do."""


def build(
    registry: Registry,
    order: Open,
    options: Mapping[str, DataOption],
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Session:
    """The session that ``order`` asks for; OpenError, DataError, RunError or BadValue with one line if it cannot be."""
    if order.run:
        return _from_run(registry, order, options, progress, cancelled)
    study = _study(registry, order.study)
    return _fresh(study, order.study, order, order.data, order.folder, options, progress, cancelled)


def _study(registry: Registry, key: str) -> type[Study]:
    if key in registry.errors:
        raise OpenError(f"study {key} could not be loaded: {registry.errors[key]}")
    if key not in registry.studies:
        raise OpenError(f"there is no study {key!r}; there are {', '.join(sorted(registry.studies))}")
    return registry.studies[key]


def _fresh(
    study: type[Study],
    key: str,
    order: Open,
    data_key: str,
    folder: str,
    options: Mapping[str, DataOption],
    progress: Progress | None,
    cancelled: Callable[[], bool] | None,
    knobs: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> Session:
    try:
        device = pick_device(order.device)
    except ValueError as e:
        raise OpenError(str(e)) from None
    source = None
    if study.data is not None:
        data_key = data_key or study.data.default
        source = _load(data_key, folder, options, progress, cancelled)
    return Session.build(
        key,
        study,
        order.knobs if knobs is None else knobs,
        order.seed if seed is None else seed,
        device,
        source,
        data_key,
        folder,
    )


def _load(
    key: str,
    folder: str,
    options: Mapping[str, DataOption],
    progress: Progress | None,
    cancelled: Callable[[], bool] | None,
) -> ImageSource:
    option = options.get(key)
    if option is None:
        raise OpenError(f"there is no data set {key!r}; there are {', '.join(options)}")
    if not option.available:
        raise OpenError(f"data set {key} is not here: {option.reason}")
    return data.load(key, folder=folder, progress=progress, cancelled=cancelled)


def _from_run(
    registry: Registry,
    order: Open,
    options: Mapping[str, DataOption],
    progress: Progress | None,
    cancelled: Callable[[], bool] | None,
) -> Session:
    path, step = Path(order.run), None
    if path.suffix == ".safetensors":  # a snapshot of a run was named: open that run, there
        found = re.fullmatch(r"step-(\d{9})\.safetensors", path.name)
        if found is None or path.parent.name != "snapshots":
            raise OpenError(f"{path}: open a run folder, or a file of its folder snapshots")
        path, step = path.parent.parent, int(found.group(1))
    if not path.is_dir():
        raise OpenError(f"{path}: there is no such run folder")
    run = Run(path)
    config = run.config()
    key = config["study"]
    session = _fresh(
        _study(registry, key),
        key,
        order,
        str(config.get("data", "")),
        str(config.get("folder", "")),
        options,
        progress,
        cancelled,
        config["knobs"],
        int(config.get("seed", 0)),
    )
    state, _, complaints = run.load(key, step)
    try:
        session.load_state(state)
    except ValueError as e:
        raise OpenError(f"{path}: {e}") from None
    session.complaints = tuple(complaints)
    session.target = config.get("target")
    session.metrics_so_far = _until(run.metrics(), session.step)
    if order.keep:
        run.sweep()
        if step is None:  # the newer ones could not be read: training goes on before them, in this folder
            run.set_aside(session.step)
        session.run = run
        if not [s for s in run.snapshots() if s > session.step]:
            run.truncate_metrics(session.step)
    return session


def _until(metrics: dict[str, tuple[np.ndarray, np.ndarray]], step: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {name: (steps[steps <= step], values[steps <= step]) for name, (steps, values) in metrics.items()}


def branch(session: Session) -> None:
    """Moves a session that stands at an earlier snapshot into a run folder of its own, so that the later ones stay."""
    old = session.run
    assert old is not None
    metrics = _until(old.metrics(), session.step)
    base = f"{old.folder.name}-from-{session.step}"
    taken = {path.name for path in old.folder.parent.iterdir()}
    name = next(n for n in (base, *(f"{base}-{i}" for i in range(2, 10_000))) if n not in taken)
    old.close()
    session.run = None
    session.metrics_so_far = metrics
    session.start_run(old.folder.parent / name)
    assert session.run is not None
    session.run.log(f"branched from {old.folder} at step {session.step}")


def opened(session: Session, epoch: int) -> Opened:
    """The report that a session stands, with the curves of its run so far."""
    declaration = type(session.study).declaration(session.key)
    run = session.run
    metrics = _until(run.metrics(), session.step) if run is not None else session.metrics_so_far
    return Opened(
        epoch=epoch,
        study=declaration,
        knobs=dict(session.knobs),
        seed=session.seed,
        data=session.data_key,
        device=device_name(session.device),
        step=session.step,
        parameters=session.parameters(),
        run=str(run.folder) if run is not None else "",
        snapshots=run.snapshots() if run is not None else (),
        metrics=metrics,
        equation=(svg(declaration.left), *(svg(term.latex) for term in declaration.objective)),
        symbols={k.name: svg(k.symbol) for k in declaration.knobs if k.symbol},
    )


def preview(session: Session, epoch: int) -> DataPreview:
    """The first items of both parts of the data, for thumbnails."""
    source = session.source
    assert source is not None
    return DataPreview(
        epoch,
        source.title,
        source.text,
        source.held_out.images[:PREVIEW].copy(),
        source.train.images[:PREVIEW].copy(),
        _captions(source.held_out, source.label_names),
        _captions(source.train, source.label_names),
        (*source.notices, *session.complaints),
    )


def _captions(part: Part, names: tuple[str, ...]) -> tuple[str, ...]:
    if part.captions:
        return tuple(part.captions[:PREVIEW])
    return tuple(names[label] if label < len(names) else "" for label in part.labels[:PREVIEW].tolist())
