"""The study latent_diffusion: shapes of all sizes, what each stage trains, the scale of the codes, the probes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine import data
from engine.data.images import ImageSource, Part
from engine.formats.runs import Run
from engine.params import BadValue
from engine.payloads import Frames, ImageGrid, Payload
from engine.registry import find
from engine.session import Session

CPU = torch.device("cpu")
KEY = "latent_diffusion"
STUDY = find().studies[KEY]
SMALL = {**STUDY.tiny, "first": 3}


def session(seed: int = 1, source: ImageSource | None = None, **knobs: Any) -> Session:
    return Session.build(KEY, STUDY, {**SMALL, **knobs}, seed, CPU, source or data.load("digits"), "digits")


def trained(steps: int, seed: int = 1, **knobs: Any) -> Session:
    made = session(seed, **knobs)
    for _ in range(steps):
        made.train_step()
    return made


def weights(*modules: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for module in modules for p in module.parameters()]


def same(a: list[Tensor], b: list[Tensor]) -> list[bool]:
    return [torch.equal(x, y) for x, y in zip(a, b, strict=True)]


def ask(made: Session, probe: str, **values: Any) -> list[Any]:
    return [part for part in made.answer(probe, values) if isinstance(part, Payload)]


def pictures_of(shape: tuple[int, int, int], count: int = 40) -> ImageSource:
    """A data set of noise, pictures (H, W, C)."""
    known = data.load("digits")
    images = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
    part = Part(images, np.arange(count) % len(known.label_names))
    return ImageSource(**{**vars(known), "train": part, "held_out": part})


# ---- shapes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "grid"),
    [((8, 8), (4, 4)), ((28, 28), (7, 7)), ((32, 32), (8, 8)), ((64, 64), (8, 8)), ((15, 21), (7, 10))],
)
@pytest.mark.parametrize("patch", [1, 2])
def test_pictures_of_every_size_become_a_grid_and_pictures_again(
    size: tuple[int, int], grid: tuple[int, int], patch: int
) -> None:
    study: Any = session(source=pictures_of((*size, 3)), patch=patch).study
    images = study.source.held_out[:5].float() / 255
    with torch.no_grad():
        x = study.from_images(images)
        assert x.shape == (5, *study.space) == (5, 2, *grid)
        assert study.decoded(x).shape == images.shape
        assert study.net(x, torch.rand(5), torch.zeros(5, dtype=torch.long)).shape == x.shape
        said = study.look(x, 0.5, torch.zeros(5, dtype=torch.long), 0.0, "raw")
        assert study.noise_pictures(said).shape == (5, *size, 3)


@pytest.mark.parametrize(("patch", "reach"), [(1, 1), (2, 2)])
def test_what_the_transformer_sees_goes_back_to_where_it_was_seen(patch: int, reach: int) -> None:
    study: Any = session(source=pictures_of((28, 28, 1)), patch=patch, dim=32).study
    net = study.net
    size = study.p.channels * patch * patch
    with torch.no_grad():
        # The blocks' gates are 0: without positions, and with the token passed on, the net is a layer norm of patches.
        net.positions.zero_()
        for layer in (net.first, net.last):
            layer.weight.copy_(torch.eye(*layer.weight.shape))
            layer.bias.zero_()
        x = torch.zeros(1, 2, 7, 7)
        x[0, 1, 2, 4] = 1.0
        said = net(x, torch.zeros(1), torch.zeros(1, dtype=torch.long))
    lit = said[0].ne(0).any(0).nonzero().tolist()
    corner = (2 // patch * patch, 4 // patch * patch)
    assert lit == [[corner[0] + i, corner[1] + j] for i in range(reach) for j in range(reach)]
    assert (
        said[0, :, corner[0] : corner[0] + reach, corner[1] : corner[1] + reach].argmax()
        == x[0, :, corner[0] : corner[0] + reach, corner[1] : corner[1] + reach].argmax()
    )
    assert size <= 32


def test_tokens_know_their_place() -> None:
    net: Any = session(patch=1).study.net
    places = net.positions
    assert len(torch.unique(places, dim=0)) == len(places) == 16
    assert torch.allclose(places.square().sum(1), torch.full((16,), net.size / 2))


def test_channels_are_drawn_side_by_side() -> None:
    tiled = __import__(STUDY.__module__, fromlist=["tiled"]).tiled
    x = torch.tensor([0.1, 0.2, 0.3])[None, :, None, None].expand(1, 3, 2, 2)
    grey = tiled(x, (3, 8, 8))
    assert grey.shape == (1, 3, 8, 8)
    corners = [grey[0, 0, i, j].item() for i, j in ((0, 0), (3, 7), (7, 0), (7, 7))]
    assert corners == pytest.approx([0.1, 0.2, 0.3, 0.5])
    assert torch.equal(grey[:, 0], grey[:, 2])


# ---- two stages -----------------------------------------------------------------------------------------------------


def test_each_stage_trains_its_own_network_and_leaves_the_other_alone() -> None:
    made = session()
    study: Any = made.study
    coder, net = weights(study.encoder, study.decoder), weights(study.net)
    for _ in range(3):
        made.train_step()
    frozen = weights(study.encoder, study.decoder)
    assert not any(same(coder, frozen))
    assert all(same(net, weights(study.net)))
    assert not study.stage.measured
    for _ in range(4):
        made.train_step()
    assert all(same(frozen, weights(study.encoder, study.decoder)))
    assert not any(same(net, weights(study.net)))
    assert study.stage.measured
    assert int(study.average.steps) == 4
    points = made.read_metrics()
    kl, first_kl = points["kl"][1][3:], points["kl"][1][:3]
    assert len(set(kl)) == 1  # the frozen autoencoder's, over many pictures
    assert len(set(first_kl)) == 3


def test_an_untrained_transformer_says_nothing_and_its_loss_is_that_of_the_target() -> None:
    made = trained(3, batch=64)
    study: Any = made.study
    x = torch.randn(6, *study.space)
    with torch.no_grad():
        assert not study.net(x, torch.rand(6), torch.arange(6)).any()
        batch = study.source.held_out_batch(0, 300)
        loss = study.evaluate(batch)["loss"]
        z = study.scaled(study.coded(batch.x)[0])
    assert float(loss.mean()) == pytest.approx(1 + float(z.square().mean()), rel=0.05)  # of eps - z, independent


def test_codes_are_scaled_to_unit_variance_when_the_first_stage_ends() -> None:
    study: Any = trained(30, first=29).study
    with torch.no_grad():
        x = study.scaled(study.coded(study.source.train.float() / 255)[0])
    assert x.mean((0, 2, 3)).abs().max() < 0.02
    assert (x.std((0, 2, 3)) - 1).abs().max() < 0.02
    assert 2 < study.bound <= float(x.abs().max()) * 1.3
    again = study.decoded(study.scaled(torch.ones(1, *study.space)))
    assert torch.allclose(again, study.decoder(torch.ones(1, *study.space)), atol=1e-5)


def test_a_run_resumed_before_the_change_of_stages_is_bit_identical() -> None:
    made = trained(2)
    state = copy.deepcopy(made.state())
    other = session(seed=5)
    other.seed = 1
    assert other.study.source is not None
    other.study.source.seed = 1
    other.load_state(state)
    for _ in range(4):
        made.train_step()
    torch.set_rng_state(state["random"])
    for _ in range(4):
        other.train_step()
    mine, theirs = made.state()["parts"], other.state()["parts"]
    for part in ("encoder", "decoder", "stage", "net", "average"):
        assert all(torch.equal(mine[part][name], theirs[part][name]) for name in mine[part]), part


def test_moving_the_end_of_the_first_stage_goes_back_to_it_and_freezes_at_once() -> None:
    made = trained(5)
    study: Any = made.study
    made.set_knob("first", 8)
    before, net = weights(study.encoder), weights(study.net)
    made.train_step()
    assert not any(same(before, weights(study.encoder)))
    assert all(same(net, weights(study.net)))
    assert not study.stage.measured
    made.set_knob("first", 6)
    before = weights(study.encoder)
    made.train_step()
    assert all(same(before, weights(study.encoder)))
    assert study.stage.measured
    with pytest.raises(BadValue):
        made.set_knob("first", 0)


@pytest.mark.parametrize("process", ["rectified flow", "diffusion"])
def test_both_stages_learn(process: str) -> None:
    made = session(process=process, first=60, width=16, dim=32, depth=2, batch=64, first_rate=4e-3, rate=4e-3)
    for _ in range(260):
        made.train_step()
    points = made.read_metrics()
    reconstruction = points["reconstruction"][1]
    assert reconstruction[50:60].mean() < 0.4 * reconstruction[:5].mean()
    loss, start = points["loss"][1], {"rectified flow": 2.0, "diffusion": 1.0}[process]
    assert loss[30:60].mean() == pytest.approx(start, rel=0.3)
    assert loss[-40:].mean() < 0.8 * start
    study: Any = made.study
    images = study.source.held_out[:50].float() / 255
    with torch.no_grad():
        back = torch.from_numpy(study.to_pictures(study.from_images(images))).permute(0, 3, 1, 2)
        plain = (images - images.mean(0)).square().mean()
        assert (back - images).square().mean() < 0.5 * plain


# ---- probes ---------------------------------------------------------------------------------------------------------


def test_while_the_first_stage_learns_noise_stays_noise_and_it_is_said() -> None:
    made = trained(2)
    said = "the first stage is still learning: step 2 of 3"
    frames: list[Frames] = ask(made, "denoise", sampler="Euler", steps=4, count=3)
    assert all(said in frame.caption for frame in frames)
    size = [frame.readings["‖x_t‖/√d"] for frame in frames]
    assert size == pytest.approx(size[:1] * 5, rel=1e-5)  # no velocity is predicted
    grid: ImageGrid = ask(made, "samples", count=3, steps=2)[0]
    assert grid.caption == said
    made.train_step()
    assert "first stage" not in ask(made, "denoise", steps=2)[0].caption
    assert ask(made, "samples", count=3, steps=2)[0].caption == ""


def test_reconstructions_show_the_picture_what_is_left_of_it_and_the_code() -> None:
    made = trained(3)
    study: Any = made.study
    grid: ImageGrid = ask(made, "reconstructions", count=5)[0]
    assert grid.rows == ("picture", "decoded", "channel 1", "channel 2")
    assert grid.images.shape == (20, 8, 8, 1)
    assert grid.columns == 5
    images = study.source.held_out[:5].float() / 255
    assert np.allclose(grid.images[:5, ..., 0], images[:, 0].numpy())
    with torch.no_grad():
        x = study.from_images(images)
        assert np.allclose(grid.images[5:10], study.to_pictures(x), atol=1e-6)
    second = (0.5 + x[:, 1] / 6).clamp(0, 1).repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert np.allclose(grid.images[15:, ..., 0], second.numpy(), atol=1e-6)
    assert "64 numbers become 2 x 4 x 4 = 32" in grid.caption


# ---- an autoencoder from elsewhere ----------------------------------------------------------------------------------


def saved(made: Session, folder: Path) -> Path:
    run = Run.create(folder, made.config())
    run.save(KEY, made.step, made.state())
    return folder


def test_the_autoencoder_of_another_run_is_taken_and_stays_as_it_was(tmp_path: Path) -> None:
    theirs = trained(5)
    folder = saved(theirs, tmp_path / "theirs")
    for path in (folder, folder / "config.json", Run(folder).snapshot_path(5)):
        mine = session(seed=2, coder=str(path))
        known = weights(theirs.study.encoder, theirs.study.decoder)
        assert all(same(weights(mine.study.encoder, mine.study.decoder), known))
        assert "still learning" not in mine.study.remark
        transformer = weights(mine.study.net)
        for _ in range(3):
            mine.train_step()
        assert all(same(weights(mine.study.encoder, mine.study.decoder), known))
        assert not all(same(weights(mine.study.net), transformer))
    saved(mine, tmp_path / "mine")
    Run(folder).snapshot_path(5).unlink()
    (folder / "config.json").unlink()
    folder.joinpath("snapshots").rmdir()
    folder.rmdir()
    again = session(seed=3, coder=str(folder))  # what it learned from is gone, but it holds that itself
    assert again.study.remark == f"coder: {folder} is not there"
    with pytest.raises(BadValue, match="is not there"):
        again.train_step()
    again.load_state(Run(tmp_path / "mine").load(KEY)[0])
    assert again.study.remark == ""
    again.train_step()
    assert all(same(weights(again.study.encoder), weights(theirs.study.encoder)))


def test_an_autoencoder_that_does_not_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = str(saved(trained(2), tmp_path / "a"))
    with pytest.raises(BadValue, match="width 16 and 2 channels"):
        session(coder=folder, width=16)
    with pytest.raises(BadValue, match="learned nothing yet"):
        session(coder=str(saved(session(), tmp_path / "b")))
    (tmp_path / "c.safetensors").write_bytes(b"no weights")
    with pytest.raises(BadValue, match=r"coder: .*not a whole safetensors file"):
        session(coder=str(tmp_path / "c.safetensors"))
