"""Everything that a card shows to anybody, for people to look at; no login depends on it.

A card with a damaged file is what somebody wants to look at: what cannot be read is named, and the
rest is read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cps.card.applet import APPLICATION, MF, Applet
from cps.card.certificate import mended
from cps.card.credential import MAX_CERTIFICATE_BYTES, MAX_DIRECTORY_BYTES, MAX_DIRECTORY_FILES
from cps.card.files import parsed, serial_number
from cps.card.recognise import open_applet
from cps.errors import CardDataError, CardRefusedError
from cps.iso7816 import commands
from cps.pkcs15 import description, directory
from cps.pkcs15.description import (
    Application,
    DataObjectEntry,
    PublicKeyEntry,
    TokenInfo,
    Update,
)
from cps.pkcs15.directory import (
    CertificateEntry,
    ObjectDirectory,
    PINObject,
    PrivateKey,
)
from cps.status import SW
from cps.transport.connection import CardConnection

EF_DIR = MF + bytes.fromhex("2F00")
EF_ATR = MF + bytes.fromhex("2F01")
EF_ACTUA = MF + bytes.fromhex("D010")
ODF = APPLICATION + bytes.fromhex("5031")
TOKEN_INFO = APPLICATION + bytes.fromhex("5032")
MAX_DATA_BYTES = 4096

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PINState:
    """A PIN or PUK with what is left of its tries."""

    entry: PINObject
    tries_left: int | None
    """``None`` where the card does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKeyFile:
    """A public key with its file."""

    entry: PublicKeyEntry
    content: bytes | None
    """SEQUENCE of modulus and exponent; ``None`` where it cannot be read. The next two likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFile:
    """A certificate with its file, DER, mended and not verified."""

    entry: CertificateEntry
    content: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A file of data; one behind the PIN is not read."""

    entry: DataObjectEntry
    content: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardContents:
    """What was found on a card; what is absent is ``None`` or empty."""

    serial: str | None
    """8 digits; ``None`` for a card of another issuer."""
    atr_file: bytes
    """EF.ATR, not decoded."""
    updated: Update | None
    applications: tuple[Application, ...]
    token: TokenInfo | None
    pins: tuple[PINState, ...]
    private_keys: tuple[PrivateKey, ...]
    public_keys: tuple[PublicKeyFile, ...]
    certificates: tuple[CertificateFile, ...]
    data: tuple[DataFile, ...]
    faults: tuple[str, ...]
    """What could not be read or understood, each in a line."""


def read_contents(connection: CardConnection) -> CardContents:
    """Return everything that the card behind *connection* shows to anybody.

    :raises CardContactlessError: for a CPS without its contacts.
    :raises CardUnsupportedError: for a card that is not known.
    :raises TransportError: where the card was not reached.
    """
    applet = open_applet(connection)
    with connection.transaction(reset=False):
        applet.open()
        return _Reader(applet).read()


class _Reader:
    """One look at a card, with a note of what could not be read."""

    def __init__(self, applet: Applet) -> None:
        self._applet = applet
        self._faults: list[str] = []

    def read(self) -> CardContents:
        odf = self._file("ODF", ODF, directory.object_directory) or ObjectDirectory(
            authentication=(), private_keys=(), certificates=()
        )
        pins = self._list("AODF", odf.authentication, directory.pin_objects)
        public_keys = self._list("PuKDF", odf.public_keys, description.public_keys)
        certificates = self._list("CDF", odf.certificates, directory.certificates)
        data = self._list("DODF", odf.data_objects, description.data_objects)
        return CardContents(
            serial=self._attempt("EF.SN", lambda: serial_number(self._applet.read_serial())),
            atr_file=self._optional("EF.ATR", EF_ATR, bytes) or b"",
            updated=self._optional("EF_ACTUA", EF_ACTUA, description.update),
            applications=tuple(self._file("EF.DIR", EF_DIR, description.applications) or ()),
            token=self._file("TokenInfo", TOKEN_INFO, description.token_info),
            pins=tuple(PINState(entry=pin, tries_left=self._tries_left(pin)) for pin in pins),
            private_keys=tuple(self._list("PrKDF", odf.private_keys, directory.private_keys)),
            public_keys=tuple(
                PublicKeyFile(entry=entry, content=self._object(entry.label, entry.path))
                for entry in public_keys
            ),
            certificates=tuple(
                CertificateFile(entry=entry, content=self._certificate(entry))
                for entry in certificates
            ),
            data=tuple(DataFile(entry=entry, content=self._data(entry)) for entry in data),
            faults=tuple(self._faults),
        )

    def _list(
        self, name: str, paths: tuple[bytes, ...], decode: Callable[[bytes], list[_T]]
    ) -> list[_T]:
        listed: list[_T] = []
        for path in paths[:MAX_DIRECTORY_FILES]:
            absolute = directory.absolute(path, APPLICATION)
            listed += self._file(name, absolute, decode) or []
        return listed

    def _file(self, name: str, path: bytes, decode: Callable[[bytes], _T]) -> _T | None:
        return self._attempt(name, lambda: self._decoded(name, path, decode))

    def _optional(self, name: str, path: bytes, decode: Callable[[bytes], _T]) -> _T | None:
        """Return a file that need not be there."""

        def read() -> _T | None:
            try:
                return self._decoded(name, path, decode)
            except CardRefusedError as exc:
                if exc.sw == SW.FILE_NOT_FOUND:
                    return None
                raise

        return self._attempt(name, read)

    def _decoded(self, name: str, path: bytes, decode: Callable[[bytes], _T]) -> _T:
        self._applet.select(path)
        raw = commands.read_file(self._applet.channel, max_bytes=MAX_DIRECTORY_BYTES)
        return parsed(name, raw, decode)

    def _tries_left(self, pin: PINObject) -> int | None:
        return self._attempt(pin.label, lambda: self._applet.tries_left(pin.reference))

    def _certificate(self, entry: CertificateEntry) -> bytes | None:
        raw = self._object(entry.label, entry.path)
        if raw is None:
            return None
        return self._attempt(entry.label, lambda: parsed(entry.label, raw, mended))

    def _object(self, name: str, path: bytes) -> bytes | None:
        def read() -> bytes:
            self._applet.select(directory.absolute(path, APPLICATION))
            return commands.read_data_object(self._applet.channel, max_bytes=MAX_CERTIFICATE_BYTES)

        return self._attempt(name, read)

    def _data(self, entry: DataObjectEntry) -> bytes | None:
        if entry.private:
            return None

        def read() -> bytes:
            self._applet.select(directory.absolute(entry.path, APPLICATION))
            return commands.read_file(self._applet.channel, max_bytes=MAX_DATA_BYTES)

        return self._attempt(entry.label, read)

    def _attempt(self, name: str, work: Callable[[], _T]) -> _T | None:
        try:
            return work()
        except (CardDataError, CardRefusedError) as exc:
            self._faults.append(f"{name}: {exc}")
            return None
