from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from cps.issuer.extensions import UNKNOWN as UNKNOWN_EXTENSION
from cps.issuer.extensions import plain
from cps.issuer.ocsp_answer import UNKNOWN, Answer, encode_answer, revoked
from cps.issuer.ocsp_faults import TOLERABLE, OCSPFault
from cps.issuer.ocsp_request import parse_request
from cps.issuer.responder import Responder
from gateway.trust import ocsp as module
from gateway.trust.list_entries import Reason, reason_of
from gateway.trust.ocsp import (
    MAX_AGE,
    MAX_ANSWER_BYTES,
    NONCE_BYTES,
    OCSPAnswer,
    OCSPQuestion,
    OCSPStatus,
    read_answer,
)
from gateway.trust.revocation_list import CLOCK_SKEW
from tests.support import pki
from tests.support.responder import delegate, faulty_responder, responder

NONCE = bytes(range(NONCE_BYTES))
HOUR = timedelta(hours=1)
SERIAL = 0x1234


@cache
def leaf() -> x509.Certificate:
    return pki.leaf(serial=SERIAL)


def question(
    *,
    nonce: bytes | None = NONCE,
    nonce_required: bool = True,
    designated: tuple[x509.Certificate, ...] = (),
) -> OCSPQuestion:
    return OCSPQuestion(
        issuer=pki.hierarchy().intermediate.certificate,
        serial=SERIAL,
        nonce=nonce,
        nonce_required=nonce_required,
        designated=designated,
    )


def never(certificate: x509.Certificate) -> bool:
    raise AssertionError("nobody need look it up")


def read(
    raw: bytes,
    asked: OCSPQuestion | None = None,
    *,
    after: timedelta = timedelta(0),
    is_good: Callable[[x509.Certificate], bool] = never,
) -> OCSPAnswer:
    return read_answer(raw, asked or question(), now=pki.NOW + after, is_good=is_good)


def ask(answering: Responder, asked: OCSPQuestion | None = None) -> bytes:
    return answering.respond(parse_request((asked or question()).encode()))


def test_a_request_names_the_certificate_and_the_nonce() -> None:
    request = ocsp.load_der_ocsp_request(question().encode())
    assert request.serial_number == SERIAL
    assert request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == NONCE
    by_library = (
        ocsp.OCSPRequestBuilder()
        .add_certificate(leaf(), pki.hierarchy().intermediate.certificate, hashes.SHA1())  # noqa: S303 - as usual
        .add_extension(x509.OCSPNonce(NONCE), critical=False)
        .build()
        .public_bytes(Encoding.DER)
    )
    assert question().encode() == by_library


def test_a_request_without_nonce_has_no_extension() -> None:
    request = ocsp.load_der_ocsp_request(question(nonce=None).encode())
    assert list(request.extensions) == []


@pytest.mark.parametrize("by_name", [False, True], ids=["by key", "by name"])
@pytest.mark.parametrize("delegated", [False, True], ids=["issuer itself", "delegated"])
def test_a_good_answer_is_believed(delegated: bool, by_name: bool) -> None:
    signer = delegate() if delegated else None
    answer = read(ask(responder(signer=signer, by_name=by_name)))
    assert answer == OCSPAnswer(
        status=OCSPStatus.GOOD,
        reason=None,
        this_update=pki.NOW,
        next_update=pki.NOW + timedelta(hours=4),
    )


@pytest.mark.parametrize("reason", [None, *x509.ReasonFlags])
def test_a_revocation_is_told_with_its_reason(reason: x509.ReasonFlags | None) -> None:
    answer = read(ask(responder({SERIAL: revoked(pki.NOW - HOUR, reason)})))
    assert answer.status is OCSPStatus.REVOKED
    assert answer.reason is (Reason.UNSPECIFIED if reason is None else reason_of(reason))


def test_unknown_is_neither_good_nor_revoked() -> None:
    assert read(ask(responder({SERIAL: UNKNOWN}))).status is OCSPStatus.UNKNOWN


@pytest.mark.parametrize("fault", [each for each in OCSPFault if each not in TOLERABLE])
def test_an_answer_with_a_fault_is_not_believed(fault: OCSPFault) -> None:
    wrong = faulty_responder()
    wrong.fault = fault
    raw = wrong.respond(parse_request(question().encode()))
    if fault is OCSPFault.CONTRADICTION:
        # Good and revoked: revoked wins.
        assert read(raw).status is OCSPStatus.REVOKED
        return
    with pytest.raises(ValueError, match=r"."):
        read(raw, is_good=lambda _: True)


def tolerable(fault: OCSPFault) -> bytes:
    wrong = faulty_responder()
    wrong.fault = fault
    return wrong.respond(parse_request(question().encode()))


def test_a_certificate_too_many_does_no_harm() -> None:
    assert read(tolerable(OCSPFault.TWO_CERTIFICATES)).status is OCSPStatus.GOOD


def test_two_answers_to_one_question_are_not_taken_for_good() -> None:
    with pytest.raises(ValueError, match="several answers"):
        read(tolerable(OCSPFault.TWO_SINGLE_ANSWERS))


def test_an_answer_without_nonce_is_believed_only_where_the_operator_says_so() -> None:
    raw = tolerable(OCSPFault.NO_NONCE)
    with pytest.raises(ValueError, match="the nonce is missing"):
        read(raw)
    assert read(raw, question(nonce_required=False)).status is OCSPStatus.GOOD
    assert read(raw, question(nonce=None)).status is OCSPStatus.GOOD


def test_an_answer_with_another_nonce_is_never_believed() -> None:
    raw = tolerable(OCSPFault.WRONG_NONCE)
    for required in (True, False):
        with pytest.raises(ValueError, match="another one"):
            read(raw, question(nonce_required=required))


@pytest.mark.parametrize(
    ("after", "fresh"),
    [
        pytest.param(-CLOCK_SKEW, True, id="our clock behind"),
        pytest.param(-CLOCK_SKEW - timedelta(seconds=1), False, id="in the future"),
        pytest.param(4 * HOUR + CLOCK_SKEW, True, id="just over"),
        pytest.param(4 * HOUR + CLOCK_SKEW + timedelta(seconds=1), False, id="out of date"),
    ],
)
def test_an_answer_counts_in_its_time_and_five_minutes_around(
    after: timedelta, fresh: bool
) -> None:
    raw = ask(responder())
    if fresh:
        assert read(raw, after=after).status is OCSPStatus.GOOD
    else:
        with pytest.raises(ValueError, match=r"future|out of date"):
            read(raw, after=after)


def without_end() -> bytes:
    answer = responder().compose(parse_request(question().encode()))
    singles = tuple(replace(single, next_update=None) for single in answer.singles)
    return encode_answer(replace(answer, singles=singles))


def test_an_answer_without_end_counts_for_an_hour() -> None:
    assert timedelta(hours=1) == MAX_AGE
    assert read(without_end(), after=MAX_AGE + CLOCK_SKEW).next_update is None
    with pytest.raises(ValueError, match="out of date"):
        read(without_end(), after=MAX_AGE + CLOCK_SKEW + timedelta(seconds=1))


@pytest.mark.parametrize("good", [True, False])
def test_a_responder_that_can_be_revoked_is_looked_up(good: bool) -> None:
    signer = delegate(no_check=False)
    raw = ask(responder(signer=signer))
    looked_up = []

    def is_good(certificate: x509.Certificate) -> bool:
        looked_up.append(certificate)
        return good

    if good:
        assert read(raw, is_good=is_good).status is OCSPStatus.GOOD
    else:
        with pytest.raises(ValueError, match="not known to be good"):
            read(raw, is_good=is_good)
    assert looked_up == [signer.certificate]


def test_a_responder_of_the_root_is_believed_only_if_the_operator_pinned_it() -> None:
    signer = delegate(of_root=True)
    raw = ask(responder(signer=signer))
    with pytest.raises(ValueError, match="another issuer"):
        read(raw)
    pinned = question(designated=(signer.certificate,))
    assert read(raw, pinned).status is OCSPStatus.GOOD
    with pytest.raises(ValueError, match="not valid now"):
        read(raw, pinned, after=timedelta(days=400))


def test_to_pin_one_responder_is_to_believe_no_other() -> None:
    pinned = question(designated=(delegate(of_root=True).certificate,))
    for fault in (OCSPFault.ROOT_ITSELF, OCSPFault.SELF_SIGNED_RESPONDER):
        with pytest.raises(ValueError, match=r"."):
            read(tolerable(fault), pinned)


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
def test_a_certificate_may_be_named_by_a_better_hash(name: str) -> None:
    algorithm = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
    issuer = pki.hierarchy().intermediate.certificate
    request = (
        ocsp.OCSPRequestBuilder()
        .add_certificate(leaf(), issuer, algorithm[name])
        .build()
        .public_bytes(Encoding.DER)
    )
    raw = responder().respond(parse_request(request))
    assert read(raw, question(nonce=None)).status is OCSPStatus.GOOD


def test_an_answer_of_another_authority_about_the_same_serial_number_says_nothing() -> None:
    other = pki.sibling_intermediate()
    raw = ask(
        responder(authority=other),
        replace(question(), issuer=other.certificate),
    )
    with pytest.raises(ValueError, match=r"."):
        read(raw)


def test_a_large_answer_is_not_read() -> None:
    with pytest.raises(ValueError, match="more than 65536 bytes"):
        read(ask(responder()).ljust(MAX_ANSWER_BYTES + 1, b"\0"))


def test_many_certificates_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tolerable(OCSPFault.TWO_CERTIFICATES)
    monkeypatch.setattr(module, "MAX_CERTIFICATES", 1)
    with pytest.raises(ValueError, match="more than 1 certificates"):
        read(raw)


@cache
def good_answer() -> bytes:
    return ask(responder(signer=delegate()))


@given(at=st.integers(0, 9999), flip=st.integers(1, 255))
def test_damage_never_makes_an_answer_good_that_is_not(at: int, flip: int) -> None:
    bad = bytearray(revoked_answer())
    bad[at % len(bad)] ^= flip
    try:
        answer = read(bytes(bad), is_good=lambda _: True)
    except ValueError:
        return
    assert answer.status is OCSPStatus.REVOKED


@cache
def revoked_answer() -> bytes:
    return ask(responder({SERIAL: revoked(pki.NOW - HOUR)}, signer=delegate()))


@given(size=st.integers(0, 9999))
def test_a_truncated_answer_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(good_answer()[: size % len(good_answer())])


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(raw)


def changed(change: Callable[[Answer], Answer]) -> bytes:
    """Return a good answer that was changed before it was signed."""
    return encode_answer(change(responder().compose(parse_request(question().encode()))))


def with_times(this_update: timedelta, next_update: timedelta, produced_at: timedelta) -> bytes:
    """Return an answer with these times, each as far from now."""
    return changed(
        lambda answer: replace(
            answer,
            produced_at=pki.NOW + produced_at,
            singles=tuple(
                replace(
                    single,
                    this_update=pki.NOW + this_update,
                    next_update=pki.NOW + next_update,
                )
                for single in answer.singles
            ),
        )
    )


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("this_update", "next_update", "produced_at", "problem"),
    [
        pytest.param(8 * MINUTE, HOUR, 4 * MINUTE, "only in the future", id="future"),
        pytest.param(timedelta(0), -MINUTE, timedelta(0), "before it begins", id="contradiction"),
        pytest.param(HOUR, 2 * HOUR, timedelta(0), "before what it tells", id="made too early"),
        pytest.param(timedelta(0), HOUR, 6 * MINUTE, "in the future", id="made in the future"),
    ],
)
def test_times_that_cannot_be_are_refused_even_within_the_skew(
    this_update: timedelta, next_update: timedelta, produced_at: timedelta, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        read(with_times(this_update, next_update, produced_at))


def test_an_answer_may_end_as_it_begins() -> None:
    raw = with_times(timedelta(0), timedelta(0), timedelta(0))
    assert read(raw).status is OCSPStatus.GOOD


def test_an_unknown_extension_that_is_not_critical_does_no_harm() -> None:
    raw = changed(
        lambda answer: replace(
            answer,
            extensions=(*answer.extensions, plain(UNKNOWN_EXTENSION)),
            singles=tuple(
                replace(single, extensions=(plain(UNKNOWN_EXTENSION),)) for single in answer.singles
            ),
        )
    )
    assert read(raw).status is OCSPStatus.GOOD


def test_an_extension_that_stands_twice_is_refused() -> None:
    raw = changed(lambda answer: replace(answer, extensions=answer.extensions * 2))
    with pytest.raises(ValueError, match="not a readable answer"):
        read(raw)


def test_a_nonce_is_required_unless_somebody_says_otherwise() -> None:
    asked = OCSPQuestion(
        issuer=pki.hierarchy().intermediate.certificate, serial=SERIAL, nonce=NONCE
    )
    with pytest.raises(ValueError, match="the nonce is missing"):
        read(tolerable(OCSPFault.NO_NONCE), asked)
