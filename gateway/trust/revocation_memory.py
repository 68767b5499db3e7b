"""What is kept between lists: revocations that are never unlearned, and answers of responders.

Both are tables with the serial numbers of each authority's certificates, the authority named by the
SHA-256 of its own. The refresher writes them, logins read them.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gateway.trust.list_entries import Reason
from gateway.trust.table_file import TableFile

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_REVOCATION = struct.Struct(">BH")
_ANSWER = struct.Struct(">?II")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRevocation:
    """A revocation for good, told by a responder or by a list that another one replaced."""

    VALUE_BYTES: ClassVar[int] = _REVOCATION.size

    reason: Reason
    kept_since: datetime
    """The day it was kept."""

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Return what :meth:`encode` returned.

        :raises ValueError: for a reason that does not exist.
        """
        reason, day = _REVOCATION.unpack(value)
        return cls(reason=Reason(reason), kept_since=_EPOCH + day * _DAY)

    def encode(self) -> bytes:
        """Return the value as it stands in a table."""
        return _REVOCATION.pack(self.reason, (self.kept_since - _EPOCH) // _DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """What a responder said last of a certificate that is not revoked for good."""

    VALUE_BYTES: ClassVar[int] = _ANSWER.size

    held: bool
    """On hold; otherwise good."""
    this_update: datetime
    """When that was known to be so, exact to the second."""
    expires: datetime
    """Until when *good* may be relied on; a hold counts until something newer says otherwise."""

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Return what :meth:`encode` returned."""
        held, this_update, expires = _ANSWER.unpack(value)
        return cls(
            held=held,
            this_update=_EPOCH + this_update * _SECOND,
            expires=_EPOCH + expires * _SECOND,
        )

    def encode(self) -> bytes:
        """Return the value as it stands in a table."""
        return _ANSWER.pack(
            self.held, (self.this_update - _EPOCH) // _SECOND, (self.expires - _EPOCH) // _SECOND
        )


def owner_of(authority: x509.Certificate) -> str:
    """Return how *authority* is named in the tables."""
    return authority.fingerprint(hashes.SHA256()).hex()


def kept_revocation(file: TableFile | None, owner: str, serial: int) -> KeptRevocation | None:
    """Return the revocation that *file* keeps of one certificate.

    :param owner: :func:`owner_of` its issuer.
    """
    values = _values(file, owner, serial)
    return KeptRevocation.decode(values[0]) if values else None


def kept_answer(file: TableFile | None, owner: str, serial: int) -> KeptAnswer | None:
    """Return the newest answer that *file* keeps of one certificate.

    :param owner: :func:`owner_of` its issuer.
    """
    answers = map(KeptAnswer.decode, _values(file, owner, serial))
    return max(answers, key=lambda answer: answer.this_update, default=None)


def _values(file: TableFile | None, owner: str, serial: int) -> tuple[bytes, ...]:
    table = None if file is None else file.tables.get(owner)
    return () if table is None else table.find(serial)
