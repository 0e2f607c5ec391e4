"""How long the soak takes: ``--soak-minutes``, ten by default, and ``--soak-seed``."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak-minutes", type=float, default=10.0, help="minutes of random clicking (10)")
    parser.addoption("--soak-seed", type=int, default=1, help="what the robot does follows from it (1)")
