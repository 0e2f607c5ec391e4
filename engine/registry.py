"""Finds the studies by walking ``engine/studies``. A file that fails to import is listed with its error."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType

from engine.study import Declaration, Study


@dataclass
class Registry:
    """All studies by key (the name of the file) and the files that failed, key -> one line."""

    studies: dict[str, type[Study]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def declarations(self) -> tuple[Declaration, ...]:
        """By family and title, those that failed last."""
        good = [study.declaration(key) for key, study in self.studies.items()]
        bad = [
            Declaration(key=key, title=key, family="Could not be loaded", error=error)
            for key, error in self.errors.items()
        ]
        return tuple(sorted(good, key=lambda d: (d.family, d.title)) + bad)


def find(package: str = "engine.studies") -> Registry:
    """Imports every module below ``package`` and collects the one study that each declares."""
    registry = Registry()
    for name, module in _modules(importlib.import_module(package)):
        key = name.rpartition(".")[2]
        if isinstance(module, BaseException):
            _note(registry, name, f"{type(module).__name__}: {module}")
            continue
        try:
            study = _study_of(module)
            if key in registry.studies:
                raise ImportError(f"{name}: {registry.studies[key].__module__} has that name already; rename the file")
            registry.studies[key] = study
        except Exception as e:  # noqa: BLE001  # a wrong declaration may raise anything and must not take the others along
            _note(registry, name, f"{type(e).__name__}: {e}")
    return registry


def _note(registry: Registry, name: str, error: str) -> None:
    key = name.rpartition(".")[2]
    taken = key in registry.studies or key in registry.errors
    registry.errors[name if taken else key] = " ".join(error.split())


def _modules(package: ModuleType) -> Iterator[tuple[str, ModuleType | BaseException]]:
    """Every module below ``package`` with its full name, or in its place what it raised when it was imported."""
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        try:
            module = importlib.import_module(info.name)
        except (Exception, SystemExit) as e:  # noqa: BLE001  # a broken file may raise anything, even try to leave
            yield info.name, e
            continue
        if info.ispkg:
            yield from _modules(module)
        else:
            yield info.name, module


def _study_of(module: ModuleType) -> type[Study]:
    """The one study that a file declares; ImportError or BadValue where the declaration is wrong."""
    found = [
        member
        for member in vars(module).values()
        if inspect.isclass(member) and issubclass(member, Study) and member.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise ImportError(f"{module.__name__} declares {len(found)} studies; a study file declares exactly one")
    for knob in found[0].declaration("").knobs:
        knob.check(knob.default)
    return found[0]
