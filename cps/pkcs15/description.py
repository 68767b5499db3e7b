"""What a card says of itself to people: EF.DIR, TokenInfo, PuKDF, DODF and its last update.

No login depends on it.
"""

from dataclasses import dataclass
from datetime import datetime

from cps.pkcs15 import lax
from cps.pkcs15.directory import identifier_in, label_in, parts, path_in
from cps.tlv import TLV, read

_APPLICATION = 0x61
_AID = 0x4F
_LABEL = 0x50
_PATH = 0x51
_TOKEN_LABEL = 0x80
_ALGORITHMS = 0xA2
_LOGIN_REQUIRED = 1
_UPDATE = 0xEC
_BEGUN, _ENDED = 0x81, 0x82
_MOMENT_BYTES = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An entry of EF.DIR."""

    aid: bytes
    label: str
    path: bytes
    """From the MF on; empty where the card gives none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """Something the card can compute."""

    reference: int
    """What the card calls it in its commands."""
    mechanism: int
    """What PKCS#11 calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """What the card says of itself as a whole."""

    label: str
    manufacturer: str
    login_required: bool
    algorithms: tuple[Algorithm, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKeyEntry:
    """A public key: whose pair it belongs to, and where it is."""

    label: str
    id: bytes
    path: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DataObjectEntry:
    """A file of data."""

    label: str
    path: bytes
    private: bool
    """Whether it can be read after the PIN only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """When the card was last updated: ``YYYY-MM-DD hh:mm:ss``, of no stated zone."""

    begun: str
    ended: str


def applications(data: bytes) -> list[Application]:
    """Return the applications that EF.DIR in *data* lists.

    :raises ValueError: where it is no EF.DIR.
    """
    return [_application(entry) for entry in lax.entries(data) if entry.tag == _APPLICATION]


def token_info(data: bytes) -> TokenInfo:
    """Return what TokenInfo in *data* says.

    :raises ValueError: where it is no TokenInfo.
    """
    outer, _ = read(data)
    if outer.tag != lax.SEQUENCE:
        raise ValueError("TokenInfo begins with a sequence")
    values = outer.children()
    flags = lax.first(values, lax.BIT_STRING)
    algorithms = lax.first(values, _ALGORITHMS)
    return TokenInfo(
        label=_text(lax.first(values, _TOKEN_LABEL)),
        manufacturer=_text(lax.first(values, lax.UTF8_STRING)),
        login_required=flags is not None and _LOGIN_REQUIRED in lax.bits(flags.value),
        algorithms=tuple(map(_algorithm, algorithms.children() if algorithms else ())),
    )


def public_keys(data: bytes) -> list[PublicKeyEntry]:
    """Return the public keys that the PuKDF in *data* lists.

    :raises ValueError: where it is no PuKDF.
    """
    return [_public_key(entry) for entry in lax.entries(data) if entry.tag == lax.SEQUENCE]


def data_objects(data: bytes) -> list[DataObjectEntry]:
    """Return the files of data that the DODF in *data* lists.

    :raises ValueError: where it is no DODF.
    """
    return [_data_object(entry) for entry in lax.entries(data) if entry.tag == lax.SEQUENCE]


def update(data: bytes) -> Update:
    """Return what EF_ACTUA in *data* says.

    :raises ValueError: where it does not hold two moments.
    """
    outer, _ = read(data)
    values = outer.children()
    if outer.tag != _UPDATE:
        raise ValueError(f"tag {outer.tag:02X} where {_UPDATE:02X} is wanted")
    return Update(
        begun=_moment(lax.required(values, _BEGUN, "the beginning").value),
        ended=_moment(lax.required(values, _ENDED, "the end").value),
    )


def _application(entry: TLV) -> Application:
    values = entry.children()
    path = lax.first(values, _PATH)
    return Application(
        aid=lax.required(values, _AID, "AID").value,
        label=_text(lax.first(values, _LABEL)),
        path=path.value if path else b"",
    )


def _algorithm(entry: TLV) -> Algorithm:
    """Return an algorithm: reference, mechanism, parameters, operations, OID, the card's number."""
    numbers = [lax.natural(value.value) for value in entry.children() if value.tag == lax.INTEGER]
    if len(numbers) < 2:
        raise ValueError("an algorithm has two numbers or more")
    return Algorithm(mechanism=numbers[1], reference=numbers[2] if len(numbers) > 2 else 0)


def _public_key(entry: TLV) -> PublicKeyEntry:
    common, identity, attributes = parts(entry)
    values = lax.required(attributes, lax.SEQUENCE, "public key attributes").children()
    return PublicKeyEntry(
        label=label_in(common), id=identifier_in(identity, "public key"), path=path_in(values)
    )


def _data_object(entry: TLV) -> DataObjectEntry:
    common, _, attributes = parts(entry)
    flags = lax.first(common, lax.BIT_STRING)
    return DataObjectEntry(
        label=label_in(common),
        path=path_in(attributes),
        private=flags is not None and 0 in lax.bits(flags.value),
    )


def _moment(value: bytes) -> str:
    """Return YYYYMMDDhhmmss, in packed decimal, for people to read."""
    digits = value.hex()
    if len(value) != _MOMENT_BYTES or not digits.isdecimal():
        raise ValueError(f"{digits} is no moment")
    moment = datetime.strptime(digits, "%Y%m%d%H%M%S")  # noqa: DTZ007 - the card states no zone
    return moment.isoformat(" ")


def _text(value: TLV | None) -> str:
    return value.value.decode("utf-8", "replace") if value else ""
