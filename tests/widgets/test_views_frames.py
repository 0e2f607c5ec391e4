"""The timeline: frames as they come, in any order; scrubbing, playing, and a new sequence over the old one."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from PySide6.QtCore import QPoint, Qt

from engine.payloads import Frames
from widgets.views.images import from_qimage
from widgets.views.timeline import frames
from widgets.views.timeline.frames import FramesView


def frame(index: int, total: int, value: float | None = None) -> Frames:
    grey = index / total if value is None else value
    image = np.full((1, 4, 4, 1), grey, np.float32)
    return Frames(image, index=index, total=total, caption=f"moment {index}", readings={"t": index / total})


def made(qtbot: Any, width: int = 500, height: int = 400) -> FramesView:
    view = FramesView()
    qtbot.addWidget(view)
    view.resize(width, height)
    with qtbot.waitExposed(view):
        view.show()
    return view


def grey_on_screen(view: FramesView) -> float:
    """What the canvas shows in the middle, 0..1."""
    picture = from_qimage(view.canvas.grab().toImage())[0]
    return float(picture[picture.shape[0] // 2, picture.shape[1] // 2, 0])


def test_frames_are_shown_as_they_come_and_all_kept(qtbot: Any) -> None:
    view = made(qtbot)
    for i in range(5):
        view.show_payload(frame(i, 5), 10)
        assert view.position == i
        assert abs(grey_on_screen(view) - i / 5) < 0.01
        assert view.more_to_come() == (i < 4)
        assert view.busy_line.busy == (i < 4)
    assert [f.index for f in view.frames()] == [0, 1, 2, 3, 4]
    assert view.count_label.text() == "5 / 5"
    assert view.slider.maximum() == 4


def test_frames_out_of_order_are_sorted(qtbot: Any) -> None:
    view = made(qtbot)
    for i in (2, 0, 3, 1):
        view.show_payload(frame(i, 4), 1)
    assert [f.index for f in view.frames()] == [0, 1, 2, 3]
    for i in range(4):
        view.go_to(i)
        assert abs(grey_on_screen(view) - i / 4) < 0.01


def test_an_index_outside_the_timeline_is_a_card(qtbot: Any) -> None:
    view = made(qtbot)
    view.show_payload(frame(5, 5, 0.5), 1)
    assert view.card.isVisible()
    assert "Frame 5" in view.card.texts[1]


def test_a_new_sequence_replaces_the_old_one_frame_by_frame(qtbot: Any) -> None:
    view = made(qtbot)
    for i in range(4):
        view.show_payload(frame(i, 4, 0.2), 1)
    qtbot.keyClick(view, Qt.Key.Key_Left)
    qtbot.keyClick(view, Qt.Key.Key_Left)
    assert view.position == 1
    view.show_payload(frame(0, 4, 0.8), 2)
    assert view.position == 1, "somebody who looks at one moment stays there"
    assert abs(grey_on_screen(view) - 0.2) < 0.01
    assert len(view.frames()) == 1, "old frames are no part of what is saved"
    view.show_payload(frame(1, 4, 0.8), 2)
    assert abs(grey_on_screen(view) - 0.8) < 0.01
    view.go_to(3)
    assert abs(grey_on_screen(view) - 0.2) < 0.01


def test_a_shorter_sequence_drops_what_is_beyond_its_end(qtbot: Any) -> None:
    view = made(qtbot)
    for i in range(6):
        view.show_payload(frame(i, 6), 1)
    view.start_sequence(3)
    assert view.position == 2
    view.show_payload(frame(0, 3), 1)
    assert view.slider.maximum() == 2
    assert [f.total for f in view.frames()] == [3]


def test_slider_keys_and_strip_scrub(qtbot: Any) -> None:
    view = made(qtbot, 400, 400)
    for i in range(40):
        view.show_payload(frame(i, 40), 1)
    view.slider.setValue(11)
    assert view.position == 11
    assert abs(grey_on_screen(view) - 11 / 40) < 0.01
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.position == 12
    qtbot.keyClick(view, Qt.Key.Key_Home)
    assert view.position == 0
    cells = view.strip.cells()
    assert (cells[0][0], cells[-1][0]) == (0, 39)
    index, box = cells[3]
    qtbot.mouseClick(view.strip, Qt.MouseButton.LeftButton, pos=box.center().toPoint())
    assert view.position == index
    assert view.slider.value() == index


def test_scrubbing_converts_nothing_twice_and_is_fast(qtbot: Any, monkeypatch: Any) -> None:
    calls = []
    plain = frames.make_atlas
    monkeypatch.setattr(frames, "make_atlas", lambda images: calls.append(1) or plain(images))
    view = made(qtbot, 800, 600)
    rng = np.random.default_rng(0)
    for i in range(12):
        view.show_payload(Frames(rng.random((16, 28, 28, 1), np.float32), index=i, total=12), 1)
    view.grab()
    first = len(calls)
    seconds = []
    for i in list(range(12)) * 2:
        start = time.perf_counter()
        view.go_to(i)
        view.canvas.repaint()
        seconds.append(time.perf_counter() - start)
    assert len(calls) == first
    assert sorted(seconds)[len(seconds) // 2] < 0.016


def test_the_cache_of_pixels_is_bounded(qtbot: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(frames, "CACHE_BYTES", 5 * 4 * 4 * 4)
    view = made(qtbot)
    for i in range(20):
        view.show_payload(frame(i, 20), 1)
    for i in range(20):
        view.go_to(i)
        assert abs(grey_on_screen(view) - i / 20) < 0.01
    assert len(view._sheets) <= 5
    assert view._sheet_bytes == sum(s.nbytes for s in view._sheets.values())


def test_play_stops_at_the_end_or_loops_and_never_when_hidden(qtbot: Any) -> None:
    view = made(qtbot)
    for i in range(4):
        view.show_payload(frame(i, 4), 1)
    view.speed_box.setCurrentIndex(view.speed_box.count() - 1)
    view.loop_button.setChecked(False)
    seen: list[int] = []
    view.slider.valueChanged.connect(seen.append)
    qtbot.keyClick(view, Qt.Key.Key_K)
    assert view.playing
    assert view.position == 0, "play at the end begins again"
    qtbot.waitUntil(lambda: not view.playing, timeout=2000)
    assert view.position == 3
    qtbot.keyClick(view, Qt.Key.Key_L)
    qtbot.mouseClick(view.play_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: view.position == 3, timeout=2000)
    qtbot.waitUntil(lambda: view.position == 0, timeout=2000)
    assert view.playing
    view.hide()
    assert not view.playing


def test_play_waits_for_a_frame_that_is_still_computed(qtbot: Any) -> None:
    view = made(qtbot)
    view.speed_box.setCurrentIndex(view.speed_box.count() - 1)
    view.start_sequence(3)
    view.show_payload(frame(0, 3), 1)
    view.show_payload(frame(1, 3), 1)
    view.go_to(0)
    view.toggle_play()
    qtbot.waitUntil(lambda: view.position == 1, timeout=2000)
    qtbot.wait(150)
    assert view.position == 1
    assert view.playing
    view.show_payload(frame(2, 3), 1)
    qtbot.waitUntil(lambda: view.position == 2, timeout=2000)
    view.close()
    assert not view.playing


def test_a_still_picture_is_the_moment_and_a_film_all_of_them(qtbot: Any) -> None:
    view = made(qtbot)
    for i in range(4):
        view.show_payload(frame(i, 4), 1)
    view.go_to(2)
    assert [f.index for f in view.narrow(view.payloads_for_picture(), "a.png")] == [2]
    assert [f.index for f in view.narrow(view.payloads_for_picture(), "a.gif")] == [0, 1, 2, 3]


def test_a_low_view_gives_the_room_to_the_picture(qtbot: Any) -> None:
    view = made(qtbot, 320, 240)
    view.show_payload(frame(0, 2), 1)
    assert view.size().width() == 320
    assert not view.strip.isVisible()
    assert view.canvas.height() > 140
    assert view.childAt(QPoint(160, 60)) is view.canvas
