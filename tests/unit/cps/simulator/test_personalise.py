from datetime import datetime, timedelta, timezone

import pytest

from cps import tlv
from cps.atr import CardType
from cps.issuer.leaf import Purpose
from cps.simulator.image import CardImage
from cps.simulator.personalise import Update, ef_sn
from cps.simulator.tree import Credential
from tests.support import cards, pki

EF_DIR = (
    "6132 4F0D E828BD080F8025000001FF0020 500A 4350582049415320434C 5104 3F000002"
    " 730F 4F0D E828BD080F8025000001FF0010"
    " 612F 4F0D E828BD080F8025000001FF0010 5007 43505820494153 5104 3F000001"
    " 730F 4F0D E828BD080F8025000001FF0010"
)
EF_ATR = (
    "80 43 01 B8 46 04 04 B0 EC C1 47 03 94 01 80 4F 08 80 25 00 00 01 FF 01 00"
    " E0 10 02 02 01 04 02 02 01 04 02 02 01 00 02 02 01 00"
    " 78 08 06 06 2B 81 22 F8 78 02 82 02 90 00"
)
ODF = (
    "A80A 3008 0406 3F0000017001 A00A 3008 0406 3F0000017002 A10A 3008 0406 3F0000017004"
    " A40A 3008 0406 3F0000017005 A70A 3008 0406 3F0000017006"
)


@pytest.fixture(scope="module")
def image() -> CardImage:
    return cards.image()


def content(image: CardImage, path: str) -> bytes:
    return image.content(bytes.fromhex(path))


@pytest.mark.parametrize(
    ("serial", "expected"),
    [
        ("99213845", "5A0A8025000001992138450F"),
        ("12345678", "5A0A8025000001123456789F"),
        ("28001234", "5A0A8025000001280012342F"),
    ],
)
def test_the_serial_number_ends_with_its_check_digit(serial: str, expected: str) -> None:
    assert ef_sn(serial) == bytes.fromhex(expected)


def test_the_root_files_are_those_of_a_real_card(image: CardImage) -> None:
    assert content(image, "3F002F00") == bytes.fromhex(EF_DIR)
    assert content(image, "3F002F01") == bytes.fromhex(EF_ATR)
    assert content(image, "3F00D003") == ef_sn(cards.SERIAL)


def test_the_applications_name_their_directories(image: CardImage) -> None:
    assert content(image, "3F0000015031") == bytes.fromhex(ODF)
    # No PIN is known to the contactless application.
    contactless = ODF.replace("3F000001", "3F000002").split(" A00A")[1]
    assert content(image, "3F0000025031") == bytes.fromhex("A00A" + contactless)


def test_certificates_and_public_keys_lie_in_files_of_their_own(image: CardImage) -> None:
    certificate = cards.certificate_of(image, "3F000001C002")

    assert certificate.public_key() == cards.authentication_key().public_key()
    assert content(image, "3F000001C002") == pki.der(certificate)
    assert cards.certificate_of(image, "3F000001C001").public_key() == (
        cards.signature_key().public_key()
    )
    assert cards.certificate_of(image, "3F000002C003").public_key() == (
        cards.technical_key().public_key()
    )
    modulus = cards.authentication_key().public_key().public_numbers().n.to_bytes(257, "big")
    assert content(image, "3F000001B002") == (
        bytes.fromhex("3082010A02820101") + modulus + bytes.fromhex("0203010001")
    )


def test_the_file_of_the_last_update_is_absent_as_on_a_card_never_updated(
    image: CardImage,
) -> None:
    with pytest.raises(LookupError):
        content(image, "3F00D010")


def test_the_file_of_the_last_update_tells_when_it_began_and_ended() -> None:
    begun = datetime(2026, 5, 4, 9, 8, 7, tzinfo=timezone(timedelta(hours=2)))
    updated = cards.image(update=Update(begun=begun, ended=begun + timedelta(minutes=1)))

    assert content(updated, "3F00D010") == bytes.fromhex(
        "EC12 8107 20260504070807 8207 20260504070907"
    )


def test_only_the_data_file_can_be_written_and_only_activities_want_the_pin(
    image: CardImage,
) -> None:
    written = [file.path.hex() for file in image.files if file.contact[4] == 0x11]
    protected = [file.path.hex() for file in image.files if file.contact[5] != 0x00]

    assert written == ["3f000001d107"]
    assert protected == ["3f000001d120", "3f000001d121"]


def test_the_key_without_pin_is_not_for_use_by_contact(image: CardImage) -> None:
    technical = next(key for key in image.keys if key.reference == 0x83)

    assert technical.contact[:3] == b"\xff\xff\xff"
    assert all(key.contactless[:3] == b"\xff\xff\xff" for key in image.keys if key != technical)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"serial": "2800001"}, "a serial number has 8 digits"),
        ({"card_number": "289900000"}, "a card number has 10 digits"),
        ({"serial": "2800000x"}, "a serial number has 8 digits"),
        ({"serial": "2800000²"}, "a serial number has 8 digits"),
    ],
    ids=["short serial", "short card number", "letter", "superscript"],
)
def test_numbers_have_their_length(change: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        cards.image(**change)  # type: ignore[arg-type]  # each is a text parameter


def test_a_key_must_fit_its_certificate() -> None:
    good = cards.credential(pki.DOCTOR, Purpose.AUTHENTICATION, cards.authentication_key())
    other = Credential(certificate=good.certificate, key=cards.signature_key())

    with pytest.raises(ValueError, match="not that of its certificate"):
        cards.image(authentication=other)


@pytest.fixture(scope="module")
def cps4() -> CardImage:
    return cards.cps4_image()


def test_a_cps4_has_the_files_its_middleware_looks_for(cps4: CardImage) -> None:
    assert cps4.card is CardType.CPS4
    assert content(cps4, "3F00D003") == ef_sn(cards.SERIAL)
    assert content(cps4, "3F002F00") == bytes.fromhex(
        "611E 4F0D E828BD080F8025000001FF0010 5007 43505820494153 5104 3F000001"
    )
    assert content(cps4, "3F0000015031") == bytes.fromhex(ODF)


def test_a_cps4_has_two_certificates_and_no_technical_one(cps4: CardImage) -> None:
    assert cards.certificate_of(cps4, "3F000001C002").public_key() == (
        cards.authentication_key().public_key()
    )
    assert cards.certificate_of(cps4, "3F000001C001").public_key() == (
        cards.signature_key().public_key()
    )
    assert {key.reference for key in cps4.keys} == {0x10, 0x20}
    assert all(file.path[:4] != bytes.fromhex("3F000002") for file in cps4.files)


def test_a_cps4_has_no_short_identifiers_and_no_old_files(cps4: CardImage) -> None:
    assert all(file.sfi is None for file in cps4.files)
    assert cps4.cps2ter == []


def test_the_data_directory_of_each_card_names_files_that_are_there(
    image: CardImage, cps4: CardImage
) -> None:
    for card, labels in ((image, 7), (cps4, 17)):
        entries = list(tlv.iterate(content(card, "3F0000017006")))
        paths = [entry.children()[2].children()[0].children()[0].value for entry in entries]

        assert len(paths) == len(set(paths)) == labels
        for entry, path in zip(entries, paths, strict=True):
            [file] = [file for file in card.files if file.path == path]
            private = b"\x03\x02\x07\x80" in entry.value
            assert (file.contact[5] == 0x11) is private


def test_a_cps4_wants_numbers_and_keys_that_fit_too() -> None:
    good = cards.credential(pki.DOCTOR, Purpose.AUTHENTICATION, cards.authentication_key())
    other = Credential(certificate=good.certificate, key=cards.signature_key())

    with pytest.raises(ValueError, match="not that of its certificate"):
        cards.cps4_image(authentication=other)
    with pytest.raises(ValueError, match="a serial number has 8 digits"):
        cards.cps4_image(serial="1")
