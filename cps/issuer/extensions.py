"""Extensions of what an authority signs, and how a test changes the usual ones."""

from collections.abc import Collection, Iterable

from cryptography import x509

from cps import tlv

AnyExtension = x509.Extension[x509.ExtensionType]

UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.32473.1"), tlv.encode(0x05))
"""An extension that no verifier can know: its arc is reserved for examples (RFC 5612)."""


def plain(value: x509.ExtensionType) -> AnyExtension:
    """Return *value* as an extension that a verifier may ignore if it does not know it."""
    return x509.Extension(value.oid, False, value)


def critical(value: x509.ExtensionType) -> AnyExtension:
    """Return *value* as an extension that a verifier has to know."""
    return x509.Extension(value.oid, True, value)


def key_usage(
    *,
    digital_signature: bool = False,
    content_commitment: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    """Return what a key may do: nothing but what is named.

    :param content_commitment: what was called nonRepudiation, to sign documents.
    """
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=content_commitment,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def amended(
    usual: Iterable[AnyExtension],
    *,
    omitted: Collection[x509.ObjectIdentifier],
    replaced: Iterable[AnyExtension],
) -> list[AnyExtension]:
    """Return the *usual* extensions in their order, but for what a test changes.

    :param omitted: types to leave out.
    :param replaced: extensions that take the place of the usual one of their type; what is left of
        them, also the second one of a type, comes behind.
    """
    spare = list(replaced)
    extensions = []
    for extension in usual:
        if extension.oid in omitted:
            continue
        other = next((each for each in spare if each.oid == extension.oid), None)
        if other is not None:
            spare.remove(other)
        extensions.append(other or extension)
    return extensions + spare
