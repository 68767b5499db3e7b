"""The window itself, drawn without a display; each state is also kept as a picture.

The pictures go to the folder that the environment variable ``CPS_PICTURES`` names, where it is set.
"""

import ast
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("PySide6.QtWidgets", reason="needs PySide6-Essentials", exc_type=ImportError)

from PySide6.QtCore import QEvent, QLocale, QRect, Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QKeyEvent, QPalette
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QDialog,
    QLabel,
    QPushButton,
    QScrollArea,
    QWidget,
)
from pytest_mock import MockerFixture

from cps.agent import pin_window
from cps.agent import window as questions
from cps.agent.pin_window import PINField, QuestionWindow, show_on_top
from cps.agent.window import PROGRAM
from tests.unit.cps.agent.contrast import contrast
from tests.unit.cps.agent.test_pin_entry import ORIGIN, pin_request

Shown = dict[str, Any]


@pytest.fixture(scope="module")
def application() -> Iterator[QApplication]:
    before = os.environ.get("QT_QPA_PLATFORM")
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    yield QApplication.instance() or QApplication(["test"])  # type: ignore[misc] # Qt's own type
    if before is None:
        del os.environ["QT_QPA_PLATFORM"]


@pytest.fixture
def show(application: QApplication) -> Iterator[Callable[[Shown], QuestionWindow]]:
    windows: list[QuestionWindow] = []

    def open_window(shown: Shown) -> QuestionWindow:
        # As it comes to the program.
        window = QuestionWindow(json.loads(json.dumps(shown)))
        windows.append(window)
        show_on_top(window)
        return window

    yield open_window
    for window in windows:
        window.hide()
        window.deleteLater()


@pytest.fixture
def asked(show: Callable[[Shown], QuestionWindow]) -> QuestionWindow:
    return show(questions._pin_question(pin_request()))


def field_of(window: QuestionWindow) -> PINField:
    assert window.field is not None
    return window.field


def digits(window: QuestionWindow) -> bytes:
    return bytes(field_of(window).digits())


def button(window: QuestionWindow, name: str) -> QPushButton:
    (found,) = [
        one
        for one in window.findChildren(QPushButton)
        if name in (one.text(), one.accessibleName())
    ]
    return found


# Typing.


def test_a_pin_is_taken_and_its_buffer_overwritten(asked: QuestionWindow) -> None:
    QTest.keyClicks(field_of(asked), "4711")
    QTest.keyClick(field_of(asked), Qt.Key.Key_Return)
    assert asked.result() == QDialog.DialogCode.Accepted
    assert asked.accepted_with == b"4711"
    assert field_of(asked)._buffer == bytes(8)


def test_the_field_itself_never_holds_a_digit(asked: QuestionWindow) -> None:
    QTest.keyClicks(field_of(asked), "4711")
    assert field_of(asked).text() == "\N{BULLET}" * 4
    assert field_of(asked).echoMode() is PINField.EchoMode.Password


def test_the_pad_types_and_erases(asked: QuestionWindow) -> None:
    for name in ("4", "7", "0", "Effacer le dernier chiffre", "1", "1"):
        button(asked, name).click()
    assert digits(asked) == b"4711"


def test_backspace_overwrites_what_it_takes_back(asked: QuestionWindow) -> None:
    QTest.keyClicks(field_of(asked), "47")
    QTest.keyClick(field_of(asked), Qt.Key.Key_Backspace)
    assert field_of(asked)._buffer == b"4" + bytes(7)


def test_no_more_digits_are_taken_than_a_pin_has(asked: QuestionWindow) -> None:
    QTest.keyClicks(field_of(asked), "1234567890")
    assert digits(asked) == b"12345678"


@pytest.mark.parametrize("typed", ["", "123"], ids=["nothing", "too few"])
def test_what_is_no_pin_is_said_and_not_taken(asked: QuestionWindow, typed: str) -> None:
    QTest.keyClicks(field_of(asked), typed)
    QTest.keyClick(field_of(asked), Qt.Key.Key_Return)
    assert asked.isVisible()
    assert "4 à 8 chiffres" in asked._hint.text()
    assert not button(asked, "Valider").isEnabled()


@pytest.mark.parametrize("letters", ["abc", "CAPS", "é", "１２"], ids=["low", "caps", "é", "wide"])
def test_letters_are_said_to_be_no_digits(
    asked: QuestionWindow, letters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaks(monkeypatch, QLocale.Language.English)
    for letter in letters:
        field_of(asked).keyPressEvent(key(letter))
    assert digits(asked) == b""
    assert "que des chiffres" in asked._hint.text()
    QTest.keyClicks(field_of(asked), "1")
    assert asked._hint.text() == ""


def speaks(monkeypatch: pytest.MonkeyPatch, language: QLocale.Language) -> None:
    """Make the keyboard one of that language."""

    class Method:
        def locale(self) -> QLocale:
            return QLocale(language)

    monkeypatch.setattr(QGuiApplication, "inputMethod", Method)


def test_a_french_keyboard_needs_no_shift_and_no_capitals(
    asked: QuestionWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaks(monkeypatch, QLocale.Language.French)
    for letter in "'è&&":
        field_of(asked).keyPressEvent(key(letter))
    assert digits(asked) == b"4711"


def key(letter: str) -> QKeyEvent:
    return QKeyEvent(QEvent.Type.KeyPress, 0, Qt.KeyboardModifier.NoModifier, letter)


@pytest.mark.parametrize("way", ["control", "insert", "middle", "call"])
def test_nothing_is_pasted(asked: QuestionWindow, way: str) -> None:
    QGuiApplication.clipboard().setText("4711")
    field = field_of(asked)
    match way:
        case "control":
            QTest.keyClick(field, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
        case "insert":
            QTest.keyClick(field, Qt.Key.Key_Insert, Qt.KeyboardModifier.ShiftModifier)
        case "middle":
            QTest.mouseClick(field, Qt.MouseButton.MiddleButton)
        case _:
            field.paste()
    assert (field.text(), digits(asked)) == ("", b"")
    if way != "middle":
        assert "coller" in asked._hint.text()


def test_nothing_is_copied(asked: QuestionWindow) -> None:
    QGuiApplication.clipboard().setText("before")
    QTest.keyClicks(field_of(asked), "4711")
    for letter in (Qt.Key.Key_A, Qt.Key.Key_C, Qt.Key.Key_X):
        QTest.keyClick(field_of(asked), letter, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "before"
    assert digits(asked) == b"4711"


@pytest.mark.parametrize("way", ["escape", "close", "button"])
def test_no_is_no_and_overwrites(asked: QuestionWindow, way: str) -> None:
    QTest.keyClicks(field_of(asked), "4711")
    match way:
        case "escape":
            QTest.keyClick(asked, Qt.Key.Key_Escape)
        case "close":
            asked.close()
        case _:
            button(asked, "Annuler").click()
    assert asked.result() == QDialog.DialogCode.Rejected
    assert asked.accepted_with == b""
    assert field_of(asked)._buffer == bytes(8)


def test_the_last_try_is_ticked_first(show: Callable[[Shown], QuestionWindow]) -> None:
    window = show(questions._pin_question(pin_request(tries_left=1)))
    QTest.keyClicks(field_of(window), "4711")
    assert not button(window, "Valider").isEnabled()
    QTest.keyClick(field_of(window), Qt.Key.Key_Return)
    assert window.isVisible()
    assert window.accepted_with == b""
    # Enter led to what is missing.
    assert window.focusWidget() is window.tick
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Space)
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Return)
    assert window.accepted_with == b"4711"


def test_the_last_try_needs_the_digits_too(show: Callable[[Shown], QuestionWindow]) -> None:
    window = show(questions._pin_question(pin_request(tries_left=1)))
    assert window.tick is not None
    window.tick.setChecked(True)
    QTest.keyClick(window.tick, Qt.Key.Key_Return)
    assert window.isVisible()
    assert window.focusWidget() is window.field


# The window.


def test_it_stays_on_top_and_waits_for_the_keyboard(asked: QuestionWindow) -> None:
    assert asked.windowFlags() & Qt.WindowType.WindowStaysOnTopHint
    assert asked.focusWidget() is asked.field


def test_a_screen_reader_is_told_what_others_see(asked: QuestionWindow) -> None:
    field = field_of(asked)
    assert field.accessibleName() == "Code PIN\u00a0:"
    for fact in (ORIGIN, "Portail d’essai", "CAMILLE EXEMPLE", "5678", "Essais restants"):
        assert fact in field.accessibleDescription()
    for one in asked.findChildren(QPushButton):
        assert one.accessibleName() or one.text()
        assert one.focusPolicy() != Qt.FocusPolicy.NoFocus


def test_names_are_never_markup(show: Callable[[Shown], QuestionWindow]) -> None:
    window = show({"title": "t", "lines": ["<b>x</b>", "<img src=http://evil.example>"]})
    assert {label.textFormat() for label in window.findChildren(QLabel)} == {
        Qt.TextFormat.PlainText
    }


def test_the_keypads_notice_takes_nothing_and_does_not_close(
    show: Callable[[Shown], QuestionWindow],
) -> None:
    window = show(questions._keypad_notice(pin_request()))
    assert window.field is None
    QTest.keyClick(window, Qt.Key.Key_Escape)
    window.close()
    assert window.isVisible()


def test_a_new_portal_is_refused_by_the_key_that_is_hit_in_haste(
    show: Callable[[Shown], QuestionWindow],
) -> None:
    window = show(questions._portal_question("https://new.example", "fr"))
    QTest.keyClick(window, Qt.Key.Key_Return)
    assert window.result() == QDialog.DialogCode.Rejected


STATES: dict[str, Shown] = {
    "pin": questions._pin_question(pin_request()),
    "pin-english": questions._pin_question(pin_request(language="en")),
    "pin-wrong": questions._pin_question(pin_request(tries_left=2, was_wrong=True)),
    "pin-length": questions._pin_question(pin_request(length=(4, 4))),
    "pin-last-try": questions._pin_question(pin_request(tries_left=1, was_wrong=True)),
    "pin-development": questions._pin_question(pin_request(plain_http=True)),
    "keypad": questions._keypad_notice(pin_request()),
    "keypad-last-try": questions._last_try_question(pin_request(tries_left=1)),
    "blocked": questions._blocked_notice(pin_request(tries_left=1)),
    "portal": questions._portal_question("https://nouveau.example", "fr"),
    "portal-long": questions._portal_question(f"https://{'a' * 60}.{'b' * 60}.example:8443", "fr"),
}


@pytest.fixture(params=[1, 2], ids=["usual letters", "letters of 200 %"])
def letters(application: QApplication, request: pytest.FixtureRequest) -> Iterator[int]:
    """Give the system's letters another size."""
    usual = application.font()
    larger = QFont(usual)
    larger.setPointSizeF(usual.pointSizeF() * request.param)
    application.setFont(larger)
    yield request.param
    application.setFont(usual)


@pytest.mark.parametrize("state", STATES)
def test_every_state_fits_into_its_window(
    show: Callable[[Shown], QuestionWindow], letters: int, state: str, tmp_path: Path
) -> None:
    window = show(STATES[state])
    QApplication.processEvents()
    folder = Path(os.environ.get("CPS_PICTURES", str(tmp_path)))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"window-{state}{'-large' * (letters > 1)}.png"
    assert window.grab().save(str(file))
    assert file.stat().st_size > 1000
    require_all_legible(window)
    area = scroll_area(window)
    assert area.horizontalScrollBar().maximum() == 0
    # Here is a screen of 800 lines, with its edge.
    assert area.verticalScrollBar().maximum() == 0


def scroll_area(window: QuestionWindow) -> QScrollArea:
    (area,) = window.findChildren(QScrollArea)
    return area


def require_all_legible(window: QuestionWindow) -> None:
    """Check that no words are cut off: they would hide what is signed."""
    content = scroll_area(window).widget()
    assert content is not None
    for label in window.findChildren(QLabel):
        assert label.height() >= label.heightForWidth(label.width()) or not label.text()
        assert label.minimumSizeHint().width() <= label.width()
    for button in [*window.findChildren(QPushButton), *window.findChildren(QCheckBox)]:
        assert button.height() >= button.sizeHint().height()
        assert button.width() >= button.sizeHint().width()
    for widget in content.findChildren(QWidget):
        assert content.rect().contains(widget.geometry())


def test_a_screen_too_small_for_all_shows_the_rest_where_it_is_asked_for(
    show: Callable[[Shown], QuestionWindow], mocker: MockerFixture
) -> None:
    screen = mocker.patch.object(QuestionWindow, "screen").return_value
    screen.availableGeometry.return_value = QRect(0, 0, 800, 400)
    window = show(STATES["pin-last-try"])
    QApplication.processEvents()
    assert window.height() < 400
    require_all_legible(window)
    cancel = button(window, "Annuler")
    assert cancel.visibleRegion().isEmpty()
    while window.focusWidget() is not cancel:
        QTest.keyClick(window.focusWidget(), Qt.Key.Key_Tab)
    assert not cancel.visibleRegion().isEmpty()


def test_the_keys_lead_through_the_window_in_the_order_of_its_words(
    show: Callable[[Shown], QuestionWindow],
) -> None:
    window = show(STATES["pin-last-try"])
    names = []
    for _ in range(14):
        focused = window.focusWidget()
        names.append(focused.accessibleName() or focused.text())  # type: ignore[attr-defined]
        QTest.keyClick(focused, Qt.Key.Key_Tab)
    assert names == [
        "Code PIN\u00a0:", *"1234567890", "Effacer le dernier chiffre",
        "Je connais mon code\u00a0: je continue.", "Annuler",
    ]  # fmt: skip


def test_a_hint_that_needs_room_gets_it(asked: QuestionWindow, letters: int) -> None:
    before = asked.height()
    QTest.keyClicks(field_of(asked), "x")
    asked._hint.setText("Tapez des chiffres. " * 20)
    asked.fit()
    QApplication.processEvents()
    assert asked.height() > before
    require_all_legible(asked)


def test_warnings_are_legible_on_light_and_dark(
    application: QApplication, show: Callable[[Shown], QuestionWindow]
) -> None:
    usual = application.palette()
    try:
        for ground in ("#ffffff", "#efefef", "#202020", "#000000"):
            palette = QPalette(usual)
            palette.setColor(QPalette.ColorRole.Window, QColor(ground))
            application.setPalette(palette)
            window = show(STATES["pin-wrong"])
            (warning,) = [one for one in window.findChildren(QLabel) if "faux" in one.text()]
            (colour,) = re.findall(r"color: (#\w+)", warning.styleSheet())
            assert contrast(QColor(colour), QColor(ground)) >= 4.5
    finally:
        application.setPalette(usual)


# The program.


def run_program(shown: Shown, platform: str = "offscreen") -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-I", str(PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"QT_QPA_PLATFORM": platform},
    )


def test_the_program_says_yes_with_the_digits_alone(
    application: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    def typed(window: QuestionWindow) -> None:
        QTest.keyClicks(field_of(window), "4711")
        window.accept()

    monkeypatch.setattr(pin_window, "show_on_top", typed)
    monkeypatch.setattr(pin_window, "QApplication", lambda _: application)
    monkeypatch.setattr(application, "exec", lambda: 0, raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(STATES["pin"])))
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "stdout", os.fdopen(writing, "w"))
    assert pin_window.main() == 0
    sys.stdout.close()
    with os.fdopen(reading, "rb") as told:
        assert told.read() == b"4711"


def test_the_program_imports_nothing_of_ours() -> None:
    tree = ast.parse(PROGRAM.read_text(encoding="utf-8"))
    imported = [
        name
        for node in ast.walk(tree)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    ]
    assert not [name for name in imported if name.split(".")[0] in ("cps", "gateway")]


def test_without_a_display_the_program_fails_and_says_no() -> None:
    with run_program(STATES["pin"], platform="none-such") as program:
        program.communicate(json.dumps(STATES["pin"]).encode())
    assert program.returncode not in (0, 1)
