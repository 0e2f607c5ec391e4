"""``main.py convert``: what it writes, what it tells, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.cli import main
from engine.formats.scene import read_all
from engine.scene import Mesh, Points, Splats
from tests.engine.formats import splat_files as files
from tests.engine.formats.conftest import ply


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "made.ply"
    path.write_bytes(files.inria(files.truth(300, 2)))
    return path


def table(text: str) -> dict[str, tuple[float, float]]:
    """The largest and the mean error of each field that was told."""
    rows = (line.split() for line in text.splitlines()[2:] if "not kept" not in line)
    return {row[0]: (float(row[1]), float(row[2])) for row in rows}


def test_errors_are_told_field_by_field(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(made), str(tmp_path / "b.spz")]) == 0
    text = capsys.readouterr().out
    assert "300 splats" in text
    assert f"{made.stat().st_size:,} -> {(tmp_path / 'b.spz').stat().st_size:,} bytes" in text
    told = table(text)
    assert list(told) == ["position", "scale", "rotation", "opacity", "colour", "harmonics"]
    assert 0.5 / 4096 < told["position"][0] <= 3**0.5 * 0.51 / 4096
    assert told["scale"][0] == pytest.approx(100 * np.expm1(1 / 32), rel=0.03)
    assert told["opacity"][0] == pytest.approx(0.5 / 255, rel=0.05)
    assert told["harmonics"][0] == pytest.approx(0.5 / 128, rel=0.05)
    assert told["harmonics"][1] == pytest.approx(0.25 / 128, rel=0.05), "even errors are a quarter of a step wide"

    assert main(["convert", str(made), str(tmp_path / "b.ply")]) == 0
    assert set(table(capsys.readouterr().out).values()) == {(0.0, 0.0)}

    assert main(["convert", str(made), str(tmp_path / "b.splat")]) == 0
    assert "not kept: harmonics above degree 0: 8 of 9" in capsys.readouterr().out


@pytest.mark.parametrize("version", [2, 3, 4])
def test_the_version_of_spz(version: int, made: Path, tmp_path: Path) -> None:
    assert main(["convert", str(made), str(tmp_path / "b.spz"), "--spz", str(version)]) == 0
    data = (tmp_path / "b.spz").read_bytes()
    assert (data[:4] == b"NGSP") == (version == 4)
    (thing,) = read_all(tmp_path / "b.spz")
    assert isinstance(thing, Splats)


def test_splats_to_points_and_other_kinds_to_each_other(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(made), str(tmp_path / "b.xyz")]) == 0
    assert "the splats are points there" in capsys.readouterr().out
    (cloud,) = read_all(tmp_path / "b.xyz")
    assert isinstance(cloud, Points)
    assert np.abs(cloud.xyz - files.truth(300, 2).xyz).max() < 1e-5
    (tmp_path / "cube.ply").write_bytes(ply())
    assert main(["convert", str(tmp_path / "cube.ply"), str(tmp_path / "cube.glb")]) == 0
    assert "12 triangles" in capsys.readouterr().out
    (mesh,) = read_all(tmp_path / "cube.glb")
    assert isinstance(mesh, Mesh)
    assert len(mesh.faces) == 12


def test_what_is_there_is_kept_without_force(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = tmp_path / "b.spz"
    there.write_bytes(b"precious")
    assert main(["convert", str(made), str(there)]) == 2
    assert "--force replaces it" in capsys.readouterr().err
    assert there.read_bytes() == b"precious"
    assert main(["convert", str(made), str(there), "--force"]) == 0
    assert there.read_bytes() != b"precious"
    before = made.read_bytes()
    assert main(["convert", str(made), str(made)]) == 2
    assert made.read_bytes() == before


def test_bad_input_is_one_line(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.spz").write_bytes(b"nothing of the kind, but long enough for a header")
    (tmp_path / "cube.ply").write_bytes(ply())
    (tmp_path / "text.ply").write_text("hello\n")
    (tmp_path / "scans").mkdir()
    cases = {
        ("none.ply", "b.spz"): "none.ply: is not there",
        ("broken.spz", "b.ply"): "broken.spz: is no SPZ file",
        ("text.ply", "b.spz"): "text.ply: is no PLY file",
        ("scans", "b.spz"): "scans: is a folder; open the files in it",
        ("cube.ply", "b.spz"): "b.spz: is for splats, and there are none, only mesh; write a .ply",
        ("made.ply", "b.doc"): "'.doc' is unknown",
        ("made.ply", "nowhere/b.spz"): "no such folder",
    }
    for (source, target), words in cases.items():
        assert main(["convert", str(tmp_path / source), str(tmp_path / target)]) == 2
        told = capsys.readouterr()
        assert words in told.err
        assert told.err.count("\n") == 1
        assert told.out == ""
        assert not (tmp_path / target).exists()
