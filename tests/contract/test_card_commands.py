"""The same commands get the same answers from the card in process and through pcscd."""

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from cps import tlv
from cps.atr import CPS3_CONTACT_ATR
from cps.simulator.image import CardImage
from cps.transport.connection import CardConnection
from tests.support import cards
from tests.support.card_readers import CardReader

SHA256_PREFIX = bytes.fromhex("3031300D060960864801650304020105000420")
VERIFY = "00 20 00 01 04 31323334"
VERIFY_WRONG = "00 20 00 01 04 39393939"
STATUS = "00 20 00 01 00"
SELECT_APPLICATION = "00 A4 09 0C 04 3F00 0001"
SET_AUTHENTICATION = "00 22 41 A4 06 800102 840182"
SN_FCP = "62258002000C8201018302D0038801E0A1128C077BFFFFFFFFFF009C077BFFFFFFFFFF008A0105"


@pytest.fixture
def image() -> CardImage:
    return cards.image()


@pytest.fixture
def connection(card_reader: CardReader, image: CardImage) -> CardConnection:
    return card_reader.connect(image)


def send(connection: CardConnection, command: str) -> str:
    """Return the raw answer in hexadecimal: nothing is fetched or sent again."""
    return connection.transmit(bytes.fromhex(command)).hex().upper()


def fetch(connection: CardConnection, command: str) -> bytes:
    """Return the data of a command whose answer must be fetched, in one or two parts."""
    answer = send(connection, command)
    data = b""
    while answer[-4:-2] == "61":
        answer = send(connection, f"00 C0 00 00 {answer[-2:]}")
        data += bytes.fromhex(answer[:-4])
    assert answer[-4:] == "9000"
    return data


def read_file(connection: CardConnection, path: str, piece: int) -> bytes:
    """Return a file's content, read by pieces of the size that its parameters tell."""
    length = len(bytes.fromhex(path))
    parameters = fetch(connection, f"00 A4 09 04 {length:02X} {path}")
    fields = {item.tag: item.value for item in tlv.read(parameters)[0].children()}
    size = int.from_bytes(fields[0x80], "big")
    content = b""
    while len(content) < size:
        ne = min(piece, size - len(content))
        answer = send(connection, f"00 B0 {len(content):04X} {ne & 0xFF:02X}")
        assert answer.endswith("9000")
        content += bytes.fromhex(answer[:-4])
    return content


def require_login_signature(image: CardImage, signature: bytes, message: bytes) -> None:
    key = cards.certificate_of(image, "3F000001C002").public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(signature, message, padding.PKCS1v15(), SHA256())


def authenticate(connection: CardConnection, message: bytes) -> bytes:
    info = SHA256_PREFIX + hashlib.sha256(message).digest()
    return fetch(connection, f"00 88 00 00 {len(info):02X} {info.hex()}")


def test_it_is_a_cps3_by_contact(connection: CardConnection) -> None:
    assert connection.atr == CPS3_CONTACT_ATR
    assert connection.t0


def test_its_serial_number_is_there_right_after_reset(connection: CardConnection) -> None:
    assert send(connection, "00 B0 9C 00 0C") == "5A0A8025000001280000016F9000"


def test_an_answer_waits_to_be_fetched_and_tells_its_length(connection: CardConnection) -> None:
    assert send(connection, "00 A4 09 04 04 3F00 D003") == "6127"
    assert send(connection, "00 C0 00 00 FF") == "6C27"
    assert send(connection, "00 C0 00 00 20") == SN_FCP[:64] + "6107"
    assert send(connection, "00 C0 00 00 07") == SN_FCP[64:] + "9000"


@pytest.mark.parametrize("piece", [231, 256])
@pytest.mark.parametrize("path", ["3F002F00", "3F0000017001", "3F0000017005", "3F000001C002"])
def test_files_are_read_whole(
    connection: CardConnection, image: CardImage, path: str, piece: int
) -> None:
    assert read_file(connection, path, piece) == image.content(bytes.fromhex(path))


def test_the_authentication_certificate_is_found_by_its_directory(
    connection: CardConnection, image: CardImage
) -> None:
    entries = tlv.iterate(read_file(connection, "3F0000017005", 231))
    paths = {
        entry.children()[1].children()[0].value[-1]: entry.children()[2]
        .children()[0]
        .children()[0]
        .children()[0]
        .value.hex()
        for entry in entries
    }

    certificate = read_file(connection, "3F000001" + paths[0x02], 256)

    assert x509.load_der_x509_certificate(certificate).public_key() == (
        cards.authentication_key().public_key()
    )


def test_a_login_in_six_commands_gives_a_signature_that_verifies(
    connection: CardConnection, image: CardImage
) -> None:
    assert send(connection, "00 B0 9C 00 0C").endswith("9000")
    assert send(connection, VERIFY) == "9000"
    assert send(connection, SELECT_APPLICATION) == "9000"
    assert send(connection, SET_AUTHENTICATION) == "9000"

    signature = authenticate(connection, b"message")

    assert len(signature) == 256
    require_login_signature(image, signature, b"message")


def test_without_the_pin_nothing_is_signed(connection: CardConnection) -> None:
    send(connection, SELECT_APPLICATION)
    send(connection, SET_AUTHENTICATION)

    assert send(connection, "00 88 00 00 01 00") == "6982"


def test_the_signature_key_does_not_authenticate(connection: CardConnection) -> None:
    send(connection, VERIFY)
    send(connection, SELECT_APPLICATION)
    assert send(connection, "00 22 41 A4 06 800102 840181") == "9000"

    assert send(connection, "00 88 00 00 01 00") == "6985"


def test_wrong_pins_count_down_to_a_blocked_card_that_the_puk_opens(
    connection: CardConnection,
) -> None:
    answers = [send(connection, VERIFY_WRONG) for _ in range(4)]
    assert answers == ["63C2", "63C1", "63C0", "6983"]
    assert send(connection, VERIFY) == "6983"
    counter = fetch(connection, "00 CB 3F FF 0A 4D 08 70 06 BF 81 01 02 A0 80")
    assert counter == bytes.fromhex("7016BF810112A0109A01039B0100A1088C06F3000013FF00")

    assert send(connection, "00 20 00 02 08 3132333435363738") == "9000"
    assert send(connection, "00 2C 02 01 04 34333231") == "9000"
    assert send(connection, "00 20 00 01 04 34333231") == "9000"


def test_a_transaction_that_ends_with_a_reset_ends_the_verification(
    connection: CardConnection,
) -> None:
    with connection.transaction(reset=True):
        assert send(connection, VERIFY) == "9000"
        assert send(connection, STATUS) == "9000"
    with connection.transaction(reset=False):
        assert send(connection, STATUS) == "63C3"


def test_a_transaction_that_leaves_the_card_leaves_it_verified(connection: CardConnection) -> None:
    with connection.transaction(reset=False):
        send(connection, VERIFY)

    assert send(connection, STATUS) == "9000"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00 FF 00 00 00", "6D00"),
        ("80 A4 00 0C 02 3F00", "6E00"),
        ("00 A4 04 00 0D E828BD080F8025000001FF0010", "6A86"),
        ("00 A4 09 04 04 3F00 D010", "6A82"),
        ("00 22 41 A4 06 800102 840182", "6A88"),
        ("00 B0 00 00 00", "6986"),
        ("00 24 00 01 03 313233", "6700"),
        ("00 2A 9E 9A 00", "6985"),
    ],
)
def test_refusals_reach_the_client_as_they_are(
    connection: CardConnection, command: str, sw: str
) -> None:
    assert send(connection, command) == sw
