"""The window's program: what to show in on standard input, digits or a yes out.

It lives for one question, so that nothing of it stays in memory. It imports nothing of the
project, so that it runs isolated. Exit code: 0 for yes, with the digits where they were asked for
on standard output; 1 where the person said no.
"""

import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QEvent, QLocale, Qt
from PySide6.QtGui import QCloseEvent, QFont, QGuiApplication, QInputMethodEvent, QKeyEvent
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

_WIDTH = 460
_WIDTH_CHARACTERS = 66
"""As many letters of middle width as the window is wide at least, however large the font is."""
_MARGIN = 24
_FRAME = 64
"""What the desktop may put around a window as high as the screen."""
_ALERT = "background: #b3261e; color: #ffffff; padding: 10px; border-radius: 6px; font-weight: 600"
_WARNING = "color: {colour}; font-weight: 600"
_WARNING_ON_LIGHT, _WARNING_ON_DARK = "#b3261e", "#ffb4ab"
_HALF_LIGHT = 128
_FRENCH_DIGITS = {ord(letter): digit for digit, letter in enumerate("à&é\"'(-è_ç")}
"""What the keys of the digits give on a French keyboard without the shift key."""
_DIGIT_ROWS = ("123", "456", "789", " 0<")
_LONG_WORD = re.compile(r"\S{16}")
_BREAK = "\N{ZERO WIDTH SPACE}"
"""Where a line may end: an address that ran out of the window would hide where it leads."""
_BULLET = "\N{BULLET}"


class PINField(QLineEdit):
    """Takes digits into a buffer that is overwritten, and holds only as many bullets itself.

    :param longest: how many digits it takes.
    :param say: called with the name of what to tell about a key that was not taken, or ``None``.
    """

    def __init__(self, longest: int, say: Callable[[str | None], None]) -> None:
        super().__init__()
        self._buffer = bytearray(longest)
        self._count = 0
        self._say = say
        self.setEchoMode(QLineEdit.EchoMode.Password)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self.setDragEnabled(False)
        self.setAcceptDrops(False)
        self.setInputMethodHints(
            Qt.InputMethodHint.ImhDigitsOnly
            | Qt.InputMethodHint.ImhHiddenText
            | Qt.InputMethodHint.ImhSensitiveData
            | Qt.InputMethodHint.ImhNoPredictiveText
        )

    def __len__(self) -> int:
        """Return how many digits there are."""
        return self._count

    def digits(self) -> memoryview:
        """Return the digits without a copy."""
        return memoryview(self._buffer)[: self._count]

    def wipe(self) -> None:
        """Overwrite everything that was typed."""
        self._buffer[:] = bytes(len(self._buffer))
        self._count = 0
        self._show()

    def put(self, digit: int) -> None:
        """Add one digit, 0 to 9, where there is room."""
        if self._count < len(self._buffer):
            self._buffer[self._count] = ord("0") + digit
            self._count += 1
        self._say(None)
        self._show()

    def take_back(self) -> None:
        """Overwrite the last digit."""
        if self._count:
            self._count -= 1
            self._buffer[self._count] = 0
        self._say(None)
        self._show()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        key, text = event.key(), event.text()
        if key in (Qt.Key.Key_Backspace, Qt.Key.Key_Delete):
            self.take_back()
        elif (digit := _digit(text)) is not None and not _is_command(event):
            self.put(digit)
        elif key == Qt.Key.Key_Insert or _is_command(event):
            # A PIN that is pasted stayed in the clipboard, for every program to read.
            self._say("no_paste" if key in (Qt.Key.Key_V, Qt.Key.Key_Insert) else None)
        elif text and text.isprintable():
            self._say("digits_only")
        else:
            # Enter, Escape, Tab: the window's.
            event.ignore()

    def inputMethodEvent(self, event: QInputMethodEvent) -> None:  # noqa: N802 - Qt's name
        for letter in event.commitString():
            if (digit := _digit(letter)) is not None:
                self.put(digit)
        event.accept()

    def paste(self) -> None:
        """Refuse what the clipboard holds, by whatever way it comes."""
        self._say("no_paste")

    def event(self, event: QEvent) -> bool:
        # A middle click would paste too.
        if event.type() in (QEvent.Type.MouseButtonRelease, QEvent.Type.MouseButtonDblClick):
            return True
        return super().event(event)

    def _show(self) -> None:
        self.setText(_BULLET * self._count)


class QuestionWindow(QDialog):
    """One question in one window that stays above the others.

    :param shown: what to show; see :func:`cps.agent.window.WindowPINEntry`.
    """

    def __init__(self, shown: dict[str, Any]) -> None:
        super().__init__()
        self._shown = shown
        self._says = shown.get("says", {})
        self.accepted_with = bytearray()
        """The digits, once they were accepted."""
        self.field: PINField | None = None
        self.tick: QCheckBox | None = None
        self.accept_button: QPushButton | None = None
        self.cancel_button: QPushButton | None = None
        self.setWindowTitle(shown["title"])
        self.setWindowFlag(Qt.WindowType.WindowStaysOnTopHint)
        self.setWindowFlag(Qt.WindowType.WindowContextHelpButtonHint, on=False)
        self._content = QWidget()
        layout = QVBoxLayout(self._content)
        layout.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        layout.setSpacing(8)
        self._add_words(layout)
        if shown.get("pin"):
            self._add_field(layout, shown["pin"])
        if shown.get("tick"):
            self.tick = QCheckBox(shown["tick"])
            self.tick.toggled.connect(lambda _: self._refresh())
            layout.addWidget(self.tick)
        self._hint = self._label(layout, "", style=self._warning_style())
        self._hint.setAccessibleName("")
        self._add_buttons(layout)
        self.setAccessibleName(shown["title"])
        self.setAccessibleDescription(" ".join(shown["lines"]))
        self._scroll_what_does_not_fit()
        self._choose_default()
        self._refresh()
        self.fit()

    def accept(self) -> None:
        """Say yes, where everything that is wanted is there; else lead to what is missing."""
        if self.field is not None and not self._is_long_enough():
            self._say("form")
            self.field.setFocus()
            return
        if self.tick is not None and not self.tick.isChecked():
            self.tick.setFocus()
            return
        if self.field is not None:
            self.accepted_with[:] = self.field.digits()
            self.field.wipe()
        super().accept()

    def reject(self) -> None:
        """Say no, and forget what was typed."""
        if self._shown.get("stays"):
            return
        if self.field is not None:
            self.field.wipe()
        super().reject()

    def fit(self) -> None:
        """Make the window as large as its words want, and no larger than the screen."""
        room = self.screen().availableGeometry()
        letters = _WIDTH_CHARACTERS * self.fontMetrics().averageCharWidth()
        width = min(max(_WIDTH, letters), room.width() - _FRAME)
        height = min(self._content.heightForWidth(width), room.height() - _FRAME)
        self.setFixedSize(width, height)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        button = self.accept_button
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and button is not None and button.isDefault() and not button.isEnabled():
            # A button that is not enabled would swallow the key without a word.
            self.accept()
        else:
            super().keyPressEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        event.ignore()
        self.reject()

    def _scroll_what_does_not_fit(self) -> None:
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        # The keys Tab and the arrows move what is asked for into view; the area itself is no stop.
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(self._content)
        around = QVBoxLayout(self)
        around.setContentsMargins(0, 0, 0, 0)
        around.addWidget(area)

    def _choose_default(self) -> None:
        """Settle what Enter does and where keys go, now that all is in the window."""
        careful = bool(self._shown.get("careful"))
        default = self.cancel_button if careful else self.accept_button
        if default is not None:
            default.setDefault(True)
        first = default if self.field is None else self.field
        if first is not None:
            first.setFocus()

    def _warning_style(self) -> str:
        on_light = self.palette().window().color().lightness() >= _HALF_LIGHT
        return _WARNING.format(colour=_WARNING_ON_LIGHT if on_light else _WARNING_ON_DARK)

    def _add_words(self, layout: QVBoxLayout) -> None:
        if self._shown.get("alert"):
            self._label(layout, self._shown["alert"], style=_ALERT)
        heading, *lines = self._shown["lines"]
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * 1.4)
        font.setBold(True)
        self._label(layout, heading).setFont(font)
        for line in lines:
            self._label(layout, line)
        for warning in self._shown.get("warnings", []):
            self._label(layout, warning, style=self._warning_style())

    def _add_field(self, layout: QVBoxLayout, pin: dict[str, Any]) -> None:
        self.field = PINField(pin["longest"], self._say)
        prompt = self._label(layout, pin["prompt"])
        prompt.setBuddy(self.field)
        self.field.setAccessibleName(pin["prompt"])
        # What a person who sees reads above the field before typing.
        self.field.setAccessibleDescription(
            " ".join([*self._shown["lines"], *self._shown.get("warnings", [])])
        )
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * 1.6)
        self.field.setFont(font)
        self.field.textChanged.connect(lambda _: self._refresh())
        layout.addWidget(self.field)
        pad = QGridLayout()
        pad.setSpacing(6)
        for row, names in enumerate(_DIGIT_ROWS):
            for column, name in enumerate(names):
                if name != " ":
                    pad.addWidget(self._key(name, pin["erase"]), row, column)
        layout.addLayout(pad)

    def _key(self, name: str, erase: str) -> QPushButton:
        assert self.field is not None  # noqa: S101 - made just before
        field = self.field
        button = QPushButton("\N{ERASE TO THE LEFT}" if name == "<" else name)
        button.setAccessibleName(erase if name == "<" else name)
        button.setAutoDefault(False)
        button.setMinimumHeight(40)
        if name == "<":
            button.clicked.connect(lambda _: field.take_back())
        else:
            button.clicked.connect(lambda _: field.put(int(name)))
        return button

    def _add_buttons(self, layout: QVBoxLayout) -> None:
        row = QHBoxLayout()
        row.addStretch()
        if self._shown.get("cancel"):
            self.cancel_button = QPushButton(self._shown["cancel"])
            self.cancel_button.setAutoDefault(False)
            self.cancel_button.clicked.connect(lambda _: self.reject())
            row.addWidget(self.cancel_button)
        if self._shown.get("accept"):
            self.accept_button = QPushButton(self._shown["accept"])
            self.accept_button.clicked.connect(lambda _: self.accept())
            row.addWidget(self.accept_button)
        layout.addLayout(row)

    def _label(self, layout: QVBoxLayout, words: str, *, style: str = "") -> QLabel:
        label = QLabel(_LONG_WORD.sub(lambda found: found[0] + _BREAK, words))
        # What a certificate or a gateway says is never markup.
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        label.setStyleSheet(style)
        layout.addWidget(label)
        return label

    def _is_long_enough(self) -> bool:
        return self.field is not None and len(self.field) >= self._shown["pin"]["shortest"]

    def _say(self, name: str | None) -> None:
        self._hint.setText(self._says.get(name, "") if name else "")
        self._hint.setAccessibleName(self._hint.text())
        self.fit()

    def _refresh(self) -> None:
        if self.accept_button is None:
            return
        has_pin = self.field is None or self._is_long_enough()
        self.accept_button.setEnabled(has_pin and (self.tick is None or self.tick.isChecked()))


def _digit(text: str) -> int | None:
    if len(text) != 1:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    if QGuiApplication.inputMethod().locale().language() == QLocale.Language.French:
        return _FRENCH_DIGITS.get(ord(text.lower()))
    return None


def _is_command(event: QKeyEvent) -> bool:
    commands = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.MetaModifier
    return bool(event.modifiers() & commands)


def show_on_top(window: QWidget) -> None:
    """Show *window* in the middle of the screen, above the others, ready for the keyboard."""
    window.show()
    screen = window.screen().availableGeometry()
    window.move(screen.center() - window.rect().center())
    window.raise_()
    window.activateWindow()


def main() -> int:
    """Ask once."""
    application = QApplication(["cps-agent"])
    application.setQuitOnLastWindowClosed(False)
    window = QuestionWindow(json.load(sys.stdin))
    window.finished.connect(lambda _: application.quit())
    show_on_top(window)
    application.exec()
    if window.result() != QDialog.DialogCode.Accepted:
        return 1
    os.write(sys.stdout.fileno(), window.accepted_with)
    window.accepted_with[:] = bytes(len(window.accepted_with))
    return 0


if __name__ == "__main__":
    sys.exit(main())
