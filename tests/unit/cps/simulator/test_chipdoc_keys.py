"""What the keys of a CPS4 do, and for whom, through the chip."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from cps.simulator.chip import SoftwareCard
from tests.support import cards
from tests.support.cards import send

VERIFY = "01 20 00 01 04 31323334"
SELECT_APPLICATION = "01 A4 08 0C 02 0001"
SET_DECIPHER = "01 22 41 B8 03 83 01 20"
SIGNATURE_KEY, AUTHENTICATION_KEY = "90", "A0"
HASHES: dict[str, HashAlgorithm] = {
    "sha1": SHA1(),  # noqa: S303 - the card still offers it
    "sha256": SHA256(),
}
PKCS1 = [("0A", "sha1"), ("28", "sha256")]
PSS = [("15", "sha1"), ("2C", "sha256")]


@pytest.fixture(params=[False, True], ids=["T=1", "T=0"])
def card(request: pytest.FixtureRequest) -> SoftwareCard:
    """Give a card on which the PIN is verified and the application's folder selected."""
    card = cards.opened_cps4(t0=request.param)
    assert send(card, VERIFY) == "9000"
    assert send(card, SELECT_APPLICATION) == "9000"
    return card


def public_key(reference: str) -> rsa.RSAPublicKey:
    own = cards.signature_key() if reference == SIGNATURE_KEY else cards.authentication_key()
    return own.public_key()


def sign(card: SoftwareCard, algorithm: str, reference: str, digest: bytes) -> str:
    assert send(card, f"01 22 81 B6 04 91 02 {algorithm} {reference}") == "9000"
    return send(card, f"01 2A 9E 9A {len(digest):02X} {digest.hex()} 00")


def decipher(card: SoftwareCard, block: bytes) -> str:
    assert send(card, f"11 2A 80 86 FF {block[:255].hex()}") == "9000"
    return send(card, f"01 2A 80 86 {len(block) - 255:02X} {block[255:].hex()} 00")


@pytest.mark.parametrize(("algorithm", "name"), PKCS1)
def test_the_signature_key_signs_a_hash(card: SoftwareCard, algorithm: str, name: str) -> None:
    digest = hashlib.new(name, b"document").digest()

    answer = sign(card, algorithm, SIGNATURE_KEY, digest)

    assert answer.endswith("9000")
    signature = bytes.fromhex(answer[:-4])
    public_key(SIGNATURE_KEY).verify(signature, digest, padding.PKCS1v15(), Prehashed(HASHES[name]))


@pytest.mark.parametrize("reference", [SIGNATURE_KEY, AUTHENTICATION_KEY])
@pytest.mark.parametrize(("algorithm", "name"), PSS)
def test_both_keys_sign_by_pss_with_a_salt_as_long_as_the_hash(
    card: SoftwareCard, algorithm: str, name: str, reference: str
) -> None:
    digest = hashlib.new(name, b"document").digest()

    answers = [sign(card, algorithm, reference, digest) for _ in range(2)]

    scheme = padding.PSS(padding.MGF1(HASHES[name]), salt_length=len(digest))
    for answer in answers:
        assert answer.endswith("9000")
        signature = bytes.fromhex(answer[:-4])
        public_key(reference).verify(signature, digest, scheme, Prehashed(HASHES[name]))
    assert answers[0] != answers[1]


def test_the_authentication_key_signs_what_the_host_has_padded(card: SoftwareCard) -> None:
    info = bytes.fromhex("3031300D060960864801650304020105000420")
    info += hashlib.sha256(b"challenge").digest()
    block = b"\x00\x01" + b"\xff" * (253 - len(info)) + b"\x00" + info
    assert send(card, SET_DECIPHER) == "9000"

    answer = decipher(card, block)

    assert answer.endswith("9000")
    key = public_key(AUTHENTICATION_KEY)
    key.verify(bytes.fromhex(answer[:-4]), b"challenge", padding.PKCS1v15(), SHA256())


def test_what_was_enciphered_for_the_holder_comes_back_with_its_padding(card: SoftwareCard) -> None:
    cryptogram = public_key(AUTHENTICATION_KEY).encrypt(b"a secret", padding.PKCS1v15())
    send(card, SET_DECIPHER)

    answer = decipher(card, cryptogram)

    assert answer.endswith("9000")
    block = bytes.fromhex(answer[:-4])
    assert len(block) == 256
    assert block.startswith(b"\x00\x02")
    assert block.endswith(b"\x00a secret")


def test_no_key_works_without_the_pin(card: SoftwareCard) -> None:
    send(card, cards.OPEN_CPS4)
    send(card, SELECT_APPLICATION)

    assert sign(card, "28", SIGNATURE_KEY, bytes(32)) == "6982"
    assert sign(card, "2C", AUTHENTICATION_KEY, bytes(32)) == "6982"
    assert send(card, SET_DECIPHER) == "9000"
    assert decipher(card, bytes(256)) == "6982"


@pytest.mark.parametrize(("algorithm", "name"), PKCS1)
def test_the_authentication_key_signs_by_pss_alone(
    card: SoftwareCard, algorithm: str, name: str
) -> None:
    digest = hashlib.new(name, b"document").digest()

    assert sign(card, algorithm, AUTHENTICATION_KEY, digest) == "6A80"


def test_the_signature_key_deciphers_nothing(card: SoftwareCard) -> None:
    assert send(card, "01 22 41 B8 03 83 01 10") == "9000"

    assert decipher(card, bytes(256)) == "6985"


@pytest.mark.parametrize("algorithm", ["00", "29", "FF"])
def test_an_unknown_algorithm_is_refused_when_it_is_used(
    card: SoftwareCard, algorithm: str
) -> None:
    assert sign(card, algorithm, SIGNATURE_KEY, bytes(32)) == "6A80"


@pytest.mark.parametrize("length", [1, 20, 31, 33, 51])
def test_a_hash_of_another_length_is_not_signed(card: SoftwareCard, length: int) -> None:
    assert sign(card, "28", SIGNATURE_KEY, bytes(length)) == "6A80"
    assert sign(card, "2C", SIGNATURE_KEY, bytes(length)) == "6A80"


@pytest.mark.parametrize(
    ("block", "sw"),
    [
        (b"\xff" * 256, "6A80"),
        (b"\x81" + bytes(256), "6700"),
        (bytes(300), "6700"),
    ],
    ids=["not less than the modulus", "with an indicator", "long"],
)
def test_a_block_must_fit_the_key(card: SoftwareCard, block: bytes, sw: str) -> None:
    send(card, SET_DECIPHER)

    assert decipher(card, block) == sw
    assert send(card, "01 2A 80 86 01 00 00") == "6700"


def test_nothing_works_before_a_key_is_chosen(card: SoftwareCard) -> None:
    assert decipher(card, bytes(256)) == "6985"
    assert send(card, "01 2A 9E 9A 20" + "00" * 32 + "00") == "6985"


def test_the_choice_outlives_the_selection_of_a_file(card: SoftwareCard) -> None:
    send(card, SET_DECIPHER)
    send(card, "01 A4 00 0C 02 3F00")

    assert decipher(card, bytes(256)) == "00" * 256 + "9000"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("01 22 81 B6 04 91 02 28 10", "6A88"),
        ("01 22 81 B6 04 91 02 28 91", "6A88"),
        ("01 22 41 B8 03 83 01 A0", "6A88"),
        ("01 22 41 B8 03 83 01 00", "6A88"),
        ("01 22 41 B8 03 84 01 20", "6A80"),
        ("01 22 41 B8 06 80 01 1A 83 01 20", "6A80"),
        ("01 22 41 B8 04 83 02 20 20", "6A80"),
        ("01 22 41 B8 02 83 01", "6A80"),
        ("01 22 81 B6 03 91 01 28", "6A80"),
        ("01 22 81 B6 06 80 01 28 84 01 90", "6A80"),
        ("01 22 41 B6 04 91 02 28 90", "6A86"),
        ("01 22 81 B8 03 83 01 20", "6A86"),
        ("01 22 41 A4 06 80 01 02 84 01 20", "6A86"),
        ("01 2A 90 A0 02 9000", "6A86"),
    ],
)
def test_a_command_of_another_form_is_refused_and_chooses_nothing(
    card: SoftwareCard, command: str, sw: str
) -> None:
    assert send(card, command) == sw
    assert decipher(card, bytes(256)) == "6985"
    assert send(card, "01 2A 9E 9A 20" + "00" * 32 + "00") == "6985"


@pytest.mark.parametrize("refused", ["83 01 99", "84 01 20", "83 01"])
def test_a_refused_choice_of_a_key_to_decipher_ends_the_one_before_it(
    card: SoftwareCard, refused: str
) -> None:
    send(card, SET_DECIPHER)
    length = len(bytes.fromhex(refused))
    assert send(card, f"01 22 41 B8 {length:02X} {refused}") in ("6A80", "6A88")

    assert decipher(card, bytes(256)) == "6985"


@pytest.mark.parametrize("refused", ["91 02 28 99", "91 02 28 10", "91 01 28"])
def test_a_refused_choice_of_a_key_to_sign_ends_the_one_before_it(
    card: SoftwareCard, refused: str
) -> None:
    send(card, "01 22 81 B6 04 91 02 28 90")
    length = len(bytes.fromhex(refused))
    assert send(card, f"01 22 81 B6 {length:02X} {refused}") in ("6A80", "6A88")

    assert send(card, "01 2A 9E 9A 20" + "00" * 32 + "00") == "6985"


def test_keys_are_found_from_their_folder_alone(card: SoftwareCard) -> None:
    send(card, "01 A4 00 0C 02 3F00")

    assert send(card, SET_DECIPHER) == "6A88"
    assert send(card, "01 22 81 B6 04 91 02 28 90") == "6A88"
