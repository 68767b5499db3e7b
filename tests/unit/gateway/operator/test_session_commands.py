import argparse
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.errors import StoreUnavailableError
from gateway.operator.session_commands import (
    SHOWN_BEFORE_ASKING,
    add_sessions_command,
    run_sessions,
)
from gateway.session.cookie import cookie_hash
from gateway.session.model import EndReason, SessionStore
from gateway.session.recorder import session_name
from gateway.settings import Settings
from gateway.stores import open_stores
from tests.support.logins import DOCTOR, EMPLOYEE, agent_key
from tests.support.settings_files import MINIMAL, settings_folder, with_line, write

OTHER = replace(EMPLOYEE, card_number="2899000002")


class Desk:
    """A gateway's state, and an administrator who runs commands on it."""

    def __init__(self, folder: Path) -> None:
        text = with_line("audit", 'file = "audit.jsonl"', MINIMAL)
        self.file = write(settings_folder(folder), text)
        settings = Settings.load(self.file)
        settings.state_dir.mkdir(mode=0o700)
        self.stores = open_stores(settings)
        self.sessions: SessionStore = self.stores.sessions
        self.audit_file = folder / "audit.jsonl"
        self.asked: list[str] = []
        self.answer = "no"

    def log_in(self, identity: object = DOCTOR) -> bytes:
        assert isinstance(identity, type(DOCTOR))
        return cookie_hash(self.sessions.create(identity, agent_key(), now=system_clock()))

    def run(self, *arguments: str) -> int:
        parser = argparse.ArgumentParser()
        add_sessions_command(parser)
        action, *others = arguments
        options = parser.parse_args([action, "--config", str(self.file), *others])
        return run_sessions(options, system_clock, ask=self._ask)

    def living(self) -> set[bytes]:
        return {each.key for each in self.sessions.living(now=system_clock())}

    def acts(self) -> list[dict[str, object]]:
        if not self.audit_file.exists():
            return []
        return [json.loads(line) for line in self.audit_file.read_text().splitlines()]

    def _ask(self, question: str) -> str:
        self.asked.append(question)
        return self.answer


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    with closing(made.stores):
        yield made


def test_who_is_in_is_a_table(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    keys = [desk.log_in(), desk.log_in(OTHER)]
    assert desk.run("list") == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.startswith("SESSION")
    assert [row.split()[0] for row in rows] == [session_name(key) for key in keys]
    assert DOCTOR.national_id in rows[0]
    assert "no lease" in rows[0]


@pytest.mark.parametrize("by", ["--identity", "--card"])
def test_a_list_may_be_of_one_person_or_card(
    desk: Desk, capsys: pytest.CaptureFixture[str], by: str
) -> None:
    desk.log_in()
    key = desk.log_in(OTHER)
    value = OTHER.national_id if by == "--identity" else OTHER.card_number
    desk.run("list", by, value, "--json")
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["session"] == session_name(key)


def test_one_session_is_shown_in_full(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    key = desk.log_in()
    assert desk.run("show", session_name(key)) == 0
    text = capsys.readouterr().out
    assert DOCTOR.certificate_sha256 in text
    assert "ends_by_itself" in text
    assert key.hex() not in text


def test_a_session_that_is_not_there_is_told(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    for action in ("show", "end"):
        assert desk.run(action, "0" * 16) == 1
    assert capsys.readouterr().err == "no such session\n" * 2


def test_one_session_is_ended_without_a_question_and_recorded(desk: Desk) -> None:
    key, other = desk.log_in(), desk.log_in()
    cursor, _ = desk.sessions.ended_since(0, now=system_clock())
    assert desk.run("end", session_name(key)) == 0
    assert desk.asked == []
    assert desk.living() == {other}
    assert desk.sessions.why_ended(key) is EndReason.ADMINISTRATOR
    assert list(desk.sessions.ended_since(cursor, now=system_clock())[1]) == [key]
    (act,) = desk.acts()
    assert act["event"] == "sessions_ended_by_operator"
    assert act["sessions"] == [session_name(key)]
    assert act["operator"]


@pytest.mark.parametrize(
    ("arguments", "stay"),
    [
        pytest.param(("--identity", DOCTOR.national_id), 1, id="a person's"),
        pytest.param(("--card", DOCTOR.card_number), 1, id="a card's"),
        pytest.param(("--all",), 0, id="all"),
    ],
)
def test_more_than_one_is_ended_only_after_a_yes(
    desk: Desk, arguments: tuple[str, ...], stay: int
) -> None:
    for _ in range(2):
        desk.log_in()
    desk.log_in(OTHER)
    assert desk.run("end", *arguments) == 1
    assert "https://portal.example" in desk.asked[0]
    assert len(desk.living()) == 3
    assert desk.acts() == []
    desk.answer = "Yes "
    assert desk.run("end", *arguments) == 0
    assert len(desk.living()) == stay


def test_yes_as_an_option_asks_nothing(desk: Desk) -> None:
    for _ in range(3):
        desk.log_in()
    assert desk.run("end", "--all", "--yes") == 0
    assert (desk.asked, desk.living()) == ([], set())


def test_a_terminal_that_is_closed_is_no_yes(desk: Desk) -> None:
    def closed(question: str) -> str:
        raise EOFError

    desk._ask = closed  # type: ignore[method-assign]
    for _ in range(2):
        desk.log_in()
    assert desk.run("end", "--all") == 1
    assert len(desk.living()) == 2


def test_many_are_not_all_shown_before_the_question(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(SHOWN_BEFORE_ASKING + 1):
        desk.log_in()
    desk.run("end", "--all")
    assert capsys.readouterr().out == ""
    assert f"End {SHOWN_BEFORE_ASKING + 1} sessions" in desk.asked[0]


def test_what_cannot_be_recorded_is_not_done(desk: Desk) -> None:
    key = desk.log_in()
    desk.audit_file.unlink(missing_ok=True)
    desk.audit_file.symlink_to("/dev/full")
    with pytest.raises(StoreUnavailableError):
        desk.run("end", session_name(key))
    assert desk.living() == {key}


def test_a_hostile_name_does_not_reach_the_terminal(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in(replace(DOCTOR, family_name="\x1b[2J\x1b]0;x\x07EVIL"))
    desk.run("list")
    assert "\x1b" not in capsys.readouterr().out


def test_a_session_past_its_limits_is_not_shown(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    old = system_clock() - timedelta(hours=5)
    desk.sessions.create(DOCTOR, agent_key(), now=old)
    desk.run("list", "--json")
    assert capsys.readouterr().out == ""


def test_what_is_to_be_ended_must_be_said(desk: Desk) -> None:
    with pytest.raises(SystemExit):
        desk.run("end")
