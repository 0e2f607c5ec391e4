"""Projection on CUDA: a lane per splat, forward and backward in one kernel each; gsplat's where that is installed.

The reference is ``splatting/projection.py``, where the equations are; the backward pass computes again what it needs.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.nn.splatting import forms
from engine.nn.splatting import projection as plain
from engine.nn.splatting.view import View

DILATION, LEAST, FAINTEST = tl.constexpr(plain.DILATION), tl.constexpr(plain.LEAST_SHARE), tl.constexpr(plain.FAINTEST)
LANES = 128
# The harmonics' factors, named as in fields/harmonics.py.
C0, C1 = tl.constexpr(0.28209479177387814), tl.constexpr(0.4886025119029199)
C2, C20 = tl.constexpr(1.0925484305920792), tl.constexpr(0.31539156525252005)
C3A, C3B = tl.constexpr(0.5900435899266435), tl.constexpr(2.890611442640554)
C3C, C30 = tl.constexpr(0.4570457994644658), tl.constexpr(0.3731763325901154)


def _camera(view: View, like: Tensor) -> Tensor:
    """Rotation (9), move (3), eye (3), focal lengths, axis, size, near plane, limits: as the kernels read them."""
    rest = (view.fx, view.fy, view.cx, view.cy, view.width, view.height, view.near, *view.limits)
    pose = view.pose.detach().to(like)
    return torch.cat([pose[:3, :3].reshape(-1), pose[:3, 3], -pose[:3, :3].T @ pose[:3, 3], like.new_tensor(rest)])


@triton.jit
def _seen(xyz, turns, scales, camera, i, real):  # type: ignore[no-untyped-def]
    """The place in the camera and where the slope is taken; the turn as quaternion and matrix; J W; J W R S; S."""
    px, py, pz = (
        tl.load(xyz + 3 * i, real, 0.0),
        tl.load(xyz + 3 * i + 1, real, 0.0),
        tl.load(xyz + 3 * i + 2, real, 0.0),
    )
    w0, w1, w2 = tl.load(camera), tl.load(camera + 1), tl.load(camera + 2)
    w3, w4, w5 = tl.load(camera + 3), tl.load(camera + 4), tl.load(camera + 5)
    w6, w7, w8 = tl.load(camera + 6), tl.load(camera + 7), tl.load(camera + 8)
    x = w0 * px + w1 * py + w2 * pz + tl.load(camera + 9)
    y = w3 * px + w4 * py + w5 * pz + tl.load(camera + 10)
    z = w6 * px + w7 * py + w8 * pz + tl.load(camera + 11)
    ahead = real & (z > tl.load(camera + 21))
    z = tl.where(ahead, z, 1.0)
    tx = tl.minimum(tl.maximum(x / z, tl.load(camera + 22)), tl.load(camera + 23))
    ty = tl.minimum(tl.maximum(y / z, tl.load(camera + 24)), tl.load(camera + 25))
    q0, q1 = tl.load(turns + 4 * i, real, 1.0), tl.load(turns + 4 * i + 1, real, 0.0)
    q2, q3 = tl.load(turns + 4 * i + 2, real, 0.0), tl.load(turns + 4 * i + 3, real, 0.0)
    length = tl.maximum(tl.sqrt(q0 * q0 + q1 * q1 + q2 * q2 + q3 * q3), 1e-12)
    q0, q1, q2, q3 = q0 / length, q1 / length, q2 / length, q3 / length
    r0, r1, r2 = 1 - 2 * (q2 * q2 + q3 * q3), 2 * (q1 * q2 - q0 * q3), 2 * (q1 * q3 + q0 * q2)
    r3, r4, r5 = 2 * (q1 * q2 + q0 * q3), 1 - 2 * (q1 * q1 + q3 * q3), 2 * (q2 * q3 - q0 * q1)
    r6, r7, r8 = 2 * (q1 * q3 - q0 * q2), 2 * (q2 * q3 + q0 * q1), 1 - 2 * (q1 * q1 + q2 * q2)
    fx, fy = tl.load(camera + 15) / z, tl.load(camera + 16) / z
    m0, m1, m2 = fx * (w0 - tx * w6), fx * (w1 - tx * w7), fx * (w2 - tx * w8)
    m3, m4, m5 = fy * (w3 - ty * w6), fy * (w4 - ty * w7), fy * (w5 - ty * w8)
    s0, s1 = tl.exp(tl.load(scales + 3 * i, real, 0.0)), tl.exp(tl.load(scales + 3 * i + 1, real, 0.0))
    s2 = tl.exp(tl.load(scales + 3 * i + 2, real, 0.0))
    h0, h3 = (m0 * r0 + m1 * r3 + m2 * r6) * s0, (m3 * r0 + m4 * r3 + m5 * r6) * s0
    h1, h4 = (m0 * r1 + m1 * r4 + m2 * r7) * s1, (m3 * r1 + m4 * r4 + m5 * r7) * s1
    h2, h5 = (m0 * r2 + m1 * r5 + m2 * r8) * s2, (m3 * r2 + m4 * r5 + m5 * r8) * s2
    place = (x, y, z, ahead, tx, ty, px - tl.load(camera + 12), py - tl.load(camera + 13), pz - tl.load(camera + 14))
    turn = (q0, q1, q2, q3, length, r0, r1, r2, r3, r4, r5, r6, r7, r8)
    return place, turn, (m0, m1, m2, m3, m4, m5), (h0, h1, h2, h3, h4, h5), (s0, s1, s2)


@triton.jit
def _cover(h, DILATION: tl.constexpr):  # type: ignore[no-untyped-def]
    """The covariance's entries before it is widened, its determinant, and that of the widened one."""
    h0, h1, h2, h3, h4, h5 = h
    a, b, c = h0 * h0 + h1 * h1 + h2 * h2, h0 * h3 + h1 * h4 + h2 * h5, h3 * h3 + h4 * h4 + h5 * h5
    x, y, z = h1 * h5 - h2 * h4, h2 * h3 - h0 * h5, h0 * h4 - h1 * h3
    bare = x * x + y * y + z * z
    return a, b, c, bare, bare + DILATION * (a + c) + DILATION * DILATION


@triton.jit
def _shade(row, k, base, colour, real):  # type: ignore[no-untyped-def]
    """The colour with one harmonic more."""
    red, green, blue = colour
    red += base * tl.load(row + 3 * k, real, 0.0)
    green += base * tl.load(row + 3 * k + 1, real, 0.0)
    blue += base * tl.load(row + 3 * k + 2, real, 0.0)
    return red, green, blue


@triton.jit
def _forward(  # type: ignore[no-untyped-def]
    xyz, scales, turns, logit, sh, camera, centres, conics, depth, rgb, opacity, radius, visible, n,
    K: tl.constexpr, BANDS: tl.constexpr, ANTIALIASED: tl.constexpr, LANES: tl.constexpr
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * LANES + tl.arange(0, LANES)
    real = i < n
    place, _turn, _m, h, _s = _seen(xyz, turns, scales, camera, i, real)
    x, y, z, ahead, _tx, _ty, dx, dy, dz = place
    a, b, c, bare, size = _cover(h, DILATION)
    shown = 1 / (1 + tl.exp(-tl.load(logit + i, real, 0.0)))
    if ANTIALIASED:
        shown *= tl.sqrt(tl.maximum(bare / size, LEAST))
    a += DILATION
    c += DILATION
    u, v = x / z * tl.load(camera + 15) + tl.load(camera + 17), y / z * tl.load(camera + 16) + tl.load(camera + 18)
    reach = 2 * tl.log(tl.maximum(shown / FAINTEST, 1.0))
    wide, tall = tl.sqrt(reach * a), tl.sqrt(reach * c)
    inside = ahead & (shown >= FAINTEST) & (size < 3e38) & (u + wide > 0) & (u - wide < tl.load(camera + 19))
    inside = inside & (v + tall > 0) & (v - tall < tl.load(camera + 20))
    tl.store(visible + i, inside, real)
    tl.store(centres + 2 * i, tl.where(inside, u, 0.0), real)
    tl.store(centres + 2 * i + 1, tl.where(inside, v, 0.0), real)
    tl.store(conics + 3 * i, tl.where(inside, c / size, 0.0), real)
    tl.store(conics + 3 * i + 1, tl.where(inside, -b / size, 0.0), real)
    tl.store(conics + 3 * i + 2, tl.where(inside, a / size, 0.0), real)
    tl.store(depth + i, tl.where(inside, z, 1.0), real)
    tl.store(opacity + i, tl.where(inside, shown, 0.0), real)
    longest = 0.5 * (a + c) + tl.sqrt(0.25 * (a - c) * (a - c) + b * b)
    tl.store(radius + i, tl.where(inside, tl.sqrt(reach * longest), 0.0), real)
    far = tl.maximum(tl.sqrt(dx * dx + dy * dy + dz * dz), 1e-12)
    dx, dy, dz = dx / far, dy / far, dz / far
    row = sh + i * 3 * K
    half = tl.full((LANES,), 0.5, tl.float32)
    colour = _shade(row, 0, C0, (half, half, half), inside)
    if BANDS > 1:
        colour = _shade(row, 1, -C1 * dy, colour, inside)
        colour = _shade(row, 2, C1 * dz, colour, inside)
        colour = _shade(row, 3, -C1 * dx, colour, inside)
    if BANDS > 2:
        colour = _shade(row, 4, C2 * dx * dy, colour, inside)
        colour = _shade(row, 5, -C2 * dy * dz, colour, inside)
        colour = _shade(row, 6, C20 * (3 * dz * dz - 1), colour, inside)
        colour = _shade(row, 7, -C2 * dx * dz, colour, inside)
        colour = _shade(row, 8, 0.5 * C2 * (dx * dx - dy * dy), colour, inside)
    if BANDS > 3:
        xx, yy, zz = dx * dx, dy * dy, dz * dz
        colour = _shade(row, 9, -C3A * dy * (3 * xx - yy), colour, inside)
        colour = _shade(row, 10, C3B * dx * dy * dz, colour, inside)
        colour = _shade(row, 11, -C3C * dy * (5 * zz - 1), colour, inside)
        colour = _shade(row, 12, C30 * dz * (5 * zz - 3), colour, inside)
        colour = _shade(row, 13, -C3C * dx * (5 * zz - 1), colour, inside)
        colour = _shade(row, 14, 0.5 * C3B * dz * (xx - yy), colour, inside)
        colour = _shade(row, 15, -C3A * dx * (xx - 3 * yy), colour, inside)
    red, green, blue = colour
    tl.store(rgb + 3 * i, tl.where(inside, tl.maximum(red, 0.0), 0.0), real)
    tl.store(rgb + 3 * i + 1, tl.where(inside, tl.maximum(green, 0.0), 0.0), real)
    tl.store(rgb + 3 * i + 2, tl.where(inside, tl.maximum(blue, 0.0), 0.0), real)


@triton.jit
def _bend(sh, to_sh, at, k, base, bx, by, bz, given, slope, real, inside):  # type: ignore[no-untyped-def]
    """Stores a harmonic's gradient, and adds what it gives the direction by its slopes ``bx by bz``."""
    red, green, blue = given
    ux, uy, uz = slope
    at = at + 3 * k
    tl.store(to_sh + at, tl.where(inside, base * red, 0.0), real)
    tl.store(to_sh + at + 1, tl.where(inside, base * green, 0.0), real)
    tl.store(to_sh + at + 2, tl.where(inside, base * blue, 0.0), real)
    shade = red * tl.load(sh + at, inside, 0.0) + green * tl.load(sh + at + 1, inside, 0.0)
    shade += blue * tl.load(sh + at + 2, inside, 0.0)
    return ux + bx * shade, uy + by * shade, uz + bz * shade


@triton.jit
def _backward(  # type: ignore[no-untyped-def]
    xyz, scales, turns, logit, sh, camera, conics, rgb, visible, on_centres, on_conics, on_depth, on_rgb, on_opacity,
    to_xyz, to_scales, to_turns, to_logit, to_sh, n,
    K: tl.constexpr, BANDS: tl.constexpr, ANTIALIASED: tl.constexpr, LANES: tl.constexpr
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * LANES + tl.arange(0, LANES)
    real = i < n
    inside = real & (tl.load(visible + i, real, 0) != 0)
    place, turn, m, h, s = _seen(xyz, turns, scales, camera, i, real)
    x, y, z, _ahead, tx, ty, dx, dy, dz = place
    q0, q1, q2, q3, length, r0, r1, r2, r3, r4, r5, r6, r7, r8 = turn
    m0, m1, m2, m3, m4, m5 = m
    h0, h1, h2, h3, h4, h5 = h
    s0, s1, s2 = s

    # The covariance behind the conic K: -K G K.
    ka, kb = tl.load(conics + 3 * i, inside, 0.0), tl.load(conics + 3 * i + 1, inside, 0.0)
    kc = tl.load(conics + 3 * i + 2, inside, 0.0)
    ga, gb = tl.load(on_conics + 3 * i, inside, 0.0), 0.5 * tl.load(on_conics + 3 * i + 1, inside, 0.0)
    gc = tl.load(on_conics + 3 * i + 2, inside, 0.0)
    g0, g1, g2, g3 = ga * ka + gb * kb, ga * kb + gb * kc, gb * ka + gc * kb, gb * kb + gc * kc
    to_a, to_b, to_c = -(ka * g0 + kb * g2), -2 * (ka * g1 + kb * g3), -(kb * g1 + kc * g3)

    # The opacity, and by it once more the covariance.
    bright = 1 / (1 + tl.exp(-tl.load(logit + i, real, 0.0)))
    to_bright = tl.load(on_opacity + i, inside, 0.0)
    if ANTIALIASED:
        a, b, c, bare, size = _cover(h, DILATION)
        ratio = bare / size
        share = tl.sqrt(tl.maximum(ratio, LEAST))
        to_bare = tl.where(ratio > LEAST, to_bright * bright / (2 * share) / size, 0.0)
        to_size = -to_bare * ratio
        to_a += c * to_bare + (c + DILATION) * to_size
        to_c += a * to_bare + (a + DILATION) * to_size
        to_b -= 2 * b * (to_bare + to_size)
        to_bright *= share
    tl.store(to_logit + i, tl.where(inside, to_bright * bright * (1 - bright), 0.0), real)

    # Its root, from which the scales, the turn and J W come.
    u0, d0 = 2 * to_a * h0 + to_b * h3, 2 * to_c * h3 + to_b * h0
    u1, d1 = 2 * to_a * h1 + to_b * h4, 2 * to_c * h4 + to_b * h1
    u2, d2 = 2 * to_a * h2 + to_b * h5, 2 * to_c * h5 + to_b * h2
    tl.store(to_scales + 3 * i, tl.where(inside, u0 * h0 + d0 * h3, 0.0), real)
    tl.store(to_scales + 3 * i + 1, tl.where(inside, u1 * h1 + d1 * h4, 0.0), real)
    tl.store(to_scales + 3 * i + 2, tl.where(inside, u2 * h2 + d2 * h5, 0.0), real)
    u0, u1, u2, d0, d1, d2 = u0 * s0, u1 * s1, u2 * s2, d0 * s0, d1 * s1, d2 * s2
    t0, t1, t2 = u0 * m0 + d0 * m3, u1 * m0 + d1 * m3, u2 * m0 + d2 * m3
    t3, t4, t5 = u0 * m1 + d0 * m4, u1 * m1 + d1 * m4, u2 * m1 + d2 * m4
    t6, t7, t8 = u0 * m2 + d0 * m5, u1 * m2 + d1 * m5, u2 * m2 + d2 * m5
    o0, o1, o2 = u0 * r0 + u1 * r1 + u2 * r2, u0 * r3 + u1 * r4 + u2 * r5, u0 * r6 + u1 * r7 + u2 * r8
    o3, o4, o5 = d0 * r0 + d1 * r1 + d2 * r2, d0 * r3 + d1 * r4 + d2 * r5, d0 * r6 + d1 * r7 + d2 * r8
    p0 = 2 * (q1 * (t7 - t5) + q2 * (t2 - t6) + q3 * (t3 - t1))
    p1 = 2 * (q2 * (t1 + t3) + q3 * (t2 + t6) + q0 * (t7 - t5) - 2 * q1 * (t4 + t8))
    p2 = 2 * (q1 * (t1 + t3) + q3 * (t5 + t7) + q0 * (t2 - t6) - 2 * q2 * (t0 + t8))
    p3 = 2 * (q1 * (t2 + t6) + q2 * (t5 + t7) + q0 * (t3 - t1) - 2 * q3 * (t0 + t4))
    along = q0 * p0 + q1 * p1 + q2 * p2 + q3 * p3
    tl.store(to_turns + 4 * i, tl.where(inside, (p0 - q0 * along) / length, 0.0), real)
    tl.store(to_turns + 4 * i + 1, tl.where(inside, (p1 - q1 * along) / length, 0.0), real)
    tl.store(to_turns + 4 * i + 2, tl.where(inside, (p2 - q2 * along) / length, 0.0), real)
    tl.store(to_turns + 4 * i + 3, tl.where(inside, (p3 - q3 * along) / length, 0.0), real)

    # The place in the camera: by the centre, the depth and J.
    w6, w7, w8 = tl.load(camera + 6), tl.load(camera + 7), tl.load(camera + 8)
    fx, fy = tl.load(camera + 15) / z, tl.load(camera + 16) / z
    to_x, to_y = fx * tl.load(on_centres + 2 * i, inside, 0.0), fy * tl.load(on_centres + 2 * i + 1, inside, 0.0)
    to_z = tl.load(on_depth + i, inside, 0.0) - (to_x * x + to_y * y) / z
    to_z -= (o0 * m0 + o1 * m1 + o2 * m2 + o3 * m3 + o4 * m4 + o5 * m5) / z
    to_tx = tl.where(tx == x / z, -fx * (o0 * w6 + o1 * w7 + o2 * w8), 0.0)
    to_ty = tl.where(ty == y / z, -fy * (o3 * w6 + o4 * w7 + o5 * w8), 0.0)
    to_x += to_tx / z
    to_y += to_ty / z
    to_z -= (to_tx * tx + to_ty * ty) / z
    gx = tl.load(camera) * to_x + tl.load(camera + 3) * to_y + w6 * to_z
    gy = tl.load(camera + 1) * to_x + tl.load(camera + 4) * to_y + w7 * to_z
    gz = tl.load(camera + 2) * to_x + tl.load(camera + 5) * to_y + w8 * to_z

    # The colour, and by the direction once more the place.
    far = tl.maximum(tl.sqrt(dx * dx + dy * dy + dz * dz), 1e-12)
    x, y, z = dx / far, dy / far, dz / far
    red = tl.where(tl.load(rgb + 3 * i, inside, 0.0) > 0, tl.load(on_rgb + 3 * i, inside, 0.0), 0.0)
    green = tl.where(tl.load(rgb + 3 * i + 1, inside, 0.0) > 0, tl.load(on_rgb + 3 * i + 1, inside, 0.0), 0.0)
    blue = tl.where(tl.load(rgb + 3 * i + 2, inside, 0.0) > 0, tl.load(on_rgb + 3 * i + 2, inside, 0.0), 0.0)
    given = (red, green, blue)
    o = tl.zeros((LANES,), tl.float32)
    at = i * 3 * K
    e = _bend(sh, to_sh, at, 0, o + C0, o, o, o, given, (o, o, o), real, inside)
    if BANDS > 1:
        e = _bend(sh, to_sh, at, 1, -C1 * y, o, o - C1, o, given, e, real, inside)
        e = _bend(sh, to_sh, at, 2, C1 * z, o, o, o + C1, given, e, real, inside)
        e = _bend(sh, to_sh, at, 3, -C1 * x, o - C1, o, o, given, e, real, inside)
    if BANDS > 2:
        e = _bend(sh, to_sh, at, 4, C2 * x * y, C2 * y, C2 * x, o, given, e, real, inside)
        e = _bend(sh, to_sh, at, 5, -C2 * y * z, o, -C2 * z, -C2 * y, given, e, real, inside)
        e = _bend(sh, to_sh, at, 6, C20 * (3 * z * z - 1), o, o, 6 * C20 * z, given, e, real, inside)
        e = _bend(sh, to_sh, at, 7, -C2 * x * z, -C2 * z, o, -C2 * x, given, e, real, inside)
        e = _bend(sh, to_sh, at, 8, 0.5 * C2 * (x * x - y * y), C2 * x, -C2 * y, o, given, e, real, inside)
    if BANDS > 3:
        xx, yy, zz = x * x, y * y, z * z
        flat, steep = 3 * (xx - yy), 5 * zz - 1
        e = _bend(sh, to_sh, at, 9, -C3A * y * (3 * xx - yy), -6 * C3A * x * y, -C3A * flat, o, given, e, real, inside)
        e = _bend(sh, to_sh, at, 10, C3B * x * y * z, C3B * y * z, C3B * x * z, C3B * x * y, given, e, real, inside)
        e = _bend(sh, to_sh, at, 11, -C3C * y * steep, o, -C3C * steep, -10 * C3C * y * z, given, e, real, inside)
        e = _bend(sh, to_sh, at, 12, C30 * z * (5 * zz - 3), o, o, C30 * (15 * zz - 3), given, e, real, inside)
        e = _bend(sh, to_sh, at, 13, -C3C * x * steep, -C3C * steep, o, -10 * C3C * x * z, given, e, real, inside)
        bulge = 0.5 * C3B * (xx - yy)
        e = _bend(sh, to_sh, at, 14, bulge * z, C3B * x * z, -C3B * y * z, bulge, given, e, real, inside)
        e = _bend(sh, to_sh, at, 15, -C3A * x * (xx - 3 * yy), -C3A * flat, 6 * C3A * x * y, o, given, e, real, inside)
    ux, uy, uz = e
    along = ux * x + uy * y + uz * z
    tl.store(to_xyz + 3 * i, tl.where(inside, gx + (ux - x * along) / far, 0.0), real)
    tl.store(to_xyz + 3 * i + 1, tl.where(inside, gy + (uy - y * along) / far, 0.0), real)
    tl.store(to_xyz + 3 * i + 2, tl.where(inside, gz + (uz - z * along) / far, 0.0), real)


class Project(torch.autograd.Function):
    """(centres, conics, depth, rgb, opacity, radius, visible) = apply(xyz, scales, turns, logit, sh, camera, bands,
    antialiased)"""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        tensors, (bands, antialiased) = [part.detach().contiguous() for part in inputs[:6]], inputs[6:]
        n = len(tensors[0])
        out = [tensors[0].new_empty(n, *k) for k in ((2,), (3,), (), (3,), (), ())]
        visible = torch.empty(n, dtype=torch.bool, device=out[0].device)
        ctx.kind = (n, tensors[4].shape[1], bands, antialiased, LANES)
        if n:
            _forward[(triton.cdiv(n, LANES),)](*tensors, *out, visible, *ctx.kind, enable_fp_fusion=True)
        ctx.save_for_backward(*tensors, out[1], out[3], visible)
        ctx.mark_non_differentiable(out[5], visible)
        return (*out, visible)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        given = [part.contiguous() for part in gradients[:5]]
        out = [torch.zeros_like(part) for part in saved[:5]]
        if ctx.kind[0]:
            _backward[(triton.cdiv(ctx.kind[0], LANES),)](*saved, *given, *out, *ctx.kind, enable_fp_fusion=True)
        return (*out, None, None, None)


def project(
    xyz: Tensor, scales: Tensor, turns: Tensor, logit: Tensor, sh: Tensor, view: View, bands: int, antialiased: bool
) -> tuple[Tensor, ...]:
    """The parts of a :class:`engine.nn.splatting.projection.Projected`."""
    if xyz.is_cuda and forms.has_gsplat():
        from engine.nn.splatting.cuda.gsplat import project as by_gsplat

        return by_gsplat(xyz, scales, turns, logit, sh, view, bands, antialiased)
    parts: tuple[Tensor, ...] = Project.apply(
        xyz, scales, turns, logit, sh, _camera(view, xyz.detach()), bands, antialiased
    )
    return parts
