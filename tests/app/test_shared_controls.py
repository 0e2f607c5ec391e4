"""Controls that all probes of a study share: moved in one, moved in all. Without a window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from app.bridge import Bridge
from app.workbench import Workbench
from engine.probes import Latent, Number, ProbeSpec, Tree
from engine.scene import Scene
from engine.shape_tree import EXAMPLE, PRESETS
from engine.study import Declaration


class Posts:
    """In place of the engine's mailbox: keeps what is asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def on(self, kind: type, handler: Any) -> None:
        """Nothing is ever reported."""

    @property
    def inbox(self) -> Posts:
        return self

    def ask(self, ask: Any) -> None:
        self.asked.append(ask)


@pytest.fixture
def bench(qapp: Any, tmp_path: Path) -> Iterator[Workbench]:
    made = Workbench(cast(Bridge, Posts()), tmp_path)
    tree, number, code = Tree(), Number(1.0, 0.0, 2.0), Latent("size")
    made.study = Declaration(
        "s",
        "S",
        "F",
        probes=tuple(
            ProbeSpec(name, name, "", Scene, controls, None)
            for name, controls in {
                "one": {"shape": tree, "n": number, "z": code},
                "two": {"shape": tree, "n": number, "z": code},
                "three": {"n": number},
            }.items()
        ),
    )
    made.built = {"size": 2}
    yield made
    made.deleteLater()


def test_a_tree_moved_in_one_probe_is_moved_in_all_and_a_number_is_not(bench: Workbench) -> None:
    heard: list[tuple[str, str]] = []
    bench.control_changed.connect(lambda probe, name, value: heard.append((probe, name)))
    bench.settle_control("one", "shape", PRESETS["Mug"])
    bench.settle_control("one", "n", 2.0)
    bench.settle_control("two", "z", (1.0, 2.0))
    assert heard == [("", "shape"), ("one", "n"), ("", "z")]
    assert bench.values("one") == {"shape": PRESETS["Mug"], "n": 2.0, "z": (1.0, 2.0)}
    assert bench.values("two") == {"shape": PRESETS["Mug"], "n": 1.0, "z": (1.0, 2.0)}
    assert bench.probes_with("", "shape") == bench.probes_with("", "z") == ["one", "two"]
    assert bench.probes_with("one", "n") == ["one"]
    bench.undo.undo()
    bench.undo.undo()
    bench.undo.undo()
    assert bench.values("two")["shape"] == EXAMPLE


def test_a_broken_tree_is_refused_with_a_line_and_changes_nothing(bench: Workbench) -> None:
    said: list[str] = []
    bench.noticed.connect(lambda text, level: said.append(text))
    bench.settle_control("one", "shape", '{"kind": "cube"}')
    assert len(said) == 1
    assert said[0].startswith("shape: there is no kind 'cube'")
    assert bench.values("two")["shape"] == EXAMPLE


def test_what_follows_from_a_views_size_is_told_and_is_no_step_of_undo(bench: Workbench) -> None:
    heard: list[tuple[str, Any]] = []
    bench.control_changed.connect(lambda probe, name, value: heard.append((name, value)))
    bench.fit_control("one", "n", 1.5)
    assert heard == [("n", 1.5)]
    assert bench.values("one")["n"] == 1.5
    assert not bench.undo.canUndo()
