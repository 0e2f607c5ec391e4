"""Projection splat by splat, forward and backward, each in one pass over its numbers.

The reference is ``splatting/projection.py``, where the equations are; the backward pass computes again what it needs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.nn.radiance.compiled.spread import array, kernel, spread
from engine.nn.splatting.projection import DILATION, FAINTEST, LEAST_SHARE
from engine.nn.splatting.view import View

SPLATS = 4096
"""Splats that are worth a thread."""
F0, F1, F2, F3, F5, HALF = (np.float32(x) for x in (0, 1, 2, 3, 5, 0.5))
DILATE, LEAST, FAINT = np.float32(DILATION), np.float32(LEAST_SHARE), np.float32(FAINTEST)
# The harmonics' factors, named as in fields/harmonics.py.
C0, C1, C2, C20 = (
    np.float32(x) for x in (0.28209479177387814, 0.4886025119029199, 1.0925484305920792, 0.3153915652525)
)
C3A, C3B, C3C, C30 = (np.float32(x) for x in (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.37317633259))
MOST = 16
HARMONICS = 4 * MOST
"""Room for the harmonics and their three slopes."""
FX, FY, CX, CY, WIDE, TALL, NEAR, LEFT, RIGHT, TOP, BOTTOM = range(15, 26)
"""Where a camera's numbers are behind its rotation (9), its move (3) and its eye (3)."""


def _camera(view: View) -> np.ndarray:
    pose = view.pose.detach().to("cpu", torch.float64).numpy()
    turn, move = pose[:3, :3], pose[:3, 3]
    rest = (view.fx, view.fy, view.cx, view.cy, view.width, view.height, view.near, *view.limits)
    return np.concatenate([turn.ravel(), move, -turn.T @ move, rest]).astype(np.float32)


@kernel("void(f4, f4, f4, int64, f4[::1])")
def _harmonics(x, y, z, bands, out) -> None:  # type: ignore[no-untyped-def]
    """The harmonics at a direction, 16 at most."""
    out[0] = C0
    if bands > 1:
        out[1], out[2], out[3] = -C1 * y, C1 * z, -C1 * x
    if bands > 2:
        out[4], out[5], out[6] = C2 * x * y, -C2 * y * z, C20 * (F3 * z * z - F1)
        out[7], out[8] = -C2 * x * z, HALF * C2 * (x * x - y * y)
    if bands > 3:
        xx, yy, zz = x * x, y * y, z * z
        out[9], out[10] = -C3A * y * (F3 * xx - yy), C3B * x * y * z
        out[11], out[12] = -C3C * y * (F5 * zz - F1), C30 * z * (F5 * zz - F3)
        out[13], out[14] = -C3C * x * (F5 * zz - F1), HALF * C3B * z * (xx - yy)
        out[15] = -C3A * x * (xx - F3 * yy)


@kernel("void(f4, f4, f4, int64, f4[::1])")
def _slopes(x, y, z, bands, out) -> None:  # type: ignore[no-untyped-def]
    """Their derivatives by x, y and z, 16 numbers of each after the values."""
    out[MOST:] = F0
    ax, ay, az = MOST, 2 * MOST, 3 * MOST
    if bands > 1:
        out[ay + 1], out[az + 2], out[ax + 3] = -C1, C1, -C1
    if bands > 2:
        out[ax + 4], out[ay + 4] = C2 * y, C2 * x
        out[ay + 5], out[az + 5] = -C2 * z, -C2 * y
        out[az + 6] = np.float32(6) * C20 * z
        out[ax + 7], out[az + 7] = -C2 * z, -C2 * x
        out[ax + 8], out[ay + 8] = C2 * x, -C2 * y
    if bands > 3:
        xx, yy, zz = x * x, y * y, z * z
        six, ten, flat = np.float32(6), np.float32(10), F3 * (xx - yy)
        out[ax + 9], out[ay + 9] = -six * C3A * x * y, -C3A * flat
        out[ax + 10], out[ay + 10], out[az + 10] = C3B * y * z, C3B * x * z, C3B * x * y
        out[ay + 11], out[az + 11] = -C3C * (F5 * zz - F1), -ten * C3C * y * z
        out[az + 12] = C30 * (np.float32(15) * zz - F3)
        out[ax + 13], out[az + 13] = -C3C * (F5 * zz - F1), -ten * C3C * x * z
        out[ax + 14], out[ay + 14], out[az + 14] = C3B * x * z, -C3B * y * z, HALF * C3B * (xx - yy)
        out[ax + 15], out[ay + 15] = -C3A * flat, six * C3A * x * y


@kernel("f4(f4[:, ::1], int64, f4[::1])")
def _rotation(turns, i, r):  # type: ignore[no-untyped-def]
    """Fills ``r`` (9,) with the rotation of a quaternion; its length."""
    w, x, y, z = turns[i, 0], turns[i, 1], turns[i, 2], turns[i, 3]
    length = max(np.sqrt(w * w + x * x + y * y + z * z), np.float32(1e-12))
    w, x, y, z = w / length, x / length, y / length, z / length
    r[0], r[1], r[2] = F1 - F2 * (y * y + z * z), F2 * (x * y - w * z), F2 * (x * z + w * y)
    r[3], r[4], r[5] = F2 * (x * y + w * z), F1 - F2 * (x * x + z * z), F2 * (y * z - w * x)
    r[6], r[7], r[8] = F2 * (x * z - w * y), F2 * (y * z + w * x), F1 - F2 * (x * x + y * y)
    return length


@kernel("void(f4[::1], f4, f4, f4, f4[::1], f4[:, ::1], int64, f4[::1])")
def _flattened(camera, tx, ty, z, r, scales, i, h) -> None:  # type: ignore[no-untyped-def]
    """Fills ``h`` with J W (2, 3), then J W R S (2, 3), the root of the covariance in the picture."""
    px, py = camera[FX] / z, camera[FY] / z
    for k in range(3):
        h[k] = px * (camera[k] - tx * camera[6 + k])
        h[3 + k] = py * (camera[3 + k] - ty * camera[6 + k])
    for k in range(3):
        s = np.exp(scales[i, k])
        h[6 + k] = (h[0] * r[k] + h[1] * r[3 + k] + h[2] * r[6 + k]) * s
        h[9 + k] = (h[3] * r[k] + h[4] * r[3 + k] + h[5] * r[6 + k]) * s


@kernel("f4(f4[::1])")
def _bare(h):  # type: ignore[no-untyped-def]
    """The determinant of the covariance before it is widened: the square of its root's cross product."""
    x, y, z = h[7] * h[11] - h[8] * h[10], h[8] * h[9] - h[6] * h[11], h[6] * h[10] - h[7] * h[9]
    return x * x + y * y + z * z


@kernel(
    "void(int64, int64, f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[::1], f4[:, :, ::1], f4[::1], int64, boolean,"
    "f4[:, ::1], f4[:, ::1], f4[::1], f4[:, ::1], f4[::1], f4[::1], b1[::1])"
)
def _forward(  # type: ignore[no-untyped-def]
    begin, end, xyz, scales, turns, logit, sh, camera, bands, antialiased,
    centres, conics, depth, rgb, opacity, radius, visible,
) -> None:  # fmt: skip
    r, h, bases = np.empty(9, np.float32), np.empty(12, np.float32), np.empty(HARMONICS, np.float32)
    for i in range(begin, end):
        px, py, pz = xyz[i, 0], xyz[i, 1], xyz[i, 2]
        x = camera[0] * px + camera[1] * py + camera[2] * pz + camera[9]
        y = camera[3] * px + camera[4] * py + camera[5] * pz + camera[10]
        z = camera[6] * px + camera[7] * py + camera[8] * pz + camera[11]
        centres[i, :], conics[i, :], rgb[i, :] = F0, F0, F0
        depth[i], opacity[i], radius[i], visible[i] = F1, F0, F0, False
        shown = F1 / (F1 + np.exp(-logit[i]))
        if not z > camera[NEAR] or not shown >= FAINT:
            continue
        tx = min(max(x / z, camera[LEFT]), camera[RIGHT])
        ty = min(max(y / z, camera[TOP]), camera[BOTTOM])
        _rotation(turns, i, r)
        _flattened(camera, tx, ty, z, r, scales, i, h)
        a = h[6] * h[6] + h[7] * h[7] + h[8] * h[8]
        b = h[6] * h[9] + h[7] * h[10] + h[8] * h[11]
        c = h[9] * h[9] + h[10] * h[10] + h[11] * h[11]
        bare = _bare(h)
        size = bare + DILATE * (a + c) + DILATE * DILATE
        a, c = a + DILATE, c + DILATE
        if antialiased:
            shown *= np.sqrt(max(bare / size, LEAST))
        u, v = x / z * camera[FX] + camera[CX], y / z * camera[FY] + camera[CY]
        reach = F2 * np.log(max(shown / FAINT, F1))
        wide, tall = np.sqrt(reach * a), np.sqrt(reach * c)
        inside = u + wide > F0 and u - wide < camera[WIDE] and v + tall > F0 and v - tall < camera[TALL]
        if not inside or not shown >= FAINT or not np.isfinite(size):  # numbers that are not finite come here too
            continue
        visible[i] = True
        centres[i, 0], centres[i, 1] = u, v
        conics[i, 0], conics[i, 1], conics[i, 2] = c / size, -b / size, a / size
        depth[i], opacity[i] = z, shown
        radius[i] = np.sqrt(reach * (HALF * (a + c) + np.sqrt((a - c) * (a - c) / np.float32(4) + b * b)))
        dx, dy, dz = px - camera[12], py - camera[13], pz - camera[14]
        far = max(np.sqrt(dx * dx + dy * dy + dz * dz), np.float32(1e-12))
        _harmonics(dx / far, dy / far, dz / far, bands, bases)
        red, green, blue = HALF, HALF, HALF
        for k in range(bands * bands):
            red += bases[k] * sh[i, k, 0]
            green += bases[k] * sh[i, k, 1]
            blue += bases[k] * sh[i, k, 2]
        rgb[i, 0], rgb[i, 1], rgb[i, 2] = max(red, F0), max(green, F0), max(blue, F0)


@kernel(
    "void(int64, int64, f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[::1], f4[:, :, ::1], f4[::1], int64, boolean,"
    "f4[:, ::1], f4[::1], f4[:, ::1], f4[::1], b1[::1], f4[:, ::1], f4[:, ::1], f4[::1], f4[:, ::1], f4[::1],"
    "f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[::1], f4[:, :, ::1])"
)
def _backward(  # type: ignore[no-untyped-def]
    begin, end, xyz, scales, turns, logit, sh, camera, bands, antialiased, conics, depth, rgb, opacity, visible,
    on_centres, on_conics, on_depth, on_rgb, on_opacity, to_xyz, to_scales, to_turns, to_logit, to_sh,
) -> None:  # fmt: skip
    r, h, bases = np.empty(9, np.float32), np.empty(12, np.float32), np.empty(HARMONICS, np.float32)
    to_r, to_m = np.empty(9, np.float32), np.empty(6, np.float32)
    for i in range(begin, end):
        to_xyz[i, :], to_scales[i, :], to_turns[i, :], to_sh[i, :, :] = F0, F0, F0, F0
        to_logit[i] = F0
        if not visible[i]:
            continue
        px, py, pz, z = xyz[i, 0], xyz[i, 1], xyz[i, 2], depth[i]
        x = camera[0] * px + camera[1] * py + camera[2] * pz + camera[9]
        y = camera[3] * px + camera[4] * py + camera[5] * pz + camera[10]
        tx = min(max(x / z, camera[LEFT]), camera[RIGHT])
        ty = min(max(y / z, camera[TOP]), camera[BOTTOM])
        length = _rotation(turns, i, r)
        _flattened(camera, tx, ty, z, r, scales, i, h)

        # The covariance behind the conic K: -K G K.
        ka, kb, kc = conics[i, 0], conics[i, 1], conics[i, 2]
        ga, gb, gc = on_conics[i, 0], HALF * on_conics[i, 1], on_conics[i, 2]
        m00, m01, m10, m11 = ga * ka + gb * kb, ga * kb + gb * kc, gb * ka + gc * kb, gb * kb + gc * kc
        to_a, to_b, to_c = -(ka * m00 + kb * m10), -F2 * (ka * m01 + kb * m11), -(kb * m01 + kc * m11)

        # The opacity, and by it once more the covariance.
        bright = F1 / (F1 + np.exp(-logit[i]))
        share = F1
        if antialiased:
            a = h[6] * h[6] + h[7] * h[7] + h[8] * h[8]
            b = h[6] * h[9] + h[7] * h[10] + h[8] * h[11]
            c = h[9] * h[9] + h[10] * h[10] + h[11] * h[11]
            bare = _bare(h)
            size = bare + DILATE * (a + c) + DILATE * DILATE
            ratio = bare / size
            share = np.sqrt(max(ratio, LEAST))
            if ratio > LEAST:
                to_bare = on_opacity[i] * bright / (F2 * share) / size
                to_size = -to_bare * ratio
                to_a += c * to_bare + (c + DILATE) * to_size
                to_c += a * to_bare + (a + DILATE) * to_size
                to_b -= F2 * b * (to_bare + to_size)
        to_logit[i] = on_opacity[i] * share * bright * (F1 - bright)

        # Its root, from which the scales, the turn and J W come.
        to_m[:] = F0
        for k in range(3):
            s = np.exp(scales[i, k])
            up, down = F2 * to_a * h[6 + k] + to_b * h[9 + k], F2 * to_c * h[9 + k] + to_b * h[6 + k]
            to_scales[i, k] = up * h[6 + k] + down * h[9 + k]
            up, down = up * s, down * s
            for n in range(3):
                to_r[3 * n + k] = up * h[n] + down * h[3 + n]
                to_m[n] += up * r[3 * n + k]
                to_m[3 + n] += down * r[3 * n + k]
        w, qx, qy, qz = turns[i, 0] / length, turns[i, 1] / length, turns[i, 2] / length, turns[i, 3] / length
        g = to_r
        tw = F2 * (qx * (g[7] - g[5]) + qy * (g[2] - g[6]) + qz * (g[3] - g[1]))
        ux = F2 * (qy * (g[1] + g[3]) + qz * (g[2] + g[6]) + w * (g[7] - g[5]) - F2 * qx * (g[4] + g[8]))
        uy = F2 * (qx * (g[1] + g[3]) + qz * (g[5] + g[7]) + w * (g[2] - g[6]) - F2 * qy * (g[0] + g[8]))
        uz = F2 * (qx * (g[2] + g[6]) + qy * (g[5] + g[7]) + w * (g[3] - g[1]) - F2 * qz * (g[0] + g[4]))
        along = w * tw + qx * ux + qy * uy + qz * uz
        to_turns[i, 0], to_turns[i, 1] = (tw - w * along) / length, (ux - qx * along) / length
        to_turns[i, 2], to_turns[i, 3] = (uy - qy * along) / length, (uz - qz * along) / length

        # The place in the camera: by the centre, the depth and J.
        fx, fy = camera[FX] / z, camera[FY] / z
        to_x, to_y = on_centres[i, 0] * fx, on_centres[i, 1] * fy
        to_z = on_depth[i] - (to_x * x + to_y * y) / z
        for n in range(6):
            to_z -= to_m[n] * h[n] / z
        to_tx = -fx * (to_m[0] * camera[6] + to_m[1] * camera[7] + to_m[2] * camera[8])
        to_ty = -fy * (to_m[3] * camera[6] + to_m[4] * camera[7] + to_m[5] * camera[8])
        if tx == x / z:
            to_x += to_tx / z
            to_z -= to_tx * tx / z
        if ty == y / z:
            to_y += to_ty / z
            to_z -= to_ty * ty / z
        for k in range(3):
            to_xyz[i, k] = camera[k] * to_x + camera[3 + k] * to_y + camera[6 + k] * to_z

        # The colour, and by the direction once more the place.
        dx, dy, dz = px - camera[12], py - camera[13], pz - camera[14]
        far = max(np.sqrt(dx * dx + dy * dy + dz * dz), np.float32(1e-12))
        dx, dy, dz = dx / far, dy / far, dz / far
        red = on_rgb[i, 0] if rgb[i, 0] > F0 else F0
        green = on_rgb[i, 1] if rgb[i, 1] > F0 else F0
        blue = on_rgb[i, 2] if rgb[i, 2] > F0 else F0
        _harmonics(dx, dy, dz, bands, bases)
        for k in range(bands * bands):
            to_sh[i, k, 0], to_sh[i, k, 1], to_sh[i, k, 2] = bases[k] * red, bases[k] * green, bases[k] * blue
        if bands > 1:
            _slopes(dx, dy, dz, bands, bases)
            ux, uy, uz = F0, F0, F0
            for k in range(1, bands * bands):
                shade = sh[i, k, 0] * red + sh[i, k, 1] * green + sh[i, k, 2] * blue
                ux += bases[MOST + k] * shade
                uy += bases[2 * MOST + k] * shade
                uz += bases[3 * MOST + k] * shade
            along = ux * dx + uy * dy + uz * dz
            to_xyz[i, 0] += (ux - dx * along) / far
            to_xyz[i, 1] += (uy - dy * along) / far
            to_xyz[i, 2] += (uz - dz * along) / far


class Project(torch.autograd.Function):
    """(centres, conics, depth, rgb, opacity, radius, visible) = apply(xyz, scales, turns, logit, sh, view, bands,
    antialiased)"""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        *tensors, view, bands, antialiased = inputs
        arrays = [array(part) for part in tensors]
        n = len(arrays[0])
        centres, conics, depth, rgb, opacity, radius = (torch.empty(n, *k) for k in ((2,), (3,), (), (3,), (), ()))
        visible = torch.empty(n, dtype=torch.bool)
        rows = [array(part) for part in (centres, conics, depth, rgb, opacity, radius, visible)]
        rest = (_camera(view), bands, antialiased)
        spread(lambda a, b: _forward(a, b, *arrays, *rest, *rows), n, SPLATS)
        ctx.rest = rest
        ctx.save_for_backward(*tensors, conics, depth, rgb, opacity, visible)
        ctx.mark_non_differentiable(radius, visible)
        return centres, conics, depth, rgb, opacity, radius, visible

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        saved = [array(part) for part in ctx.saved_tensors]
        given = [array(part) for part in gradients[:5]]
        out = [torch.empty(part.shape) for part in saved[:5]]
        rows = [array(part) for part in out]
        spread(lambda a, b: _backward(a, b, *saved[:5], *ctx.rest, *saved[5:], *given, *rows), len(saved[0]), SPLATS)
        return (*out, None, None, None)
