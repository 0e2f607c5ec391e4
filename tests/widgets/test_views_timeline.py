"""The timeline's panels, readings as curves, pinning and comparing: exact pixels, exact places, what survives what."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QWidget

from engine.payloads import Bars, Frames, ImageGrid, Moment
from widgets.views.compare import DIFFERENCE, MODES, SIDE, SWIPE, difference, unlike
from widgets.views.grid import ImageGridView
from widgets.views.images import from_qimage
from widgets.views.timeline.frames import FramesView
from widgets.views.timeline.readings import LINE, ReadingsPlot, Scale
from widgets.views.timeline.text import hatless
from widgets.views.timeline.timeline import TimelineView

N, SIDE_PX = 4, 6


def pictures(level: int, n: int = N, side: int = SIDE_PX, c: int = 1) -> np.ndarray:
    """Pictures of whole 255ths, all different: picture i is ``level`` + i, its first pixel one more."""
    images = np.empty((n, side, side, c), np.float32)
    images[:] = (level + np.arange(n, dtype=np.float32)[:, None, None, None]) / 255
    images[:, 0, 0] += np.float32(1 / 255)
    return images


def frame(index: int, total: int, level: int | None = None, n: int = N, **more: Any) -> Frames:
    images = pictures(4 * index if level is None else level, n)
    readings = {"‖x_t‖": float(total - index), "SNR": 10.0 ** (index - 2)}
    return Frames(**({"images": images, "columns": 2, "readings": readings} | more), index=index, total=total)


def shown(qtbot: Any, width: int = 640, height: int = 480) -> FramesView:
    view = FramesView()
    qtbot.addWidget(view)
    view.resize(width, height)
    with qtbot.waitExposed(view):
        view.show()
    return view


def feed(view: FramesView, total: int, step: int = 1, base: int | None = None, **more: Any) -> list[Frames]:
    frames = [frame(i, total, None if base is None else base + 4 * i, **more) for i in range(total)]
    for one in frames:
        view.show_payload(one, step)
    return frames


def levels(view: FramesView) -> np.ndarray:
    """The middle of every tile on screen in 255ths, tile by tile."""
    layout = view.canvas.tile_layout()
    assert layout is not None
    pixels = (from_qimage(view.canvas.grab().toImage())[0, :, :, 0] * 255).round().astype(int)
    middles = [layout.rect(i).center() for i in range(layout.count)]
    return np.array([pixels[at.y(), at.x()] for at in middles])


def set_mode(view: FramesView, mode: str) -> None:
    view.compare_bar.mode_box.setCurrentIndex(MODES.index(mode))


# ---- panels and tables ----------------------------------------------------------------------------------------------


def test_panels_lie_side_by_side_or_above_one_another_each_pixel_square(qtbot: Any) -> None:
    images = np.concatenate([pictures(10), pictures(60), pictures(110)])
    for width, height, beside in ((640, 400, True), (260, 640, False)):
        view = shown(qtbot, width, height)
        view.show_payload(frame(0, 1, images=images, panels=("x_t", "x̂₀", "ε̂")), 1)
        layout = view.canvas.tile_layout()
        assert layout is not None
        factor = layout.tile_w // SIDE_PX
        assert factor >= 3
        assert (layout.tile_w, layout.tile_h) == (SIDE_PX * factor, SIDE_PX * factor)
        first, second = layout.panel_rect(0), layout.panel_rect(1)
        assert (first.size(), layout.columns, layout.rows) == (second.size(), 2, 2)
        assert (second.y() == first.y() and second.x() > first.right()) == beside
        assert (second.x() == first.x() and second.y() > first.bottom()) == (not beside)
        grabbed = (from_qimage(view.canvas.grab().toImage())[0, :, :, 0] * 255).round().astype(int)
        for i, image in enumerate(images):
            rect = layout.rect(i)
            tile = grabbed[rect.y() : rect.y() + rect.height(), rect.x() : rect.x() + rect.width()]
            expected = np.kron((image[..., 0] * 255).round().astype(int), np.ones((factor, factor), int))
            np.testing.assert_array_equal(tile, expected)
            assert view.canvas.tile_at(QPointF(rect.center())) == i
        assert view.canvas.describe(QPointF(layout.rect(6).center()))[0] == "x̂₀  2"


def test_panels_that_do_not_fit_the_pictures_are_a_card(qtbot: Any) -> None:
    view = shown(qtbot)
    view.show_payload(frame(0, 1, n=5, panels=("a", "b")), 1)
    assert "5 pictures do not make 2 equal panels" in view.card.texts[1]


def test_a_table_of_frames_has_its_rows_and_heads(qtbot: Any) -> None:
    view = shown(qtbot)
    view.show_payload(frame(0, 1, n=6, columns=0, rows=("DDIM", "Heun"), heads=("w 0", "w 2", "w 4")), 1)
    layout = view.canvas.tile_layout()
    assert layout is not None
    assert (layout.columns, layout.rows) == (3, 2)
    named = view.canvas.grab().toImage()
    view.show_payload(frame(0, 1, n=6, columns=3, rows=("", ""), heads=("", "", "")), 1)
    bare = view.canvas.grab().toImage()
    assert named.copy(0, 0, layout.x, named.height()) != bare.copy(0, 0, layout.x, bare.height())


def test_the_caption_of_a_grid_stands_beneath_it(qtbot: Any) -> None:
    view = ImageGridView()
    qtbot.addWidget(view)
    view.resize(300, 220)
    view.show()
    view.show_payload(ImageGrid(pictures(0), columns=2), 1)
    bare = view.canvas.grab().toImage()
    view.show_payload(ImageGrid(pictures(0), columns=2, caption="FID 12.3 of 1,000 samples"), 1)
    told = view.canvas.grab().toImage()
    layout = view.canvas.tile_layout()
    assert layout is not None
    lowest = layout.rect(3).bottom()
    assert lowest < 220 - 16
    strip = (0, lowest + 1, 300, 220 - lowest - 1)
    assert told.copy(*strip) != bare.copy(*strip)
    view.show_payload(ImageGrid(pictures(0), columns=2), 1)
    assert view.canvas.grab().toImage() == bare


def test_hats_are_taken_off_and_remembered() -> None:
    assert hatless("‖x̂₀‖ and ε̂") == ("‖x₀‖ and ε", (1, 9))
    assert hatless("plain") == ("plain", ())


# ---- readings -------------------------------------------------------------------------------------------------------


def test_a_scale_is_logarithmic_where_it_must_be() -> None:
    assert [Scale([2.0, 6.0])(v) for v in (2.0, 3.0, 6.0)] == [0.0, 0.25, 1.0]
    log = Scale([0.01, 100.0, float("nan"), float("inf")])
    assert log.log
    assert [log(v) for v in (0.01, 1.0, 100.0)] == pytest.approx([0.0, 0.5, 1.0])
    assert not Scale([0.0, 1000.0]).log
    assert not Scale([1.0, 99.0]).log
    assert Scale([3.0, 3.0])(3.0) == 0.5
    assert Scale([])(1.0) == 0.5


def test_readings_are_curves_whose_cursor_goes_with_the_slider(qtbot: Any) -> None:
    view = shown(qtbot)
    feed(view, 5)
    QApplication.processEvents()
    plot = view.readings
    assert plot.height() > LINE
    assert (plot.y_of("‖x_t‖", 1), plot.y_of("SNR", 0.01)) == (plot.height() - 4, plot.height() - 4)
    assert plot.y_of("‖x_t‖", 5) == plot.y_of("SNR", 100.0) == LINE + 4
    assert plot.y_of("SNR", 1.0) == pytest.approx((LINE + plot.height()) / 2)
    view.slider.setValue(2)
    here = plot.grab().toImage()
    at = QPointF(plot.x_of(2), plot.y_of("SNR", 1.0)).toPoint()
    assert here.pixelColor(at).name() == plot.colour_of("SNR").name()
    assert "SNR 1.000" in plot.accessibleName()
    view.slider.setValue(3)
    assert plot.grab().toImage() != here


def test_a_hand_in_the_curves_scrubs(qtbot: Any) -> None:
    view = shown(qtbot)
    feed(view, 9)
    plot = view.readings
    qtbot.mousePress(plot, Qt.MouseButton.LeftButton, pos=QPoint(round(plot.x_of(2)), 40))
    assert view.position == 2
    qtbot.mouseMove(plot, QPoint(round(plot.x_of(6)) + 3, 40))
    qtbot.waitUntil(lambda: view.position == 6, timeout=2000)
    qtbot.mouseRelease(plot, Qt.MouseButton.LeftButton, pos=QPoint(round(plot.x_of(6)), 40))
    assert view.slider.value() == 6


def test_a_low_view_keeps_one_line_of_readings(qtbot: Any) -> None:
    view = shown(qtbot, 480, 320)
    feed(view, 5)
    QApplication.processEvents()
    assert view.readings.height() == LINE
    view.resize(480, 480)
    QApplication.processEvents()
    assert view.readings.height() > 2 * LINE
    plain = shown(qtbot)
    plain.show_payload(frame(0, 2, readings={}), 1)
    QApplication.processEvents()
    assert plain.readings.height() == LINE, "no numbers, no empty plot"


def test_curves_have_gaps_and_are_cheap(qtbot: Any) -> None:
    plot = ReadingsPlot()
    qtbot.addWidget(plot)
    plot.resize(900, LINE + 52)
    plot.show()
    values = [{"a": float(i % 7), "b": 1.0 + i, "c": float("nan") if 20 < i < 40 else i * 1e3} for i in range(200)]
    plot.set_moments([v if i % 50 else None for i, v in enumerate(values)], range(200))
    assert len(plot._polylines()) == 4 + 4 + 5
    plot.repaint()
    seconds = []
    for i in range(40):
        start = time.process_time()
        plot.set_position(i)
        plot.repaint()
        seconds.append(time.process_time() - start)
    assert sorted(seconds)[20] < 0.002


# ---- what is computed and what is not -------------------------------------------------------------------------------


def test_the_count_is_of_the_computed_and_an_old_picture_is_called_so(qtbot: Any) -> None:
    view = shown(qtbot)
    feed(view, 50)
    view.go_to(30)
    assert view.count_label.text() == "31 / 50"
    for i in range(12):
        view.show_payload(frame(i, 50, 200), 2)
    assert view.position == 30
    assert view.count_label.text() == "12 / 50"
    assert "earlier answer" in view.readings.accessibleName()
    assert levels(view).tolist() == [120, 121, 122, 123]
    view.go_to(5)
    assert "SNR" in view.readings.accessibleName()
    for i in range(12, 50):
        view.show_payload(frame(i, 50, 200), 2)
    assert view.count_label.text() == "6 / 50"


# ---- pin and compare ------------------------------------------------------------------------------------------------


def test_side_by_side_aligns_by_the_part_of_the_way(qtbot: Any) -> None:
    view = shown(qtbot)
    feed(view, 11, step=100)
    qtbot.keyClick(view, Qt.Key.Key_P)
    assert view.pin_button.isChecked()
    assert view.compare_bar.isVisible()
    feed(view, 6, step=200, base=100)
    assert view.compare_bar.label.text == "Pinned: 11 moments of step 100"
    assert [f.total for f in view.frames()] == [6] * 6, "saved is the newest"
    for index, pinned in ((0, 0), (1, 2), (3, 6), (5, 10)):
        view.go_to(index)
        assert view.pinned_at(index).index == pinned
        both = [4 * pinned + i for i in range(N)] + [100 + 4 * index + i for i in range(N)]
        assert levels(view).tolist() == both
    view.show_payload(frame(0, 6, 180), 300)
    view.go_to(0)
    assert levels(view).tolist() == [0, 1, 2, 3, 180, 181, 182, 183], "what is compared is not an old one"
    qtbot.keyClick(view, Qt.Key.Key_P)
    assert not view.compare_bar.isVisible()
    assert levels(view).tolist() == [180, 181, 182, 183]
    assert view.pinned == ()


def test_a_longer_sequence_is_aligned_anew(qtbot: Any) -> None:
    view = shown(qtbot)
    feed(view, 5)
    view.pin()
    feed(view, 3, base=100)
    view.go_to(1)
    assert levels(view).tolist()[:N] == [8, 9, 10, 11]
    view.start_sequence(5)
    view.go_to(1)
    assert levels(view).tolist() == [4, 5, 6, 7, 104, 105, 106, 107]


def test_the_divider_shows_the_pinned_at_its_left_in_every_panel(qtbot: Any) -> None:
    view = shown(qtbot)
    panels = {"panels": ("x_t", "x̂₀"), "n": 2 * N}
    feed(view, 2, **panels)
    view.pin()
    feed(view, 2, base=100, **panels)
    view.go_to(0)
    qtbot.keyClick(view, Qt.Key.Key_C)
    assert view.compare_bar.mode == SWIPE
    assert levels(view).tolist() == [0, 101, 2, 103, 4, 105, 6, 107], "two columns, the divider between them"
    layout = view.canvas.tile_layout()
    assert layout is not None
    second = layout.panel_rect(1)
    inside = QPoint(second.x() + round(0.1 * second.width()), second.center().y())
    qtbot.mousePress(view.canvas, Qt.MouseButton.LeftButton, pos=inside)
    assert view.canvas.divider == pytest.approx(0.1, abs=0.02)
    assert view.canvas.describe(QPointF(second.x() + 2, second.center().y() - 8))[1].endswith(f"{4 / 255:.2f}")
    assert view.canvas.describe(QPointF(second.x() + 40, second.center().y() - 8))[1].endswith(f"{104 / 255:.2f}")
    assert levels(view).tolist() == [100, 101, 102, 103, 104, 105, 106, 107]
    end = QPoint(second.right() + 40, second.center().y())
    qtbot.mouseMove(view.canvas, end)
    qtbot.waitUntil(lambda: view.canvas.divider == 1.0, timeout=2000)
    qtbot.mouseRelease(view.canvas, Qt.MouseButton.LeftButton, pos=end)
    assert levels(view).tolist() == list(range(8))
    for i in range(12):
        qtbot.keyClick(view.slider if i % 2 else view, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert view.canvas.divider == pytest.approx(0.4)
    assert view.position == 0, "Shift moves the divider, not the timeline"
    assert levels(view).tolist()[:2] == [0, 101]
    qtbot.keyClick(view, Qt.Key.Key_C)
    assert view.canvas.divider_lines() == []


def test_the_difference_is_absolute_and_brighter_by_the_factor_named(qtbot: Any) -> None:
    view = shown(qtbot)
    feed(view, 2, base=30)
    view.pin()
    feed(view, 2, base=10)
    set_mode(view, DIFFERENCE)
    assert view.compare_bar.gain_box.isVisible()
    for gain, level in ((1, 20), (2, 40), (4, 80)):
        view.compare_bar.gain_box.setCurrentText(f"×{gain}")
        assert levels(view).tolist() == [level] * N
    a, b = np.float32([[0.1, 0.9]]), np.float32([[0.4, 0.2]])
    np.testing.assert_allclose(difference(a, b, 2), [[0.6, 1.0]], atol=1e-6)
    as_bytes = (a * 255).round().astype(np.uint8)
    np.testing.assert_allclose(difference(as_bytes, b, 1), [[0.3, 0.7]], atol=3e-3)


def test_other_data_is_a_line_and_not_a_wrong_picture(qtbot: Any) -> None:
    view = shown(qtbot)
    feed(view, 3)
    view.pin()
    for more, words in (
        ({"n": 9}, "4 against 9 pictures"),
        ({"images": pictures(50, side=8)}, "6 × 6 against 8 × 8 pixels"),
        ({"images": pictures(50, c=3)}, "grey against colour"),
        ({"panels": ("a", "b")}, "0 against 2 panels"),
    ):
        for mode in MODES:
            set_mode(view, mode)
            view.show_payload(frame(0, 3, 50, **more), 2)
            view.go_to(0)
            assert words in view.compare_bar.label.text
            assert len(levels(view)) == len(view.frames()[0].images)
            assert levels(view)[0] == 50
    set_mode(view, SIDE)
    view.show_payload(frame(0, 3, 50), 2)
    assert view.compare_bar.label.text.startswith("Pinned: 3 moments")
    assert len(levels(view)) == 2 * N
    same = pictures(0)
    assert unlike(same, same, ((), ())) == ""


def test_what_was_not_computed_when_pinned_is_said(qtbot: Any) -> None:
    view = shown(qtbot)
    view.start_sequence(3)
    view.show_payload(frame(0, 3), 1)
    view.pin()
    assert [f is not None for f in view.pinned] == [True, False, False]
    feed(view, 3, base=100)
    view.go_to(2)
    assert "had not been computed" in view.compare_bar.label.text
    assert levels(view).tolist() == [108, 109, 110, 111]
    view.go_to(0)
    assert levels(view).tolist()[:N] == [0, 1, 2, 3]


def test_pinned_readings_share_the_scale_and_are_dashed(qtbot: Any) -> None:
    view = shown(qtbot)
    feed(view, 11)
    view.pin()
    feed(view, 6, base=100)
    plot = view.readings
    lines = plot._polylines()
    dashed = [pen for pen, _ in lines if pen.style() == Qt.PenStyle.CustomDashLine]
    assert (len(lines), len(dashed)) == (4, 2)
    assert plot.scale("SNR").hi == 10.0**8, "that of the pinned"
    pinned, now = lines[0][1], lines[2][1]
    assert (pinned.count(), now.count()) == (11, 6)
    assert (pinned.first().x(), pinned.last().x()) == (now.first().x(), now.last().x())
    view.unpin()
    assert len(plot._polylines()) == 2
    assert plot.scale("SNR").hi == 10.0**3


def test_a_pin_lives_until_it_is_taken_out_or_the_study_changes(qtbot: Any) -> None:
    view = shown(qtbot)
    assert not view.pin_button.isEnabled()
    assert view.pin_button.toolTip() == "There is no timeline to pin yet"
    qtbot.keyClick(view, Qt.Key.Key_P)
    assert view.pinned == ()
    feed(view, 3)
    qtbot.mouseClick(view.pin_button, Qt.MouseButton.LeftButton)
    assert len(view.pinned) == 3
    feed(view, 4, step=9)
    feed(view, 2, step=10)
    assert len(view.pinned) == 3
    qtbot.mouseClick(view.compare_bar.unpin_button, Qt.MouseButton.LeftButton)
    assert view.pinned == ()
    assert not view.pin_button.isChecked()
    view.pin()
    view.clear()
    assert view.pinned == ()
    assert not view.compare_bar.isVisibleTo(view)
    assert view._sheet_bytes == 0
    assert not view._sheets


def test_saving_with_a_pin_says_what_is_saved_and_strips_take_all(qtbot: Any, tmp_path: Any) -> None:
    view = shown(qtbot)
    feed(view, 4)
    view.pin()
    new = feed(view, 3, base=90)
    tips = {action.text(): action.toolTip() for action in view.menu().actions()}
    assert "newest timeline" in tips["Save picture…"]
    assert view.narrow(view.payloads_for_picture(), "a.strip.png") == tuple(new)
    view.go_to(1)
    assert view.narrow(view.payloads_for_picture(), "a.png") == (new[1],)
    heard: list[tuple[Any, str]] = []
    view.export_requested.connect(lambda payloads, path: heard.append((payloads, path)))
    view.save_picture()
    dialog = view.findChild(QFileDialog)
    dialog.filterSelected.emit(next(one for one in view.picture_formats if "*.strip.png" in one))
    dialog.setDirectory(str(tmp_path))
    dialog.selectFile(str(tmp_path / "mine"))
    dialog.accept()
    assert heard == [(tuple(new), str(tmp_path / "mine.strip.png"))]


def test_the_cache_counts_what_comparing_adds(qtbot: Any, monkeypatch: Any) -> None:
    view = shown(qtbot)
    feed(view, 10)
    view.pin()
    feed(view, 10, base=50)
    for i in range(len(MODES)):
        view.compare_bar.mode_box.setCurrentIndex(i)
        for index in range(10):
            view.go_to(index)
    assert view._sheet_bytes == sum(sheet.nbytes for sheet in view._sheets.values())
    monkeypatch.setattr("widgets.views.timeline.frames.CACHE_BYTES", 2000)
    feed(view, 10, base=50)
    for mode, first in ((SIDE, 4), (SWIPE, 4), (DIFFERENCE, 100)):
        set_mode(view, mode)
        view.go_to(1)
        assert levels(view)[0] == first
    assert view._sheet_bytes <= 2000


# ---- the base -------------------------------------------------------------------------------------------------------


class Words(TimelineView):
    """A timeline of captions: the least that a kind of timeline can be."""

    def make_body(self) -> QWidget:
        self.label = QLabel()
        self.gone: list[int] = []
        return self.label

    def check_moment(self, moment: Moment) -> None:
        if not moment.caption:
            raise ValueError("There are no words.")

    def show_moment(self, index: int, moment: Moment) -> None:
        self.label.setText(moment.caption)

    def forget_moment(self, index: int) -> None:
        self.gone.append(index)

    def forget_moments(self) -> None:
        self.label.clear()


def test_any_moment_can_be_a_timeline(qtbot: Any) -> None:
    view = Words()
    qtbot.addWidget(view)
    view.resize(400, 400)
    view.show()
    for i in range(4):
        view.show_payload(Moment(index=i, total=4, caption=f"word {i}", readings={"t": i / 4}), 1)
    assert view.label.text() == "word 3"
    view.go_to(1)
    assert view.label.text() == "word 1"
    view.gone.clear()
    view.start_sequence(2)
    assert view.gone == [2, 3]
    view.show_payload(Moment(index=0, total=2), 1)
    assert view.card.texts[1] == "There are no words."
    view.clear()
    assert view.label.text() == ""
    assert view.count_label.text() == ""
    view.show_payload(Bars(np.ones(2, np.float32)), 1)
    assert "Moment" in view.card.texts[1]
