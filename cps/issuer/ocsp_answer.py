"""What an OCSP responder answers, as values and as DER."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum, unique

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from cps import tlv
from cps.issuer import der
from cps.issuer.extensions import AnyExtension
from cps.issuer.ocsp_request import CertID

BASIC = "1.3.6.1.5.5.7.48.1.1"
"""The one type of answer there is."""


@unique
class ResponseStatus(IntEnum):
    """What becomes of a request as a whole.

    Source: RFC 6960 §4.2.1.
    """

    SUCCESSFUL = 0
    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    SIG_REQUIRED = 5
    UNAUTHORIZED = 6


@unique
class Standing(Enum):
    """How a certificate stands; the value is the tag in the answer."""

    GOOD = 0x80
    REVOKED = 0xA1
    UNKNOWN = 0x82


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateStatus:
    """What is said of one certificate."""

    standing: Standing
    revoked_at: datetime | None = None
    """Aware; only for what is revoked."""
    reason: x509.ReasonFlags | None = None

    def encode(self) -> bytes:
        """Return the DER.

        Source: RFC 6960 §4.2.1, CertStatus.
        """
        if self.revoked_at is None:
            return tlv.encode(self.standing.value)
        reason = b"" if self.reason is None else x509.CRLReason(self.reason).public_bytes()
        return tlv.encode(
            self.standing.value,
            der.generalized_time(self.revoked_at),
            der.explicit(0, reason) if reason else b"",
        )


GOOD = CertificateStatus(standing=Standing.GOOD)
UNKNOWN = CertificateStatus(standing=Standing.UNKNOWN)


def revoked(at: datetime, reason: x509.ReasonFlags | None = None) -> CertificateStatus:
    """Return the status of what is revoked, or on hold where the reason says so.

    :param at: aware.
    """
    return CertificateStatus(standing=Standing.REVOKED, revoked_at=at, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signs answers."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleAnswer:
    """The part of an answer that is about one certificate."""

    cert_id: CertID
    status: CertificateStatus
    this_update: datetime
    """Aware."""
    next_update: datetime | None
    """Aware."""
    extensions: tuple[AnyExtension, ...] = ()

    def encode(self) -> bytes:
        """Return the DER.

        Source: RFC 6960 §4.2.1, SingleResponse.
        """
        next_update = b""
        if self.next_update is not None:
            next_update = der.explicit(0, der.generalized_time(self.next_update))
        return der.sequence(
            self.cert_id.encode(),
            self.status.encode(),
            der.generalized_time(self.this_update),
            next_update,
            der.explicit(1, der.extensions(self.extensions)) if self.extensions else b"",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A signed answer before it is signed."""

    signer: Signer
    produced_at: datetime
    """Aware."""
    singles: tuple[SingleAnswer, ...]
    extensions: tuple[AnyExtension, ...] = ()
    certificates: tuple[x509.Certificate, ...] = ()
    """What is sent along: the signer's certificate, unless the authority itself signs."""
    responder: x509.Certificate | None = None
    """Who is named as the signer, where that is not the signer."""
    by_name: bool = False
    """Whether the signer is named by its name; else by the hash of its key."""
    algorithm: der.SignatureAlgorithm = der.SignatureAlgorithm.RSA_SHA256
    kind: str = BASIC


def encode_answer(answer: Answer) -> bytes:
    """Return the DER of the whole response, signed.

    Source: RFC 6960 §4.2.1.
    """
    signed = der.sequence(
        _responder_id(answer),
        der.generalized_time(answer.produced_at),
        der.sequence(*(single.encode() for single in answer.singles)),
        der.explicit(1, der.extensions(answer.extensions)) if answer.extensions else b"",
    )
    certificates = [each.public_bytes(Encoding.DER) for each in answer.certificates]
    basic = der.sequence(
        signed,
        der.signature(signed, answer.signer.key, answer.algorithm),
        der.explicit(0, der.sequence(*certificates)) if certificates else b"",
    )
    content = der.sequence(der.object_identifier(answer.kind), der.octet_string(basic))
    return der.sequence(der.enumerated(ResponseStatus.SUCCESSFUL), der.explicit(0, content))


def encode_failure(status: int) -> bytes:
    """Return the DER of a response that answers nothing.

    :param status: one of :class:`ResponseStatus`, or another number below 128.
    """
    return der.sequence(der.enumerated(status))


def _responder_id(answer: Answer) -> bytes:
    responder = answer.responder or answer.signer.certificate
    if answer.by_name:
        return der.explicit(1, responder.subject.public_bytes())
    key = x509.SubjectKeyIdentifier.from_public_key(responder.public_key())
    return der.explicit(2, der.octet_string(key.digest))
