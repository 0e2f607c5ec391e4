"""Studies are found by walking a folder; a broken file is listed with one line and breaks nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine import messages as m
from engine.params import BadValue
from engine.registry import find

GOOD = '''"""A study."""
from dataclasses import dataclass
from engine.params import knob
from engine.study import Study


class Good(Study):
    """Fine."""

    title, family = "{title}", "{family}"

    @dataclass
    class Params:
        size: int = knob({size}, "A size.", lo=1, hi=8)
'''


def good(title: str = "Good", family: str = "Family", size: int = 4) -> str:
    return GOOD.format(title=title, family=family, size=size)


def test_the_projects_own_studies_are_all_sound() -> None:
    registry = find()
    assert registry.errors == {}
    assert {"vae", "autoencoder"} <= set(registry.studies)

    def place(key: str) -> tuple[str, str]:
        return registry.studies[key].family, registry.studies[key].title

    assert [d.key for d in registry.declarations()] == sorted(registry.studies, key=place)


def test_broken_files_are_listed_with_their_errors_and_the_others_work(toys: Callable[..., str]) -> None:
    package = toys(
        alpha=good("Zeta", "A"),
        beta=good("Alpha", "B"),
        syntax="class Broken(:\n",
        missing="import a_module_that_is_nowhere\n",
        twice=good() + "\n\nclass Other(Good):\n    pass\n",
        none='"""No study here."""\n',
        leaves="raise SystemExit(3)\n",
        multi='raise RuntimeError("one\\n  two")\n',
        bad_knob=good(size=9),
        bad_field="from engine.study import Study\n\n\nclass Bad(Study):\n    data = 7\n",
    )
    registry = find(package)
    assert set(registry.studies) == {"alpha", "beta"}
    errors = registry.errors
    assert set(errors) == {"syntax", "missing", "twice", "none", "leaves", "multi", "bad_knob", "bad_field"}
    assert all("\n" not in line for line in errors.values())
    assert errors["syntax"].startswith("SyntaxError: invalid syntax (syntax.py, line 1)")
    assert errors["missing"] == "ModuleNotFoundError: No module named 'a_module_that_is_nowhere'"
    assert "declares 2 studies; a study file declares exactly one" in errors["twice"]
    assert "declares 0 studies" in errors["none"]
    assert errors["leaves"] == "SystemExit: 3"
    assert errors["multi"] == "RuntimeError: one two"
    assert errors["bad_knob"] == "BadValue: size: 9 is outside the range from 1 to 8"
    assert errors["bad_field"].startswith("AttributeError: ")
    declared = registry.declarations()
    assert [(d.key, d.title, d.family) for d in declared[:2]] == [("alpha", "Zeta", "A"), ("beta", "Alpha", "B")]
    assert all(d.error and d.family == "Could not be loaded" for d in declared[2:])


def test_a_study_that_two_files_share_by_name_is_told(toys: Callable[..., str], tmp_path: Any) -> None:
    package = toys(same=good("First"))
    other = tmp_path / "packages" / package / "second"
    other.mkdir()
    (other / "__init__.py").write_text('"""Another family."""\n')
    (other / "same.py").write_text(good("Second"))
    registry = find(package)
    assert [s.title for s in registry.studies.values()] == ["First"]
    ((key, error),) = registry.errors.items()
    assert key == f"{package}.second.same"
    assert "has that name already" in error


def test_a_family_whose_own_file_is_broken_takes_only_itself_along(toys: Callable[..., str], tmp_path: Any) -> None:
    package = toys(fine=good())
    other = tmp_path / "packages" / package / "broken"
    other.mkdir()
    (other / "__init__.py").write_text("def f(:\n")
    (other / "inside.py").write_text(good())
    registry = find(package)
    assert set(registry.studies) == {"fine"}
    assert registry.errors["broken"].startswith("SyntaxError")


def test_the_engine_starts_with_broken_files_and_says_so(
    toys: Callable[..., str], make_driver: Callable[[str], Any]
) -> None:
    driver = make_driver(toys(fine=good(), syntax="class Broken(:\n"))

    (catalogue,) = driver.all(m.Catalogue)
    assert [(d.key, bool(d.error)) for d in catalogue.studies] == [("fine", False), ("syntax", True)]
    notice = driver.all(m.Notice)[0]
    assert notice.level == "error"
    assert notice.text.startswith("study syntax could not be loaded: SyntaxError")
    driver.post(m.Open(1, "syntax"))
    assert "could not be loaded: SyntaxError" in driver.until(m.Failure).reason
    driver.post(m.Open(2, "nowhere"))
    failure = driver.until(m.Failure)
    assert failure.reason == "there is no study 'nowhere'; there are fine"
    assert (failure.where, failure.epoch) == ("open", 2)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"size": 0}, "size: 0 is outside the range from 1 to 8"),
        ({"size": 2.5}, "size: 2.5 is not a whole number"),
        ({"size": True}, "size: True is not a number"),
        ({"size": "4"}, "size: '4' is not a number"),
        ({"length": 4}, "length: no such knob; there are size"),
    ],
)
def test_bad_values_name_the_knob_and_say_what_to_do(toys: Callable[..., str], values: Any, line: str) -> None:
    from engine.params import with_values

    study = find(toys(fine=good())).studies["fine"]
    with pytest.raises(BadValue) as caught:
        with_values(study.Params, values)
    assert str(caught.value) == line
    assert with_values(study.Params, {"size": 8.0}).size == 8
