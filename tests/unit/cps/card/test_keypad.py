"""The PIN typed at the reader: on both generations, right, wrong, given up, and not at all."""

from collections.abc import Callable

import pytest

from cps.card.contact import ContactCard
from cps.card.recognise import open_card
from cps.errors import (
    CardError,
    CardRefusedError,
    CardRemovedError,
    KeypadError,
    PINCancelledError,
    PINLengthError,
    PINRejectedError,
)
from cps.pin import PIN
from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from cps.simulator.terminal import SoftwareTerminal
from cps.transport.keypad import KeypadEntry
from tests.support import cards
from tests.support.keypad import KeypadReader

ENTRY = KeypadEntry(language="fr")
RIGHT, WRONG = cards.PIN.decode(), cards.WRONG_PIN.decode()


@pytest.fixture(params=[cards.image, cards.cps4_image], ids=["CPS3", "CPS4"])
def image(request: pytest.FixtureRequest) -> CardImage:
    make: Callable[[], CardImage] = request.param
    return make()


@pytest.fixture
def reader(image: CardImage) -> KeypadReader:
    terminal = SoftwareTerminal(SoftwareCard(image))
    return KeypadReader(terminal.connect("Software reader"))


@pytest.fixture
def card(reader: KeypadReader) -> ContactCard:
    return open_card(reader)


def message_for(certificate: bytes) -> bytes:
    return b"a message"


def tries(image: CardImage) -> int:
    return min(entry.tries_left for entry in image.reference_data)


def test_the_card_signs_and_this_program_never_has_the_pin(
    card: ContactCard, reader: KeypadReader, image: CardImage
) -> None:
    assert card.has_keypad()
    reader.typed = [RIGHT]
    signed = card.sign(ENTRY, message_for)
    assert len(signed.signature) == 256
    passed = b"".join(reader.structures + reader.transmitted)
    assert cards.PIN not in passed
    assert len(reader.structures) == 1


def test_a_wrong_pin_costs_one_try_and_can_be_typed_again(
    card: ContactCard, reader: KeypadReader, image: CardImage
) -> None:
    reader.typed = [WRONG, RIGHT]
    with pytest.raises(PINRejectedError) as caught:
        card.sign(ENTRY, message_for)
    assert caught.value.tries_left == 2
    card.sign(ENTRY, message_for)
    assert tries(image) == 3


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(0x6400, PINCancelledError, id="timeout"),
        pytest.param(0x6401, PINCancelledError, id="cancel"),
        pytest.param(0x6403, PINLengthError, id="length"),
        pytest.param(0x6402, KeypadError, id="not of this command"),
        pytest.param(0x6B80, KeypadError, id="structure refused"),
        pytest.param(0x6983, PINRejectedError, id="blocked"),
        pytest.param(0x6F00, CardRefusedError, id="unknown"),
    ],
)
def test_what_the_reader_answers_has_one_meaning_and_is_not_tried_again(
    card: ContactCard, reader: KeypadReader, image: CardImage, answer: int, error: type[CardError]
) -> None:
    reader.typed = [answer]
    with pytest.raises(error):
        card.sign(ENTRY, message_for)
    assert len(reader.structures) == 1
    assert tries(image) == 3


@pytest.mark.parametrize("typed", ["123", "123456789"], ids=["short", "long"])
def test_a_pin_of_another_length_is_not_sent_by_the_reader(
    card: ContactCard, reader: KeypadReader, image: CardImage, typed: str
) -> None:
    reader.typed = [typed]
    with pytest.raises(PINLengthError):
        card.sign(ENTRY, message_for)
    assert tries(image) == 3


@pytest.mark.parametrize("answer", [b"", b"\x90", b"\x90\x00\x00"], ids=["none", "one", "three"])
def test_an_answer_that_says_nothing_is_no_success(
    card: ContactCard, reader: KeypadReader, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(KeypadReader, "_verify", lambda *_: answer)
    reader.typed = [RIGHT]
    with pytest.raises(KeypadError):
        card.sign(ENTRY, message_for)


@pytest.mark.parametrize(
    "features", ["", "0704 42330007", "06 04 42"], ids=["none", "others", "broken"]
)
def test_a_reader_without_that_feature_has_no_keypad(
    card: ContactCard, reader: KeypadReader, features: str
) -> None:
    reader.features = bytes.fromhex(features)
    assert not card.has_keypad()
    with pytest.raises(KeypadError):
        card.sign(ENTRY, message_for)
    card.sign(PIN(bytearray(cards.PIN)), message_for)


@pytest.mark.parametrize("failure", [KeypadError("refused")], ids=["refused"])
def test_a_reader_that_refuses_the_question_has_no_keypad(
    card: ContactCard, monkeypatch: pytest.MonkeyPatch, failure: CardError
) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise failure

    monkeypatch.setattr(KeypadReader, "control", refuse)
    assert not card.has_keypad()


def test_a_card_that_left_is_not_taken_for_a_reader_without_keypad(
    card: ContactCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> bytes:
        raise CardRemovedError("gone")

    monkeypatch.setattr(KeypadReader, "control", gone)
    with pytest.raises(CardRemovedError):
        card.has_keypad()


def test_a_connection_without_control_has_no_keypad(image: CardImage) -> None:
    terminal = SoftwareTerminal(SoftwareCard(image))
    assert not open_card(terminal.connect("Software reader")).has_keypad()
