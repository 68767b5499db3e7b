"""A test authority that lives in a folder: keys, certificates, lists, and what it issued.

``root.pem intermediate.pem``  the certificates, for the gateway to trust
``root.crl intermediate.crl``  the revocation lists, DER
``index.json``                 the names and every certificate issued, with its revocation
``private/``                   the keys, which only their owner can read
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cps.issuer.crl import Revocation, make_crl
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

LIST_DAYS = 7
"""How long a revocation list is good for; ``cps issuer crl`` writes the next one."""


class FolderError(Exception):
    """The folder is no usable test authority, or what is asked of it makes no sense."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


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
        with self._locked():
            index = _read_index(self.path)
            if any(other.serial == entry.serial for other in index.issued):
                raise FolderError(self.path, f"serial number {entry.serial:X} is in use")
            self._save(replace(index, issued=(*index.issued, entry)))
        return certificate

    def revoke(self, serial: int, *, now: datetime, reason: x509.ReasonFlags | None = None) -> None:
        """Mark a certificate as revoked and write new lists that say so.

        :param now: aware; the moment of revocation.
        :raises FolderError: where this authority did not issue it, or it is revoked already.
        """
        with self._locked():
            index = _read_index(self.path)
            entry = next((entry for entry in index.issued if entry.serial == serial), None)
            if entry is None:
                raise FolderError(self.path, f"no certificate {serial:X} was issued here")
            if entry.revoked_at is not None:
                raise FolderError(self.path, f"certificate {serial:X} is revoked already")
            revoked = replace(entry, revoked_at=now.astimezone(UTC), reason=reason)
            issued = tuple(revoked if other is entry else other for other in index.issued)
            self._write_lists(replace(index, issued=issued), now)

    def write_lists(self, *, now: datetime) -> None:
        """Write the next list of the root and of the intermediate.

        :param now: aware; both lists are good from then on for :data:`LIST_DAYS`.
        """
        with self._locked():
            self._write_lists(_read_index(self.path), now)

    def issued(self) -> tuple[IssuedCertificate, ...]:
        """Return every certificate issued, oldest first."""
        return _read_index(self.path).issued

    def _write_lists(self, index: Index, now: datetime) -> None:
        # The index comes first: if the power fails between the two, the next list has it all.
        index = replace(index, list_number=index.list_number + 1)
        self._save(index)
        revoked = [
            Revocation(serial=entry.serial, revoked_at=entry.revoked_at, reason=entry.reason)
            for entry in index.issued
            if entry.revoked_at is not None
        ]
        self._write_list("root.crl", self.hierarchy.root, index.list_number, now, [])
        self._write_list(
            "intermediate.crl", self.hierarchy.intermediate, index.list_number, now, revoked
        )

    def _write_list(
        self, name: str, authority: Authority, number: int, now: datetime, revoked: list[Revocation]
    ) -> None:
        crl = make_crl(
            authority,
            number=number,
            this_update=now,
            next_update=now + timedelta(days=LIST_DAYS),
            revoked=revoked,
        )
        _write(self.path / name, crl.public_bytes(serialization.Encoding.DER))

    def _write_hierarchy(self) -> None:
        private = self.path / "private"
        private.mkdir(mode=0o700)
        for name, authority in _by_name(self.hierarchy).items():
            certificate = authority.certificate.public_bytes(serialization.Encoding.PEM)
            _write(self.path / f"{name}.pem", certificate)
            key = authority.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            _write(private / f"{name}.key", key, mode=0o600)

    def _save(self, index: Index) -> None:
        _write(self.path / "index.json", index_to_bytes(index))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Windows has no fcntl; there the rest of this package can still be imported.
        import fcntl

        with (self.path / "index.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _by_name(hierarchy: Hierarchy) -> dict[str, Authority]:
    return {"root": hierarchy.root, "intermediate": hierarchy.intermediate}


def _read_hierarchy(path: Path, names: AuthorityNames) -> Hierarchy:
    return Hierarchy(
        root=_read_authority(path, "root", names.root_addresses()),
        intermediate=_read_authority(path, "intermediate", names.intermediate_addresses()),
    )


def _read_authority(path: Path, name: str, addresses: Addresses) -> Authority:
    key_file = path / "private" / f"{name}.key"
    try:
        if key_file.stat().st_mode & 0o077:
            raise FolderError(key_file, "others can read this key; run chmod 600 on it")
        certificate = x509.load_pem_x509_certificate((path / f"{name}.pem").read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except OSError as exc:
        raise FolderError(path, f"cannot be read: {exc.strerror}: {exc.filename}") from exc
    except ValueError as exc:
        raise FolderError(path, f"certificate or key of the {name} is damaged") from exc
    if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != certificate.public_key():
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


def _write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace *path* in one step: a reader finds the old bytes or the new ones, never a part."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
