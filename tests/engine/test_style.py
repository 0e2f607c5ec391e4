"""The layers of a style-based GAN against closed forms and slow references, and its networks while they grow."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from engine.nn.adversarial.style import (
    EPS,
    GAIN,
    SLOPE,
    Discriminator,
    EqualConv,
    EqualLinear,
    Mapping,
    Modulated,
    StyledLayer,
    StyleGenerator,
    channels,
    deviation,
    ladder,
    pixel_norm,
    upsampled,
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("side", "sides", "wide"),
    [(28, (7, 14, 28), (64, 32, 16)), (32, (4, 8, 16, 32), (64, 64, 32, 16)), (8, (4, 8), (32, 16)), (9, (9,), (16,))],
)
def test_the_resolutions_are_halves_and_the_coarser_are_wider(
    side: int, sides: tuple[int, ...], wide: tuple[int, ...]
) -> None:
    assert ladder(side, side) == tuple((s, s) for s in sides)
    assert channels(len(sides), 16) == wide


@pytest.mark.parametrize("layer", [EqualLinear(288, 400), EqualConv(32, 400, 3)])
def test_weights_are_drawn_at_size_one_and_used_over_the_root_of_what_goes_in(layer: nn.Module) -> None:
    weight = layer.get_parameter("weight")
    assert float(weight.detach().std()) == pytest.approx(1, rel=0.01)
    ones = torch.randn(64, 288) if isinstance(layer, EqualLinear) else torch.randn(16, 32, 9, 9)
    out = layer(ones)[..., 1:-1, 1:-1] if out_is_picture(layer) else layer(ones)
    assert float(out.detach().std()) == pytest.approx(1, rel=0.03)
    # The slope of the weights that are kept is that of those that are used, times the same scale.
    used = (weight * layer.scale).detach().requires_grad_()
    plain = F.conv2d(ones, used, padding=1) if out_is_picture(layer) else F.linear(ones, used)
    kept_slope = torch.autograd.grad(layer(ones).square().sum(), weight)[0]
    used_slope = torch.autograd.grad(plain.square().sum(), used)[0]
    torch.testing.assert_close(kept_slope, used_slope / math.sqrt(288), rtol=1e-4, atol=1e-2)


def out_is_picture(layer: nn.Module) -> bool:
    return isinstance(layer, EqualConv)


def test_the_mapping_learns_a_hundredth_as_fast_with_the_same_weights_in_use() -> None:
    moved = {}
    for rate in (1.0, 0.01):
        layer = EqualLinear(64, 64, bias=0.7, rate=rate)
        before, shift = layer.matrix().detach().clone(), layer(torch.zeros(1, 64)).detach().clone()
        assert float(before.std()) == pytest.approx(1 / 8, rel=0.05)
        torch.testing.assert_close(shift, torch.full_like(shift, 0.7))
        adam = torch.optim.Adam(layer.parameters(), 1e-3)
        layer(torch.randn(8, 64)).square().sum().backward()
        adam.step()
        moved[rate] = (
            float((layer.matrix() - before).detach().abs().mean()),
            float((layer(torch.zeros(1, 64)) - shift).detach().abs().mean()),
        )
    assert moved[0.01][0] == pytest.approx(0.01 * moved[1.0][0], rel=0.02)
    assert moved[0.01][1] == pytest.approx(0.01 * moved[1.0][1], rel=0.02)
    assert all(layer.rate == 0.01 for layer in Mapping(4, 3).layers)


def test_codes_are_put_on_a_sphere_and_the_mapping_keeps_their_size() -> None:
    z = 5 * torch.randn(300, 64)
    torch.testing.assert_close(pixel_norm(z).square().mean(1), torch.ones(300))
    torch.testing.assert_close(pixel_norm(z) * z.square().mean(1, keepdim=True).sqrt(), z)
    assert 0.7 < float(Mapping(64, 4)(z).detach().square().mean()) < 1.4


def test_the_mean_of_w_runs_after_the_w_that_were_seen() -> None:
    mapping = Mapping(3, 1)
    for value in (1.0, 3.0):
        mapping.remember(torch.full((5, 3), value))
    torch.testing.assert_close(mapping.mean, torch.full((3,), 0.995 * 0.005 + 0.005 * 3))


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("demodulated", [False, True])
def test_scaling_channels_is_scaling_every_pictures_own_weights(double: bool, demodulated: bool) -> None:
    layer = Modulated(6, 4, 3, demodulated=demodulated, double=double)
    x, style = torch.randn(3, 6, 5, 5), torch.randn(3, 6)
    out = []
    for picture, scales in zip(x, style, strict=True):
        weight = layer.weight / math.sqrt(6 * 9) * scales[None, :, None, None]
        if demodulated:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + EPS).sqrt()
            torch.testing.assert_close(weight.square().sum((1, 2, 3)), torch.ones(4))
        if double:
            spaced = F.conv_transpose2d(picture[None], weight.transpose(0, 1), stride=2)
            out.append(F.conv2d(spaced, layer.blur, padding=1, groups=4))
        else:
            out.append(F.conv2d(picture[None], weight, padding=1))
    shift = torch.randn(3, 1, *out[0].shape[2:])
    torch.testing.assert_close(layer(x, style, shift, 1.5), 1.5 * torch.cat(out) + shift, rtol=1e-4, atol=1e-5)


def test_demodulation_makes_the_weights_of_every_output_channel_a_vector_of_length_one() -> None:
    layer, style = Modulated(8, 5, 3), 7 * torch.randn(2, 8)
    scaled = layer.weight * layer.scale * style[:, None, :, None, None] * layer.factors(style)[:, :, None, None, None]
    torch.testing.assert_close(scaled.square().sum((2, 3, 4)), torch.ones(2, 5))
    # So the size of a style is without effect, but for its sign.
    x, zero = torch.randn(2, 8, 4, 4), torch.zeros(())
    torch.testing.assert_close(layer(x, 3 * style, zero), layer(x, style, zero), rtol=1e-3, atol=1e-4)


def test_doubling_is_the_blur_of_pixels_set_apart_and_keeps_a_constant() -> None:
    layer = Modulated(1, 1, 3, demodulated=False, double=True)
    with torch.no_grad():
        layer.weight.zero_()[0, 0, 1, 1] = 1 / layer.scale
    x, style, zero = torch.randn(1, 1, 6, 6), torch.ones(1, 1), torch.zeros(())
    smooth = upsampled(x, (12, 12))
    torch.testing.assert_close(layer(x, style, zero)[..., 1:-1, 1:-1], smooth[..., 1:-1, 1:-1])
    flat = torch.full((1, 1, 6, 6), 0.3)
    torch.testing.assert_close(layer(flat, style, zero)[..., 1:-1, 1:-1], torch.full((1, 1, 10, 10), 0.3))
    torch.testing.assert_close(upsampled(flat, (12, 12)), torch.full((1, 1, 12, 12), 0.3))


@pytest.mark.parametrize("kernel", [1, 3])
def test_halving_in_one_convolution_is_averaging_what_comes_out(kernel: int) -> None:
    layer = EqualConv(3, 5, kernel, halve=True, gain=1.3)
    with torch.no_grad():
        layer.get_parameter("bias").normal_()
    x = torch.randn(2, 3, 8, 6)
    weight, bias = 1.3 * layer.weight * layer.scale, 1.3 * layer.get_parameter("bias")
    torch.testing.assert_close(layer(x), F.avg_pool2d(F.conv2d(x, weight, bias, padding=kernel // 2), 2))


def test_a_layer_is_convolution_noise_bias_and_rectifier() -> None:
    layer = StyledLayer(4, 3, 2, (5, 5), double=False)
    x, w, noise = torch.randn(2, 3, 5, 5), torch.randn(2, 4), torch.randn(2, 1, 5, 5)
    plain = layer.convolution(x, layer.style(w), torch.zeros(()))
    torch.testing.assert_close(layer(x, w, noise), layer(x, w, None))  # the strength is 0 at first
    with torch.no_grad():
        layer.strength.fill_(-0.4)
        layer.bias.copy_(torch.tensor([0.2, -0.1])[None, :, None, None])
    expected = GAIN * F.leaky_relu(plain - 0.4 * noise + layer.bias, SLOPE)
    torch.testing.assert_close(layer(x, w, noise), expected)
    torch.testing.assert_close(layer(x, w, None), GAIN * F.leaky_relu(plain + layer.bias, SLOPE))


@pytest.mark.parametrize(("size", "group"), [(8, 4), (6, 3), (7, 1), (2, 2)])
def test_the_batch_deviation_is_that_of_each_group(size: int, group: int) -> None:
    x = torch.randn(size, 3, 2, 2)
    said = deviation(x)
    assert said.shape == (size, 1, 2, 2)
    for i in range(size):
        members = x[i % (size // group) :: size // group].double()
        spread = (members.var(0, correction=0) + EPS).sqrt().mean()
        torch.testing.assert_close(said[i], spread.expand(1, 2, 2).float())
    alike = torch.randn(1, 3, 2, 2).expand(8, -1, -1, -1)
    assert float(deviation(alike).max()) < 2e-4  # pictures that are all the same give themselves away


def test_the_discriminator_sees_that_all_pictures_are_one() -> None:
    d, one = Discriminator((1, 8, 8), 4, grows=False), torch.randn(1, 1, 8, 8)
    same, mixed = one.expand(4, -1, -1, -1), torch.cat([one, torch.randn(3, 1, 8, 8)])
    assert abs(float((d(same)[0] - d(mixed)[0]).detach())) > 1e-3


def test_a_resolution_that_is_faded_in_is_the_plain_network_and_before_the_coarser_one() -> None:
    net = StyleGenerator((3, 16, 16), 5, 2, 4)
    w = net.everywhere(net.mapping(torch.randn(4, 5)))
    fixed = net.synthesis.fixed()
    plain = net.synthesis(w, fixed)
    assert plain.shape == (4, 3, 16, 16)
    assert float(plain.detach().abs().max()) <= 1
    torch.testing.assert_close(net.synthesis(w, fixed, 2, 1.0), plain)
    assert not torch.allclose(net.synthesis(w, fixed, 2, 0.5), plain, atol=1e-3)
    coarse = net.synthesis(w, fixed, 1)
    assert coarse.shape == (4, 3, 8, 8)
    w, fixed = w.double(), [plane.double() for plane in fixed if plane is not None]
    net = net.double()
    coarse, faded = net.synthesis(w, fixed, 1).atanh(), net.synthesis(w, fixed, 2, 0.0).atanh()
    torch.testing.assert_close(faded, upsampled(coarse, (16, 16)))


def test_the_discriminator_fades_from_the_coarser_entrance_to_the_finer() -> None:
    d, x = Discriminator((1, 16, 16), 4, grows=True), torch.randn(6, 1, 16, 16)
    coarser = d(F.avg_pool2d(x, 2), 1)
    torch.testing.assert_close(d(x, 2, 0.0), coarser)
    torch.testing.assert_close(d(x, 2, 1.0), d(x))
    torch.testing.assert_close(d(x, 2, 1 - 1e-9), d(x))
    assert not torch.allclose(d(x), coarser, atol=1e-3)


def test_styles_are_mixed_from_a_random_layer_on() -> None:
    net = StyleGenerator((1, 16, 16), 5, 2, 4)
    z, other = torch.randn(200, 5), torch.randn(200, 5)
    own, others = net.mapping(z), net.mapping(other)
    torch.testing.assert_close(net.crossed(z, other, 0.0), net.everywhere(own))
    crossed = net.crossed(z, other, 1.0)
    from_other = (crossed - others[:, None]).abs().amax(2) < 1e-6
    torch.testing.assert_close(crossed[~from_other], own[:, None].expand(-1, 5, -1)[~from_other])
    cuts = 5 - from_other.sum(1)
    assert (from_other == (torch.arange(5) >= cuts[:, None])).all()
    assert sorted(set(cuts.tolist())) == [1, 2, 3, 4]
    half = (net.crossed(z, other, 0.5) - others[:, None]).abs().amax(2)[:, -1] < 1e-6
    assert 70 < int(half.sum()) < 130
