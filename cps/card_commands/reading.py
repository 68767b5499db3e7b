"""What `cps card read` shows: the contents of a card as plain values, and those as lines."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cps import tlv
from cps.authtoken.catalogue import text
from cps.card.certificate import reading
from cps.card.contents import CardContents, CertificateFile, DataFile, PublicKeyFile
from cps.card_commands.find import kind_of
from cps.pkcs15.description import TokenInfo, Update
from cps.pkcs15.directory import PrivateKey
from cps.transport.connection import ReaderState

Value = dict[str, "Value"] | list["Value"] | str | int | bool | None
"""What JSON can hold."""

USAGES = {
    0: "encrypt",
    1: "decipher",
    2: "sign",
    3: "sign recover",
    4: "wrap",
    5: "unwrap",
    6: "verify",
    7: "verify recover",
    8: "derive",
    9: "non repudiation",
}
"""Of a key: bit number to name."""

_T = TypeVar("_T")


def description_of(contents: CardContents, reader: ReaderState, *, t0: bool) -> dict[str, Value]:
    """Return everything in *contents* as values that JSON can hold; names in English.

    :param reader: where the card is.
    :param t0: whether the protocol is T=0.
    """
    return {
        "reader": reader.name,
        "kind": kind_of(reader),
        "atr": reader.atr.hex().upper(),
        "protocol": protocol_name(t0=t0),
        "serial": contents.serial,
        "applications": [
            {"label": entry.label, "aid": entry.aid.hex(), "path": entry.path.hex()}
            for entry in contents.applications
        ],
        "token": None if contents.token is None else _token(contents.token),
        "updated": None if contents.updated is None else _update(contents.updated),
        "pins": [
            {
                "label": pin.entry.label,
                "reference": f"{pin.entry.reference:#04x}",
                "is_puk": pin.entry.unblocks,
                "min_digits": pin.entry.min_length,
                "max_digits": pin.entry.longest,
                "tries_left": pin.tries_left,
            }
            for pin in contents.pins
        ],
        "private_keys": [_private_key(key) for key in contents.private_keys],
        "public_keys": [_public_key(key) for key in contents.public_keys],
        "certificates": [_certificate(file) for file in contents.certificates],
        "data": [_data(file) for file in contents.data],
        "atr_file": contents.atr_file.hex(),
        "faults": list(contents.faults),
    }


def lines_of(description: dict[str, Value], language: str) -> Iterator[str]:
    """Yield a description for people, its names in *language*."""
    yield from _lines(description, language, "")


def protocol_name(*, t0: bool) -> str:
    """Return ``T=0`` or ``T=1``."""
    return "T=0" if t0 else "T=1"


def printable(words: str) -> str:
    """Return *words* without what a terminal would obey: a card may hold anything."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in words
    )


def _lines(value: dict[str, Value], language: str, indent: str) -> Iterator[str]:
    for name, entry in value.items():
        label = text(f"card_read.{name}", language)
        if isinstance(entry, dict):
            yield f"{indent}{label}"
            yield from _lines(entry, language, indent + "  ")
        elif isinstance(entry, list):
            yield indent + text("card_read.pair", language, name=label, value=len(entry))
            for item in entry:
                yield from _item(item, language, indent + "  ")
        else:
            word = _word(entry, language)
            yield indent + text("card_read.pair", language, name=label, value=word)


def _item(item: Value, language: str, indent: str) -> Iterator[str]:
    """Yield one entry of a list, marked where it begins."""
    lines = _lines(item, language, "") if isinstance(item, dict) else [_word(item, language)]
    for number, line in enumerate(lines):
        yield f"{indent}{'- ' if number == 0 else '  '}{line}"


def _word(value: Value, language: str) -> str:
    if value is None or value == "":
        return text("card_read.nothing", language)
    if isinstance(value, bool):
        return text("card_read.yes" if value else "card_read.no", language)
    return printable(str(value))


def _token(token: TokenInfo) -> Value:
    return {
        "label": token.label,
        "manufacturer": token.manufacturer,
        "login_required": token.login_required,
        "algorithms": [
            {"mechanism": f"{entry.mechanism:#x}", "reference": f"{entry.reference:#04x}"}
            for entry in token.algorithms
        ],
    }


def _update(update: Update) -> Value:
    return {"begun": update.begun, "ended": update.ended}


def _private_key(key: PrivateKey) -> Value:
    return {
        "label": key.label,
        "id": key.id.hex(),
        "reference": None if key.reference is None else f"{key.reference:#04x}",
        "usage": ", ".join(USAGES.get(bit, str(bit)) for bit in sorted(key.usage)),
        "behind_pin": key.auth_id is not None,
    }


def _public_key(key: PublicKeyFile) -> Value:
    return {
        "label": key.entry.label,
        "id": key.entry.id.hex(),
        "bits": _understood(key.content, _modulus_bits),
    }


def _modulus_bits(content: bytes) -> int:
    modulus = tlv.read(content)[0].children()[0].value
    return int.from_bytes(modulus, "big").bit_length()


def _certificate(file: CertificateFile) -> Value:
    found: dict[str, Value] = {"label": file.entry.label, "id": file.entry.id.hex()}
    return found | (_understood(file.content, _certificate_values) or {"content": None})


def _certificate_values(content: bytes) -> dict[str, Value]:
    with reading():
        certificate = x509.load_der_x509_certificate(content)
        return {
            "subject": certificate.subject.rfc4514_string(),
            "issuer": certificate.issuer.rfc4514_string(),
            "serial_number": f"{certificate.serial_number:X}",
            "not_before": certificate.not_valid_before_utc.isoformat(),
            "not_after": certificate.not_valid_after_utc.isoformat(),
            "key": _key_name(certificate),
            "sha256": certificate.fingerprint(hashes.SHA256()).hex().upper(),
        }


def _key_name(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    return type(key).__name__


def _data(file: DataFile) -> Value:
    return {
        "label": file.entry.label,
        "path": file.entry.path.hex(),
        "private": file.entry.private,
        "content": None if file.content is None else file.content.hex(),
    }


def _understood(content: bytes | None, decode: Callable[[bytes], _T]) -> _T | None:
    """Return what *decode* makes of *content*, ``None`` where it is nothing."""
    if content is None:
        return None
    try:
        return decode(content)
    except (ValueError, IndexError):
        return None
