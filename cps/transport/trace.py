"""A connection that tells what passes through it, without the secrets."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cps.errors import TransportError
from cps.transport.connection import CardConnection

MASKED_INS = frozenset({0x20, 0x21, 0x24, 0x25, 0x2C, 0x2D})
"""VERIFY, CHANGE REFERENCE DATA and RESET RETRY COUNTER, even and odd: their data are PINs."""

_HEADER = 4


class TracedConnection:
    """Another connection, each step of which is written down before it returns.

    The lines are those of :class:`cps.transport.replay.ReplayConnection`, with two differences: a
    fault is shown by the name of its class, and of a command in :data:`MASKED_INS` every byte
    behind the header is shown as ``**``.

    :param connection: what carries the APDUs.
    :param log: called with each line.
    """

    def __init__(self, connection: CardConnection, log: Callable[[str], None]) -> None:
        self._connection = connection
        self._log = log

    @property
    def atr(self) -> bytes:
        return self._connection.atr

    @property
    def t0(self) -> bool:
        return self._connection.t0

    def transmit(self, command: bytes) -> bytes:
        self._log(f"> {masked(command)}")
        try:
            answer = self._connection.transmit(command)
        except TransportError as exc:
            self._log(f"! {type(exc).__name__}")
            raise
        self._log(f"< {answer.hex(' ').upper()}")
        return answer

    @contextmanager
    def transaction(self, *, reset: bool) -> Iterator[None]:
        with self._connection.transaction(reset=reset):
            self._log("begin")
            try:
                yield
            finally:
                self._log("end reset" if reset else "end leave")

    def close(self) -> None:
        self._connection.close()


def masked(command: bytes) -> str:
    """Return *command* as hexadecimal for people, its data hidden where they may be a PIN.

    :param command: a raw command, also a malformed one.
    """
    if len(command) < 2 or command[1] not in MASKED_INS:
        return command.hex(" ").upper()
    # Whatever the class byte, and Lc too: in a malformed command it may be a digit.
    hidden = len(command) - _HEADER
    return command[:_HEADER].hex(" ").upper() + " **" * max(hidden, 0)
