"""The gateway as a process of its own: a settings file for it, and what it says and leaves."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from gateway.clock import system_clock
from tests.support import pki

ROOT = Path(__file__).parents[2]
SERVE = (sys.executable, "-m", "gateway.main", "serve", "--config")
START_SECONDS = 30
STOP_SECONDS = 20


def free_port() -> int:
    """Return a port on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def write_settings(folder: Path, *, upstream: str, port: int, more: str = "") -> Path:
    """Write a settings file with a test authority and return it.

    :param port: of the gateway, at localhost.
    :param more: further tables.
    """
    hierarchy, now = pki.hierarchy(), system_clock()
    for name, authority in (("root", hierarchy.root), ("middle", hierarchy.intermediate)):
        (folder / f"{name}.pem").write_bytes(pki.pem(authority.certificate))
        fresh = pki.crl(
            issuer=authority,
            this_update=now - timedelta(hours=2),
            next_update=now + timedelta(days=1),
        )
        (folder / f"{name}.crl").write_bytes(fresh.public_bytes(Encoding.DER))
    file = folder / "gateway.toml"
    file.write_text(
        f"""
environment = "test"
state_dir = "state"

[portal]
origin = "http://localhost:{port}"
upstream = "{upstream}"
label = "Portail d'essai"

[listen]
port = {port}

[trust]
anchors = ["root.pem"]
intermediates = ["middle.pem"]
crls = ["root.crl", "middle.crl"]

[audit]
file = "audit.log"
{more}
""",
        encoding="utf-8",
    )
    return file


class ServedGateway:
    """`cps-gateway serve` that said that it is ready."""

    def __init__(self, process: subprocess.Popen[str], log: Path, port: int) -> None:
        self.process = process
        self.address = f"127.0.0.1:{port}"
        self._log = log

    @property
    def log(self) -> str:
        """What it wrote on standard error so far."""
        return self._log.read_text(encoding="utf-8")

    def child(self, name: str) -> int:
        """Return the process id of the child that was last started under *name*."""
        return int(re.findall(rf"{name} started, process (\d+)", self.log)[-1])

    @property
    def children(self) -> list[str]:
        """The names of what it started."""
        return sorted(set(re.findall(r"gateway\.serve: ([a-z0-9 ]+) started, process", self.log)))

    def wait_for_new_child(self, name: str, before: int) -> None:
        """Wait until another child than *before* was started under *name*."""
        deadline = time.monotonic() + START_SECONDS
        while self.child(name) == before:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send *number* and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def served_gateway(
    settings_file: Path,
    port: int,
    *,
    scheme: str = "http",
    also: str = "",
    within: Sequence[str] = (),
) -> Iterator[ServedGateway]:
    """Run the command until the block ends; it must say that it is ready.

    :param also: what it says besides, where it has more than one portal.
    :param within: a command that runs ours, in a place of its own.
    """
    log = settings_file.with_name("stderr.log")
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*within, *SERVE, str(settings_file)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        timer = threading.Timer(START_SECONDS, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            timer.cancel()
            assert line == f"ready {scheme}://localhost:{port}{also}\n", log.read_text()
            yield ServedGateway(process, log, port)
        finally:
            timer.cancel()
            if process.poll() is None:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_SECONDS)
            process.kill()


def group_members(leader: int) -> list[int]:
    """Return the processes of a group that are not yet ended."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(stat[2]) == leader and stat[0] != "Z":
                    members.append(int(entry.name))
    return members


def wait_until_gone(leaders: list[int]) -> None:
    """Wait until no process of these groups is left."""
    deadline = time.monotonic() + STOP_SECONDS
    while any(group_members(leader) for leader in leaders):
        assert time.monotonic() < deadline, [group_members(leader) for leader in leaders]
        time.sleep(0.02)


def resident_megabytes(pid: int) -> float:
    """Return what a process holds of memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
