"""PointNet: the order of the points does not matter, the critical ones alone decide, and it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.data.solids import SOLIDS, lathe
from engine.geometry import measures
from engine.params import BadValue
from engine.payloads import Payload
from engine.registry import find
from engine.session import Session

STUDY = find().studies["pointnet"]


def built(**knobs: Any) -> Session:
    small = dict(points=64, width=16, features=32)
    return Session.build("pointnet", STUDY, {**small, **knobs}, 1, torch.device("cpu"), None)


def asked(session: Session, probe: str, **values: Any) -> Any:
    (answer,) = [part for part in session.answer(probe, values) if isinstance(part, Payload)]
    return answer


@pytest.mark.parametrize("tnet", [False, True])
def test_the_order_of_the_points_does_not_matter(tnet: bool) -> None:
    session = built(tnet=tnet)
    for _ in range(3):
        session.train_step()
    study: Any = session.study
    x = study.held_out[:8]
    order = torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert float((study.net(x) - study.net(x[:, order])).abs().max()) <= 1e-6
        assert float((study.list_net(x) - study.list_net(x[:, order])).abs().max()) > 1e-3
        # A point that is there twice adds nothing either.
        assert float((study.net(x) - study.net(torch.cat([x, x[:, :9]], 1))).abs().max()) <= 1e-6
    scene = asked(session, "shuffle", item=3)
    assert scene.readings["PointNet changes by"] <= 1e-6
    assert scene.readings["the list's network by"] > 1e-4
    assert np.allclose(np.sort(scene.things[0].xyz[:, 1]), np.sort(scene.things[1].xyz[:, 1]))


def test_the_critical_points_alone_give_the_same_answer() -> None:
    session = built()
    for _ in range(5):
        session.train_step()
    study: Any = session.study
    scene = asked(session, "critical_points", item=7, bound=True)
    others, critical, bound = scene.things
    assert len(others.xyz) + len(critical.xyz) == 64
    assert 0 < len(critical.xyz) == scene.readings["critical points"] <= 32
    assert critical.scalars["features won"].sum() == 32
    assert scene.readings["change without the others"] == 0
    with torch.no_grad():
        whole = study.net(study.held_out[7:8])
        alone = study.net(torch.from_numpy(critical.xyz.copy())[None])
        more = study.net(torch.cat([study.held_out[7:8], torch.from_numpy(bound.xyz.copy())[None]], 1))
        most = int(critical.scalars["features won"].argmax())
        fewer = study.net(torch.from_numpy(np.delete(critical.xyz, most, 0))[None])
    assert torch.allclose(whole, alone, atol=1e-5)
    assert torch.allclose(whole, more, atol=1e-5), "points within the upper bound change nothing"
    assert not torch.allclose(whole, fewer, atol=1e-4), "without the greatest winner it is another answer"


def test_it_learns_to_tell_the_solids_where_the_list_falls_behind() -> None:
    session = built(rate=5e-3, stretch=0.0, noise=0.0)
    for _ in range(100):
        session.train_step()
    points = session.read_metrics()
    assert points["held_out/accuracy"][1][-1] > 0.6
    curves = asked(session, "robustness")
    assert curves.x[-1] == 64
    by = {name: float(line.mean()) for name, line in curves.lines.items()}
    assert {float(line[-1]) for line in curves.lines.values()} == {float(curves.lines["dropped at random"][-1])}
    assert by["winners dropped first"] < by["dropped at random"] < by["winners kept longest"]
    bars = asked(session, "predict", item=0)
    assert bars.values.sum() == pytest.approx(1, abs=1e-5)
    assert bars.names == tuple(SOLIDS)


@pytest.mark.parametrize("name", list(SOLIDS))
def test_the_solids_are_closed_and_face_outwards(name: str) -> None:
    vertices, faces = lathe(*SOLIDS[name])
    used, joined = np.unique(np.round(vertices, 5), axis=0, return_inverse=True)
    joined = joined.reshape(-1)[faces]
    real = joined[(joined[:, 0] != joined[:, 1]) & (joined[:, 1] != joined[:, 2]) & (joined[:, 2] != joined[:, 0])]
    assert measures.watertight(real)
    volume = measures.volume(used, real)
    known = {
        "sphere": 4.19,
        "box": 8.0,
        "cylinder": 6.28,
        "cone": 2.09,
        "pyramid": 8 / 3,
        "torus": 1.549,
    }  # the ring's tube has 24 sides
    assert volume > 0
    assert volume == pytest.approx(known.get(name, volume), rel=0.01)


def test_clouds_are_upright_in_the_unit_ball_and_from_the_bottom_up() -> None:
    study: Any = built(noise=0.0).study
    x = study.held_out
    assert float(x.norm(dim=2).amax(1).sub(1).abs().max()) < 1e-5
    assert bool((x[..., 2].diff(dim=1) >= 0).all())
    assert int(torch.bincount(study.held_out_y).min()) == 40


def test_a_folder_of_files_has_a_class_for_each(tmp_path: Path) -> None:
    for name in ("cone", "box"):
        vertices, faces = lathe(*SOLIDS[name])
        lines = ["OFF", f"{len(vertices)} {len(faces)} 0", *(" ".join(map(str, v)) for v in vertices)]
        (tmp_path / f"{name}.off").write_text("\n".join(lines + ["3 " + " ".join(map(str, f)) for f in faces]) + "\n")
    session = built(folder=str(tmp_path / "box.off"))
    study: Any = session.study
    assert study.names == ("box", "cone")
    session.train_step()
    assert "box.off" in asked(session, "predict", files=(str(tmp_path / "box.off"),)).caption
    (tmp_path / "cone.off").unlink()
    with pytest.raises(BadValue, match=r"folder: .* has 1 mesh"):
        built(folder=str(tmp_path))
    with pytest.raises(BadValue, match=r"folder: .* cannot be read"):
        built(folder=str(tmp_path / "nowhere"))
