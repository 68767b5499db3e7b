"""The same commands, the same answers: a CPS4 in process and through pcscd, on T=1 and T=0."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from cps.atr import CardType, recognise
from cps.transport.connection import CardConnection
from tests.support import cards
from tests.support.card_readers import GENERATIONS, CardReader, Generation

pytestmark = pytest.mark.parametrize(
    "generation", GENERATIONS[1:], indirect=True, ids=["T=1", "T=0"]
)

SHA256_PREFIX = bytes.fromhex("3031300D060960864801650304020105000420")
VERIFY = "01 20 00 01 04 31323334"
SELECT_APPLICATION = "01 A4 08 0C 02 0001"


@pytest.fixture
def connection(any_card_reader: CardReader, generation: Generation) -> CardConnection:
    connection = any_card_reader.connect(generation.image())
    assert send(connection, cards.OPEN_CPS4) == "9000"
    return connection


def send(connection: CardConnection, command: str) -> str:
    """Return the raw answer in hexadecimal; by T=0 an Le behind the data is left out."""
    raw = bytes.fromhex(command)
    if connection.t0 and len(raw) > 5 and len(raw) == raw[4] + 6:
        raw = raw[:-1]
    return connection.transmit(raw).hex().upper()


def fetch(connection: CardConnection, command: str) -> bytes:
    """Return the data of a command, fetched where they do not come at once."""
    answer = send(connection, command)
    data = answer[:-4]
    while answer[-4:-2] == "61":
        answer = send(connection, f"01 C0 00 00 {answer[-2:]}")
        data += answer[:-4]
    assert answer[-4:] == "9000"
    return bytes.fromhex(data)


def test_it_is_a_cps4(connection: CardConnection, generation: Generation) -> None:
    assert recognise(connection.atr) is CardType.CPS4
    assert connection.t0 is generation.t0


def test_what_it_tells_of_a_file_stands_in_a_template_6f(connection: CardConnection) -> None:
    told = fetch(connection, "01 A4 08 00 02 D003 00")

    assert told.hex().upper() == "6F0E8002000C8201018302D0038A0105"
    assert send(connection, "01 B0 00 00 0C") == "5A0A8025000001280000016F9000"


def test_an_answer_nobody_asked_for_waits(connection: CardConnection) -> None:
    assert send(connection, "01 A4 08 00 02 0001") == "611B"
    assert send(connection, "01 A4 00 00 02 3F00") == "610C"


def test_the_status_of_the_pin_is_never_9000(connection: CardConnection) -> None:
    assert send(connection, "01 20 00 01") == "63C3"
    assert send(connection, VERIFY) == "9000"
    assert send(connection, "01 20 00 01") == "63C3"


def test_a_login_in_six_commands_gives_a_signature_that_verifies(
    connection: CardConnection,
) -> None:
    info = SHA256_PREFIX + hashlib.sha256(b"message").digest()
    block = (b"\x00\x01" + b"\xff" * (253 - len(info)) + b"\x00" + info).hex()
    for command in (VERIFY, SELECT_APPLICATION, "01 22 41 B8 03 83 01 20"):
        assert send(connection, command) == "9000"
    assert send(connection, f"11 2A 80 86 FF {block[:510]}") == "9000"

    signature = fetch(connection, f"01 2A 80 86 01 {block[510:]} 00")

    key = cards.authentication_key().public_key()
    key.verify(signature, b"message", padding.PKCS1v15(), SHA256())


def test_the_signature_key_signs_by_pss(connection: CardConnection) -> None:
    digest = hashlib.sha256(b"document").digest()
    for command in (VERIFY, SELECT_APPLICATION, "01 22 81 B6 04 91 02 2C 90"):
        assert send(connection, command) == "9000"

    signature = fetch(connection, f"01 2A 9E 9A 20 {digest.hex()} 00")

    scheme = padding.PSS(padding.MGF1(SHA256()), salt_length=32)
    cards.signature_key().public_key().verify(signature, b"document", scheme, SHA256())


def test_a_blocked_pin_is_unblocked_by_the_puk(connection: CardConnection) -> None:
    wrong = "01 20 00 01 04 39393939"
    assert [send(connection, wrong) for _ in range(4)] == ["63C2", "63C1", "63C0", "6983"]

    assert send(connection, "01 20 00 02 08 3132333435363738") == "9000"
    assert send(connection, "01 2C 03 81") == "9000"
    assert send(connection, "01 24 01 01 04 34333231") == "9000"
    assert send(connection, "01 20 00 01 04 34333231") == "9000"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00 20 00 01 00", "6D00"),
        ("01 88 00 00 01 00", "6D00"),
        ("02 A4 00 00 02 3F00", "6E00"),
        ("01 A4 08 0C 02 D010", "6A82"),
        ("01 2A 9E 9A 20" + "00" * 32, "6985"),
    ],
)
def test_refusals_reach_the_client_as_they_are(
    connection: CardConnection, command: str, sw: str
) -> None:
    assert send(connection, command) == sw
