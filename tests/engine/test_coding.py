"""Encoder, decoder, principal components and the probes of every model with a code."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from engine import data
from engine.data.images import ImageSource, Part
from engine.nn.coding.coder import Decoder, Encoder, halvings
from engine.nn.coding.latent_probes import LatentProbes, NotFinite, pictures
from engine.payloads import Bars, ImageGrid, LatentMap
from engine.registry import find
from engine.session import Session

CPU = torch.device("cpu")
TINY = dict(latent=5, width=4, hidden=16, batch=32)


# ---- networks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("height", "width"), [(8, 8), (28, 28), (32, 32), (64, 64), (9, 9), (31, 33), (28, 45), (64, 8), (7, 50), (17, 64)]
)
def test_a_picture_of_any_size_goes_in_and_comes_out(channels: int, height: int, width: int) -> None:
    shape = (channels, height, width)
    x = torch.rand(2, *shape)
    code = Encoder(shape, 4, 8, 6)(x)
    assert code.shape == (2, 6)
    assert Decoder(shape, 4, 8, 6)(code).shape == x.shape


def test_pictures_are_halved_until_about_seven_pixels_are_left() -> None:
    sides = {s: halvings(s, s) for s in (8, 14, 28, 32, 56, 64, 128, 512)}
    assert sides == {8: 1, 14: 1, 28: 2, 32: 2, 56: 3, 64: 3, 128: 3, 512: 3}
    assert halvings(64, 8) == halvings(8, 64) == 1


def test_every_pixel_reaches_the_code_and_every_number_of_the_code_the_picture() -> None:
    torch.manual_seed(0)
    shape = (1, 13, 9)
    x = torch.rand(1, *shape, requires_grad=True)
    code = Encoder(shape, 8, 32, 4)(x)
    (gradient,) = torch.autograd.grad(code.square().sum(), x)
    # 13 -> 6 loses half a pixel: of an odd side the last line may be out of reach, no other.
    assert (gradient[..., :12, :8] != 0).all()
    z = torch.randn(1, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(Decoder(shape, 8, 32, 4)(z).square().sum(), z)
    assert (gradient != 0).all()


# ---- principal components -----------------------------------------------------------------------------------------


def axes() -> Callable[..., Any]:
    # Loaded by name: no room of the project may import a study, and a test of one has to.
    return importlib.import_module("engine.studies.latent.autoencoder").principal_axes  # type: ignore[no-any-return]


def error_of(x: np.ndarray, mean: np.ndarray, basis: np.ndarray) -> float:
    centred = x - mean
    return float(np.square(centred - centred @ basis.T @ basis).sum(1).mean())


@pytest.mark.parametrize("count", [1, 5, 16, 64])
def test_principal_axes_are_those_of_scikit_learn(count: int) -> None:
    images = torch.from_numpy(np.ascontiguousarray(data.load("digits").train.images.transpose(0, 3, 1, 2)))
    mean, basis = axes()(images, count)
    assert basis.shape == (count, 64)
    torch.testing.assert_close(basis @ basis.T, torch.eye(count), atol=1e-5, rtol=0)
    x = images.flatten(1).numpy() / 255.0
    reference = PCA(count, svd_solver="full").fit(x)
    ours, theirs = error_of(x, mean.numpy(), basis.numpy()), error_of(x, reference.mean_, reference.components_)
    assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6)
    share = np.abs((basis.numpy() * reference.components_).sum(1))[: min(count, 5)]
    np.testing.assert_allclose(share, 1.0, atol=1e-3)  # the same axes in the same order, but for the sign


def test_the_randomised_method_for_large_pictures_is_as_good_within_a_percent() -> None:
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(300, 1, 6, 6, generator=generator), (36, 36), mode="bicubic")
    images = (smooth + 0.2 * torch.rand(300, 1, 36, 36, generator=generator)).clamp(0, 1).mul(255).byte()
    assert images[0].numel() > 1024
    torch.manual_seed(0)
    mean, basis = axes()(images, 12)
    torch.testing.assert_close(basis @ basis.T, torch.eye(12), atol=1e-4, rtol=0)
    x = images.flatten(1).numpy() / 255.0
    reference = PCA(12, svd_solver="full").fit(x)
    ours, theirs = error_of(x, mean.numpy(), basis.numpy()), error_of(x, reference.mean_, reference.components_)
    assert theirs <= ours * 1.0001
    assert ours <= theirs * 1.01


def test_the_pca_figure_of_the_autoencoder_is_the_error_of_pca() -> None:
    session = Session.build("autoencoder", find().studies["autoencoder"], TINY, 0, CPU, data.load("digits"))
    steps = session.evaluation()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            figures = end.value
            break
    source = data.load("digits")
    train, held_out = (p.images.reshape(len(p), -1) / 255.0 for p in (source.train, source.held_out))
    reference = PCA(TINY["latent"], svd_solver="full").fit(train)
    assert figures["pca"] == pytest.approx(error_of(held_out, reference.mean_, reference.components_), rel=1e-4)


# ---- probes -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["vae", "autoencoder"])
def session(request: pytest.FixtureRequest) -> Session:
    made = Session.build(request.param, find().studies[request.param], TINY, 0, CPU, data.load("digits"))
    for _ in range(30):
        made.train_step()
    return made


def ask(session: Session, probe: str, **values: Any) -> Any:
    return next(session.answer(probe, values))


def decoded(session: Session, z: Any) -> np.ndarray:
    with session._looking(0):
        study: Any = session.study
        return pictures(study.decode_images(torch.tensor(np.array(z, np.float32)).reshape(-1, 5)))


def test_a_code_is_decoded(session: Session) -> None:
    z = (0.5, -1.0, 2.0, 0.0, 1.0)
    np.testing.assert_array_equal(ask(session, "decode", z=z).images, decoded(session, z))


def test_samples_depend_on_the_seed_alone_and_have_no_labels(session: Session) -> None:
    one, same, other = (ask(session, "samples", count=9, seed=s) for s in (1, 1, 2))
    assert isinstance(one, ImageGrid)
    assert one.images.shape == (9, 8, 8, 1)
    assert one.labels is None
    np.testing.assert_array_equal(one.images, same.images)
    assert not np.array_equal(one.images, other.images)


def test_reconstructions_show_held_out_images_above_what_comes_back(session: Session) -> None:
    grid = ask(session, "reconstructions", count=6)
    assert grid.columns == 6
    assert grid.rows[:2] == ("image", "decoded")
    held_out = session.source.held_out.images.astype(np.float32) / 255  # type: ignore[union-attr]
    for image in grid.images[:6]:
        assert (np.abs(held_out - image).reshape(len(held_out), -1).max(1) < 1e-6).any()


def test_a_traversal_moves_the_most_active_dimensions_one_by_one(session: Session) -> None:
    hint = session.hints()["z"]
    z = (0.1, 0.2, 0.3, 0.4, 0.5)
    grid = ask(session, "traversal", z=z, dimensions=2, steps=3, reach=2.0)
    assert grid.rows == tuple(f"z{d + 1}" for d in hint.order[:2])
    assert grid.heads == ("-2.0", "0", "+2.0")
    codes = np.repeat(np.array([z]), 6, 0)
    for row, d in enumerate(hint.order[:2]):
        codes[3 * row : 3 * row + 3, d] = hint.mean[d] + np.array([-2.0, 0.0, 2.0]) * hint.spread[d]
    np.testing.assert_allclose(grid.images, decoded(session, codes), atol=1e-5)


@pytest.mark.parametrize("method", ["lerp", "slerp"])
def test_a_path_leads_from_one_image_to_the_other(session: Session, method: str) -> None:
    frames: list[Any] = list(session.answer("interpolation", {"a": "held_out:3", "b": "train:5", "method": method}))
    assert [f.index for f in frames] == list(range(16))
    ends = [ask(session, "posterior", item=item).values for item in ("held_out:3", "train:5")]
    np.testing.assert_allclose(frames[0].images, decoded(session, ends[0]), atol=1e-5)
    np.testing.assert_allclose(frames[-1].images, decoded(session, ends[1]), atol=1e-5)
    lengths = [f.readings["‖z‖"] for f in frames]
    np.testing.assert_allclose([lengths[0], lengths[-1]], np.linalg.norm(ends, axis=1), rtol=1e-5)
    if method == "slerp":
        np.testing.assert_allclose(np.diff(lengths), np.diff(lengths).mean(), atol=1e-4)


@pytest.mark.parametrize("axes", ["most active", "PCA"])
def test_a_map_places_codes_and_pictures_in_the_same_plane(session: Session, axes: str) -> None:
    plane: LatentMap = ask(session, "latent_map", axes=axes, tiles=4)
    basis, origin = np.asarray(plane.basis), np.asarray(plane.origin)
    np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-5)
    np.testing.assert_allclose((plane.codes - origin) @ basis.T, plane.points, atol=1e-4)
    u0, u1, v0, v1 = plane.extent
    inside = (plane.points > [u0, v0]) & (plane.points < [u1, v1])
    assert inside.all(1).mean() > 0.95
    u, v = u0 + 2.5 / 4 * (u1 - u0), v0 + 1.5 / 4 * (v1 - v0)  # the centre of the tile in row 1, column 2
    expected = decoded(session, origin + u * basis[0] + v * basis[1])
    np.testing.assert_allclose(plane.tiles[1, 2], expected[0], atol=1e-4)
    source = session.source
    assert source is not None
    np.testing.assert_array_equal(plane.labels, source.held_out.labels)
    np.testing.assert_array_equal(plane.thumbs, source.held_out.images)
    if axes == "PCA":
        reference = PCA(2, svd_solver="full").fit(np.asarray(plane.codes, np.float64))
        np.testing.assert_allclose(np.abs((basis * reference.components_).sum(1)), 1.0, atol=1e-3)
        again: LatentMap = ask(session, "latent_map", axes=axes, tiles=4)
        np.testing.assert_array_equal(again.basis, basis)


def test_activity_is_that_of_the_hints_in_either_order(session: Session) -> None:
    hint = session.hints()["z"]
    numbered: Bars = ask(session, "code_activity", order="as numbered")
    ranked: Bars = ask(session, "code_activity")
    np.testing.assert_allclose(numbered.values, hint.activity, rtol=1e-6)
    assert list(ranked.values) == sorted(numbered.values, reverse=True)
    assert ranked.names == tuple(f"z{d + 1}" for d in hint.order)
    assert numbered.names == tuple(f"z{d + 1}" for d in range(5))
    assert ranked.value_name == hint.activity_name
    assert session.specs["code_activity"].title in ("KL per dimension", "Variance per dimension")


def test_hints_are_the_moments_of_the_aggregate_posterior(session: Session) -> None:
    hint = session.hints()["z"]
    with session._looking(0):
        study: Any = session.study
        mean, sigma = study.encode(study.source.held_out_batch(0, 1000).x)
    torch.manual_seed(0)
    draws = (mean + sigma * torch.randn(400, *mean.shape)).reshape(-1, 5)
    np.testing.assert_allclose(hint.mean, draws.mean(0), atol=0.02)
    np.testing.assert_allclose(hint.spread, draws.std(0), rtol=0.02)
    assert [hint.activity[d] for d in hint.order] == sorted(hint.activity, reverse=True)


def test_codes_are_measured_once_for_the_same_weights_and_again_for_others(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    study: Any = session.study
    plain = study.encode
    monkeypatch.setattr(study, "encode", lambda x: (calls.append(len(x)), plain(x))[1])
    session.train_step()
    first = session.hints()
    measured = len(calls)
    assert measured >= 1
    assert session.hints() == first
    ask(session, "traversal")
    ask(session, "code_activity")
    assert len(calls) == measured
    session.train_step()
    next(session.answer("traversal", {}, dragging=True))
    assert len(calls) == measured  # a hand does not wait for what is only measured
    assert session.hints() != first
    assert len(calls) > measured


def test_codes_that_are_not_finite_are_told_and_pictures_of_them_are_black() -> None:
    session = Session.build("vae", find().studies["vae"], TINY, 0, CPU, data.load("digits"))
    study: Any = session.study
    with torch.no_grad():
        for p in (*study.encoder.parameters(), *study.decoder.parameters()):
            p.fill_(float("nan"))
    assert not session.finite()
    with pytest.raises(NotFinite, match="training has diverged"):
        session.hints()
    assert ask(session, "decode").images.max() == 0.0


def test_the_probes_know_no_study() -> None:
    assert not any(issubclass(LatentProbes, study) for study in find().studies.values())


def test_a_grey_and_a_coloured_source_are_taken_alike() -> None:
    for c in (1, 3):
        part = Part(np.full((20, 12, 10, c), 128, np.uint8), np.zeros(20, np.int64))
        source = ImageSource("flat", "Flat", "Flat.", (), part, part)
        made = Session.build("vae", find().studies["vae"], TINY, 0, CPU, source)
        made.train_step()
        assert ask(made, "samples", count=4).images.shape == (4, 12, 10, c)
