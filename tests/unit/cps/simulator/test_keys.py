"""What the keys do, and for whom, through the chip."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from cps.simulator import hashing
from cps.simulator.chip import SoftwareCard
from tests.support import cards
from tests.support.cards import send
from tests.unit.cps.simulator.test_hashing import state_after

VERIFY = "00 20 00 01 04 31323334"
SELECT_APPLICATION = "00 A4 09 0C 04 3F00 0001"
SET_AUTHENTICATION = "00 22 41 A4 06 800102 840182"
SET_HASH = {"sha1": "00 22 41 AA 03 800110", "sha256": "00 22 41 AA 03 800140"}
SET_SIGNATURE = {"sha1": "00 22 41 B6 06 800112 840181", "sha256": "00 22 41 B6 06 800142 840181"}
SET_DECIPHER = "00 22 41 B8 06 80011A 840182"
SIGN = "00 2A 9E 9A 00"

FUNCTIONS = {"sha1": hashing.SHA1, "sha256": hashing.SHA256}
ALGORITHMS: dict[str, HashAlgorithm] = {
    "sha1": SHA1(),  # noqa: S303 - the card still offers it
    "sha256": SHA256(),
}
BOTH = pytest.mark.parametrize("name", ["sha1", "sha256"])


@pytest.fixture
def card() -> SoftwareCard:
    """Give a card on which the PIN is verified and the application selected."""
    card = cards.powered_card()
    assert send(card, VERIFY) == "9000"
    assert send(card, SELECT_APPLICATION) == "9000"
    return card


def authenticate(card: SoftwareCard, data: bytes) -> str:
    return send(card, f"00 88 00 00 {len(data):02X} {data.hex()}")


def padded_by(key: rsa.RSAPublicKey, answer: str) -> bytes:
    """Return the block that was signed."""
    assert answer.endswith("9000")
    numbers = key.public_numbers()
    signature = int(answer[:-4], 16)
    return pow(signature, numbers.e, numbers.n).to_bytes(256, "big")


def require_signature(key: rsa.RSAPublicKey, answer: str, digest: bytes, name: str) -> None:
    assert answer.endswith("9000")
    key.verify(bytes.fromhex(answer[:-4]), digest, padding.PKCS1v15(), Prehashed(ALGORITHMS[name]))


def test_a_digest_info_becomes_an_ordinary_signature(card: SoftwareCard) -> None:
    digest = hashlib.sha256(b"message").digest()
    info = bytes.fromhex("3031300D060960864801650304020105000420") + digest
    send(card, SET_AUTHENTICATION)

    answer = authenticate(card, info)

    require_signature(cards.authentication_key().public_key(), answer, digest, "sha256")


@pytest.mark.parametrize("length", [1, 36, 51, 102])
def test_the_card_pads_whatever_it_gets_up_to_its_limit(card: SoftwareCard, length: int) -> None:
    send(card, SET_AUTHENTICATION)

    block = padded_by(cards.authentication_key().public_key(), authenticate(card, b"\x00" * length))

    assert block == b"\x00\x01" + b"\xff" * (253 - length) + b"\x00" + b"\x00" * length


@pytest.mark.parametrize("length", [103, 255])
def test_more_than_forty_percent_of_the_modulus_is_refused(card: SoftwareCard, length: int) -> None:
    send(card, SET_AUTHENTICATION)

    assert authenticate(card, bytes(length)) == "6700"
    assert send(card, "00 88 00 00 00") == "6700"


def test_the_order_of_the_template_is_free_and_83_means_84(card: SoftwareCard) -> None:
    for command in ("00 22 41 A4 06 840182 800102", "00 22 41 A4 06 800102 830182"):
        assert send(card, command) == "9000"
        assert authenticate(card, b"x").endswith("9000")


def test_no_key_works_without_the_pin(card: SoftwareCard) -> None:
    card.reset()
    send(card, SELECT_APPLICATION)
    for command in (SET_AUTHENTICATION, SET_DECIPHER, SET_SIGNATURE["sha256"]):
        assert send(card, command) == "9000"

    assert authenticate(card, b"x") == "6982"
    assert send(card, "00 2A 9E 9A 20" + "00" * 32) == "6982"
    assert send(card, "10 2A 80 86 FF 81" + "00" * 254) == "9000"
    assert send(card, "00 2A 80 86 02 0000") == "6982"


def test_each_key_does_its_own_work_alone(card: SoftwareCard) -> None:
    assert send(card, "00 22 41 A4 06 800102 840181") == "9000"
    assert authenticate(card, b"x") == "6985"
    assert send(card, "00 22 41 B6 06 800142 840182") == "9000"
    assert send(card, "00 2A 9E 9A 20" + "00" * 32) == "6985"
    assert send(card, "00 22 41 B8 06 80011A 840181") == "9000"
    assert send(card, "10 2A 80 86 FF 81" + "00" * 254) == "9000"
    assert send(card, "00 2A 80 86 02 0000") == "6985"


def test_the_technical_key_does_nothing_by_contact(card: SoftwareCard) -> None:
    send(card, "00 A4 09 0C 04 3F00 0002")
    assert send(card, "00 22 41 A4 06 800102 840183") == "9000"

    assert authenticate(card, b"x") == "6985"


def test_nothing_works_before_a_key_is_chosen_nor_after_reset(card: SoftwareCard) -> None:
    assert authenticate(card, b"x") == "6985"
    assert send(card, SIGN) == "6985"
    send(card, SET_AUTHENTICATION)

    card.reset()
    send(card, VERIFY)
    assert authenticate(card, b"x") == "6985"


def test_the_chosen_key_outlives_select(card: SoftwareCard) -> None:
    send(card, SET_AUTHENTICATION)
    send(card, "00 A4 09 0C 02 3F00")

    assert authenticate(card, b"x").endswith("9000")


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00 22 41 A4 06 800102 840184", "6A88"),
        ("00 22 41 A4 06 800102 840102", "6A88"),
        ("00 22 41 A4 06 800103 840182", "6A80"),
        ("00 22 41 B6 06 800102 840181", "6A80"),
        ("00 22 41 AA 03 800142", "6A80"),
        ("00 22 41 AA 06 800140 840181", "6A80"),
        ("00 22 41 A4 03 800102", "6A80"),
        ("00 22 41 A4 03 840182", "6A80"),
        ("00 22 41 A4 09 800102 840182 840182", "6A80"),
        ("00 22 41 A4 09 800102 800102 840182", "6A80"),
        ("00 22 41 A4 09 800102 840182 910100", "6A80"),
        ("00 22 41 A4 07 80020002 840182", "6A80"),
        ("00 22 41 A4 05 800102 8401", "6A80"),
        ("00 22 41 A4 00", "6A80"),
        ("00 22 81 A4 06 800102 840182", "6A86"),
        ("00 22 41 A6 06 800102 840182", "6A86"),
        ("00 22 F3 01 00", "6A86"),
    ],
)
def test_a_wrong_environment_is_refused_and_chooses_nothing(
    card: SoftwareCard, command: str, sw: str
) -> None:
    assert send(card, command) == sw
    assert authenticate(card, b"x") == "6985"


@pytest.mark.parametrize("refused", ["800102 840184", "800103 840182", "8001", "840182"])
def test_a_refused_choice_ends_the_one_before_it(card: SoftwareCard, refused: str) -> None:
    send(card, SET_AUTHENTICATION)
    length = len(bytes.fromhex(refused))
    assert send(card, f"00 22 41 A4 {length:02X} {refused}") in ("6A80", "6A88")

    assert authenticate(card, b"x") == "6985"


def test_a_choice_refused_for_one_use_leaves_those_for_others(card: SoftwareCard) -> None:
    send(card, SET_AUTHENTICATION)
    assert send(card, "00 22 41 B6 06 800142 840184") == "6A88"

    assert authenticate(card, b"x").endswith("9000")


def test_a_key_is_found_from_its_own_application_alone(card: SoftwareCard) -> None:
    send(card, "00 A4 09 0C 02 3F00")
    assert send(card, SET_AUTHENTICATION) == "6A88"
    send(card, "00 A4 09 0C 04 3F00 0002")
    assert send(card, SET_AUTHENTICATION) == "6A88"


def test_internal_authenticate_takes_no_parameters(card: SoftwareCard) -> None:
    send(card, SET_AUTHENTICATION)

    assert send(card, "00 88 00 82 01 00") == "6A86"
    assert send(card, "00 88 02 00 01 00") == "6A86"


@BOTH
@pytest.mark.parametrize("length", [1, 55, 56, 63, 64, 65, 128, 129, 200])
def test_a_document_is_signed_after_the_card_finished_its_hash(
    card: SoftwareCard, name: str, length: int
) -> None:
    message = bytes(range(length))
    blocks = (length - 1) // 64 * 64
    state = state_after(FUNCTIONS[name], message[:blocks]) if blocks else b""
    data = bytes((0x90, len(state))) + state + bytes((0x80, length - blocks)) + message[blocks:]
    assert send(card, SET_HASH[name]) == "9000"
    assert send(card, f"00 2A 90 A0 {len(data):02X} {data.hex()}") == "9000"
    assert send(card, SET_SIGNATURE[name]) == "9000"

    answer = send(card, SIGN)

    digest = hashlib.new(name, message).digest()
    require_signature(cards.signature_key().public_key(), answer, digest, name)
    assert send(card, SIGN) == "6985", "a hash is good for one signature"


@BOTH
def test_a_hash_made_by_the_host_is_signed_as_given(card: SoftwareCard, name: str) -> None:
    digest = hashlib.new(name, b"document").digest()
    send(card, SET_SIGNATURE[name])

    answer = send(card, f"00 2A 9E 9A {len(digest):02X} {digest.hex()}")

    require_signature(cards.signature_key().public_key(), answer, digest, name)


@BOTH
def test_a_hash_of_another_length_is_not_signed(card: SoftwareCard, name: str) -> None:
    send(card, SET_SIGNATURE[name])

    for length in (1, 19, 21, 31, 33, 51):
        assert send(card, f"00 2A 9E 9A {length:02X}" + "00" * length) == "6700"


def test_a_hash_of_the_other_kind_is_not_signed(card: SoftwareCard) -> None:
    send(card, SET_HASH["sha1"])
    assert send(card, "00 2A 90 A0 05 9000 8001 61") == "9000"
    send(card, SET_SIGNATURE["sha256"])

    assert send(card, SIGN) == "6985"


def test_a_wrong_le_does_not_use_the_hash_up(card: SoftwareCard) -> None:
    send(card, SET_HASH["sha256"])
    send(card, "00 2A 90 A0 05 9000 8001 61")
    send(card, SET_SIGNATURE["sha256"])

    assert send(card, "00 2A 9E 9A E7") == "6C00"
    digest = hashlib.sha256(b"a").digest()
    require_signature(cards.signature_key().public_key(), send(card, SIGN), digest, "sha256")


@pytest.mark.parametrize(
    "data",
    [
        "",
        "9000",
        "8001 61",
        "8001 61 9000",
        "9000 8000",
        "9000 8041" + "61" * 65,
        "9001 00 8001 61",
        "901C" + "00" * 28 + "8001 61",
        "9028" + "00" * 32 + "0000000000000001" + "8001 61",
        "9000 8001 61 8001 61",
        "9000 8002 61",
    ],
)
def test_a_malformed_hash_command_leaves_nothing_to_sign(card: SoftwareCard, data: str) -> None:
    send(card, SET_HASH["sha256"])
    send(card, "00 2A 90 A0 05 9000 8001 61")
    send(card, SET_SIGNATURE["sha256"])
    length = len(bytes.fromhex(data))

    assert send(card, f"00 2A 90 A0 {length:02X} {data}") == "6A80"
    assert send(card, SIGN) == "6985"


def decipher(card: SoftwareCard, cryptogram: bytes) -> str:
    data = b"\x81" + cryptogram
    assert send(card, f"10 2A 80 86 FF {data[:255].hex()}") == "9000"
    return send(card, f"00 2A 80 86 {len(data) - 255:02X} {data[255:].hex()}")


@pytest.mark.parametrize("length", [1, 48, 245])
def test_what_was_enciphered_for_the_holder_is_deciphered(card: SoftwareCard, length: int) -> None:
    secret = bytes(range(length))
    cryptogram = cards.authentication_key().public_key().encrypt(secret, padding.PKCS1v15())
    assert send(card, SET_DECIPHER) == "9000"

    assert decipher(card, cryptogram) == secret.hex().upper() + "9000"


def raw_encrypted(block: bytes) -> bytes:
    numbers = cards.authentication_key().public_key().public_numbers()
    return pow(int.from_bytes(block, "big"), numbers.e, numbers.n).to_bytes(256, "big")


@pytest.mark.parametrize(
    "block",
    [
        b"\x00\x01" + b"\xff" * 249 + b"\x00" + b"text",
        b"\x00\x02" + b"\xff" * 254,
        b"\x00\x02" + b"\xff" * 7 + b"\x00" + b"x" * 246,
        b"\x00\x02" + b"\xff" * 253 + b"\x00",
        b"\x01\x02" + b"\xff" * 249 + b"\x00" + b"text",
    ],
    ids=["type 1", "no end", "short padding", "no text", "first byte"],
)
def test_another_padding_is_refused(card: SoftwareCard, block: bytes) -> None:
    send(card, SET_DECIPHER)

    assert decipher(card, raw_encrypted(block)) == "6A80"


def test_a_cryptogram_must_fit_the_key(card: SoftwareCard) -> None:
    send(card, SET_DECIPHER)

    assert decipher(card, b"\xff" * 256) == "6A80"
    assert decipher(card, bytes(255)) == "6700"
    assert send(card, "00 2A 80 86 02 8100") == "6700"
    assert send(card, "10 2A 80 86 FF 00" + "00" * 254) == "9000"
    assert send(card, "00 2A 80 86 02 0000") == "6A80", "another padding indicator"


@pytest.mark.parametrize("parameters", ["9E 9B", "90 9A", "80 80", "84 80", "00 00", "86 80"])
def test_no_other_security_operation_exists(card: SoftwareCard, parameters: str) -> None:
    assert send(card, f"00 2A {parameters} 01 00") == "6A86"
