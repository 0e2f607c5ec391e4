"""Finds the studies by walking ``engine/studies``. A file that fails to import is listed with its error."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import dataclass, field

from engine.study import Declaration, Study


@dataclass
class Registry:
    """All studies by key (the name of the file) and the files that failed, key -> one line."""

    studies: dict[str, type[Study]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def declarations(self) -> tuple[Declaration, ...]:
        good = [study.declaration(key) for key, study in self.studies.items()]
        bad = [
            Declaration(key=key, title=key, family="Could not be loaded", error=error)
            for key, error in self.errors.items()
        ]
        return tuple(sorted(good, key=lambda d: (d.family, d.title)) + bad)


def find(package: str = "engine.studies") -> Registry:
    """Imports every module below ``package`` and collects the one study that each declares."""
    registry = Registry()
    root = importlib.import_module(package)
    for info in pkgutil.walk_packages(root.__path__, f"{package}."):
        if info.ispkg:
            continue
        key = info.name.rpartition(".")[2]
        try:
            module = importlib.import_module(info.name)
            registry.studies[key] = _study_of(module, info.name)
        except Exception as e:  # noqa: BLE001  # a broken study file may raise anything and must not take the others along
            registry.errors[key] = f"{type(e).__name__}: {e}"
    return registry


def _study_of(module: object, name: str) -> type[Study]:
    found = [
        member
        for member in vars(module).values()
        if inspect.isclass(member) and issubclass(member, Study) and member.__module__ == name
    ]
    if len(found) != 1:
        raise ImportError(f"{name} declares {len(found)} studies; a study file declares exactly one")
    return found[0]
