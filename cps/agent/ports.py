"""The loopback port: the first free one of a short list that the login pages know."""

import errno
import socket
import sys
from collections.abc import Sequence

from cps.agent.errors import PortInUseError
from cps.agent.peer import port_holder

PORTS = (24951, 24952, 24953)
ADDRESS = "127.0.0.1"
_BACKLOG = 16


def listen(ports: Sequence[int] = PORTS) -> socket.socket:
    """Return a socket that listens on the first free port, on 127.0.0.1 and nowhere else.

    :param ports: 0 stands for any free port.
    :raises PortInUseError: where every port is taken, naming the programs that hold them.
    """
    holders: dict[int, str] = {}
    for port in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            _forbid_sharing(listener)
            listener.bind((ADDRESS, port))
            listener.listen(_BACKLOG)
        except OSError as exc:
            listener.close()
            if exc.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            holders[port] = _holder(port)
        else:
            return listener
    raise PortInUseError(holders)


def _forbid_sharing(listener: socket.socket) -> None:
    # On Windows another program could else bind the same port on top of ours; elsewhere the
    # option is only what lets an agent start again right after its predecessor ended.
    exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
    listener.setsockopt(
        socket.SOL_SOCKET, socket.SO_REUSEADDR if exclusive is None else exclusive, 1
    )


def _holder(port: int) -> str:
    return port_holder(port) if sys.platform == "linux" else "unknown program"
