"""The authorities a card's certificate may come from: pinned in files, checked when they load."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import SignatureAlgorithmOID

from gateway.errors import ConfigurationError
from gateway.settings import TrustSettings
from gateway.trust.certificate import load_certificate

Environment = Literal["production", "test"]

MAX_FILE_BYTES = 65_536
"""One certificate has about 2 kB, also as PEM with comments around it."""
MIN_RSA_BITS = 2048
_PEM_BEGIN = b"-----BEGIN "
_STRONG_SIGNATURES = frozenset(
    {
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustStore:
    """The roots trusted by themselves, and the intermediates that may issue to persons."""

    environment: Environment
    anchors: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...]
    policies: frozenset[x509.ObjectIdentifier] = frozenset()
    """Certificate policies of which every path must have one; empty for no demand."""

    @classmethod
    def load(cls, trust: TrustSettings, environment: Environment, now: datetime) -> Self:
        """Return the authorities in the files that *trust* names.

        An authority whose time is over, or has not come, stops the start: no certificate under it
        could ever be accepted, and a file forgotten for years is a fault to be told at once.

        :param environment: ``production`` refuses authorities that are named TEST.
        :param now: aware UTC.
        :raises ConfigurationError: with the file and the reason, for a file that does not hold
            exactly one certificate (PEM or DER), for one that is no authority valid now, for an
            anchor that did not sign itself or an intermediate that no anchor signed.
        """
        anchors = tuple(
            _load_anchor(file, environment=environment, now=now) for file in trust.anchors
        )
        intermediates = tuple(
            _load_intermediate(file, anchors, environment=environment, now=now)
            for file in trust.intermediates
        )
        return cls(
            environment=environment,
            anchors=anchors,
            intermediates=intermediates,
            policies=frozenset(map(x509.ObjectIdentifier, trust.policies)),
        )

    def authorities(self) -> tuple[x509.Certificate, ...]:
        """Return the anchors and the intermediates."""
        return self.anchors + self.intermediates


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Return whether *authority* bears the issuer's name and its key made the signature.

    This says nothing of dates, of revocation or of what *authority* may do.
    """
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def read_certificate(file: Path) -> x509.Certificate:
    """Return the one certificate in *file*, PEM or DER.

    :raises ValueError: where there is anything else, or more.
    """
    return load_certificate(_one_certificate(_read(file)))


def _load_anchor(file: Path, *, environment: Environment, now: datetime) -> x509.Certificate:
    key = "trust.anchors"
    anchor = _load_authority(file, key, environment=environment, now=now)
    if not is_issued_by(anchor, anchor):
        raise ConfigurationError(str(file), key, "an anchor signs itself; this one did not")
    return anchor


def _load_intermediate(
    file: Path, anchors: Sequence[x509.Certificate], *, environment: Environment, now: datetime
) -> x509.Certificate:
    key = "trust.intermediates"
    intermediate = _load_authority(file, key, environment=environment, now=now)
    if is_issued_by(intermediate, intermediate):
        raise ConfigurationError(str(file), key, "a root; it belongs into trust.anchors")
    if not any(is_issued_by(intermediate, anchor) for anchor in anchors):
        raise ConfigurationError(str(file), key, "not issued by any of trust.anchors")
    return intermediate


def _load_authority(
    file: Path, key: str, *, environment: Environment, now: datetime
) -> x509.Certificate:
    try:
        certificate = read_certificate(file)
        require_authority(certificate)
        _require_dates(certificate, now)
    except ValueError as exc:
        raise ConfigurationError(str(file), key, str(exc)) from exc
    if environment == "production" and is_named_test(certificate.subject):
        raise ConfigurationError(
            str(file), key, "a TEST authority, which environment production refuses"
        )
    return certificate


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise ValueError(f"cannot be read: {exc.strerror}") from exc
    if len(raw) > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES} bytes, so not one certificate")
    return raw


def _one_certificate(raw: bytes) -> bytes:
    """Return the DER of the only certificate in *raw*, which is PEM or DER."""
    if _PEM_BEGIN not in raw:
        return raw
    if raw.count(_PEM_BEGIN) != 1:
        raise ValueError("several PEM blocks; one certificate a file is wanted")
    try:
        return x509.load_pem_x509_certificate(raw).public_bytes(Encoding.DER)
    except x509.InvalidVersion as exc:
        raise ValueError(f"not a readable certificate: {exc}") from exc


def require_authority(certificate: x509.Certificate) -> None:
    """Refuse a certificate that may not issue others, or whose strength is not of today.

    Source: RFC 5280 §4.2.1.3, §4.2.1.9.
    """
    extensions = certificate.extensions
    try:
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as exc:
        raise ValueError(f"not an authority: no extension {exc.oid.dotted_string}") from exc
    if not constraints.ca:
        raise ValueError("not an authority: basicConstraints says so")
    if not (usage.key_cert_sign and usage.crl_sign):
        raise ValueError("keyUsage allows not both, to sign certificates and revocation lists")
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < MIN_RSA_BITS:
        raise ValueError(f"an RSA key of at least {MIN_RSA_BITS} bits is wanted")
    if certificate.signature_algorithm_oid not in _STRONG_SIGNATURES:
        raise ValueError("not signed with RSA and SHA-256, SHA-384 or SHA-512")


def _require_dates(certificate: x509.Certificate, now: datetime) -> None:
    if now < certificate.not_valid_before_utc:
        raise ValueError(f"valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    if now > certificate.not_valid_after_utc:
        raise ValueError(f"expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")


def is_named_test(name: x509.Name) -> bool:
    """Return whether TEST is a word of its own in any part of *name*.

    The agency's test hierarchy says ``OU=IGC-SANTE TEST`` and ``CN=TEST AC …``.
    """
    return any(
        "TEST" in re.split(r"[^0-9A-Za-z]+", str(attribute.value).upper()) for attribute in name
    )
