"""Certificates of no world in particular, for the rules that hold in all of them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from cps import tlv
from gateway.trust.rfc5280 import PathInputs
from gateway.trust.strength import Strength
from tests.support import pki
from tests.support.trust import extension, key_usage

Extension = x509.Extension[x509.ExtensionType]
CURVES = Strength(
    algorithms=frozenset({SignatureAlgorithmOID.ECDSA_WITH_SHA256}), min_rsa_bits=2048
)
INPUTS = PathInputs(strength=CURVES)


@cache
def curve_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return the session's key of that name."""
    return ec.generate_private_key(ec.SECP256R1())


def named(text: str) -> x509.Name:
    """Return a name of one attribute, none for the empty text."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else []
    return x509.Name(attributes)


def certificate(
    subject: str | x509.Name = "leaf",
    *extensions: Extension,
    issuer: str | x509.Name = "root",
    authority: bool = False,
    key: str | None = None,
    signer: str | None = None,
    without: Iterable[type[x509.ExtensionType]] = (),
    serial: int = 77,
    not_before: datetime = pki.NOW - timedelta(days=1),
    not_after: datetime = pki.NOW + timedelta(days=1),
) -> x509.Certificate:
    """Return a certificate that has the standard's form, but for what the caller changes.

    :param key: name of its key, the subject's where absent.
    :param signer: name of the key that signs, the issuer's where absent.
    :param extensions: to use in place of the usual ones, or to add.
    :param without: kinds of usual extensions to leave out.
    """
    own = curve_key(key or str(subject)).public_key()
    signing = curve_key(signer or str(issuer))
    usual: list[Extension] = [
        extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())),
        extension(x509.SubjectKeyIdentifier.from_public_key(own)),
    ]
    if authority:
        usual += [
            extension(x509.BasicConstraints(ca=True, path_length=None), critical=True),
            extension(key_usage("key_cert_sign", "crl_sign"), critical=True),
        ]
    left_out = {kind.oid for kind in without} | {each.oid for each in extensions}
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject) if isinstance(subject, str) else subject)
        .issuer_name(named(issuer) if isinstance(issuer, str) else issuer)
        .public_key(own)
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    for each in (*(each for each in usual if each.oid not in left_out), *extensions):
        builder = builder.add_extension(each.value, each.critical)
    return builder.sign(signing, hashes.SHA256())


def root(
    *extensions: Extension, without: Iterable[type[x509.ExtensionType]] = ()
) -> x509.Certificate:
    """Return a self-signed authority named ``root``."""
    return certificate("root", *extensions, authority=True, without=without)


def policies(*names: str, critical: bool = False) -> Extension:
    """Return certificatePolicies of the arc 1.3; ``any`` is anyPolicy."""
    return extension(
        x509.CertificatePolicies([x509.PolicyInformation(policy(name), None) for name in names]),
        critical=critical,
    )


def policy(name: str) -> x509.ObjectIdentifier:
    """Return a policy of the arc 1.3, such as ``1``; ``any`` is anyPolicy."""
    return x509.ObjectIdentifier("2.5.29.32.0" if name == "any" else f"1.3.{name}")


def mappings(*pairs: tuple[str, str]) -> Extension:
    """Return policyMappings, issuer's policy to subject's."""
    encoded = (
        tlv.encode(0x30, *(asn1.encode_der(policy(name)) for name in pair)) for pair in pairs
    )
    der = tlv.encode(0x30, *encoded)
    return extension(
        x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), der), critical=True
    )
