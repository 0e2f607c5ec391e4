"""The benchmark of surfaces, at a small size: it compares with the full grid and says what it promises."""

from __future__ import annotations

import pytest
import torch

from app.bench import BENCHMARKS, isosurface


def test_both_functions_are_compared_with_the_full_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isosurface, "RESOLUTION", 64)
    monkeypatch.setattr(isosurface, "STEPS", 150)
    threads = torch.get_num_threads()
    rows = isosurface.measure()
    torch.set_num_threads(threads)
    assert BENCHMARKS["isosurface"] == "app.bench.isosurface:measure"
    assert len(rows) == 8
    by_name = {row.name.partition(", ")[2]: row for row in rows}
    for name in ("tree of solids", "network"):
        asked = by_name[f"{name}: evaluations"]
        assert asked.ratio == pytest.approx(asked.figure / 65**3)
        assert asked.figure < 65**3
        assert by_name[f"{name}: farthest from the dense surface"].kept
    assert by_name["tree of solids: edges in two triangles"].figure == pytest.approx(100)
