import asyncio
import itertools
import json
from pathlib import Path

import pytest

from gateway.audit import AuditLog, open_audit
from gateway.audit_targets import FileTarget
from gateway.clock import system_clock
from gateway.serve.generation import LINKED, Generation
from gateway.serve.renewal import Renewal
from gateway.settings_portals import SOCKETS_FOLDER, Portals
from tests.support.settings_files import MINIMAL, SEVERAL, settings_folder, write


def test_what_runs_goes_on_where_the_disk_does_not_take_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> Generation:
        raise OSError(28, "No space left on device")

    file = write(settings_folder(tmp_path), MINIMAL)
    portals = Portals.load(file, {})
    portals.create_directories(file=file)
    written = tmp_path / "audit.jsonl"
    audit = AuditLog(FileTarget(written), system_clock)
    renewal = Renewal(file, Generation.make(portals, ()), (), (audit,))
    file.write_text(f"{MINIMAL}\n[session]\nidle_seconds = 1800\n")
    monkeypatch.setattr(Generation, "make", full)
    monkeypatch.setattr("gateway.serve.renewal.TrustStore.load", lambda *_: None)
    assert asyncio.run(renewal.next_programs()) is None
    assert "configuration_refused" in written.read_text()


THREE = """[[portals]]
name = "three"
origin = "https://three.example"
upstream = "http://127.0.0.1:8003"
label = "Trois"
"""


class Several:
    """A gateway with portals whose settings change."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gateway.serve.renewal.TrustStore.load", lambda *_: None)
        self._text = SEVERAL + '[audit]\nfile = "audit.jsonl"\n'
        self._written = folder / "audit.jsonl"
        self.file = write(settings_folder(folder), self._text)
        portals = Portals.load(self.file, {})
        portals.create_directories(file=self.file)
        audits = [open_audit(each, system_clock) for each in portals.portals]
        self.renewal = Renewal(self.file, Generation.make(portals, ()), (), audits)

    def change(self, *, more: str = "") -> list[str] | None:
        """Write the settings with *more*, and return the names of what is to run."""
        write(self.file.parent, self._text + more)
        programs = asyncio.run(self.renewal.next_programs())
        return None if programs is None else [each.name for each in programs]

    def sockets(self) -> str:
        """Return where the processes are that answer."""
        runtime_dir = Portals.load(self.file, {}).common.runtime_dir
        return str((runtime_dir / SOCKETS_FOLDER).readlink())

    @property
    def events(self) -> list[tuple[str, str]]:
        lines = map(json.loads, self._written.read_text().splitlines())
        return [(line["portal"], line["event"]) for line in lines]


def test_a_portal_is_added_with_folders_and_an_audit_log_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = Several(tmp_path, monkeypatch)
    names = several.change(more=THREE)
    assert names is not None
    assert "control plane of three" in names
    assert (tmp_path / "state" / "portals" / "three").stat().st_mode & 0o777 == 0o700
    assert several.renewal.accepted()
    assert several.events == [(n, "configuration_loaded") for n in ("one", "two", "three")]
    assert len(several.renewal.audits) == 3


def test_a_portal_that_is_not_accepted_leaves_no_audit_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = Several(tmp_path, monkeypatch)
    assert several.change(more=THREE)
    several.renewal.refused()
    assert len(several.renewal.audits) == 2
    assert several.events[-2:] == [(n, "configuration_refused") for n in ("one", "two")]


def test_a_portal_that_is_taken_away_has_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = Several(tmp_path, monkeypatch)
    assert several.change(more=THREE)
    assert several.renewal.accepted()
    names = several.change()
    assert names is not None
    assert "control plane of three" not in names
    assert several.renewal.accepted()
    assert several.events[-3:] == [
        ("one", "configuration_loaded"),
        ("two", "configuration_loaded"),
        ("three", "gateway_stopped"),
    ]
    assert len(several.renewal.audits) == 2


def test_a_full_disk_leads_nobody_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = Several(tmp_path, monkeypatch)
    assert several.change(more=THREE)
    assert several.renewal.accepted()
    found = several.sockets()
    assert several.change()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(Path, "symlink_to", full)
        assert not several.renewal.accepted()
        several.renewal.refused()
    assert several.sockets() == found
    assert [name for name, event in several.events if event == "gateway_stopped"] == []
    assert several.events[-1] == ("three", "configuration_refused")
    # What did not fit then may fit now.
    assert several.change()
    assert several.renewal.accepted()
    assert several.sockets() != found


def test_links_of_which_only_some_were_set_are_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(settings_folder(tmp_path), MINIMAL)
    portals = Portals.load(file, {})
    portals.create_directories(file=file)
    running = Generation.make(portals, ())
    running.take_over()
    audit = AuditLog(FileTarget(tmp_path / "audit.jsonl"), system_clock)
    renewal = Renewal(file, running, (), (audit,))
    file.write_text(f"{MINIMAL}\n[session]\nidle_seconds = 1800\n")
    monkeypatch.setattr("gateway.serve.renewal.TrustStore.load", lambda *_: None)
    assert asyncio.run(renewal.next_programs())
    replace, given = Path.replace, itertools.count()

    def broken(path: Path, target: Path) -> Path:
        if next(given) == 1:
            raise OSError(5, "Input/output error")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", broken)
    assert not renewal.accepted()
    for name in LINKED:
        assert (portals.common.runtime_dir / name).readlink().parent.name == running.folder.name
