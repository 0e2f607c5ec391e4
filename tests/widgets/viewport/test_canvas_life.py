"""How the canvas works over time: what is sent when, budgets, pictures made bit by bit, two at once, a clean end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from engine.scene import Mesh, Points, PointTree
from widgets.viewport import canvas as canvas_module
from widgets.viewport.canvas import Canvas, Style
from widgets.viewport.lod import Pace, choose, consecutive_blocks, next_budget, ranges, strided_blocks

PLAIN = Style(light="none", background="#000000", grid=False, axes=False)


def seen_from(distance: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    view, projection = np.eye(4), np.zeros((4, 4))
    view[2, 3] = -distance
    projection[0, 0] = projection[1, 1] = 2.0
    projection[2, 2], projection[2, 3], projection[3, 2] = -1.002, -0.2002, -1
    return view, projection


@pytest.fixture
def make(qtbot: QtBot) -> Callable[..., Canvas]:
    def build(width: int = 160, height: int = 120, parent: QWidget | None = None) -> Canvas:
        canvas = Canvas(parent)
        if parent is None:
            qtbot.addWidget(canvas)
        canvas.resize(width, height)
        canvas.set_style(PLAIN)
        canvas.set_camera(*seen_from(4.0))
        if parent is None:
            with qtbot.waitExposed(canvas):
                canvas.show()
            QCoreApplication.processEvents()
        if canvas.failed:
            pytest.skip(canvas.failed)
        return canvas

    return build


def complete(canvas: Canvas, seconds: float = 15.0) -> int:
    """Paints until nothing is missing; how many paints that took."""
    paints: list[float] = []
    canvas.drawn.connect(paints.append)
    end = time.monotonic() + seconds
    while not canvas.complete:
        assert time.monotonic() < end
        QCoreApplication.processEvents()
    canvas.drawn.disconnect(paints.append)
    return len(paints)


def tree_of(levels: int = 4, per_node: int = 50) -> tuple[NDArray[np.float32], PointTree]:
    """A full octree over the cube -1..1, each node with points of its own, level by level."""
    rng = np.random.default_rng(0)
    centres, halves, parents = [np.zeros(3)], [1.0], [-1]
    first = 0
    for _ in range(levels - 1):
        last = len(centres)
        for node in range(first, last):
            for k in range(8):
                centres.append(centres[node] + (np.array([k & 1, k >> 1 & 1, k >> 2 & 1]) - 0.5) * halves[node])
                halves.append(halves[node] / 2)
                parents.append(node)
        first = last
    half, centre = np.asarray(halves, np.float32), np.asarray(centres, np.float32)
    n = len(half)
    xyz = (centre[:, None] + rng.uniform(-1, 1, (n, per_node, 3)) * half[:, None, None]).astype(np.float32)
    tree = PointTree(
        start=np.arange(n) * per_node, count=np.full(n, per_node), parent=np.asarray(parents), centre=centre, half=half,
        spacing=half * np.float32(2 / per_node ** (1 / 3)),
    )  # fmt: skip
    return xyz.reshape(-1, 3), tree


# ---- levels of detail -----------------------------------------------------------------------------------------------


def test_the_choice_keeps_to_the_budget_and_takes_parents_first() -> None:
    _, tree = tree_of()
    view, projection = seen_from(3.0)
    last: set[int] = set()
    for budget in (50, 1000, 10_000, 10**9):
        nodes = choose(tree, projection @ view, 1000, budget)
        assert tree.count[nodes].sum() <= budget
        taken: set[int] = set()
        for node in nodes.tolist():
            assert tree.parent[node] in taken or node == 0
            taken.add(node)
        assert last <= taken  # a smaller budget's choice is a part of a larger one's
        last = taken
    assert len(last) == len(tree.half)


def test_the_choice_leaves_out_what_is_not_in_view_and_what_is_finer_than_the_pixels() -> None:
    xyz, tree = tree_of()
    view, projection = seen_from(3.0)
    view[0, 3] = 2.5  # the cube is to the right of the middle: its far right is cut off
    nodes = choose(tree, projection @ view, 1000, 10**9)
    clip = np.c_[xyz.astype(np.float64), np.ones(len(xyz))] @ (projection @ view).T
    inside = (np.abs(clip[:, :2]) <= clip[:, 3:]).all(1)
    owner = np.repeat(np.arange(len(tree.half)), tree.count)
    assert set(owner[inside].tolist()) <= set(nodes.tolist())
    assert len(nodes) < 0.9 * len(tree.half)
    counts = [len(choose(tree, projection @ seen_from(d)[0], 500, 10**9)) for d in (3.0, 30.0, 300.0, 3000.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 1


def test_nearer_nodes_come_before_farther_ones_of_the_same_level() -> None:
    _, tree = tree_of(3)
    view, projection = seen_from(1.6)
    nodes = choose(tree, projection @ view, 1000, 10**9).tolist()
    near, far = (min(nodes.index(k) for k in range(9, 73) if tree.centre[k, 2] == z) for z in (0.75, -0.75))
    assert near < far


def test_ranges_join_neighbours_and_end_where_the_points_end() -> None:
    first, count = ranges(np.array([100, 0, 50, 300]), np.array([50, 50, 50, 100]), 320)
    assert first.tolist() == [0, 300]
    assert count.tolist() == [150, 20]
    assert len(ranges(np.array([10]), np.array([5]), 10)[0]) == 0


@pytest.mark.parametrize("n", [0, 1, 7, 1000, 1023, 4097])
def test_blocks_hold_every_row_once_and_a_prefix_of_the_strided_is_spread_out(n: int) -> None:
    for blocks in (consecutive_blocks(n, 100), strided_blocks(n, 100)):
        rows = np.concatenate([np.arange(n)[block] for block in blocks]) if blocks else np.arange(0)
        assert np.array_equal(np.sort(rows), np.arange(n))
    if n >= 1000:
        half = np.concatenate(
            [np.arange(n)[block] for block in strided_blocks(n, 100)[: len(strided_blocks(n, 100)) // 2]]
        )
        assert np.diff(np.sort(half)).max() <= 4


def test_the_budget_follows_the_root_of_the_time_and_rests_near_the_target() -> None:
    assert next_budget(100_000, 0.16, 0.04) == 50_000
    assert next_budget(100_000, 0.01, 0.04) == 200_000
    assert next_budget(100_000, 0.044, 0.04) == next_budget(100_000, 0.034, 0.04) == 100_000
    pace = Pace(0.04)
    for _ in range(40):  # a machine that draws 500,000 points a second over 10 ms for the frame itself
        pace.learn(pace.budget, 0.01 + pace.budget / 500_000, whole=True, moving=True)
    assert 0.8 * 0.04 <= 0.01 + pace.budget / 500_000 <= 1.2 * 0.04
    slow = Pace(0.04)
    for _ in range(20):  # pixels are what takes the time
        slow.learn(1000, 0.1 * slow.factor**2, whole=True, moving=True)
    assert 0.5 <= slow.factor <= 0.75


# ---- sending and drawing bit by bit ---------------------------------------------------------------------------------


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    from widgets.viewport.drawing import gpu

    sent: list[int] = []
    plain = gpu.Buffer.fill

    def fill(self: Any, offset: int, rows: Any) -> None:
        sent.append(rows.nbytes)
        plain(self, offset, rows)

    monkeypatch.setattr(gpu.Buffer, "fill", fill)
    return sent


def test_an_array_that_is_the_same_object_is_not_sent_again(
    make: Callable[..., Canvas], monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas = make()
    xyz = np.zeros((1000, 3), np.float32)
    rgb = np.zeros((1000, 3), np.uint8)
    sent = counted(monkeypatch)
    canvas.set_things([Points(name="p", xyz=xyz, rgb=rgb)])
    complete(canvas)
    assert sum(sent) == 15_000
    sent.clear()
    canvas.set_things([Points(name="p", xyz=xyz, rgb=rgb.copy())])
    complete(canvas)
    assert sum(sent) == 3000
    sent.clear()
    canvas.set_camera(*seen_from(5.0))
    canvas.set_opacity("p", 0.5)
    canvas.set_things([Points(name="p", xyz=xyz, rgb=canvas.things[0].rgb, size=9)])
    complete(canvas)
    assert sent == []


def test_a_large_cloud_comes_bit_by_bit_while_the_window_stays_awake(
    make: Callable[..., Canvas], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canvas_module, "UPLOAD", 0.0)  # one block a paint
    canvas = make()
    rng = np.random.default_rng(0)
    xyz = rng.uniform(-1, 1, (400_000, 3)).astype(np.float32)
    canvas.set_things([Points(name="p", xyz=xyz, size=1)])
    paints = complete(canvas)
    assert paints >= 7
    assert canvas.bounds() == (pytest.approx(xyz.min(0)), pytest.approx(xyz.max(0)))


def test_what_was_complete_stays_until_its_replacement_is(
    make: Callable[..., Canvas], monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas = make()
    one = np.zeros((1, 3), np.float32)
    canvas.set_things([Points(name="p", xyz=one, size=20, colour="#ff0000")])
    complete(canvas)
    monkeypatch.setattr(canvas_module, "UPLOAD", 0.0)
    many = np.full((400_000, 3), 0.9, np.float32)
    canvas.set_things([Points(name="p", xyz=many, size=20, colour="#ff0000")])
    canvas.repaint()
    assert canvas.grab().toImage().pixelColor(80, 60).red() > 200
    complete(canvas)
    assert canvas.grab().toImage().pixelColor(80, 60).red() < 50


def test_a_moving_hand_gets_a_part_and_a_still_one_the_whole(make: Callable[..., Canvas]) -> None:
    canvas = make()
    xyz, tree = tree_of(5, 100)
    canvas.set_things([Points(name="p", xyz=xyz, size=1, tree=tree)])
    complete(canvas)
    painter: Any = canvas._inside.painter
    item = painter.items["p"]
    canvas.pace.budget = 20_000
    canvas.interacting(True)
    canvas.set_camera(*seen_from(3.0))
    canvas.repaint()
    assert 0 < item._all <= 20_000
    assert painter.rest == 0
    canvas.interacting(False)
    canvas.pace.budget = 20_000
    paints = complete(canvas)
    assert item._all > 100_000
    assert item.rest == 0
    assert paints >= 3


def test_a_picture_made_in_pieces_is_the_one_made_at_once(make: Callable[..., Canvas]) -> None:
    canvas = make()
    rng = np.random.default_rng(1)
    xyz, rgb = rng.uniform(-1, 1, (30_000, 3)).astype(np.float32), rng.integers(0, 255, (30_000, 3)).astype(np.uint8)
    canvas.set_things([Points(name="p", xyz=xyz, rgb=rgb, size=2)])
    complete(canvas)
    canvas.pace.budget = 1 << 30
    canvas.redraw()
    canvas.repaint()
    canvas._again.stop()
    whole = canvas._image.copy() if canvas._image else None
    painter = canvas._inside.painter
    assert painter is not None
    canvas.redraw()
    pieces = 0
    while canvas._dirty or canvas._next == "full" or painter.rest > 0:
        canvas.pace.budget = 7000
        canvas.repaint()
        pieces += painter.rest > 0
    assert pieces >= 3
    canvas._again.stop()
    canvas._next = ""
    assert canvas._image == whole


def test_large_meshes_get_their_normals_from_the_view_lane(make: Callable[..., Canvas], qtbot: QtBot) -> None:
    canvas = make()
    n = 160
    x, y = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n))
    vertices = np.stack([x, y, 0.3 * x * x], -1).reshape(-1, 3).astype(np.float32)
    a = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).reshape(-1)
    faces = np.concatenate([np.stack([a, a + 1, a + n + 1], 1), np.stack([a, a + n + 1, a + n], 1)]).astype(np.int32)
    canvas.set_things([Mesh(name="m", vertices=vertices, faces=faces)])
    item: Any = canvas._inside.painter.items["m"] if canvas._inside.painter else None
    qtbot.waitUntil(lambda: "normal" in item.shown, timeout=5000)
    complete(canvas)
    canvas.set_things([Mesh(name="m", vertices=vertices, faces=faces, wireframe=True)])
    assert not item.lacks_normals


def test_a_camera_that_moves_sees_a_coarser_mesh_of_what_is_kept(
    make: Callable[..., Canvas], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from widgets.viewport.drawing import mesh as mesh_module

    monkeypatch.setattr(mesh_module, "COARSE_FROM", 10_000)
    canvas = make()
    n = 200
    x, y = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n))
    vertices = np.stack([x, y, 0 * x], -1).reshape(-1, 3).astype(np.float32)
    a = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).reshape(-1)
    faces = np.concatenate([np.stack([a, a + 1, a + n + 1], 1), np.stack([a, a + n + 1, a + n], 1)]).astype(np.int32)
    canvas.set_mask("m", vertices[faces].mean(1)[:, 0] < 0)
    canvas.set_things([Mesh(name="m", vertices=vertices, faces=faces, shading="none", colour="#ff0000")])
    painter: Any = canvas._inside.painter
    item = painter.items["m"]
    qtbot.waitUntil(lambda: "coarse" in item.shown, timeout=5000)
    complete(canvas)
    still = canvas.grab().toImage()
    canvas.pace.budget = 5000
    canvas.interacting(True)
    canvas.redraw()
    canvas.repaint()
    assert item._all < len(faces) / 4
    moving = canvas.grab().toImage()
    canvas.interacting(False)
    for column, kept in ((60, True), (100, False)):  # the left half is kept
        for image in (still, moving):
            assert (image.pixelColor(column, 60).red() > 128) == kept


# ---- one and two, beginning and end ---------------------------------------------------------------------------------


def test_two_canvases_at_once_draw_their_own_and_share_the_context(qtbot: QtBot, make: Callable[..., Canvas]) -> None:
    from widgets.viewport.drawing import gpu

    window = QWidget()
    qtbot.addWidget(window)
    row = QHBoxLayout(window)
    left, right = make(parent=window), make(parent=window)
    for canvas, colour in ((left, "#ff0000"), (right, "#00ff00")):
        row.addWidget(canvas)
        canvas.set_things([Points(name="p", xyz=np.zeros((1, 3), np.float32), size=30, colour=colour)])
    window.resize(400, 200)
    with qtbot.waitExposed(window):
        window.show()
    complete(left)
    complete(right)
    for canvas, channel in ((left, "red"), (right, "green")):
        colour_seen = canvas.grab().toImage().pixelColor(canvas.rect().center())
        assert getattr(colour_seen, channel)() > 200
        assert colour_seen.lightness() < 160
    assert len(gpu._shared) == 1
    left.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    right.set_camera(*seen_from(5.0))
    complete(right)
    assert right.grab().toImage().pixelColor(right.rect().center()).green() > 200
    right.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert gpu._shared == []


def test_things_that_go_free_their_buffers(make: Callable[..., Canvas], monkeypatch: pytest.MonkeyPatch) -> None:
    from widgets.viewport.drawing import gpu

    alive: set[int] = set()
    plain_init, plain_free = gpu.Buffer.__init__, gpu.Buffer.free

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        plain_init(self, *args, **kwargs)
        alive.add(self.handle)

    def free(self: Any) -> None:
        alive.discard(self.handle)
        plain_free(self)

    canvas = make()
    monkeypatch.setattr(gpu.Buffer, "__init__", init)
    monkeypatch.setattr(gpu.Buffer, "free", free)
    for k in range(5):
        xyz = np.random.default_rng(k).normal(size=(500, 3)).astype(np.float32)
        canvas.set_things([Points(name="p", xyz=xyz), Points(name=f"q{k}", xyz=xyz, normals=xyz)])
        complete(canvas)
    assert len(alive) == 3
    canvas.set_things([])
    complete(canvas)
    assert alive == set()


def test_a_moved_canvas_draws_on_in_its_new_window(qtbot: QtBot, make: Callable[..., Canvas]) -> None:
    canvas = make()
    canvas.set_things([Points(name="p", xyz=np.zeros((1, 3), np.float32), size=30, colour="#ff0000")])
    complete(canvas)
    window = QWidget()
    qtbot.addWidget(window)
    QHBoxLayout(window).addWidget(canvas)
    window.resize(300, 240)
    with qtbot.waitExposed(window):
        window.show()
    complete(canvas)
    assert canvas.grab().toImage().pixelColor(canvas.rect().center()).red() > 200


def test_without_opengl_there_is_one_line_and_no_crash(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    from widgets.viewport.drawing import gpu

    def refuse() -> Any:
        raise gpu.TooOld("3-D scenes need OpenGL 3.3 and this display offers 2.1.")

    monkeypatch.setattr(gpu, "acquire", refuse)
    canvas = Canvas()
    qtbot.addWidget(canvas)
    told: list[str] = []
    canvas.notice.connect(told.append)
    canvas.set_things([Points(name="p", xyz=np.zeros((1, 3), np.float32))])
    with qtbot.waitExposed(canvas):
        canvas.show()
    canvas.repaint()
    canvas.repaint()
    assert told == ["3-D scenes need OpenGL 3.3 and this display offers 2.1."]
    assert canvas.read_depth(5, 5) is None
    assert canvas.bounds() is None
    with pytest.raises(RuntimeError, match=r"need OpenGL 3\.3"):
        canvas.render_image(10, 10)


def test_a_hidden_canvas_can_still_make_a_picture(qtbot: QtBot) -> None:
    canvas = Canvas()
    qtbot.addWidget(canvas)
    canvas.set_style(PLAIN)
    canvas.set_camera(*seen_from(4.0))
    canvas.set_things([Points(name="p", xyz=np.zeros((1, 3), np.float32), size=30, colour="#ff0000")])
    try:
        image = canvas.render_image(60, 40)
    except RuntimeError as error:
        pytest.skip(str(error))
    assert image.shape == (40, 60, 4)
    assert image[20, 30].tolist() == [255, 0, 0, 255]


def test_smooth_edges_wait_until_nothing_is_renewed_any_more(
    make: Callable[..., Canvas], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture of four times the pixels is not drawn between two answers of a slider that is dragged."""
    monkeypatch.setattr(canvas_module, "FINE_BELOW", 1e9)
    monkeypatch.setattr(canvas_module, "FINE_AFTER", 400)
    canvas = make()
    corners = np.float32([[-1, -1, 0], [1, -1, 0], [0, 1, 0]])
    faces = np.int32([[0, 1, 2]])
    for k in range(6):
        canvas.set_things((Mesh(name="m", vertices=corners + np.float32(0.01 * k), faces=faces),))
        end = time.monotonic() + 0.02
        while time.monotonic() < end:
            QCoreApplication.processEvents()
        assert canvas._inside.stage is not None
        assert canvas._inside.stage.size[:2] == (160, 120)
    assert complete(canvas) == 1
    assert canvas._inside.stage.size[:2] == (320, 240)
