"""One certificate from its DER bytes, read whole at once so that nothing later can fail on it."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

MAX_CERTIFICATE_BYTES = 8192
"""Real ones of cards and authorities have about 2 kB."""


def load_certificate(der: bytes) -> x509.Certificate:
    """Return the one certificate in *der*, of which nothing is verified yet.

    :param der: at most 8192 bytes, nothing before or behind the certificate.
    :raises ValueError: for anything but one X.509 version 3 certificate in DER, every part of
        which can be read: names, dates, key, algorithms and extensions, none of them twice.

    Source: RFC 5280 §4.1, §4.1.2.2.
    """
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise ValueError(f"{len(der)} bytes where {MAX_CERTIFICATE_BYTES} are allowed")
    try:
        certificate = x509.load_der_x509_certificate(der)
        # The library reads these parts only when they are asked for.
        _ = (
            certificate.subject,
            certificate.issuer,
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            certificate.extensions,
            certificate.public_key(),
            certificate.signature_hash_algorithm,
            certificate.signature_algorithm_parameters,
        )
    except (
        ValueError,
        TypeError,  # an address without mask in nameConstraints
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
        Warning,  # what the library only warns of is raised where warnings are errors
    ) as exc:
        raise ValueError(f"not a readable certificate: {exc}") from exc
    if certificate.version is not x509.Version.v3:
        raise ValueError("not an X.509 version 3 certificate")
    if certificate.serial_number <= 0:
        raise ValueError("the serial number is not positive")
    return certificate
