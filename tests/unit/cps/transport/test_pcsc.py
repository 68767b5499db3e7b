"""PC/SC: every result becomes one of our errors, nothing waits for ever, nothing is left open."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from cps.errors import (
    CardBusyError,
    CardError,
    CardMuteError,
    CardRemovedError,
    CardResetError,
    KeypadError,
    NoCardError,
    NoReaderError,
    NoServiceError,
    TransportError,
)
from cps.transport.connection import CardConnection, ReaderState
from cps.transport.keypad import ReaderControl
from tests.unit.cps.transport.fake_scard import READER, FakeSCard

real = pytest.importorskip("smartcard.scard", reason="pyscard is not installed")
pcsc = pytest.importorskip("cps.transport.pcsc")

LEAVE, RESET = real.SCARD_LEAVE_CARD, real.SCARD_RESET_CARD


@pytest.fixture
def scard(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSCard]:
    """Give a service with a card in its one reader; no context may be open at the end."""
    fake = FakeSCard(real)
    monkeypatch.setattr(pcsc, "scard", fake)
    monkeypatch.setattr(pcsc, "SLICE_SECONDS", 0.02)
    monkeypatch.setattr(pcsc, "REMOVAL_SECONDS", 0.02)
    monkeypatch.setattr(pcsc, "BUSY_SECONDS", 0.02)
    yield fake
    assert not fake.contexts


@pytest.fixture
def connection(scard: FakeSCard) -> Iterator[CardConnection]:
    """Give a connection to that card, closed at the end."""
    connection: CardConnection = pcsc.PCSCTerminal().connect(READER)
    scard.calls.clear()
    yield connection
    connection.close()


def present(events: int = 1) -> ReaderState:
    return ReaderState(name=READER, present=True, atr=b"\x3b\x00", events=events)


# The readers.


def test_readers_are_told_with_card_and_count_of_events(scard: FakeSCard) -> None:
    scard.insert("Reader 1")
    scard.remove("Reader 1")
    assert pcsc.PCSCTerminal().readers() == [
        present(),
        ReaderState(name="Reader 1", present=False, atr=b"", events=2),
    ]


GHOST = "Windows Hello for Business 1"


def test_a_reader_that_takes_no_card_is_not_seen(scard: FakeSCard) -> None:
    scard.insert(GHOST)
    assert pcsc.PCSCTerminal().readers() == [present()]
    assert len(pcsc.PCSCTerminal(lambda reader: False).readers()) == 2


def test_a_ghost_alone_is_no_reader(scard: FakeSCard) -> None:
    del scard.readers[READER]
    scard.insert(GHOST)
    assert pcsc.PCSCTerminal().readers() == []


def test_what_a_ghost_does_ends_no_waiting(scard: FakeSCard) -> None:
    scard.insert(GHOST)
    terminal = pcsc.PCSCTerminal()
    known = terminal.readers()

    def move() -> None:
        scard.insert(GHOST)
        time.sleep(0.02)

    scard.while_waiting = move
    started = time.monotonic()
    assert terminal.wait(known, 0.06) == known
    assert time.monotonic() - started > 0.05


def test_no_reader_is_an_empty_list(scard: FakeSCard) -> None:
    scard.readers.clear()
    assert pcsc.PCSCTerminal().readers() == []


def test_a_reader_that_goes_while_they_are_listed_is_left_out(scard: FakeSCard) -> None:
    scard.results["SCardGetStatusChange"] = [real.SCARD_E_UNKNOWN_READER]
    assert pcsc.PCSCTerminal().readers() == [present()]


def test_readers_that_never_stand_still_are_an_error(scard: FakeSCard) -> None:
    scard.results["SCardGetStatusChange"] = [real.SCARD_E_UNKNOWN_READER] * 3
    with pytest.raises(NoReaderError):
        pcsc.PCSCTerminal().readers()


@pytest.mark.parametrize(
    ("function", "result"),
    [
        pytest.param("SCardEstablishContext", real.SCARD_E_NO_SERVICE, id="not running"),
        pytest.param("SCardEstablishContext", real.SCARD_W_SECURITY_VIOLATION, id="not for us"),
        pytest.param("SCardListReaders", real.SCARD_E_SERVICE_STOPPED, id="stopped"),
        pytest.param("SCardListReaders", real.SCARD_E_INVALID_HANDLE, id="restarted"),
        pytest.param("SCardGetStatusChange", real.SCARD_F_COMM_ERROR, id="stopped just now"),
    ],
)
def test_without_service_every_call_says_so(scard: FakeSCard, function: str, result: int) -> None:
    terminal = pcsc.PCSCTerminal()
    for call in (
        terminal.readers,
        lambda: terminal.wait([present()], 5),
        lambda: terminal.connect(READER),
    ):
        scard.results[function] = [result]
        with pytest.raises(NoServiceError, match=function):
            call()


# Waiting.


def test_a_service_that_was_started_again_is_found_without_a_restart_of_the_agent(
    scard: FakeSCard,
) -> None:
    terminal = pcsc.PCSCTerminal()
    known = terminal.readers()
    scard.results["SCardEstablishContext"] = [real.SCARD_E_NO_SERVICE] * 2
    for call in (terminal.readers, lambda: terminal.wait(known, 0)):
        with pytest.raises(NoServiceError):
            call()
    assert terminal.readers() == known
    terminal.connect(READER).close()


def test_waiting_returns_at_once_where_the_readers_differ_already(scard: FakeSCard) -> None:
    started = time.monotonic()
    assert pcsc.PCSCTerminal().wait([], 5) == [present()]
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("reader", [True, False], ids=["with a reader", "without any reader"])
def test_waiting_ends_with_its_time(scard: FakeSCard, reader: bool) -> None:
    if not reader:
        scard.readers.clear()
    scard.while_waiting = lambda: time.sleep(0.02)
    terminal = pcsc.PCSCTerminal()
    known = terminal.readers()
    started = time.monotonic()
    assert terminal.wait(known, 0.06) == known
    assert 0.05 < time.monotonic() - started < 1
    # It slept; it did not ask again and again.
    assert len(scard.calls) < 30


def test_waiting_returns_when_the_card_goes(scard: FakeSCard) -> None:
    scard.while_waiting = scard.remove
    states = pcsc.PCSCTerminal().wait([present()], 5)
    assert states == [ReaderState(name=READER, present=False, atr=b"", events=2)]


def test_waiting_returns_after_a_fast_swap(scard: FakeSCard) -> None:
    def swap() -> None:
        scard.remove()
        scard.insert()

    scard.while_waiting = swap
    assert pcsc.PCSCTerminal().wait([present()], 5) == [present(events=3)]


def test_waiting_returns_when_the_reader_goes(scard: FakeSCard) -> None:
    scard.while_waiting = scard.readers.clear
    assert pcsc.PCSCTerminal().wait([present()], 5) == []


def test_waiting_goes_on_where_only_the_use_of_the_card_changes(scard: FakeSCard) -> None:
    def use() -> None:
        state, atr = scard.readers[READER]
        scard.readers[READER] = (state ^ real.SCARD_STATE_INUSE, atr)
        time.sleep(0.02)

    scard.while_waiting = use
    started = time.monotonic()
    pcsc.PCSCTerminal().wait([present()], 0.1)
    assert time.monotonic() - started >= 0.1


def test_waiting_says_when_the_service_stops(scard: FakeSCard) -> None:
    def stop() -> None:
        scard.results["SCardListReaders"] = [real.SCARD_E_NO_SERVICE]

    scard.while_waiting = stop
    with pytest.raises(NoServiceError):
        pcsc.PCSCTerminal().wait([present()], 5)


# Connecting.


@pytest.mark.parametrize(
    ("result", "error"),
    [
        pytest.param(real.SCARD_E_NO_SMARTCARD, NoCardError, id="no card"),
        pytest.param(real.SCARD_W_REMOVED_CARD, NoCardError, id="card gone"),
        pytest.param(real.SCARD_E_UNKNOWN_READER, NoReaderError, id="unknown reader"),
        pytest.param(real.SCARD_E_READER_UNAVAILABLE, NoReaderError, id="reader unplugged"),
        pytest.param(real.SCARD_E_SHARING_VIOLATION, CardBusyError, id="held by another program"),
        pytest.param(real.SCARD_W_UNRESPONSIVE_CARD, CardMuteError, id="put in the wrong way"),
        pytest.param(real.SCARD_W_UNPOWERED_CARD, CardMuteError, id="no power"),
        pytest.param(real.SCARD_E_PROTO_MISMATCH, CardMuteError, id="no common protocol"),
        pytest.param(real.SCARD_E_INSUFFICIENT_BUFFER, TransportError, id="anything else"),
    ],
)
def test_a_connection_that_fails_says_why_and_leaves_nothing(
    scard: FakeSCard, result: int, error: type[TransportError]
) -> None:
    scard.results["SCardConnect"] = [result, result]
    with pytest.raises(TransportError, match=r"SCardConnect: 8010") as caught:
        pcsc.PCSCTerminal().connect(READER)
    assert type(caught.value) is error


def test_a_card_that_another_program_had_for_itself_is_asked_for_once_more(
    scard: FakeSCard,
) -> None:
    scard.results["SCardConnect"] = [real.SCARD_E_SHARING_VIOLATION]
    pcsc.PCSCTerminal().connect(READER).close()
    assert scard.calls.count("SCardConnect") == 2


@pytest.mark.parametrize("result", [real.SCARD_E_NO_SMARTCARD, real.SCARD_W_UNRESPONSIVE_CARD])
def test_nothing_else_is_asked_twice(scard: FakeSCard, result: int) -> None:
    scard.results["SCardConnect"] = [result]
    with pytest.raises(TransportError):
        pcsc.PCSCTerminal().connect(READER)
    assert scard.calls.count("SCardConnect") == 1


def test_a_card_that_goes_while_connecting_was_not_there(scard: FakeSCard) -> None:
    scard.while_connecting = scard.remove
    with pytest.raises(NoCardError):
        pcsc.PCSCTerminal().connect(READER)


@pytest.mark.parametrize(
    ("protocol", "t0", "pci"),
    [
        pytest.param(real.SCARD_PROTOCOL_T0, True, real.SCARD_PCI_T0, id="T=0"),
        pytest.param(real.SCARD_PROTOCOL_T1, False, real.SCARD_PCI_T1, id="T=1"),
    ],
)
def test_a_connection_speaks_the_protocol_that_was_agreed(
    scard: FakeSCard, protocol: int, t0: bool, pci: int
) -> None:
    scard.protocol = protocol
    scard.answers = [[0x5A, 0x90, 0x00]]
    connection = pcsc.PCSCTerminal().connect(READER)
    assert (connection.t0, connection.atr) == (t0, b"\x3b\x00")
    assert connection.transmit(b"\x00\xb0\x00\x00\x01") == b"\x5a\x90\x00"
    assert scard.sent == [(pci, [0x00, 0xB0, 0x00, 0x00, 0x01])]
    connection.close()


def test_a_driver_that_does_not_come_back_is_given_up(
    scard: FakeSCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcsc, "ANSWER_SECONDS", 0.02)
    scard.while_connecting = lambda: scard.blocked.wait(5)
    scard.blocked.clear()
    with pytest.raises(CardMuteError, match=r"within 0.02 s"):
        pcsc.PCSCTerminal().connect(READER)
    scard.blocked.set()
    await_that(lambda: not scard.contexts)


# Talking.


@pytest.mark.parametrize(
    ("result", "error"),
    [
        pytest.param(real.SCARD_W_REMOVED_CARD, CardRemovedError, id="card gone"),
        pytest.param(real.SCARD_E_NO_SMARTCARD, CardRemovedError, id="card gone, other word"),
        pytest.param(real.SCARD_E_READER_UNAVAILABLE, CardRemovedError, id="reader gone"),
        pytest.param(real.SCARD_E_UNKNOWN_READER, CardRemovedError, id="reader gone, other word"),
        pytest.param(real.SCARD_W_RESET_CARD, CardResetError, id="reset by another program"),
        pytest.param(real.SCARD_E_NOT_TRANSACTED, CardMuteError, id="no answer"),
        pytest.param(real.SCARD_W_UNRESPONSIVE_CARD, CardMuteError, id="no life"),
        pytest.param(real.SCARD_E_SHARING_VIOLATION, CardBusyError, id="held by another program"),
        pytest.param(real.SCARD_E_NO_SERVICE, NoServiceError, id="service gone"),
        pytest.param(real.SCARD_F_COMM_ERROR, NoServiceError, id="service just gone"),
        pytest.param(real.SCARD_E_INVALID_PARAMETER, TransportError, id="anything else"),
    ],
)
def test_a_command_that_fails_says_why(
    scard: FakeSCard, connection: CardConnection, result: int, error: type[TransportError]
) -> None:
    scard.results["SCardTransmit"] = [result]
    with pytest.raises(TransportError, match=f"SCardTransmit: {result & 0xFFFFFFFF:08X}") as caught:
        connection.transmit(b"\x00\xb0\x00\x00\x01")
    assert type(caught.value) is error


def test_a_transaction_that_another_program_prevents_begins_a_moment_later(
    scard: FakeSCard, connection: CardConnection
) -> None:
    scard.results["SCardBeginTransaction"] = [real.SCARD_E_SHARING_VIOLATION]
    with connection.transaction(reset=False):
        pass
    assert scard.calls.count("SCardBeginTransaction") == 2


def test_a_transaction_that_another_program_goes_on_preventing_is_given_up(
    scard: FakeSCard, connection: CardConnection
) -> None:
    scard.results["SCardBeginTransaction"] = [real.SCARD_E_SHARING_VIOLATION] * 2
    with pytest.raises(CardBusyError), connection.transaction(reset=False):
        pass
    assert scard.calls.count("SCardBeginTransaction") == 2


def test_a_command_is_never_sent_twice(scard: FakeSCard, connection: CardConnection) -> None:
    scard.results["SCardTransmit"] = [real.SCARD_E_SHARING_VIOLATION]
    scard.answers = [[0x90, 0x00]]
    with pytest.raises(CardBusyError):
        connection.transmit(b"\x00\x20\x00\x01\x01\x31")
    assert len(scard.sent) == 1


@pytest.mark.parametrize("result", [real.SCARD_E_NOT_TRANSACTED, 0], ids=["no answer", "empty"])
@pytest.mark.parametrize("at_once", [True, False], ids=["known at once", "known a moment later"])
def test_a_card_pulled_out_during_a_command_is_removed_not_mute(
    scard: FakeSCard, connection: CardConnection, result: int, at_once: bool
) -> None:
    scard.results["SCardTransmit"] = [result]
    scard.answers = [[]]
    if at_once:
        scard.remove()
    else:
        scard.while_waiting = scard.remove
    with pytest.raises(CardRemovedError):
        connection.transmit(b"\x00\x20\x00\x01\x01\x31")


def test_an_empty_answer_of_a_card_that_is_there_is_no_answer(
    scard: FakeSCard, connection: CardConnection
) -> None:
    scard.answers = [[]]
    with pytest.raises(CardMuteError):
        connection.transmit(b"\x00\xb0\x00\x00\x01")


def test_an_error_tells_no_pin(scard: FakeSCard, connection: CardConnection) -> None:
    scard.results["SCardTransmit"] = [real.SCARD_E_INVALID_PARAMETER]
    with pytest.raises(TransportError) as caught:
        connection.transmit(b"\x00\x20\x00\x01\x044071")
    assert "4071" not in str(caught.value)
    assert "34" not in str(caught.value)


def test_a_card_that_does_not_come_back_is_given_up_and_reset(
    scard: FakeSCard, connection: CardConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verify() -> None:
        with connection.transaction(reset=False):
            scard.blocked.clear()
            connection.transmit(b"\x00\x20\x00\x01\x01\x31")

    monkeypatch.setattr(pcsc, "ANSWER_SECONDS", 0.02)
    scard.answers = [[0x90, 0x00]]
    with pytest.raises(CardMuteError):
        verify()
    connection.close()
    # The handle is in use until the call comes back: nothing else may have touched it.
    assert scard.calls == ["SCardBeginTransaction"]
    scard.blocked.set()
    await_that(lambda: not scard.contexts)
    let_go = [f"SCardDisconnect({RESET})", "SCardReleaseContext"]
    assert scard.calls == ["SCardBeginTransaction", "SCardTransmit", *let_go]


# The reader's own commands.


def controlled(connection: CardConnection, code: int, data: bytes) -> bytes:
    assert isinstance(connection, ReaderControl)
    return connection.control(code, data, seconds=5)


def test_a_control_is_given_to_the_reader_and_its_answer_back(
    scard: FakeSCard, connection: CardConnection
) -> None:
    scard.answers = [[6, 4, 1, 2, 3, 4]]
    assert isinstance(connection, ReaderControl)
    code = connection.control_code(3400)
    assert code == real.SCARD_CTL_CODE(3400)
    assert controlled(connection, code, b"\x01\x02") == bytes((6, 4, 1, 2, 3, 4))
    assert scard.sent == [(code, [1, 2])]


@pytest.mark.parametrize(
    ("result", "error"),
    [
        pytest.param("SCARD_E_UNSUPPORTED_FEATURE", KeypadError, id="unsupported"),
        pytest.param("SCARD_E_NOT_TRANSACTED", KeypadError, id="not transacted"),
        pytest.param("SCARD_E_INVALID_PARAMETER", KeypadError, id="invalid"),
        pytest.param("SCARD_E_NO_SERVICE", NoServiceError, id="no service"),
        pytest.param("SCARD_W_RESET_CARD", CardResetError, id="reset"),
    ],
)
def test_a_control_that_fails_says_why_and_is_not_repeated(
    scard: FakeSCard, connection: CardConnection, result: str, error: type[CardError]
) -> None:
    scard.results["SCardControl"] = [getattr(real, result)]
    with pytest.raises(error):
        controlled(connection, 1, b"")
    assert scard.calls.count("SCardControl") == 1


def test_a_card_pulled_out_at_the_keypad_is_removed(
    scard: FakeSCard, connection: CardConnection
) -> None:
    scard.results["SCardControl"] = [real.SCARD_E_NOT_TRANSACTED]
    scard.remove()
    with pytest.raises(CardRemovedError):
        controlled(connection, 1, b"")


def test_a_keypad_that_does_not_come_back_is_given_up_and_the_card_reset(
    scard: FakeSCard, connection: CardConnection
) -> None:
    scard.blocked.clear()
    assert isinstance(connection, ReaderControl)
    with pytest.raises(CardMuteError):
        connection.control(1, b"", seconds=0.02)
    scard.answers = [[0x90, 0x00]]
    scard.blocked.set()
    await_that(lambda: f"SCardDisconnect({RESET})" in scard.calls)


# Transactions.


@pytest.mark.parametrize(("reset", "disposition"), [(True, RESET), (False, LEAVE)])
def test_a_transaction_begins_and_ends_as_wanted(
    scard: FakeSCard, connection: CardConnection, reset: bool, disposition: int
) -> None:
    with connection.transaction(reset=reset):
        assert scard.calls == ["SCardBeginTransaction"]
    assert scard.calls[1:] == [f"SCardEndTransaction({disposition})"]


def test_an_error_inside_a_transaction_resets_all_the_same(
    scard: FakeSCard, connection: CardConnection
) -> None:
    with pytest.raises(KeyError), connection.transaction(reset=True):
        raise KeyError
    assert scard.calls[-1] == f"SCardEndTransaction({RESET})"


def test_an_error_inside_a_transaction_is_not_hidden_by_one_at_its_end(
    scard: FakeSCard, connection: CardConnection
) -> None:
    scard.results["SCardEndTransaction"] = [real.SCARD_W_REMOVED_CARD]
    with pytest.raises(KeyError), connection.transaction(reset=True):
        raise KeyError


def test_a_card_that_may_not_have_been_reset_is_let_go_with_a_reset(
    scard: FakeSCard, connection: CardConnection
) -> None:
    scard.results["SCardEndTransaction"] = [real.SCARD_E_NOT_TRANSACTED]
    with pytest.raises(CardMuteError), connection.transaction(reset=True):
        pass
    assert scard.calls[-2:] == [f"SCardDisconnect({RESET})", "SCardReleaseContext"]


def test_a_card_pulled_out_in_a_transaction_is_removed_at_its_end(
    scard: FakeSCard, connection: CardConnection
) -> None:
    scard.results["SCardEndTransaction"] = [real.SCARD_W_REMOVED_CARD]
    with pytest.raises(CardRemovedError), connection.transaction(reset=True):
        pass


@pytest.mark.parametrize(
    "protocol", [real.SCARD_PROTOCOL_T0, real.SCARD_PROTOCOL_T1], ids=["T=0", "T=1"]
)
def test_a_reset_between_transactions_harms_nothing(scard: FakeSCard, protocol: int) -> None:
    scard.protocol = protocol
    connection = pcsc.PCSCTerminal().connect(READER)
    scard.calls.clear()
    scard.results["SCardBeginTransaction"] = [real.SCARD_W_RESET_CARD]
    with connection.transaction(reset=False):
        pass
    connection.close()
    assert scard.calls[1] == f"SCardReconnect({LEAVE})"
    assert f"SCardEndTransaction({LEAVE})" in scard.calls


def test_a_reset_does_not_hide_that_the_card_was_swapped(
    scard: FakeSCard, connection: CardConnection
) -> None:
    scard.remove()
    scard.insert()
    scard.results["SCardBeginTransaction"] = [real.SCARD_W_RESET_CARD]
    with pytest.raises(CardRemovedError, match="another card"), connection.transaction(reset=False):
        pytest.fail("the new card would see what was meant for the old one")


def test_a_card_reset_again_and_again_is_given_up(
    scard: FakeSCard, connection: CardConnection
) -> None:
    scard.results["SCardBeginTransaction"] = [real.SCARD_W_RESET_CARD] * 2
    with pytest.raises(CardResetError), connection.transaction(reset=False):
        pytest.fail("there is no transaction")


def test_a_card_that_cannot_be_had_again_after_a_reset_is_removed(
    scard: FakeSCard, connection: CardConnection
) -> None:
    scard.results["SCardBeginTransaction"] = [real.SCARD_W_RESET_CARD]
    scard.results["SCardReconnect"] = [real.SCARD_E_NO_SMARTCARD]
    with pytest.raises(CardRemovedError), connection.transaction(reset=False):
        pytest.fail("there is no transaction")


def test_a_card_that_another_program_holds_is_busy_after_a_while(
    scard: FakeSCard, connection: CardConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcsc, "LOCK_SECONDS", 0.02)
    scard.blocked.clear()
    with pytest.raises(CardBusyError), connection.transaction(reset=True):
        pytest.fail("there is no transaction")
    scard.blocked.set()
    await_that(lambda: not scard.contexts)
    # We did nothing to the card: it is left as the other program wants it.
    assert f"SCardDisconnect({LEAVE})" in scard.calls


def test_a_given_up_connection_is_not_used_again(
    scard: FakeSCard, connection: CardConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcsc, "LOCK_SECONDS", 0.02)
    scard.blocked.clear()
    for _ in range(2):
        with pytest.raises(CardBusyError), connection.transaction(reset=True):
            pytest.fail("there is no transaction")
    scard.blocked.set()
    await_that(lambda: not scard.contexts)
    assert scard.calls.count("SCardBeginTransaction") == 1


def test_closing_leaves_the_card_and_may_be_repeated(
    scard: FakeSCard, connection: CardConnection
) -> None:
    connection.close()
    connection.close()
    assert scard.calls == [f"SCardDisconnect({LEAVE})", "SCardReleaseContext"]


def test_a_closed_connection_is_not_used_again(
    scard: FakeSCard, connection: CardConnection
) -> None:
    connection.close()
    with pytest.raises(TransportError, match="closed"):
        connection.transmit(b"\x00\xb0\x00\x00\x01")
    assert not scard.sent


def await_that(condition: Callable[[], bool]) -> None:
    """Wait until *condition* holds; a thread that was given up makes it so."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)
