"""The bytes of a revocation list, and the authority that signed them."""

from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.trust.list_entries import has_version, places
from gateway.trust.names import is_same
from gateway.trust.signed_bytes import require_signed_bytes
from gateway.trust.strength import Strength

MAX_LIST_BYTES = 64 * 1024 * 1024
"""A list of a million entries has about 49 MB."""
_PEM_BEGIN = b"-----BEGIN "


def read_bounded(file: Path) -> bytes:
    """Return the contents of a file with a list.

    :raises OSError: where it cannot be read.
    :raises ValueError: where it is larger than any list.
    """
    with file.open("rb") as stream:
        raw = stream.read(MAX_LIST_BYTES + 1)
    if len(raw) > MAX_LIST_BYTES:
        raise ValueError(f"larger than {MAX_LIST_BYTES} bytes")
    return raw


def one_list(raw: bytes) -> bytes:
    """Return the DER of the only list in *raw*, which is PEM or DER."""
    if not raw.startswith(_PEM_BEGIN):
        return raw
    if raw.count(_PEM_BEGIN) != 1:
        raise ValueError("several PEM blocks; one list a file is wanted")
    return x509.load_pem_x509_crl(raw).public_bytes(Encoding.DER)


def require_signed_list(
    crl: x509.CertificateRevocationList,
    der: bytes,
    authorities: Iterable[x509.Certificate],
    strength: Strength,
) -> x509.Certificate:
    """Return the one of *authorities* whose key signed the list.

    The library's own check encodes the whole list anew, two seconds for a million entries; here
    the bytes that came are hashed once.
    """
    signed = memoryview(der)[places(der).signed]
    if der[-len(crl.signature) - 1] != 0:
        raise ValueError("its signature is not one of whole bytes")
    issuer = crl.issuer
    problem = ValueError("its issuer is not one of the configured authorities")
    for authority in authorities:
        if not is_same(authority.subject, issuer) or not _may_sign_lists(authority):
            continue
        try:
            require_signed_bytes(
                signed,
                crl.signature,
                algorithm=crl.signature_algorithm_oid,
                key=authority.public_key(),
                strength=strength,
            )
        except ValueError as exc:
            problem = exc
        else:
            return authority
    raise ValueError(f"not signed by one of the configured authorities: {problem}")


def _may_sign_lists(authority: x509.Certificate) -> bool:
    try:
        return authority.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return False


def require_version(crl: x509.CertificateRevocationList, der: bytes) -> None:
    """Refuse extensions in a list of version 1, or in its entries, which the library lets pass.

    Source: RFC 5280 §5.1.2.1.
    """
    if has_version(der):
        return
    if len(crl.extensions) or any(len(entry.extensions) for entry in crl):
        raise ValueError("extensions in a list of version 1")
