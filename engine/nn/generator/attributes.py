"""The probe that finds directions with a meaning: what leads from one class of pictures to another. Knows no network.

After Shen et al. 2020 (InterfaceGAN): the normal of a linear classifier of codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from engine.nn.generator.common import PORTION
from engine.nn.generator.components import normal_between, principal
from engine.nn.generator.directions import ALONG, AROUND, FAR, DirectionProbes
from engine.nn.generator.generator import weights_state
from engine.nn.pictures import array
from engine.params import BadValue
from engine.payloads import Strips
from engine.probes import EVERY_CLASS, Label, probe

JUDGE_PICTURES, JUDGE_COMPONENTS = 3000, 50
FEWEST = 6
"""Codes of a kind without which it has no direction."""
MOST_ROWS = 20
MOST_ALIKE, LEAST_ALIKE = 0.1, 0.5
"""Where a judge has to say which of the generated pictures are of a class: the share that is most like it, and the
share that is least. A generator that draws none of a class still draws some that are more like it than others."""


@dataclass(frozen=True)
class Coded:
    """Codes (N, d_w), where they are from in words, and of each either its class (N,) or, as judged, how much it is
    like each class (N, K)."""

    codes: np.ndarray
    origin: str
    classes: np.ndarray | None = None
    scores: np.ndarray | None = None

    def kinds(self, label: int, other: int | None) -> tuple[np.ndarray, np.ndarray]:
        """The codes (M, d_w) that are of class ``label`` or of ``other``, None for all the rest, and which are of
        ``label``, bool (M,)."""
        if self.classes is not None:
            chosen = np.isin(self.classes, (label, other)) if other is not None else np.full(len(self.codes), True)
            return self.codes[chosen], self.classes[chosen] == label
        assert self.scores is not None
        likeness = self.scores[:, label].copy()
        rest = np.delete(self.scores, label, 1).max(1) if other is None else self.scores[:, other]
        order = np.argsort(likeness - rest, kind="stable")
        most = max(FEWEST, round(MOST_ALIKE * len(order)))
        least = max(FEWEST, round((LEAST_ALIKE if other is None else MOST_ALIKE) * len(order)))
        chosen = np.concatenate([order[:least], order[-most:]])
        return self.codes[chosen], np.arange(len(chosen)) >= least


class AttributeProbes(DirectionProbes):
    """Needs data with classes; encodes pictures where there is an encoder, else judges generated ones."""

    encoded_items: ClassVar[tuple[int, int]] = (4000, 600)
    """Training pictures that are encoded: at rest, and while a hand drags."""
    encoded_at_once: ClassVar[int] = 256
    judged_items: ClassVar[tuple[int, int]] = (2000, 300)
    """Pictures that are generated and judged, where there is no encoder."""
    _judge: Any = None

    def likeness(self, x: Tensor) -> np.ndarray:
        """How much pictures (N, C, H, W) are like each class, (N, K), by a support vector machine on the data's
        principal components; it learns once, and never from what is generated."""
        from sklearn.svm import SVC

        count = len(self.source.label_names)
        if self._judge is None:
            pick = some_of_each(self.source.train_labels, JUDGE_PICTURES)
            known = self.source.train[pick].flatten(1).float() / 255
            labels = self.source.train_labels[pick].cpu().numpy()
            axes = principal(known, JUDGE_COMPONENTS).vectors.T
            model = SVC(C=10.0).fit(array(known @ axes), labels)
            tested = self.source.held_out_batch(0, 500)
            right = float((model.predict(array(tested.x.flatten(1) @ axes)) == tested.y.cpu().numpy()).mean())
            self._judge = (model, axes, right)
        model, axes, _ = self._judge
        said = model.decision_function(array(x.flatten(1) @ axes))
        said = np.stack([-said, said], 1) if said.ndim == 1 else said
        scores = np.full((len(said), count), said.min() - 1)  # of classes that it has never seen
        scores[:, model.classes_] = said
        return scores

    def known_codes(self) -> Iterator[float | Coded]:
        """Codes with what is known of their pictures; shares 0..1 of the work before."""
        kept = self.recall("known codes", ())
        if kept is not None:
            yield kept
            return
        state = weights_state(self)
        train = self.source.train
        pick = some_of_each(self.source.train_labels, self.encoded_items[self.dragging])
        parts = pick.split(self.encoded_at_once)
        first = self.encode_w(train[parts[0]].float() / 255)
        if first is not None:
            codes = [array(first)]
            for part in parts[1:]:
                yield len(codes) / len(parts)
                w = self.encode_w(train[part].float() / 255)
                assert w is not None  # it has encoded the first
                codes.append(array(w))
            found = Coded(
                np.concatenate(codes),
                f"{len(pick):,} encoded training pictures",
                classes=self.source.train_labels[pick].cpu().numpy(),
            )
        else:
            w = self.drawn_w(self.judged_items[self.dragging])
            scores: list[np.ndarray] = []
            for part in w.split(PORTION):
                scores.append(self.likeness(self.decode_w(part).float().nan_to_num(0.0).clamp(0, 1)))
                yield len(scores) * PORTION / (len(w) + PORTION)
            found = Coded(
                array(w),
                f"{len(w):,} generated pictures, told apart by a classifier that is right on "
                f"{100 * self._judge[2]:.0f} % of held-out ones",
                scores=np.concatenate(scores),
            )
        yield self.keep("known codes", (), state, found)

    @probe(
        Strips,
        title="Attributes",
        label=Label(
            lo=EVERY_CLASS, label="class", every="a row for each", text="The class that a row of pictures leads to."
        ),
        other=Label(
            lo=EVERY_CLASS, label="away from", every="all the others", text="The class that a row leads away from."
        ),
        steps=ALONG,
        reach=FAR,
        seed=AROUND,
    )
    def attribute(self, label: int, other: int, steps: int, reach: float, seed: int) -> Iterator[float | Strips]:
        """Directions with a meaning: where a code has to go for its picture to become one of a class, found by a linear
        probe on codes whose class is known."""
        names = self.source.label_names
        if len(names) < 2:
            raise BadValue("class: this data has no classes; take Directions, which needs none")
        for control, number in (("class", label), ("away from", other)):
            if number >= len(names):
                raise BadValue(f"{control}: there is no number {number}; the data has {len(names)}, numbered from 0")
        if label == other and label >= 0:
            raise BadValue("away from: choose another class than the one that the row leads to")
        against = other if other >= 0 else None
        rows = [label] if label >= 0 else [c for c in range(len(names)) if c != other][:MOST_ROWS]
        for part in self.known_codes():
            if isinstance(part, float):
                yield 0.8 * part
                continue
            vectors, titles = [], []
            for i, row in enumerate(rows):
                if i:
                    yield 0.8 + 0.1 * i / len(rows)
                codes, positive = part.kinds(row, against)
                if min(positive.sum(), (~positive).sum()) < FEWEST:
                    continue
                normal, accuracy = normal_between(codes, positive)
                vectors.append(normal)
                towards = names[row] if against is None else f"{names[against]} → {names[row]}"
                titles.append(f"{towards[:50]} ({100 * accuracy:.0f} %)")
            if not vectors:
                raise BadValue(f"class: fewer than {FEWEST} of the {part.origin} are of it; take another class")
            said = f"In brackets: how often a linear probe is right on codes set apart, guessing 50 %; {part.origin}."
            rowed = torch.from_numpy(np.stack(vectors)).to(self.device)
            for done in self.strips(rowed, tuple(titles), seed, steps, reach, said):
                yield 0.9 + 0.1 * done if isinstance(done, float) else done


def some_of_each(labels: Tensor, count: int) -> Tensor:
    """Which ``count`` items to take, as many of each class (N,) as there are or as the others have, in random order."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0)).to(labels.device)
    turn = torch.zeros(len(labels), dtype=torch.long, device=labels.device)  # the how-manieth of its class each is
    for kind in labels.unique():
        mine = labels[order] == kind
        turn[mine] = torch.arange(int(mine.sum()), device=labels.device)
    return order[torch.argsort(turn, stable=True)[:count]]
