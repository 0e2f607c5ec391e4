"""One open study: its data, its weights, its training and the answers to probes. Knows no thread and no window.

The worker drives a session a step at a time; what it computes is the same whoever asks (window, command line, test).
Probes cannot disturb training: they run in eval mode, without gradients, and every random state is put back after.
"""

from __future__ import annotations

import contextlib
import gc
import random
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.data.images import ImageSource
from engine.data.tensors import ImageTensors
from engine.formats.runs import Run, RunError
from engine.params import knobs_of, with_values
from engine.payloads import Payload
from engine.probes import Hint, ProbeSpec, probes_of
from engine.study import Study

HELD_OUT_BATCH = 500


class Diverged(Exception):
    """A metric is not finite; the message names it and the step."""


@contextlib.contextmanager
def private_random(device: torch.device, seed: int | None = None) -> Iterator[None]:
    """Puts every random state back at the end; within, the generators start from ``seed`` where one is given."""
    cpu = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    plain, numpys = random.getstate(), np.random.get_state()
    try:
        if seed is not None:
            torch.manual_seed(seed)
        yield
    finally:
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda, device)
        random.setstate(plain)
        np.random.set_state(numpys)


def pick_device(wish: str) -> torch.device:
    """``cpu``, ``cuda`` or ``auto`` (CUDA where there is one); ValueError with the reason where it cannot be had."""
    if wish == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda: this machine has no CUDA device that torch can use; take cpu or auto")
    if wish not in ("cpu", "cuda", "auto"):
        raise ValueError(f"device {wish}: not one of cpu, cuda, auto")
    return torch.device("cuda" if wish == "cuda" or (wish == "auto" and torch.cuda.is_available()) else "cpu")


@dataclass
class Session:
    """A study built with ``knobs`` and ``seed`` on ``data``; ``step`` counts the training steps taken."""

    key: str
    study: Study
    knobs: dict[str, Any]
    seed: int
    device: torch.device
    source: ImageSource | None
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
    metrics_so_far: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    """The curves of a run that is only read."""
    spoilt: bool = False
    """A metric was not finite: these weights are neither saved nor trained further."""
    _pending: list[tuple[int, dict[str, torch.Tensor]]] = field(default_factory=list)

    @classmethod
    def build(
        cls,
        key: str,
        study_class: type[Study],
        knobs: Mapping[str, Any],
        seed: int,
        device: torch.device,
        source: ImageSource | None,
        data_key: str = "",
        folder: str = "",
    ) -> Session:
        """Makes the study with fresh weights from ``seed``; BadValue for a knob out of range."""
        study = study_class()
        study.p = with_values(study_class.Params, knobs)
        study.device = device
        torch.manual_seed(seed)
        study.source = ImageTensors(source, device, seed) if source is not None else None
        study.build(device)
        # Building draws a number of random values that depends on the network; training starts from its own place.
        torch.manual_seed(seed + 1)
        values = {k.name: getattr(study.p, k.name) for k in knobs_of(study_class.Params)}
        return cls(key, study, values, seed, device, source, data_key, folder)

    # ---- training ----

    def train_step(self) -> None:
        """One step; its metrics wait until :meth:`read_metrics`, so that a GPU is not made to wait for each."""
        begun = time.perf_counter()
        batch = None
        if self.study.source is not None:
            batch = self.study.source.batch(self.step, int(getattr(self.study.p, "batch", 64)))
        metrics = self.study.train_step(batch)
        self.step += 1
        self._pending.append((self.step, metrics))
        self.seconds += time.perf_counter() - begun

    def read_metrics(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The metrics since the last call: name -> (steps, values); written to the run too.

        Raises :class:`Diverged` if one is not finite, after keeping those before it.
        """
        pending, self._pending = self._pending, []
        points: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        names = {name: None for _, metrics in pending for name in metrics}
        for name in names:
            have = [(step, metrics[name]) for step, metrics in pending if name in metrics]
            values = torch.stack([value for _, value in have]).double().cpu().numpy()
            points[name] = (np.array([step for step, _ in have], np.int64), values)
        bad = [
            (int(steps[np.argmin(np.isfinite(values.reshape(len(values), -1)).all(1))]), name)
            for name, (steps, values) in points.items()
            if not np.isfinite(values).all()
        ]
        if bad:
            first = min(bad)[0]
            points = {name: (s[s < first], v[s < first]) for name, (s, v) in points.items()}
        for name, (_, values) in points.items():
            if values.ndim == 1 and len(values):
                self.latest[name] = float(values[-1])
        self.log_points(points)
        if bad:
            self.spoilt = True
            step, name = min(bad)
            raise Diverged(f"{name} is not a finite number at step {step}")
        return points

    def set_knob(self, name: str, value: Any) -> Any:
        """Sets a live knob; BadValue if it is unknown, out of range or not live."""
        self.study.p = with_values(type(self.study).Params, {**self.knobs, name: value})
        self.knobs[name] = getattr(self.study.p, name)
        self.study.knob_changed(name)
        return self.knobs[name]

    # ---- probes ----

    @contextlib.contextmanager
    def _looking(self, seed: int) -> Iterator[None]:
        """Eval mode, no gradients, private random numbers; all as before afterwards."""
        modes = [(module, module.training) for part in self.modules().values() for module in part.modules()]
        with private_random(self.device, seed), torch.no_grad():
            for module, _ in modes:
                module.training = False
            try:
                yield
            finally:
                for module, mode in modes:
                    module.training = mode

    def spec(self, probe: str) -> ProbeSpec:
        """The declaration of a probe; KeyError with a sentence if there is none of that name."""
        specs = {spec.name: spec for spec in probes_of(type(self.study))}
        if probe not in specs:
            raise KeyError(f"{probe}: no such probe of {self.key}; there are {', '.join(specs)}")
        return specs[probe]

    def answer(self, probe: str, values: Mapping[str, Any], dragging: bool = False) -> Generator[Payload, None, None]:
        """The answer to a probe, one payload or, for a timeline, one per frame; BadValue for a bad control value.

        Each advance is isolated from training, which may go on between two of them. Random numbers within one
        advance depend on the probe and the index of the advance only.
        """
        spec = self.spec(probe)
        checked = spec.values(values, self.knobs)
        method = getattr(self.study, probe)
        index = 0
        frames: Iterator[Payload] | None = None
        while True:
            self.study.dragging = dragging
            with self._looking(index):
                if frames is None:
                    made = method(**checked)
                    frames = made if spec.timeline else iter((made,))
                payload = next(frames, None)
            if payload is None:
                return
            yield payload
            index += 1

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
        return {name: value / total for name, value in sums.items()}

    def record_held_out(self, values: Mapping[str, float], at: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Keeps an evaluation begun at step ``at`` and gives it as points of the curves ``held_out/...``."""
        self.held_out = dict(values)
        step = np.array([at], np.int64)
        points = {f"held_out/{name}": (step, np.array([value])) for name, value in values.items()}
        self.log_points(points)
        return points

    def log_points(self, points: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """Writes points of curves into the run, if there is one."""
        if self.run is not None and points:
            self.run.log_metrics(_rows(points))

    # ---- state ----

    def modules(self) -> dict[str, torch.nn.Module]:
        return {name: part for name, part in vars(self.study).items() if isinstance(part, torch.nn.Module)}

    def parameters(self) -> int:
        """How many numbers are learned."""
        return sum(p.numel() for part in self.modules().values() for p in part.parameters())

    def state(self) -> dict[str, Any]:
        """All that training needs to go on bit for bit: weights, optimisers, random states, step."""
        parts = {
            name: part.state_dict()
            for name, part in vars(self.study).items()
            if isinstance(part, torch.nn.Module | torch.optim.Optimizer)
        }
        state = {"parts": parts, "random": torch.get_rng_state(), "step": self.step, "seconds": self.seconds}
        if self.device.type == "cuda":
            state["cuda_random"] = torch.cuda.get_rng_state(self.device)
        return state

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes a state of :meth:`state`; ValueError if its tensors are not those of this study with these knobs."""
        parts = state.get("parts")
        mine = {
            name: part
            for name, part in vars(self.study).items()
            if isinstance(part, torch.nn.Module | torch.optim.Optimizer)
        }
        missing = set(mine) - set(parts or {})
        if not isinstance(parts, Mapping) or any(isinstance(mine[name], torch.nn.Module) for name in missing):
            raise ValueError(f"the snapshot lacks {', '.join(sorted(missing))}")
        try:
            for name, part in mine.items():
                if name in parts:  # a starter snapshot holds weights only: its optimisers start afresh
                    part.load_state_dict(parts[name])
        except (RuntimeError, KeyError, ValueError) as e:
            first = str(e).strip().splitlines()[-1].strip()
            raise ValueError(f"the snapshot does not fit these knobs: {first}") from None
        self._pending.clear()
        self.spoilt = False
        self.step = int(state.get("step", 0))
        self.seconds = float(state.get("seconds", 0.0))
        if "random" in state:
            torch.set_rng_state(state["random"])
        if "cuda_random" in state and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_random"], self.device)

    def free(self) -> None:
        """Lets go of gradients and caches after running out of memory."""
        self._pending.clear()
        for part in self.modules().values():
            part.zero_grad(set_to_none=True)
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    # ---- the run folder ----

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
        self.run.log(f"started: study {self.key}, data {self.data_key or '-'}, seed {self.seed}, step {self.step}")
        self.log_points(self.metrics_so_far)
        self.save()

    def save(self) -> int:
        """Writes a snapshot, the knobs as they are and the summary; the step. RunError if the weights are spoilt."""
        assert self.run is not None
        if self.spoilt:
            raise RunError("the weights are not finite numbers and were not saved; go back to an earlier snapshot")
        self.run.save(self.key, self.step, self.state())
        self.run.write_config(self.config())
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


def versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        own = version("mutoscope")
    except PackageNotFoundError:  # run from a checkout that was never installed
        own = "0.1.0"
    return {"mutoscope": own, "torch": str(torch.__version__), "python": sys.version.split()[0]}


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"cpu x{torch.get_num_threads()}"


def memory(device: torch.device) -> int:
    """Bytes: of this process, or on the device where that is not the CPU."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    import psutil

    return int(psutil.Process().memory_info().rss)


def peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # Windows: the present figure is the best there is
        return memory(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def _rows(points: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> list[dict[str, float]]:
    rows: dict[int, dict[str, float]] = {}
    for name, (steps, values) in points.items():
        for step, value in zip(steps.tolist(), values.tolist(), strict=True):
            row = rows.setdefault(step, {"step": step})
            if isinstance(value, list):
                row.update({f"{name}/{i}": v for i, v in enumerate(value)})
            else:
                row[name] = value
    return [rows[step] for step in sorted(rows)]
