"""Revocation lists with one fault each, for whoever has to refuse them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from enum import Enum, auto, unique
from types import MappingProxyType

from cryptography import x509

from cps import tlv
from cps.issuer import der
from cps.issuer.crl import (
    VERSION_2,
    ListRequest,
    Revocation,
    encode_entries,
    sign_list,
    signed_part,
)
from cps.issuer.extensions import UNKNOWN, AnyExtension, critical, plain
from cps.issuer.hierarchy import Authority

Make = Callable[[Authority, ListRequest, Authority], bytes]
"""Makes a list of what the authority and the request say; the third is the stranger."""

FAR = timedelta(days=30)
"""How far a wrong time is from the right one."""
FAULTY_SERIAL = 0x0BAD
"""Of the entry that carries a fault of its own."""
UNUSED_REASON = 7
MAX_NUMBER_BYTES = 20
"""Source: RFC 5280 §5.2.3."""


@unique
class ListFault(Enum):
    """What is wrong with a list; each one must be refused."""

    WRONG_KEY = auto()
    """Signed by another authority's key, under our authority's name."""
    WRONG_ISSUER = auto()
    """Signed by our key, under another authority's name."""
    BAD_SIGNATURE = auto()
    SHA1_SIGNATURE = auto()
    UNKNOWN_ALGORITHM = auto()
    """Signed over SHA3-256."""
    ALGORITHMS_DIFFER = auto()
    """The algorithm inside the signed part is not the one outside."""
    STALE = auto()
    """Over for 30 days."""
    FUTURE = auto()
    """Valid from 30 days after its time."""
    NEXT_BEFORE_THIS = auto()
    NO_NEXT_UPDATE = auto()
    LOWER_NUMBER = auto()
    """Number 0, as if it were the first one."""
    NEGATIVE_NUMBER = auto()
    LONG_NUMBER = auto()
    """A number of 21 bytes, one more than allowed."""
    VERSION_1 = auto()
    """Without extensions, so without number and key identifier."""
    VERSION_1_WITH_EXTENSIONS = auto()
    VERSION_3 = auto()
    UNKNOWN_CRITICAL_EXTENSION = auto()
    DUPLICATE_EXTENSION = auto()
    OTHER_KEY_IDENTIFIER = auto()
    """Points to another key of the issuer."""
    UNKNOWN_CRITICAL_ENTRY_EXTENSION = auto()
    OTHER_CERTIFICATE_ISSUER = auto()
    """An entry for another authority's certificate, in a list that is not indirect."""
    UNUSED_REASON = auto()
    """An entry with the reason code 7, which has no meaning."""
    INDIRECT = auto()
    ONLY_SOME_REASONS = auto()
    ONLY_AUTHORITIES = auto()
    ONLY_ATTRIBUTES = auto()
    OTHER_DISTRIBUTION_POINT = auto()
    """For certificates that name another place than those of this authority."""
    DELTA_AS_COMPLETE = auto()
    """Only the changes since the list before."""
    DELTA_BASE_AHEAD = auto()
    """Changes since a complete list that was never published."""
    TRUNCATED = auto()
    TRAILING_BYTES = auto()
    LONG_LENGTH = auto()
    """BER: the outermost length has more bytes than it needs."""
    NOT_A_LIST = auto()
    """A web page, as a captive portal sends it."""
    EMPTY = auto()


def faulty_list(
    authority: Authority, request: ListRequest, fault: ListFault, *, stranger: Authority
) -> bytes:
    """Return the list of *request* as *authority* would sign it, but for one fault.

    :param request: good, with a number above 0.
    :param stranger: an authority with another key and another name.
    """
    return _FAULTS[fault](authority, request, stranger)


def _changed(change: Callable[[ListRequest], ListRequest]) -> Make:
    """Return what signs another request."""
    return lambda ours, request, _: sign_list(ours, change(request))


def _damaged(change: Callable[[bytes], bytes]) -> Make:
    """Return what changes the bytes of the good list."""
    return lambda ours, request, _: change(sign_list(ours, request))


def _signed_with(algorithm: der.SignatureAlgorithm) -> Make:
    return lambda ours, request, _: sign_list(ours, request, algorithm=algorithm)


def _with_extension(*extensions: AnyExtension) -> Make:
    return _changed(lambda request: replace(request, replaced=(*request.replaced, *extensions)))


def _with_entry(extension: AnyExtension) -> Make:
    return _changed(lambda request: _with_faulty_entry(request, extension))


def _with_scope(
    *,
    full_name: str | None = None,
    only_authorities: bool = False,
    only_attributes: bool = False,
    indirect: bool = False,
    reasons: frozenset[x509.ReasonFlags] | None = None,
) -> Make:
    scope = x509.IssuingDistributionPoint(
        full_name=None if full_name is None else [x509.UniformResourceIdentifier(full_name)],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=only_authorities,
        only_some_reasons=reasons,
        indirect_crl=indirect,
        only_contains_attribute_certs=only_attributes,
    )
    return _changed(lambda request: replace(request, scope=scope))


def _with_number(number: int) -> Make:
    # The library's own type takes only what is allowed.
    return _with_extension(
        plain(x509.UnrecognizedExtension(x509.CRLNumber.oid, der.integer(number)))
    )


def _with_faulty_entry(request: ListRequest, extension: AnyExtension) -> ListRequest:
    entry = Revocation(
        serial=FAULTY_SERIAL, revoked_at=request.this_update, extensions=(extension,)
    )
    return replace(request, entries=request.entries + encode_entries([entry]))


def _other_certificate_issuer(ours: Authority, request: ListRequest, stranger: Authority) -> bytes:
    name = x509.CertificateIssuer([x509.DirectoryName(stranger.certificate.subject)])
    return sign_list(ours, _with_faulty_entry(request, critical(name)))


def _other_key_identifier(ours: Authority, request: ListRequest, stranger: Authority) -> bytes:
    return sign_list(ours, replace(request, replaced=(plain(stranger.key_identifier()),)))


def _algorithms_differ(ours: Authority, request: ListRequest, _: Authority) -> bytes:
    signed = signed_part(ours, request, algorithm=der.SignatureAlgorithm.RSA_SHA1)
    return der.sequence(signed, der.signature(signed, ours.key))


def _moved(request: ListRequest, distance: timedelta) -> ListRequest:
    start = request.this_update + distance
    return replace(request, this_update=start, next_update=start + FAR)


def _without_extensions(request: ListRequest) -> ListRequest:
    usual = (x509.AuthorityKeyIdentifier.oid, x509.CRLNumber.oid)
    return replace(request, version=None, omitted=request.omitted.union(usual))


def _delta(request: ListRequest, *, ahead: int) -> ListRequest:
    """Return a request for the changes since the list *ahead* of the one before."""
    number = (request.number or 0) + ahead
    return replace(request, number=number, base_number=number - 1)


def _long_length(whole: bytes) -> bytes:
    contents = tlv.read(whole)[0].value
    return b"\x30\x84" + len(contents).to_bytes(4, "big") + contents


_FAULTS: Mapping[ListFault, Make] = MappingProxyType(
    {
        ListFault.WRONG_KEY: lambda ours, request, stranger: sign_list(
            replace(ours, key=stranger.key), request
        ),
        ListFault.WRONG_ISSUER: lambda ours, request, stranger: sign_list(
            ours, replace(request, issuer=stranger.certificate.subject)
        ),
        ListFault.BAD_SIGNATURE: _damaged(lambda whole: whole[:-1] + bytes((whole[-1] ^ 1,))),
        ListFault.SHA1_SIGNATURE: _signed_with(der.SignatureAlgorithm.RSA_SHA1),
        ListFault.UNKNOWN_ALGORITHM: _signed_with(der.SignatureAlgorithm.RSA_SHA3_256),
        ListFault.ALGORITHMS_DIFFER: _algorithms_differ,
        ListFault.STALE: _changed(lambda request: _moved(request, -2 * FAR)),
        ListFault.FUTURE: _changed(lambda request: _moved(request, FAR)),
        ListFault.NEXT_BEFORE_THIS: _changed(
            lambda request: replace(request, next_update=request.this_update - timedelta(hours=1))
        ),
        ListFault.NO_NEXT_UPDATE: _changed(lambda request: replace(request, next_update=None)),
        ListFault.LOWER_NUMBER: _changed(lambda request: replace(request, number=0)),
        ListFault.NEGATIVE_NUMBER: _with_number(-1),
        ListFault.LONG_NUMBER: _with_number(1 << 8 * MAX_NUMBER_BYTES),
        ListFault.VERSION_1: _changed(_without_extensions),
        ListFault.VERSION_1_WITH_EXTENSIONS: _changed(
            lambda request: replace(request, version=None)
        ),
        ListFault.VERSION_3: _changed(lambda request: replace(request, version=VERSION_2 + 1)),
        ListFault.UNKNOWN_CRITICAL_EXTENSION: _with_extension(critical(UNKNOWN)),
        ListFault.DUPLICATE_EXTENSION: _with_extension(plain(UNKNOWN), plain(UNKNOWN)),
        ListFault.OTHER_KEY_IDENTIFIER: _other_key_identifier,
        ListFault.UNKNOWN_CRITICAL_ENTRY_EXTENSION: _with_entry(critical(UNKNOWN)),
        ListFault.OTHER_CERTIFICATE_ISSUER: _other_certificate_issuer,
        ListFault.UNUSED_REASON: _with_entry(
            plain(x509.UnrecognizedExtension(x509.CRLReason.oid, der.enumerated(UNUSED_REASON)))
        ),
        ListFault.INDIRECT: _with_scope(indirect=True),
        ListFault.ONLY_SOME_REASONS: _with_scope(
            reasons=frozenset({x509.ReasonFlags.key_compromise})
        ),
        ListFault.ONLY_AUTHORITIES: _with_scope(only_authorities=True),
        ListFault.ONLY_ATTRIBUTES: _with_scope(only_attributes=True),
        ListFault.OTHER_DISTRIBUTION_POINT: _with_scope(full_name="http://elsewhere.invalid/x.crl"),
        ListFault.DELTA_AS_COMPLETE: _changed(lambda request: _delta(request, ahead=0)),
        ListFault.DELTA_BASE_AHEAD: _changed(lambda request: _delta(request, ahead=1000)),
        ListFault.TRUNCATED: _damaged(lambda whole: whole[: len(whole) // 2]),
        ListFault.TRAILING_BYTES: _damaged(lambda whole: whole + der.null()),
        ListFault.LONG_LENGTH: _damaged(_long_length),
        ListFault.NOT_A_LIST: _damaged(lambda _: b"<!doctype html><title>Wi-Fi</title>"),
        ListFault.EMPTY: _damaged(lambda _: b""),
    }
)
