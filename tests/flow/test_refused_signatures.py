"""Refused logins: signatures that are real and were made for something else.

The attacker has an agent of his own and, for a moment, a real card whose PIN he knows.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from cps.authtoken.codes import ErrorCode
from cps.issuer.leaf import Purpose
from tests.support import cards, pki, rogue
from tests.support.line import Line
from tests.support.rogue import Signed

SIGNATURE_CERTIFICATE, TECHNICAL_CERTIFICATE = "3F000001C001", "3F000002C003"
OTHER_RID = "AAECAwQFBgcICQoLDA0ODw"


def certificate(path: str) -> bytes:
    """Return a certificate of the card."""
    return pki.der(cards.certificate_of(cards.image(), path))


def new_login(line: Line) -> Signed:
    """Return a login that was begun and claimed, with all its right values."""
    return rogue.claimed_login(line, line.browser().open("/_cps/login").rid)


Change = Callable[[Signed], Signed]

CHANGES: Mapping[str, tuple[Change, ErrorCode]] = {
    "nonce of nobody": (lambda s: replace(s, nonce=bytes(32)), ErrorCode.SIG_INVALID),
    "nonce of another login": (
        lambda s: replace(s, nonce=new_login(s.line).nonce),
        ErrorCode.SIG_INVALID,
    ),
    "another portal": (
        lambda s: replace(s, origin="https://portal.example"),
        ErrorCode.SIG_INVALID,
    ),
    "same host by http": (
        lambda s: replace(s, origin=s.origin.replace("https:", "http:")),
        ErrorCode.SIG_INVALID,
    ),
    "same host on another port": (
        lambda s: replace(s, origin="https://localhost"),
        ErrorCode.SIG_INVALID,
    ),
    "another request id": (
        lambda s: replace(s, rid=OTHER_RID, sent_rid=s.rid),
        ErrorCode.SIG_INVALID,
    ),
    "another agent's key": (lambda s: replace(s, key=rogue.new_key()), ErrorCode.SIG_INVALID),
    "another person's certificate in the token": (
        lambda s: replace(s, sent_certificate=pki.der(pki.leaf(pki.NURSE))),
        ErrorCode.SIG_INVALID,
    ),
    "another person's certificate in what was signed": (
        lambda s: replace(
            s, certificate=pki.der(pki.leaf(pki.NURSE)), sent_certificate=s.certificate
        ),
        ErrorCode.SIG_INVALID,
    ),
    "another certificate of the same key": (
        lambda s: replace(
            s, sent_certificate=pki.der(pki.leaf(leaf_key=cards.authentication_key()))
        ),
        ErrorCode.SIG_INVALID,
    ),
    "another card": (lambda s: replace(s, signer=pki.key("other card")), ErrorCode.SIG_INVALID),
    "the signature key": (
        lambda s: replace(s, signer=cards.signature_key()),
        ErrorCode.SIG_INVALID,
    ),
    "the signature key with its own certificate": (
        lambda s: replace(
            s, signer=cards.signature_key(), certificate=certificate(SIGNATURE_CERTIFICATE)
        ),
        ErrorCode.CERT_PURPOSE,
    ),
    "the contactless key, by an agent that says so": (
        lambda s: replace(
            s,
            signer=cards.technical_key(),
            certificate=certificate(TECHNICAL_CERTIFICATE),
            interface="contactless",
        ),
        ErrorCode.CARD_CONTACTLESS,
    ),
    "the contactless key, by an agent that lies": (
        lambda s: replace(
            s, signer=cards.technical_key(), certificate=certificate(TECHNICAL_CERTIFICATE)
        ),
        ErrorCode.CERT_PURPOSE,
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_signature_for_something_else_is_refused_and_ends_the_login(
    line: Line, case: str
) -> None:
    change, code = CHANGES[case]
    right = new_login(line)
    with line.nobody_gets_in():
        page = change(right).hand_in()
        assert page.error == code
        assert page.json.keys() == {"error", "ref"}
        line.require_dead(right.rid)
        assert right.hand_in().error == ErrorCode.RID_USED, "the right one comes too late"
    (entry,) = (e for e in line.audit("login_refused") if e["ref"] == page.json["ref"])
    assert (entry["reason"], entry["rid"]) == (code, right.rid)


def test_nothing_is_wrong_with_the_right_signature(line: Line) -> None:
    assert new_login(line).hand_in().status == 200


def test_two_logins_cannot_exchange_their_signatures(line: Line) -> None:
    mine, other = new_login(line), new_login(line)
    with line.nobody_gets_in():
        page = replace(mine, sent_rid=other.rid).hand_in()
    assert page.error == ErrorCode.SIG_INVALID
    line.require_dead(other.rid)
    assert mine.hand_in().status == 200, "the login whose signature it was is not touched"


@pytest.mark.parametrize("purpose", [Purpose.SIGNATURE, Purpose.TECHNICAL], ids=lambda p: p.value)
def test_a_card_whose_login_certificate_is_for_something_else_is_refused(
    line: Line, purpose: Purpose
) -> None:
    wrong = cards.credential(pki.DOCTOR, purpose, cards.authentication_key())
    browser = line.browser()
    login = browser.open("/_cps/login")
    with line.desk(cards.image(authentication=wrong)) as desk, line.nobody_gets_in():
        browser.to_agent(login, desk.port).require_failed(ErrorCode.CERT_PURPOSE)
    line.require_dead(login.rid)
