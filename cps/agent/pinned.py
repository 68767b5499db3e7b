"""TLS to a gateway whose public key the administrator named: refused before anything is sent."""

import hashlib
import ssl
from collections.abc import Collection

import urllib3
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from urllib3.connection import HTTPSConnection


def require_pinned(certificate: bytes | None, pins: Collection[bytes]) -> None:
    """Refuse a server whose certificate, DER, has none of the public keys in *pins*.

    :param pins: SHA-256 of the SubjectPublicKeyInfo, DER, 32 bytes each.
    :raises urllib3.exceptions.SSLError: where it is not so.
    """
    if certificate is not None:
        key = x509.load_der_x509_certificate(certificate).public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if hashlib.sha256(spki).digest() in pins:
            return
    raise urllib3.exceptions.SSLError("the server has none of the public keys that are pinned")


def pinned_pool(pins: Collection[bytes]) -> type[urllib3.HTTPSConnectionPool]:
    """Return connections that are closed before the first request where *pins* do not fit.

    The system's own checks come first, and stay.
    """

    class PinnedConnection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            try:
                certificate = None
                if isinstance(self.sock, ssl.SSLSocket):
                    certificate = self.sock.getpeercert(binary_form=True)
                require_pinned(certificate, pins)
            except BaseException:
                self.close()
                raise

    class PinnedPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = PinnedConnection

    return PinnedPool
