"""The replay: it accepts its dialogue and nothing else, so that a test on it can fail."""

import pytest

from cps.errors import CardBusyError, CardRemovedError, TransportError
from cps.transport.replay import FAULTS, ReplayConnection

SELECT = bytes.fromhex("00A4000C023F00")


def test_it_answers_as_its_script_says() -> None:
    card = ReplayConnection("""
        > 00 A4 00 0C 02 3F 00   # SELECT MF
        < 90 00

        > 00b00000 02            # spelling counts for nothing
        < 5A 00 9000
    """)
    assert card.transmit(SELECT) == b"\x90\x00"
    assert card.transmit(bytes.fromhex("00B0000002")) == b"\x5a\x00\x90\x00"
    card.close()


def test_it_has_the_manners_of_a_cps3_by_default() -> None:
    card = ReplayConnection("")
    assert (card.atr[:4], card.t0) == (bytes.fromhex("3BAC0040"), True)


def test_another_command_is_refused() -> None:
    card = ReplayConnection("> 00 A4 00 0C 02 3F 01\n< 90 00")
    with pytest.raises(AssertionError, match="line 1: wanted > 00 A4 00 0C 02 3F 01, got"):
        card.transmit(SELECT)


def test_a_command_too_many_is_refused() -> None:
    with pytest.raises(AssertionError, match="behind the end"):
        ReplayConnection("").transmit(SELECT)


def test_a_transaction_too_many_is_refused() -> None:
    with (
        pytest.raises(AssertionError, match="behind the end"),
        ReplayConnection("").transaction(reset=True),
    ):
        pass


def test_an_exchange_that_never_happened_is_found_at_the_end() -> None:
    card = ReplayConnection("\n> 00 A4 00 0C 02 3F 00\n< 90 00")
    with pytest.raises(AssertionError, match="line 2 never happened"):
        card.close()


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_fault_comes_instead_of_an_answer(name: str) -> None:
    card = ReplayConnection(f"> 00 A4 00 0C 02 3F 00\n! {name}")
    with pytest.raises(FAULTS[name]):
        card.transmit(SELECT)
    card.close()


def test_after_a_fault_nothing_is_accepted() -> None:
    card = ReplayConnection("> 00 A4 00 0C 02 3F 00\n! removed\n> 00 A4 00 0C 02 3F 00\n< 90 00")
    with pytest.raises(CardRemovedError):
        card.transmit(SELECT)
    with pytest.raises(AssertionError, match="used after a fault"):
        card.transmit(SELECT)


def test_a_transaction_is_part_of_the_dialogue() -> None:
    card = ReplayConnection("""
        begin
        > 00 A4 00 0C 02 3F 00
        < 90 00
        end reset
    """)
    with card.transaction(reset=True):
        card.transmit(SELECT)
    card.close()


def test_a_transaction_that_the_script_lacks_is_refused() -> None:
    card = ReplayConnection("> 00 A4 00 0C 02 3F 00\n< 90 00")
    with pytest.raises(AssertionError, match="wanted > 00 A4"), card.transaction(reset=False):
        pass


def test_a_command_outside_its_transaction_is_refused() -> None:
    card = ReplayConnection("begin\n> 00 A4 00 0C 02 3F 00\n< 90 00\nend leave")
    with pytest.raises(AssertionError, match="wanted begin"):
        card.transmit(SELECT)


def test_another_end_than_the_scripts_is_refused() -> None:
    card = ReplayConnection("begin\nend reset")
    with (
        pytest.raises(AssertionError, match="wanted end reset, got end leave"),
        card.transaction(reset=False),
    ):
        pass


def test_an_error_in_a_transaction_ends_it_and_passes() -> None:
    card = ReplayConnection("begin\nend reset")
    with pytest.raises(KeyError), card.transaction(reset=True):
        raise KeyError
    card.close()


def test_a_fault_in_a_transaction_leaves_nothing_to_end() -> None:
    card = ReplayConnection("begin\n> 00 A4 00 0C 02 3F 00\n! removed")
    with pytest.raises(CardRemovedError), card.transaction(reset=True):
        card.transmit(SELECT)
    card.close()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        pytest.param("! busy", CardBusyError, id="at its begin"),
        pytest.param("begin\n! removed", CardRemovedError, id="at its end"),
    ],
)
def test_a_transaction_can_meet_a_fault(script: str, error: type[TransportError]) -> None:
    card = ReplayConnection(script)
    with pytest.raises(error), card.transaction(reset=True):
        pass
    card.close()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("> 00 A4", id="no answer at the end"),
        pytest.param("> 00 A4\n> 00 A4\n< 90 00", id="no answer between"),
        pytest.param("< 90 00", id="an answer to nothing"),
        pytest.param("begin\n< 90 00", id="an answer to a begin"),
        pytest.param("> 00 A4\nbegin", id="a begin instead of an answer"),
        pytest.param("> 0x\n< 90 00", id="a command not hexadecimal"),
        pytest.param("> 00\n< 90 0", id="an answer not hexadecimal"),
        pytest.param("! late", id="unknown fault"),
        pytest.param("end", id="an end that does not say how"),
        pytest.param("begin twice", id="words behind begin"),
        pytest.param("reset", id="no step"),
    ],
)
def test_a_script_that_is_no_dialogue_is_refused(script: str) -> None:
    with pytest.raises(ValueError, match="line"):
        ReplayConnection(script)
