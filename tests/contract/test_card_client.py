"""Our client on our cards of each kind, in process and through pcscd: what a login needs."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from cps.card.cache import FolderCache
from cps.card.contact import ContactCard
from cps.card.recognise import open_card
from cps.errors import PINRejectedError
from cps.issuer.leaf import Purpose
from cps.pin import PIN
from cps.simulator.image import CardImage
from cps.transport.trace import TracedConnection
from tests.support import cards, pki
from tests.support.card_readers import CardReader, Generation

MESSAGE = b"what the agent built"
CERTIFICATE = "3F000001C002"


@pytest.fixture
def image(generation: Generation) -> CardImage:
    return generation.image()


@pytest.fixture
def card(any_card_reader: CardReader, image: CardImage) -> ContactCard:
    return open_card(any_card_reader.connect(image))


def same_message(certificate: bytes) -> bytes:
    return MESSAGE


def pin(digits: bytes = cards.PIN) -> PIN:
    return PIN(bytearray(digits))


def test_the_card_tells_its_number_and_its_certificate(card: ContactCard, image: CardImage) -> None:
    certificate = x509.load_der_x509_certificate(card.authentication_certificate())

    assert card.serial == cards.SERIAL
    assert card.interface == "contact"
    assert certificate == cards.certificate_of(image, CERTIFICATE)


def test_it_signs_with_the_key_of_that_certificate(card: ContactCard) -> None:
    signed = card.sign(pin(), same_message)

    assert signed.certificate == card.authentication_certificate()
    key = cards.authentication_key().public_key()
    key.verify(signed.signature, MESSAGE, padding.PKCS1v15(), SHA256())


def test_it_signs_again_after_that(card: ContactCard) -> None:
    assert card.sign(pin(), same_message) == card.sign(pin(), same_message)


def test_nothing_stays_verified_after_a_signature(
    any_card_reader: CardReader, generation: Generation
) -> None:
    connection = any_card_reader.connect(generation.image())
    open_card(connection).sign(pin(), same_message)

    with connection.transaction(reset=False):
        assert connection.transmit(generation.status) == generation.unverified


def test_tries_are_read_without_spending_one(card: ContactCard) -> None:
    assert [card.tries_left() for _ in range(5)] == [3] * 5
    assert [card.puk_tries_left() for _ in range(12)] == [10] * 12


def test_a_wrong_pin_costs_one_try_and_the_last_one_blocks(card: ContactCard) -> None:
    left = []
    for _ in range(3):
        with pytest.raises(PINRejectedError) as caught:
            card.sign(pin(cards.WRONG_PIN), same_message)
        left.append(caught.value.tries_left)

    assert left == [2, 1, 0]
    assert card.tries_left() == 0
    with pytest.raises(PINRejectedError):
        card.sign(pin(), same_message)


def test_a_certificate_of_another_length_is_read_as_well(
    any_card_reader: CardReader, generation: Generation
) -> None:
    image = generation.image(pki.NURSE)
    card = open_card(any_card_reader.connect(image))

    certificate = x509.load_der_x509_certificate(card.authentication_certificate())

    assert certificate == cards.certificate_of(image, CERTIFICATE)


# Cards that are not like every other one.


def renamed(image: CardImage, old: str, new: str) -> CardImage:
    """Return the card with another name for a file of its application, which its ODF says."""
    old_path, new_path = bytes.fromhex(f"3F000001{old}"), bytes.fromhex(f"3F000001{new}")
    for file in image.files:
        if file.path == old_path:
            file.path = new_path
        elif file.content is not None:
            file.content = file.content.replace(old_path, new_path)
    return image


@pytest.mark.parametrize("fid", ["7001", "7002", "7005"], ids=["PINs", "keys", "certificates"])
def test_a_directory_is_found_wherever_it_is(
    any_card_reader: CardReader, image: CardImage, fid: str
) -> None:
    card = open_card(any_card_reader.connect(renamed(image, fid, "7" + "7" + fid[2:])))

    assert card.tries_left() == 3
    assert card.sign(pin(), same_message).certificate == card.authentication_certificate()


def test_a_key_is_found_whatever_its_number(any_card_reader: CardReader, image: CardImage) -> None:
    public_key = cards.authentication_key().public_key()
    (key,) = (each for each in image.keys if each.private_key.public_key() == public_key)
    (directory,) = (file for file in image.files if file.path == bytes.fromhex("3F0000017002"))
    assert directory.content is not None
    # An INTEGER has a byte in front where its first bit is set.
    number = b"\x00" * (key.reference >> 7) + bytes((key.reference,))
    entry = b"\x02" + bytes((len(number),)) + number
    assert directory.content.count(entry) == 1
    key.reference += 5
    directory.content = directory.content.replace(entry, entry[:-1] + bytes((key.reference,)))
    card = open_card(any_card_reader.connect(image))

    assert card.sign(pin(), same_message).certificate == card.authentication_certificate()
    assert card.tries_left() == 3


# What is kept between two logins.


def test_a_card_that_is_known_signs_without_being_read(
    any_card_reader: CardReader, image: CardImage, tmp_path: Path
) -> None:
    cache = FolderCache(tmp_path / "cards")
    counts = []
    for _ in range(2):
        lines: list[str] = []
        connection = TracedConnection(any_card_reader.connect(image), lines.append)
        card = open_card(connection, cache=cache)
        assert card.sign(pin(), same_message).certificate == card.authentication_certificate()
        counts.append(sum(line.startswith(">") for line in lines))
    directories, certificate = 2 * 2, 1 + -(-len(card.authentication_certificate()) // 256)
    # A card that was read stands in its application; one that is known is led there.
    assert counts[0] - counts[1] == directories + certificate - 1


def test_a_renewed_certificate_is_noticed_and_the_pin_sent_once(
    any_card_reader: CardReader, generation: Generation, tmp_path: Path
) -> None:
    cache = FolderCache(tmp_path / "cards")
    key = pki.key("other card")
    before = generation.image(
        authentication=cards.credential(pki.DOCTOR, Purpose.AUTHENTICATION, key)
    )
    card = open_card(any_card_reader.connect(before), cache=cache)
    old = card.authentication_certificate()
    any_card_reader.close()

    image = generation.image()
    lines: list[str] = []
    connection = TracedConnection(any_card_reader.connect(image), lines.append)
    card = open_card(connection, cache=cache)
    assert card.authentication_certificate() == old
    signed = card.sign(pin(), lambda certificate: certificate[:100])

    new = cards.certificate_of(image, CERTIFICATE)
    assert x509.load_der_x509_certificate(signed.certificate) == new
    public_key = cards.authentication_key().public_key()
    public_key.verify(signed.signature, signed.certificate[:100], padding.PKCS1v15(), SHA256())
    sent = [line for line in lines if line[5:7] == "20" and line.count("**") > 1]
    assert len(sent) == 1
    # And from then on nothing is read.
    assert (
        open_card(any_card_reader.connect(image), cache=cache).authentication_certificate()
        == signed.certificate
    )


# Changing and unblocking the PIN.


def test_the_pin_is_changed_and_the_old_one_is_wrong(card: ContactCard) -> None:
    card.change_pin(pin(), pin(b"4321"))

    with pytest.raises(PINRejectedError):
        card.sign(pin(), same_message)
    assert card.sign(pin(b"4321"), same_message)


def test_a_wrong_old_pin_costs_a_try_and_changes_nothing(card: ContactCard) -> None:
    with pytest.raises(PINRejectedError) as caught:
        card.change_pin(pin(cards.WRONG_PIN), pin(b"4321"))

    assert caught.value.tries_left == 2
    assert card.tries_left() == 2
    assert card.sign(pin(), same_message)


def test_a_blocked_pin_is_given_anew_with_the_puk(card: ContactCard) -> None:
    for _ in range(3):
        with pytest.raises(PINRejectedError):
            card.sign(pin(cards.WRONG_PIN), same_message)

    card.unblock_pin(pin(cards.PUK), pin(b"4321"))

    assert (card.tries_left(), card.puk_tries_left()) == (3, 10)
    assert card.sign(pin(b"4321"), same_message)


def test_a_wrong_puk_costs_one_of_its_tries_and_unblocks_nothing(card: ContactCard) -> None:
    with pytest.raises(PINRejectedError) as caught:
        card.unblock_pin(pin(b"00000000"), pin(b"4321"))

    assert caught.value.tries_left == 9
    assert (card.tries_left(), card.puk_tries_left()) == (3, 9)
    assert card.sign(pin(), same_message)
