"""The bar at the top: which study, train and step, how far, what went wrong last. Knows commands, no engine."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QMenu, QProgressBar, QSizePolicy, QToolBar, QToolButton, QWidget

from app.commands import Commands
from engine.study import Declaration
from widgets.theme import icon, refresh_style, tabular, theme

STEPS = (1, 10, 100, 1000)
LEAST = 60
"""Pixels that what went wrong has at least, however narrow the window."""


class TrainBar(QToolBar):
    """Buttons take their action, tip and reason for being grey from the commands."""

    def __init__(self, commands: Commands, parent: QWidget) -> None:
        super().__init__("Training", parent)
        self.setObjectName("toolbar")
        self.setMovable(False)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._commands = commands
        self._training = False
        self.study = QToolButton()
        self.study.setText("Choose a study")
        self.study.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.study.setMenu(QMenu(self.study))
        self.study.setToolTip("The study that is open; click for another.")
        self.addWidget(self.study)
        self.addSeparator()
        self.train = self._button("train", "primary")
        self.step = self._button("step")
        self.step.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        menu = QMenu(self.step)
        for n in STEPS:
            menu.addAction(commands.actions[f"steps-{n}"])
        self.step.setMenu(menu)
        self.slow = self._button("slow")
        self.restart = self._button("restart")
        self.progress_text = QLabel()
        self.progress_text.setFont(tabular(self.progress_text.font()))
        self.progress_text.setMinimumWidth(150)
        self.progress_text.setContentsMargins(12, 0, 8, 0)
        self.addWidget(self.progress_text)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(120)
        self._progress_action = self.addWidget(self.progress)
        self._progress_action.setVisible(False)
        self.trouble = _Trouble()
        self.trouble.setProperty("role", "bad")
        self.trouble.setContentsMargins(12, 0, 8, 0)
        self._trouble_action = self.addWidget(self.trouble)
        self._trouble_action.setVisible(False)
        self.help = QToolButton()
        self._help_action = self.addWidget(self.help)
        self._help_action.setVisible(False)
        self.dismiss = QToolButton()
        self.dismiss.setToolTip("Hides this message; the log keeps it.")
        self.dismiss.setAccessibleName("Hide the message")
        self.dismiss.clicked.connect(self.clear_trouble)
        self._dismiss_action = self.addWidget(self.dismiss)
        self._dismiss_action.setVisible(False)
        spacer = QWidget()
        spacer.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._spacer_action = self.addWidget(spacer)
        self.search = self._button("palette")
        keys = QLabel("Ctrl+K")
        keys.setProperty("role", "caption")
        self.addWidget(keys)
        self._help: Callable[[], object] | None = None
        self.help.clicked.connect(self._helped)
        theme.changed.connect(self._icons)
        self._icons()

    def _button(self, command: str, role: str = "") -> QToolButton:
        button = QToolButton()
        button.setDefaultAction(self._commands.actions[command])
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        if role:
            button.setProperty("role", role)
        self.addWidget(button)
        return button

    def _icons(self) -> None:
        c = theme.colours
        self.dismiss.setIcon(icon("x"))
        self.show_training(self._training)
        self.study.setStyleSheet(f"font-weight: 600; color: {c.text};")

    # ---- what it shows ----

    def set_studies(self, studies: tuple[Declaration, ...], choose: Callable[[str], object]) -> None:
        menu = self.study.menu()
        menu.clear()
        family = ""
        for study in studies:
            if study.error:
                continue
            if study.family != family:
                family = study.family
                menu.addSection(family)
            menu.addAction(study.title).triggered.connect(lambda _=False, key=study.key: choose(key))

    def show_opening(self, what: str) -> None:
        self.clear_trouble()
        self.progress_text.setText(f"opening {what} …")

    def show_study(self, title: str, step: int) -> None:
        self.study.setText(title or "Choose a study")
        self.progress_text.setText(f"step {step:,}" if title else "")
        self._progress_action.setVisible(False)

    def show_progress(self, step: int, target: int | None, state: str) -> None:
        if state == "building":
            return
        running = target is not None and state == "training" and target >= step
        self.progress_text.setText(f"step {step:,}" + (f" / {target:,}" if running else ""))
        self._progress_action.setVisible(running)
        if running and target:
            self.progress.setRange(0, target)
            self.progress.setValue(step)

    def show_training(self, on: bool) -> None:
        self._training = on
        action = self._commands.actions["train"]
        word = "Pause" if on else "Train"
        action.setText(f"{word}\tSpace")
        action.setIconText(word)
        colour = theme.colours.on_accent
        action.setIcon(icon("pause" if on else "play", colour))

    def show_trouble(self, line: str, button: tuple[str, Callable[[], object]] | None) -> None:
        """What went wrong, in one line, with one button that helps if there is one."""
        self._trouble_action.setVisible(True)
        self._spacer_action.setVisible(False)  # else it would take half of the room
        self.trouble.show_line(line)
        refresh_style(self.trouble)
        self._dismiss_action.setVisible(True)
        self._help_action.setVisible(button is not None)
        if button is not None:
            self.help.setText(button[0])
            self._help = button[1]

    def clear_trouble(self) -> None:
        self.trouble.show_line("")
        self._trouble_action.setVisible(False)
        self._spacer_action.setVisible(True)
        self._help_action.setVisible(False)
        self._dismiss_action.setVisible(False)

    def _helped(self) -> None:
        self.clear_trouble()
        if self._help is not None:
            self._help()


class _Trouble(QLabel):
    """As much of a text as two lines have room for; the whole of it is its tool tip."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    def show_line(self, line: str) -> None:
        self.setToolTip(line)
        self._elide()

    def _elide(self) -> None:
        room, metrics = max(self.contentsRect().width(), LEAST), self.fontMetrics()
        words, first = self.toolTip().split(" "), 1
        while first < len(words) and metrics.horizontalAdvance(" ".join(words[: first + 1])) <= room:
            first += 1
        lines = (" ".join(words[:first]), " ".join(words[first:]))
        self.setText("\n".join(metrics.elidedText(x, Qt.TextElideMode.ElideRight, room) for x in lines if x))

    def minimumSizeHint(self) -> QSize:
        return QSize(LEAST, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        return self.minimumSizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()
