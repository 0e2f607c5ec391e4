"""The rasteriser against one that is written from the equations: in float64, pixel by pixel and splat by splat, sharing
no code with it (harmonics by scipy's, the projection's slope by differences, the conic by inverting a matrix)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y
from torch import Tensor

from engine.formats.splats import read
from engine.nn.splatting import View, rasterise, view_at

WIDTH, HEIGHT = 37, 27


def harmonic(l: int, m: int, d: np.ndarray) -> float:  # noqa: E741
    y = complex(sph_harm_y(l, abs(m), math.acos(np.clip(d[2], -1, 1)), math.atan2(d[1], d[0])))
    return y.real if m == 0 else math.sqrt(2) * (y.imag if m < 0 else y.real)


def pinhole(view: View, p: np.ndarray) -> np.ndarray:
    return np.array([view.fx * p[0] / p[2] + view.cx, view.fy * p[1] / p[2] + view.cy])


def reference(parts: tuple[Tensor, ...], view: View, ground: np.ndarray, antialiased: bool = False) -> np.ndarray:
    """(H, W, 5): colour, alpha and depth."""
    xyz, scales, turns, logits, sh = (part.double().numpy() for part in parts)
    pose = view.pose.double().numpy()
    eye = -np.linalg.inv(pose[:3, :3]) @ pose[:3, 3]
    drawn = []
    for i in range(len(xyz)):
        at = pose[:3, :3] @ xyz[i] + pose[:3, 3]
        if at[2] <= view.near:
            continue
        # The slope of the pinhole at the mean, or where the mean would stand if it were at 1.3 times the half field.
        held = at.copy()
        for k, (focal, middle, pixels) in enumerate(((view.fx, view.cx, view.width), (view.fy, view.cy, view.height))):
            extra = 0.3 * pixels / (2 * focal)
            held[k] = at[2] * np.clip(at[k] / at[2], -middle / focal - extra, (pixels - middle) / focal + extra)
        h = 1e-5 * at[2]
        slope = np.stack([(pinhole(view, held + h * e) - pinhole(view, held - h * e)) / (2 * h) for e in np.eye(3)], 1)
        w, x, y, z = turns[i]
        turn = Rotation.from_quat([x, y, z, w]).as_matrix()
        world = turn @ np.diag(np.exp(scales[i]) ** 2) @ turn.T
        flat = slope @ pose[:3, :3] @ world @ pose[:3, :3].T @ slope.T
        wide = flat + 0.3 * np.eye(2)
        opacity = 1 / (1 + math.exp(-logits[i]))
        if antialiased:
            opacity *= math.sqrt(max(2.5e-5, np.linalg.det(flat) / np.linalg.det(wide)))
        d = (xyz[i] - eye) / np.linalg.norm(xyz[i] - eye)
        degree = round(sh.shape[1] ** 0.5) - 1
        bases = [harmonic(l, m, d) for l in range(degree + 1) for m in range(-l, l + 1)]  # noqa: E741
        colour = np.maximum(0.5 + np.array(bases) @ sh[i], 0)
        drawn.append((at[2], pinhole(view, at), np.linalg.inv(wide), opacity, colour))
    drawn.sort(key=lambda row: row[0])
    out = np.zeros((view.height, view.width, 5))
    for row in range(view.height):
        for column in range(view.width):
            left, pixel = 1.0, np.zeros(5)
            for depth, centre, conic, opacity, colour in drawn:
                dx, dy = column + 0.5 - centre[0], row + 0.5 - centre[1]
                power = -0.5 * (conic[0, 0] * dx * dx + 2 * conic[0, 1] * dx * dy + conic[1, 1] * dy * dy)
                alpha = min(0.99, opacity * math.exp(power))
                if alpha < 1 / 255:
                    continue
                if left * (1 - alpha) < 1e-4:
                    break
                pixel[:3] += left * alpha * colour
                pixel[3] += left * alpha
                pixel[4] += left * alpha * depth
                left *= 1 - alpha
            pixel[:3] += left * ground
            out[row, column] = pixel
    return out


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return -10 * math.log10(max(float(((a - b) ** 2).mean()), 1e-30))


VIEWS = {
    "middle": (2.4, -3.0, 1.8),
    "far": (24.0, -30.0, 18.0),
    "inside": (0.3, -0.5, 0.2),
}
CASES = [
    # where from, size, spread of the sizes, degree, antialiased
    ("middle", 0.15, 0.5, 0, False),
    ("middle", 0.15, 0.5, 1, False),
    ("middle", 0.15, 0.5, 2, True),
    ("middle", 0.15, 0.5, 3, False),
    ("far", 0.15, 0.5, 3, True),
    ("inside", 0.15, 0.5, 3, False),
    ("middle", 0.05, 2.5, 3, True),  # needles and discs
    ("inside", 1.0, 2.0, 1, False),  # huge ones, all round
]


@pytest.mark.parametrize(("name", "size", "spread", "degree", "antialiased"), CASES)
def test_every_form_draws_what_the_equations_say(
    splats: Callable[..., tuple[Tensor, ...]], name: str, size: float, spread: float, degree: int, antialiased: bool
) -> None:
    parts = splats(40, size, degree, torch.float64, seed=3, spread=spread)
    eye = VIEWS[name]
    view = view_at(eye, (0, 0, 0), (0, 0, 1), 40 if name != "inside" else 70, WIDTH, HEIGHT)
    # An optical axis that is not in the middle, and pixels that are not square.
    view = replace(view, cx=view.cx + 2.5, cy=view.cy - 1.25, fy=view.fy * 1.1)
    ground = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    expected = reference(parts, view, ground.numpy(), antialiased)
    assert expected[..., 3].max() > 0.2, "nothing is seen: the test does not test it"
    for form, dtype, least in (
        ("plain", torch.float64, 100),
        ("plain", torch.float32, 45),
        ("compiled", torch.float32, 45),
    ):
        inputs = [part.to(dtype) for part in parts]
        picture, _ = rasterise(*inputs, view, ground.to(dtype), antialiased=antialiased, form=form)
        assert psnr(picture.rgb.double().numpy(), expected[..., :3]) >= least, form
        assert psnr(picture.alpha.double().numpy(), expected[..., 3]) >= least, form
        far = np.abs(expected[..., 4]).max()
        assert psnr(picture.depth.double().numpy() / far, expected[..., 4] / far) >= least, form


def test_a_trained_file_is_drawn_as_the_equations_say(shared_data: Path) -> None:
    """The five hundred splats that show most of an INRIA file with harmonics of degree 2."""
    steps = read(shared_data / "splats" / "playbot_lod4_sh2_inria.ply")
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            (file,) = stop.value
            break
    shown = np.argsort(file.scales.sum(1) + 3 / (1 + np.exp(-file.opacity)))[-500:]
    parts = tuple(torch.tensor(part[shown]) for part in (file.xyz, file.scales, file.turns, file.opacity, file.sh))
    low, high = np.quantile(file.xyz, [0.02, 0.98], axis=0)
    middle, size = (low + high) / 2, np.linalg.norm(high - low)
    eye = middle + size * np.array([0.3, -0.25, -0.7])  # the file has y down
    view = view_at(tuple(eye.tolist()), tuple(middle.tolist()), (0, -1, 0), 50, 24, 18)
    expected = reference(parts, view, np.ones(3))
    assert expected[..., 3].mean() > 0.2
    for form in ("plain", "compiled"):
        picture, _ = rasterise(*parts, view, torch.ones(3), form=form)
        assert psnr(picture.rgb.double().numpy(), expected[..., :3]) >= 45, form
