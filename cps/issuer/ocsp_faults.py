"""OCSP answers with one fault each, for whoever has to refuse them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto, unique
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, OCSPExtensionOID

from cps.issuer import der
from cps.issuer.extensions import UNKNOWN as UNKNOWN_EXTENSION
from cps.issuer.extensions import AnyExtension, critical, key_usage, plain
from cps.issuer.hierarchy import Authority
from cps.issuer.ocsp_answer import (
    GOOD,
    Answer,
    ResponseStatus,
    Signer,
    SingleAnswer,
    encode_answer,
    encode_failure,
    revoked,
)
from cps.issuer.ocsp_request import CertID, OCSPRequest
from cps.issuer.responder import Responder
from cps.issuer.responder_certificate import create_signer

FAR = timedelta(days=30)
"""How far a wrong time is from the right one."""
UNDEFINED_STATUS = 4
OTHER_KIND = "1.3.6.1.4.1.32473.2"
"""A type of answer that nobody knows: its arc is reserved for examples (RFC 5612)."""


@unique
class OCSPFault(Enum):
    """What is wrong with an answer; each must be refused, but for :data:`TOLERABLE`."""

    # The nonce.
    NO_NONCE = auto()
    WRONG_NONCE = auto()

    # Whom the answer is about.
    WRONG_SERIAL = auto()
    WRONG_ISSUER = auto()
    NO_SINGLE_ANSWER = auto()
    TWO_SINGLE_ANSWERS = auto()
    """The same one twice."""
    CONTRADICTION = auto()
    """Two for one certificate: good and revoked."""

    # Times.
    FUTURE_THIS_UPDATE = auto()
    PAST_NEXT_UPDATE = auto()
    NEXT_BEFORE_THIS = auto()
    NO_NEXT_UPDATE = auto()
    """And 30 days old."""
    FUTURE_PRODUCED_AT = auto()
    OLD_PRODUCED_AT = auto()
    """30 days before the status it tells."""

    # Extensions.
    UNKNOWN_CRITICAL_EXTENSION = auto()
    UNKNOWN_CRITICAL_SINGLE_EXTENSION = auto()

    # The signature.
    BAD_SIGNATURE = auto()
    SHA1_SIGNATURE = auto()
    UNKNOWN_ALGORITHM = auto()
    """Signed over SHA3-256."""

    # Who signs.
    WRONG_RESPONDER_ID = auto()
    NO_CERTIFICATE = auto()
    """That of the delegated responder is not sent along."""
    TWO_CERTIFICATES = auto()
    """Another responder's is sent along too, before the right one."""
    SIBLING_RESPONDER = auto()
    """Delegated by an authority of the same root and name, with another key."""
    SIBLING_ITSELF = auto()
    ROOT_RESPONDER = auto()
    """Delegated by the authority above."""
    ROOT_ITSELF = auto()
    UNTRUSTED_RESPONDER = auto()
    """Delegated by an authority with our names under a root with our name, and other keys."""
    SELF_SIGNED_RESPONDER = auto()
    EXPIRED_RESPONDER = auto()
    FUTURE_RESPONDER = auto()
    NO_PURPOSE = auto()
    """The responder's certificate has no extended key usage."""
    OTHER_PURPOSE = auto()
    """It has that of a card."""
    ANY_PURPOSE = auto()
    """It has anyExtendedKeyUsage alone."""
    OTHER_KEY_USAGE = auto()
    """Its key may only encipher."""
    UNKNOWN_CRITICAL_IN_RESPONDER = auto()

    # The response as a whole.
    MALFORMED_REQUEST = auto()
    INTERNAL_ERROR = auto()
    TRY_LATER = auto()
    SIG_REQUIRED = auto()
    UNAUTHORIZED = auto()
    UNDEFINED_STATUS = auto()
    NO_ANSWER = auto()
    """Successful, but there is nothing in it."""
    NOT_BASIC = auto()
    """An answer of another type."""
    WRONG_TAG = auto()
    """The status is an INTEGER."""
    TRUNCATED = auto()
    TRAILING_BYTES = auto()
    NOT_DER = auto()
    """A web page, as a captive portal sends it."""
    EMPTY = auto()


TOLERABLE = frozenset(
    {OCSPFault.NO_NONCE, OCSPFault.TWO_SINGLE_ANSWERS, OCSPFault.TWO_CERTIFICATES}
)
"""What the standard lets a client accept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Who else signs, and when: what wrong signers are made of."""

    authority: Authority
    """Whose certificates the answers are about."""
    root: Authority
    """The one above it."""
    sibling: Authority
    """Another one under that root, with the same name and another key."""
    stranger: Authority
    """One with the same names and keys of its own, under a root that nobody trusts."""
    key: rsa.RSAPrivateKey
    """For the certificates of wrong responders; no other responder has it."""
    now: datetime
    """Aware."""


class FaultyResponder:
    """A responder that answers wrongly as long as :attr:`fault` says how."""

    def __init__(self, responder: Responder, surroundings: Surroundings) -> None:
        self.fault: OCSPFault | None = None
        self._responder = responder
        self._surroundings = surroundings

    def serves(self, cert_id: CertID) -> bool:
        return self._responder.serves(cert_id)

    def respond(self, request: OCSPRequest) -> bytes:
        answer = self._responder.compose(request)
        if self.fault is None:
            return encode_answer(answer)
        return faulty_answer(answer, self.fault, self._surroundings)


def faulty_answer(answer: Answer, fault: OCSPFault, surroundings: Surroundings) -> bytes:
    """Return the response with *answer*, but for one fault.

    :param answer: good, about one certificate, with a nonce.
    """
    return _FAULTS[fault](answer, surroundings)


Make = Callable[[Answer, Surroundings], bytes]
"""Makes a response of the good answer."""


def _changed(change: Callable[[Answer], Answer]) -> Make:
    return lambda answer, _: encode_answer(change(answer))


def _damaged(change: Callable[[bytes], bytes]) -> Make:
    return lambda answer, _: change(encode_answer(answer))


def _failed(status: int) -> Make:
    return lambda *_: encode_failure(status)


def _single(change: Callable[[SingleAnswer], SingleAnswer]) -> Make:
    """Return what changes each part of the answer that is about one certificate."""
    return _changed(lambda answer: replace(answer, singles=tuple(map(change, answer.singles))))


def _signed_by(signer: Callable[[Surroundings], Signer]) -> Make:
    """Return what lets a delegated responder sign, and sends its certificate along."""

    def make(answer: Answer, surroundings: Surroundings) -> bytes:
        other = signer(surroundings)
        return encode_answer(replace(answer, signer=other, certificates=(other.certificate,)))

    return make


def _delegated_by(authority: Callable[[Surroundings], Authority]) -> Make:
    return _signed_by(
        lambda around: create_signer(authority(around), around.key, not_before=around.now - FAR)
    )


def _delegated(
    *,
    start: timedelta = -FAR,
    end: timedelta = FAR,
    omitted: tuple[x509.ObjectIdentifier, ...] = (),
    replaced: tuple[AnyExtension, ...] = (),
) -> Make:
    """Return what lets a responder sign whose certificate by our authority has a fault."""
    return _signed_by(
        lambda around: create_signer(
            around.authority,
            around.key,
            not_before=around.now + start,
            not_after=around.now + end,
            omitted=omitted,
            replaced=replaced,
        )
    )


def _with_purpose(purpose: x509.ObjectIdentifier) -> Make:
    return _delegated(replaced=(plain(x509.ExtendedKeyUsage([purpose])),))


def _itself(authority: Callable[[Surroundings], Authority]) -> Make:
    return _signed_by(
        lambda around: Signer(certificate=authority(around).certificate, key=authority(around).key)
    )


def _self_signed(surroundings: Surroundings) -> Signer:
    own = replace(surroundings.authority, key=surroundings.key)
    return create_signer(own, surroundings.key, not_before=surroundings.now - FAR)


def _bad_signature(answer: Answer, surroundings: Surroundings) -> bytes:
    signer = replace(answer.signer, key=surroundings.stranger.key)
    return encode_answer(replace(answer, signer=signer))


def _wrong_responder_id(answer: Answer, surroundings: Surroundings) -> bytes:
    return encode_answer(replace(answer, responder=surroundings.stranger.certificate))


def _two_certificates(answer: Answer, surroundings: Surroundings) -> bytes:
    other = create_signer(
        surroundings.authority, surroundings.key, not_before=surroundings.now - FAR
    )
    certificates = (other.certificate, *answer.certificates)
    return encode_answer(replace(answer, certificates=certificates))


def _with_nonce(answer: Answer, change: Callable[[bytes], bytes]) -> Answer:
    """Return *answer* with another nonce, or with one where it has none."""
    others = [each for each in answer.extensions if each.oid != OCSPExtensionOID.NONCE]
    value = next(
        (
            each.value.public_bytes()
            for each in answer.extensions
            if each.oid == OCSPExtensionOID.NONCE
        ),
        der.octet_string(bytes(32)),
    )
    nonce = x509.UnrecognizedExtension(OCSPExtensionOID.NONCE, change(value))
    return replace(answer, extensions=(*others, plain(nonce)))


def _without_nonce(answer: Answer) -> Answer:
    others = (each for each in answer.extensions if each.oid != OCSPExtensionOID.NONCE)
    return replace(answer, extensions=tuple(others))


def _last_bit_changed(value: bytes) -> bytes:
    return value[:-1] + bytes((value[-1] ^ 1,))


def _other_serial(single: SingleAnswer) -> SingleAnswer:
    cert_id = replace(single.cert_id, serial=single.cert_id.serial + 1)
    return replace(single, cert_id=cert_id)


def _other_issuer(single: SingleAnswer) -> SingleAnswer:
    key_hash = _last_bit_changed(single.cert_id.key_hash)
    return replace(single, cert_id=replace(single.cert_id, key_hash=key_hash))


def _contradiction(answer: Answer) -> Answer:
    first = answer.singles[0]
    bad = revoked(first.this_update - timedelta(days=1), x509.ReasonFlags.key_compromise)
    return replace(answer, singles=(replace(first, status=GOOD), replace(first, status=bad)))


def _moved(single: SingleAnswer, distance: timedelta) -> SingleAnswer:
    start = single.this_update + distance
    return replace(single, this_update=start, next_update=start + timedelta(hours=1))


_FAULTS: Mapping[OCSPFault, Make] = MappingProxyType(
    {
        OCSPFault.NO_NONCE: _changed(_without_nonce),
        OCSPFault.WRONG_NONCE: _changed(lambda answer: _with_nonce(answer, _last_bit_changed)),
        OCSPFault.WRONG_SERIAL: _single(_other_serial),
        OCSPFault.WRONG_ISSUER: _single(_other_issuer),
        OCSPFault.NO_SINGLE_ANSWER: _changed(lambda answer: replace(answer, singles=())),
        OCSPFault.TWO_SINGLE_ANSWERS: _changed(
            lambda answer: replace(answer, singles=answer.singles * 2)
        ),
        OCSPFault.CONTRADICTION: _changed(_contradiction),
        OCSPFault.FUTURE_THIS_UPDATE: _single(lambda single: _moved(single, FAR)),
        OCSPFault.PAST_NEXT_UPDATE: _single(lambda single: _moved(single, -FAR)),
        OCSPFault.NEXT_BEFORE_THIS: _single(
            lambda single: replace(single, next_update=single.this_update - timedelta(hours=1))
        ),
        OCSPFault.NO_NEXT_UPDATE: _single(
            lambda single: replace(_moved(single, -FAR), next_update=None)
        ),
        OCSPFault.FUTURE_PRODUCED_AT: _changed(
            lambda answer: replace(answer, produced_at=answer.produced_at + FAR)
        ),
        OCSPFault.OLD_PRODUCED_AT: _changed(
            lambda answer: replace(answer, produced_at=answer.produced_at - FAR)
        ),
        OCSPFault.UNKNOWN_CRITICAL_EXTENSION: _changed(
            lambda answer: replace(
                answer, extensions=(*answer.extensions, critical(UNKNOWN_EXTENSION))
            )
        ),
        OCSPFault.UNKNOWN_CRITICAL_SINGLE_EXTENSION: _single(
            lambda single: replace(single, extensions=(critical(UNKNOWN_EXTENSION),))
        ),
        OCSPFault.BAD_SIGNATURE: _bad_signature,
        OCSPFault.SHA1_SIGNATURE: _changed(
            lambda answer: replace(answer, algorithm=der.SignatureAlgorithm.RSA_SHA1)
        ),
        OCSPFault.UNKNOWN_ALGORITHM: _changed(
            lambda answer: replace(answer, algorithm=der.SignatureAlgorithm.RSA_SHA3_256)
        ),
        OCSPFault.WRONG_RESPONDER_ID: _wrong_responder_id,
        OCSPFault.NO_CERTIFICATE: _changed(lambda answer: replace(answer, certificates=())),
        OCSPFault.TWO_CERTIFICATES: _two_certificates,
        OCSPFault.SIBLING_RESPONDER: _delegated_by(lambda around: around.sibling),
        OCSPFault.SIBLING_ITSELF: _itself(lambda around: around.sibling),
        OCSPFault.ROOT_RESPONDER: _delegated_by(lambda around: around.root),
        OCSPFault.ROOT_ITSELF: _itself(lambda around: around.root),
        OCSPFault.UNTRUSTED_RESPONDER: _delegated_by(lambda around: around.stranger),
        OCSPFault.SELF_SIGNED_RESPONDER: _signed_by(_self_signed),
        OCSPFault.EXPIRED_RESPONDER: _delegated(start=-2 * FAR, end=-FAR),
        OCSPFault.FUTURE_RESPONDER: _delegated(start=FAR, end=2 * FAR),
        OCSPFault.NO_PURPOSE: _delegated(omitted=(x509.ExtendedKeyUsage.oid,)),
        OCSPFault.OTHER_PURPOSE: _with_purpose(ExtendedKeyUsageOID.CLIENT_AUTH),
        OCSPFault.ANY_PURPOSE: _with_purpose(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE),
        OCSPFault.OTHER_KEY_USAGE: _delegated(
            replaced=(critical(key_usage(key_encipherment=True)),)
        ),
        OCSPFault.UNKNOWN_CRITICAL_IN_RESPONDER: _delegated(
            replaced=(critical(UNKNOWN_EXTENSION),)
        ),
        OCSPFault.MALFORMED_REQUEST: _failed(ResponseStatus.MALFORMED_REQUEST),
        OCSPFault.INTERNAL_ERROR: _failed(ResponseStatus.INTERNAL_ERROR),
        OCSPFault.TRY_LATER: _failed(ResponseStatus.TRY_LATER),
        OCSPFault.SIG_REQUIRED: _failed(ResponseStatus.SIG_REQUIRED),
        OCSPFault.UNAUTHORIZED: _failed(ResponseStatus.UNAUTHORIZED),
        OCSPFault.UNDEFINED_STATUS: _failed(UNDEFINED_STATUS),
        OCSPFault.NO_ANSWER: _failed(ResponseStatus.SUCCESSFUL),
        OCSPFault.NOT_BASIC: _changed(lambda answer: replace(answer, kind=OTHER_KIND)),
        OCSPFault.WRONG_TAG: _damaged(
            lambda whole: whole.replace(der.enumerated(0), der.integer(0), 1)
        ),
        OCSPFault.TRUNCATED: _damaged(lambda whole: whole[: len(whole) // 2]),
        OCSPFault.TRAILING_BYTES: _damaged(lambda whole: whole + der.null()),
        OCSPFault.NOT_DER: _damaged(lambda _: b"<!doctype html><title>Wi-Fi</title>"),
        OCSPFault.EMPTY: _damaged(lambda _: b""),
    }
)
