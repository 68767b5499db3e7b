"""The loopback port: first free of the list, never another address."""

import os
import socket
import sys

import pytest

from cps.agent.errors import PortInUseError
from cps.agent.ports import PORTS, listen


def taken() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_the_first_free_port_is_taken() -> None:
    with taken() as first, listen((0,)) as probe:
        free = probe.getsockname()[1]
        probe.close()
        with listen((first.getsockname()[1], free)) as listener:
            assert listener.getsockname() == ("127.0.0.1", free)


def test_where_none_is_free_the_holders_are_named() -> None:
    with taken() as first, taken() as second:
        ports = [first.getsockname()[1], second.getsockname()[1]]
        with pytest.raises(PortInUseError) as caught:
            listen(ports)
    assert list(caught.value.holders) == ports
    assert "port_in_use" in str(caught.value)
    if sys.platform == "linux":
        assert f"pid {os.getpid()}" in str(caught.value)


def test_a_port_held_on_every_address_is_taken_too() -> None:
    with socket.create_server(("0.0.0.0", 0)) as everywhere, pytest.raises(PortInUseError):  # noqa: S104 - the rival
        listen((everywhere.getsockname()[1],))


def test_the_usual_ports_are_those_of_the_protocol() -> None:
    assert PORTS == (24951, 24952, 24953)
