import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.journal.access import RecordNames
from gateway.journal.line import FieldValue
from gateway.journal.places import journal_folder, journal_keys, open_chain
from gateway.main import main
from gateway.operator.audit_commands import printable
from gateway.settings import Settings
from tests.support.settings_files import MINIMAL, settings_folder, write

DOCTOR, NURSE = "899900000013", "899900000021"


class Journal:
    """A gateway's settings and its journal, with lines of two people."""

    def __init__(self, folder: Path) -> None:
        self.file = write(settings_folder(folder), MINIMAL)
        self.settings = Settings.load(self.file)
        self.settings.state_dir.mkdir(exist_ok=True)
        self.keys = journal_keys(self.settings).current
        self.names = RecordNames(self.keys, "hashed")
        self.day = 20
        self.seen(DOCTOR, "1850175000001")
        self.seen(DOCTOR, "1850175000001")
        self.seen(DOCTOR, "1850175000002", status=403)
        self.day = 22
        self.seen(NURSE, "1850175000001")
        self.seen(NURSE, None)

    def seen(self, who: str, record: str | None, status: int = 200) -> None:
        at = datetime(2026, 11, self.day, 9, tzinfo=UTC)
        fields: dict[str, FieldValue] = {
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "event": "access",
            "who": who,
            "card": who[-10:],
            "client": "192.0.2.7",
            "route": "rights",
            "record": None if record is None else self.names.name(record),
            "status": status,
        }
        open_chain(self.settings, "access", keys=self.keys, clock=lambda: at).append([fields])

    def audit(self, *arguments: str) -> int:
        return main(["audit", *arguments, "--config", str(self.file)])


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def test_whose_records_a_person_saw(journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    assert journal.audit("touched", "--identity", DOCTOR) == 0
    row, total = capsys.readouterr().out.splitlines()
    assert row == (
        f"{journal.names.name('1850175000001')}  2026-11-20T09:00:00.000Z"
        "  2026-11-20T09:00:00.000Z  2 times  rights"
    )
    assert total == "1 records in 2 answers; 1 requests refused"


def test_records_are_shown_by_the_names_that_the_portal_knows(
    journal: Journal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tmp_path / "names"
    names.write_text("1850175000009\r\n1850175000001\r\n", encoding="utf-8")
    journal.audit("touched", "--card", DOCTOR[-10:], "--names", str(names))
    assert capsys.readouterr().out.startswith("1850175000001  ")


def test_who_saw_a_record(journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    assert journal.audit("who", "--record", "1850175000001") == 0
    doctor, nurse, total = capsys.readouterr().out.splitlines()
    assert doctor.startswith(f"{DOCTOR} card {DOCTOR[-10:]}  2026-11-20T")
    assert nurse.startswith(f"{NURSE} card {NURSE[-10:]}  2026-11-22T")
    assert total == "2 cards; 0 requests refused"


def test_a_refused_request_saw_nothing(
    journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.audit("who", "--record", "1850175000002")
    assert capsys.readouterr().out == "0 cards; 1 requests refused\n"


@pytest.mark.parametrize("since", ["2026-11-21", "2026-11-22T10:00+01:00"])
def test_earlier_lines_are_left_out(
    journal: Journal, capsys: pytest.CaptureFixture[str], since: str
) -> None:
    journal.audit("who", "--record", "1850175000001", "--since", since)
    assert capsys.readouterr().out.splitlines()[-1] == "1 cards; 0 requests refused"


def test_lines_can_be_had_as_they_are(journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    journal.audit("touched", "--identity", NURSE, "--json")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["status"] for line in lines] == [200, 200]


def test_requests_without_a_record_are_told(
    journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.audit("touched", "--identity", NURSE)
    *_, named, total = capsys.readouterr().out.splitlines()
    assert named.startswith("(no record named)")
    assert total == "1 records in 2 answers; 0 requests refused"


def test_a_journal_in_order_is_told_with_its_end(
    journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    assert journal.audit("verify") == 0
    assert capsys.readouterr().out.startswith("access: lines 1 to 7 in 2 files, 2 checkpoints; end")


def test_a_journal_that_was_changed_is_a_problem(
    journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    (file, _) = sorted((journal_folder(journal.settings) / "access").glob("*.jsonl"))
    file.write_bytes(file.read_bytes().replace(b'"status":403', b'"status":200'))
    assert journal.audit("verify") == 1
    assert "line 4 is not as it was" in capsys.readouterr().err


def test_an_end_noted_elsewhere_finds_a_journal_that_was_replaced(
    journal: Journal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.audit("verify")
    noted = capsys.readouterr().out.split()[-1]
    journal.seen(NURSE, "1850175000003")
    assert journal.audit("verify", "--noted", noted) == 0
    # Whoever has the key can write a whole new chain.
    folder = journal_folder(journal.settings) / "access"
    folder.rename(tmp_path / "taken")
    for _ in range(9):
        journal.seen(NURSE, "1850175000003")
    assert journal.audit("verify") == 0
    assert journal.audit("verify", "--noted", noted) == 1
    assert "is not the one that was noted" in capsys.readouterr().err


def test_a_chain_that_is_gone_is_a_problem_where_it_was_noted(
    journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    assert journal.audit("verify", "--noted", f"audit:3:{'0' * 64}") == 1
    assert "audit: is missing" in capsys.readouterr().err


def test_a_copy_is_checked_on_another_machine(
    journal: Journal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.audit("key")
    key = tmp_path / "key.pem"
    key.write_text(capsys.readouterr().out, encoding="ascii")
    folder = str(journal_folder(journal.settings))
    assert main(["audit", "verify", "--folder", folder, "--key", str(key)]) == 0


def test_indexes_can_be_made_ahead(journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    journal.audit("index")
    journal.audit("index")
    assert capsys.readouterr().out == "1 indexes made\n0 indexes made\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "--noted", "nonsense"],
        ["touched", "--identity", DOCTOR, "--since", "yesterday"],
        ["touched", "--identity", DOCTOR, "--names", "missing"],
        ["verify", "--folder", "there"],
    ],
    ids=["note", "time", "file", "two sources"],
)
def test_what_cannot_be_done_is_told(
    journal: Journal, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert journal.audit(*arguments) == 2
    assert capsys.readouterr().err != ""


def test_what_a_browser_sent_cannot_move_the_cursor() -> None:
    assert printable("a\x1b[2Jb\nc\u202ed") == "a\\x1b[2Jb\\nc\\u202ed"
