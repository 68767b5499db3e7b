"""Each fault happens when it should, is told as what it is, and leaves the card itself clean."""

import hashlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from cps.errors import CardMuteError, CardRemovedError, CardResetError
from cps.simulator.card import Card
from cps.simulator.chip import SoftwareCard
from cps.simulator.faults import (
    GARBAGE,
    MAX_AT,
    MAX_SECONDS,
    Fault,
    FaultKind,
    faulty_card,
    with_wrong_certificate,
    with_wrong_key,
)
from cps.simulator.image import CardImage
from cps.simulator.personalise import AUTHENTICATION_CERTIFICATE, SIGNATURE_CERTIFICATE
from tests.support import cards, pki

SERIAL = "00 B0 9C 00 0C"
STATUS = "00 20 00 01 00"
VERIFY = "00 20 00 01 04 31323334"
VERIFY_WRONG = "00 20 00 01 04 39393939"
SHA256_PREFIX = bytes.fromhex("3031300D060960864801650304020105000420")


@pytest.fixture
def image() -> CardImage:
    return cards.image()


def powered(image: CardImage, *faults: str) -> Card:
    card = faulty_card(
        image, [Fault.parse(text) for text in faults], make=SoftwareCard, sleep=no_sleep
    )
    card.power_on()
    return card


def no_sleep(seconds: float) -> None:
    raise AssertionError(f"slept {seconds} s")


def execute(card: Card, command: str) -> str:
    return card.execute(bytes.fromhex(command)).hex().upper()


def test_without_a_fault_the_card_is_bare(image: CardImage) -> None:
    assert isinstance(powered(image), SoftwareCard)


def test_a_card_is_pulled_out_before_a_command(image: CardImage) -> None:
    card = powered(image, "removed@3")
    assert execute(card, SERIAL).endswith("9000")
    assert execute(card, SERIAL).endswith("9000")

    with pytest.raises(CardRemovedError):
        execute(card, VERIFY_WRONG)

    assert image.reference_data[0].tries_left == 3
    with pytest.raises(CardMuteError):
        execute(card, SERIAL)
    card.power_on()
    assert execute(card, SERIAL).endswith("9000"), "once"


def test_a_card_pulled_out_during_a_command_has_run_it(image: CardImage) -> None:
    card = powered(image, "removed-during@1")

    with pytest.raises(CardRemovedError):
        execute(card, VERIFY_WRONG)

    assert image.reference_data[0].tries_left == 2
    with pytest.raises(CardMuteError):
        execute(card, SERIAL)


def test_a_mute_card_runs_nothing_any_more(image: CardImage) -> None:
    card = powered(image, "mute@2")
    assert execute(card, SERIAL).endswith("9000")

    for _ in range(2):
        with pytest.raises(CardMuteError):
            execute(card, VERIFY_WRONG)
    card.reset()
    with pytest.raises(CardMuteError):
        execute(card, VERIFY_WRONG)

    assert image.reference_data[0].tries_left == 3


def test_a_garbled_answer_comes_once_and_the_command_was_run(image: CardImage) -> None:
    card = powered(image, "garbage@1")

    assert execute(card, VERIFY_WRONG) == GARBAGE.hex().upper()
    assert execute(card, STATUS) == "63C2"


def test_a_short_answer_lacks_a_byte(image: CardImage) -> None:
    card = powered(image, "short@1", "short@2")
    whole = execute(powered(image), SERIAL)

    assert execute(card, SERIAL) == whole[:-6] + "9000"
    assert execute(card, STATUS) == "63"
    assert execute(card, SERIAL) == whole


def test_a_slow_answer_comes_late(image: CardImage) -> None:
    slept: list[float] = []
    card = faulty_card(image, [Fault.parse("slow@2=1.5")], make=SoftwareCard, sleep=slept.append)
    card.power_on()

    answers = [execute(card, STATUS) for _ in range(3)]

    assert answers == ["63C3"] * 3
    assert slept == [1.5]


def test_a_reset_by_another_program_loses_what_was_verified(image: CardImage) -> None:
    card = powered(image, "reset@2")
    execute(card, VERIFY)

    with pytest.raises(CardResetError):
        execute(card, STATUS)

    assert execute(card, STATUS) == "63C3"


def login_signature(card: Card, *, by_decipher: bool = False) -> bytes:
    """Return what the authentication key makes of a hash of ``b"message"``."""
    info = SHA256_PREFIX + hashlib.sha256(b"message").digest()
    if by_decipher:
        block = (b"\x00\x01" + b"\xff" * 202 + b"\x00" + info).hex()
        for command in (
            cards.OPEN_CPS4,
            "01 20 00 01 04 31323334",
            "01 A4 08 0C 02 0001",
            "01 22 41 B8 03 83 01 20",
            f"11 2A 80 86 FF {block[:510]}",
        ):
            assert execute(card, command) == "9000"
        return card.execute(bytes.fromhex(f"012A808601{block[510:]}00"))[:-2]
    execute(card, VERIFY)
    execute(card, "00 A4 09 0C 04 3F00 0001")
    execute(card, "00 22 41 A4 06 800102 840182")
    assert execute(card, f"00 88 00 00 {len(info):02X} {info.hex()}") == "6100"
    return card.execute(bytes.fromhex("00C0000000"))[:-2]


def verifies(image: CardImage, signature: bytes) -> bool:
    key = cards.certificate_of(image, "3F000001C002").public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    try:
        key.verify(signature, b"message", padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize("generation", ["cps3", "cps4"])
def test_a_key_that_does_not_fit_signs_what_the_certificate_does_not_verify(
    generation: str,
) -> None:
    image = cards.image() if generation == "cps3" else cards.cps4_image()
    by_decipher = generation == "cps4"

    wrong = login_signature(powered(image, "key"), by_decipher=by_decipher)
    right = login_signature(powered(image), by_decipher=by_decipher)

    assert len(wrong) == len(right) == 256
    assert verifies(image, right)
    assert not verifies(image, wrong)


def test_a_swapped_certificate_is_read_from_its_command_on(image: CardImage) -> None:
    def read(card: Card) -> x509.Certificate:
        execute(card, "00 A4 09 0C 06 3F00 0001 C002")
        content, offset = b"", 0
        while True:
            answer = card.execute(bytes.fromhex(f"00B0{offset:04X}00"))
            content += answer[:-2]
            offset += len(answer) - 2
            if len(answer) < 258:
                return x509.load_der_x509_certificate(content)

    card = powered(image, "certificate@20")
    before = read(card)
    for _ in range(20):
        execute(card, STATUS)

    assert pki.der(before) == image.content(AUTHENTICATION_CERTIFICATE)
    assert pki.der(read(card)) == image.content(SIGNATURE_CERTIFICATE)
    assert verifies(image, login_signature(card)), "the key is still the old one"


def test_a_double_counts_no_try_that_the_card_does_not_count(tmp_path: Path) -> None:
    cards.image().write(tmp_path / "card.json")
    with CardImage.open(tmp_path / "card.json") as image:
        card = powered(image, "certificate", "key")
        assert [execute(card, VERIFY_WRONG) for _ in range(2)] == ["63C2", "63C1"]

    kept = CardImage.read(tmp_path / "card.json")
    assert kept.reference_data[0].tries_left == 1
    assert kept.content(AUTHENTICATION_CERTIFICATE) != kept.content(SIGNATURE_CERTIFICATE)
    key = kept.keys[1].private_key.public_key()
    assert key == cards.certificate_of(kept, "3F000001C002").public_key()


def test_disguises_leave_the_card_they_are_made_of_alone(image: CardImage) -> None:
    certificate = image.content(AUTHENTICATION_CERTIFICATE)

    other = with_wrong_certificate(image)
    with_wrong_key(image, pki.key("another card's"))

    assert other.content(AUTHENTICATION_CERTIFICATE) == image.content(SIGNATURE_CERTIFICATE)
    assert image.content(AUTHENTICATION_CERTIFICATE) == certificate
    assert image.keys[1].private_key.public_key() == cards.authentication_key().public_key()


def test_a_stuck_cps4_finds_nothing_until_the_issuer_domain_was_selected() -> None:
    card = powered(cards.cps4_image(), "stuck")

    assert execute(card, cards.OPEN_CPS4) == "6A82"
    assert execute(card, cards.OPEN_CPS4) == "6A82"
    assert execute(card, "01 20 00 01") == "6881"
    assert execute(card, "01 A4 04 0C 07 A0000001510000") == "9000"
    assert execute(card, cards.OPEN_CPS4) == "9000"


def test_what_is_around_the_card_passes_its_nature_on(image: CardImage) -> None:
    card = powered(image, "mute@9")

    assert card.atr == SoftwareCard(image).atr
    assert card.t0
    card.power_off()
    with pytest.raises(CardMuteError):
        execute(card, SERIAL)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("mute", Fault(kind=FaultKind.MUTE)),
        ("removed-during@7", Fault(kind=FaultKind.REMOVED_DURING, at=7)),
        (f"short@{MAX_AT}", Fault(kind=FaultKind.SHORT, at=MAX_AT)),
        ("slow", Fault(kind=FaultKind.SLOW)),
        ("slow@3=0.25", Fault(kind=FaultKind.SLOW, at=3, seconds=0.25)),
        (f"slow={MAX_SECONDS:g}", Fault(kind=FaultKind.SLOW, seconds=MAX_SECONDS)),
    ],
)
def test_a_fault_is_named_in_a_word(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no fault"),
        ("melted", "one of: removed, removed-during, mute"),
        ("mute@", "is no fault"),
        ("mute@-1", "is no fault"),
        ("mute@0", "counted from 1"),
        (f"mute@{MAX_AT + 1}", "counted from 1"),
        ("mute@1=2", "only slow takes seconds"),
        (f"slow={MAX_SECONDS + 1:g}", "at most 600"),
        ("slow=nan", "is no fault"),
        ("mute@1 ", "is no fault"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Fault.parse(text)
