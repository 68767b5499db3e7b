"""What a CPS4 says during a login on T=1; the names and files are those of :mod:`dialogue`."""

import hashlib

from cryptography.hazmat.primitives.asymmetric import rsa

from cps.atr import CPS4_ATR
from cps.transport.replay import ReplayConnection
from tests.support import pki
from tests.unit.cps.card.dialogue import (
    DIGITS,
    MESSAGE,
    SHA256_DIGEST_INFO,
    Files,
    exchange,
    signature_by,
)

KEY = "20"


def connection(script: str) -> ReplayConnection:
    return ReplayConnection(script, atr=CPS4_ATR, t0=False)


def select(path: str) -> str:
    if path == "3F00":
        return exchange("01 A4 00 0C 02 3F 00", "90 00")
    path = path.removeprefix("3F00")
    return exchange(f"01 A4 08 0C {len(path) // 2:02X} {path}", "90 00")


def application(sw: str = "90 00") -> str:
    """Return how the application is selected, which opens the channel."""
    return exchange("01 A4 04 0C 08 80 25 00 00 01 FF 01 00", sw)


def serial() -> str:
    answer = "5A 0A 80 25 00 00 01 99 21 38 45 0F 90 00"
    return select("3F00D003") + exchange("01 B0 00 00 0C", answer)


def opening() -> str:
    """Return how the card is recognised."""
    return f"begin\n{application()}{serial()}end leave\n"


def file(path: str, content: bytes) -> str:
    """Return how a file is read, as it is or as far as its own length goes."""
    script = select(path) + exchange("01 B0 00 00 00", f"{content[:256].hex()} 90 00")
    for offset in range(256, len(content), 256):
        block = content[offset : offset + 256]
        script += exchange(f"01 B0 {offset:04X} {len(block) & 0xFF:02X}", f"{block.hex()} 90 00")
    return script


def own(content: bytes) -> bytes:
    """Return a directory file of the CPS3 as this generation has it: its key has other names."""
    content = content.replace(bytes.fromhex("01FF001002"), bytes.fromhex("01FF001020"))
    return content.replace(bytes.fromhex("02020082"), bytes.fromhex("02020020"))


def everything(files: Files | None = None) -> str:
    """Return how everything is read that a login needs, wherever it is, within a transaction."""
    files = files or Files()
    return (
        file("3F0000015031", files.odf)
        + file("3F0000017002", own(files.prkdf))
        + file("3F0000017001", files.aodf)
        + file("3F0000017005", own(files.cdf))
        + file("3F000001A002", files.certificate)
    )


def usual(files: Files | None = None) -> str:
    """Return how it is read of a card that has it where every card has it."""
    files = files or Files()
    return (
        file("3F0000017001", files.aodf)
        + file("3F0000017005", own(files.cdf))
        + file("3F000001A002", files.certificate)
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


def asking_tries(left: int) -> str:
    return exchange("01 20 00 01", f"63 C{left:X}")


def tries(left: int) -> str:
    return f"begin\n{asking_tries(left)}end leave\n"


def verifying(sw: str = "90 00", digits: str = DIGITS) -> str:
    block = digits.encode().hex() + "FF" * (8 - len(digits))
    return exchange(f"01 20 00 01 08 {block}", sw)


def choosing(sw: str = "90 00") -> str:
    """Return how the key is chosen, the application being the current DF."""
    return exchange(f"01 22 41 B8 03 83 01 {KEY}", sw)


def using(signature: bytes, message: bytes = MESSAGE) -> str:
    """Return how the card signs once the PIN is verified: by deciphering a padded block."""
    digest = hashlib.sha256(message).hexdigest()
    block = bytes.fromhex(f"0001 {'FF' * 202} 00 {SHA256_DIGEST_INFO} {digest}")
    return exchange(f"11 2A 80 86 FF {block[:255].hex()}", "90 00") + exchange(
        f"01 2A 80 86 01 {block[255:].hex()} 00", f"{signature.hex()} 90 00"
    )


def signing(key: rsa.RSAPrivateKey | None = None) -> str:
    """Return a whole signature of a card that was just read, the tries left being known."""
    signature = signature_by(key or pki.key("leaf"))
    return f"begin\n{choosing()}{verifying()}{using(signature)}end reset\n"


def login() -> str:
    """Return a whole login: recognise, read, ask the tries left, sign."""
    return opening() + reading() + tries(3) + signing()
