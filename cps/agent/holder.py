"""The name on the card, to show to the person; who somebody is, only the gateway decides."""

from cryptography import x509
from cryptography.x509.oid import NameOID

from cps.card.certificate import reading
from cps.errors import CardDataError

MAX_HOLDER_CHARACTERS = 80
_SHOWN = (NameOID.GIVEN_NAME, NameOID.SURNAME)


def read_holder(certificate: bytes) -> str:
    """Return given name and surname from an unverified certificate, else its common name.

    :param certificate: DER, from the card.
    :returns: printable, 1 to 80 characters: a terminal or a window may show it as it is.
    :raises CardDataError: where this is no certificate.
    """
    try:
        with reading():
            subject = x509.load_der_x509_certificate(certificate).subject
    except ValueError as exc:
        raise CardDataError("the authentication certificate cannot be read") from exc
    names = _values(subject, _SHOWN) or _values(subject, (NameOID.COMMON_NAME,)) or ["?"]
    shown = "".join(letter if letter.isprintable() else " " for letter in " ".join(names))
    return shown[:MAX_HOLDER_CHARACTERS]


def _values(subject: x509.Name, oids: tuple[x509.ObjectIdentifier, ...]) -> list[str]:
    return [
        str(attribute.value)
        for oid in oids
        for attribute in subject.get_attributes_for_oid(oid)
        if attribute.value
    ]
