"""Directions: each method finds again what was planted, and going along them moves codes by what is said."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from engine.nn.generator.components import (
    alike_in_all_directions,
    factorised,
    fixed_signs,
    normal_between,
    principal,
    regressed,
)
from engine.nn.pictures import pictures
from engine.params import BadValue
from engine.payloads import Payload
from engine.session import Session, Working
from engine.steering import Direction
from tests.engine.generator.conftest import NORMAL


def ask(session: Session, name: str, dragging: bool = False, **values: Any) -> Any:
    *_, last = session.answer(name, values, dragging=dragging)
    return last


def asked(session: Session, name: str, **values: Any) -> tuple[Any, torch.Tensor]:
    """The answer and the codes that were decoded for it."""
    study: Any = session.study
    study.decoded.clear()
    return ask(session, name, **values), torch.cat(study.decoded)


def degrees(a: Any, b: Any) -> float:
    """Between two vectors as lines, 0..90."""
    a, b = (np.array(v.detach().numpy() if isinstance(v, torch.Tensor) else v, np.float64) for v in (a, b))
    return math.degrees(math.acos(min(1.0, abs(float(a @ b)) / (np.linalg.norm(a) * np.linalg.norm(b)))))


# ---- the algebra --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(300, 6), (40, 200), (150, 130)])
def test_principal_components_are_those_of_a_singular_value_decomposition(
    n: int, d: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.nn.generator.components.EXACT", 100)  # one case for each way of finding them
    torch.manual_seed(0)
    sizes = torch.tensor([5.0, 3.0, 2.0, 1.0])
    basis = torch.linalg.qr(torch.randn(d, 4)).Q
    x = torch.randn(n, 4) * sizes @ basis.T + 0.01 * torch.randn(n, d) + 3
    found = principal(x, 4)
    centred = (x - x.mean(0)).double().numpy()
    _, s, vt = np.linalg.svd(centred, full_matrices=False)
    for mine, hand in zip(found.vectors, vt, strict=False):
        assert degrees(mine, hand) < 0.5
    np.testing.assert_allclose(found.shares, s[:4] ** 2 / (s**2).sum(), rtol=1e-3)
    torch.testing.assert_close(found.vectors.norm(dim=1), torch.ones(4))


def test_the_factorisation_is_the_eigenvectors_of_a_transposed_a() -> None:
    a = torch.randn(40, 7, generator=torch.Generator().manual_seed(2))
    found = factorised(a, 7)
    values, vectors = np.linalg.eigh((a.T @ a).double().numpy())
    for i in range(7):
        assert degrees(found.vectors[i], vectors[:, ::-1][:, i]) < 0.05
    np.testing.assert_allclose(found.shares, values[::-1] / values.sum(), rtol=1e-4)
    assert sum(found.shares) == pytest.approx(1)


def test_signs_are_fixed_by_the_largest_entry() -> None:
    v = torch.tensor([[0.1, -0.9, 0.2], [0.5, 0.6, -0.1]])
    torch.testing.assert_close(fixed_signs(v), torch.tensor([[-0.1, 0.9, -0.2], [0.5, 0.6, -0.1]]))
    torch.testing.assert_close(fixed_signs(-v), fixed_signs(v))


def test_regression_finds_the_directions_that_go_with_planted_features() -> None:
    torch.manual_seed(1)
    w = torch.randn(4000, 8) @ torch.diag(torch.linspace(0.5, 2, 8)) + 5
    directions = torch.linalg.qr(torch.randn(8, 3)).Q.T
    answers = (w - w.mean(0)) @ directions.T * torch.tensor([6.0, 3.0, 1.5])
    features = answers @ torch.linalg.qr(torch.randn(50, 3)).Q.T + 0.01 * torch.randn(4000, 50)
    found = regressed(features, w, 3)
    # Least squares: covariance of w with a coordinate, which is C d for the direction d and the covariance C of w.
    covariance = torch.cov(w.T)
    left, _, _ = np.linalg.svd((answers - answers.mean(0)).numpy(), full_matrices=False)
    for i in range(3):
        hand = (w - w.mean(0)).T @ torch.from_numpy(left[:, i])
        assert degrees(found.vectors[i], hand) < 0.5
    assert degrees(found.vectors[0], covariance @ directions[0]) < 15  # coordinates of few draws mix a little


def test_features_that_never_vary_have_directions_all_the_same() -> None:
    found = regressed(torch.ones(50, 9), torch.randn(50, 4), 6)
    torch.testing.assert_close(found.vectors.norm(dim=1), torch.ones(6))


@pytest.mark.parametrize(("n", "d"), [(4000, 64), (500, 64), (4000, 3), (1100, 1030)])
def test_white_codes_are_told_from_others(n: int, d: int) -> None:
    torch.manual_seed(0)
    codes = 3 * torch.randn(n, d) + 7
    assert alike_in_all_directions(principal(codes, 2), n)
    codes[:, 0] *= 1.5 * (1 + (d / n) ** 0.5)
    assert not alike_in_all_directions(principal(codes, 2), n)


def test_the_normal_between_kinds_is_found_and_so_is_how_sure_it_is() -> None:
    rng = np.random.default_rng(0)
    codes = 0.1 * rng.normal(size=(4000, 6)) + 4
    normal = np.array([1, 0.5, -1, 2, 0, 0.5])
    unit, accuracy = normal_between(codes, (codes - 4) @ normal > 0.1)
    assert degrees(unit, normal) < 3
    assert unit @ normal > 0
    assert accuracy > 0.97
    # A number that hardly varies gives the kind away, but no picture would follow it: the normal keeps to the others.
    kinds = rng.random(400) < 0.5
    codes = rng.normal(size=(400, 5))
    codes[:, 0] += 2 * kinds
    codes[:, 4] = 0.01 * (kinds + 0.2 * codes[:, 4])
    unit = normal_between(codes, kinds)[0]
    assert unit[0] > 0.95
    assert abs(unit[4]) < 0.03
    _, chance = normal_between(rng.normal(size=(4000, 6)), rng.random(4000) < 0.1)
    assert abs(chance - 0.5) < 0.08


# ---- the probes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PCA of activations", "SeFa"])
def test_the_planted_directions_are_found_from_features_and_from_the_matrix(planted: Session, method: str) -> None:
    study: Any = planted.study
    found = ask(planted, "directions", method=method, count=5)
    assert found.vectors.shape == (5, 5)
    for i in range(5):
        assert degrees(found.vectors[i], study.v[:, i]) < (0.1 if method == "SeFa" else 8)
    name, _, share = found.rows[0].partition(" (")
    assert name == ("SeFa 1" if method == "SeFa" else "PCA 1")
    assert int(share.split(" %")[0]) == pytest.approx(100 * 2.56 / 4.98, abs=3)  # 1.6 squared of all lengths squared
    assert (found.space, found.control) == ("z", "directions")


def test_components_of_w_are_the_mapping_s_and_of_white_codes_the_caption_warns(
    mapped: Session, planted: Session
) -> None:
    study: Any = mapped.study
    found = ask(mapped, "directions", method="PCA of w", count=3)
    for i in range(3):
        assert degrees(found.vectors[i], study.axes[:, i]) < 2
    assert found.space == "w"
    assert found.caption == "In brackets: its share of the variance"
    assert "take PCA of activations" in ask(planted, "directions", method="PCA of w").caption


def test_a_row_goes_evenly_through_the_code_of_its_seed_by_standard_deviations(mapped: Session) -> None:
    study: Any = mapped.study
    answer, _ = asked(mapped, "directions", method="PCA of w", count=2, steps=5, reach=2.0, seed=9)
    middle = study.to_w(study.seeded(9))[0].detach()
    assert answer.columns == 5
    assert answer.heads == ("-2.0 σ", "-1.0 σ", "0", "+1.0 σ", "+2.0 σ")
    _, codes = asked(mapped, "directions", method="PCA of w", count=2, steps=5, reach=2.0, seed=9)
    codes = codes.view(2, 5, -1)
    torch.testing.assert_close(codes[:, 2], middle.expand(2, -1), atol=1e-5, rtol=1e-5)
    for row, size in enumerate(study.sizes[:2]):
        sent = (codes[row] - middle) @ torch.from_numpy(answer.vectors[row].copy())
        np.testing.assert_allclose(sent, size * torch.linspace(-2, 2, 5), rtol=0.05, atol=1e-4)
        np.testing.assert_allclose((codes[row] - middle).norm(dim=1), sent.abs(), atol=1e-4)


def test_what_was_found_is_kept_until_a_weight_is_written(planted: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    study: Any = planted.study
    heard: list[int] = []
    plain = study.features
    monkeypatch.setattr(study, "features", lambda w: (heard.append(len(w)), plain(w))[1])
    ask(planted, "directions")
    ask(planted, "directions", seed=3, reach=1.0, count=2)
    assert heard == [2000]
    with torch.no_grad():
        study.map.weight.copy_(study.map.weight.flip(1))
    ask(planted, "directions", dragging=True)
    assert heard == [2000]
    moved = ask(planted, "directions", count=1)
    assert heard == [2000, 2000]
    assert degrees(moved.vectors[0], study.v[:, 0].flip(0)) < 8


def test_listening_to_a_layer_leaves_no_ear_in_it_and_stops_at_what_it_says_first(planted: Session) -> None:
    study: Any = planted.study
    w = study.drawn_w(130)
    *shares, heard = study.features(w)
    torch.testing.assert_close(heard, study.map(w))
    assert shares == [pytest.approx(1 / 3), pytest.approx(2 / 3)]
    assert not study.map._forward_hooks


def test_an_edit_adds_amounts_in_standard_deviations_along_kept_directions(mapped: Session) -> None:
    study: Any = mapped.study
    unit = study.axes[:, 1]
    kept = (
        Direction("sleeve", tuple(unit.tolist()), "w", 1.5),
        Direction("unused", (1.0, 0.0), "z", 0.0),
    )
    answer, codes = asked(mapped, "edit", a="seed:4", directions=kept)
    start = study.to_w(study.seeded(4))[0].detach()
    torch.testing.assert_close(codes[0], start)
    np.testing.assert_allclose(codes[1], start + 1.5 * study.sizes[1] * unit, atol=0.1)
    assert answer.caption == "sleeve +1.5 σ"
    assert answer.heads == ("before", "after")
    for wrong in (Direction("other", (1.0, 0.0), "w", 1.0), Direction("other", tuple(unit.tolist()), "z", 1.0)):
        with pytest.raises(BadValue, match="directions: 'other' belongs to other codes than these, w of 5 numbers"):
            ask(mapped, "edit", directions=(wrong,))


@pytest.mark.parametrize(("name", "tolerance"), [("encoded", 4), ("planted", 10)])
def test_an_attribute_s_direction_is_the_planted_normal(
    name: str, tolerance: float, request: pytest.FixtureRequest
) -> None:
    session: Session = request.getfixturevalue(name)
    parts = list(session.answer("attribute", {"label": 1, "other": 0}))
    found: Any = parts[-1]
    assert degrees(found.vectors[0], NORMAL) < tolerance
    assert float(torch.from_numpy(found.vectors[0].copy()) @ NORMAL) > 0
    name_, _, accuracy = found.rows[0].partition(" (")
    assert name_ == "under → over"
    assert int(accuracy.removesuffix(" %)")) >= 95
    assert ("encoded training" if name == "encoded" else "generated") in found.caption
    shares = [part.share if hasattr(part, "share") else 0.0 for part in parts if isinstance(part, Working)]
    assert shares == sorted(shares)
    assert sum(isinstance(part, Payload) for part in parts) == 1
    both = ask(session, "attribute")
    assert [row.partition(" (")[0] for row in both.rows] == ["under", "over"]
    assert degrees(both.vectors[0], both.vectors[1]) < tolerance  # one leads where the other comes from
    assert float(both.vectors[0] @ both.vectors[1]) < 0


def test_attributes_need_classes_that_are_there(planted: Session, unlabelled: Session) -> None:
    with pytest.raises(BadValue, match="class: there is no number 5; the data has 2"):
        ask(planted, "attribute", label=5)
    with pytest.raises(BadValue, match="away from: choose another class"):
        ask(planted, "attribute", label=1, other=1)
    with pytest.raises(BadValue, match="this data has no classes"):
        ask(unlabelled, "attribute")


def test_a_generator_without_a_layer_or_matrix_says_which_method_is_left(
    planted: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planted.study, "inner_layer", lambda: None)
    monkeypatch.setattr(planted.study, "first_weights", lambda: None)
    for method, left in (("PCA of activations", "take PCA of w or SeFa"), ("SeFa", "which this model has not")):
        with pytest.raises(BadValue, match=left):
            ask(planted, "directions", method=method)


def test_pictures_of_codes_are_the_same_in_portions(planted: Session) -> None:
    study: Any = planted.study
    w = study.drawn_w(150)
    with torch.no_grad():
        np.testing.assert_allclose(study.shown(w), pictures(study.decode_w(w)), atol=1e-6)
