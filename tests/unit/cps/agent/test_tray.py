"""The tray icon's program, drawn without a display: its states, its menu, its report.

The pictures go to the folder that ``CPS_PICTURES`` names; see ``test_pin_window.py``.
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("PySide6.QtWidgets", reason="needs PySide6-Essentials", exc_type=ImportError)

from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QMenu, QPlainTextEdit, QPushButton
from pytest_mock import MockerFixture

from cps.agent.desktop import PROGRAM
from cps.agent.tray import NO_TRAY, Tray, icon_for, read_messages
from tests.unit.cps.agent.contrast import contrast

TEXTS = {
    "portals": "Portails",
    "diagnose": "Diagnostic…",
    "quit": "Quitter",
    "report": "Rapport",
    "copy": "Copier",
}
STATES = ["no_service", "no_reader", "no_card", "card", "session"]


@pytest.fixture(scope="module")
def application() -> Iterator[QApplication]:
    before = os.environ.get("QT_QPA_PLATFORM")
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    yield QApplication.instance() or QApplication(["test"])  # type: ignore[misc] # Qt's own type
    if before is None:
        del os.environ["QT_QPA_PLATFORM"]


@pytest.fixture
def chosen() -> list[str]:
    return []


@pytest.fixture
def tray(application: QApplication, chosen: list[str]) -> Tray:
    return Tray(TEXTS, chosen.append)


def test_each_state_has_an_icon_of_its_own(application: QApplication, tmp_path: Path) -> None:
    folder = Path(os.environ.get("CPS_PICTURES", str(tmp_path)))
    drawn = set()
    for state in STATES:
        image = icon_for(state).pixmap(64, 64).toImage()
        assert image.save(str(folder / f"tray-{state}.png"))
        drawn.add(bytes(image.constBits()))
    assert len(drawn) == len(STATES)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("panel", ["#ffffff", "#efefef", "#202020", "#000000"])
def test_the_icon_is_seen_on_light_and_dark_panels(
    application: QApplication, state: str, panel: str
) -> None:
    image = icon_for(state).pixmap(64, 64).toImage()
    # The left edge of the card, which every state has. Source: WCAG 2.2, 1.4.11.
    assert contrast(image.pixelColor(5, 30), QColor(panel)) >= 3.0


def test_the_state_is_told_in_words_too(tray: Tray) -> None:
    tray.show_message({"state": "card", "tip": "carte présente", "portals": []})
    assert tray.icon.toolTip() == "carte présente"
    assert not tray.portals.isEnabled()


def test_a_portal_is_chosen_by_its_number(tray: Tray, chosen: list[str]) -> None:
    portals = ["https://a.example", "https://b.example"]
    for _ in range(2):
        tray.show_message({"state": "card", "tip": "t", "portals": portals})
    assert [action.text() for action in tray.portals.actions()] == portals
    tray.portals.actions()[1].trigger()
    assert chosen == ["portal 1"]


def test_a_portal_is_opened_or_logged_in_to(application: QApplication, chosen: list[str]) -> None:
    tray = Tray(TEXTS | {"open": "Ouvrir", "login": "Se connecter"}, chosen.append)
    portals = ["https://a.example", "https://b.example"]
    tray.show_message({"state": "card", "tip": "t", "portals": portals})
    assert [action.text() for action in tray.portals.actions()] == portals
    menu = tray.portals.actions()[1].menu()
    assert isinstance(menu, QMenu)
    for action in menu.actions():
        action.trigger()
    assert [action.text() for action in menu.actions()] == ["Ouvrir", "Se connecter"]
    assert chosen == ["portal 1", "login 1"]


def test_a_notice_is_shown_beside_the_icon(tray: Tray, mocker: MockerFixture) -> None:
    shown = mocker.patch.object(tray.icon, "showMessage")
    tray.show_message({"title": "Insérez", "notice": "votre carte"})
    shown.assert_called_once_with("Insérez", "votre carte")


def test_the_menu_tells_diagnose_and_quit(tray: Tray, chosen: list[str]) -> None:
    named = {action.text(): action for action in tray.menu.actions()}
    named["Diagnostic…"].trigger()
    named["Quitter"].trigger()
    assert chosen == ["diagnose", "quit"]


def test_a_report_can_be_read_and_copied(tray: Tray) -> None:
    tray.show_message({"report": "[ OK ] Agent CPS"})
    assert tray.report is not None
    (shown,) = tray.report.findChildren(QPlainTextEdit)
    assert shown.isReadOnly()
    (copy,) = tray.report.findChildren(QPushButton)
    copy.click()
    assert QApplication.clipboard().text() == "[ OK ] Agent CPS"
    tray.report.close()


def test_the_icon_goes_with_the_agent(
    tray: Tray, application: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = {"state": "session", "tip": "ouverte", "portals": []}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(message) + "\n"))
    ended: list[bool] = []
    read_messages(tray, lambda: ended.append(True))
    application.processEvents()
    assert tray.icon.toolTip() == "ouverte"
    assert ended == [True]


def test_without_a_tray_the_program_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-I", str(PROGRAM)],
        input=json.dumps(TEXTS) + "\n",
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
    )
    assert done.returncode == NO_TRAY
    assert done.stdout == ""
