import json
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from gateway.clock import system_clock
from gateway.journal.access import RecordNames
from gateway.journal.chain import Chain
from gateway.journal.places import KEY_FILE, journal_folder, journal_keys, open_chain
from gateway.main import main
from gateway.settings import Settings
from tests.support.settings_files import MINIMAL, settings_folder, write

PERSON = "899900000013"


class Gateway:
    """A gateway's settings and its journal, which a running process writes."""

    def __init__(self, folder: Path) -> None:
        self.file = write(settings_folder(folder), MINIMAL + '\n[audit]\nfile = "audit.log"\n')
        self.settings = Settings.load(self.file)
        self.settings.state_dir.mkdir(exist_ok=True)
        self.keys = journal_keys(self.settings).current
        self.chain: Chain = open_chain(self.settings, "access", keys=self.keys, clock=system_clock)
        self.names = RecordNames(self.keys, "hashed")

    def seen(self, record: str) -> None:
        at = system_clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.chain.append(
            [
                {
                    "at": at,
                    "event": "access",
                    "who": PERSON,
                    "card": "2899000001",
                    "client": "192.0.2.7",
                    "route": "rights",
                    "record": self.names.name(record),
                    "status": 200,
                }
            ]
        )

    def audit(self, *arguments: str) -> int:
        return main(["audit", *arguments, "--config", str(self.file)])


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    made = Gateway(tmp_path)
    made.seen("1850175000001")
    return made


def test_one_command_changes_the_key_of_a_running_gateway(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    old = gateway.keys().current.kid
    assert gateway.audit("rotate-key") == 0
    new = gateway.keys().current.kid
    assert capsys.readouterr().out.splitlines() == [f"{old}  signs no more", f"{new}  signs"]
    gateway.seen("1850175000002")
    assert gateway.keys().signer(old) is None
    assert gateway.audit("verify") == 0


def test_records_are_found_under_each_key_that_was_in_use(
    gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.audit("rotate-key")
    gateway.seen("1850175000001")
    gateway.audit("rotate-key")
    gateway.seen("1850175000001")
    capsys.readouterr()
    gateway.audit("who", "--record", "1850175000001", "--json")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len({line["record"] for line in lines}) == 3
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    names = tmp_path / "names"
    names.write_text("1850175000001\n", encoding="utf-8")
    gateway.audit("touched", "--identity", PERSON, "--names", str(names))
    row, total = capsys.readouterr().out.splitlines()
    assert "3 times" in row
    assert total == "1 records in 3 answers; 0 requests refused"


def test_other_machines_hand_over_with_a_copy_before_the_old_key_goes(
    gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    other = Gateway(tmp_path / "other")
    shared = gateway.settings.state_dir / KEY_FILE
    copy = other.settings.state_dir / KEY_FILE
    copy.write_bytes(shared.read_bytes())
    other.seen("1850175000001")
    old = gateway.keys().current.kid
    assert gateway.audit("rotate-key", "--keep-old") == 0
    assert gateway.audit("rotate-key") == 2
    assert "--finish" in capsys.readouterr().err
    copy.write_bytes(shared.read_bytes())
    assert other.audit("verify") == 1
    for each in (gateway, other):
        assert each.audit("rotate-key", "--finish") == 0
        assert each.audit("verify") == 0
        assert each.keys().signer(old) is None
    assert copy.read_bytes() == shared.read_bytes()


def test_the_public_keys_check_a_copy_with_lines_of_both(
    gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.audit("rotate-key")
    capsys.readouterr()
    gateway.audit("key")
    keys = tmp_path / "keys.pem"
    keys.write_text(capsys.readouterr().out, encoding="ascii")
    folder = str(journal_folder(gateway.settings))
    assert main(["audit", "verify", "--folder", folder, "--key", str(keys)]) == 0


def test_a_change_is_recorded_or_not_made(gateway: Gateway) -> None:
    before = gateway.keys()
    log = gateway.file.parent / "audit.log"
    log.symlink_to("/dev/full")
    assert gateway.audit("rotate-key") == 1
    assert gateway.keys() == before
    log.unlink()
    gateway.audit("rotate-key")
    (line,) = log.read_text().splitlines()
    assert json.loads(line)["event"] == "journal_key_rotated"
    assert json.loads(line)["key"] == before.current.kid


def test_a_change_that_is_refused_is_not_recorded(gateway: Gateway, mocker: MockerFixture) -> None:
    gateway.audit("rotate-key", "--keep-old")
    assert gateway.audit("rotate-key") == 2
    mocker.patch("os.geteuid", return_value=4711)
    assert gateway.audit("rotate-key", "--finish") == 2
    log = gateway.file.parent / "audit.log"
    assert len(log.read_text().splitlines()) == 1


def test_a_chain_that_cannot_be_written_is_handed_over_later(
    gateway: Gateway, mocker: MockerFixture
) -> None:
    old = gateway.keys().current.kid
    mocker.patch("os.fdatasync", side_effect=OSError(28, "disk full"))
    assert gateway.audit("rotate-key") == 1
    mocker.stopall()
    assert gateway.keys().signer(old) is not None
    assert gateway.audit("rotate-key", "--finish") == 0
    assert gateway.keys().signer(old) is None
    assert gateway.audit("verify") == 0
