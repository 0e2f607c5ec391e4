"""All commands of the window, one line each, and the menus made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QMenu, QMessageBox

from app.commands import Command, Commands
from app.palette import CommandPalette, Entry
from engine import messages as m
from engine.messages import RunInfo
from widgets.theme import theme

if TYPE_CHECKING:
    from app.window import MainWindow

SLOW = 2.0
"""Steps per second in slow motion."""
STEPS = (1, 10, 100, 1000)
MENUS = ("File", "Edit", "Train", "View", "Help")


def make_commands(window: MainWindow) -> Commands:
    """Builds the table and the menu bar of ``window``."""
    bench, stage = window.bench, window.stage

    def no_study() -> str:
        return "" if bench.study is not None else "Open a study first."

    def cannot_train() -> str:
        if bench.study is not None and not bench.study.trains:
            return "This study has nothing to train: its probes are all there is."
        return no_study()

    def no_snapshot(direction: int) -> str:
        if bench.neighbour_snapshot(direction) is None:
            return no_study() or f"There is no {'earlier' if direction < 0 else 'later'} snapshot of this run."
        return ""

    def toggle() -> None:
        if bench.training:
            bench.pause()
        else:
            bench.train(per_second=SLOW if commands.actions["slow"].isChecked() else None)

    def slow() -> None:
        if bench.training:
            bench.train(per_second=SLOW if commands.actions["slow"].isChecked() else None)

    def snapshot(direction: int) -> None:
        step = bench.neighbour_snapshot(direction)
        if step is not None:
            bench.load_snapshot(step)

    def open_run() -> None:
        path = QFileDialog.getExistingDirectory(window, "Open a run folder", str(bench.runs_root))
        if path:
            bench.open_run(path)

    def fit() -> None:
        dock = stage.docks.get(stage.active)
        if dock is not None:
            dock.view.fit()

    def reset_knobs() -> None:
        bench.undo.beginMacro("change of all knobs")
        window.knobs.reset_all()
        bench.undo.endMacro()

    def reset_layout() -> None:
        commands.actions["stage-only"].setChecked(False)
        window.layouts.reset()

    commands = Commands(window)
    add = commands.add
    for command in (
        Command("welcome", "Welcome page", "File", lambda: show_welcome(window), icon="house"),
        Command("open-run", "Open run …", "File", open_run, "Ctrl+O", "folder-open"),
        Command("open-files", "Open 3-D files …", "File", window.files.choose, "Ctrl+Shift+O", "file",
                "Opens meshes and point clouds: PLY, OBJ, STL, OFF, GLB, PCD, XYZ, LAS, NPY ..."),
        Command("save", "Save snapshot", "File", lambda: window.bridge.inbox.post(m.Save()), "Ctrl+S", "floppy-disk",
                "Keeps the weights as they are now in the run's folder.", why_not=cannot_train),
        Command("copy-picture", "Copy picture", "File", lambda: on_view(window, "copy_picture"), "Ctrl+Shift+C", "copy",
                why_not=no_study),
        Command("save-picture", "Save picture …", "File", lambda: on_view(window, "save_picture"), "Ctrl+Shift+S",
                "image", why_not=no_study),
        Command("save-data", "Save data …", "File", lambda: on_view(window, "save_data"), "", "download-simple",
                why_not=no_study),
        Command("quit", "Quit", "File", window.close, "Ctrl+Q"),
        Command("undo", "Undo", "Edit", bench.undo.undo, "Ctrl+Z", "arrow-u-up-left",
                why_not=lambda: "" if bench.undo.canUndo() else "Nothing was changed yet."),
        Command("redo", "Redo", "Edit", bench.undo.redo, "Ctrl+Shift+Z", "arrow-u-up-right",
                why_not=lambda: "" if bench.undo.canRedo() else "Nothing was undone."),
        Command("reset-probe", "Reset probe", "Edit", window.controls.reset_all, "R", "arrow-counter-clockwise",
                "Puts the controls of the active probe back.", why_not=no_study),
        Command("reset-knobs", "Reset knobs", "Edit", reset_knobs, "", why_not=no_study),
        Command("train", "Train", "Train", toggle, "Space", "play", "Trains until you pause.", why_not=cannot_train),
        Command("step", "Step", "Train", lambda: bench.train(1), ".", "skip-forward", "Takes one training step.",
                why_not=cannot_train),
        # the ignored one: a lambda with a default, which keeps this turn's value, is not inferred
        *(Command(f"steps-{n}", f"{n:,} step{'s' if n > 1 else ''}", "Train", lambda n=n: bench.train(n),  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                  why_not=cannot_train) for n in STEPS),
        Command("slow", "Slow", "Train", slow, "", "timer", f"Slow motion: {SLOW:g} steps a second.", True,
                cannot_train),
        Command("restart", "Restart", "Train", bench.rebuild, "Ctrl+R", "arrow-counter-clockwise",
                "Starts afresh from the same seed; the run so far stays on disk and in the curves.",
                why_not=no_study),
        Command("earlier", "Earlier snapshot", "Train", lambda: snapshot(-1), "[", "caret-left",
                why_not=lambda: no_snapshot(-1)),
        Command("later", "Later snapshot", "Train", lambda: snapshot(1), "]", "caret-right",
                why_not=lambda: no_snapshot(1)),
        Command("palette", "Search", "View", lambda: show_palette(window), "Ctrl+K", "magnifying-glass",
                "Finds a command or a study."),
        Command("fit", "Frame", "View", fit, "F", "frame-corners", "Fits the picture of the active probe.",
                why_not=no_study),
        Command("stage-only", "Stage only", "View",
                lambda: window.layouts.show_stage_alone(commands.actions["stage-only"].isChecked()), "F11",
                "arrows-out", checkable=True),
        Command("theme", "Light or dark", "View", lambda: theme.set_mode("light" if theme.mode == "dark" else "dark"),
                "Ctrl+T", "circle-half"),
        Command("reset-layout", "Reset layout", "View", reset_layout, "", "layout"),
        Command("keys", "Keys", "Help", lambda: show_keys(window), "?", "keyboard"),
        Command("about", "About Mutoscope", "Help", lambda: show_about(window)),
    ):  # fmt: skip
        add(command)
    _fill_menus(window, commands)
    return commands


def _fill_menus(window: MainWindow, commands: Commands) -> None:
    bar = window.menuBar()
    menus: dict[str, QMenu] = {name: bar.addMenu(name) for name in MENUS}
    for key, command in commands.table.items():
        menus[command.menu].addAction(commands.actions[key])
    menus["File"].insertMenu(commands.actions["open-files"], window.recent)
    menus["File"].insertMenu(commands.actions["save"], window.files.menu)
    docks = menus["View"].addMenu("Docks")
    for dock in window.docks.values():
        docks.addAction(dock.toggleViewAction())
    probes = menus["View"].addMenu("Probes")

    def list_probes() -> None:
        probes.clear()
        for dock in window.stage.docks.values():
            probes.addAction(dock.toggleViewAction())

    probes.aboutToShow.connect(list_probes)


def list_recent(menu: QMenu, runs: Sequence[RunInfo], choose: Callable[[str], object]) -> None:
    """Fills the menu of recent runs, newest first."""
    menu.clear()
    menu.setEnabled(bool(runs))
    for run in runs:
        action = menu.addAction(f"{run.title} · {run.data} · step {run.step:,}")
        action.setToolTip(run.path)
        action.triggered.connect(lambda _=False, path=run.path: choose(path))


def on_view(window: MainWindow, what: str) -> None:
    """Calls ``what`` on the view of the active probe."""
    dock = window.stage.docks.get(window.stage.active)
    if dock is not None:
        getattr(dock.view, what)()


def show_welcome(window: MainWindow) -> None:
    window.list_runs()
    window.pages.setCurrentIndex(0)


def show_palette(window: MainWindow) -> None:
    entries = [
        Entry(c.text, c.why_not() or c.keys, c.run, not c.why_not())
        for c in window.commands.table.values()
        if c.id != "palette"
    ]
    entries += [
        # the ignored one: a lambda with a default, which keeps this turn's value, is not inferred
        Entry(study.title, "study", lambda key=key: window.choose_study(key))  # type: ignore[misc]  # as above
        for key, study in window.bench.studies.items()
        if not study.error
    ]
    entries += [
        # the ignored one: a lambda with a default, which keeps this turn's value, is not inferred
        Entry(f"Probe: {dock.spec.title}", str(i + 1), lambda i=i: window.stage.raise_probe(i))  # type: ignore[misc]  # as above
        for i, dock in enumerate(window.stage.docks.values())
    ]
    palette = CommandPalette(entries, window)
    palette.move(window.mapToGlobal(window.rect().center()) - palette.rect().center())
    palette.show()


def show_keys(window: MainWindow) -> None:
    rows = [(c.keys, c.text) for c in window.commands.table.values() if c.keys]
    rows += [("1 – 9", "Probe tabs"), ("Shift", "Fine movement of a slider"), ("Double-click", "Reset a slider")]
    text = "".join(f"<tr><td align=right><b>{k}</b>&nbsp;&nbsp;</td><td>{t}</td></tr>" for k, t in rows)
    _box(window, "Keys", f"<table cellspacing=4>{text}</table>")


def show_about(window: MainWindow) -> None:
    _box(
        window,
        "About Mutoscope",
        f"<b>Mutoscope</b><br>Turn the crank, watch the model change.<br><br>Runs are kept in {window.bench.runs_root}",
    )


def _box(window: MainWindow, title: str, text: str) -> None:
    """A note that blocks nothing: the window and training go on behind it."""
    box = QMessageBox(window)
    box.setWindowTitle(title)
    box.setText(text)
    box.setModal(False)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.show()
