"""Gaussian splats on screen: frames and sorting against a plain instanced draw of everything, an orbit of a million,
the settled picture against the engine's rasteriser, and a large file.

The plain draw is the same footprint, worked out at each of four corners of instances, sorted by one ``numpy.argsort``
of float32 depths on the same thread, at the screen's resolution: what a viewer without budget, lane and slices does for
every frame.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.bench.rows import Row, median
from app.bench.viewport import (
    HEIGHT,
    WIDTH,
    close,
    in_a_process,
    longest_gap,
    look,
    orbit,
    settle,
    shown_canvas,
    turned,
)
from app.start import make_app
from engine.lane import done_here
from engine.scene import Splats
from widgets.theme import theme
from widgets.viewport.canvas import Canvas

SIZES = (10_000, 100_000, 1_000_000)
ORBIT = 3.0
"""Seconds that an orbit is watched."""
FPS_BAR, PSNR_BAR, TIME_BAR, MEMORY_BAR = 10.0, 40.0, 2.0, 1.5
PAIRS = 7


def measure() -> list[Row]:
    make_app()
    theme.set_mode("dark")
    rows = []
    for n in SIZES:
        splats = ball(n)
        rows += [*sort_rows(splats), *frame_rows(splats)]
    return [*rows, *file_rows()]


def ball(n: int, seed: int = 0) -> Splats:
    """A bumpy sphere of flat splats that just cover it, their colours turning with the view (degree 1)."""
    random = np.random.default_rng(seed)
    way = random.normal(size=(n, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    xyz = way * (1 + 0.15 * np.sin(6 * way[:, :1]) * np.cos(5 * way[:, 1:2]))
    scales = random.normal(math.log(1.1 / math.sqrt(n)), 0.4, (n, 3))
    sh = np.concatenate([way[:, None] * 1.5, random.normal(0, 0.1, (n, 3, 3))], axis=1)
    return Splats(
        name="splats", xyz=xyz.astype(np.float32), scales=scales.astype(np.float32),
        turns=random.normal(size=(n, 4)).astype(np.float32), opacity=random.normal(1, 1.5, n).astype(np.float32),
        sh=sh.astype(np.float32),
    )  # fmt: skip


def milliseconds(act: Callable[[], object], times: int = 3) -> float:
    found = []
    for _ in range(times):
        begin = time.perf_counter()
        act()
        found.append((time.perf_counter() - begin) * 1e3)
    return median(found)


# ---- sorting --------------------------------------------------------------------------------------------------------


def sort_rows(splats: Splats) -> list[Row]:
    n = len(splats.xyz)
    ahead = np.array([0.6, 0.6, -0.5, 3.2])
    clip = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [*ahead[:3], 3.0], ahead])
    worth = done_here("geometry.splats.order.worth", opacity=splats.opacity, scales=splats.scales)
    budget = min(n, 20_000)

    def plain() -> object:
        return np.argsort(-(splats.xyz @ ahead[:3].astype(np.float32)))

    peer = milliseconds(plain)
    exact = milliseconds(lambda: done_here("geometry.splats.order.exact_order", xyz=splats.xyz, ahead=ahead))
    quick = milliseconds(
        lambda: done_here(
            "geometry.splats.order.quick_order", xyz=splats.xyz, worths=worth, clip=clip, ahead=ahead, budget=budget
        )
    )
    told = f"argsort of float32: {peer:.1f} ms"
    return [
        Row(f"splats: {n:,} sorted exactly", exact, "ms", told, exact / peer),
        Row(f"splats: {n:,}, the {budget:,} that count most chosen and sorted", quick, "ms", told, quick / peer),
    ]


# ---- frames ---------------------------------------------------------------------------------------------------------


def frame_rows(splats: Splats) -> list[Row]:
    """Frames while the hand turns the scene, and what follows when it lets go."""
    n = len(splats.xyz)
    plain = Plain(splats)
    peer = median([plain.frame(0.1 * k) for k in range(4)][1:]) if n < max(SIZES) else plain.frame(0.1)
    plain.free()
    canvas = shown_canvas()
    canvas.set_things([splats])
    begin = time.perf_counter()
    settle(canvas)
    opened = time.perf_counter() - begin
    canvas.interacting(True)
    orbit(canvas, 2.0)  # the budget finds its level
    fps = orbit(canvas, ORBIT) / ORBIT
    budget = canvas.pace.budget
    ours = 1e3 / max(fps, 1e-9)
    canvas.interacting(False)
    begin = time.perf_counter()
    pause = longest_gap(lambda: canvas.complete)
    whole = time.perf_counter() - begin
    large = n == max(SIZES)
    told = f"plain instances, sorted: {peer:.0f} ms"
    rows = [
        Row(f"splats: a frame of {n:,} while turned", ours, "ms", told, ours / peer),
        Row(f"splats: {n:,}, turned, budget {budget:,}", fps, "frames/s", f"{FPS_BAR:g}/s" if large else "",
            fps / FPS_BAR if large else None, f">= {FPS_BAR:g}/s" if large else "", fps >= FPS_BAR if large else None),
        Row(f"splats: {n:,}, sent and settled at first", opened, "s"),
        Row(f"splats: {n:,}, settled after turning", whole * 1e3, "ms", told, whole * 1e3 / peer),
        Row(f"splats: {n:,}, longest pause of the window meanwhile", pause * 1e3, "ms"),
    ]  # fmt: skip
    found = psnr(canvas, splats)
    close(canvas)
    return [*rows, Row(f"splats: {n:,}, settled picture against the engine's rasteriser", found, "dB", "",
                       found / PSNR_BAR, f">= {PSNR_BAR:g} dB", found >= PSNR_BAR)]  # fmt: skip


def psnr(canvas: Canvas, splats: Splats) -> float:
    """Of the picture on screen, over black, against the compiled rasteriser's; decibels over 8 bits."""
    import torch

    from engine.nn.splatting import rasterise, view_at

    canvas.set_style(type(canvas.style_)(background="#000000", grid=False, axes=False))
    camera = turned(0.7)
    look(canvas, camera)
    settle(canvas)
    shot = canvas.grab().toImage()
    pixels = np.frombuffer(shot.constBits(), np.uint8).reshape(shot.height(), shot.bytesPerLine() // 4, 4)
    ours = pixels[:, : shot.width(), 2::-1].astype(np.float64) / 255
    view = view_at(camera.eye, camera.target, camera.up, camera.fov, WIDTH, HEIGHT, near=0.1)
    xyz, scales, turns, opacity, sh = (
        torch.tensor(a) for a in (splats.xyz, splats.scales, splats.turns, splats.opacity, splats.sh)
    )
    with torch.no_grad():
        picture, _ = rasterise(xyz, scales, turns, opacity, sh, view, torch.zeros(3))
    off = ours - picture.rgb.clamp(0, 1).double().numpy()
    return -10 * math.log10(max(float((off**2).mean()), 1e-12))


INSTANCES = """
void main() {
    vec4 spot, axes;
    at = vec3(0.0);
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    if (footprint(id_of(gl_InstanceID), spot, axes, colour))
        corner(spot, axes, vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0);
}
"""


class Plain:
    """Everything, every frame: instances of four corners with the same shader, sorted on the drawing thread."""

    def __init__(self, splats: Splats) -> None:
        from widgets.viewport.drawing import gpu
        from widgets.viewport.drawing.splats import shaders as shaders_splats
        from widgets.viewport.drawing.splats.rows import Ids, Rows, packed_body, packed_tint

        self._gpu = gpu.acquire()
        self._splats, n = splats, len(splats.xyz)
        largest = self._gpu.largest
        self._body = Rows((), n, 3, "four", largest, lambda part: packed_body(splats, part))
        self._tint = Rows((), n, 3, "half", largest, lambda part: packed_tint(splats.sh, part, 3))
        for rows in (self._body, self._tint):
            rows.pump(math.inf)
        self._ids, self._vao = Ids(), gpu.Vao()
        self._target = gpu.Target(gpu.Texture(WIDTH, HEIGHT), gpu.Texture(WIDTH, HEIGHT, "depth"))
        vertex = shaders_splats.REACH + shaders_splats.FOOTPRINT + shaders_splats.CORNER + INSTANCES
        self._program = self._gpu.program(vertex, shaders_splats.SPLAT_FRAGMENT, DEGREE=1)

    def frame(self, angle: float) -> float:
        """Milliseconds until the last pixel is there."""
        from OpenGL import GL

        from widgets.viewport.camera import projection_matrix, view_matrix
        from widgets.viewport.drawing.gpu import Matrix, set_flags

        camera = turned(angle)
        view, projection = view_matrix(camera), projection_matrix(camera, WIDTH / HEIGHT, 0.1, 100.0)
        begin = time.perf_counter()
        depth = self._splats.xyz @ view[2, :3].astype(np.float32)
        self._ids.fill(np.argsort(depth).astype(np.uint32))
        self._target.bind()
        GL.glClearColor(0, 0, 0, 0)
        GL.glDepthMask(True)
        GL.glClear(GL.GL_COLOR_BUFFER_BIT | GL.GL_DEPTH_BUFFER_BIT)
        set_flags({GL.GL_BLEND: True, GL.GL_DEPTH_TEST: True})
        GL.glDepthMask(False)
        GL.glBlendFunc(GL.GL_ONE, GL.GL_ONE_MINUS_SRC_ALPHA)
        focal = projection[0, 0] * WIDTH / 2, projection[1, 1] * HEIGHT / 2
        self._program.set(
            clip_from_local=(projection @ view).view(Matrix), view_from_local=view.view(Matrix), perspective=1.0,
            screen=(float(WIDTH), float(HEIGHT)), body=0, tint=1, ids=2, body_row=self._body.per,
            tint_row=self._tint.per, tint_texels=3, first=0, there=len(depth), size=1.0, opacity=1.0, focal=focal,
            limit=(0.65 * WIDTH / focal[0], 0.65 * HEIGHT / focal[1]), seen_from=np.asarray(camera.eye),
        )  # fmt: skip
        self._body.texture.bind(0)
        self._tint.texture.bind(1)
        self._ids.bind(2)
        self._vao.bind()
        GL.glDrawArraysInstanced(GL.GL_TRIANGLE_STRIP, 0, 4, len(depth))
        GL.glFinish()
        GL.glDepthMask(True)
        return (time.perf_counter() - begin) * 1e3

    def free(self) -> None:
        from widgets.viewport.drawing import gpu

        gpu.free_all([self._body, self._tint, self._ids, self._vao, self._target])
        gpu.free_all([texture for texture in (self._target.colour, self._target.depth) if texture is not None])
        gpu.release()


# ---- a large file ---------------------------------------------------------------------------------------------------

IN_TURN = """
import json, sys
from app.bench.splats import timed_in_turn
sys.stdout.write(json.dumps(timed_in_turn(sys.argv[1], int(sys.argv[2]))))
"""
PEAK = """
import sys
from app.bench.viewport import peak_bytes
from engine.formats.scene import read_all
before = peak_bytes()
things = read_all(sys.argv[1])
sys.stdout.write(str(peak_bytes() - before))
"""


def timed_in_turn(path: str, pairs: int) -> list[tuple[float, float]]:
    """Seconds of ``numpy.fromfile`` and of ours, in turn, after a first pair; numba is loaded, as in the window."""
    import engine.formats.scene.gathering  # noqa: F401
    from engine.formats.scene import read_all

    found = []
    for _ in range(pairs + 1):
        begin = time.perf_counter()
        plain = np.fromfile(path, np.uint8)
        middle = time.perf_counter()
        del plain
        again = time.perf_counter()
        things = read_all(path)
        end = time.perf_counter()
        if not isinstance(things[0], Splats):
            raise RuntimeError(f"the reader found {type(things[0]).__name__} and no splats")
        del things
        found.append((middle - begin, end - again))
    return found[1:]


def write_ply(path: Path, n: int) -> None:
    """INRIA's columns at degree 3, 248 bytes a splat; the numbers do not matter to a reader."""
    names = ["x", "y", "z", "nx", "ny", "nz", *(f"f_dc_{k}" for k in range(3)), *(f"f_rest_{k}" for k in range(45)),
             "opacity", *(f"scale_{k}" for k in range(3)), *(f"rot_{k}" for k in range(4))]  # fmt: skip
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {n}"]
    head = "\n".join([*lines, *(f"property float {name}" for name in names), "end_header", ""])
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(head.encode())
        for begin in range(0, n, 100_000):
            rows: NDArray[np.float32] = random.random((min(100_000, n - begin), len(names)), np.float32)
            file.write(rows.tobytes())


def file_rows() -> list[Row]:
    n = max(SIZES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "splats.ply"
        write_ply(path, n)
        size = path.stat().st_size
        pairs = in_a_process(IN_TURN, path, PAIRS)
        memory = in_a_process(PEAK, path) / size
    peer, seconds = (median(list(column)) for column in zip(*pairs, strict=True))
    ratio = median([ours / plain for plain, ours in pairs])
    told = f"numpy.fromfile: {peer * 1e3:.0f} ms; the ratio is the median of {PAIRS} pairs"
    return [
        Row(f"splats: a PLY of {n:,} read", seconds * 1e3, "ms", told, ratio, f"<= {TIME_BAR:g} x", ratio <= TIME_BAR),
        Row("splats: peak memory for it", memory * size / 2**20, "MiB", f"the file: {size / 2**20:.0f} MiB", memory,
            f"<= {MEMORY_BAR:g} x", memory <= MEMORY_BAR),
    ]  # fmt: skip
