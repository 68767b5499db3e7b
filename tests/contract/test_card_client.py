"""Our client on our card, in process and through pcscd: what a login needs."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from cps.card.card import CPSCard
from cps.card.recognise import open_card
from cps.errors import PINRejectedError
from cps.pin import PIN
from cps.simulator.image import CardImage
from tests.support import cards, pki
from tests.support.card_readers import CardReader

MESSAGE = b"what the agent built"


@pytest.fixture
def image() -> CardImage:
    return cards.image()


@pytest.fixture
def card(card_reader: CardReader, image: CardImage) -> CPSCard:
    return open_card(card_reader.connect(image))


def same_message(certificate: bytes) -> bytes:
    return MESSAGE


def pin(digits: bytes = cards.PIN) -> PIN:
    return PIN(bytearray(digits))


def test_the_card_tells_its_number_and_its_certificate(card: CPSCard, image: CardImage) -> None:
    certificate = x509.load_der_x509_certificate(card.authentication_certificate())

    assert card.serial == cards.SERIAL
    assert card.interface == "contact"
    assert certificate == cards.certificate_of(image, "3F000001C002")


def test_it_signs_with_the_key_of_that_certificate(card: CPSCard) -> None:
    signature = card.sign(pin(), same_message).signature

    key = cards.authentication_key().public_key()
    key.verify(signature, MESSAGE, padding.PKCS1v15(), SHA256())


def test_it_signs_again_after_that(card: CPSCard) -> None:
    assert card.sign(pin(), same_message) == card.sign(pin(), same_message)


def test_nothing_stays_verified_after_a_signature(card_reader: CardReader) -> None:
    connection = card_reader.connect(cards.image())
    open_card(connection).sign(pin(), same_message)

    with connection.transaction(reset=False):
        assert connection.transmit(bytes.fromhex("0020000100")) == b"\x63\xc3"


def test_tries_are_read_without_spending_one(card: CPSCard) -> None:
    assert [card.tries_left() for _ in range(5)] == [3] * 5


def test_a_wrong_pin_costs_one_try_and_the_last_one_blocks(card: CPSCard) -> None:
    left = []
    for _ in range(3):
        with pytest.raises(PINRejectedError) as caught:
            card.sign(pin(cards.WRONG_PIN), same_message)
        left.append(caught.value.tries_left)

    assert left == [2, 1, 0]
    assert card.tries_left() == 0
    with pytest.raises(PINRejectedError):
        card.sign(pin(), same_message)


def test_a_certificate_of_another_length_is_read_as_well(card_reader: CardReader) -> None:
    image = cards.image(pki.NURSE)
    card = open_card(card_reader.connect(image))

    certificate = x509.load_der_x509_certificate(card.authentication_certificate())

    assert certificate == cards.certificate_of(image, "3F000001C002")
