"""Garbage, slow clients and a flood at the agent's port: icon, PIN window and logins go on.

The icon and the window are programs made up here, which the real ones of the agent's side run.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import cycle
from pathlib import Path

from cps.agent.desktop import TrayIcon
from cps.agent.origins import AllowList
from cps.agent.portals import Portals
from cps.agent.window import WindowPINEntry
from tests.support import cards
from tests.support.line import Desk, Line

SECONDS = 20.0
ATTACKERS = 4
MAX_CONNECTIONS = 3000
"""Of each attacker: the flood ends by itself."""
HELD = 50
"""Connections that an attacker keeps open, the agent closing them or not."""
SENT = (
    b"",
    b"GET /v1/login?r=",
    b"\x16\x03\x01\x02\x00garbage\r\n\r\n",
    b"OPTIONS /v1/login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n",
)
WINDOW = """
import json, pathlib, sys, time
json.load(sys.stdin)
pathlib.Path({shown!r}).touch()
while not pathlib.Path({typed!r}).exists():
    time.sleep(0.01)
sys.stdout.write({pin!r})
"""
ICON = """
import sys
with open({told!r}, "a", encoding="utf-8") as told:
    for line in sys.stdin:
        told.write(line)
        told.flush()
"""


def eventually(met: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not met():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.01)


@contextmanager
def flood(port: int) -> Iterator[list[int]]:
    """Attack the port until the context ends; yields how many connections each attacker made."""
    over, made = threading.Event(), [0] * ATTACKERS

    def attack(number: int) -> None:
        held: list[socket.socket] = []
        for raw in cycle(SENT):
            if over.is_set() or made[number] == MAX_CONNECTIONS:
                break
            with suppress(OSError):
                connection = socket.create_connection(("127.0.0.1", port), 1)
                held.append(connection)
                connection.sendall(raw)
                made[number] += 1
            while len(held) > HELD:
                held.pop(0).close()
        for connection in held:
            connection.close()

    threads = [threading.Thread(target=attack, args=(n,), daemon=True) for n in range(ATTACKERS)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        over.set()
        for thread in threads:
            thread.join(SECONDS)


@contextmanager
def icon(desk: Desk, line: Line, folder: Path) -> Iterator[Callable[[], str]]:
    """Show the icon's state in a program of its own; yields what returns the state."""
    program, told = folder / "icon.py", folder / "told"
    program.write_text(ICON.format(told=str(told)), encoding="utf-8")

    def state() -> str:
        lines = told.read_text("utf-8").splitlines() if told.exists() else []
        return str(json.loads(lines[-1]).get("state")) if lines else ""

    shown = TrayIcon(
        terminal=desk.terminal,
        portals=Portals(AllowList.of([line.origin], (), development=False)),
        sessions=lambda: len(desk.presence),
        begin=None,
        quit_agent=lambda: None,
        language="fr",
        program=program,
    )
    with closing(shown):
        yield state


def test_icon_window_and_logins_go_on_under_attack(line: Line, tmp_path: Path) -> None:
    shown, typed, program = tmp_path / "shown", tmp_path / "typed", tmp_path / "window.py"
    program.write_text(
        WINDOW.format(shown=str(shown), typed=str(typed), pin=cards.PIN.decode()), encoding="utf-8"
    )
    with (
        closing(WindowPINEntry(program)) as entry,
        line.desk(entry=entry, watched=True) as desk,
        icon(desk, line, tmp_path) as state,
        flood(desk.port) as made,
    ):
        eventually(lambda: state() == "card")
        eventually(lambda: sum(made) > 200)
        first = line.browser()
        arrived: list[int] = []
        login = threading.Thread(target=lambda: arrived.append(line.log_in(first, desk).status))
        login.start()
        eventually(shown.exists)
        seen = sum(made)
        eventually(lambda: sum(made) > seen + 200)
        typed.touch()
        login.join(SECONDS)
        assert arrived == [200], "the window's PIN arrived, and the browser is in"
        eventually(lambda: state() == "session")

        # Another one, in the midst of it.
        assert line.log_in(line.browser(), desk).status == 200

        desk.terminal.inner.remove()
        eventually(lambda: state() == "no_card")
        eventually(lambda: first.fetch("/_cps/session").status == 401)
