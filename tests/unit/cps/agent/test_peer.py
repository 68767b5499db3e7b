"""Whose socket: the kernel's tables, real and made up."""

import os
import socket
import sys
from pathlib import Path

import pytest

from cps.agent.peer import listener_user, peer_user, port_holder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells, others do not")

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid ...\n"
NOBODY = (socket.inet_ntoa(bytes(4)), 0)
"""The other end of a socket that listens."""
CLIENT, SERVER = ("127.0.0.1", 40000), ("127.0.0.1", 24951)


def row(local: str, remote: str, *, state: str = "01", user: int = 1000, inode: int = 7) -> str:
    return (
        f"   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000  {user}"
        f"        0 {inode} 1 0000000000000000 20 4 30 10 -1\n"
    )


def packed(address: str, port: int) -> str:
    return f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}:{port:04X}"


def mapped(address: str, port: int) -> str:
    middle = int.from_bytes(b"\x00\x00\xff\xff", sys.byteorder)
    return f"{0:016X}{middle:08X}{packed(address, port)}"


def proc(folder: Path, tcp: str = "", tcp6: str = "") -> Path:
    (folder / "net").mkdir()
    (folder / "net" / "tcp").write_text(HEADER + tcp, encoding="ascii")
    (folder / "net" / "tcp6").write_text(HEADER + tcp6, encoding="ascii")
    return folder


def test_a_real_connection_belongs_to_us() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        assert peer_user(client.getsockname(), listener.getsockname()) == os.getuid()


def test_a_real_listener_is_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert listener_user(port) == os.getuid()
    assert listener_user(port) is None


def test_a_port_with_listeners_of_two_users_is_nobodys(tmp_path: Path) -> None:
    rows = [row(packed("127.0.0.1", 24951), packed(*NOBODY), state="0A", user=user)
            for user in (1000, 1001)]  # fmt: skip
    assert listener_user(24951, proc=proc(tmp_path, "".join(rows))) is None


def test_a_connection_is_no_listener(tmp_path: Path) -> None:
    connected = row(packed(*SERVER), packed(*CLIENT), user=1001)
    listening = row(packed(*SERVER), packed(*NOBODY), state="0A", user=1000)
    assert listener_user(24951, proc=proc(tmp_path, connected + listening)) == 1000


def test_a_real_connection_through_an_ipv6_socket_belongs_to_us() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_INET6) as client,
    ):
        client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            client.connect(("::ffff:127.0.0.1", listener.getsockname()[1]))
        except OSError:
            pytest.skip("no IPv6 here")
        name = ("127.0.0.1", client.getsockname()[1])
        assert peer_user(name, listener.getsockname()) == os.getuid()


def test_the_clients_end_counts_not_the_servers(tmp_path: Path) -> None:
    tables = proc(
        tmp_path,
        row(packed(*SERVER), packed(*CLIENT), user=1000)
        + row(packed(*CLIENT), packed(*SERVER), user=1001),
    )
    assert peer_user(CLIENT, SERVER, proc=tables) == 1001


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(row(packed(*CLIENT), packed("127.0.0.1", 24952)), id="other-server"),
        pytest.param(row(packed("127.0.0.1", 40001), packed(*SERVER)), id="other-client"),
        pytest.param(row(packed("127.0.0.2", 40000), packed(*SERVER)), id="other-address"),
        pytest.param(row(packed(*CLIENT), packed(*SERVER), state="06"), id="time-wait"),
        pytest.param(row(packed(*CLIENT), packed(*SERVER), state="04"), id="half-closed"),
        pytest.param("", id="nothing"),
    ],
)
def test_another_connection_tells_nothing(tmp_path: Path, line: str) -> None:
    assert peer_user(CLIENT, SERVER, proc=proc(tmp_path, line)) is None


def test_ipv4_through_ipv6_is_found(tmp_path: Path) -> None:
    tables = proc(tmp_path, tcp6=row(mapped(*CLIENT), mapped(*SERVER), user=33))
    assert peer_user(CLIENT, SERVER, proc=tables) == 33


def test_without_tables_nobody_is_known(tmp_path: Path) -> None:
    assert peer_user(CLIENT, SERVER, proc=tmp_path) is None


def test_the_program_on_a_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        holder = port_holder(listener.getsockname()[1])
    assert f"pid {os.getpid()}" in holder


def test_a_holder_that_cannot_be_seen_is_said_so(tmp_path: Path) -> None:
    tables = proc(tmp_path, row(packed("127.0.0.1", 24951), "00000000:0000", state="0A"))
    (tmp_path / "812").mkdir()
    assert port_holder(24951, proc=tables) == "a program of another user"
    assert port_holder(24952, proc=tables) == "unknown program"
