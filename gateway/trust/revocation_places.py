"""Which lists a gateway follows, and where the refresher leaves what it made of them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from gateway.settings import Settings, TrustSettings
from gateway.trust.store import TrustStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSlot:
    """One list that is followed, whoever makes the next one."""

    name: str
    """Of its files: depends on where the list comes from, so that its history goes on as long as
    that stays the same."""
    label: str
    """The file, or the first address."""
    file: Path | None
    addresses: tuple[str, ...]
    """Where the list is fetched, one standing in for the other; none where it is a file."""
    authority: x509.Certificate | None
    """Who must have signed; ``None`` for any of ours."""
    delta: bool | None
    """Whether it must be a delta list; ``None`` where it may be either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationPlaces:
    """The files between refresher and logins."""

    folder: Path
    socket: Path
    """Where the refresher is told which certificates matter."""

    @classmethod
    def of(cls, settings: Settings) -> "RevocationPlaces":
        """Return the places that *settings* lead to."""
        return cls(
            folder=settings.state_dir / "revocation", socket=settings.runtime_dir / "refresher.sock"
        )

    @property
    def revoked(self) -> Path:
        """The table of revocations that are never unlearned."""
        return self.folder / "revoked.table"

    @property
    def answers(self) -> Path:
        """The table of responders' answers."""
        return self.folder / "answers.table"

    @property
    def pulse(self) -> Path:
        """Touched by the refresher as long as it lives."""
        return self.folder / "pulse"

    def table(self, name: str) -> Path:
        """Return where the entries of a list are, ready to be looked up.

        :param name: of its :class:`ListSlot`.
        """
        return self.folder / f"{name}.table"

    def original(self, name: str) -> Path:
        """Return where a fetched list is kept as it came."""
        return self.folder / f"{name}.crl"

    def journal(self, name: str) -> Path:
        """Return where it is noted how asking a source goes.

        :param name: of a list's :class:`ListSlot`, or :func:`responder_name`.
        """
        return self.folder / f"{name}.json"


def list_slots(trust: TrustSettings, store: TrustStore) -> tuple[ListSlot, ...]:
    """Return the lists that *trust* names.

    :param store: loaded from the same settings.
    """
    return (*_files(trust), *_fetched(trust, store))


def authority_of(file: Path, trust: TrustSettings, store: TrustStore) -> x509.Certificate:
    """Return the certificate in *file*, which is among the anchors or intermediates of *trust*."""
    files = trust.anchors + trust.intermediates
    return store.authorities()[files.index(file)]


def responder_name(address: str) -> str:
    """Return how the files of a responder are named."""
    return _name("ocsp", address)


def _files(trust: TrustSettings) -> Iterator[ListSlot]:
    for file in trust.crls:
        yield ListSlot(
            name=_name("file", str(file)),
            label=str(file),
            file=file,
            addresses=(),
            authority=None,
            delta=None,
        )


def _fetched(trust: TrustSettings, store: TrustStore) -> Iterator[ListSlot]:
    for table in trust.revocation:
        authority = authority_of(table.authority, trust, store)
        for kind, addresses in (("complete", table.crl), ("delta", table.delta)):
            if addresses:
                yield ListSlot(
                    name=_name(kind, addresses[0]),
                    label=addresses[0],
                    file=None,
                    addresses=addresses,
                    authority=authority,
                    delta=kind == "delta",
                )


def _name(kind: str, place: str) -> str:
    return f"{kind}-{hashlib.sha256(place.encode()).hexdigest()[:16]}"
