import threading
from collections.abc import Callable

import pytest

from cps.errors import CardRemovedError, CardResetError, NoCardError, NoReaderError
from cps.simulator.chip import SoftwareCard
from cps.simulator.faults import Fault, FaultKind, FaultyCard
from cps.simulator.terminal import SoftwareConnection, SoftwareTerminal
from cps.transport.connection import CardConnection, CardTerminal
from tests.support import cards

READER = "Software reader"
VERIFY = bytes.fromhex("00 20 00 01 04 31323334")
STATUS = bytes.fromhex("00 20 00 01 00")
OK = b"\x90\x00"
SECONDS = 5


@pytest.fixture
def terminal() -> SoftwareTerminal:
    return SoftwareTerminal(SoftwareCard(cards.image()))


@pytest.fixture
def connection(terminal: SoftwareTerminal) -> SoftwareConnection:
    return terminal.connect(READER)


def test_it_is_a_terminal_with_connections_as_clients_know_them(
    terminal: SoftwareTerminal, connection: SoftwareConnection
) -> None:
    known_terminal: CardTerminal = terminal
    known_connection: CardConnection = connection

    assert known_terminal.readers()[0].atr == known_connection.atr
    assert known_connection.t0


def test_the_reader_shows_its_card_and_counts_what_happens(terminal: SoftwareTerminal) -> None:
    [before] = terminal.readers()
    terminal.remove()
    [without] = terminal.readers()
    terminal.insert()
    [after] = terminal.readers()

    assert (before.present, without.present, after.present) == (True, False, True)
    assert without.atr == b""
    assert before.events < without.events < after.events


def test_inserting_or_removing_twice_is_once(terminal: SoftwareTerminal) -> None:
    [before] = terminal.readers()
    terminal.insert()
    assert terminal.readers() == [before]

    terminal.remove()
    [without] = terminal.readers()
    terminal.remove()
    assert terminal.readers() == [without]


def test_a_wait_ends_when_the_card_goes(terminal: SoftwareTerminal) -> None:
    known = terminal.readers()
    leaving = threading.Timer(0.02, terminal.remove)
    leaving.start()

    states = terminal.wait(known, SECONDS)

    leaving.join()
    assert not states[0].present


def test_a_wait_ends_at_once_where_something_changed_already_and_else_in_time(
    terminal: SoftwareTerminal,
) -> None:
    assert terminal.wait([], SECONDS) == terminal.readers()
    assert terminal.wait(terminal.readers(), 0.01) == terminal.readers()


def test_another_reader_or_an_empty_one_is_not_connected(terminal: SoftwareTerminal) -> None:
    with pytest.raises(NoReaderError):
        terminal.connect("another")
    terminal.remove()
    with pytest.raises(NoCardError):
        terminal.connect(READER)


def test_a_removed_card_answers_no_more_even_when_it_is_back(
    terminal: SoftwareTerminal, connection: SoftwareConnection
) -> None:
    terminal.remove()
    with pytest.raises(CardRemovedError):
        connection.transmit(STATUS)
    terminal.insert()
    with pytest.raises(CardRemovedError):
        connection.transmit(STATUS)
    with pytest.raises(CardRemovedError), connection.transaction(reset=True):
        pass

    assert terminal.connect(READER).transmit(STATUS) == b"\x63\xc3"


def test_removal_ends_what_was_verified(
    terminal: SoftwareTerminal, connection: SoftwareConnection
) -> None:
    connection.transmit(VERIFY)
    terminal.remove()
    terminal.insert()

    assert terminal.connect(READER).transmit(STATUS) == b"\x63\xc3"


def test_a_reset_by_another_program_is_told_and_a_transaction_begins_anew(
    terminal: SoftwareTerminal, connection: SoftwareConnection
) -> None:
    connection.transmit(VERIFY)
    terminal.reset_by_another_program()
    with pytest.raises(CardResetError):
        connection.transmit(STATUS)

    with connection.transaction(reset=False):
        assert connection.transmit(STATUS) == b"\x63\xc3"


def test_a_transaction_resets_the_card_at_its_end_or_leaves_it(
    connection: SoftwareConnection,
) -> None:
    with connection.transaction(reset=False):
        connection.transmit(VERIFY)
    assert connection.transmit(STATUS) == OK

    with connection.transaction(reset=True):
        assert connection.transmit(STATUS) == OK
    assert connection.transmit(STATUS) == b"\x63\xc3"


def test_a_transaction_that_fails_resets_the_card_too(connection: SoftwareConnection) -> None:
    def verify_and_fail() -> None:
        with connection.transaction(reset=True):
            connection.transmit(VERIFY)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        verify_and_fail()
    assert connection.transmit(STATUS) == b"\x63\xc3"


def test_a_transaction_ended_by_removal_leaves_the_next_card_alone(
    terminal: SoftwareTerminal, connection: SoftwareConnection
) -> None:
    with connection.transaction(reset=True):
        terminal.remove()
        terminal.insert()
        terminal.connect(READER).transmit(VERIFY)

    assert terminal.connect(READER).transmit(STATUS) == OK


def test_another_connection_waits_for_the_end_of_a_transaction_and_removal_does_not(
    terminal: SoftwareTerminal, connection: SoftwareConnection
) -> None:
    other = terminal.connect(READER)
    answered = threading.Event()

    def ask() -> None:
        other.transmit(STATUS)
        answered.set()

    asking = threading.Thread(target=ask)
    with connection.transaction(reset=False):
        asking.start()
        assert not answered.wait(0.05)
    assert answered.wait(SECONDS)
    asking.join()

    with connection.transaction(reset=False):
        pulling = threading.Thread(target=terminal.remove)
        pulling.start()
        pulling.join(SECONDS)
        assert not pulling.is_alive()


class WaitingCard(SoftwareCard):
    """A card that is at work until it is let go on."""

    def __init__(self) -> None:
        super().__init__(cards.image())
        self.at_work = threading.Event()
        self.go_on = threading.Event()

    def execute(self, command: bytes) -> bytes:
        self.at_work.set()
        assert self.go_on.wait(SECONDS)
        return super().execute(command)


@pytest.mark.parametrize(
    ("happen", "error"),
    [
        (SoftwareTerminal.remove, CardRemovedError),
        (lambda terminal: (terminal.remove(), terminal.insert()), CardRemovedError),
        (SoftwareTerminal.reset_by_another_program, CardResetError),
    ],
    ids=["removed", "removed and back", "reset"],
)
def test_what_happens_while_the_card_is_at_work_is_seen_at_once_and_told_at_the_end(
    happen: Callable[[SoftwareTerminal], object], error: type[Exception]
) -> None:
    card = WaitingCard()
    terminal = SoftwareTerminal(card)
    connection = terminal.connect(READER)
    told: list[Exception] = []

    def ask() -> None:
        try:
            connection.transmit(VERIFY)
        except (CardRemovedError, CardResetError) as exc:
            told.append(exc)

    asking = threading.Thread(target=ask)
    asking.start()
    assert card.at_work.wait(SECONDS)
    happen(terminal)
    present = terminal.readers()[0].present
    card.go_on.set()
    asking.join(SECONDS)

    assert [type(exc) for exc in told] == [error]
    if not present:
        terminal.insert()
    assert terminal.connect(READER).transmit(STATUS) == b"\x63\xc3", "it began anew"


@pytest.mark.parametrize("kind", [FaultKind.REMOVED, FaultKind.REMOVED_DURING])
def test_a_card_that_is_pulled_out_by_a_fault_is_shown_as_gone(kind: FaultKind) -> None:
    terminal = SoftwareTerminal(FaultyCard(SoftwareCard(cards.image()), [Fault(kind=kind, at=2)]))
    connection = terminal.connect(READER)
    connection.transmit(VERIFY)

    with pytest.raises(CardRemovedError):
        connection.transmit(STATUS)

    assert not terminal.readers()[0].present
    with pytest.raises(NoCardError):
        terminal.connect(READER)
    terminal.insert()
    assert terminal.connect(READER).transmit(STATUS) == b"\x63\xc3"


def test_a_reset_by_a_fault_is_told_to_every_connection() -> None:
    fault = Fault(kind=FaultKind.RESET, at=2)
    terminal = SoftwareTerminal(FaultyCard(SoftwareCard(cards.image()), [fault]))
    first, second = terminal.connect(READER), terminal.connect(READER)
    first.transmit(VERIFY)

    for connection in (first, second):
        with pytest.raises(CardResetError):
            connection.transmit(STATUS)
    assert terminal.connect(READER).transmit(STATUS) == b"\x63\xc3"


def test_closing_leaves_the_card_as_it_is(
    terminal: SoftwareTerminal, connection: SoftwareConnection
) -> None:
    connection.transmit(VERIFY)
    connection.close()
    connection.close()

    assert terminal.connect(READER).transmit(STATUS) == OK
