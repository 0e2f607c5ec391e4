"""The declaration of a study: what one file under ``engine/studies/`` has to say. Knows no torch and no window.

A study reads top to bottom: idea, knobs, network, loss, step, probes. Everything else (loading data, the training
loop, saving, the form, the docks) is done by others from the declaration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from engine.params import Knob, knobs_of
from engine.probes import Hint, ProbeSpec, probes_of

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Term:
    """One term of the objective: LaTeX, the metric that measures it, its colour's name and one sentence."""

    latex: str
    metric: str
    colour: str
    text: str = ""


@dataclass(frozen=True)
class Images:
    """The study learns from images; ``default`` is the data set's key."""

    default: str = "digits"


@dataclass(frozen=True)
class Captures:
    """The study learns from photographs of one scene with their cameras; ``default`` is the data set's key. ``wishes``
    names the knobs that say how they are loaded (shrink, orientation, fit)."""

    default: str = "still_life"
    wishes: tuple[str, ...] = ("shrink", "orientation", "fit")


@dataclass(frozen=True)
class DataOption:
    """One data set that the person can choose; ``reason`` says why it is not ``available``, and how to get it."""

    key: str
    title: str
    origin: str
    size: str
    licence: str
    available: bool = True
    reason: str = ""
    fetchable: bool = False
    needs_folder: bool = False
    kind: str = "images"
    """What it is made of: images or captures; a study learns from one kind."""


@dataclass(frozen=True)
class Declaration:
    """All that the window needs to know of a study, as plain data; ``error`` where its file failed to import."""

    key: str
    title: str
    family: str
    text: str = ""
    paper: str = ""
    left: str = ""
    objective: tuple[Term, ...] = ()
    knobs: tuple[Knob, ...] = ()
    probes: tuple[ProbeSpec, ...] = ()
    default_data: str = ""
    data_kind: str = ""
    try_this: tuple[str, ...] = ()
    trains: bool = True
    error: str = ""

    def initial_knobs(self) -> dict[str, Any]:
        return {k.name: k.default for k in self.knobs}

    def probe(self, name: str) -> ProbeSpec | None:
        return next((p for p in self.probes if p.name == name), None)


def data_kind(data: Images | Captures | None) -> str:
    """The kind of :class:`DataOption` that a study learns from; '' where it makes its own data."""
    return "" if data is None else "images" if isinstance(data, Images) else "captures"


class Study:
    """Base of all studies. Set before ``build``: ``p`` (the knobs), ``source`` (the loaded data), ``device``."""

    title: ClassVar[str] = ""
    family: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    data: ClassVar[Images | Captures | None] = None
    left: ClassVar[str] = ""
    """Left side of the objective's equation, LaTeX."""
    objective: ClassVar[tuple[Term, ...] | list[Term]] = ()
    tiny: ClassVar[Mapping[str, Any]] = {}
    """Knobs that the common test suite trains with."""
    try_this: ClassVar[tuple[str, ...]] = ()
    """Three things to try, one sentence each."""
    first_probes: ClassVar[tuple[str, ...]] = ()
    """The probes that come before the others, by name; the first two are on screen when the study is opened."""

    @dataclass
    class Params:
        """The knobs; a study overrides this."""

    p: Any
    source: Any
    device: torch.device
    dragging: bool = False
    """Whether the ask being answered comes from a moving hand: fewer steps, lower resolution will do."""
    _happened: tuple[str, ...] = ()

    def build(self, device: torch.device) -> None:
        """Makes the modules and optimisers as attributes; they are found, saved and loaded by name."""
        raise NotImplementedError

    def train_step(self, batch: Any) -> dict[str, torch.Tensor]:
        """One step; the metrics as detached tensors, scalar or (N,): the engine decides when to read them."""
        raise NotImplementedError

    def mark(self, text: str) -> None:
        """Within a step: something worth a mark on the curves happened, in a few words on one line."""
        self._happened = (*self._happened, " ".join(text.split()))

    def happened(self) -> tuple[str, ...]:
        """What was marked since the last call."""
        texts, self._happened = self._happened, ()
        return texts

    def knob_changed(self, name: str) -> None:
        """A live knob was set in ``p``; for studies that keep a copy of it (an optimiser's learning rate)."""

    def evaluate(self, batch: Any) -> dict[str, torch.Tensor]:
        """Held-out metrics, one value per item of the batch (N,); {} where the study has none."""
        return {}

    def figures(self, means: dict[str, float]) -> dict[str, float]:
        """The held-out figures from the means over all items of what :meth:`evaluate` gives, for those that are no
        means themselves, as a ratio in decibels is."""
        return means

    def hints(self) -> dict[str, Hint]:
        """What the present weights say of latent controls, by the control's name."""
        return {}

    @classmethod
    def declaration(cls, key: str) -> Declaration:
        doc = " ".join((cls.__doc__ or "").split())
        return Declaration(
            key=key,
            title=cls.title or key,
            family=cls.family or "Other",
            text=doc,
            paper=cls.paper,
            left=cls.left,
            objective=tuple(cls.objective),
            knobs=knobs_of(cls.Params),
            probes=probes_of(cls),
            default_data=cls.data.default if cls.data else "",
            data_kind=data_kind(cls.data),
            try_this=tuple(cls.try_this),
            trains=cls.train_step is not Study.train_step,
        )
