"""The 3-D viewport: frame times against vispy's own visuals drawn plainly, ten million points, a large file.

A frame is one camera position until the last pixel is there (for ours, back in the image that Qt paints; for vispy,
which needs no way back, when OpenGL is done). Both draw everything: only the ten million points keep to a budget.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QCoreApplication, QEvent, qInstallMessageHandler
from PySide6.QtWidgets import QApplication

from app.bench.rows import Row, median
from app.start import make_app
from engine.scene import Mesh, Points, Scene, Thing
from widgets.theme import theme
from widgets.viewport.camera import Camera, projection_matrix, view_matrix
from widgets.viewport.canvas import Canvas

WIDTH, HEIGHT = 1280, 720
FRAMES = 9
FPS_BAR, FIRST_BAR, TIME_BAR, MEMORY_BAR = 10.0, 1.0, 1.5, 1.3
CLOUD = 10_000_000
FILE_POINTS = 5_000_000
ORBIT = 6.0
"""Seconds that the orbit is watched."""


def measure() -> list[Row]:
    make_app()
    theme.set_mode("dark")
    rows = [row for kind, sizes in (("points", (100_000, 1_000_000)), ("triangles", (200_000, 1_000_000)))
            for n in sizes for row in frame_rows(kind, n)]  # fmt: skip
    return [*rows, *cloud_rows(), *file_rows(False), *file_rows(True)]


# ---- frames against vispy -------------------------------------------------------------------------------------------


def ball(n: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Places (n, 3) on a bumpy sphere and colours (n, 3)."""
    way = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    bumps = 1 + np.float32(0.15) * np.sin(6 * way[:, :1]) * np.cos(5 * way[:, 1:2])
    return way * bumps, ((way * 0.5 + 0.5) * 255).astype(np.uint8)


def torus(triangles: int) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """Vertices, about so many faces, and normals."""
    n = round(math.sqrt(triangles / 2))
    turn = np.arange(n) * 2 * np.pi / n
    a, b = (x.ravel() for x in np.meshgrid(turn, turn, indexing="ij"))
    normals = np.stack([np.cos(b) * np.cos(a), np.cos(b) * np.sin(a), np.sin(b)], axis=1)
    vertices = normals * 0.4 + np.stack([np.cos(a), np.sin(a), 0 * a], axis=1)
    i, j = (x.ravel() for x in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    p, q, r, s = i * n + j, (i + 1) % n * n + j, (i + 1) % n * n + (j + 1) % n, i * n + (j + 1) % n
    faces = np.concatenate([np.stack([p, q, r], 1), np.stack([p, r, s], 1)])
    return vertices.astype(np.float32), faces.astype(np.int32), normals.astype(np.float32)


def frame_rows(kind: str, n: int) -> list[Row]:
    if kind == "points":
        xyz, rgb = ball(n)
        thing: Thing = Points(name="cloud", xyz=xyz, rgb=rgb, size=2.0)
        peer, name = plain_markers(xyz, rgb), "vispy Markers"
    else:
        vertices, faces, normals = torus(n)
        thing = Mesh(name="mesh", vertices=vertices, faces=faces, normals=normals)
        peer, name = plain_mesh(vertices, faces), "vispy Mesh"
    ours = our_frames(thing)
    ratio = ours / peer
    title, told = f"viewport: a frame of {n:,} {kind}, p50", f"{name}: {peer:.1f} ms"
    return [Row(title, ours, "ms", told, ratio, "<= 1 x", ratio <= 1)]


def turned(angle: float) -> Camera:
    return Camera(eye=(3 * math.cos(angle), 3 * math.sin(angle), 1.5))


def look(canvas: Canvas, camera: Camera) -> None:
    canvas.set_camera(view_matrix(camera), projection_matrix(camera, WIDTH / HEIGHT, 0.1, 100.0))


def our_frames(thing: Thing) -> float:
    """Milliseconds of a whole picture, the median over camera positions."""
    canvas = shown_canvas()
    canvas.set_things([thing])
    settle(canvas)
    times = []
    for k in range(FRAMES + 2):
        canvas.pace.budget = 1 << 40
        look(canvas, turned(0.1 * k))
        begin = time.perf_counter()
        canvas.repaint()
        times.append((time.perf_counter() - begin) * 1e3)
    close(canvas)
    return median(times[2:])


def shown_canvas() -> Canvas:
    canvas = Canvas()
    canvas.resize(WIDTH, HEIGHT)
    canvas.set_style(replace(canvas.style_, grid=False, axes=False))
    look(canvas, turned(0.0))
    canvas.show()
    settle(canvas)
    return canvas


def settle(canvas: Canvas, seconds: float = 120.0) -> None:
    end = time.perf_counter() + seconds
    QApplication.processEvents()
    while not canvas.complete and time.perf_counter() < end:
        QApplication.processEvents()


def close(canvas: Canvas) -> None:
    canvas.close()
    canvas.deleteLater()
    QCoreApplication.sendPostedEvents(canvas, QEvent.Type.DeferredDelete)


def plain_markers(xyz: NDArray[np.float32], rgb: NDArray[np.uint8]) -> float:
    from vispy.scene.visuals import Markers

    def make(parent: Any) -> None:
        colours = np.ones((len(rgb), 4), np.float32)
        colours[:, :3] = rgb / 255
        Markers(parent=parent).set_data(xyz, size=2, edge_width=0, face_color=colours)

    return vispy_frames(make)


def plain_mesh(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> float:
    from vispy.scene.visuals import Mesh as PlainMesh

    return vispy_frames(
        lambda parent: PlainMesh(vertices, faces, color=(0.6, 0.7, 0.8, 1.0), shading="smooth", parent=parent)
    )


def vispy_frames(make: Callable[[Any], Any]) -> float:
    """Milliseconds of a frame of vispy's, by the same way round."""
    import vispy

    vispy.use("pyside6", gl="gl+")
    from vispy import gloo, scene

    qInstallMessageHandler(None)  # importing it has put one of its own there
    canvas = scene.SceneCanvas(size=(WIDTH, HEIGHT), show=True, bgcolor="#15171c")
    view = canvas.central_widget.add_view()
    view.camera = scene.cameras.TurntableCamera(fov=40, distance=3.4, elevation=27, center=(0, 0, 0))
    made = make(view.scene)
    times = []
    for k in range(FRAMES + 3):
        view.camera.azimuth = 90 + math.degrees(0.1 * k)
        canvas.set_current()
        QApplication.processEvents()
        begin = time.perf_counter()
        canvas.events.draw(region=None)
        gloo.finish()
        times.append((time.perf_counter() - begin) * 1e3)
    canvas.close()
    del made
    QApplication.processEvents()
    return median(times[3:])


# ---- ten million points ---------------------------------------------------------------------------------------------


def finished(steps: Generator[float, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def cloud_rows() -> list[Row]:
    from engine.geometry.tree import build_tree

    xyz, rgb = ball(CLOUD)
    begin = time.perf_counter()
    order, tree = finished(build_tree(xyz))
    built = time.perf_counter() - begin
    cloud = Points(name="cloud", xyz=xyz[order], rgb=rgb[order], tree=tree, size=2.0)
    del xyz, rgb, order
    begin = time.perf_counter()
    canvas = Canvas()
    canvas.resize(WIDTH, HEIGHT)
    look(canvas, turned(0.0))
    paints: list[float] = []
    canvas.drawn.connect(lambda seconds: paints.append(time.perf_counter()))
    canvas.set_things(Scene(things=(cloud,)).things)
    canvas.show()
    while not paints:
        QApplication.processEvents()
    first = time.perf_counter() - begin
    longest = longest_gap(lambda: canvas.complete)
    complete = time.perf_counter() - begin
    canvas.interacting(True)
    orbit(canvas, 2.0)  # the budget finds its level
    frames = orbit(canvas, ORBIT)
    fps, budget = frames / ORBIT, canvas.pace.budget
    canvas.interacting(False)
    refine = longest_gap(lambda: canvas.complete)
    close(canvas)
    quick, steady = first / FIRST_BAR, fps / FPS_BAR
    return [
        Row("viewport: 10M points, first picture", first, "s", f"{FIRST_BAR:g} s", quick, f"<= {FIRST_BAR:g} s",
            quick <= 1),
        Row("viewport: 10M points, all sent and drawn", complete, "s"),
        Row("viewport: 10M points, longest pause meanwhile", longest * 1e3, "ms"),
        Row(f"viewport: 10M points, orbit, {budget:,} a frame", fps, "frames/s", f"{FPS_BAR:g}/s", steady,
            f">= {FPS_BAR:g}/s", steady >= 1),
        Row("viewport: 10M points, longest pause of refining", refine * 1e3, "ms"),
        Row("viewport: 10M points, octree built", built, "s"),
    ]  # fmt: skip


def longest_gap(done: Callable[[], bool], seconds: float = 120.0) -> float:
    """The longest time between two looks at the events until ``done``."""
    last = begin = time.perf_counter()
    longest = 0.0
    while not done() and last - begin < seconds:
        QApplication.processEvents()
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest


def orbit(canvas: Canvas, seconds: float) -> int:
    """Turns the camera round for so long; how many frames were drawn."""
    drawn: list[float] = []
    canvas.drawn.connect(drawn.append)
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        look(canvas, turned(time.perf_counter() - begin))
        QApplication.processEvents()
    canvas.drawn.disconnect(drawn.append)
    return len(drawn)


# ---- a large file ---------------------------------------------------------------------------------------------------

PAIRS = 25
IN_TURN = """
import json, sys
from app.bench.viewport import timed_in_turn
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
    """Seconds of ``numpy.fromfile`` and of ours, in turn, of a file that is in the page cache after a first pair."""
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
        if len(things[0].xyz) != FILE_POINTS:  # type: ignore[attr-defined]  # it is a cloud
            raise RuntimeError(f"the reader found {things[0]} and not {FILE_POINTS:,} points")
        del things
        found.append((middle - begin, end - again))
    return found[1:]


def peak_bytes() -> float:
    """The most memory that this process has had so far, or where that is not known, what it has. (What getrusage says
    is the parent's, until a child needs more.)"""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) * 1024
    import psutil

    return float(psutil.Process().memory_info().rss)


def write_ply(path: Path, n: int, coloured: bool) -> None:
    """A little-endian binary PLY of places, 12 bytes a point, or of places and colours, 15."""
    xyz, rgb = ball(n)
    colours = [("rgb", "u1", 3)] if coloured else []
    rows = np.zeros(n, np.dtype([("xyz", "<f4", 3), *colours]))
    rows["xyz"] = xyz
    names = [f"property float {axis}" for axis in "xyz"]
    if coloured:
        rows["rgb"] = rgb
        names += [f"property uchar {c}" for c in ("red", "green", "blue")]
    head = "\n".join(["ply", "format binary_little_endian 1.0", f"element vertex {n}", *names, "end_header", ""])
    path.write_bytes(head.encode() + rows.tobytes())


def in_a_process(code: str, *arguments: object) -> Any:
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return json.loads(subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout)


def file_rows(coloured: bool) -> list[Row]:
    """Each in a process of its own: the pairs in turn, since other programs' load comes and goes, and the memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cloud.ply"
        write_ply(path, FILE_POINTS, coloured)
        size = path.stat().st_size
        pairs = in_a_process(IN_TURN, path, PAIRS)
        memory = in_a_process(PEAK, path) / size
    peer, seconds = (median(list(column)) for column in zip(*pairs, strict=True))
    ratio = median([ours / plain for plain, ours in pairs])
    kind = "places and colours" if coloured else "places"
    told = f"numpy.fromfile: {peer * 1e3:.0f} ms; the ratio is the median of {PAIRS} pairs"
    file = f"the file: {size / 2**20:.0f} MiB"
    return [
        Row(f"viewport: a PLY of {FILE_POINTS:,} {kind} read", seconds * 1e3, "ms", told, ratio,
            f"<= {TIME_BAR:g} x", ratio <= TIME_BAR),
        Row(f"viewport: peak memory for {kind}", memory * size / 2**20, "MiB", file, memory,
            f"<= {MEMORY_BAR:g} x", memory <= MEMORY_BAR),
    ]  # fmt: skip
