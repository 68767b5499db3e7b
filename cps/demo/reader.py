"""The demo's card in a PC/SC reader: that of a service that runs, or of one of the demo's own."""

import os
import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from cps.demo.processes import CPS, Program, Programs
from cps.errors import CardError, NoServiceError
from cps.simulator.vpcd import PORT
from cps.transport.connection import CardTerminal
from cps.virtual.reader import POLL_SECONDS, READER_NAME, SERVICE_SECONDS, SERVICE_TRIES

PCSCD = Path("/usr/sbin/pcscd")
RETRY_SECONDS = 1.0
"""Between two starts of pcscd."""

Say = Callable[[str], None]


class ReaderCard:
    """The demo's card in the virtual reader.

    :param name: the card's, in the folder *home*.
    """

    def __init__(self, programs: Programs, name: str, home: Path) -> None:
        self._programs = programs
        self._name = name
        self._home = home
        self._program: Program | None = None

    def insert(self) -> None:
        """Put the card into the reader.

        :raises DemoError: where the reader does not take it.
        """
        self._program = self._programs.start(
            "card", self._command("insert", self._name), ready="inserted", may_end=True
        )

    def pull(self) -> None:
        """Take the card out."""
        if self._program is not None:
            self._program.stop()

    def commands(self) -> tuple[str, str]:
        """Return what a person types to take the card out, and to put it back."""
        return shlex.join(self._command("remove")), shlex.join(self._command("insert", self._name))

    def _command(self, *words: str) -> list[str]:
        return [*CPS, "virtual", *words, "--home", str(self._home)]


def find_reader(programs: Programs, step: Say) -> bool:
    """Return whether PC/SC offers an empty virtual reader, after starting pcscd where none runs.

    :param programs: has the pcscd that is started.
    :param step: is told why there is none, or what was done for it.
    """
    try:
        # Without root pyscard may not be there: it is built against the reader service.
        from cps.transport.pcsc import PCSCTerminal
    except ImportError:
        step("pyscard is not installed: install libpcsclite-dev, then `make clean demo`")
        return False
    terminal = PCSCTerminal()
    try:
        readers = terminal.readers()
    except NoServiceError:
        return _start_service(programs, terminal, step)
    except CardError as exc:
        step(f"the PC/SC service of this machine cannot be used: {exc}")
        return False
    ours = [reader for reader in readers if READER_NAME in reader.name]
    if any(reader.present for reader in ours):
        step("the virtual reader holds a card already, of another demo perhaps")
        return False
    if ours:
        return True
    step(f"pcscd runs but has no {READER_NAME} reader: restart it to load vsmartcard-vpcd")
    return False


def _start_service(programs: Programs, terminal: CardTerminal, step: Say) -> bool:
    """Return whether a pcscd of the demo's own shows the virtual reader."""
    if os.geteuid() != 0 or not os.access(PCSCD, os.X_OK):
        step("no PC/SC service runs for this user, and only root can start pcscd, where installed")
        return False
    for tries_left in reversed(range(SERVICE_TRIES)):
        service = programs.adopt("pcscd", [str(PCSCD), "--foreground"])
        if _shows_reader(terminal, service):
            step("no PC/SC service ran: started pcscd for the demo")
            return True
        programs.end(service)
        if tries_left:
            # The reader's port is one that the system also gives to outgoing connections: the one
            # that has it just now may be gone soon.
            threading.Event().wait(RETRY_SECONDS)
    step(
        f"pcscd starts without its {READER_NAME} reader: vsmartcard-vpcd is not installed, "
        f"or another program holds TCP port {PORT}"
    )
    return False


def _shows_reader(terminal: CardTerminal, service: Program) -> bool:
    """Return whether the virtual reader is there as soon as the service answers."""
    deadline = monotonic() + SERVICE_SECONDS
    pause = threading.Event()
    while service.alive and monotonic() < deadline:
        try:
            return any(READER_NAME in reader.name for reader in terminal.readers())
        except CardError:
            # The service opens its socket, with this reader known, a moment after it starts.
            pause.wait(POLL_SECONDS)
    return False
