"""What a CPS3 says during a login, piece by piece, for :class:`ReplayConnection`.

:mod:`tests.unit.cps.card.dialogue4` has the pieces of a CPS4. The directory files are those of a
real card as far as they are published; key and certificate are those of :mod:`tests.support.pki`.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from cps.pin import PIN
from cps.transport.replay import ReplayConnection
from tests.support import pki

DIGITS = "4071"
MESSAGE = b"what the card signs"
SHA256_DIGEST_INFO = "30 31 30 0D 06 09 60 86 48 01 65 03 04 02 01 05 00 04 20"

ODF = bytes.fromhex("A806300404027001 A006300404027002 A406300404027005 A706300404027006")
USER_PIN = bytes.fromhex("""
    30 24 30 02 0C 00 30 03 04 01 01
      A1 19 30 17 03 03 04 0C 10 0A 01 01 02 01 04 02 01 08 02 01 04 80 01 01 04 01 FF
""")
PUK = bytes.fromhex("""
    30 21 30 02 0C 00 30 03 04 01 04
      A1 16 30 14 03 03 04 1D 10 0A 01 01 02 01 08 02 01 08 02 01 08 80 01 02
""")
SIGNATURE_KEY = bytes.fromhex("""
    30 50
      30 20 0C 0C 4350535F505249565F534947 03 02 07 80 04 01 01
        30 09 30 07 03 02 02 04 04 01 01
      30 20 04 0E E828BD080F8025000001FF001001 03 03 06 00 40 01 01 FF 03 02 04 B0 02 02 00 81
      A1 0A 30 08 30 02 04 00 02 02 08 00
""")
AUTHENTICATION_KEY = bytes.fromhex("""
    30 59
      30 2A 0C 0C 4350535F505249565F415554 03 02 05 E0 04 01 01
        30 13 30 07 03 02 00 01 04 01 01 30 08 03 03 06 00 40 04 01 01
      30 1F 04 0E E828BD080F8025000001FF001002 03 02 05 60 01 01 FF 03 02 04 B0 02 02 00 82
      A1 0A 30 08 30 02 04 00 02 02 08 00
""")
TECHNICAL_KEY = bytes.fromhex("""
    30 38
      30 0E 0C 0C 4350535F505249565F544543
      30 1A 04 0E E828BD080F8025000001FF001003 03 02 05 20 02 02 00 83 05 00
      A1 0A 30 08 30 02 04 00 02 02 08 00
""")
SIGNATURE_CERTIFICATE = bytes.fromhex("""
    30 22 30 02 0C 00 30 10 04 0E E828BD080F8025000001FF001001 A1 0A 30 08 30 06 04 04 3F00 A001
""")
AUTHENTICATION_CERTIFICATE = bytes.fromhex("""
    30 20 30 02 0C 00 30 10 04 0E E828BD080F8025000001FF001002 A1 08 30 06 30 04 04 02 A002
""")


@cache
def certificate() -> bytes:
    """Return the DER of the authentication certificate."""
    return pki.der(pki.leaf())


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The contents of the files that a login reads."""

    odf: bytes = ODF
    prkdf: bytes = SIGNATURE_KEY + AUTHENTICATION_KEY + TECHNICAL_KEY
    aodf: bytes = USER_PIN + PUK
    cdf: bytes = SIGNATURE_CERTIFICATE + AUTHENTICATION_CERTIFICATE
    certificate: bytes = field(default_factory=certificate)


def entered(digits: str = DIGITS) -> PIN:
    """Return a PIN as the person would enter it."""
    return PIN(bytearray(digits, "ascii"))


def connection(script: str) -> ReplayConnection:
    return ReplayConnection(script)


def exchange(command: str, answer: str) -> str:
    return f"> {command}\n< {answer}\n"


def select(path: str) -> str:
    return exchange(f"00 A4 09 0C {len(path) // 2:02X} {path}", "90 00")


def serial() -> str:
    return exchange("00 B0 9C 00 0C", "5A 0A 80 25 00 00 01 99 21 38 45 0F 90 00")


def opening() -> str:
    """Return how the card is recognised."""
    return f"begin\n{serial()}end leave\n"


def file(path: str, content: bytes) -> str:
    """Return how a directory file of less than 256 bytes is read."""
    return select(path) + exchange("00 B0 00 00 00", f"{content.hex()} 90 00")


def object_file(path: str, content: bytes) -> str:
    """Return how a file is read that says its own length: *content* is exactly that long."""
    script = select(path) + exchange("00 B0 00 00 00", f"{content[:256].hex()} 90 00")
    for offset in range(256, len(content), 256):
        block = content[offset : offset + 256]
        script += exchange(f"00 B0 {offset:04X} {len(block) & 0xFF:02X}", f"{block.hex()} 90 00")
    return script


def directories(files: Files) -> str:
    """Return how the directory files are read, in the transaction of :func:`reading`."""
    return (
        file("3F0000015031", files.odf)
        + file("3F0000017002", files.prkdf)
        + file("3F0000017001", files.aodf)
        + file("3F0000017005", files.cdf)
    )


def own(content: bytes) -> bytes:
    """Return a directory file as this generation has it."""
    return content


def everything(files: Files | None = None) -> str:
    """Return how everything is read that a login needs, wherever it is, within a transaction."""
    files = files or Files()
    return directories(files) + object_file("3F000001A002", files.certificate)


def usual(files: Files | None = None) -> str:
    """Return how it is read of a card that has it where every card has it."""
    files = files or Files()
    return (
        file("3F0000017001", files.aodf)
        + file("3F0000017005", files.cdf)
        + object_file("3F000001A002", files.certificate)
    )


def unusual() -> str:
    """Return how it is found out that a card is not like every other."""
    return select("3F0000017001").replace("90 00", "6A 82")


def reading(files: Files | None = None) -> str:
    """Return how everything that a login needs is read."""
    return f"begin\n{usual(files)}end leave\n"


def reading_unusual(files: Files | None = None) -> str:
    """Return how it is read of a card that has it elsewhere."""
    return f"begin\n{unusual()}{everything(files)}end leave\n"


def pin_object(left: int, uses: str = "") -> str:
    """Return the data object that tells the tries left of the PIN, as a real card writes it."""
    inner = f"9A 01 03 9B 01 {left:02X} {uses} A1 08 8C 06 F3 00 00 13 FF 00"
    length = len(bytes.fromhex(inner))
    return f"70 {length + 6:02X} BF 81 01 {length + 2:02X} A0 {length:02X} {inner}"


def asking_data_object(answer: str, before: str = "90 00") -> str:
    """Return how the tries left are asked of a card that does not tell them by a status word.

    :param answer: the PIN's data object.
    :param before: what the card said to the question that it does not know.
    """
    length = len(bytes.fromhex(answer))
    return (
        exchange("00 20 00 01 00", before)
        + select("3F00")
        + exchange("00 CB 3F FF 0A 4D 08 70 06 BF 81 01 02 A0 80", f"61 {length:02X}")
        + exchange(f"00 C0 00 00 {length:02X}", f"{answer} 90 00")
    )


def asking_tries(left: int) -> str:
    """Return how the tries left are asked, in a transaction."""
    return exchange("00 20 00 01 00", f"63 C{left:X}")


def tries(left: int) -> str:
    return f"begin\n{asking_tries(left)}end leave\n"


def verifying(sw: str = "90 00", digits: str = DIGITS) -> str:
    block = digits.encode().hex() + "FF" * (8 - len(digits))
    return exchange(f"00 20 00 01 08 {block}", sw)


def choosing(sw: str = "90 00") -> str:
    """Return how the key is chosen, the application being the current DF."""
    return exchange("00 22 41 A4 06 80 01 02 84 01 82", sw)


def using(signature: bytes, message: bytes = MESSAGE) -> str:
    """Return how the card signs once the PIN is verified."""
    digest = hashlib.sha256(message).hexdigest()
    return (
        exchange(f"00 88 00 00 33 {SHA256_DIGEST_INFO} {digest}", "61 00")
        + exchange("00 C0 00 00 00", f"{signature[:231].hex()} 61 {len(signature) - 231:02X}")
        + exchange(f"00 C0 00 00 {len(signature) - 231:02X}", f"{signature[231:].hex()} 90 00")
    )


def signature_by(key: rsa.RSAPrivateKey, message: bytes = MESSAGE) -> bytes:
    return key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def signing(key: rsa.RSAPrivateKey | None = None) -> str:
    """Return a whole signature of a card that was just read, the tries left being known."""
    signature = signature_by(key or pki.key("leaf"))
    return f"begin\n{choosing()}{verifying()}{using(signature)}end reset\n"


def login() -> str:
    """Return a whole login: recognise, read, ask the tries left, sign."""
    return opening() + reading() + tries(3) + signing()
