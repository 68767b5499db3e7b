"""The tray icon's program: what to show in, a line each; what was chosen out, a line each.

It decides nothing: the agent knows what a choice means. It imports nothing of the project, so that
it runs isolated. It ends with its standard input. Exit code: 0, or 3 where there is no tray.

In: ``{"state": …, "tip": …, "portals": […]}``, ``{"report": …}`` or ``{"notice": …, "title": …}``.
Out: ``portal N``, ``login N``, ``diagnose``, ``quit``.
"""

import json
import sys
import threading
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QRect, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QSystemTrayIcon,
    QVBoxLayout,
)

NO_TRAY = 3
_SIZE = 64
_COLOURS = {
    "no_service": "#dc3f45",
    "no_reader": "#858a93",
    "no_card": "#858a93",
    "card": "#3b82d6",
    "session": "#24914d",
}
"""Each is told from light and from dark panels."""
_REPORT_WIDTH, _REPORT_HEIGHT = 760, 420


def icon_for(state: str) -> QIcon:
    """Return a card in the colour of *state*, told apart by its shape too."""
    pixmap = QPixmap(_SIZE, _SIZE)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    colour = QColor(_COLOURS[state])
    has_card = state in ("card", "session")
    pen = painter.pen()
    pen.setColor(colour)
    pen.setWidth(5)
    painter.setPen(pen)
    painter.setBrush(colour if has_card else Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(QRect(5, 14, 54, 36), 6, 6)
    if has_card:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor("#ffffff"))
        painter.drawRoundedRect(QRect(13, 24, 13, 11), 2, 2)
    if state == "session":
        painter.drawEllipse(QRect(38, 26, 16, 16))
    if state in ("no_service", "no_reader"):
        painter.drawLine(8, 56, 56, 8)
    if state == "no_service":
        painter.drawLine(8, 8, 56, 56)
    painter.end()
    return QIcon(pixmap)


class Tray(QObject):
    """The icon, its menu, and the report.

    :param texts: of the menu; without ``login`` no login can begin here.
    :param choose: told what was chosen.
    """

    said = Signal(object)
    """A message of the agent, from the thread that reads."""

    def __init__(self, texts: dict[str, str], choose: Callable[[str], None]) -> None:
        super().__init__()
        self._texts = texts
        self._choose = choose
        self.icon = QSystemTrayIcon(icon_for("no_reader"))
        self.menu = QMenu()
        self.portals = QMenu(texts["portals"])
        self._origins: list[str] = []
        self.menu.addMenu(self.portals)
        self.menu.addSeparator()
        self.menu.addAction(texts["diagnose"]).triggered.connect(lambda _: choose("diagnose"))
        self.menu.addAction(texts["quit"]).triggered.connect(lambda _: choose("quit"))
        self.icon.setContextMenu(self.menu)
        self.report: QDialog | None = None
        self.said.connect(self.show_message)

    def show_message(self, message: dict[str, Any]) -> None:
        """Show what the agent says."""
        if "report" in message:
            self._show_report(message["report"])
            return
        if "notice" in message:
            self.icon.showMessage(message["title"], message["notice"])
            return
        self.icon.setIcon(icon_for(message["state"]))
        self.icon.setToolTip(message["tip"])
        if message["portals"] != self._origins:
            self._origins = message["portals"]
            self.portals.clear()
            for number, origin in enumerate(self._origins):
                self._add_portal(number, origin)
        self.portals.setEnabled(bool(self._origins))

    def _add_portal(self, number: int, origin: str) -> None:
        if "login" not in self._texts:
            self._add_choice(self.portals, origin, f"portal {number}")
            return
        menu = self.portals.addMenu(origin)
        self._add_choice(menu, self._texts["open"], f"portal {number}")
        self._add_choice(menu, self._texts["login"], f"login {number}")

    def _add_choice(self, menu: QMenu, words: str, choice: str) -> None:
        menu.addAction(words).triggered.connect(lambda _: self._choose(choice))

    def _show_report(self, words: str) -> None:
        self.report = QDialog()
        self.report.setWindowTitle(self._texts["report"])
        self.report.resize(_REPORT_WIDTH, _REPORT_HEIGHT)
        layout = QVBoxLayout(self.report)
        shown = QPlainTextEdit(words)
        shown.setReadOnly(True)
        shown.setAccessibleName(self._texts["report"])
        layout.addWidget(shown)
        copy = QPushButton(self._texts["copy"])
        copy.clicked.connect(lambda _: QApplication.clipboard().setText(words))
        layout.addWidget(copy)
        self.report.show()
        self.report.raise_()


def read_messages(tray: Tray, end: Callable[[], None]) -> None:
    """Pass on each line of standard input, then end."""
    for line in sys.stdin:
        tray.said.emit(json.loads(line))
    end()


def main() -> int:
    """Show the icon until the agent ends."""
    application = QApplication(["cps-agent"])
    application.setQuitOnLastWindowClosed(False)
    if not QSystemTrayIcon.isSystemTrayAvailable():
        return NO_TRAY

    def choose(choice: str) -> None:
        print(choice, flush=True)

    tray = Tray(json.loads(sys.stdin.readline()), choose)
    tray.icon.show()
    threading.Thread(
        target=read_messages, args=(tray, application.quit), name="agent", daemon=True
    ).start()
    application.exec()
    return 0


if __name__ == "__main__":
    sys.exit(main())
