import asyncio
from pathlib import Path

import pytest

from gateway.audit import AuditLog
from gateway.audit_targets import FileTarget
from gateway.clock import system_clock
from gateway.serve.generation import Generation
from gateway.serve.renewal import Renewal
from gateway.settings_portals import Portals
from tests.support.settings_files import MINIMAL, settings_folder, write


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
