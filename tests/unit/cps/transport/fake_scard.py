"""A PC/SC service in this process, in place of pyscard's module: readers that tests move."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

READER = "Reader 0"
ATR = [0x3B, 0x00]


class FakeSCard:
    """The functions of ``smartcard.scard`` that we call, over readers that a test sets.

    :param real: the real module, for its constants.
    """

    def __init__(self, real: Any) -> None:  # noqa: ANN401 - an untyped module
        self._real = real
        self.readers: dict[str, tuple[int, list[int]]] = {}
        """Event state and answer to reset of each reader."""
        self.results: dict[str, list[int]] = {}
        """What the next calls of a function return, success where nothing is left."""
        self.answers: list[list[int]] = []
        """What the card answers."""
        self.calls: list[str] = []
        self.blocked = threading.Event()
        """Set by default; while it is not, transactions and answers do not come back."""
        self.blocked.set()
        self.protocol = real.SCARD_PROTOCOL_T0
        self.contexts: set[int] = set()
        self.sent: list[tuple[int, list[int]]] = []
        self.while_waiting: Callable[[], object] = lambda: None
        """Called whenever somebody waits for the readers."""
        self.while_connecting: Callable[[], object] = lambda: None
        """Called when the card has been connected to."""
        self.insert()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - an untyped module
        return getattr(self._real, name)

    def insert(self, reader: str = READER) -> None:
        events = self.readers.get(reader, (0, []))[0] >> 16
        self.readers[reader] = (self.SCARD_STATE_PRESENT | events + 1 << 16, ATR)

    def remove(self, reader: str = READER) -> None:
        events = self.readers[reader][0] >> 16
        self.readers[reader] = (self.SCARD_STATE_EMPTY | events + 1 << 16, [])

    def SCardEstablishContext(self, _scope: int) -> tuple[int, int]:  # noqa: N802
        result = self._result("SCardEstablishContext")
        context = max(self.contexts, default=0) + 1
        if result == 0:
            self.contexts.add(context)
        return result, context

    def SCardReleaseContext(self, context: int) -> int:  # noqa: N802
        self.contexts.remove(context)
        return self._result("SCardReleaseContext")

    def SCardListReaders(self, _context: int, _groups: Sequence[str]) -> tuple[int, list[str]]:  # noqa: N802
        result = self._result("SCardListReaders")
        if result == 0 and not self.readers:
            result = self.SCARD_E_NO_READERS_AVAILABLE
        return result, list(self.readers) if result == 0 else []

    def SCardGetStatusChange(  # noqa: N802
        self, _context: int, milliseconds: int, states: Sequence[tuple[str, int]]
    ) -> tuple[int, list[tuple[str, int, list[int]]]]:
        result = self._result("SCardGetStatusChange")
        if result:
            return result, []
        if milliseconds and not self._changed(states):
            self.while_waiting()
        if any(name not in self.readers for name, _ in states):
            return self.SCARD_E_UNKNOWN_READER, []
        now = [
            (name, self.readers[name][0] | self.SCARD_STATE_CHANGED, self.readers[name][1])
            for name, _ in states
        ]
        return (0 if self._changed(states) else self.SCARD_E_TIMEOUT), now

    def _changed(self, states: Sequence[tuple[str, int]]) -> bool:
        return any(self.readers.get(name, (None,))[0] != known for name, known in states)

    def SCardConnect(  # noqa: N802
        self, _context: int, reader: str, _share: int, _protocols: int
    ) -> tuple[int, int, int]:
        result = self._result("SCardConnect")
        if result == 0 and reader not in self.readers:
            result = self.SCARD_E_UNKNOWN_READER
        if result == 0 and not self.readers[reader][1]:
            result = self.SCARD_E_NO_SMARTCARD
        self.while_connecting()
        return result, 77, self.protocol

    def SCardReconnect(  # noqa: N802
        self, _card: int, _share: int, protocol: int, initialization: int
    ) -> tuple[int, int]:
        assert protocol == self.protocol, "another protocol than was agreed"
        return self._result("SCardReconnect", initialization), self.protocol

    def SCardBeginTransaction(self, _card: int) -> int:  # noqa: N802
        self.blocked.wait(5)
        return self._result("SCardBeginTransaction")

    def SCardEndTransaction(self, _card: int, disposition: int) -> int:  # noqa: N802
        return self._result("SCardEndTransaction", disposition)

    def SCardTransmit(  # noqa: N802
        self, _card: int, protocol: int, command: list[int]
    ) -> tuple[int, list[int]]:
        self.blocked.wait(5)
        self.sent.append((protocol, command))
        result = self._result("SCardTransmit")
        return result, self.answers.pop(0) if result == 0 else []

    def SCardControl(  # noqa: N802
        self, _card: int, code: int, data: list[int]
    ) -> tuple[int, list[int]]:
        self.blocked.wait(5)
        self.sent.append((code, data))
        result = self._result("SCardControl")
        return result, self.answers.pop(0) if result == 0 else []

    def SCardDisconnect(self, _card: int, disposition: int) -> int:  # noqa: N802
        return self._result("SCardDisconnect", disposition)

    def _result(self, function: str, argument: int | None = None) -> int:
        self.calls.append(function if argument is None else f"{function}({argument})")
        planned = self.results.get(function, [])
        return planned.pop(0) if planned else 0
