"""OCSP responders of the test hierarchy, honest and wrong, at the fixed clock."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from cps.issuer.hierarchy import Authority
from cps.issuer.ocsp_answer import GOOD, CertificateStatus, Signer
from cps.issuer.ocsp_faults import FaultyResponder, Surroundings
from cps.issuer.responder import Responder
from cps.issuer.responder_certificate import create_signer
from tests.support import pki

NONCE = bytes(range(32))


@cache
def delegate(*, of_root: bool = False, no_check: bool = True) -> Signer:
    """Return the responder to which our intermediate, or our root, delegates its answers.

    :param no_check: whether its certificate says that nobody needs to look it up.
    """
    ours = pki.hierarchy()
    return create_signer(
        ours.root if of_root else ours.intermediate,
        pki.key("responder"),
        not_before=pki.NOW - timedelta(days=30),
        omitted=() if no_check else (x509.OCSPNoCheck.oid,),
    )


@cache
def surroundings() -> Surroundings:
    """Return who else could sign answers about certificates of our intermediate."""
    ours = pki.hierarchy()
    return Surroundings(
        authority=ours.intermediate,
        root=ours.root,
        sibling=pki.sibling_intermediate(),
        stranger=pki.foreign_hierarchy().intermediate,
        key=pki.key("wrong responder"),
        now=pki.NOW,
    )


def responder(
    statuses: Mapping[int, CertificateStatus] | None = None,
    *,
    authority: Authority | None = None,
    signer: Signer | None = None,
    clock: Callable[[], datetime] = lambda: pki.NOW,
    by_name: bool = False,
) -> Responder:
    """Return a responder of *authority*, our intermediate where absent.

    :param statuses: by serial number; what is not there is good.
    :param signer: the authority itself where absent; :func:`delegate` for a delegated one.
    """
    known = {} if statuses is None else statuses
    return Responder(
        authority or pki.hierarchy().intermediate,
        status_of=lambda serial: known.get(serial, GOOD),
        clock=clock,
        signer=signer,
        by_name=by_name,
    )


def faulty_responder(
    statuses: Mapping[int, CertificateStatus] | None = None,
    *,
    clock: Callable[[], datetime] = lambda: pki.NOW,
) -> FaultyResponder:
    """Return a delegated responder whose ``fault`` can be set."""
    honest = responder(statuses, signer=delegate(), clock=clock)
    return FaultyResponder(honest, surroundings())


def question(
    certificate: x509.Certificate,
    *,
    issuer: Authority | None = None,
    nonce: bytes | None = NONCE,
    algorithm: hashes.HashAlgorithm | None = None,
) -> bytes:
    """Return a request, made by a library that is not ours.

    :param issuer: our intermediate where absent.
    :param algorithm: of the two hashes in the identifier; SHA-1 where absent, as everywhere.
    """
    authority = (issuer or pki.hierarchy().intermediate).certificate
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        certificate,
        authority,
        algorithm or hashes.SHA1(),  # noqa: S303 - what every client uses, and nobody trusts
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)
