"""The agent's side of the tray icon, with a program made up here."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cps.agent.desktop import TrayIcon, doctor_report
from cps.agent.origins import AllowList
from cps.agent.portals import Portals
from cps.agent.texts import Tell, Words
from cps.errors import NoServiceError
from cps.transport.connection import ReaderState
from tests.unit.cps.agent.fakes import EMPTY, INSERTED, FakeTerminal

PORTALS = ("https://a.example", "https://b.example")
WRITE_DOWN = (
    "import sys\n"
    "with open({file!r}, 'a', encoding='utf-8') as told:\n"
    "    for line in sys.stdin:\n"
    "        told.write(line)\n"
    "        told.flush()\n"
)


class Desk:
    """A tray whose program writes down what it is told, after saying *choices*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = folder / "told"
        self.terminal = FakeTerminal()
        self.sessions = 0
        self.opened: list[str] = []
        self.open_page: Callable[[str], object] = self.opened.append
        self.begun: list[str] = []
        self.begin: Callable[[str, Tell], None] | None = self._begin
        self.quits = threading.Event()
        self.tray: TrayIcon | None = None

    def show(self, *choices: str, program: str = "") -> TrayIcon:
        says = "".join(f"print({choice!r}, flush=True)\n" for choice in choices)
        file = self.folder / "tray.py"
        file.write_text(program or says + WRITE_DOWN.format(file=str(self.told)), encoding="utf-8")
        listed = AllowList.of(PORTALS, (), development=False)
        self.tray = TrayIcon(
            terminal=self.terminal,
            portals=Portals(listed),
            sessions=lambda: self.sessions,
            begin=self.begin,
            quit_agent=self.quits.set,
            language="fr",
            program=file,
            open_page=self.open_page,
            examine=lambda: "the report",
        )
        return self.tray

    def _begin(self, origin: str, tell: Tell) -> None:
        self.begun.append(origin)
        tell(Words(title="Insérez", sentence="votre carte"))

    def messages(self) -> list[dict[str, object]]:
        if not self.told.exists():
            return []
        return [json.loads(line) for line in self.told.read_text("utf-8").splitlines()]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    if desk.tray is not None:
        desk.tray.close()


def eventually(check: Callable[[], object]) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    ("view", "sessions", "state"),
    [
        pytest.param([], 0, "no_reader", id="no reader"),
        pytest.param([EMPTY], 0, "no_card", id="no card"),
        pytest.param([INSERTED], 0, "card", id="card"),
        pytest.param([INSERTED], 2, "session", id="session"),
    ],
)
def test_the_state_is_that_of_reader_card_and_session(
    desk: Desk, view: list[ReaderState], sessions: int, state: str
) -> None:
    desk.terminal.views, desk.sessions = [view], sessions
    desk.show()
    assert eventually(lambda: len(desk.messages()) >= 2)
    texts, shown = desk.messages()[:2]
    assert texts["portals"] == "Portails"
    assert (shown["state"], shown["portals"]) == (state, list(PORTALS))


def test_a_stopped_service_is_a_state(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> list[ReaderState]:
        raise NoServiceError("stopped")

    monkeypatch.setattr(desk.terminal, "readers", stopped)
    desk.show()
    assert eventually(lambda: [m for m in desk.messages() if m.get("state") == "no_service"])


def test_a_portal_is_opened_by_its_number_and_by_nothing_else(desk: Desk) -> None:
    desk.show("portal 2", "portal -1", "portal https://evil.example", "rm -rf", "portal 1", "quit")
    assert desk.quits.wait(10)
    assert desk.opened == ["https://b.example"]


def test_a_login_begins_at_a_portal_of_ours_alone_and_tells_of_itself(desk: Desk) -> None:
    desk.show("login 2", "login -1", "login https://evil.example", "login 1", "quit")
    assert desk.quits.wait(10)
    assert desk.begun == ["https://b.example"]
    assert eventually(lambda: {"title": "Insérez", "notice": "votre carte"} in desk.messages())


def test_where_no_login_can_begin_here_the_menu_offers_none(desk: Desk) -> None:
    desk.begin = None
    desk.show("login 0", "quit")
    assert desk.quits.wait(10)
    assert eventually(desk.messages)
    assert "login" not in desk.messages()[0]


def test_the_report_comes_to_the_tray(desk: Desk) -> None:
    desk.show("diagnose")
    assert eventually(lambda: {"report": "the report"} in desk.messages())


def test_an_entry_that_fails_does_not_end_the_menu(desk: Desk) -> None:
    def fail(address: str) -> None:
        raise OSError(f"no browser for {address}")

    desk.open_page = fail
    desk.show("portal 0", "quit")
    assert desk.quits.wait(10)


@pytest.mark.parametrize("program", ["import sys; sys.exit(3)", "while True: print('x' * 9999)"])
def test_whatever_becomes_of_the_program_the_agent_goes_on(desk: Desk, program: str) -> None:
    tray = desk.show(program=program)
    time.sleep(0.1)
    tray.close()
    tray.close()
    assert not desk.quits.is_set()


def test_the_report_is_that_of_the_doctor() -> None:
    assert "Agent CPS" in doctor_report() or "CPS agent" in doctor_report()
