"""Messages between the rooms: orders and asks go in, reports come out. Frozen plain data, nothing else crosses.

Orders are first in, first out and never dropped. An :class:`Ask` replaces the unread older one of its slot.
Reports say of which ``epoch`` they are: it rises whenever a study is opened or rebuilt, and older ones are discarded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.payloads import Payload
from engine.probes import Hint
from engine.steering import Direction
from engine.study import DataOption, Declaration

# ---- orders -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Order:
    """Base of all orders."""


@dataclass(frozen=True)
class Open(Order):
    """Builds a study afresh, as ``epoch``. ``data`` '' takes the study's choice; ``folder``: images of the user's.

    ``run`` opens a run folder or a snapshot file instead: study, knobs, seed and weights come from there; training
    goes on in that folder if ``keep``, else in a new one (a starter is only read).
    """

    epoch: int
    study: str = ""
    data: str = ""
    knobs: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    folder: str = ""
    device: str = "auto"
    run: str = ""
    keep: bool = True


@dataclass(frozen=True)
class Train(Order):
    """Trains: ``steps`` more of them, or until told otherwise where None; at most ``per_second`` where given."""

    steps: int | None = None
    per_second: float | None = None


@dataclass(frozen=True)
class Pause(Order):
    """Stops training after the present step."""


@dataclass(frozen=True)
class HandDown(Order):
    """A mouse button went down in the window: what it asks for comes when it is released, and should not meet a long
    training step."""


@dataclass(frozen=True)
class SetKnob(Order):
    """Sets a live knob."""

    name: str
    value: Any


@dataclass(frozen=True)
class AutosaveTo(Order):
    """Where the present study's run is kept: a folder to create on the first training step; '' keeps none."""

    folder: str
    every_seconds: float = 60.0


@dataclass(frozen=True)
class Save(Order):
    """Writes a snapshot into the run folder now."""


@dataclass(frozen=True)
class LoadSnapshot(Order):
    """Takes the weights of a snapshot of the open run."""

    step: int


@dataclass(frozen=True)
class Evaluate(Order):
    """Measures the whole held-out part as soon as training stands still; answered by :class:`HeldOut`."""


@dataclass(frozen=True)
class Cancel(Order):
    """Stops what a slot is computing; '' cancels a fetch of data."""

    slot: str = ""


@dataclass(frozen=True)
class Forget(Order):
    """A slot is no longer shown: do not refresh it."""

    slot: str


@dataclass(frozen=True)
class FetchData(Order):
    """Downloads a data set into the user's cache."""

    key: str


@dataclass(frozen=True)
class ListRuns(Order):
    """Asks for the recent runs below a folder, answered by :class:`Runs`."""

    folder: str


@dataclass(frozen=True)
class Export(Order):
    """Writes payloads (several: the frames of a timeline) to a file, its format by the name's ending."""

    path: str
    payloads: tuple[Payload, ...]


@dataclass(frozen=True)
class KeepDirections(Order):
    """The directions that the person has kept, as they are now: they belong to the run, and are written with it."""

    directions: tuple[Direction, ...]


@dataclass(frozen=True)
class WriteDirections(Order):
    """Writes directions into a file of the person's."""

    path: str
    directions: tuple[Direction, ...]


@dataclass(frozen=True)
class ReadDirections(Order):
    """Reads a file of directions, answered by :class:`DirectionsRead`; ``control`` says whose they are to be."""

    path: str
    control: str = "directions"


@dataclass(frozen=True)
class ReadPicture(Order):
    """Reads an image file of the person's as the open study's pictures are, answered by :class:`PictureRead`; not at
    all where it cannot be read or no pictures are open: the probe that it is for says what is wrong with it."""

    path: str


@dataclass(frozen=True)
class Shutdown(Order):
    """Saves what is unsaved and ends the engine's thread."""


@dataclass(frozen=True)
class Ask:
    """A probe put to the current weights. ``phase``: ``drag`` while the hand moves, ``settled`` once it has stopped."""

    slot: str
    epoch: int
    seq: int
    probe: str
    values: Mapping[str, Any] = field(default_factory=dict)
    phase: str = "settled"


# ---- reports ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    """Base of all reports."""


@dataclass(frozen=True)
class Catalogue(Report):
    """All studies found, and the data sets that image studies can use."""

    studies: tuple[Declaration, ...]
    data: tuple[DataOption, ...]


@dataclass(frozen=True)
class Mark:
    """Something that happened while training, at a step, in a few words."""

    step: int
    text: str


@dataclass(frozen=True)
class Opened(Report):
    """A study is built and can be asked. ``metrics`` are the curves so far: name -> (steps, values) arrays."""

    epoch: int
    study: Declaration
    knobs: Mapping[str, Any]
    seed: int
    data: str
    device: str
    step: int
    parameters: int
    run: str = ""
    snapshots: tuple[int, ...] = ()
    metrics: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    equation: tuple[str, ...] = ()
    """SVG pictures of the objective: the left side, then one per term; colours are the text's, set by the view."""
    symbols: Mapping[str, str] = field(default_factory=dict)
    """SVG pictures of the knobs' symbols by knob name."""
    folder: str = ""
    """The folder of images that it learns from, where ``data`` is one of the user's."""
    marks: tuple[Mark, ...] = ()
    """What happened in the run so far."""
    directions: tuple[Direction, ...] = ()
    """Those that were kept with the run."""


@dataclass(frozen=True)
class DataPreview(Report):
    """What the data looks like: the first items of the held-out and train parts as uint8 (N, h, w, C)."""

    epoch: int
    title: str
    text: str
    held_out: Any
    train: Any
    held_out_captions: tuple[str, ...]
    train_captions: tuple[str, ...]
    notices: tuple[str, ...] = ()
    label_names: tuple[str, ...] = ()
    """What the classes are called, by their numbers; empty where the data has none."""


@dataclass(frozen=True)
class Picture(Report):
    """An answer to an ask, or one moment of it; ``done`` with the last. ``seconds``: engine time since the ask came."""

    slot: str
    epoch: int
    seq: int
    probe: str
    payload: Payload | None
    step: int
    phase: str = "settled"
    done: bool = True
    progress: float = 1.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Progress(Report):
    """How far the answer to an ask is, 0..1, where no picture of it can be shown yet."""

    slot: str
    epoch: int
    seq: int
    progress: float


@dataclass(frozen=True)
class Metrics(Report):
    """New points of the curves: name -> (steps int64 array, values float64 array); vectors as (N, d) values."""

    epoch: int
    points: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Marks(Report):
    """What has happened while training since the last report, for the curves."""

    epoch: int
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class HeldOut(Report):
    """The figures over the whole held-out part at ``step``; {} where the study has none. The summary holds them."""

    epoch: int
    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Hints(Report):
    """News of the latent controls."""

    epoch: int
    hints: Mapping[str, Hint]


@dataclass(frozen=True)
class Status(Report):
    """How the engine is: ``state`` is starting, idle, building, training or fetching; ``load`` the busy share;
    ``orders`` how many orders it had taken by then."""

    epoch: int
    state: str
    step: int
    target: int | None
    steps_per_second: float
    load: float
    memory_bytes: int
    device: str
    detail: str = ""
    progress: float | None = None
    orders: int = 0


@dataclass(frozen=True)
class Saved(Report):
    """A snapshot was written; ``snapshots`` are the steps that the run now holds."""

    epoch: int
    run: str
    step: int
    snapshots: tuple[int, ...]


@dataclass(frozen=True)
class DirectionsRead(Report):
    """What a file of directions held; ``control`` is that of the order."""

    path: str
    control: str
    directions: tuple[Direction, ...]


@dataclass(frozen=True)
class PictureRead(Report):
    """What an image file looks like to the open study: ``pixels`` uint8 (h, w, C)."""

    path: str
    pixels: Any


@dataclass(frozen=True)
class RunInfo:
    """One line of the recent runs."""

    path: str
    study: str
    data: str
    step: int
    when: float
    title: str = ""


@dataclass(frozen=True)
class Runs(Report):
    """The recent runs, newest first."""

    runs: tuple[RunInfo, ...]


@dataclass(frozen=True)
class Failure(Report):
    """Something failed; the window shows it where its picture would be. ``where``: probe, train, open, data, save,
    export, knob or engine; ``diverged`` where training stopped for a number that is not finite; ``fault`` where the
    program or the machine is to blame, not what it was given."""

    where: str
    title: str
    reason: str
    advice: str = ""
    slot: str = ""
    epoch: int = 0
    seq: int = 0
    diverged: bool = False
    detail: str = ""
    fault: bool = False


@dataclass(frozen=True)
class Notice(Report):
    """One line for the log."""

    text: str
    level: str = "info"
