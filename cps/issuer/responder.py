"""OCSP responders: what they know, and the answer to a request."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Protocol

from cryptography import x509
from cryptography.x509.oid import OCSPExtensionOID

from cps.issuer.extensions import AnyExtension, plain
from cps.issuer.hierarchy import Authority
from cps.issuer.ocsp_answer import (
    UNKNOWN,
    Answer,
    CertificateStatus,
    ResponseStatus,
    Signer,
    SingleAnswer,
    encode_answer,
    encode_failure,
)
from cps.issuer.ocsp_request import CertID, OCSPRequest, parse_request

_log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
StatusOf = Callable[[int], CertificateStatus]
"""Says how the certificate with a serial number stands."""

ANSWER_LIFETIME = timedelta(hours=4)
"""How long an answer is good for."""


class OCSPResponder(Protocol):
    """A responder for the certificates of one authority."""

    def serves(self, cert_id: CertID) -> bool:
        """Return whether that certificate's issuer is this responder's authority."""
        ...

    def respond(self, request: OCSPRequest) -> bytes:
        """Return the response to a request whose first certificate it serves."""
        ...


class Responder:
    """The responder of *authority*, honest and always ready."""

    def __init__(
        self,
        authority: Authority,
        *,
        status_of: StatusOf,
        clock: Clock,
        signer: Signer | None = None,
        by_name: bool = False,
    ) -> None:
        """Keep what answers are made of.

        :param signer: whom the authority delegates to; the authority itself where absent.
        :param by_name: whether answers name the signer by its name instead of by its key.
        """
        self._authority = authority
        self._status_of = status_of
        self._clock = clock
        self._delegate = signer
        self._by_name = by_name

    def serves(self, cert_id: CertID) -> bool:
        return cert_id.is_issued_by(self._authority.certificate)

    def respond(self, request: OCSPRequest) -> bytes:
        return encode_answer(self.compose(request))

    def compose(self, request: OCSPRequest) -> Answer:
        """Return the answer to *request* before it is signed."""
        now = self._clock().replace(microsecond=0)
        signer = self._delegate or Signer(
            certificate=self._authority.certificate, key=self._authority.key
        )
        return Answer(
            signer=signer,
            produced_at=now,
            singles=tuple(self._single(cert_id, now) for cert_id in request.cert_ids),
            extensions=_echoed(request.nonce),
            certificates=() if self._delegate is None else (self._delegate.certificate,),
            by_name=self._by_name,
        )

    def _single(self, cert_id: CertID, now: datetime) -> SingleAnswer:
        return SingleAnswer(
            cert_id=cert_id,
            status=self._status_of(cert_id.serial) if self.serves(cert_id) else UNKNOWN,
            this_update=now,
            next_update=now + ANSWER_LIFETIME,
        )


def answer_request(raw: bytes, responders: Iterable[OCSPResponder]) -> bytes:
    """Return the response of the responder that serves the first certificate asked for.

    :param raw: whatever came.
    """
    try:
        request = parse_request(raw)
    except ValueError as exc:
        _log.info("malformed OCSP request: %s", exc)
        return encode_failure(ResponseStatus.MALFORMED_REQUEST)
    for responder in responders:
        if responder.serves(request.cert_ids[0]):
            return responder.respond(request)
    return encode_failure(ResponseStatus.UNAUTHORIZED)


def _echoed(nonce: bytes | None) -> tuple[AnyExtension, ...]:
    if nonce is None:
        return ()
    return (plain(x509.UnrecognizedExtension(OCSPExtensionOID.NONCE, nonce)),)
