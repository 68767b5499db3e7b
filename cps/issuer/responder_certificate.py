"""The certificate of an OCSP responder to which an authority delegates its answers."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cps.issuer.extensions import AnyExtension, amended, critical, key_usage, plain
from cps.issuer.hierarchy import Authority, years_later
from cps.issuer.leaf import random_serial
from cps.issuer.ocsp_answer import Signer

RESPONDER_YEARS = 1


def create_signer(
    authority: Authority,
    key: rsa.RSAPrivateKey,
    *,
    not_before: datetime,
    not_after: datetime | None = None,
    omitted: Iterable[x509.ObjectIdentifier] = (),
    replaced: Iterable[AnyExtension] = (),
) -> Signer:
    """Return a responder with *key* and a new certificate that *authority* signs.

    Nothing is checked: an authority for tests has to make certificates that must be refused.

    :param not_before: aware.
    :param not_after: aware; a year later where absent.
    :param omitted: extensions to leave out; without id-pkix-ocsp-nocheck the certificate itself has
        to be looked up.
    :param replaced: extensions to use in place of the usual ones, or to add at the end.

    Source: RFC 6960 §4.2.2.2.
    """
    start = not_before.replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(authority.certificate.subject))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(random_serial())
        .not_valid_before(start)
        .not_valid_after(not_after or years_later(start, RESPONDER_YEARS))
    )
    usual = _extensions(authority, key.public_key())
    for extension in amended(usual, omitted=frozenset(omitted), replaced=replaced):
        builder = builder.add_extension(extension.value, extension.critical)
    return Signer(certificate=builder.sign(authority.key, hashes.SHA256()), key=key)


def _name(authority: x509.Name) -> x509.Name:
    """Return the name of *authority* with ``OCSP`` before its CN."""
    return x509.Name(
        [
            x509.NameAttribute(attribute.oid, f"OCSP {attribute.value!s}")
            if attribute.oid == NameOID.COMMON_NAME
            else attribute
            for attribute in authority
        ]
    )


def _extensions(authority: Authority, public_key: rsa.RSAPublicKey) -> Iterator[AnyExtension]:
    yield plain(x509.BasicConstraints(ca=False, path_length=None))
    yield plain(x509.SubjectKeyIdentifier.from_public_key(public_key))
    yield plain(authority.key_identifier())
    yield critical(key_usage(digital_signature=True))
    yield plain(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]))
    yield plain(x509.OCSPNoCheck())
    yield plain(authority.addresses.crl_distribution_points())
