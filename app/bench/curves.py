"""A million points: how long one redraw of the curves takes while they are panned and zoomed."""

from __future__ import annotations

from app.bench.rows import Row
from app.start import make_app
from widgets.theme import theme

BAR_MS = 16.7


def measure() -> list[Row]:
    from widgets.curves.bench import redraw_ms

    make_app()
    theme.set_mode("dark")
    found = redraw_ms()
    return [
        Row("curves: redraw of 1M points, p50", found["p50"], "ms", "a frame at 60 Hz: 16.7 ms", found["p50"] / BAR_MS,
            f"<= {BAR_MS:g} ms", found["p50"] <= BAR_MS),
        Row("curves: redraw of 1M points, p95", found["p95"], "ms", "a frame at 60 Hz: 16.7 ms", found["p95"] / BAR_MS,
            f"<= {BAR_MS:g} ms", found["p95"] <= BAR_MS),
    ]  # fmt: skip
