"""From an order to an open session: a study built afresh, or a run taken up where it stopped. Knows no thread."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import data
from engine.data.captures.source import CaptureSource
from engine.data.images import ImageSource, Part
from engine.formats import directions, marks
from engine.formats.equations import svg
from engine.formats.runs import Points, Run
from engine.machine import device_name, pick_device
from engine.messages import DataPreview, Open, Opened
from engine.params import BadValue, with_values
from engine.registry import Registry
from engine.session import Session
from engine.study import Captures, DataOption, Study, data_kind

PREVIEW = 240
"""Items of each part whose pictures are sent to the window: enough to pick from, small enough to send."""

Progress = Callable[[float, str], None]
Source = ImageSource | CaptureSource
Sources = dict[tuple[str, ...], Source]
"""The data set that was loaded last, by key, folder and wishes: a study built again need not wait for it again."""


class OpenError(Exception):
    """A study or run that cannot be opened; the message is one line that says why and what to do."""


@dataclass(frozen=True)
class _Shelf:
    """Where data sets come from: those that there are, who hears how far the loading is, and the one kept."""

    options: Mapping[str, DataOption]
    progress: Progress | None
    cancelled: Callable[[], bool] | None
    kept: Sources

    def load(self, kind: str, key: str, folder: str, wishes: Mapping[str, str]) -> Source:
        option = self.options.get(key)
        if option is None or option.kind != kind:
            there = ", ".join(name for name, other in self.options.items() if other.kind == kind)
            why = f"there is no data set {key!r}" if option is None else f"this study does not learn from {key}"
            raise OpenError(f"{why}; there are {there}")
        if not option.available:
            raise OpenError(f"data set {key} is not here: {option.reason}")
        name = (key, folder, *wishes.values())
        source: Source | None = self.kept.get(name)
        if source is None:
            self.kept.clear()
            source = data.load(key, folder=folder, progress=self.progress, cancelled=self.cancelled, wishes=wishes)
            if not option.needs_folder:  # the person's own folder may have changed since
                self.kept[name] = source
        return source


def build(
    registry: Registry,
    order: Open,
    options: Mapping[str, DataOption],
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    sources: Sources | None = None,
) -> Session:
    """The session that ``order`` asks for; OpenError, DataError, RunError or BadValue with one line if it cannot be.

    ``sources`` is a place to keep the loaded data set in from one call to the next.
    """
    shelf = _Shelf(options, progress, cancelled, {} if sources is None else sources)
    if order.run:
        return _from_run(registry, order, shelf)
    study = _study(registry, order.study)
    return _fresh(study, order.study, order.data, order.folder, order.knobs, order.seed, order.device, shelf)


def _study(registry: Registry, key: str) -> type[Study]:
    if key in registry.errors:
        raise OpenError(f"study {key} could not be loaded: {registry.errors[key]}")
    if key not in registry.studies:
        raise OpenError(f"there is no study {key!r}; there are {', '.join(sorted(registry.studies))}")
    return registry.studies[key]


def _fresh(
    study: type[Study],
    key: str,
    data_key: str,
    folder: str,
    knobs: Mapping[str, Any],
    seed: int,
    device_wish: str,
    shelf: _Shelf,
) -> Session:
    try:
        device = pick_device(device_wish)
    except ValueError as e:
        raise OpenError(str(e)) from None
    with_values(study.Params, knobs)  # a bad knob is told before a data set is waited for
    source = None
    if study.data is not None:
        data_key = data_key or study.data.default
        values = with_values(study.Params, knobs)
        wishes = study.data.wishes if isinstance(study.data, Captures) else ()
        chosen = {name: str(getattr(values, name)) for name in wishes}
        source = shelf.load(data_kind(study.data), data_key, folder, chosen)
    return Session.build(key, study, knobs, seed, device, source, data_key, folder)


def _from_run(registry: Registry, order: Open, shelf: _Shelf) -> Session:
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
    study = _study(registry, key)
    state, complaints = None, ["nothing was saved before it ended: it begins again, from its seed"]
    if step is not None or run.snapshots():
        state, _, complaints = run.load(key, step)
    try:
        session = _fresh(
            study, key, config["data"], config["folder"], config["knobs"], config["seed"], order.device, shelf
        )
    except BadValue as e:
        raise OpenError(f"{path / 'config.json'}: {e}") from None
    session.complaints = tuple(complaints)
    session.target = config["target"]
    if state is not None:
        try:
            session.load_state(state)
        except ValueError as e:
            raise OpenError(f"{path}: {e}") from None
    session.metrics_so_far = _until(run.metrics(), session.step)
    session.marks = marks.until(marks.read(path), session.step)
    session.directions, complaint = directions.of_run(path)
    session.complaints += (complaint,) if complaint else ()
    _remember(session)
    if order.keep:
        run.sweep()
        if step is None:  # the newer ones could not be read: training goes on before them, in this folder
            run.set_aside(session.step if state is not None else -1)
        session.run = run
        session.saved_step = session.step if state is not None else -1
    return session


def _remember(session: Session) -> None:
    """The figures of the summary, from the curves of the run."""
    for name, (_, values) in session.metrics_so_far.items():
        if values.ndim == 1 and len(values):
            stem = name.removeprefix("held_out/")
            figures = session.latest if stem == name else session.held_out
            figures[stem] = float(values[-1])


def _until(metrics: Points, step: int) -> Points:
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
    session.marks = marks.until(marks.read(old.folder), session.step)
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
        folder=session.folder,
        marks=marks.until(marks.read(run.folder), session.step) if run is not None else session.marks,
        directions=session.directions,
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
        source.label_names,
    )


def _captions(part: Part, names: tuple[str, ...]) -> tuple[str, ...]:
    if part.captions:
        return tuple(part.captions[:PREVIEW])
    return tuple(names[label] if label < len(names) else "" for label in part.labels[:PREVIEW].tolist())
