"""One open study: its data, its weights, its training and the answers to probes. Knows no thread and no window.

The worker drives a session a step at a time; what it computes is the same whoever asks (window, command line, test).
Probes cannot disturb training: they run in eval mode, without gradients, and every random state is put back after.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.data.captures.source import CaptureSource
from engine.data.images import ImageSource
from engine.data.rays import on_device
from engine.formats import directions as directions_file
from engine.formats.marks import append as append_marks
from engine.formats.marks import until
from engine.formats.runs import Points, Run, RunError, rows_of
from engine.isolation import looking
from engine.machine import collect, device_name, peak_memory, versions
from engine.messages import Mark
from engine.params import BadValue, knobs_of, with_values
from engine.payloads import Payload
from engine.probes import Hint, ProbeSpec, probes_of
from engine.steering import Direction
from engine.study import Study

HELD_OUT_BATCH = 100
"""Items of one advance of an evaluation: about the work of a training step, so that nobody waits longer for it."""


class Diverged(Exception):
    """A metric or weight is not finite; the message names it and the step. ``points`` are the metrics before it."""

    def __init__(self, message: str, points: Points | None = None) -> None:
        super().__init__(message)
        self.points = points or {}


@dataclass(frozen=True)
class Working:
    """What an answer gives between two payloads where the next one takes long: how far it is, 0..1, and a chance to be
    given up."""

    progress: float


@dataclass
class Session:
    """A study built with ``knobs`` and ``seed`` on ``data``; ``step`` counts the training steps taken."""

    key: str
    study: Study
    knobs: dict[str, Any]
    seed: int
    device: torch.device
    source: ImageSource | CaptureSource | None
    data_key: str = ""
    folder: str = ""
    step: int = 0
    seconds: float = 0.0
    target: int | None = None
    """The step that training was asked to reach, where it was; kept with the run so that it can be resumed."""
    run: Run | None = None
    latest: dict[str, float] = field(default_factory=dict)
    held_out: dict[str, float] = field(default_factory=dict)
    complaints: tuple[str, ...] = ()
    """What was wrong with the run that this was opened from, a line each."""
    metrics_so_far: Points = field(default_factory=dict)
    """The curves of a run that is only read."""
    marks: tuple[Mark, ...] = ()
    """What happened while these weights were trained."""
    directions: tuple[Direction, ...] = ()
    """Those that the person has kept; the run holds them too."""
    spoilt: bool = False
    """A metric or weight was not finite: these weights are neither saved nor trained further."""
    saved_step: int = -1
    """The step whose snapshot in the run holds the present weights; -1 where none does."""
    weights_version: int = 0
    """Rises whenever the weights change."""
    knobs_version: int = 0
    """Rises whenever a live knob changes."""
    trained: bool = False
    """Whether a step was taken since this was opened or a snapshot was loaded."""
    _pending: list[tuple[int, dict[str, torch.Tensor]]] = field(default_factory=list)
    _unread: tuple[Mark, ...] = ()

    def __post_init__(self) -> None:
        self.specs: dict[str, ProbeSpec] = {spec.name: spec for spec in probes_of(type(self.study))}
        self.trains = type(self.study).train_step is not Study.train_step

    @classmethod
    def build(
        cls,
        key: str,
        study_class: type[Study],
        knobs: Mapping[str, Any],
        seed: int,
        device: torch.device,
        source: ImageSource | CaptureSource | None,
        data_key: str = "",
        folder: str = "",
    ) -> Session:
        """Makes the study with fresh weights from ``seed``; BadValue for a knob out of range."""
        study = study_class()
        study.p = with_values(study_class.Params, knobs)
        study.device = device
        torch.manual_seed(seed)
        study.source = on_device(source, device, seed) if source is not None else None
        study.build(device)
        # Building draws a number of random values that depends on the network; training starts from its own place.
        torch.manual_seed(seed + 1)
        values = {k.name: getattr(study.p, k.name) for k in knobs_of(study_class.Params)}
        return cls(key, study, values, seed, device, source, data_key, folder)

    # ---- training ----

    def train_step(self) -> None:
        """One step; its metrics wait until :meth:`read_metrics`, so that a GPU is not made to wait for each."""
        begun = time.perf_counter()
        study = self.study
        batch = None
        if study.source is not None:
            batch = study.source.batch(self.step, getattr(study.p, "batch", 64))
        metrics = study.train_step(batch)
        self.step += 1
        self.weights_version += 1
        self.trained = True
        self._pending.append((self.step, metrics))
        self._unread += tuple(Mark(self.step, text) for text in study.happened())
        self.seconds += time.perf_counter() - begun

    def read_metrics(self) -> Points:
        """The metrics since the last call. Of a metric that is a vector only the last value is kept: a row of them
        for every step would be most of a run's size.

        Raises :class:`Diverged`, with those before it, if one is not finite.
        """
        pending, self._pending = self._pending, []
        points: Points = {}
        for name in dict.fromkeys(name for _, metrics in pending for name in metrics):
            have = [(step, metrics[name]) for step, metrics in pending if name in metrics]
            values = torch.stack([value.detach() for _, value in have]).cpu().double().numpy()
            points[name] = (np.array([step for step, _ in have], np.int64), values)
        bad = [
            (int(steps[np.argmin(np.isfinite(values.reshape(len(values), -1)).all(1))]), name)
            for name, (steps, values) in points.items()
            if not np.isfinite(values).all()
        ]
        if bad:
            first = min(bad)[0]
            points = {name: (s[s < first], v[s < first]) for name, (s, v) in points.items()}
        points = {name: (s, v) if v.ndim == 1 else (s[-1:], v[-1:]) for name, (s, v) in points.items() if len(s)}
        self.latest.update({name: float(v[-1]) for name, (_, v) in points.items() if v.ndim == 1})
        if bad:
            self.spoilt = True
            step, name = min(bad)
            raise Diverged(f"{name} is not a finite number at step {step}", points)
        return points

    def read_marks(self) -> tuple[Mark, ...]:
        """What happened since the last call; it belongs to the run from now on. OSError where the disk refuses."""
        new, self._unread = self._unread, ()
        self.marks += new
        if new and self.run is not None:
            append_marks(self.run.folder, new)
        return new

    def set_knob(self, name: str, value: Any) -> Any:
        """Sets a live knob; BadValue if it is unknown, out of range or not live."""
        before = self.study.p
        after = with_values(type(self.study).Params, {**self.knobs, name: value})
        if not next(k.live for k in knobs_of(type(self.study).Params) if k.name == name):
            raise BadValue(f"{name}: takes effect only when the study is built again")
        self.study.p = after
        try:
            self.study.knob_changed(name)
        except BaseException:
            self.study.p = before
            raise
        self.knobs[name] = getattr(after, name)
        self.knobs_version += 1
        return self.knobs[name]

    # ---- probes ----

    def _looking(self, seed: int) -> contextlib.AbstractContextManager[None]:
        return looking(self.modules().values(), self.device, seed)

    def spec(self, probe: str) -> ProbeSpec:
        """The declaration of a probe; BadValue if there is none of that name."""
        if probe not in self.specs:
            raise BadValue(f"{probe}: no such probe of {self.key}; there are {', '.join(self.specs)}")
        return self.specs[probe]

    def answer(
        self, probe: str, values: Mapping[str, Any], dragging: bool = False
    ) -> Generator[Payload | Working, None, None]:
        """The answer to a probe, one payload or, for a timeline, one per moment; BadValue for a bad control value.

        A probe that works long is a generator, also where it has one picture: a number that it yields says how far it
        is, 0..1. Each advance is isolated from training, which may go on between two of them. Random numbers within
        one advance depend on the index of the advance only.
        """
        spec = self.spec(probe)
        checked = spec.values(values, self.knobs)
        method = getattr(self.study, probe)
        parts: Iterator[Any] = iter(())
        index = 0

        def first() -> Any:
            nonlocal parts
            made = method(**checked)
            parts = made if isinstance(made, Iterator) else iter((made,))
            return next(parts, None)

        try:
            part = self._one(spec, dragging, index, first)
            while part is not None:
                yield part
                if not spec.timeline and isinstance(part, Payload) and getattr(part, "progress", 1.0) >= 1.0:
                    return
                index += 1
                part = self._one(spec, dragging, index, lambda: next(parts, None))
        finally:
            if isinstance(parts, Generator):
                with self._looking(index):
                    parts.close()

    def _one(self, spec: ProbeSpec, dragging: bool, seed: int, advance: Callable[[], Any]) -> Any:
        """One advance of an answer: a payload, :class:`Working`, or None at the end of a timeline; TypeError for a
        payload that is not of the kind that the probe declares."""
        self.study.dragging = dragging
        try:
            with self._looking(seed):
                part = advance()
        finally:
            self.study.dragging = False
        if isinstance(part, float):
            return Working(part)
        if not isinstance(part, spec.payload) and not (spec.timeline and part is None):
            raise TypeError(f"{spec.name} answers with {type(part).__name__}, not {spec.payload.__name__}")
        return part

    def hints(self) -> dict[str, Hint]:
        with self._looking(0):
            return self.study.hints()

    def evaluation(self, limit: int | None = None) -> Generator[float, None, dict[str, float]]:
        """Held-out metrics over the first ``limit`` items (all where None), a batch an advance; yields the progress."""
        source = self.study.source
        sums: dict[str, float] = {}
        total = min(limit or len(source.held_out), len(source.held_out)) if source is not None else 0
        for start in range(0, total, HELD_OUT_BATCH):
            size = min(HELD_OUT_BATCH, total - start)
            with self._looking(start):
                values = self.study.evaluate(source.held_out_batch(start, size))
                for name, each in values.items():
                    sums[name] = sums.get(name, 0.0) + float(each.double().sum())
            if not values:
                return {}
            yield (start + size) / total
        return self.study.figures({name: value / total for name, value in sums.items()})

    def record_held_out(self, values: Mapping[str, float], at: int) -> Points:
        """Keeps an evaluation of the weights of step ``at`` and gives it as points of the curves ``held_out/...``."""
        self.held_out = dict(values)
        step = np.array([at], np.int64)
        return {f"held_out/{name}": (step, np.array([value])) for name, value in values.items()}

    def log_points(self, points: Points) -> None:
        """Writes points of curves into the run, if there is one; OSError where the disk refuses."""
        if self.run is not None and points:
            self.run.log_metrics(rows_of(points))

    # ---- state ----

    def modules(self) -> dict[str, torch.nn.Module]:
        return {name: part for name, part in vars(self.study).items() if isinstance(part, torch.nn.Module)}

    def _parts(self) -> dict[str, torch.nn.Module | torch.optim.Optimizer]:
        kinds = torch.nn.Module | torch.optim.Optimizer
        return {name: part for name, part in vars(self.study).items() if isinstance(part, kinds)}

    def parameters(self) -> int:
        """How many numbers are learned; a running average of them does not count."""
        return sum(p.numel() for part in self.modules().values() for p in part.parameters() if p.requires_grad)

    def finite(self) -> bool:
        """Whether every weight is a finite number."""
        weights = [p.detach() for part in self.modules().values() for p in part.parameters()]
        return all(bool(torch.isfinite(w).all()) for w in weights)

    def state(self) -> dict[str, Any]:
        """All that training needs to go on bit for bit: weights, optimisers, random states, step. Its tensors are
        the study's own: copy what is to outlive the next step."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        state = {"parts": parts, "random": torch.get_rng_state(), "step": self.step, "seconds": self.seconds}
        if self.device.type == "cuda":
            state["cuda_random"] = torch.cuda.get_rng_state(self.device)
        return state

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes a state of :meth:`state`; ValueError if it is not one of this study with these knobs, which is then
        as it was before."""
        parts, mine = state.get("parts"), self._parts()
        if not isinstance(parts, Mapping):
            raise ValueError("the snapshot holds no weights")
        missing = [name for name in mine if name not in parts and isinstance(mine[name], torch.nn.Module)]
        if missing:
            raise ValueError(f"the snapshot lacks {', '.join(missing)}")
        before = copy.deepcopy(self.state())
        try:
            self._take(copy.deepcopy(dict(parts)), state)
        except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as e:
            self._take(before["parts"], before)
            first = (str(e).strip().splitlines() or [type(e).__name__])[-1].strip()
            raise ValueError(f"the snapshot does not fit these knobs: {first}") from None
        for k in knobs_of(type(self.study).Params):
            if k.live:
                self.study.knob_changed(k.name)  # an optimiser's state brings the learning rate of its own time
        self._pending.clear()
        self._unread, self.marks = (), until(self.marks, int(state.get("step", 0)))
        self.latest, self.held_out = {}, {}
        self.spoilt = self.trained = False
        self.weights_version += 1

    def _take(self, parts: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        for name, part in self._parts().items():
            if name in parts:  # a starter snapshot holds weights only: its optimisers start afresh
                part.load_state_dict(parts[name])
        step, seconds = int(state.get("step", 0)), float(state.get("seconds", 0.0))
        if "random" in state:
            torch.set_rng_state(state["random"])
        if "cuda_random" in state and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_random"], self.device)
        self.step, self.seconds = step, seconds

    def free(self, gradients: bool) -> None:
        """Lets go of caches after running out of memory; of ``gradients`` too where it was a training step."""
        if gradients:
            for part in self.modules().values():
                part.zero_grad(set_to_none=True)
        collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    # ---- the run folder ----

    @property
    def unsaved(self) -> bool:
        """Whether there is something that the run, if there is one, does not hold yet and may."""
        return self.run is not None and not self.spoilt and self.step != self.saved_step

    def config(self) -> dict[str, Any]:
        return {
            "study": self.key,
            "data": self.data_key,
            "folder": self.folder,
            "knobs": dict(self.knobs),
            "seed": self.seed,
            "target": self.target,
            "device": self.device.type,
            "versions": versions(),
        }

    def start_run(self, folder: Path) -> None:
        """Creates the run folder and its first snapshot."""
        self.run = Run.create(folder, self.config())
        self.saved_step = -1
        self.run.log(f"started: study {self.key}, data {self.data_key or '-'}, seed {self.seed}, step {self.step}")
        self.log_points(self.metrics_so_far)
        if self.marks:
            append_marks(folder, self.marks)
        if self.directions:
            directions_file.write(folder / directions_file.NAME, self.directions)
        self.save()

    def save(self) -> int:
        """Writes a snapshot, the knobs as they are and the summary; the step. :class:`Diverged` and nothing written
        if a weight is not finite; OSError where the disk refuses."""
        if self.run is None:
            raise RunError("there is no run folder to save into")
        if self.spoilt or not self.finite():
            self.spoilt = True
            raise Diverged(f"a weight is not a finite number at step {self.step}")
        # Before the snapshot: a kill in between leaves rows that are cut off on resume, not a gap; and the knobs that
        # the snapshot was made with, not older ones.
        self.run.flush()
        self.run.write_config(self.config())
        self.run.save(self.key, self.step, self.state())
        self.saved_step = self.step
        self.write_summary()
        return self.step

    def write_summary(self) -> None:
        """Brings summary.json of the run, if there is one, up to date."""
        if self.run is not None:
            self.run.flush()
            self.run.write_summary(self.summary())

    def summary(self) -> dict[str, Any]:
        return {
            "study": self.key,
            "data": self.data_key,
            "knobs": dict(self.knobs),
            "seed": self.seed,
            "steps": self.step,
            "seconds": round(self.seconds, 3),
            "steps_per_second": round(self.step / self.seconds, 3) if self.seconds else 0.0,
            "train": dict(self.latest),
            "held_out": dict(self.held_out),
            "peak_memory_bytes": peak_memory(self.device),
            "device": device_name(self.device),
            "versions": versions(),
        }
