"""Where the agent's files are on each system, and what it hears of the desktop."""

import sys
import threading
from pathlib import Path

import pytest

from cps.agent.platform import confirmed_file, desktop_unseen, desktop_watch, policy_file
from tests.support.logind import OWN_SESSION, private_bus, running_logind


@pytest.mark.parametrize(
    ("system", "start"),
    [("linux", "/etc/cps-agent"), ("darwin", "/Library"), ("win32", "C:")],
    ids=["Linux", "macOS", "Windows"],
)
def test_the_policy_is_where_users_cannot_write(
    monkeypatch: pytest.MonkeyPatch, system: str, start: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.delenv("PROGRAMDATA", raising=False)
    file = policy_file()
    assert str(file).startswith(start)
    assert file.name == "policy.toml"


def test_the_users_list_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path in confirmed_file().parents or confirmed_file().is_relative_to(Path.home())


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.locked = threading.Event()

    def screen_locks(self) -> None:
        pass

    def screen_is(self, *, locked: bool) -> None:
        if locked:
            self.locked.set()

    def falls_asleep(self) -> None:
        pass


def test_a_locked_screen_is_heard_of_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard()
    with private_bus() as bus, running_logind(bus) as logind:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
        assert desktop_unseen() is None
        logind.locked[OWN_SESSION] = True
        with desktop_watch(heard):
            assert heard.locked.wait(10)


def test_elsewhere_nothing_of_linux_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "cps.agent.logind", None)
    with desktop_watch(Heard()) as watch:
        assert watch is None
    assert desktop_unseen() == "not on darwin"


def test_without_a_bus_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    assert str(desktop_unseen()).startswith("no bus")


def test_without_the_library_the_agent_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "cps.agent.logind", None)
    with desktop_watch(Heard()) as watch:
        assert watch is None
    assert "a locked screen is not seen" in caplog.text
    assert str(desktop_unseen()).endswith("is not installed")
