"""Controls and knobs: what is taken, what is refused and in which words. No study and no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from engine.params import BadValue, knob, knobs_of, with_values
from engine.payloads import Frames, ImageGrid
from engine.probes import Choice, Item, Latent, Number, Seed, Steps, Toggle, probe, probes_of

KNOBS = {"latent": 3}


@dataclass
class Params:
    size: int = knob(4, "A size.", lo=1, hi=8)
    rate: float = knob(0.1, "A rate.", lo=0.01, log=True)
    noisy: bool = knob(False, "Noise or not.", live=True)
    kind: str = knob("a", "A kind.", choices=("a", "b"))
    other: int = 3  # no knob: it is not shown


def test_knobs_are_read_back_as_declared() -> None:
    assert [(k.name, k.kind, k.default, k.lo, k.hi, k.live, k.log) for k in knobs_of(Params)] == [
        ("size", "int", 4, 1, 8, False, False),
        ("rate", "float", 0.1, 0.01, None, False, True),
        ("noisy", "bool", False, None, None, True, False),
        ("kind", "choice", "a", None, None, False, False),
    ]


@pytest.mark.parametrize(
    ("name", "text", "result"),
    [
        ("size", " 8 ", 8),
        ("size", "9", "size: 9 is outside the range from 1 to 8"),
        ("size", "2.5", "size: '2.5' is not a whole number"),
        ("rate", "1e-2", 0.01),
        ("rate", "0.001", "rate: 0.001 is outside the range from 0.01"),
        ("rate", "nan", "rate: nan is not a finite number"),
        ("rate", "inf", "rate: inf is not a finite number"),
        ("rate", "", "rate: '' is not a number"),
        ("noisy", "On", True),
        ("noisy", "0", False),
        ("noisy", "maybe", "noisy: 'maybe' is not on or off"),
        ("kind", "b", "b"),
        ("kind", "c", "kind: 'c' is not one of a, b"),
    ],
)
def test_a_knob_takes_what_a_person_types_or_says_why_not(name: str, text: str, result: Any) -> None:
    (k,) = (k for k in knobs_of(Params) if k.name == name)
    check(lambda: k.parse(text), result, isinstance(result, str) and ":" in result)


def check(do: Any, result: Any, refused: bool) -> None:
    if refused:
        with pytest.raises(BadValue) as error:
            do()
        assert str(error.value) == result
    else:
        value = do()
        assert value == result
        assert type(value) is type(result)


def test_values_take_the_types_of_their_knobs() -> None:
    p = with_values(Params, {"size": 4.0, "rate": 1})
    assert (p.size, p.rate, p.noisy, p.kind, p.other) == (4, 1.0, False, "a", 3)
    assert (type(p.size), type(p.rate)) == (int, float)
    with pytest.raises(BadValue, match="other: no such knob; there are size, rate, noisy, kind"):
        with_values(Params, {"other": 1})


@pytest.mark.parametrize(
    ("control", "text", "result"),
    [
        (Latent(), "1,2.5,-3", (1.0, 2.5, -3.0)),
        (Latent(), "99,-99,0", (8.0, -8.0, 0.0)),
        (Latent(), "1,2", "c: has 2 numbers, the study's code has 3"),
        (Latent(), "1,2,x", "c: '1,2,x' is not numbers with commas"),
        (Latent(), "1,2,nan", "c: has a number that is not finite"),
        (Number(5, 1, 9), "9", 9),
        (Number(5, 1, 9), "9.5", "c: '9.5' is not a whole number"),
        (Number(0.5, 0.0, 1.0), "1", 1.0),
        (Number(0.5, 0.0, 1.0), "-1", "c: -1 is outside the range from 0 to 1"),
        (Steps(), "200", 200),
        (Steps(), "1", "c: 1 is outside the range from 2 to 200"),
        (Seed(), "2147483647", 2147483647),
        (Seed(), "-1", "c: -1 is outside the range from 0 to 2.14748e+09"),
        (Choice(("lerp", "slerp")), " slerp ", "slerp"),
        (Choice(("lerp", "slerp")), "hop", "c: 'hop' is not one of lerp, slerp"),
        (Toggle(), "yes", True),
        (Toggle(), "si", "c: 'si' is not on or off"),
        (Item(), "held_out:12", "held_out:12"),
        (Item(), "train:0", "train:0"),
        (Item(), "some/picture.png", "file:some/picture.png"),
        (Item(), "file:C:\\x.png", "file:C:\\x.png"),
        (Item(), "held_out:-1", "c: 'held_out:-1' is not held_out:NUMBER, train:NUMBER or file:PATH"),
        (Item(), "file:", "c: 'file:' is not held_out:NUMBER, train:NUMBER or file:PATH"),
    ],
)
def test_a_control_takes_what_a_person_types_or_says_why_not(control: Any, text: str, result: Any) -> None:
    check(lambda: control.parse("c", text, KNOBS), result, isinstance(result, str) and result.startswith("c: "))


@pytest.mark.parametrize(
    "control", [Latent(), Number(3, 1, 9), Steps(), Seed(), Choice(("a", "b")), Toggle(), Toggle(True), Item()]
)
def test_a_controls_first_value_is_one_that_it_takes(control: Any) -> None:
    initial = control.initial(KNOBS)
    assert control.check("c", initial, KNOBS) == initial


def test_probes_are_read_back_bases_first_and_overridden_where_they_stand() -> None:
    class Base:
        @probe(ImageGrid, title="One", refresh=0.5, count=Number(3, 1, 9))
        def first(self, count: int) -> ImageGrid:
            """Says   what
            it shows."""
            raise NotImplementedError

        @probe(Frames)
        def second_thing(self) -> Frames:
            """Two."""
            raise NotImplementedError

    class Study(Base):
        @probe(ImageGrid, title="Another")
        def first(self) -> ImageGrid:  # type: ignore[override]
            """Other."""
            raise NotImplementedError

        @probe(ImageGrid)
        def third(self) -> ImageGrid:
            """Three."""
            raise NotImplementedError

    one, two = probes_of(Base)
    assert (one.title, one.text, one.refresh, one.timeline) == ("One", "Says what it shows.", 0.5, False)
    assert (two.title, two.refresh, two.timeline) == ("Second thing", None, True)
    assert [p.title for p in probes_of(Study)] == ["Another", "Second thing", "Third"]
    assert one.values({"count": 4}, {}) == {"count": 4}
    assert one.values({}, {}) == {"count": 3}
    with pytest.raises(BadValue, match="size: no such control of first; there are count"):
        one.values({"size": 1}, {})


def test_a_payloads_arrays_cannot_be_written_to() -> None:
    images, readings = np.zeros((1, 2, 2, 1), np.float32), {"a": np.zeros(3)}
    frame = Frames(images, index=0, total=1, readings=readings)  # type: ignore[arg-type]
    for array in (frame.images, readings["a"]):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1
