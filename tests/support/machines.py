"""Two machines on this one: network namespaces, each with a link of its own to where we are."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

_NETWORK = "10.213"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine that has nothing but its own loopback and a link to here."""

    name: str
    address: str
    """Its own address."""
    here: str
    """Ours, as it sees it."""

    @property
    def run(self) -> tuple[str, ...]:
        """The command that runs another one there."""
        return ("ip", "netns", "exec", self.name)

    def set_link(self, state: str) -> None:
        """Pull the cable (``down``) or put it back (``up``)."""
        _ip("-n", self.name, "link", "set", _LINK, state)


_LINK = "cable"
"""What each machine calls its one interface."""


@contextmanager
def machines(count: int) -> Iterator[list[Machine]]:
    """Make that many machines; they go when the block ends."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces want root and the package iproute2")
    with ExitStack() as stack:
        yield [stack.enter_context(_machine(number)) for number in range(1, count + 1)]


@contextmanager
def _machine(number: int) -> Iterator[Machine]:
    name, link = f"cps-{os.getpid()}-{number}", f"cps{os.getpid()}n{number}"
    # A network of its own for each process that tests: several may run at once.
    block = f"{_NETWORK}.{os.getpid() % 256}"
    machine = Machine(
        name=name, address=f"{block}.{4 * number + 2}", here=f"{block}.{4 * number + 1}"
    )
    try:
        _ip("netns", "add", name)
    except subprocess.CalledProcessError as exc:
        pytest.skip(f"no network namespace can be made here: {exc.stderr.strip()}")
    try:
        _ip("link", "add", link, "type", "veth", "peer", "name", _LINK, "netns", name)
        _ip("address", "add", f"{machine.here}/30", "dev", link)
        _ip("link", "set", link, "up")
        _ip("-n", name, "address", "add", f"{machine.address}/30", "dev", _LINK)
        _ip("-n", name, "link", "set", _LINK, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        yield machine
    finally:
        _ip("netns", "delete", name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
