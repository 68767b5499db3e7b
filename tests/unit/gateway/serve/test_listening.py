import os
import socket
import sys
from contextlib import closing

import pytest

from gateway.errors import ConfigurationError
from gateway.serve.listening import inherited_socket, open_sockets
from gateway.settings import ListenSettings
from tests.support.serving import free_port


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_socket_waits_for_connections_before_any_process_takes_them(address: str) -> None:
    listen = ListenSettings(address=address, port=free_port())
    (opened,) = open_sockets(listen, 1, file="x")
    with opened, socket.create_connection((address, listen.port), timeout=5):
        pass


def test_several_processes_share_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    listen = ListenSettings(port=free_port())
    one, two = open_sockets(listen, 2, file="x")
    with one, two:
        assert one.getsockname() == two.getsockname()


@pytest.mark.parametrize("count", [1, 2])
def test_an_address_that_is_taken_stops_the_start(count: int) -> None:
    listen = ListenSettings(port=free_port())
    taken = open_sockets(listen, count, file="x")
    with pytest.raises(ConfigurationError, match="in use") as caught:
        open_sockets(listen, count, file="gateway.toml")
    assert (caught.value.file, caught.value.key) == ("gateway.toml", "listen.port")
    for each in taken:
        each.close()


def test_an_address_of_another_machine_stops_the_start() -> None:
    with pytest.raises(ConfigurationError):
        open_sockets(ListenSettings(address="192.0.2.1", port=free_port()), 1, file="x")


def test_a_process_that_is_lent_none_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["edge", "3"])
    assert inherited_socket() is None


def test_a_socket_is_inherited_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as opened:
        monkeypatch.setattr(sys, "argv", ["edge", "3", str(os.dup(opened.fileno()))])
        inherited = inherited_socket()
        assert inherited is not None
        with inherited:
            assert inherited.getsockname() == opened.getsockname()
