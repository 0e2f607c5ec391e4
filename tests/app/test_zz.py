from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from widgets.theme import theme
def test_x(drive):
    drive.open()
    drive.train(60)
    drive.window.docks["log"].raise_()
    drive.window.log.add("wrong thing happened", "error", "Traceback (most recent call last):\n  File x")
    drive.drag(drive.window.controls.control_widget("z").row(0), .8)
    drive.settled(); drive.rest(.3)
    for m in ("dark","light"):
        theme.set_mode(m); drive.rest(.2)
        drive.window.grab().save(f"/tmp/win-{m}.png")
    theme.set_mode("dark")
    drive.key(Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier); drive.rest(.1)
    p=QApplication.activePopupWidget()
    for c in "sn": drive.key(c)
    drive.rest(.1); p.grab().save("/tmp/pal.png"); drive.key(Qt.Key.Key_Escape)
    drive.window.docks["data"].raise_(); drive.rest(.2)
    drive.window.docks["data"].grab().save("/tmp/data.png")
