"""Whose socket is it? The one module that knows Linux.

Elsewhere these facts are not looked up: :func:`peer_user`, :func:`listener_user` and
:func:`port_holder` must then not be called, and an agent on a machine with several users at once
rests on the other checks alone.

Source: Linux proc(5), /proc/net/tcp.
"""

import ipaddress
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_ESTABLISHED = 0x01
_LISTEN = 0x0A
_MAPPED = b"\x00" * 10 + b"\xff\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    local: tuple[bytes, int]
    remote: tuple[bytes, int]
    state: int
    user: int
    inode: int


def peer_user(client: tuple[str, int], server: tuple[str, int], *, proc: Path = PROC) -> int | None:
    """Return the user id that owns the client's end of a loopback connection.

    :param client: the address and port that the server sees as its peer, IPv4.
    :param server: the server's own address and port, IPv4.
    :returns: ``None`` where no established connection of that name is found.
    """
    wanted = (_packed(client), _packed(server))
    for row in _rows(proc):
        if row.state == _ESTABLISHED and (row.local, row.remote) == wanted:
            return row.user
    return None


def listener_user(port: int, *, proc: Path = PROC) -> int | None:
    """Return the user id of whoever listens on *port*, ``None`` where nobody or several do."""
    users = {row.user for row in _rows(proc) if row.state == _LISTEN and row.local[1] == port}
    return users.pop() if len(users) == 1 else None


def port_holder(port: int, *, proc: Path = PROC) -> str:
    """Return which program listens on *port*, such as ``nginx, pid 812``, as far as is known."""
    inodes = {row.inode for row in _rows(proc) if row.state == _LISTEN and row.local[1] == port}
    if not inodes:
        return "unknown program"
    targets = {f"socket:[{inode}]" for inode in inodes}
    for process in proc.iterdir():
        if process.name.isdigit() and (name := _name_of_holder(process, targets)):
            return f"{name}, pid {process.name}"
    return "a program of another user"


def _name_of_holder(process: Path, targets: set[str]) -> str | None:
    try:
        if any(str(entry.readlink()) in targets for entry in (process / "fd").iterdir()):
            return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        # Another user's process, or one that ended meanwhile.
        pass
    return None


def _rows(proc: Path) -> Iterator[_Row]:
    """Yield the IPv4 connections, also those of sockets that speak IPv4 through IPv6."""
    for name in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            local, remote = _address(fields[1]), _address(fields[2])
            if local is not None and remote is not None:
                yield _Row(
                    local=local,
                    remote=remote,
                    state=int(fields[3], 16),
                    user=int(fields[7]),
                    inode=int(fields[9]),
                )


def _address(text: str) -> tuple[bytes, int] | None:
    """Return 4 address bytes and the port; ``None`` for an address that is IPv6 only."""
    host, _, port = text.partition(":")
    packed = b"".join(
        # The kernel prints each 32-bit word in the machine's own byte order.
        int(host[start : start + 8], 16).to_bytes(4, sys.byteorder)
        for start in range(0, len(host), 8)
    )
    if len(packed) == 16:
        if packed == bytes(16):
            # A socket that listens on every IPv6 address holds the port for IPv4 too.
            return bytes(4), int(port, 16)
        if not packed.startswith(_MAPPED):
            return None
        packed = packed.removeprefix(_MAPPED)
    return packed, int(port, 16)


def _packed(address: tuple[str, int]) -> tuple[bytes, int]:
    return ipaddress.IPv4Address(address[0]).packed, address[1]
