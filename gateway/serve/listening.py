"""The sockets on which browsers are waited for: held by the supervisor, lent to its children.

A child that ends, or is replaced by one with other settings, takes no connection with it: whoever
connects meanwhile waits in the socket for the next one.
"""

import socket
import sys

from gateway.errors import ConfigurationError
from gateway.settings import ListenSettings

BACKLOG = 512
"""Connections that wait in a socket until a child takes them."""
_PLACE = 2


def open_sockets(listen: ListenSettings, count: int, *, file: str) -> tuple[socket.socket, ...]:
    """Return the sockets for so many processes, among which the system shares out connections.

    :param file: the settings file, to name in the error.
    :raises ConfigurationError: where the address cannot be listened on.
    """
    try:
        # Alone first: sockets that share a port would share it with a second gateway too.
        _open(listen, shared=False).close()
        return tuple(_open(listen, shared=count > 1) for _ in range(count))
    except OSError as exc:
        reason = f"{listen.address} port {listen.port} cannot be listened on: {exc.strerror}"
        raise ConfigurationError(file, "listen.port", reason) from exc


def inherited_socket() -> socket.socket | None:
    """Return the socket that the supervisor lent to this process, if it lent one."""
    if len(sys.argv) <= _PLACE:
        return None
    return socket.socket(fileno=int(sys.argv[_PLACE]))


def _open(listen: ListenSettings, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((listen.address, listen.port))
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened
