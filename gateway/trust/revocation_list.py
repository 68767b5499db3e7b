"""One certificate revocation list: from the bytes that came to serial numbers worth believing."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from gateway.trust.list_entries import (
    REASON_BYTES,
    Reason,
    indirect_entries,
    is_permanent,
    packed_entries,
    places,
    without_entries,
)
from gateway.trust.list_scope import ALL_REASONS, NO_REASONS, covered_reasons
from gateway.trust.names import canonical, is_same
from gateway.trust.serial_table import SerialTable, decode_serial
from gateway.trust.signed_list import one_list, require_signed_list, require_version
from gateway.trust.strength import LOGIN_STRENGTH, Strength
from gateway.trust.table_file import TableFile

CLOCK_SKEW = timedelta(minutes=5)
"""How far the authority's clock and ours may differ."""
MAX_NUMBER_BITS = 160
"""Source: RFC 5280 §5.2.3."""
_NOT_LISTED: frozenset[Reason] = frozenset()
_OWN = ""
"""Owner of the entries that are about the signer's own certificates: all, but in indirect lists."""
_MAY_BE_CRITICAL = frozenset({x509.IssuingDistributionPoint.oid, x509.DeltaCRLIndicator.oid})
_T = TypeVar("_T", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What tells an older list from a newer one."""

    number: int | None
    this_update: datetime

    def is_before(self, other: Self) -> bool:
        """Return whether the list with this mark was made before the one with the *other*.

        A list without number cannot follow one that has a number.
        """
        if self.this_update < other.this_update:
            return True
        if other.number is None:
            return False
        return self.number is None or self.number < other.number

    def require_not_before(self, other: Self) -> None:
        """Refuse the list with this mark as the next one after that with the *other*.

        :raises ValueError: where it is older.
        """
        if self.is_before(other):
            raise ValueError("older than the list before it, so a replay or a mistake")


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """A list, complete or delta, signed by *authority*."""

    authority: x509.Certificate
    number: int | None
    """crlNumber, where the list has one."""
    base_number: int | None
    """In a delta list: the complete list that it starts from."""
    this_update: datetime
    next_update: datetime
    scope: x509.IssuingDistributionPoint | None
    """What the list is limited to."""
    key_identifier: x509.AuthorityKeyIdentifier | None
    tables: Mapping[str, SerialTable] = field(repr=False)
    """The entries, by whose certificates they are about; values are a :class:`Reason`."""
    frame: bytes = field(repr=False)
    """DER of the list without its entries; its signature is worth nothing any more."""

    @classmethod
    def parse(
        cls,
        raw: bytes,
        authorities: Iterable[x509.Certificate],
        *,
        strength: Strength = LOGIN_STRENGTH,
    ) -> Self:
        """Return the list in *raw* after its signature was verified.

        The present does not matter here: see :meth:`is_in_force`.

        :param raw: one list in DER or PEM, of a size that the caller has bounded.
        :param authorities: those of which one must have signed.
        :raises ValueError: for anything else.

        Source: RFC 5280 §5, §6.3.3.
        """
        try:
            der = one_list(raw)
            crl = x509.load_der_x509_crl(der)
            authority = require_signed_list(crl, der, authorities, strength)
            require_version(crl, der)
            return cls._of(
                crl, authority=authority, tables=_tables(crl, der), frame=without_entries(der)
            )
        except (
            ValueError,
            TypeError,  # of the library, for a name whose text is of a kind that no text has
            UnsupportedAlgorithm,
            x509.DuplicateExtension,
            x509.InvalidVersion,
            x509.UnsupportedGeneralNameType,
            Warning,  # what the library only warns of is raised where warnings are errors
        ) as exc:
            raise ValueError(f"not a usable revocation list: {exc}") from exc

    @classmethod
    def from_file(cls, file: TableFile, authorities: Iterable[x509.Certificate]) -> Self:
        """Return the list that :meth:`to_file` put into *file*; it was verified before that.

        :raises ValueError: where it is no such file, or of none of *authorities*.
        """
        match file.about:
            case {"authority": str() as fingerprint, "list": str() as frame}:
                for authority in authorities:
                    if authority.fingerprint(hashes.SHA256()).hex() == fingerprint:
                        der = bytes.fromhex(frame)
                        crl = x509.load_der_x509_crl(der)
                        return cls._of(crl, authority=authority, tables=file.tables, frame=der)
                raise ValueError("the list of an authority that is not configured")
            case _:
                raise ValueError("not the file of a list")

    def to_file(self, generation: int) -> TableFile:
        """Return what :meth:`from_file` reads.

        :param generation: how many lists were put at that place before.
        """
        about = {
            "authority": self.authority.fingerprint(hashes.SHA256()).hex(),
            "list": self.frame.hex(),
            "generation": generation,
        }
        return TableFile(about=about, tables=self.tables)

    @classmethod
    def _of(
        cls,
        crl: x509.CertificateRevocationList,
        *,
        authority: x509.Certificate,
        tables: Mapping[str, SerialTable],
        frame: bytes,
    ) -> Self:
        """Read all but the entries, from a list with or without them."""
        _require_known_extensions(crl)
        this_update, next_update = crl.last_update_utc, crl.next_update_utc
        if next_update is None:
            raise ValueError("it does not say when the next one comes")
        if next_update < this_update:
            raise ValueError("it ends before it begins")
        key_identifier = _extension(crl, x509.AuthorityKeyIdentifier)
        _require_own_key(key_identifier, authority)
        number, base = _extension(crl, x509.CRLNumber), _extension(crl, x509.DeltaCRLIndicator)
        if base is not None and number is None:
            raise ValueError("a delta list without number")
        return cls(
            authority=authority,
            number=None if number is None else _require_number(number.crl_number),
            base_number=None if base is None else _require_number(base.crl_number),
            this_update=this_update,
            next_update=next_update,
            scope=_extension(crl, x509.IssuingDistributionPoint),
            key_identifier=key_identifier,
            tables=tables,
            frame=frame,
        )

    def __len__(self) -> int:
        """Return the number of entries."""
        return sum(map(len, self.tables.values()))

    def is_in_force(self, now: datetime, *, overdue: timedelta = timedelta(0)) -> bool:
        """Return whether *now* lies between thisUpdate and nextUpdate, five minutes either side.

        :param overdue: how long after its end the list still counts.
        """
        return self.this_update - CLOCK_SKEW <= now <= self.next_update + overdue + CLOCK_SKEW

    @property
    def mark(self) -> Mark:
        """When the list was made, as far as lists after it must not be older."""
        return Mark(number=self.number, this_update=self.this_update)

    def require_successor(self, fresh: Self) -> None:
        """Refuse *fresh* as the next list in this one's place.

        :raises ValueError: for a list of another authority, kind or scope, and for an older one,
            which is a replay or a mistake.
        """
        same_kind = (self.base_number is None) == (fresh.base_number is None)
        if fresh.authority != self.authority or fresh.scope != self.scope or not same_kind:
            raise ValueError("of another authority, kind or scope than the list before it")
        fresh.mark.require_not_before(self.mark)

    def completes(self, base: Self) -> bool:
        """Return whether this is a delta list that may be laid over the complete list *base*.

        Source: RFC 5280 §5.2.4, §6.3.3 (c).
        """
        if self.base_number is None or self.number is None:
            return False
        if base.base_number is not None or base.number is None:
            return False
        return self.continues(base) and self.base_number <= base.number <= self.number

    def continues(self, other: Self) -> bool:
        """Return whether both lists, complete or delta, are of one series: same key, same scope."""
        return (
            self.authority == other.authority
            and self.scope == other.scope
            and self.key_identifier == other.key_identifier
        )

    def speaks_for(self, issuer: x509.Certificate) -> bool:
        """Return whether the list may speak of certificates that *issuer* issued.

        It does if it was signed with the same key; an authority of the same name with another key
        is another one. An indirect list may besides speak for those that name its signer.
        """
        if self.authority == issuer or self.authority.public_key() == issuer.public_key():
            return True
        indirect = self.scope is not None and self.scope.indirect_crl
        return indirect and not is_same(self.authority.subject, issuer.subject)

    def vanished_since(self, older: Self) -> list[bytes]:
        """Return the records of all that *older* says is revoked for good and this list does not.

        Only certificates of the signer itself are looked for.
        """
        here = self.tables[_OWN]
        return [
            record
            for record in older.tables[_OWN].missing_from(here)
            if is_permanent({Reason(record[-1])})
            # It may stand here with another reason.
            and not self.lists_for_good(decode_serial(record))
        ]

    def lists_for_good(self, serial: int) -> bool:
        """Return whether the signer's certificate with that number is revoked, and not on hold."""
        return is_permanent(Reason(value[0]) for value in self.tables[_OWN].find(serial))

    def reasons(self, serial: int, issuer: x509.Certificate) -> frozenset[Reason]:
        """Return why the list names the certificate *serial*; nothing where it does not.

        :param issuer: who issued it.
        """
        table = self.tables.get(_OWN if self._is_direct(issuer) else _owner(issuer.subject))
        if table is None:
            return _NOT_LISTED
        return frozenset(Reason(value[0]) for value in table.find(serial))

    def covers(
        self, certificate: x509.Certificate, issuer: x509.Certificate
    ) -> frozenset[x509.ReasonFlags]:
        """Return for which reasons the list would name *certificate*, were it revoked.

        :param issuer: who issued it.
        """
        direct = self._is_direct(issuer)
        if self.scope is None:
            return ALL_REASONS if direct else NO_REASONS
        return covered_reasons(
            certificate, signer=self.authority.subject, direct=direct, scope=self.scope
        )

    def _is_direct(self, issuer: x509.Certificate) -> bool:
        # Nearly always the very same object, which is much quicker to see than equal bytes.
        return self.authority is issuer or is_same(self.authority.subject, issuer.subject)


def _tables(crl: x509.CertificateRevocationList, der: bytes) -> dict[str, SerialTable]:
    """Return the entries, by whose certificates they are about."""
    scope = _extension(crl, x509.IssuingDistributionPoint)
    if scope is not None and scope.indirect_crl:
        by_name = indirect_entries(crl)
        records = {_owner(name): entries for name, entries in by_name.items()}
        records[_OWN] = records.pop(_owner(crl.issuer), [])
    else:
        records = {_OWN: packed_entries(der, places(der).entries)}
    if sum(map(len, records.values())) != len(crl):
        raise ValueError("its entries cannot be told apart")
    return {
        owner: SerialTable.of(each, value_bytes=REASON_BYTES) for owner, each in records.items()
    }


def _owner(name: x509.Name) -> str:
    """Return one text for all spellings of *name*."""
    spelling = [
        sorted((attribute.dotted_string, repr(value)) for attribute, value in rdn)
        for rdn in canonical(name)
    ]
    return hashlib.sha256(repr(spelling).encode()).hexdigest()


def _require_known_extensions(crl: x509.CertificateRevocationList) -> None:
    for extension in crl.extensions:
        if extension.critical and extension.oid not in _MAY_BE_CRITICAL:
            raise ValueError(f"extension {extension.oid.dotted_string} is not supported")


def _require_own_key(
    key_identifier: x509.AuthorityKeyIdentifier | None, authority: x509.Certificate
) -> None:
    """Refuse a list that says that another key than the signer's made it."""
    if key_identifier is None or key_identifier.key_identifier is None:
        return
    try:
        own = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return
    if key_identifier.key_identifier != own.digest:
        raise ValueError("it names another key than that of its signer")


def _require_number(number: int) -> int:
    if number < 0 or number.bit_length() > MAX_NUMBER_BITS:
        raise ValueError("its number is not one of at most 20 bytes")
    return number


def _extension(crl: x509.CertificateRevocationList, kind: type[_T]) -> _T | None:
    try:
        return crl.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
