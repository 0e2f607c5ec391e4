"""Planes on the screen: what lies where, zoom and movement, heat and arrows the right way up, contours, failures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine.formats import planes_picture
from engine.payloads import Plane, PlaneFrames, Planes
from widgets.theme import LABELS, theme
from widgets.views import view_for
from widgets.views.images import from_qimage
from widgets.views.planes import parts as planes_parts
from widgets.views.planes.canvas import PlanesCanvas
from widgets.views.planes.paint import arrow_heads
from widgets.views.planes.parts import contour_lines, heat_image, path_of, prepare
from widgets.views.planes.view import PlaneFramesView, PlanesView

SQUARE = (-2.0, 2.0, -2.0, 2.0)
NONE = Qt.KeyboardModifier.NoModifier
LEFT = Qt.MouseButton.LeftButton


def made(qtbot: QtBot, *planes: Plane, width: int = 500, height: int = 420) -> PlanesView:
    view = PlanesView()
    qtbot.addWidget(view)
    view.resize(width, height)
    with qtbot.waitExposed(view):
        view.show()
    view.show_payload(Planes(planes), 3)
    return view


@pytest.fixture(autouse=True)
def _dark() -> Iterator[None]:
    before = theme.mode
    yield
    if theme.mode != before:
        theme.set_mode(before)


def place(canvas: PlanesCanvas, index: int, x: float, y: float) -> QPoint:
    px, py = canvas.frames()[index].to_pixels(np.array([[x, y]]))[0]
    return QPoint(round(px), round(py))


def colour_at(canvas: PlanesCanvas, at: QPoint) -> QColor:
    image = canvas.picture()
    return image.pixelColor(at * image.devicePixelRatio())


def test_both_payloads_have_their_views() -> None:
    assert view_for(Planes) is PlanesView
    assert view_for(PlaneFrames) is PlaneFramesView


def test_points_lie_where_they_should_in_their_labels_colour(qtbot: QtBot) -> None:
    points = np.array([[1.0, 1.5], [-1.0, -0.5]])
    view = made(qtbot, Plane(SQUARE, points=points, labels=np.array([3, 12])))
    box = view.canvas.frames()[0].box
    assert box.width() == box.height()
    for (x, y), label in zip(points, (3, 2), strict=True):
        at = QPoint(round(box.left() + (x + 2) / 4 * box.width()), round(box.bottom() - (y + 2) / 4 * box.height()))
        assert colour_at(view.canvas, at) == QColor(LABELS[label])
    assert colour_at(view.canvas, place(view.canvas, 0, 1.0, -1.5)) == QColor(theme.colours.plot)


def test_points_of_no_class_are_in_the_accent(qtbot: QtBot) -> None:
    view = made(qtbot, Plane(SQUARE, points=np.array([[0.0, 0.0]])))
    assert colour_at(view.canvas, place(view.canvas, 0, 0, 0)) == QColor(theme.colours.accent)


def test_scale_is_equal_along_both_axes(qtbot: QtBot) -> None:
    view = made(qtbot, Plane((0.0, 4.0, 0.0, 1.0)))
    box = view.canvas.frames()[0].box
    assert box.width() / box.height() == pytest.approx(4, rel=0.02)
    assert box.right() <= view.canvas.width()


def test_planes_take_the_arrangement_that_makes_them_largest(qtbot: QtBot) -> None:
    planes = [Plane(SQUARE, title=str(i)) for i in range(2)]
    wide = made(qtbot, *planes, width=900, height=420).canvas.frames()
    assert wide[0].box.top() == wide[1].box.top()
    assert wide[0].box.right() < wide[1].box.left()
    tall = made(qtbot, *planes, width=300, height=600).canvas.frames()
    assert tall[0].box.bottom() < tall[1].box.top()


# ---- heat and contours --------------------------------------------------------------------------------------------


def test_row_0_of_the_heat_is_at_the_bottom(qtbot: QtBot) -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[0, 7] = 1.0  # x high, y low
    image = from_qimage(heat_image(heat))[0]
    assert image[7, 7, 0] > 0.9
    assert image[0, 7, 0] < 0.4
    view = made(qtbot, Plane(SQUARE, heat=heat, heat_name="true density"))
    bright, dark = (colour_at(view.canvas, place(view.canvas, 0, 1.75, y)) for y in (-1.75, 1.75))
    assert bright.red() > 200 > dark.red()
    assert dark == QColor(planes_parts.VIRIDIS[0])
    spot = QPointF(place(view.canvas, 0, 1.75, -1.75))
    assert "true density 1.000" in view.canvas.words(0, spot)


def test_viridis_and_labels_are_the_same_in_files() -> None:
    assert planes_picture.VIRIDIS == planes_parts.VIRIDIS
    assert planes_picture.LABELS == LABELS
    heat = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    ours = np.round(from_qimage(heat_image(heat))[0] * 255)
    assert np.abs(ours - planes_picture.heat_pixels(heat)).max() <= 2


def test_contours_of_a_cone_are_circles() -> None:
    centre = (np.arange(96) + 0.5) / 96 - 0.5
    radius = np.hypot(centre[None, :], centre[:, None])
    lines = contour_lines(np.clip(0.5 - radius, 0, None), levels=(0.5,))
    away = np.hypot(lines[:, 0] - 0.5, lines[:, 1] - 0.5)
    top = (0.5 - radius).max()
    assert away == pytest.approx(np.full(len(lines), 0.5 - 0.5 * top), abs=1e-3)
    length = np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1]).sum()
    assert length == pytest.approx(2 * np.pi * (0.5 - 0.5 * top), rel=0.01), "the circle is closed"


def test_contours_of_a_saddle_and_of_nothing() -> None:
    z = np.zeros((2, 2))
    assert contour_lines(z).shape == (0, 4)
    assert len(contour_lines(np.array([[1.0, 0.0], [0.0, 1.0]]), levels=(0.5,))) == 2
    up = contour_lines(np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]), levels=(0.5,))  # between rows 1 and 2
    assert up[:, [1, 3]] == pytest.approx(np.full((1, 2), 2 / 3))


def test_contours_are_cheap_and_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    density = np.random.default_rng(0).random((96, 96))
    best = 1.0
    for _ in range(5):
        begin = time.thread_time()
        contour_lines(np.sort(density, axis=0))
        best = min(best, time.thread_time() - begin)
    assert best < 0.01
    calls = []
    plain = planes_parts.contour_lines
    monkeypatch.setattr(planes_parts, "contour_lines", lambda z: calls.append(1) or plain(z))
    for _ in range(3):
        prepare(Plane(SQUARE, contours=density))
    assert calls == [1]


# ---- arrows, trails -----------------------------------------------------------------------------------------------


def test_an_arrow_points_up_where_dy_is_positive(qtbot: QtBot) -> None:
    view = made(qtbot, Plane(SQUARE, arrows=np.array([[0.0, 0.0, 0.0, 7.0]])))
    canvas = view.canvas
    image, ground = canvas.picture(), QColor(theme.colours.plot)
    at = place(canvas, 0, 0, 0)
    ratio = image.devicePixelRatio()
    above = [image.pixelColor((at + QPoint(dx, -10)) * ratio) != ground for dx in (-1, 0, 1)]
    below = [image.pixelColor((at + QPoint(dx, 10)) * ratio) != ground for dx in (-1, 0, 1)]
    assert any(above)
    assert not any(below)


def test_heads_open_backwards() -> None:
    heads = arrow_heads(np.array([[10.0, 10.0], [0.0, 0.0]]), np.array([[20.0, 0.0], [1.0, 0.0]]))
    assert heads.shape == (1, 3, 2), "the short one has none"
    assert tuple(heads[0, 1]) == (30.0, 10.0)
    assert (heads[0, [0, 2], 0] < 30).all()
    assert heads[0, 0, 1] + heads[0, 2, 1] == pytest.approx(20.0)
    assert heads[0, 0, 1] != heads[0, 2, 1]


def test_arrows_are_scaled_by_the_longest_and_thinned() -> None:
    arrows = np.array([[0, 0, 30.0, 40.0], [1, 1, 3.0, 4.0], [0, 0, np.nan, 1.0]])
    assert prepare(Plane(SQUARE, arrows=arrows)).arrows[:, 2:] == pytest.approx(np.array([[0.6, 0.8], [0.06, 0.08]]))
    assert len(prepare(Plane(SQUARE, arrows=np.ones((5000, 4)))).arrows) <= 600
    assert prepare(Plane(SQUARE, arrows=np.zeros((3, 4)))).arrows[:, 2:].max() == 0


def test_trails_are_fainter_at_their_beginning(qtbot: QtBot) -> None:
    trail = np.stack([np.linspace(-1.5, 1.5, 40), np.zeros(40)], axis=1)[None]
    view = made(qtbot, Plane(SQUARE, trails=trail, labels=np.array([1]), points=np.array([[1.5, 0.0]])))
    image, ground = view.canvas.picture(), QColor(theme.colours.plot)

    def strength(x: float) -> int:
        at = place(view.canvas, 0, x, 0)
        column = [image.pixelColor((at + QPoint(0, dy)) * image.devicePixelRatio()).red() for dy in (-1, 0, 1)]
        return max(column) - ground.red()

    assert 5 < strength(-1.2) < strength(0.0) < strength(1.2)


def test_paths_leave_gaps_for_what_is_not_finite() -> None:
    line = np.array([[0.0, 0.0], [1.0, 0.0], [np.nan, 0.0], [3.0, 0.0], [4.0, 5.0]])
    path = path_of(line[None])
    kinds = [(path.elementAt(i).isMoveTo(), path.elementAt(i).x) for i in range(path.elementCount())]
    assert kinds == [(True, 0.0), (False, 1.0), (True, 3.0), (False, 4.0)]
    two = path_of(np.arange(12.0).reshape(2, 3, 2))
    assert [two.elementAt(i).isMoveTo() for i in range(6)] == [True, False, False, True, False, False]
    assert two.elementAt(5).y == 11.0
    assert path_of(np.zeros((0, 3, 2))).isEmpty()


# ---- hands --------------------------------------------------------------------------------------------------------


def wheel(canvas: PlanesCanvas, at: QPoint, delta: int) -> None:
    where = QPointF(at)
    event = QWheelEvent(
        where, where, QPoint(), QPoint(0, delta), Qt.MouseButton.NoButton, NONE, Qt.ScrollPhase.NoScrollPhase, False
    )
    QApplication.sendEvent(canvas, event)


def test_the_wheel_zooms_around_the_mouse_all_planes_of_an_extent(qtbot: QtBot) -> None:
    view = made(qtbot, Plane(SQUARE), Plane(SQUARE), Plane((0.0, 1.0, 0.0, 1.0)), width=900)
    canvas = view.canvas
    at = place(canvas, 1, 1.0, 0.5)
    before = canvas.frames()[1].to_plane(QPointF(at))
    wheel(canvas, at, 480)
    frames = canvas.frames()
    assert frames[1].to_plane(QPointF(at)) == pytest.approx(before)
    share = 1.0015**-480
    assert frames[1].shown[1] - frames[1].shown[0] == pytest.approx(4 * share)
    assert frames[0].shown == frames[1].shown
    assert frames[2].shown == (0, 1, 0, 1)
    wheel(canvas, at, -4800)
    assert canvas.frames()[0].shown == SQUARE, "nothing beyond the extent"


def test_dragging_moves_and_a_double_click_shows_all(qtbot: QtBot) -> None:
    view = made(qtbot, Plane(SQUARE, points=np.array([[0.0, 0.0]])))
    canvas = view.canvas
    canvas.zoom_at(0, QPointF(place(canvas, 0, 0, 0)), 0.25)
    start = place(canvas, 0, 0.0, 0.0)
    end = start + QPoint(40, -30)
    QTest.mousePress(canvas, LEFT, NONE, start)
    QTest.mouseMove(canvas, end)
    QTest.mouseRelease(canvas, LEFT, NONE, end)
    moved = place(canvas, 0, 0.0, 0.0)
    assert abs(moved.x() - end.x()) <= 1
    assert abs(moved.y() - end.y()) <= 1
    assert colour_at(canvas, moved) == QColor(theme.colours.accent)
    view.show_payload(Planes((Plane((-3.0, 3.0, -3.0, 3.0)),)), 4)
    assert canvas.frames()[0].shown != (-3, 3, -3, 3), "a zoom survives news from training"
    QTest.mouseDClick(canvas, LEFT, NONE, end)
    assert canvas.frames()[0].shown == (-3, 3, -3, 3)
    canvas.setFocus()
    QTest.keyClick(canvas, Qt.Key.Key_Plus)
    assert canvas.frames()[0].shown == pytest.approx((-2.4, 2.4, -2.4, 2.4))
    view.fit()
    assert canvas.frames()[0].shown == (-3, 3, -3, 3)


def test_the_mouse_reads_coordinates_and_the_nearest_point(qtbot: QtBot) -> None:
    points = np.array([[1.0, 1.0], [-1.0, 1.0], [np.nan, 0.0]])
    view = made(qtbot, Plane(SQUARE, points=points, labels=np.array([4, 7, 0]), axes=("PC 1", "PC 2")))
    canvas = view.canvas
    near = place(canvas, 0, -1.0, 1.0) + QPoint(3, 3)
    assert canvas.nearest(0, QPointF(near)) == 1
    words = canvas.words(0, QPointF(near))
    assert words[0].startswith("PC 1 −0.9")
    assert words[1:] == ["point 1, class 7"]
    assert canvas.nearest(0, QPointF(place(canvas, 0, 0.0, 0.0))) is None
    QTest.mouseMove(canvas, near)
    canvas.grab()


def test_few_points_are_shown_as_their_pictures(qtbot: QtBot) -> None:
    thumbs = np.full((2, 8, 8, 3), (250, 10, 20), np.uint8)
    points = np.array([[0.0, 0.0], [1.0, 1.0]])
    view = made(qtbot, Plane(SQUARE, points=points, thumbs=thumbs))
    assert colour_at(view.canvas, place(view.canvas, 0, 1.0, 1.0)) == QColor(250, 10, 20)
    many = np.random.default_rng(0).uniform(-1, 1, (80, 2))
    view.show_payload(Planes((Plane(SQUARE, points=many, thumbs=np.repeat(thumbs[:1], 80, axis=0)),)), 3)
    assert colour_at(view.canvas, place(view.canvas, 0, *many[-1])) == QColor(theme.colours.accent)
    QTest.mouseMove(view.canvas, place(view.canvas, 0, *many[-1]))
    seen = from_qimage(view.canvas.grab().toImage())[0]
    red = (np.abs(seen - np.array([250, 10, 20]) / 255) < 0.01).all(axis=2)
    assert red.sum() > 1000, "the picture of the point under the mouse"


@pytest.mark.parametrize(
    ("planes", "says"),
    [
        ((), "no planes"),
        ((Plane((1.0, 1.0, 0.0, 1.0)),), "extent"),
        ((Plane(SQUARE, points=np.zeros((3, 3))),), "points must be N × 2"),
        ((Plane(SQUARE, points=np.zeros((3, 2)), labels=np.zeros(2)),), "3 points and labels"),
        ((Plane(SQUARE, points=np.zeros((3, 2)), trails=np.zeros((2, 5, 2))),), "Trails must be 3"),
        ((Plane(SQUARE, heat=np.zeros(5)),), "heat must be rows"),
        ((Plane(SQUARE, arrows=np.zeros((4, 2))),), "arrows must be N × 4"),
        ((Plane(SQUARE, points=np.zeros((3, 2)), thumbs=np.zeros((2, 4, 4, 1), np.uint8)),), "2 pictures"),
    ],
)
def test_what_does_not_fit_is_a_card(qtbot: QtBot, planes: tuple[Plane, ...], says: str) -> None:
    view = made(qtbot, *planes)
    assert view.card.isVisible()
    assert says in view.card.texts[1]


def test_empty_arrays_and_strange_numbers_are_drawn(qtbot: QtBot) -> None:
    nothing = np.zeros((0, 2))
    empty = Plane(SQUARE, backdrop=nothing, arrows=np.zeros((0, 4)), points=nothing, trails=np.zeros((0, 5, 2)))
    nan = np.full((4, 2), np.nan)
    strange = Plane(
        SQUARE, heat=np.full((4, 4), np.nan), contours=np.full((4, 4), np.inf), backdrop=nan, points=nan,
        trails=np.full((4, 1, 2), np.nan), arrows=np.full((3, 4), np.inf),
    )  # fmt: skip
    many = Plane(SQUARE, points=np.random.default_rng(0).normal(size=(13_000, 2)), trails=np.zeros((13_000, 3, 2)))
    view = made(qtbot, empty, strange, many)
    assert not view.card.isVisible()
    theme.set_mode("light")
    view.grab()
    theme.set_mode("dark")
    view.resize(60, 40)
    view.grab()
    view.clear()
    assert view.canvas.frames() == []


def busy_plane() -> Plane:
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.linspace(-1.9, 1.9, 24)] * 2), axis=-1).reshape(-1, 2)
    trails = np.cumsum(rng.normal(0, 0.05, (400, 50, 2)), axis=1)
    return Plane(
        SQUARE, heat=rng.random((96, 96)), arrows=np.concatenate([grid, grid[:, ::-1]], axis=1), trails=trails,
        points=trails[:, -1], labels=rng.integers(0, 10, 400),
    )  # fmt: skip


def test_a_repaint_of_a_busy_plane_fits_in_a_frame(qtbot: QtBot) -> None:
    canvas = made(qtbot, busy_plane(), width=900, height=450).canvas
    times = []
    for _ in range(8):
        canvas.redraw()
        begin = time.thread_time()
        canvas.repaint()
        times.append(time.thread_time() - begin)
    assert min(times) < 0.016
    times = []
    for _ in range(5):
        begin = time.thread_time()
        canvas.repaint()
        times.append(time.thread_time() - begin)
    assert min(times) < 0.003, "what stands still is not drawn again under a moving mouse"


# ---- the timeline -------------------------------------------------------------------------------------------------


def moment(i: int, total: int = 5) -> PlaneFrames:
    plane = Plane(SQUARE, title="x", points=np.array([[-1.5 + 3 * i / (total - 1), 0.5]]))
    return PlaneFrames(index=i, total=total, planes=(plane,), readings={"t": float(i)})


@pytest.fixture
def timeline(qtbot: QtBot) -> Any:
    view = PlaneFramesView()
    qtbot.addWidget(view)
    view.resize(500, 420)
    with qtbot.waitExposed(view):
        view.show()
    for i in range(5):
        view.show_payload(moment(i), 1)
    return view


def test_a_timeline_of_planes_is_scrubbed(timeline: PlaneFramesView) -> None:
    accent = QColor(theme.colours.accent)
    for i in (4, 0, 2):
        timeline.go_to(i)
        assert colour_at(timeline.canvas, place(timeline.canvas, 0, -1.5 + 3 * i / 4, 0.5)) == accent
    assert [m.index for m in timeline.payloads_for_picture()] == [0, 1, 2, 3, 4]
    assert [m.index for m in timeline.narrow(timeline.payloads_for_picture(), "a.png")] == [2]
    QTest.keyClick(timeline, Qt.Key.Key_Right)
    assert timeline.position == 3
    QTest.keyClick(timeline, Qt.Key.Key_Plus)
    shown = timeline.canvas.frames()[0].shown
    assert shown == pytest.approx((-1.6, 1.6, -1.6, 1.6))
    timeline.go_to(1)
    assert timeline.canvas.frames()[0].shown == shown, "a zoom stays along the timeline"
    timeline.fit()
    assert timeline.canvas.frames()[0].shown == SQUARE


def test_its_thumbnails_are_small_planes(timeline: PlaneFramesView) -> None:
    first, last = timeline.thumb(0), timeline.thumb(4)
    assert first is not None
    assert last is not None
    assert (first.width(), first.height()) == (40, 40)
    accent = QColor(theme.colours.accent)
    assert first.pixelColor(5, 15) == accent
    assert last.pixelColor(35, 15) == accent
    assert timeline.thumb(0) is first
    timeline.show_payload(moment(0), 2)
    assert timeline.thumb(0) is not first
    assert timeline.thumb(9) is None


def test_a_moment_that_does_not_fit_is_a_card(timeline: PlaneFramesView) -> None:
    timeline.show_payload(PlaneFrames(index=0, total=5, planes=()), 1)
    assert timeline.card.isVisible()
