"""Run folders: config.json, metrics.csv, snapshots/*.safetensors, log.txt, summary.json. Knows no study.

The folder itself and every file but the two that grow (metrics, log) are written beside their place and moved there,
so that a kill at any instant leaves the previous good one; a last line cut off in metrics.csv is ignored when it is
read. Weights are safetensors, all else is JSON or text: reading a run never runs code of its own.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as pack_tensors

from engine.formats import marks
from engine.formats.atomic import write_atomic
from engine.messages import RunInfo

FORMAT = 1
KEEP = 40
"""Snapshots that a run keeps at most: thinned evenly, the first and the newest always stay."""

Points = dict[str, tuple[np.ndarray, np.ndarray]]
"""Points of curves: name -> steps int64 (N,), values float64 (N,) or, for a metric that is a vector, (N, d)."""

_NAME = re.compile(r"step-(\d{9})\.safetensors$")


class RunError(Exception):
    """A run or snapshot that cannot be used; the message is one line that names the file and says why."""


# ---- files of JSON ---------------------------------------------------------------------------------------------------


def write_json(path: Path, value: Any) -> None:
    write_atomic(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``; :class:`RunError` for anything else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path}: not found; a run folder holds config.json") from None
    except (OSError, ValueError, RecursionError) as e:
        raise RunError(f"{path}: cannot be read ({e.__class__.__name__}); the file is damaged or not ours") from None
    if not isinstance(value, dict):
        raise RunError(f"{path}: not a JSON object; the file is damaged or not ours")
    return value


# ---- state <-> tensors and JSON -------------------------------------------------------------------------------------


def flatten(state: Any, tensors: dict[str, torch.Tensor], at: str = "", seen: dict[int, str] | None = None) -> Any:
    """The JSON shape of a nested ``state``; its tensors go into ``tensors`` under the paths that the shape names, one
    that is in two places once."""
    seen = {} if seen is None else seen
    if isinstance(state, torch.Tensor):
        if id(state) not in seen:
            seen[id(state)] = at
            tensors[at] = state.detach().contiguous().cpu().clone()
        return {"tensor": seen[id(state)]}
    if isinstance(state, Mapping):
        return {"items": [[key, flatten(value, tensors, f"{at}/{key}", seen)] for key, value in state.items()]}
    if isinstance(state, list | tuple):
        return {"list": [flatten(value, tensors, f"{at}/{i}", seen) for i, value in enumerate(state)]}
    if state is None or isinstance(state, bool | int | float | str):
        return {"value": state}
    raise TypeError(f"{at}: a {type(state).__name__} cannot be saved")


def unflatten(shape: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """The inverse of :func:`flatten`; KeyError or TypeError where the shape is not one of ours."""
    if "tensor" in shape:
        return tensors[shape["tensor"]]
    if "items" in shape:
        return {key: unflatten(value, tensors) for key, value in shape["items"]}
    if "list" in shape:
        return [unflatten(value, tensors) for value in shape["list"]]
    return shape["value"]


def snapshot_bytes(study: str, step: int, state: Mapping[str, Any]) -> bytes:
    """A safetensors file of ``state``."""
    tensors: dict[str, torch.Tensor] = {}
    shape = flatten(state, tensors)
    meta = {"format": f"mutoscope {FORMAT}", "study": study, "step": str(step), "state": json.dumps(shape)}
    return pack_tensors(tensors, meta)


def read_snapshot(path: Path, study: str = "") -> tuple[dict[str, Any], int]:
    """The state and step in a snapshot file; :class:`RunError` if truncated, foreign, newer or of another study."""
    try:
        with safe_open(path, framework="pt") as f:
            meta = f.metadata() or {}
            tensors = {key: f.get_tensor(key) for key in f.keys()}  # noqa: SIM118  # not a dict
    except FileNotFoundError:
        raise RunError(f"{path}: not found") from None
    except (SafetensorError, OSError) as e:
        raise RunError(f"{path}: not a whole safetensors file ({e}); take an earlier snapshot") from None
    word, _, version = meta.get("format", "").partition(" ")
    if word != "mutoscope" or not version.isdecimal():
        raise RunError(f"{path}: a safetensors file, but not a snapshot of Mutoscope's")
    if int(version) > FORMAT:
        raise RunError(f"{path}: written by a newer Mutoscope (format {version}, not {FORMAT}); update the program")
    if study and meta.get("study") != study:
        raise RunError(f"{path}: a snapshot of study {meta.get('study')!r}, not of {study!r}")
    try:
        state = unflatten(json.loads(meta["state"]), tensors)
        if not isinstance(state, dict):
            raise TypeError("no state")
        return state, int(meta["step"])
    except (KeyError, TypeError, ValueError, RecursionError):
        raise RunError(f"{path}: its description does not fit its tensors; the file is damaged") from None


# ---- the folder -----------------------------------------------------------------------------------------------------


class Run:
    """One run folder, for writing by the one engine that trains it and for reading."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._columns: list[str] = []
        self._metrics: io.TextIOWrapper | None = None

    @classmethod
    def create(cls, folder: Path, config: Mapping[str, Any]) -> Run:
        """A new run; :class:`RunError` if the folder holds one already or cannot be made.

        The folder comes into being with its config.json in it, so that there is no instant at which it cannot be
        opened; a folder that is there already is used as it is.
        """
        if (folder / "config.json").exists():
            raise RunError(f"{folder}: holds a run already; choose another folder, or resume it")
        run = cls(folder)
        try:
            if folder.exists():
                run.write_config(config)
                return run
            beside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
            cls(beside).write_config(config)
            os.rename(beside, folder)
        except OSError as e:
            raise RunError(f"{folder}: cannot be made ({e.strerror})") from None
        return run

    def write_config(self, config: Mapping[str, Any]) -> None:
        write_json(self.folder / "config.json", {"format": FORMAT, **config})

    def config(self) -> dict[str, Any]:
        """config.json, with the types that it should have; :class:`RunError` if it is missing, damaged or newer than
        this program."""
        path = self.folder / "config.json"
        config = read_json(path)
        version = config.get("format")
        if not isinstance(version, int):
            raise RunError(f"{path}: has no format number; not a run of Mutoscope's")
        if version > FORMAT:
            raise RunError(f"{path}: written by a newer Mutoscope (format {version}, not {FORMAT}); update the program")
        kinds = {"study": str, "knobs": dict, "data": str, "folder": str, "seed": int}
        config = {"data": "", "folder": "", "seed": 0, **config}
        wrong = [name for name, kind in kinds.items() if not isinstance(config.get(name), kind)]
        if wrong:
            raise RunError(f"{path}: lacks {' and '.join(wrong)} or names them wrongly; the file is damaged")
        target = config.get("target")
        return {**config, "target": target if isinstance(target, int) else None}

    def snapshots(self) -> tuple[int, ...]:
        """The steps that there are snapshots of, ascending."""
        folder = self.folder / "snapshots"
        names = os.listdir(folder) if folder.is_dir() else []
        return tuple(sorted(int(m.group(1)) for m in map(_NAME.match, names) if m))

    def snapshot_path(self, step: int) -> Path:
        return self.folder / "snapshots" / f"step-{step:09d}.safetensors"

    def save(self, study: str, step: int, state: Mapping[str, Any]) -> None:
        """Writes a snapshot, then thins the older ones."""
        write_atomic(self.snapshot_path(step), snapshot_bytes(study, step, state))
        steps = self.snapshots()
        while len(steps) > KEEP:
            # Drop the inner one whose going leaves the smallest gap, so that what stays is spread evenly.
            gaps = [steps[i + 1] - steps[i - 1] for i in range(1, len(steps) - 1)]
            drop = steps[1 + int(np.argmin(gaps))]
            self.snapshot_path(drop).unlink(missing_ok=True)
            steps = self.snapshots()

    def load(self, study: str, step: int | None = None) -> tuple[dict[str, Any], int, list[str]]:
        """The state at ``step``, or the newest that is whole; with the complaints about those that were not."""
        steps = [step] if step is not None else list(reversed(self.snapshots()))
        if not steps:
            raise RunError(f"{self.folder}: holds no snapshot; nothing was saved before it ended")
        complaints: list[str] = []
        for s in steps:
            try:
                state, at = read_snapshot(self.snapshot_path(s), study)
                return state, at, complaints
            except RunError as e:
                complaints.append(str(e))
        raise RunError(complaints[0])

    # metrics.csv

    def log_metrics(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Appends rows (each has ``step``); a metric that is new to the file gets a column. OSError where the disk
        refuses: rows may then be lost, but none is left half written."""
        rows = list(rows)
        new = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in self._columns]
        if new or self._metrics is None:
            self._open_metrics(new)
        assert self._metrics is not None
        lines = [",".join(_cell(row.get(c)) for c in self._columns) + "\n" for row in rows]
        try:
            self._metrics.write("".join(lines))
        except OSError:
            self._let_go()
            raise

    def flush(self) -> None:
        if self._metrics is not None:
            try:
                self._metrics.flush()
            except OSError:
                self._let_go()
                raise

    def close(self) -> None:
        metrics, self._metrics = self._metrics, None
        if metrics is not None:
            metrics.close()

    def _let_go(self) -> None:
        """Closes metrics.csv after a failed write; opening it again drops the line that was cut off."""
        with contextlib.suppress(OSError):
            self.close()

    def _open_metrics(self, new: Iterable[str]) -> None:
        self._let_go()
        path = self.folder / "metrics.csv"
        columns, rows = _read_csv(path)
        self._columns = columns or ["step"]
        self._columns += [name for name in new if name not in self._columns]
        text = "".join(",".join(line) + "\n" for line in [self._columns, *_padded(rows, len(self._columns))])
        write_atomic(path, text.encode())
        self._metrics = open(path, "a", encoding="utf-8")  # noqa: SIM115  # kept open between batches

    def sweep(self) -> None:
        """Removes what a killed process left half written."""
        for part in [*self.folder.glob(".*.part"), *self.folder.glob("snapshots/.*.part")]:
            part.unlink(missing_ok=True)

    def set_aside(self, after: int) -> None:
        """Renames the snapshots later than step ``after`` to ``....damaged``; nothing is deleted."""
        for step in self.snapshots():
            if step > after:
                path = self.snapshot_path(step)
                os.replace(path, path.with_name(f"{path.name}.damaged"))

    def truncate_metrics(self, step: int) -> None:
        """Forgets the rows and marks after ``step``: training goes on from there."""
        self.close()
        path = self.folder / "metrics.csv"
        columns, rows = _read_csv(path)
        kept = [row for row in rows if float(row[0]) <= step]
        if columns and len(kept) < len(rows):
            write_atomic(path, "".join(",".join(line) + "\n" for line in [columns, *kept]).encode())
        found = marks.read(self.folder)
        if any(mark.step > step for mark in found):
            write_atomic(self.folder / marks.NAME, marks.text_of(marks.until(found, step)).encode())

    def metrics(self) -> Points:
        """The curves, steps ascending; columns ``name/0``, ``name/1`` ... become one metric that is a vector."""
        columns, rows = _read_csv(self.folder / "metrics.csv")
        if not rows:
            return {}
        table = np.array([[float(cell) if cell else np.nan for cell in row] for row in rows])
        out: Points = {}
        vectors: dict[str, list[int]] = {}
        for i, name in enumerate(columns[1:], start=1):
            stem, _, index = name.rpartition("/")
            if stem and index.isdecimal():
                vectors.setdefault(stem, []).append(i)
                continue
            there = np.isfinite(table[:, i])
            out[name] = _ascending(table[there, 0], table[there, i])
        for stem, places in vectors.items():
            there = np.isfinite(table[:, places]).all(1)
            out[stem] = _ascending(table[there, 0], table[np.ix_(there, places)])
        return out

    # log and summary

    def log(self, text: str) -> None:
        with open(self.folder / "log.txt", "a", encoding="utf-8") as f:
            f.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        write_json(self.folder / "summary.json", summary)


def _ascending(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps (N,) in order and each once, the value written last standing: the held-out part is measured again at a
    step that is opened, evaluated whole or gone back to."""
    whole = steps.astype(np.int64)
    kept = np.unique(whole[::-1], return_index=True)[1]
    last = len(whole) - 1 - kept
    return whole[last], values[last]


def recent(root: Path, limit: int = 20) -> tuple[RunInfo, ...]:
    """The newest runs below ``root``; folders that are not runs, hold no snapshot or are damaged are left out."""
    try:
        folders = sorted(((_touched(folder), folder) for folder in root.iterdir()), reverse=True)
    except OSError:
        return ()
    found: list[RunInfo] = []
    for when, folder in folders:
        if len(found) == limit or not when:
            break
        try:
            run = Run(folder)
            config = run.config()
            steps = run.snapshots()
        except (RunError, OSError):
            continue
        if steps and not folder.name.startswith("."):
            found.append(RunInfo(str(folder), config["study"], config["data"], steps[-1], when))
    return tuple(found)


def _touched(folder: Path) -> float:
    """When a snapshot was last written into a run, in seconds since 1970; 0 where there are none."""
    try:
        return (folder / "snapshots").stat().st_mtime
    except OSError:
        return 0.0


def rows_of(points: Points) -> list[dict[str, float]]:
    """One row per step; a vector's numbers as ``name/0``, ``name/1`` ..."""
    rows: dict[int, dict[str, float]] = {}
    for name, (steps, values) in points.items():
        for step, value in zip(steps.tolist(), values.tolist(), strict=True):
            row = rows.setdefault(step, {"step": step})
            if isinstance(value, list):
                row.update({f"{name}/{i}": v for i, v in enumerate(value)})
            else:
                row[name] = value
    return [rows[step] for step in sorted(rows)]


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.9g}"


def _read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and whole rows; a row that was cut off by a kill, or holds no numbers, is left out."""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as f:
            text = f.read()
    except FileNotFoundError:
        return [], []
    except OSError as e:
        raise RunError(f"{path}: cannot be read ({e.strerror})") from None
    text = text[: text.rfind("\n") + 1]
    lines = list(csv.reader(io.StringIO(text)))
    if not lines or lines[0][:1] != ["step"]:
        return [], []
    return lines[0], [row for row in lines[1:] if len(row) == len(lines[0]) and _numbers(row)]


def _numbers(row: list[str]) -> bool:
    try:
        for cell in row:
            if cell:
                float(cell)
    except ValueError:
        return False
    return bool(row[0])


def _padded(rows: list[list[str]], n: int) -> list[list[str]]:
    return [row + [""] * (n - len(row)) for row in rows]
