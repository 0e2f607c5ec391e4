"""The status bar: device, rate, load, memory, latency, log. Figures keep their place when they change width."""

from __future__ import annotations

from collections import deque

from PySide6.QtCore import QSize, QTimer
from PySide6.QtWidgets import QLabel, QProgressBar, QPushButton, QStatusBar, QWidget

from engine.messages import Status
from widgets.theme import tabular

PATIENCE_MS = 100
"""Work that is done sooner shows no progress: a bar that flashes is worse than none."""
PADDING = 12
"""Left and right of a figure: the style sheet's padding, and what the frame of a label takes."""
KEPT = 120
"""Latencies that the tool tip's percentiles speak of."""


class _Figure(QLabel):
    """A figure that takes as much room as ``widest``, so that its neighbours stay where they are."""

    def __init__(self, widest: str, tip: str) -> None:
        super().__init__()
        self._widest = widest
        self.setFont(tabular(self.font()))
        self.setToolTip(tip)

    def minimumSizeHint(self) -> QSize:
        hint = super().minimumSizeHint()
        return QSize(max(hint.width(), self.fontMetrics().horizontalAdvance(self._widest) + 2 * PADDING), hint.height())

    def sizeHint(self) -> QSize:
        return self.minimumSizeHint()


class StatusBar(QStatusBar):
    """``cancel`` is shown while data are fetched."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeGripEnabled(False)
        self._labels: dict[str, QLabel] = {}
        for name, widest, tip in (
            ("device", "cpu x64", "Where the model is computed, and with how many threads."),
            ("rate", "88,888.8 steps/s", "Training steps per second."),
            ("load", "engine 100%", "How busy the engine's thread is."),
            ("memory", "888,888 MB", "Memory of this process, or of the GPU where one computes."),
            ("latency", "last slider → picture 8,888 ms", "From the last moved control to its picture on screen."),
        ):
            label = _Figure(widest, tip)
            self._labels[name] = label
            self.addWidget(label)
        self.message = QLabel()
        self.addWidget(self.message, 1)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(120)
        self.progress.hide()
        self.cancel = QPushButton("Cancel")
        self.cancel.hide()
        self.log = QLabel("log: empty")
        self.addPermanentWidget(self.progress)
        self.addPermanentWidget(self.cancel)
        self.addPermanentWidget(self.log)
        self.progress.setAccessibleName("Progress")
        self.cancel.setToolTip("Stops the download.")
        self._busy = QTimer(self, singleShot=True, interval=PATIENCE_MS)
        self._busy.timeout.connect(self._show_busy)
        self._latest: Status | None = None
        self._latencies: deque[float] = deque(maxlen=KEPT)

    def show_status(self, status: Status) -> None:
        labels = self._labels
        labels["device"].setText(status.device or "…")
        labels["rate"].setText(f"{status.steps_per_second:,.1f} steps/s" if status.state == "training" else "")
        labels["load"].setText(f"engine {status.load:.0%}")
        labels["memory"].setText(f"{status.memory_bytes / 1e6:,.0f} MB" if status.memory_bytes else "")
        self._latest = status
        if status.state not in ("starting", "building", "fetching"):
            self._busy.stop()
            self.message.clear()
            self.progress.hide()
            self.cancel.hide()
        elif self.progress.isVisibleTo(self):
            self._show_busy()
        elif not self._busy.isActive():
            self._busy.start()

    def _show_busy(self) -> None:
        status = self._latest
        if status is None:
            return
        self.message.setText(f"{status.state}: {status.detail}" if status.detail else f"{status.state} …")
        self.progress.setRange(0, 0 if status.progress is None else 1000)
        self.progress.setValue(int(1000 * (status.progress or 0)))
        self.progress.show()
        self.cancel.setVisible(status.state == "fetching")

    def show_latency(self, seconds: float) -> None:
        self._latencies.append(seconds)
        label = self._labels["latency"]
        label.setText(f"last slider → picture {seconds * 1e3:,.0f} ms")
        ordered = sorted(self._latencies)
        middle, high = ordered[len(ordered) // 2], ordered[int(0.95 * (len(ordered) - 1))]
        label.setToolTip(
            f"From the last moved control to its picture on screen; of the last {len(ordered)}: "
            f"median {middle * 1e3:.0f} ms, 95 % within {high * 1e3:.0f} ms."
        )

    def show_log(self, notices: int, errors: int) -> None:
        words = [f"{n} {word}{'s' if n != 1 else ''}" for n, word in ((notices, "notice"), (errors, "error")) if n]
        self.log.setText("log: " + (", ".join(words) or "empty"))
