"""The welcome page: cards that open starters, and the recent runs. Knows the starters' folder, no study."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor as Colour
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from engine.messages import RunInfo
from widgets.flow import Flow
from widgets.theme import RADIUS, theme

ART, CARD, PAD = 92, 188, 12
"""Pixels: the height of a card's picture, of a card, and what is left free at its edges."""
STARTERS = Path(__file__).resolve().parent.parent / "resources" / "starters"


@dataclass(frozen=True)
class Starter:
    """A trained run that comes with the program: its folder below ``resources/starters``, its study, the probe that it
    shows first, what it is called. With a sentence ``text`` it has a card here, else a button in the row ``group``."""

    folder: str
    study: str
    probe: str
    title: str
    text: str = ""
    group: str = ""

    @property
    def path(self) -> Path:
        return STARTERS / self.folder


LATENT, FLOWS, ADVERSARIAL, RADIANCE, SOLID = GROUPS = (
    "Latent codes", "Flows", "Adversarial", "Radiance", "3-D",
)  # fmt: skip
STARTER_RUNS = (
    Starter("shapes", "vae", "traversal", "Drag through a latent space", "Move a slider, and the picture of a shape "
            "follows."),
    Starter("noise", "ddpm", "denoise", "Watch noise become a picture", "Play it, go back, see what it believes at "
            "each moment."),
    Starter("surface", "implicit_fit", "surface", "Orbit a surface that was learned", "It knew points, now the whole "
            "shape: turn it, slice it."),
    Starter("digits_map", "vae", "latent_map", "Map of digits", group=LATENT),
    Starter("holes", "autoencoder", "samples", "Autoencoder's holes", group=LATENT),
    Starter("straight", "rectified_flow", "denoise", "Rectified flow", group=FLOWS),
    Starter("latents", "latent_diffusion", "denoise", "Latent diffusion", group=FLOWS),
    Starter("plane", "flow_2d", "particles", "Flow in the plane", group=FLOWS),
    Starter("solids", "pointnet", "critical_points", "PointNet's solids", group=SOLID),
    Starter("game", "gan_2d", "game", "The GAN game", group=ADVERSARIAL),
    Starter("fakes", "dcgan", "seed_plane", "DCGAN's fakes", group=ADVERSARIAL),
    Starter("styles", "style_gan", "style_mixing", "Styles, mixed", group=ADVERSARIAL),
    Starter("sketches", "translation", "sketch", "Sketch, and it paints", group=ADVERSARIAL),
    Starter("life", "nerf_hash", "view", "A NeRF in seconds", group=RADIANCE),
    Starter("blur", "nerf", "view", "The first NeRF", group=RADIANCE),
    Starter("few", "nerf_sparse", "against", "Four photographs", group=RADIANCE),
    Starter("solid", "dvr", "view", "Surface from masks", group=RADIANCE),
    Starter("strokes", "splat_2d", "ellipses", "A picture of Gaussians", group=SOLID),
    Starter("splats", "gaussian_splatting", "view", "A scene of Gaussians", group=SOLID),
)  # fmt: skip
STARTER_CARDS = tuple(starter for starter in STARTER_RUNS if starter.text)


def starter_of(study: str) -> Starter | None:
    """The first starter of a study that was made."""
    return next((starter for starter in STARTER_RUNS if starter.study == study and starter.path.is_dir()), None)


class Card(QWidget):
    """A picture with a title and a sentence; pressed by mouse, Enter or Space."""

    pressed = Signal()

    def __init__(self, title: str, text: str, picture: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(title)
        self.setAccessibleDescription(text)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._pixmap = QPixmap(str(picture))
        self._art = QLabel()
        self._art.setFixedHeight(ART)
        self._art.setAlignment(Qt.AlignmentFlag.AlignCenter)
        head, words = QLabel(title), QLabel(text)
        head.setProperty("role", "head")
        words.setProperty("role", "quiet")
        for label in (head, words):
            label.setWordWrap(True)
            label.setAlignment(Qt.AlignmentFlag.AlignTop)
        head.setFixedHeight(2 * head.fontMetrics().lineSpacing() + 8)  # two lines, so that the sentences start level
        layout = QVBoxLayout(self)
        layout.setContentsMargins(PAD, PAD, PAD, PAD)
        layout.setSpacing(4)
        layout.addWidget(self._art)
        layout.addWidget(head)
        layout.addWidget(words, 1)
        self.setMinimumHeight(CARD)

    def sizeHint(self) -> QSize:
        return QSize(280, CARD)

    def resizeEvent(self, event: object) -> None:
        if not self._pixmap.isNull():
            box = QSize(self.width() - 2 * PAD, ART)
            ratio = self.devicePixelRatioF()
            scaled = self._pixmap.scaled(
                box * ratio, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            )
            scaled.setDevicePixelRatio(ratio)
            self._art.setPixmap(scaled)

    def paintEvent(self, event: QPaintEvent) -> None:
        c = theme.colours
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        path = QPainterPath()
        path.addRoundedRect(self.rect().adjusted(1, 1, -1, -1), RADIUS, RADIUS)
        painter.fillPath(path, Colour(c.hover if self.underMouse() else c.raised))
        painter.setPen(QPen(Colour(c.accent if self.hasFocus() else c.line), 1))
        painter.drawPath(path)

    def enterEvent(self, event: object) -> None:
        self.update()

    def leaveEvent(self, event: object) -> None:
        self.update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.pressed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.pressed.emit()
        else:
            super().keyPressEvent(event)


class WelcomePage(QWidget):
    """``starter_chosen`` carries a :class:`Starter`, ``run_chosen`` the path of a run."""

    starter_chosen = Signal(object)
    run_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        title = QLabel("Turn the crank, watch the model change")
        title.setProperty("role", "title")
        title.setWordWrap(True)
        text = QLabel("Open something that has already learned, or choose a study in the catalogue and press Train.")
        text.setProperty("role", "quiet")
        text.setWordWrap(True)
        cards = QHBoxLayout()
        cards.setSpacing(16)
        self.cards: list[Card] = []
        for starter in STARTER_CARDS:
            card = Card(starter.title, starter.text, starter.path / "card.png")
            card.pressed.connect(lambda starter=starter: self.starter_chosen.emit(starter))
            if not starter.path.is_dir():
                card.setEnabled(False)
                card.setToolTip("This starter was not made yet: the command “make starters” does that.")
            self.cards.append(card)
            cards.addWidget(card, 1)
        rows = QGridLayout()
        rows.setHorizontalSpacing(16)
        rows.setVerticalSpacing(4)
        rows.setColumnStretch(1, 1)
        for i, group in enumerate(GROUPS):
            head = QLabel(group)
            head.setProperty("role", "quiet")
            rows.addWidget(head, i, 0)
            rows.addWidget(self._buttons([s for s in STARTER_RUNS if s.group == group]), i, 1)
        self._recent_head = QLabel("Recent runs")
        self._recent_head.setProperty("role", "caption")
        self._recent = QGridLayout()
        self._recent.setHorizontalSpacing(8)
        self._recent.setVerticalSpacing(8)
        inner = QWidget()
        inner.setMaximumWidth(1040)
        column = QVBoxLayout(inner)
        column.setContentsMargins(24, 12, 24, 12)
        column.setSpacing(8)
        column.addStretch(1)
        column.addWidget(title)
        column.addWidget(text)
        column.addLayout(cards)
        column.addLayout(rows)
        column.addWidget(self._recent_head)
        column.addLayout(self._recent)
        column.addStretch(2)
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addStretch(1)
        outer.addWidget(inner, 100)
        outer.addStretch(1)
        self.set_recent(())

    def _buttons(self, starters: Sequence[Starter]) -> QWidget:
        row = QWidget()
        flow = Flow(row, gap=4)
        for starter in starters:
            button = QPushButton(starter.title)
            button.setEnabled(starter.path.is_dir())
            button.setToolTip(f"Opens what {starter.study} has learned for this page.")
            button.clicked.connect(lambda _=False, starter=starter: self.starter_chosen.emit(starter))
            flow.addWidget(button)
        return row

    def set_recent(self, runs: tuple[RunInfo, ...]) -> None:
        """The newest runs as buttons, six at most."""
        while self._recent.count():
            item = self._recent.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.deleteLater()
        self._recent_head.setVisible(bool(runs))
        for i, run in enumerate(runs[:6]):
            when = time.strftime("%d %b, %H:%M", time.localtime(run.when))
            button = QPushButton(f"{run.title or run.study} · {run.data} · step {run.step:,} · {when}")
            button.setToolTip(run.path)
            button.clicked.connect(lambda _=False, path=run.path: self.run_chosen.emit(path))
            # Two long names side by side must not make the page wider than its place.
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            self._recent.addWidget(button, i // 2, i % 2)
