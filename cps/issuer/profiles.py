"""The kinds of certificates that the hierarchies issue: one function each, which fills a request.

Which authority issues what is not written in a request. Samples of the real ones say: CPS and CPF
are issued by FORT PERSONNES, CPE by STANDARD PERSONNES, those of organisations by ELEMENTAIRE
ORGANISATIONS. Of CPF, CPA, service cards and persons' keys in software no sample was seen: they
are composed of the published names and tables.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from cps.issuer import oids
from cps.issuer.extensions import critical, key_usage
from cps.issuer.leaf import (
    CARD_TYPE_CPA,
    CARD_TYPE_CPE,
    CARD_TYPE_CPF,
    CARD_TYPE_CPS,
    CATEGORY_TEST_CARD,
    CATEGORY_TEST_MODULE,
    CATEGORY_TEST_SOFTWARE,
    Holder,
    LeafRequest,
    Purpose,
    Structure,
)

SERVICE_TITLE = "Carte de service santé ou social"
TEST_BIT = 0x80
"""What table G01 adds to a category for tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """What holds a key: a card, or what stands in place of one."""

    public_key: rsa.RSAPublicKey
    number: str
    """Ten digits."""
    not_before: datetime
    """Aware."""
    purpose: Purpose = Purpose.AUTHENTICATION
    """Which of the card's three keys it is."""
    real: bool = False
    """Whether the certificate says that this is no test."""


def cps(holder: Holder, support: Support) -> LeafRequest:
    """Return a request for the card of a professional: *carte de professionnel de santé*.

    :raises ValueError: where the holder has no profession.
    """
    if holder.profession is None:
        raise ValueError("a CPS says the profession")
    return _card(holder, support, CARD_TYPE_CPS)


def cpf(holder: Holder, support: Support) -> LeafRequest:
    """Return a request for the card of a professional in training.

    :raises ValueError: where the holder has a profession already, or does not learn one.
    """
    if holder.profession is not None or holder.future_profession is None:
        raise ValueError("a CPF says the future profession and no other")
    return _card(holder, support, CARD_TYPE_CPF)


def cpe(holder: Holder, support: Support) -> LeafRequest:
    """Return a request for the card of an employee of an establishment.

    :raises ValueError: where the holder has no structure, or has a profession.
    """
    _require_employee(holder)
    return _card(holder, support, CARD_TYPE_CPE)


def cpa(holder: Holder, support: Support) -> LeafRequest:
    """Return a request for the card of an authorised person.

    :raises ValueError: where the holder has no structure, or has a profession.
    """
    _require_employee(holder)
    return _card(holder, support, CARD_TYPE_CPA)


def service_card(
    structure: Structure, support: Support, *, pseudonym: str, national_id: str
) -> LeafRequest:
    """Return a request for the card of a service, which names nobody.

    :param national_id: the number in the CN; it has the form of an employee's.
    """
    holder = Holder(
        national_id=national_id,
        family_name="",
        given_name="",
        title=SERVICE_TITLE,
        profession=None,
        structure=structure,
    )
    subject = _name(
        *_structure_attributes(structure),
        (NameOID.TITLE, SERVICE_TITLE),
        (NameOID.PSEUDONYM, pseudonym),
        (NameOID.COMMON_NAME, national_id),
    )
    return replace(_card(holder, support, CARD_TYPE_CPE), subject=subject)


def software(holder: Holder, support: Support) -> LeafRequest:
    """Return a request for a person's key in a file: like a CPS, but for its category."""
    request = _card(holder, support, CARD_TYPE_CPS)
    return replace(request, category=_category(CATEGORY_TEST_SOFTWARE, support))


def module(holder: Holder, support: Support) -> LeafRequest:
    """Return a request for a person's key in a module: like a CPS, but for its category."""
    request = _card(holder, support, CARD_TYPE_CPS)
    return replace(request, category=_category(CATEGORY_TEST_MODULE, support))


def organisation(structure: Structure, support: Support, *, host: str) -> LeafRequest:
    """Return a request for what an organisation signs documents with, a key in software.

    :param host: the CN, a host's name.
    """
    nobody = Holder(national_id=host, family_name="", given_name="", title="", profession=None)
    return LeafRequest(
        holder=nobody,
        public_key=support.public_key,
        card_number=support.number,
        not_before=support.not_before,
        purpose=Purpose.SIGNATURE,
        category=_category(CATEGORY_TEST_SOFTWARE, support),
        subject=_name(*_structure_attributes(structure), (NameOID.COMMON_NAME, host)),
        omitted=frozenset({oids.CARD_TYPE, oids.TOKEN_ID}),
        replaced=(critical(key_usage(digital_signature=True, content_commitment=True)),),
    )


def _card(holder: Holder, support: Support, card_type: int) -> LeafRequest:
    return LeafRequest(
        holder=holder,
        public_key=support.public_key,
        card_number=support.number,
        not_before=support.not_before,
        purpose=support.purpose,
        category=_category(CATEGORY_TEST_CARD, support),
        card_type=card_type,
    )


def _category(test: int, support: Support) -> int:
    return test & ~TEST_BIT if support.real else test


def _require_employee(holder: Holder) -> None:
    if holder.structure is None or holder.profession is not None:
        raise ValueError("the card of an employee says the structure and no profession")


def _structure_attributes(
    structure: Structure,
) -> tuple[tuple[x509.ObjectIdentifier, str], ...]:
    return (
        (NameOID.COUNTRY_NAME, "FR"),
        (NameOID.STATE_OR_PROVINCE_NAME, structure.county),
        (NameOID.ORGANIZATION_NAME, structure.name),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, structure.number),
    )


def _name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
