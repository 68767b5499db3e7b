"""One question to an OCSP responder, and whether its answer is worth believing."""

import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto, unique
from types import MappingProxyType

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, OCSPExtensionOID

from gateway.trust.der import decode, members
from gateway.trust.list_entries import Reason, reason_of
from gateway.trust.names import is_same
from gateway.trust.revocation_list import CLOCK_SKEW
from gateway.trust.signed_bytes import require_signed_bytes
from gateway.trust.strength import LOGIN_STRENGTH, Strength

MAX_ANSWER_BYTES = 65_536
"""Real ones have about 2 kB, most of it the responder's certificate."""
MAX_CERTIFICATES = 8
"""Certificates in an answer; one, or none, is usual."""
NONCE_BYTES = 32
"""Source: RFC 9654 §2.1."""
MAX_AGE = timedelta(hours=1)
"""How old an answer may be that does not say when the next one comes."""

IsGood = Callable[[x509.Certificate], bool]
"""Says whether a responder's own certificate is known not to be revoked."""

_HASHES: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType(
    {
        # These name a certificate and prove nothing, so SHA-1, which all responders use, will do.
        "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
        "sha256": lambda data: hashlib.sha256(data).digest(),
        "sha384": lambda data: hashlib.sha384(data).digest(),
        "sha512": lambda data: hashlib.sha512(data).digest(),
    }
)
_RESPONDER_EXTENSIONS = frozenset(
    {
        x509.BasicConstraints.oid,
        x509.KeyUsage.oid,
        x509.ExtendedKeyUsage.oid,
        x509.OCSPNoCheck.oid,
    }
)


@unique
class OCSPStatus(Enum):
    """What a responder says."""

    GOOD = auto()
    REVOKED = auto()
    UNKNOWN = auto()
    """It does not know the certificate, which is not good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OCSPAnswer:
    """What an answer that was verified says of the certificate that was asked about."""

    status: OCSPStatus
    reason: Reason | None
    """Of what is revoked."""
    this_update: datetime
    next_update: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OCSPQuestion:
    """Which certificate is asked about, and who may answer."""

    issuer: x509.Certificate
    serial: int
    nonce: bytes | None = None
    """32 random bytes that the answer must repeat; ``None`` for a responder that repeats none."""
    nonce_required: bool = True
    """Whether an answer without any nonce is refused; one with another nonce always is."""
    designated: Collection[x509.Certificate] = ()
    """Responders that the operator pinned, beside those that the issuer delegates to."""

    def encode(self) -> bytes:
        """Return the DER of the request.

        Source: RFC 6960 §4.1.1; RFC 9654 §2.1.
        """
        builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
            *self._issuer_hashes("sha1"),
            self.serial,
            hashes.SHA1(),  # noqa: S303 - names the certificate and proves nothing
        )
        if self.nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(self.nonce), critical=False)
        return builder.build().public_bytes(Encoding.DER)

    def is_about(self, single: ocsp.OCSPSingleResponse) -> bool:
        """Return whether a part of an answer is about this certificate."""
        name = single.hash_algorithm.name
        return (
            name in _HASHES
            and single.serial_number == self.serial
            and (single.issuer_name_hash, single.issuer_key_hash) == self._issuer_hashes(name)
        )

    def _issuer_hashes(self, name: str) -> tuple[bytes, bytes]:
        digest = _HASHES[name]
        return digest(self.issuer.subject.public_bytes()), digest(_key_bits(self.issuer))


def read_answer(
    raw: bytes,
    question: OCSPQuestion,
    *,
    now: datetime,
    is_good: IsGood,
    max_age: timedelta = MAX_AGE,
    strength: Strength = LOGIN_STRENGTH,
) -> OCSPAnswer:
    """Return what *raw* says of the certificate asked about, if it can be believed.

    :param now: aware UTC.
    :param is_good: asked only about a responder whose certificate does not say that nobody need
        look it up.
    :param max_age: for answers that do not say when the next one comes.
    :raises ValueError: for anything else; this is neither good nor revoked nor unknown.

    Source: RFC 6960 §3.2, §4.2.
    """
    if len(raw) > MAX_ANSWER_BYTES:
        raise ValueError(f"more than {MAX_ANSWER_BYTES} bytes")
    try:
        response = ocsp.load_der_ocsp_response(raw)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise ValueError(f"the responder answers {response.response_status.name}")
        _require_signer(response, question, now=now, is_good=is_good, strength=strength)
        _require_understood(response.extensions, OCSPExtensionOID.NONCE)
        _require_nonce(response, question)
        single = _the_single(response, question)
        answer = _answer(single)
    except (
        TypeError,  # of the library, for a name whose text is of a kind that no text has
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
        Warning,  # what the library only warns of is raised where warnings are errors
    ) as exc:
        raise ValueError(f"not a readable answer: {exc}") from exc
    _require_fresh(answer, produced_at=response.produced_at_utc, now=now, max_age=max_age)
    return answer


def _require_signer(
    response: ocsp.OCSPResponse,
    question: OCSPQuestion,
    *,
    now: datetime,
    is_good: IsGood,
    strength: Strength,
) -> None:
    """Refuse an answer that nobody signed who may answer for the issuer.

    Source: RFC 6960 §4.2.2.2.
    """
    sent = response.certificates
    if len(sent) > MAX_CERTIFICATES:
        raise ValueError(f"more than {MAX_CERTIFICATES} certificates")
    problem = ValueError("the certificate of the responder that it names is not at hand")
    for candidate in (question.issuer, *question.designated, *sent):
        if not _is_named(candidate, response):
            continue
        try:
            require_signed_bytes(
                response.tbs_response_bytes,
                response.signature,
                algorithm=response.signature_algorithm_oid,
                key=candidate.public_key(),
                strength=strength,
            )
            if candidate == question.issuer:
                return
            _require_in_time(candidate, now)
            if candidate not in question.designated:
                _require_delegate(candidate, question.issuer, is_good=is_good, strength=strength)
        except ValueError as exc:
            problem = exc
        else:
            return
    raise problem


def _is_named(candidate: x509.Certificate, response: ocsp.OCSPResponse) -> bool:
    if response.responder_name is not None:
        return is_same(candidate.subject, response.responder_name)
    return response.responder_key_hash == _HASHES["sha1"](_key_bits(candidate))


def _require_in_time(certificate: x509.Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise ValueError("the responder's certificate is not valid now")


def _require_delegate(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    *,
    is_good: IsGood,
    strength: Strength,
) -> None:
    """Refuse a responder to which *issuer* itself has not delegated its answers."""
    if not is_same(certificate.issuer, issuer.subject):
        raise ValueError("the responder's certificate is of another issuer")
    strength.require_signed(certificate, issuer)
    extensions = certificate.extensions
    for extension in extensions:
        if extension.critical and extension.oid not in _RESPONDER_EXTENSIONS:
            raise ValueError(
                f"the responder's certificate: extension {extension.oid.dotted_string}"
            )
    try:
        purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound as exc:
        raise ValueError("the responder's certificate is not for OCSP") from exc
    # anyExtendedKeyUsage is not enough: to answer for an authority must be said by name.
    if ExtendedKeyUsageOID.OCSP_SIGNING not in purposes:
        raise ValueError("the responder's certificate is not for OCSP")
    _require_signing_key(extensions)
    try:
        extensions.get_extension_for_class(x509.OCSPNoCheck)
    except x509.ExtensionNotFound as exc:
        if not is_good(certificate):
            raise ValueError("the responder's certificate is not known to be good") from exc


def _require_signing_key(extensions: x509.Extensions) -> None:
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not (usage.digital_signature or usage.content_commitment):
        raise ValueError("the responder's key is not for signatures")


def _require_nonce(response: ocsp.OCSPResponse, question: OCSPQuestion) -> None:
    """Refuse an answer to somebody else's question, or to one of long ago.

    Source: RFC 9654 §2.1.
    """
    if question.nonce is None:
        return
    try:
        nonce = response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound as exc:
        if question.nonce_required:
            raise ValueError("the nonce is missing") from exc
        return
    if not hmac.compare_digest(nonce, question.nonce):
        raise ValueError("the nonce is another one")


def _the_single(response: ocsp.OCSPResponse, question: OCSPQuestion) -> ocsp.OCSPSingleResponse:
    """Return the part that is about the certificate: the only one, or the one that says revoked.

    One question has one answer. Of several the extensions could not be told apart, so nothing good
    is taken from them.
    """
    singles = list(response.responses)
    about = [single for single in singles if question.is_about(single)]
    if not about:
        raise ValueError("the answer is about another certificate")
    for single in about:
        if single.certificate_status is ocsp.OCSPCertStatus.REVOKED:
            return single
    if len(singles) != 1:
        raise ValueError("several answers to one question")
    _require_understood(response.single_extensions)
    return about[0]


def _answer(single: ocsp.OCSPSingleResponse) -> OCSPAnswer:
    status = OCSPStatus[single.certificate_status.name]
    reason = single.revocation_reason
    if status is OCSPStatus.REVOKED:
        found = Reason.UNSPECIFIED if reason is None else reason_of(reason)
    else:
        found = None
    return OCSPAnswer(
        status=status,
        reason=found,
        this_update=single.this_update_utc,
        next_update=single.next_update_utc,
    )


def _require_fresh(
    answer: OCSPAnswer, *, produced_at: datetime, now: datetime, max_age: timedelta
) -> None:
    """Refuse an answer from the future or of the past, or one whose times contradict each other.

    Source: RFC 6960 §3.2 items 5 and 6, §4.2.2.1.
    """
    if not answer.this_update - CLOCK_SKEW <= produced_at <= now + CLOCK_SKEW:
        raise ValueError("made before what it tells, or in the future")
    if answer.this_update > now + CLOCK_SKEW:
        raise ValueError("true only in the future")
    end = answer.next_update
    if end is None:
        end = answer.this_update + max_age
    elif end < answer.this_update:
        raise ValueError("ends before it begins")
    if now > end + CLOCK_SKEW:
        raise ValueError("out of date")


def _require_understood(extensions: x509.Extensions, *known: x509.ObjectIdentifier) -> None:
    for extension in extensions:
        if extension.critical and extension.oid not in known:
            raise ValueError(f"extension {extension.oid.dotted_string} is not understood")


def _key_bits(certificate: x509.Certificate) -> bytes:
    """Return the contents of subjectPublicKey, of which a CertID has the hash."""
    encoded = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    _, bits = members(encoded)
    return decode(asn1.BitString, bits).as_bytes()
