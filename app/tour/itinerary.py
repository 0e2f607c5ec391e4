"""Where the tour goes: the welcome page, the starters, every study with every probe and dock, the palette, the themes.

Works on whatever the catalogue holds; knows no study by name but the one of the README's screenshot.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QTreeWidgetItem

from app.palette import CommandPalette
from app.stage import ProbeDock
from app.tour.hand import line
from app.tour.rig import Rig
from app.welcome import STARTER_CARDS
from engine.study import Declaration
from widgets.controls.slider import ValueSlider
from widgets.theme import theme

OPEN_SECONDS = 60.0
PICTURE_SECONDS = 20.0
"""How long a probe may take to show something beside training, on a slow machine."""
SCREENSHOT = ("vae", "latent_map", ("fashion_mnist", "mnist", "shapes", "digits"))
"""The README's picture: a study, the probe beside the sliders, and data sets, the best-looking first."""
CTRL = Qt.KeyboardModifier.ControlModifier


class Tour:
    """One round through the window of ``rig``; ``stops`` are the files written, each with its line of text."""

    def __init__(self, rig: Rig, out: Path, seconds: float, only: tuple[str, ...] = ()) -> None:
        self.rig, self.out, self.seconds, self.only = rig, out, seconds, only
        self.window, self.hand, self.watch = rig.window, rig.hand, rig.watch
        self.bench, self.stage = rig.window.bench, rig.window.stage
        self.stops: list[tuple[str, str]] = []
        self.screenshot: Path | None = None
        self._epoch = 0

    def run(self) -> None:
        """The whole round. Troubles are written down by the watch, and the tour goes on where it can."""
        self.watch.at("start")
        if not self.rig.ready():
            self.watch.complain("the engine did not start in time")
            return
        self.hand.rest(0.5)
        if self.only:
            for key in self.only:
                self.only_study(key)
            return
        self.stop("welcome", "The welcome page: cards that open something that has already learned.")
        self.starters()
        studies = [study for study in self.bench.studies.values() if not study.error]
        for study in studies:
            self.study(study)
        self.palette_stop()
        self.light()
        self.readme()
        self.back_home()

    def only_study(self, key: str) -> None:
        """The leg of the study that is named ``key``."""
        study = self.bench.studies.get(key)
        if study is None or study.error:
            self.watch.at(key)
            self.watch.complain(study.error if study is not None else "there is no such study")
        else:
            self.study(study)

    # ---- pictures ----

    def stop(self, name: str, text: str) -> Path:
        """Saves the window as it stands as the next picture."""
        path = self.out / f"{len(self.stops) + 1:02d}-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.png"
        if not self.hand.save(path):
            self.watch.complain(f"{path} could not be written")
        self.stops.append((path.name, text))
        return path

    # ---- legs ----

    def starters(self) -> None:
        """Opens each card whose starter was made, and comes back by the palette."""
        for starter in [s for s in STARTER_CARDS if s.path.is_dir()]:
            self.watch.at(f"starter {starter.folder}")
            self.run_command("Welcome page")
            card = next(c for c in self.window.welcome.cards if c.accessibleName() == starter.title)
            self.hand.rest(0.2)
            self.hand.click(card)
            if self.opened():
                shown = self.stage.docks.get(starter.probe)
                if shown is not None:
                    self.picture_of(shown)
                self.drag_slider(1.0)
                self.hand.rest(0.5)
                self.stop(f"starter-{starter.folder}", f"The card “{starter.title}”: {starter.text}")

    def study(self, study: Declaration) -> None:
        """Opens a study from the catalogue, trains it, and looks at each of its probes and at every dock."""
        self.watch.at(study.title)
        if not self.choose(study):
            return
        docks = list(self.stage.docks.values())
        if docks:
            self.picture_of(docks[0])
        self.stop(f"{study.key}-opened", f"{study.title}, just opened.")
        begun = time.monotonic()
        if study.trains:
            self.hand.click(self.window.toolbar.train)
            if not self.hand.wait(lambda: self.bench.step > 0, PICTURE_SECONDS):
                self.watch.complain("training did not begin")
        self.drag_slider(self.seconds / 4)
        for dock in docks:
            self.watch.at(f"{study.title}, {dock.spec.title}")
            self.raise_probe(dock)
            self.picture_of(dock)
            self.hand.rest(self.seconds / 16)
            self.stop(f"{study.key}-{dock.slot}", f"{study.title}: {dock.spec.title}. {dock.spec.text}")
        self.watch.at(study.title)
        if not study.trains:  # its docks that would stay empty are closed
            return
        for title in ("Data", "Log", "Curves"):
            if not self.hand.tab(title):
                self.watch.complain(f"there is no tab {title}")
            if title == "Curves":
                self.hand.rest(max(0.3, self.seconds - (time.monotonic() - begun)))
            self.hand.rest(0.3)
            self.stop(f"{study.key}-{title}", f"{study.title}: the dock {title}.")
        for i in range(1, self.window.curves.tabs.count()):
            title = self.window.curves.tabs.tabText(i)
            self.hand.tab(title)
            self.hand.rest(0.3)
            self.stop(f"{study.key}-curves-{title}", f"{study.title}: the curves of {title}.")
        self.hand.click(self.window.toolbar.train)
        if not self.hand.wait(lambda: not self.bench.training, 10.0):
            self.watch.complain("training did not pause")

    def palette_stop(self) -> None:
        """The palette with a few letters typed, then a probe chosen with Enter."""
        self.watch.at("palette")
        if self.open_palette():
            study = self.bench.study
            self.hand.type(study.probes[0].title[:5].lower() if study else "train")
            self.hand.rest(0.2)
            self.stop("palette", "Ctrl+K: the command palette finds commands, studies and probes by a few letters.")
            self.hand.key(Qt.Key.Key_Return)
            self.hand.rest(0.3)

    def light(self) -> None:
        """The other theme, and back."""
        self.watch.at("theme")
        before = theme.mode
        self.hand.key(Qt.Key.Key_T, CTRL)
        self.hand.rest(0.5)
        if theme.mode == before:
            self.watch.complain("Ctrl+T did not change the theme")
        self.stop(f"theme-{theme.mode}", f"The {theme.mode} theme.")
        self.hand.key(Qt.Key.Key_T, CTRL)
        self.hand.rest(0.5)

    def readme(self) -> None:
        """The README's picture: good-looking data, some training, sliders moved, the map beside them."""
        key, probe, data_sets = SCREENSHOT
        self.watch.at("the README's picture")
        study = self.bench.studies.get(key)
        if study is None or study.error or not self.choose(study):
            self.watch.complain(f"{key} could not be opened")
            return
        there = {option.key: option for option in self.bench.data_options if option.available}
        data = next((there[name] for name in data_sets if name in there), None)
        if data is not None and data.key != self.bench.data:
            self.hand.tab("Data")
            if not self.hand.pick(self.window.data.box, data.title):
                self.watch.complain(f"the data set {data.title} could not be chosen")
            if not self.opened():
                return
        self.hand.tab("Curves")
        self.hand.click(self.window.toolbar.train)
        self.raise_probe(self.stage.docks[probe])
        self.hand.rest(4 * self.seconds)
        first = next(iter(self.stage.docks.values()))
        self.raise_probe(first)
        self.drag_slider(min(2.0, self.seconds / 4), rows=3)
        self.picture_of(self.stage.docks[probe])
        self.hand.rest(self.seconds / 2)
        self.screenshot = self.stop("trained", "Dragging the sliders while it trains: the picture of the README.")

    def back_home(self) -> None:
        """F11 hides all but the stage; the welcome page now lists the runs of the tour."""
        self.watch.at("stage only")
        self.hand.key(Qt.Key.Key_F11)
        self.hand.rest(0.7)
        self.stop("stage-only", "F11: the probes alone.")
        self.hand.key(Qt.Key.Key_F11)
        self.hand.rest(0.3)
        if self.bench.training:
            self.hand.click(self.window.toolbar.train)
        self.watch.at("recent runs")
        self.run_command("Welcome page")
        self.hand.rest(0.7)
        self.stop("recent-runs", "The welcome page again, with the runs that were just made.")

    # ---- what the legs are made of ----

    def choose(self, study: Declaration) -> bool:
        """Clicks a study in the catalogue and waits until it stands afresh."""
        tree = self.window.catalogue.tree
        items = tree.findItems(study.title, Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive)
        if not items:
            self.watch.complain("is not in the catalogue")
            return False
        item: QTreeWidgetItem = items[0]
        tree.scrollToItem(item)
        there = self.bench.study is not None and self.bench.study.key == study.key
        self.hand.click(tree.viewport(), tree.visualItemRect(item).center())
        if there:  # the click only shows it
            self.hand.click(self.window.toolbar.restart)
        return self.opened()

    def opened(self) -> bool:
        """Waits until a study was asked for that was not open before, and stands."""
        if not self.hand.wait(lambda: self.bench.epoch > self._epoch, 5.0):
            self.watch.complain("nothing was opened")
            return False
        self._epoch = self.bench.epoch
        done = self.rig.stands(OPEN_SECONDS)
        if not done:
            self.watch.complain("was not opened in time")
        self.hand.rest(0.2)
        return done

    def raise_probe(self, dock: ProbeDock) -> None:
        """By its tab, or by the palette where the tab is out of sight; then a click on it, to get its controls."""
        if not dock.on_screen and not self.hand.tab(dock.spec.title):
            self.run_command(f"Probe: {dock.spec.title}")
        self.hand.rest(0.1)
        self.hand.click(dock.bar, QPoint(6, 6))
        if not self.hand.wait(lambda: dock.on_screen and self.stage.active == dock.slot, 2.0):
            self.watch.complain("did not come to the front")

    def picture_of(self, dock: ProbeDock) -> None:
        """Waits for the picture of a probe, the first of several where it becomes better by and by, and looks whether
        there is anything on it."""
        view = dock.view

        def there() -> bool:
            first = getattr(view.payload, "progress", 1.0) < 1.0
            return view.payload is not None and not view.card.isVisible() and (first or not view.busy_line.busy)

        if not self.hand.wait(there, PICTURE_SECONDS):
            what = ": ".join(view.card.texts[:2]) if view.card.isVisible() else "still waiting"
            self.watch.complain(f"no picture of {dock.spec.title} in {PICTURE_SECONDS:g} s ({what})")
        elif is_blank(view.picture()):
            self.watch.complain(f"the picture of {dock.spec.title} is blank")

    def drag_slider(self, seconds: float, rows: int = 1) -> None:
        """Drags the uppermost sliders of the active probe to and fro."""
        found = [s for s in self.window.controls.findChildren(ValueSlider) if not s.visibleRegion().isEmpty()]
        for slider in sorted(found, key=lambda s: s.mapTo(self.window, QPoint(0, 0)).y())[:rows]:
            before, track = slider.value(), slider.track_rect().toRect()
            near, middle, far = (QPoint(track.left() + track.width() * i // 8, track.center().y()) for i in (2, 4, 6))
            moves = max(4, round(seconds / rows / 0.016 / 3))
            self.hand.drag(slider, line(middle, far, moves) + line(far, near, moves) + line(near, far, moves))
            if slider.value() == before:
                self.watch.complain(f"dragging {slider.accessibleName()} moved nothing")

    def run_command(self, text: str) -> None:
        """By the palette: Ctrl+K, the words, Enter."""
        if self.open_palette():
            self.hand.type(text)
            self.hand.rest(0.1)
            self.hand.key(Qt.Key.Key_Return)
            self.hand.rest(0.2)

    def open_palette(self) -> bool:
        self.hand.key(Qt.Key.Key_K, CTRL)
        if not self.hand.wait(lambda: self.window.findChild(CommandPalette) is not None, 2.0):
            self.watch.complain("Ctrl+K opened no palette")
            return False
        self.hand.rest(0.1)
        return True


def is_blank(image: QImage) -> bool:
    """Whether a picture is a plain area: fewer than four colours on a grid of 200 x 200 places, fine enough for the
    thin line of a curve."""
    w, h = image.width(), image.height()
    colours = {image.pixel(x * w // 200, y * h // 200) for x in range(200) for y in range(200)}
    return len(colours) < 4
