"""The look: tokens, colours, the style sheet and icons, for dark and light. Knows no widget of ours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

UNIT = 4
RADIUS = 6
CAPTION, BODY, HEAD, TITLE = 11, 13, 15, 22
"""Font sizes in pixels."""
ICONS = Path(__file__).resolve().parent.parent / "resources" / "icons"
ICON_SIDES = (16, 24, 48)
"""Pixels at which icons are drawn; in between they are scaled down."""


@dataclass(frozen=True)
class Colours:
    """The colours of one mode, as #rrggbb."""

    ground: str
    raised: str
    line: str
    text: str
    quiet: str
    hover: str
    plot: str
    accent: str = "#4c8dff"
    on_accent: str = "#0b1220"
    """Text on the accent: dark, because white on #4c8dff is 3.2:1 and this is 5.8:1."""
    warn: str = "#e69f00"
    bad: str = "#e8716c"


DARK = Colours("#15171c", "#1d2027", "#2b303a", "#e6e8ec", "#9aa3b2", "#262b34", "#181b21")
LIGHT = Colours("#f7f7f5", "#ffffff", "#dcdcd6", "#1c1e21", "#63686f", "#ecece8", "#fdfdfc", bad="#c03934")

TERMS = {"orange": "#e69f00", "purple": "#b07cd8", "blue": "#56b4e9", "green": "#2bb07f", "red": "#e0524d"}
"""Colours of an objective's terms by name; the same on the equation, its curve, its bar and its legend."""

_TERM_TEXT_DARK = {**TERMS, "red": "#e6645f"}
_TERM_TEXT_LIGHT = {"orange": "#8f6200", "purple": "#8146b4", "blue": "#1b6f9f", "green": "#147a55", "red": "#c23a35"}

LABELS = (
    "#4e9fe5", "#f2914a", "#4fb86a", "#e2595f", "#a583d6",
    "#b9866f", "#e58ac4", "#a3acb8", "#c9c24a", "#3fc0cc",
)  # fmt: skip
"""Ten qualitative colours for classes, told apart on both grounds."""


class Theme(QObject):
    """Which mode is on. ``changed`` is emitted after the style sheet is in place."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.mode = "dark"

    @property
    def colours(self) -> Colours:
        return DARK if self.mode == "dark" else LIGHT

    def term(self, name: str) -> str:
        """The colour of a curve or bar of a term; unknown names are the text's colour."""
        return TERMS.get(name, self.colours.text)

    def term_text(self, name: str) -> str:
        """The same hue where it is text: at least 4.5:1 on this mode's ground."""
        shades = _TERM_TEXT_LIGHT if self.mode == "light" else _TERM_TEXT_DARK
        return shades.get(name, self.colours.text)

    def set_mode(self, mode: str) -> None:
        """``dark`` or ``light``, for the whole application."""
        self.mode = "light" if mode == "light" else "dark"
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.setStyleSheet("")  # else every widget is polished twice, once for the palette with the old sheet
            app.setPalette(self.palette())
            app.setStyleSheet(self.style_sheet())
        _icon.cache_clear()
        self.changed.emit()

    def palette(self) -> QPalette:
        c = self.colours
        palette = QPalette()
        for role, colour in (
            (QPalette.ColorRole.Window, c.ground), (QPalette.ColorRole.Base, c.raised),
            (QPalette.ColorRole.AlternateBase, c.ground), (QPalette.ColorRole.WindowText, c.text),
            (QPalette.ColorRole.Text, c.text), (QPalette.ColorRole.ButtonText, c.text),
            (QPalette.ColorRole.Button, c.raised), (QPalette.ColorRole.PlaceholderText, c.quiet),
            (QPalette.ColorRole.Highlight, c.accent), (QPalette.ColorRole.HighlightedText, c.on_accent),
            (QPalette.ColorRole.ToolTipBase, c.raised), (QPalette.ColorRole.ToolTipText, c.text),
            (QPalette.ColorRole.Link, c.accent),
        ):  # fmt: skip
            palette.setColor(role, QColor(colour))
        for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
            palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(c.quiet))
        return palette

    def style_sheet(self) -> str:
        c = self.colours
        return f"""
* {{ font-size: {BODY}px; }}
QMainWindow, QDialog {{ background: {c.ground}; }}
QMainWindow::separator {{ background: {c.line}; width: 1px; height: 1px; }}
QMainWindow::separator:hover {{ background: {c.accent}; }}
QToolTip {{ background: {c.raised}; color: {c.text}; border: 1px solid {c.line}; padding: 4px 8px; }}
QLabel[role="caption"] {{ font-size: {CAPTION}px; color: {c.quiet}; }}
QLabel[role="dock"] {{ font-size: {CAPTION}px; font-weight: 600; color: {c.quiet}; letter-spacing: 1px; }}
QLabel[role="head"] {{ font-size: {HEAD}px; font-weight: 600; }}
QLabel[role="title"] {{ font-size: {TITLE}px; font-weight: 600; }}
QLabel[role="quiet"] {{ color: {c.quiet}; }}
QLabel[role="bad"] {{ color: {c.bad}; }}
QPushButton, QToolButton {{ background: transparent; color: {c.text}; border: 1px solid transparent;
    border-radius: {RADIUS}px; padding: 4px 8px; }}
QPushButton {{ border-color: {c.line}; background: {c.raised}; padding: 4px 12px; }}
QPushButton:hover, QToolButton:hover {{ background: {c.hover}; }}
QPushButton:focus, QToolButton:focus {{ border-color: {c.accent}; }}
QPushButton:disabled, QToolButton:disabled {{ color: {c.quiet}; }}
QPushButton[role="primary"], QToolButton[role="primary"] {{ background: {c.accent}; color: {c.on_accent};
    border-color: {c.accent}; font-weight: 600; }}
QPushButton[role="primary"]:disabled, QToolButton[role="primary"]:disabled {{ background: {c.hover}; color: {c.quiet};
    border-color: {c.line}; }}
QPushButton:checked, QToolButton:checked {{ background: {c.hover}; border-color: {c.line}; }}
QToolButton::menu-indicator {{ image: none; }}
QToolButton[popupMode="1"] {{ padding-right: 20px; }}
QToolButton::menu-button {{ border: none; width: 16px; }}
QLineEdit, QComboBox, QSpinBox, QDoubleSpinBox, QPlainTextEdit {{ background: {c.raised}; color: {c.text};
    border: 1px solid {c.line}; border-radius: {RADIUS}px; padding: 3px 8px; selection-background-color: {c.accent};
    selection-color: {c.on_accent}; }}
QLineEdit:focus, QComboBox:focus, QSpinBox:focus, QDoubleSpinBox:focus,
QPlainTextEdit:focus {{ border-color: {c.accent}; }}
QComboBox::drop-down {{ border: none; width: 16px; }}
QComboBox QAbstractItemView {{ background: {c.raised}; color: {c.text}; border: 1px solid {c.line};
    selection-background-color: {c.accent}; selection-color: {c.on_accent}; }}
QTreeView, QListView, QTableView {{ background: transparent; border: none; outline: none; }}
QTreeView::item, QListView::item {{ padding: 4px 8px; border-radius: 4px; }}
QTreeView::item:hover, QListView::item:hover {{ background: {c.hover}; }}
QTreeView::item:selected, QListView::item:selected {{ background: {c.hover}; color: {c.text}; }}
QTreeView {{ show-decoration-selected: 0; }}
QTreeView::branch, QTreeView::branch:selected, QTreeView::branch:hover {{ background: transparent; }}
QMenuBar {{ background: {c.ground}; color: {c.text}; border-bottom: 1px solid {c.line}; }}
QMenuBar::item {{ padding: 4px 8px; background: transparent; }}
QMenuBar::item:selected {{ background: {c.hover}; }}
QMenu {{ background: {c.raised}; color: {c.text}; border: 1px solid {c.line}; padding: 4px; }}
QMenu::item {{ padding: 4px 24px 4px 12px; border-radius: 4px; }}
QMenu::item:selected {{ background: {c.hover}; }}
QMenu::item:disabled {{ color: {c.quiet}; }}
QMenu::separator {{ height: 1px; background: {c.line}; margin: 4px 8px; }}
QToolBar {{ background: {c.ground}; border: none; border-bottom: 1px solid {c.line}; padding: 4px 8px; spacing: 4px; }}
QStatusBar {{ background: {c.ground}; color: {c.quiet}; border-top: 1px solid {c.line}; }}
QStatusBar QLabel {{ font-size: {CAPTION}px; color: {c.quiet}; padding: 0 8px; }}
QStatusBar::item {{ border: none; }}
QTabBar {{ background: transparent; qproperty-drawBase: 0; }}
QTabBar::tab {{ background: transparent; color: {c.quiet}; padding: 6px 8px; border: none;
    border-bottom: 2px solid transparent; }}
QTabBar::tab:selected {{ color: {c.text}; border-bottom-color: {c.accent}; }}
QTabBar::tab:hover {{ color: {c.text}; }}
QTabBar::tab:focus {{ color: {c.text}; background: {c.hover}; }}
QTabBar::scroller {{ width: 32px; }}
QTabBar::tear {{ width: 0; border: none; image: none; }}
QTabBar QToolButton {{ background: {c.raised}; border: 1px solid {c.line}; border-radius: 0; padding: 0; }}
QScrollArea {{ background: transparent; border: none; }}
QScrollArea > QWidget > QWidget {{ background: transparent; }}
QScrollBar:vertical {{ background: transparent; width: 8px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 8px; margin: 0; }}
QScrollBar::handle {{ background: {c.line}; border-radius: 4px; min-height: 24px; min-width: 24px; }}
QScrollBar::handle:hover {{ background: {c.quiet}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QProgressBar {{ background: {c.line}; border: none; border-radius: 2px; max-height: 4px; min-height: 4px; }}
QProgressBar::chunk {{ background: {c.accent}; border-radius: 2px; }}
QCheckBox {{ spacing: 8px; }}
QCheckBox:focus {{ color: {c.accent}; }}
"""


theme = Theme()
"""The one theme of the process."""


def refresh_style(widget: object) -> None:
    """Re-applies the style sheet after a ``role`` property changed."""
    style = widget.style()  # type: ignore[attr-defined]  # any QWidget
    style.unpolish(widget)
    style.polish(widget)


def icon(name: str, colour: str = "") -> QIcon:
    """An icon of the Phosphor set (``play``, ``pause`` ...) in the text's colour, or in ``colour``.

    Its drawing is ``resources/icons/<name>.svg``; FileNotFoundError if there is none.
    """
    return _icon(name, colour or theme.colours.text, theme.colours.quiet)


@lru_cache(maxsize=256)
def _icon(name: str, colour: str, disabled: str) -> QIcon:
    drawing = QSvgRenderer((ICONS / f"{name}.svg").read_bytes())
    made = QIcon()
    for side in ICON_SIDES:
        for mode, tint in ((QIcon.Mode.Normal, colour), (QIcon.Mode.Disabled, disabled)):
            pixmap = QPixmap(side, side)
            pixmap.fill(Qt.GlobalColor.transparent)
            painter = QPainter(pixmap)
            drawing.render(painter)
            painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
            painter.fillRect(pixmap.rect(), QColor(tint))
            painter.end()
            made.addPixmap(pixmap, mode)
    return made


def tabular(font: QFont) -> QFont:
    """``font`` with digits of one width, so that a changing number does not jump."""
    tagged = QFont(font)
    tagged.setFeature(QFont.Tag("tnum"), 1)
    return tagged
