"""The readers and cards of this workstation through PC/SC: the only import of pyscard."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import TypeVar

from smartcard import scard

from cps.errors import (
    CardBusyError,
    CardMuteError,
    CardRemovedError,
    CardResetError,
    KeypadError,
    NoCardError,
    NoReaderError,
    NoServiceError,
    TransportError,
)
from cps.transport.connection import ReaderState
from cps.transport.ghosts import is_ghost

LOCK_SECONDS = 10.0
"""How long another program may hold the card before we give up."""
BUSY_SECONDS = 1.0
"""After so long a card that another program has for itself is asked for once more."""
ANSWER_SECONDS = 30.0
"""How long a card may take for one command; an RSA signature takes about one second."""
SLICE_SECONDS = 0.5
"""How long a new reader may stay unnoticed; a card is noticed at once."""
REMOVAL_SECONDS = 1.0
"""How long PC/SC may need to notice that a card that stopped answering is gone."""
_LISTING_ATTEMPTS = 3

_ERRORS: dict[int, type[TransportError]] = {
    scard.SCARD_E_NO_SERVICE: NoServiceError,
    scard.SCARD_E_SERVICE_STOPPED: NoServiceError,
    scard.SCARD_E_SERVER_TOO_BUSY: NoServiceError,
    # pcsc-lite says this when its service stops during a call, and the next one afterwards.
    scard.SCARD_F_COMM_ERROR: NoServiceError,
    scard.SCARD_E_INVALID_HANDLE: NoServiceError,
    # The service refuses this user (polkit).
    scard.SCARD_W_SECURITY_VIOLATION: NoServiceError,
    scard.SCARD_E_NO_READERS_AVAILABLE: NoReaderError,
    scard.SCARD_E_UNKNOWN_READER: NoReaderError,
    scard.SCARD_E_READER_UNAVAILABLE: NoReaderError,
    scard.SCARD_E_NO_SMARTCARD: NoCardError,
    scard.SCARD_W_REMOVED_CARD: CardRemovedError,
    scard.SCARD_W_RESET_CARD: CardResetError,
    scard.SCARD_W_UNRESPONSIVE_CARD: CardMuteError,
    scard.SCARD_W_UNPOWERED_CARD: CardMuteError,
    scard.SCARD_W_UNSUPPORTED_CARD: CardMuteError,
    scard.SCARD_E_PROTO_MISMATCH: CardMuteError,
    scard.SCARD_E_NOT_TRANSACTED: CardMuteError,
    scard.SCARD_E_COMM_DATA_LOST: CardMuteError,
    scard.SCARD_E_TIMEOUT: CardMuteError,
    scard.SCARD_E_SHARING_VIOLATION: CardBusyError,
    scard.SCARD_E_NOT_READY: CardBusyError,
}

_T = TypeVar("_T")
_Raw = tuple[str, int, list[int]]
"""A reader as PC/SC tells it: name, event state with its counter above, answer to reset."""


class PCSCTerminal:
    """The readers that PC/SC knows; it keeps nothing between calls, so a restart harms nothing.

    :param passed_over: tells by its name a reader that is not to be seen.
    """

    def __init__(self, passed_over: Callable[[str], bool] = is_ghost) -> None:
        self._passed_over = passed_over

    def readers(self) -> Sequence[ReaderState]:
        with _context() as context:
            return [_state(raw) for raw in _snapshot(context, self._passed_over)]

    def wait(self, known: Sequence[ReaderState], timeout: float) -> Sequence[ReaderState]:
        deadline = time.monotonic() + timeout
        with _context() as context:
            while True:
                raws = _snapshot(context, self._passed_over)
                states = [_state(raw) for raw in raws]
                left = deadline - time.monotonic()
                if states != list(known) or left <= 0:
                    return states
                _block(context, raws, min(left, SLICE_SECONDS))

    def connect(self, reader: str) -> "PCSCConnection":
        context = _establish()

        def release() -> None:
            # This ends the card's handle too.
            scard.SCardReleaseContext(context)

        def call() -> tuple[int, tuple[int, int]]:
            result, card, protocol = scard.SCardConnect(
                context, reader, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_ANY
            )
            return result, (card, protocol)

        result, (card, protocol) = _bounded(
            lambda: _unless_held(call),
            seconds=ANSWER_SECONDS,
            late=CardMuteError,
            afterwards=release,
        )
        try:
            _require_success("SCardConnect", result)
            state = next((_state(raw) for raw in _snapshot(context) if raw[0] == reader), None)
            if state is None or not state.present:
                raise NoCardError(f"{reader}: the card left")
        except TransportError as exc:
            release()
            if isinstance(exc, CardRemovedError):
                raise NoCardError(str(exc)) from exc
            raise
        return PCSCConnection(
            context=context, card=card, state=state, t0=protocol == scard.SCARD_PROTOCOL_T0
        )


class PCSCConnection:
    """A card powered through PC/SC, shared with other programs but for its transactions.

    :param context: the PC/SC context, this connection's own: closing the card releases it.
    :param card: the card's handle.
    :param state: the reader with the card in it.
    :param t0: whether the protocol is T=0.
    """

    def __init__(self, *, context: int, card: int, state: ReaderState, t0: bool) -> None:
        self._context = context
        self._card = card
        self._state = state
        self._t0 = t0
        self._closed = False

    @property
    def atr(self) -> bytes:
        return self._state.atr

    @property
    def t0(self) -> bool:
        return self._t0

    def transmit(self, command: bytes) -> bytes:
        protocol = scard.SCARD_PCI_T0 if self._t0 else scard.SCARD_PCI_T1

        def call() -> tuple[int, list[int]]:
            result, answer = scard.SCardTransmit(self._card, protocol, list(command))
            return result, answer

        result, answer = self._call(call, seconds=ANSWER_SECONDS, late=CardMuteError)
        silent = result == scard.SCARD_S_SUCCESS and not answer
        if silent or result in (scard.SCARD_E_NOT_TRANSACTED, scard.SCARD_W_UNRESPONSIVE_CARD):
            # PC/SC polls: a card that was pulled out looks mute for the first moment.
            kind = CardRemovedError if self._left_reader(within=REMOVAL_SECONDS) else CardMuteError
            raise kind(f"SCardTransmit: {result & 0xFFFFFFFF:08X}, {len(answer)} bytes")
        self._require("SCardTransmit", result)
        return bytes(answer)

    def control_code(self, number: int) -> int:
        return int(scard.SCARD_CTL_CODE(number))

    def control(self, code: int, data: bytes, *, seconds: float) -> bytes:
        def call() -> tuple[int, list[int]]:
            result, answer = scard.SCardControl(self._card, code, list(data))
            return result, answer

        result, answer = self._call(call, seconds=seconds, late=CardMuteError)
        if result != scard.SCARD_S_SUCCESS:
            if self._left_reader(within=REMOVAL_SECONDS):
                raise CardRemovedError(f"SCardControl: {result & 0xFFFFFFFF:08X}")
            if _ERRORS.get(result) not in (NoServiceError, CardResetError):
                raise KeypadError(f"SCardControl: {result & 0xFFFFFFFF:08X}")
        self._require("SCardControl", result)
        return bytes(answer)

    @contextmanager
    def transaction(self, *, reset: bool) -> Iterator[None]:
        self._begin()
        try:
            yield
        except BaseException:
            # The first error is the one that counts; where this fails the card was let go.
            with suppress(TransportError):
                self._end(reset=reset)
            raise
        self._end(reset=reset)

    def close(self) -> None:
        self._release(scard.SCARD_LEAVE_CARD)

    def _begin(self) -> None:
        result = self._begin_once()
        if result == scard.SCARD_W_RESET_CARD:
            # Nothing of the card's state is carried from one transaction to the next, so that a
            # reset in between, our own or another program's, harms nothing. A swap would.
            self._renew()
            result = self._begin_once()
        self._require("SCardBeginTransaction", result)

    def _begin_once(self) -> int:
        result, _ = self._call(
            lambda: _unless_held(lambda: (scard.SCardBeginTransaction(self._card), None)),
            seconds=LOCK_SECONDS,
            late=CardBusyError,
            disposition=scard.SCARD_LEAVE_CARD,
        )
        return result

    def _renew(self) -> None:
        protocol = scard.SCARD_PROTOCOL_T0 if self._t0 else scard.SCARD_PROTOCOL_T1

        def call() -> tuple[int, int]:
            result, active = scard.SCardReconnect(
                self._card, scard.SCARD_SHARE_SHARED, protocol, scard.SCARD_LEAVE_CARD
            )
            return result, active

        result, _ = self._call(
            lambda: _unless_held(call),
            seconds=LOCK_SECONDS,
            late=CardBusyError,
            disposition=scard.SCARD_LEAVE_CARD,
        )
        self._require("SCardReconnect", result)
        if self._left_reader(within=0):
            raise CardRemovedError("SCardReconnect: another card is in the reader")

    def _end(self, *, reset: bool) -> None:
        disposition = scard.SCARD_RESET_CARD if reset else scard.SCARD_LEAVE_CARD
        try:
            result = self._call(
                lambda: int(scard.SCardEndTransaction(self._card, disposition)),
                seconds=ANSWER_SECONDS,
                late=CardMuteError,
            )
            self._require("SCardEndTransaction", result)
        except TransportError:
            # Whether the card was reset is not known: ask for it again while letting it go.
            self._release(disposition)
            raise

    def _left_reader(self, *, within: float) -> bool:
        """Return whether this connection's card left its reader, or does so *within* seconds."""
        left, raws = self._look()
        if not left and within:
            _block(self._context, raws, within)
            left, _ = self._look()
        return left

    def _look(self) -> tuple[bool, list[_Raw]]:
        """Return whether this connection's card is gone, and its reader if that is there."""
        raws = [raw for raw in _snapshot(self._context) if raw[0] == self._state.name]
        present = [_state(raw) for raw in raws if _state(raw).present]
        return [state.events for state in present] != [self._state.events], raws

    def _call(
        self,
        call: Callable[[], _T],
        *,
        seconds: float,
        late: type[TransportError],
        disposition: int = scard.SCARD_RESET_CARD,
    ) -> _T:
        """Return what *call* returns; where it takes too long this connection is over.

        :param disposition: what becomes of the card when the call comes back too late: what it
            did, perhaps VERIFY, is done then, and nobody asks for it any more.
        """
        if self._closed:
            raise late("the connection is closed")

        def let_go() -> None:
            self._disconnect(disposition)

        try:
            return _bounded(call, seconds=seconds, late=late, afterwards=let_go)
        except TransportError:
            # Until the call comes back the handle is in use: no other call may touch it.
            self._closed = True
            raise

    def _require(self, function: str, result: int) -> None:
        """Raise where *result* is no success; without its reader or card, the card was removed."""
        try:
            _require_success(function, result)
        except (NoCardError, NoReaderError) as exc:
            raise CardRemovedError(str(exc)) from exc

    def _release(self, disposition: int) -> None:
        """Let card and context go, once."""
        if not self._closed:
            self._closed = True
            self._disconnect(disposition)

    def _disconnect(self, disposition: int) -> None:
        scard.SCardDisconnect(self._card, disposition)
        scard.SCardReleaseContext(self._context)


def _bounded(
    call: Callable[[], _T],
    *,
    seconds: float,
    late: type[TransportError],
    afterwards: Callable[[], None],
) -> _T:
    """Return what *call* returns, or raise *late* after *seconds*.

    PC/SC waits without limit for another program's transaction and for a reader's driver, and
    nothing can call it back; so it waits in a thread of its own.

    :param afterwards: done in that thread when the call comes back too late.
    """
    lock = threading.Lock()
    answer: Future[_T] = Future()
    given_up = threading.Event()

    def work() -> None:
        value = call()
        with lock:
            if not given_up.is_set():
                answer.set_result(value)
                return
        afterwards()

    threading.Thread(target=work, daemon=True).start()
    try:
        return answer.result(timeout=seconds)
    except TimeoutError:
        with lock:
            if answer.done():
                return answer.result()
            given_up.set()
        raise late(f"PC/SC did not come back within {seconds:g} s") from None


def _unless_held(call: Callable[[], tuple[int, _T]]) -> tuple[int, _T]:
    """Return what *call* returns, once more where another program had the card for itself.

    Only for what comes before the first command: nothing was spent then.
    """
    result, value = call()
    if result == scard.SCARD_E_SHARING_VIOLATION:
        time.sleep(BUSY_SECONDS)
        result, value = call()
    return result, value


@contextmanager
def _context() -> Iterator[int]:
    context = _establish()
    try:
        yield context
    finally:
        scard.SCardReleaseContext(context)


def _establish() -> int:
    result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    _require_success("SCardEstablishContext", result)
    return int(context)


def _snapshot(
    context: int, passed_over: Callable[[str], bool] = lambda reader: False
) -> list[_Raw]:
    """Return every reader as it is now, but for those passed over."""
    for _ in range(_LISTING_ATTEMPTS):
        result, names = scard.SCardListReaders(context, [])
        if result == scard.SCARD_E_NO_READERS_AVAILABLE:
            return []
        _require_success("SCardListReaders", result)
        names = [name for name in names if not passed_over(name)]
        if not names:
            return []
        result, raws = scard.SCardGetStatusChange(
            context, 0, [(name, scard.SCARD_STATE_UNAWARE) for name in names]
        )
        # A reader was unplugged between the two calls: list again.
        if result != scard.SCARD_E_UNKNOWN_READER:
            _require_success("SCardGetStatusChange", result)
            return list(raws)
    raise NoReaderError("the readers change faster than they can be listed")


def _state(raw: _Raw) -> ReaderState:
    name, state, atr = raw
    present = bool(state & scard.SCARD_STATE_PRESENT)
    return ReaderState(
        name=name,
        present=present,
        atr=bytes(atr) if present else b"",
        events=state >> 16 & 0xFFFF,
    )


def _block(context: int, raws: Sequence[_Raw], seconds: float) -> None:
    """Wait until one of *raws* changes in any way, or *seconds* are over."""
    if not raws:
        time.sleep(seconds)
        return
    states = [(name, state & ~scard.SCARD_STATE_CHANGED) for name, state, _ in raws]
    result, _ = scard.SCardGetStatusChange(context, round(seconds * 1000), states)
    if result not in (scard.SCARD_E_TIMEOUT, scard.SCARD_E_UNKNOWN_READER):
        _require_success("SCardGetStatusChange", result)


def _require_success(function: str, result: int) -> None:
    """Raise what *result* stands for, where it is no success."""
    if result != scard.SCARD_S_SUCCESS:
        kind = _ERRORS.get(result, TransportError)
        raise kind(f"{function}: {result & 0xFFFFFFFF:08X}")
