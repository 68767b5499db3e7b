"""The whole line on one machine: virtual card, agent, gateway and portal, until Ctrl-C."""

import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from cps.demo import people
from cps.demo.processes import CPS, DemoError, Programs
from cps.demo.reader import ReaderCard, find_reader
from cps.issuer.folder import AuthorityFolder
from cps.virtual.store import VirtualCards

GATEWAY_PORT = 8080
AGENT_PORT = 24951
PIN = "1234"
WATCH_SECONDS = 0.5

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A demo that runs."""

    origin: str
    """The address to open."""
    holder: str
    programs: Programs
    card: ReaderCard | None
    """``None`` where the card sits in the agent itself, for want of a reader service."""
    folder: Path
    """Where logs, stores and cards of this demo lie until it ends."""


@contextmanager
def running_demo(*, say: Say, unattended: bool, pin: str = PIN) -> Iterator[Demo]:
    """Start everything, yield, and stop everything; nothing is left on disk.

    :param say: receives one line a step.
    :param unattended: the agent takes the PIN from a file with mode 0600 instead of a person.
    :param pin: of the virtual card, 4 digits.
    :raises DemoError: where a part does not start.
    """
    with tempfile.TemporaryDirectory(prefix="cps-demo-") as name, Programs(Path(name)) as programs:
        folder = Path(name)
        started = monotonic()

        def step(text: str) -> None:
            say(f"  {monotonic() - started:5.1f} s  {text}")

        has_reader = find_reader(programs, step)
        authority = AuthorityFolder.create(folder / "authority", now=datetime.now(UTC))  # noqa: TID251
        step("test authority made: root and intermediate, RSA-4096, keys only on this disk")
        cards = VirtualCards(folder / "cards")
        card = cards.new(
            authority, family_name="DEMONSTRATION", given_name="CAMILLE", profession=10, pin=pin
        )
        step("virtual CPS3 card made for Camille DEMONSTRATION, physician")
        in_reader = ReaderCard(programs, card.stem, folder / "cards") if has_reader else None
        if in_reader is not None:
            in_reader.insert()
            step("card inserted in the reader of vsmartcard, seen by pcscd")
        origin = f"http://localhost:{_free_port(GATEWAY_PORT)}"
        upstream = f"http://127.0.0.1:{_free_port(0)}"
        agent = [*CPS, "agent", "--portal", origin, "--development"]
        if in_reader is None:
            agent += ["--virtual-card", str(card)]
            step("no reader: the agent talks to the virtual card in process")
        if unattended:
            agent += ["--pin-file", str(_pin_file(folder, pin))]
        program = programs.start("agent", agent, ready="ready ")
        step("agent listens on loopback")
        if not program.said.endswith(f":{AGENT_PORT}"):
            step(
                f"another program holds port {AGENT_PORT}: the agent has {program.said[6:]}; "
                "on the login page, open the help and take the link to that port"
            )
        database = folder / "insured.sqlite"
        people.create_database(database)
        programs.start(
            "portal",
            [sys.executable, "-m", "cps.demo.portal", "--port", upstream.rpartition(":")[2],
             "--gateway", origin, "--database", str(database)],
            ready="ready ",
        )  # fmt: skip
        step(f"demo portal with {people.PEOPLE} made-up insured persons")
        settings = _write_settings(folder, origin=origin, upstream=upstream)
        programs.start(
            "gateway",
            [sys.executable, "-m", "gateway.main", "serve", "--config", str(settings)],
            ready="ready ",
        )
        step("gateway stands in front of the portal")
        yield Demo(
            origin=origin,
            holder="Camille DEMONSTRATION",
            programs=programs,
            card=in_reader,
            folder=folder,
        )


def run_until_interrupted(say: Say) -> None:
    """Run the demo and print what to try; it goes on until a signal ends it.

    :raises DemoError: where a part does not start, or ends by itself.
    :raises Stopped: once it is asked to end.
    """
    pause = threading.Event()
    with running_demo(say=say, unattended=False) as demo:
        card = "held by the agent itself" if demo.card is None else "in the virtual reader"
        say(
            f"\n  Open        {demo.origin}\n"
            f"  Card        {demo.holder}, {card}\n"
            f"  PIN         {PIN}   (typed in the agent's window, or in this terminal)\n\n"
            "  To try: look up an insured person; log out; type a wrong PIN and read the answer;\n"
            "  open the address in a second browser: it asks for the card again.\n"
        )
        if demo.card is not None:
            pull, insert = demo.card.commands()
            say(
                "  Pull the card, in another terminal, and the portal is closed within 2 s:\n"
                f"    {pull}\n"
                "  Put it back, until Ctrl-C there; only a new login opens the portal again:\n"
                f"    {insert}\n"
            )
        say("  Ctrl-C stops everything and leaves nothing behind.\n")
        while not pause.wait(WATCH_SECONDS):
            demo.programs.require_alive()


def _free_port(wanted: int) -> int:
    """Return *wanted* where it is free on loopback, else any free port."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("no free port on 127.0.0.1")


def _pin_file(folder: Path, pin: str) -> Path:
    path = folder / "pin"
    path.touch(mode=0o600)
    path.write_text(pin, encoding="ascii")
    return path


def _write_settings(folder: Path, *, origin: str, upstream: str) -> Path:
    authority = folder / "authority"
    path = folder / "gateway.toml"
    path.write_text(
        f"""\
environment = "test"
state_dir = "{folder / "gateway"}"

[portal]
origin = "{origin}"
upstream = "{upstream}"
label = "Portail tiers payant (démonstration)"

[listen]
port = {origin.rpartition(":")[2]}

[trust]
anchors = ["{authority / "root.pem"}"]
intermediates = ["{authority / "intermediate.pem"}"]
crls = ["{authority / "root.crl"}", "{authority / "intermediate.crl"}"]

[audit]
file = "{folder / "audit.jsonl"}"

[[guard.routes]]
name = "rights"
path = "/"
record = "query:numero"
""",
        encoding="utf-8",
    )
    return path
