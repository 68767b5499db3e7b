"""The agent's side of the tray icon: what it shows, and what its choices do."""

import json
import logging
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cps.agent.portals import Portals
from cps.agent.texts import Tell, Words
from cps.atr import recognise
from cps.authtoken.catalogue import text
from cps.errors import CardError
from cps.transport.connection import CardTerminal

PROGRAM = Path(__file__).with_name("tray.py")
LOOK_SECONDS = 1.0
REPORT_SECONDS = 60
MAX_CHOICE_CHARACTERS = 64
_JOIN_SECONDS = 2.0
_LOG = logging.getLogger(__name__)
_MENU = ("portals", "open", "login", "diagnose", "quit", "report", "copy")


class TrayIcon:
    """Shows how the agent stands, in a program of its own, until it is closed.

    Whatever becomes of that program, the agent goes on.

    :param terminal: the readers.
    :param portals: those that the menu opens.
    :param sessions: returns how many sessions the card holds open.
    :param begin: begins a login to an origin and is told how to tell of it; ``None`` where none
        can begin here.
    :param quit_agent: ends the agent.
    :param language: ``fr`` or ``en``.
    :param program: the icon's.
    :param open_page: shows an address in the person's browser.
    :param examine: returns the report of `cps agent doctor`.
    """

    def __init__(
        self,
        *,
        terminal: CardTerminal,
        portals: Portals,
        sessions: Callable[[], int],
        begin: Callable[[str, Tell], None] | None,
        quit_agent: Callable[[], None],
        language: str,
        program: Path = PROGRAM,
        open_page: Callable[[str], object] = webbrowser.open,
        examine: "Callable[[], str] | None" = None,
    ) -> None:
        self._terminal = terminal
        self._portals = portals
        self._sessions = sessions
        self._begin = begin
        self._quit_agent = quit_agent
        self._language = language
        self._open_page = open_page
        self._examine = examine or doctor_report
        self._over = threading.Event()
        self._writing = threading.Lock()
        # -I: neither the present folder nor the environment decides what the program imports.
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        shown = [name for name in _MENU if name != "login" or begin is not None]
        self._send({name: text(f"agent_tray.{name}", language) for name in shown})
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for work, name in ((self._watch, "tray state"), (self._listen, "tray choices"))
        ]
        for thread in self._threads:
            thread.start()

    def tell(self, words: Words) -> None:
        """Show a notice beside the icon, as the system shows such; does not wait."""
        self._send({"title": words.title, "notice": words.sentence})

    def close(self) -> None:
        """Take the icon away."""
        self._over.set()
        if self._process.poll() is None:
            self._process.kill()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)
        with self._writing, suppress(OSError), self._process:
            """Closes the pipes, and waits."""

    def _watch(self) -> None:
        shown: dict[str, object] = {}
        while not self._over.is_set() and self._process.poll() is None:
            state = self._state()
            now: dict[str, object] = {
                "state": state,
                "tip": text(f"agent_tray.{state}", self._language),
                "portals": list(self._portals.origins()),
            }
            if now != shown:
                self._send(now)
                shown = now
            self._over.wait(LOOK_SECONDS)

    def _state(self) -> str:
        try:
            readers = self._terminal.readers()
        except CardError:
            return "no_service"
        if not readers:
            return "no_reader"
        if not any(state.present and recognise(state.atr) for state in readers):
            return "no_card"
        return "session" if self._sessions() else "card"

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - opened as a pipe
        while not self._over.is_set() and (
            line := self._process.stdout.readline(MAX_CHOICE_CHARACTERS)
        ):
            try:
                self._do(line.strip())
            except Exception:  # noqa: BLE001 - a menu entry that fails must not end the menu
                _LOG.exception("the tray's choice could not be carried out")
        if not self._over.is_set():
            _LOG.info("no tray icon: its program ended with %s", self._process.wait())

    def _do(self, choice: str) -> None:
        name, _, number = choice.partition(" ")
        origins = self._portals.origins()
        match name:
            case "portal" if number.isdecimal() and int(number) < len(origins):
                self._open_page(origins[int(number)])
            case "login" if number.isdecimal() and int(number) < len(origins) and self._begin:
                self._begin(origins[int(number)], self.tell)
            case "diagnose":
                threading.Thread(target=self._diagnose, name="diagnosis", daemon=True).start()
            case "quit":
                self._quit_agent()

    def _diagnose(self) -> None:
        self._send({"report": self._examine()})

    def _send(self, message: dict[str, object]) -> None:
        assert self._process.stdin is not None  # noqa: S101 - opened as a pipe
        with self._writing:
            try:
                self._process.stdin.write(json.dumps(message) + "\n")
                self._process.stdin.flush()
            except OSError:
                # It ended: there is no tray, or somebody ended it.
                self._over.set()


def doctor_report() -> str:
    """Return what `cps agent doctor` says, from a process of its own."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "cps.main", "agent", "doctor"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=REPORT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return str(exc)
    return done.stdout + done.stderr
