"""What the authority in a folder publishes on its web server."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from cps.issuer.files import FolderError, key_to_pem, read_key, write_file
from cps.issuer.folder import (
    DELTA_LIST,
    INTERMEDIATE_LIST,
    ROOT_LIST,
    AuthorityFolder,
)
from cps.issuer.hierarchy import PUBLIC_EXPONENT, Addresses
from cps.issuer.ocsp_answer import GOOD, UNKNOWN, CertificateStatus, Signer, revoked
from cps.issuer.responder import Clock, Responder, answer_request
from cps.issuer.responder_certificate import create_signer
from cps.issuer.server import Document, PublicationError

RESPONDER_KEY_BITS = 2048
RENEW_BEFORE = timedelta(days=30)
"""How long before its end the responder's certificate is made anew."""
LIST_TYPE = "application/pkix-crl"
CERTIFICATE_TYPE = "application/pkix-cert"


class FolderPublication:
    """Lists, certificates and OCSP of the folder, as it is at the moment of each request.

    Documents have the paths that their addresses in certificates have; the delta list, of which
    certificates know only a directory, is beside the complete list.
    """

    def __init__(self, folder: AuthorityFolder, *, clock: Clock) -> None:
        """Make the responder's certificate, unless the folder has one that is good for a while.

        :raises FolderError: where the folder has one that is damaged.
        """
        ours = folder.hierarchy
        self._folder = folder
        self._lists = {
            list_path(ours.root.addresses): ROOT_LIST,
            list_path(ours.intermediate.addresses): INTERMEDIATE_LIST,
            delta_path(ours.intermediate.addresses): DELTA_LIST,
        }
        self._certificates = {
            _path(authority.addresses.certificate): authority.certificate
            for authority in (ours.root, ours.intermediate)
        }
        self._responders = (
            Responder(
                ours.intermediate,
                status_of=self._status,
                clock=clock,
                signer=responder_of(folder, now=clock()),
            ),
            Responder(ours.root, status_of=self._status_of_authority, clock=clock),
        )

    def paths(self) -> tuple[str, ...]:
        """Return the path of every document, not encoded."""
        return (*self._lists, *self._certificates)

    def document(self, path: str) -> Document | None:
        certificate = self._certificates.get(path)
        if certificate is not None:
            return Document(
                content=certificate.public_bytes(Encoding.DER),
                media_type=CERTIFICATE_TYPE,
                modified=certificate.not_valid_before_utc,
            )
        name = self._lists.get(path)
        return None if name is None else _read_document(self._folder.path / name)

    def answer(self, request: bytes) -> bytes:
        return answer_request(request, self._responders)

    def _status(self, serial: int) -> CertificateStatus:
        try:
            issued = self._folder.issued()
        except FolderError as exc:
            raise PublicationError(exc.reason) from exc
        for entry in issued:
            if entry.serial == serial:
                if entry.revoked_at is None:
                    return GOOD
                return revoked(entry.revoked_at, entry.reason)
        return UNKNOWN

    def _status_of_authority(self, serial: int) -> CertificateStatus:
        issued = self._folder.hierarchy.intermediate.certificate.serial_number
        return GOOD if serial == issued else UNKNOWN


def list_path(addresses: Addresses) -> str:
    """Return the path of the complete list, not encoded."""
    return _path(addresses.crl[0])


def delta_path(addresses: Addresses) -> str:
    """Return the path of the delta list, not encoded."""
    return f"{list_path(addresses).removesuffix('.crl')}-delta.crl"


def responder_of(folder: AuthorityFolder, *, now: datetime) -> Signer:
    """Return the responder to which the folder's intermediate delegates its answers.

    It is made where there is none, or where it ends within :data:`RENEW_BEFORE`.

    :param now: aware.
    :raises FolderError: where it is damaged, or others can read its key.
    """
    # Key and certificate are one file, so that a crash cannot part them.
    file = folder.path / "private" / "responder.pem"
    with folder.locked():
        if file.exists():
            signer = _read_signer(file)
            if now + RENEW_BEFORE < signer.certificate.not_valid_after_utc:
                return signer
        key = rsa.generate_private_key(PUBLIC_EXPONENT, RESPONDER_KEY_BITS)
        signer = create_signer(folder.hierarchy.intermediate, key, not_before=now)
        pem = key_to_pem(key) + signer.certificate.public_bytes(Encoding.PEM)
        write_file(file, pem, mode=0o600)
        return signer


def _read_signer(file: Path) -> Signer:
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        return Signer(certificate=certificate, key=read_key(file))
    except ValueError as exc:
        raise FolderError(file, "is damaged; remove it") from exc


def _path(url: str) -> str:
    return unquote(urlsplit(url).path)


def _read_document(file: Path) -> Document:
    try:
        with file.open("rb") as stream:
            modified = datetime.fromtimestamp(os.fstat(stream.fileno()).st_mtime, UTC)
            return Document(content=stream.read(), media_type=LIST_TYPE, modified=modified)
    except OSError as exc:
        raise PublicationError(f"{file.name} cannot be read: {exc.strerror}") from exc
