"""A test authority that lives in a folder: keys, certificates, lists, and what it issued.

``root.pem intermediate.pem``  the certificates, for the gateway to trust
``root.crl intermediate.crl``  the complete revocation lists, DER
``intermediate-delta.crl``     what changed since the complete list, DER
``index.json``                 the names and every certificate issued, with its revocation
``private/``                   the keys, which only their owner can read
"""

import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from cps.issuer.crl import ListRequest, Revocation, encode_entries, sign_list
from cps.issuer.files import FolderError as FolderError  # callers find it here
from cps.issuer.files import key_to_pem, read_key, write_file
from cps.issuer.hierarchy import (
    Addresses,
    Authority,
    AuthorityNames,
    Hierarchy,
    HierarchyKeys,
    create_hierarchy,
)
from cps.issuer.index import Index, IssuedCertificate, index_from_bytes, index_to_bytes
from cps.issuer.leaf import LeafRequest, issue, random_serial

ROOT_LIST = "root.crl"
INTERMEDIATE_LIST = "intermediate.crl"
DELTA_LIST = "intermediate-delta.crl"
LIST_FILES = (ROOT_LIST, INTERMEDIATE_LIST, DELTA_LIST)
LIST_DAYS = 7
"""How long a revocation list is good for; ``cps issuer crl`` writes the next one."""


class AuthorityFolder:
    """The authority in one folder; made by :meth:`create` or :meth:`open`.

    Several programs may use one folder at once: each change is made under a lock, from what the
    index says at that moment, and written before the method returns.
    """

    def __init__(self, path: Path, hierarchy: Hierarchy) -> None:
        self.path = path
        self.hierarchy = hierarchy

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        now: datetime,
        names: AuthorityNames | None = None,
        keys: HierarchyKeys | None = None,
    ) -> Self:
        """Make a new authority in *path*, which is complete or not there at all.

        :param path: must not exist.
        :param now: aware; the authority is valid from then on.
        :param names: as :func:`~cps.issuer.hierarchy.create_hierarchy`.
        :param keys: as :func:`~cps.issuer.hierarchy.create_hierarchy`.
        :raises FolderError: where *path* exists.
        """
        if path.exists():
            raise FolderError(path, "exists already; choose a new folder")
        names = names or AuthorityNames()
        hierarchy = create_hierarchy(now=now, names=names, keys=keys)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        draft.mkdir()
        try:
            folder = cls(draft, hierarchy)
            folder._write_hierarchy()
            folder._save(Index(names=names, list_number=0, issued=()))
            folder.write_lists(now=now)
            draft.replace(path)
        except BaseException:
            shutil.rmtree(draft)
            raise
        return cls(path, hierarchy)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Return the authority that is in *path*.

        :raises FolderError: where it is incomplete, damaged, or others can read its keys.
        """
        return cls(path, _read_hierarchy(path, _read_index(path).names))

    def issue(self, request: LeafRequest) -> x509.Certificate:
        """Return a new certificate, after it was written to the index.

        :raises FolderError: where its serial number is in use.
        """
        if request.serial is None:
            request = replace(request, serial=random_serial())
        certificate = issue(self.hierarchy.intermediate, request)
        entry = IssuedCertificate(
            serial=certificate.serial_number,
            national_id=request.holder.national_id,
            card_number=request.card_number,
            purpose=request.purpose,
            not_after=certificate.not_valid_after_utc,
        )
        with self.locked():
            index = _read_index(self.path)
            if any(other.serial == entry.serial for other in index.issued):
                raise FolderError(self.path, f"serial number {entry.serial:X} is in use")
            self._save(replace(index, issued=(*index.issued, entry)))
        return certificate

    def revoke(
        self,
        serial: int,
        *,
        now: datetime,
        reason: x509.ReasonFlags | None = None,
        delta_only: bool = False,
    ) -> None:
        """Mark a certificate as revoked and write new lists that say so.

        :param now: aware; the moment of revocation. It stays that of the hold where a certificate
            on hold is now revoked for good.
        :param reason: ``certificate_hold`` for what :meth:`release` can take back.
        :param delta_only: leave the complete lists as they are.
        :raises FolderError: where this authority did not issue it, or it is revoked already.
        """
        with self.locked():
            index = _read_index(self.path)
            entry = self._entry(index, serial)
            for_good = reason is not x509.ReasonFlags.certificate_hold
            if entry.revoked_at is not None and not (entry.is_on_hold and for_good):
                raise FolderError(self.path, f"certificate {serial:X} is revoked already")
            revoked_at = entry.revoked_at or now.astimezone(UTC)
            revoked = replace(entry, revoked_at=revoked_at, reason=reason, released_at=None)
            self._publish(_with_entry(index, revoked), now, delta_only=delta_only)

    def release(self, serial: int, *, now: datetime, delta_only: bool = False) -> None:
        """Lift the hold of a certificate and write new lists that say so.

        :param now: aware; the moment from which it is good again.
        :param delta_only: leave the complete lists as they are.
        :raises FolderError: where this authority did not issue it, or it is not on hold.
        """
        with self.locked():
            index = _read_index(self.path)
            entry = self._entry(index, serial)
            if not entry.is_on_hold:
                raise FolderError(self.path, f"certificate {serial:X} is not on hold")
            good = replace(entry, revoked_at=None, reason=None, released_at=now.astimezone(UTC))
            self._publish(_with_entry(index, good), now, delta_only=delta_only)

    def write_lists(self, *, now: datetime, delta_only: bool = False) -> None:
        """Write the next lists of the root and of the intermediate.

        :param now: aware; the lists are good from then on for :data:`LIST_DAYS`.
        :param delta_only: leave the complete lists as they are.
        """
        with self.locked():
            self._publish(_read_index(self.path), now, delta_only=delta_only)

    def read_list(self, name: str) -> x509.CertificateRevocationList:
        """Return one of the lists that were written last.

        :param name: of :data:`LIST_FILES`.
        :raises FolderError: where it is missing or damaged.
        """
        try:
            return x509.load_der_x509_crl((self.path / name).read_bytes())
        except (OSError, ValueError) as exc:
            raise FolderError(self.path, f"{name} is damaged; run cps issuer crl") from exc

    def issued(self) -> tuple[IssuedCertificate, ...]:
        """Return every certificate issued, oldest first."""
        return _read_index(self.path).issued

    def _entry(self, index: Index, serial: int) -> IssuedCertificate:
        for entry in index.issued:
            if entry.serial == serial:
                return entry
        raise FolderError(self.path, f"no certificate {serial:X} was issued here")

    def _publish(self, index: Index, now: datetime, *, delta_only: bool) -> None:
        # The index comes first: if the power fails between the two, the next list has it all.
        index = replace(index, list_number=index.list_number + 1)
        self._save(index)
        if not delta_only:
            self._write_complete_lists(index, now)
        self._write_delta_list(index, now)

    def _write_complete_lists(self, index: Index, now: datetime) -> None:
        request = _list_request(index, now)
        write_file(self.path / ROOT_LIST, sign_list(self.hierarchy.root, request))
        revoked = encode_entries(
            Revocation(serial=entry.serial, revoked_at=entry.revoked_at, reason=entry.reason)
            for entry in index.issued
            if entry.revoked_at is not None
        )
        write_file(
            self.path / INTERMEDIATE_LIST,
            sign_list(self.hierarchy.intermediate, replace(request, entries=revoked)),
        )

    def _write_delta_list(self, index: Index, now: datetime) -> None:
        base = self.read_list(INTERMEDIATE_LIST)
        number = base.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        request = replace(
            _list_request(index, now),
            base_number=number,
            entries=encode_entries(changes_since(base, index.issued)),
        )
        write_file(self.path / DELTA_LIST, sign_list(self.hierarchy.intermediate, request))

    def _write_hierarchy(self) -> None:
        private = self.path / "private"
        private.mkdir(mode=0o700)
        for name, authority in _by_name(self.hierarchy).items():
            certificate = authority.certificate.public_bytes(serialization.Encoding.PEM)
            write_file(self.path / f"{name}.pem", certificate)
            write_file(private / f"{name}.key", key_to_pem(authority.key), mode=0o600)

    def _save(self, index: Index) -> None:
        write_file(self.path / "index.json", index_to_bytes(index))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other programs from changing the folder."""
        # Windows has no fcntl; there the rest of this package can still be imported.
        import fcntl

        with (self.path / "index.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def changes_since(
    base: x509.CertificateRevocationList, issued: Iterable[IssuedCertificate]
) -> Iterator[Revocation]:
    """Yield what a delta list to *base* has to say of the certificates *issued*.

    A hold that began and ended after *base* is told as lifted too, because an earlier delta list
    may have told of the hold.

    Source: RFC 5280 §5.2.4.
    """
    told = {entry.serial_number: _reason(entry) for entry in base}
    for entry in issued:
        if entry.revoked_at is not None:
            if entry.serial not in told or told[entry.serial] is not entry.reason:
                yield Revocation(
                    serial=entry.serial, revoked_at=entry.revoked_at, reason=entry.reason
                )
        elif entry.released_at is not None and (
            # Lists know no fractions of a second.
            entry.serial in told or entry.released_at.replace(microsecond=0) > base.last_update_utc
        ):
            yield Revocation(
                serial=entry.serial,
                revoked_at=entry.released_at,
                reason=x509.ReasonFlags.remove_from_crl,
            )


def _reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags | None:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return None


def _list_request(index: Index, now: datetime) -> ListRequest:
    return ListRequest(
        number=index.list_number,
        this_update=now,
        next_update=now + timedelta(days=LIST_DAYS),
    )


def _with_entry(index: Index, changed: IssuedCertificate) -> Index:
    issued = (changed if each.serial == changed.serial else each for each in index.issued)
    return replace(index, issued=tuple(issued))


def _by_name(hierarchy: Hierarchy) -> dict[str, Authority]:
    return {"root": hierarchy.root, "intermediate": hierarchy.intermediate}


def _read_hierarchy(path: Path, names: AuthorityNames) -> Hierarchy:
    return Hierarchy(
        root=_read_authority(path, "root", names.root_addresses()),
        intermediate=_read_authority(path, "intermediate", names.intermediate_addresses()),
    )


def _read_authority(path: Path, name: str, addresses: Addresses) -> Authority:
    try:
        certificate = x509.load_pem_x509_certificate((path / f"{name}.pem").read_bytes())
        key = read_key(path / "private" / f"{name}.key")
    except OSError as exc:
        raise FolderError(path, f"cannot be read: {exc.strerror}: {exc.filename}") from exc
    except ValueError as exc:
        raise FolderError(path, f"the certificate {name}.pem is damaged") from exc
    if key.public_key() != certificate.public_key():
        raise FolderError(path, f"certificate and key of the {name} do not belong together")
    return Authority(certificate=certificate, key=key, addresses=addresses)


def _read_index(path: Path) -> Index:
    try:
        return index_from_bytes((path / "index.json").read_bytes())
    except FileNotFoundError as exc:
        raise FolderError(path, "is no test authority: it has no index.json") from exc
    except OSError as exc:
        raise FolderError(path, f"cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise FolderError(path, f"index.json is damaged: {exc}") from exc
