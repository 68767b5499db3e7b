"""A card that lies, anywhere and in any way: only errors of cards, and an end after a while."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cps.card.contents import read_contents
from cps.card.credential import CardFiles, read_files
from cps.card.recognise import open_applet, open_card
from cps.errors import (
    CardDataError,
    CardRefusedError,
    CardRemovedError,
    CardUnsupportedError,
    PINLengthError,
)
from cps.pin import PIN
from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from cps.transport.connection import CardConnection
from tests.support import cards
from tests.support.meddling import MeddledTerminal, Transmit

MOST_COMMANDS = 8000
"""No card makes a login or a look at it longer: every file and every answer has its limit."""
ALLOWED = (
    CardDataError,
    CardRefusedError,
    # It says that it is of another issuer, that its PIN has other lengths, that it is another card.
    CardUnsupportedError,
    PINLengthError,
    CardRemovedError,
)

Lie = Callable[[bytes], bytes]
Work = Callable[[CardConnection, CardImage], None]


class Memory:
    """What was kept of the card before it began to lie."""

    def __init__(self, image: CardImage) -> None:
        terminal = MeddledTerminal(SoftwareCard(image))
        connection = terminal.connect("Software reader")
        applet = open_applet(connection)
        applet.open()
        self._files = read_files(applet)

    def load(self, serial: str) -> CardFiles | None:
        return self._files

    def save(self, serial: str, files: CardFiles) -> None:
        """Nothing is kept of a liar."""


def log_in(connection: CardConnection, image: CardImage) -> None:
    card = open_card(connection)
    card.authentication_certificate()
    card.tries_left()
    with PIN(bytearray(cards.PIN)) as pin:
        card.sign(pin, lambda certificate: b"message")


def log_in_again(connection: CardConnection, image: CardImage) -> None:
    card = open_card(connection, cache=Memory(image))
    card.tries_left()
    with PIN(bytearray(cards.PIN)) as pin:
        card.sign(pin, lambda certificate: certificate)


def look(connection: CardConnection, image: CardImage) -> None:
    read_contents(connection)


WORK = [
    pytest.param(log_in, id="login"),
    pytest.param(log_in_again, id="login of a known card"),
    pytest.param(look, id="look"),
]


def _changed(answer: bytes, at: int, byte: int) -> bytes:
    if len(answer) < 3:
        return answer
    at %= len(answer) - 2
    return answer[:at] + bytes((byte,)) + answer[at + 1 :]


LIES: st.SearchStrategy[Lie] = st.one_of(
    st.binary(max_size=300).map(lambda raw: lambda answer: raw),
    st.binary(min_size=2, max_size=2).map(lambda sw: lambda answer: answer[:-2] + sw),
    st.integers(0, 0xFF).map(lambda count: lambda answer: bytes((0x61, count))),
    st.integers(0, 0xFF).map(lambda count: lambda answer: answer[:-2] + bytes((0x61, count))),
    st.integers(0, 0xFF).map(lambda count: lambda answer: bytes((0x6C, count))),
    st.integers(0, 300).map(lambda end: lambda answer: answer[:-2][:end] + answer[-2:]),
    st.tuples(st.integers(0, 300), st.integers(0, 0xFF)).map(
        lambda change: lambda answer: _changed(answer, *change)
    ),
    st.sampled_from([b"\x90\x00", b"\x62\x82", b"\x6a\x82", b"\x68\x81", b"\x6e\x00"]).map(
        lambda sw: lambda answer: sw
    ),
)


def require_an_end(work: Work, *, cps4: bool, lie_at: Callable[[int], Lie | None]) -> None:
    """Do *work* with a card whose answers are changed as *lie_at* says for their number."""
    image = cards.cps4_image() if cps4 else cards.image()

    def meddle(number: int, command: bytes, transmit: Transmit) -> bytes:
        assert number <= MOST_COMMANDS, "the client never ends"
        lie = lie_at(number)
        answer = transmit(command)
        return answer if lie is None else lie(answer)

    terminal = MeddledTerminal(SoftwareCard(image), meddle)
    with suppress(*ALLOWED):
        work(terminal.connect("Software reader"), image)
    assert terminal.verifications <= 1


@pytest.mark.parametrize("work", WORK)
@settings(max_examples=30, deadline=None)
@given(cps4=st.booleans(), told=st.dictionaries(st.integers(1, 40), LIES, min_size=1, max_size=3))
def test_a_card_that_lies_now_and_then_makes_only_errors_of_cards(
    work: Work, cps4: bool, told: dict[int, Lie]
) -> None:
    require_an_end(work, cps4=cps4, lie_at=told.get)


@pytest.mark.parametrize("work", WORK)
@settings(max_examples=30, deadline=None)
@given(cps4=st.booleans(), first=st.integers(1, 20), lie=LIES)
def test_a_card_that_goes_on_lying_is_given_up(
    work: Work, cps4: bool, first: int, lie: Lie
) -> None:
    require_an_end(work, cps4=cps4, lie_at=lambda number: lie if number >= first else None)


WORST: dict[str, Callable[[bytes, bytes], bytes]] = {
    "byte after byte": lambda command, said: b"\x30\x90\x00",
    "a file without end": lambda command, said: b"\x00" * 256 + b"\x90\x00",
    "an object of many": lambda command, said: b"\x30\x82\x1f\xfc" + b"\x00" * 252 + b"\x90\x00",
    "an answer without end": lambda command, said: b"\x00" * (command[-1] or 256) + b"\x61\x00",
}


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("cps4", [False, True], ids=["CPS3", "CPS4"])
@pytest.mark.parametrize("way", WORST)
def test_a_card_that_keeps_the_client_busy_is_given_up(work: Work, cps4: bool, way: str) -> None:
    image = cards.cps4_image() if cps4 else cards.image()

    def meddle(number: int, command: bytes, transmit: Transmit) -> bytes:
        assert number <= MOST_COMMANDS
        said = transmit(command)
        return WORST[way](command, said) if command[1] in (0xB0, 0xC0) and number > 3 else said

    terminal = MeddledTerminal(SoftwareCard(image), meddle)
    with suppress(*ALLOWED):
        work(terminal.connect("Software reader"), image)
    assert terminal.verifications <= 1
