"""The card in the virtual reader of vsmartcard, where every PC/SC program finds it.

The reader's driver, inside pcscd, listens; the card connects to it, and leaves by closing the
connection. Each message is two bytes of length and that many bytes; one byte alone is a control.
"""

import socket
from collections.abc import Callable
from enum import Enum, unique
from threading import Event

from cps.errors import (
    CardBusyError,
    CardMuteError,
    CardRemovedError,
    CardResetError,
    NoServiceError,
)
from cps.simulator.card import Card

HOST = "127.0.0.1"
PORT = 35963
CONNECT_SECONDS = 5.0
FIRST_MESSAGE_SECONDS = 3.0
"""pcscd looks for the card twice a second; silence means that another card is in the reader."""


@unique
class Control(bytes, Enum):
    """Messages of one byte, which no command is; only the ATR is answered."""

    POWER_OFF = b"\x00"
    POWER_ON = b"\x01"
    RESET = b"\x02"
    GET_ATR = b"\x04"


class VPCDReader:
    """One card, offered to one virtual reader."""

    def __init__(self, card: Card, host: str = HOST, port: int = PORT) -> None:
        self._card = card
        self._address = (host, port)
        self._connection: socket.socket | None = None
        self._stopped = Event()

    def run(self, inserted: Callable[[], None]) -> None:
        """Insert the card, answer the reader, and return when the card is removed.

        That is after :meth:`stop`, or where the card says that it is pulled out.

        :param inserted: called once, when the reader has seen the card.
        :raises NoServiceError: where no virtual reader listens, or it goes away.
        :raises CardBusyError: where another card is in the reader.
        """
        try:
            connection = socket.create_connection(self._address, timeout=CONNECT_SECONDS)
        except OSError as exc:
            host, port = self._address
            raise NoServiceError(f"no virtual reader listens on {host}:{port}") from exc
        with connection:
            self._connection = connection
            try:
                self._serve(connection, inserted)
            finally:
                self._connection = None
                self._card.power_off()

    def stop(self) -> None:
        """Make :meth:`run` end; any thread and any signal handler may call it."""
        self._stopped.set()
        connection = self._connection
        if connection is not None:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                # The reader closed it first.
                return

    def _serve(self, connection: socket.socket, inserted: Callable[[], None]) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(FIRST_MESSAGE_SECONDS)
        seen = False
        while not self._stopped.is_set():
            try:
                self._answer(connection, _receive(connection))
            except TimeoutError as exc:
                raise CardBusyError("another card is in the virtual reader") from exc
            except OSError as exc:
                if self._stopped.is_set():
                    return
                raise NoServiceError("the virtual reader went away") from exc
            except CardRemovedError:
                return
            if not seen:
                seen = True
                connection.settimeout(None)
                inserted()

    def _answer(self, connection: socket.socket, message: bytes) -> None:
        match message:
            case Control.POWER_OFF:
                self._card.power_off()
            case Control.POWER_ON:
                self._card.power_on()
            case Control.RESET:
                self._card.reset()
            case Control.GET_ATR:
                _send(connection, self._card.atr)
            case _:
                _send(connection, self._execute(message))

    def _execute(self, command: bytes) -> bytes:
        try:
            return self._card.execute(command)
        except CardResetError:
            # The reader cannot be told. The command reaches a card that begins anew.
            return self._card.execute(command)
        except CardMuteError:
            # The reader takes an empty answer for none.
            return b""


def _receive(connection: socket.socket) -> bytes:
    length = int.from_bytes(_receive_exactly(connection, 2), "big")
    return _receive_exactly(connection, length)


def _receive_exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError("the reader closed the connection")
        # The reader sends length and data apart and waits between them: a delayed acknowledgement
        # would cost 40 ms a command. The kernel forgets the option, hence after each reception.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        data += part
    return data


def _send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(len(data).to_bytes(2, "big") + data)
