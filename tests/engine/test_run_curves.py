"""Curves of a run on disk: one value per step, in order, whatever was measured twice. Found by the soak's robot."""

from __future__ import annotations

from pathlib import Path

from engine.formats.runs import Run


def test_a_step_measured_again_has_its_last_value_and_its_place(tmp_path: Path) -> None:
    config = {"study": "vae", "data": "digits", "knobs": {}, "seed": 0}
    run = Run.create(tmp_path / "run", config)
    run.log_metrics([{"step": step, "elbo": -float(step)} for step in (1, 2, 3, 4)])
    for step, value in ((3, -30.0), (4, -40.0), (4, -41.0), (2, -20.0)):  # gone back to 2 after 4 was measured twice
        run.log_metrics([{"step": step, "held_out/elbo": value, "parts/0": value, "parts/1": 2 * value}])
    run.flush()
    curves = run.metrics()
    run.close()
    steps, values = curves["held_out/elbo"]
    assert steps.tolist() == [2, 3, 4]
    assert values.tolist() == [-20.0, -30.0, -41.0]
    steps, values = curves["parts"]
    assert steps.tolist() == [2, 3, 4]
    assert values.tolist() == [[-20.0, -40.0], [-30.0, -60.0], [-41.0, -82.0]]
    assert curves["elbo"][0].tolist() == [1, 2, 3, 4]
