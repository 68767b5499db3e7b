"""Tokens and claims that no honest agent sends, over real sockets: a code each, nothing lost."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64_encode
from cps.authtoken.token import MAX_TOKEN_BYTES
from gateway.login.challenge import ChallengeState
from gateway.web.claim import MAX_CLAIM_BYTES
from tests.support import pki, rogue
from tests.support.browser import Page
from tests.support.line import CLAIM, TOKEN, Line
from tests.support.rogue import Signed

ABSENT = object()
AGENT_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
"""The public key of RFC 7515 §A.3.1."""

Make = Callable[[dict[str, object]], bytes]
"""Makes a body of the members of a right token."""


def with_member(name: str, value: object) -> Make:
    """Return what makes a token one of whose members is *value*, or absent."""

    def make(members: dict[str, object]) -> bytes:
        members[name] = value
        return dumped({key: each for key, each in members.items() if each is not ABSENT})

    return make


def dumped(members: object) -> bytes:
    return json.dumps(members).encode()


def text_changed(old: str, new: str) -> Make:
    """Return what makes a token in whose JSON text *old* became *new*."""

    def make(members: dict[str, object]) -> bytes:
        text = json.dumps(members)
        assert old in text
        return text.replace(old, new, 1).encode("utf-8", "surrogatepass")

    return make


UNREADABLE: Mapping[str, Make] = {
    "empty": lambda members: b"",
    "null": lambda members: b"null",
    "text": lambda members: b'"null"',
    "number": lambda members: b"1",
    "array": lambda members: b"[" + dumped(members) + b"]",
    "torn": lambda members: dumped(members)[:-1],
    "two objects": lambda members: dumped(members) * 2,
    "repeated member": text_changed('"format"', '"rid": "x", "format"'),
    "NaN": text_changed('"cps-gateway:1"', "NaN"),
    "Infinity": text_changed('"cps-gateway:1"', "-Infinity"),
    "number too large": text_changed('"cps-gateway:1"', "1e999"),
    "deep nesting": text_changed('"cps-gateway:1"', "[" * 2000 + "]" * 2000),
    "byte order mark": lambda members: b"\xef\xbb\xbf" + dumped(members),
    "UTF-16": lambda members: json.dumps(members).encode("utf-16"),
    "not UTF-8": lambda members: dumped(members).replace(b"cps-gateway", b"cps\xff"),
    "half a surrogate pair": text_changed("cps-gateway", "\\ud800"),
    "single quotes": lambda members: dumped(members).replace(b'"', b"'"),
}
"""What is not one JSON object: the login that it may mean is not known."""

MALFORMED: Mapping[str, Make] = {
    "no format": with_member("format", ABSENT),
    "unknown format": with_member("format", "cps-gateway:2"),
    "longer format": with_member("format", "cps-gateway:1.1"),
    "format of others": with_member("format", "web-eid:1"),
    "format as number": with_member("format", 1),
    "unknown member": with_member("origin", "https://localhost"),
    "no certificate": with_member("unverified_certificate", ABSENT),
    "certificate null": with_member("unverified_certificate", None),
    "certificate as array": with_member("unverified_certificate", ["MIIB"]),
    "certificate as number": with_member("unverified_certificate", 1),
    "certificate not base64": with_member("unverified_certificate", "§§§§"),
    "certificate base64 with a line break": with_member("unverified_certificate", "MIIB\nMIIB"),
    "no algorithm": with_member("algorithm", ABSENT),
    "algorithm empty": with_member("algorithm", ""),
    **{
        f"algorithm {name}": with_member("algorithm", name)
        for name in ("none", "rs256", "RS1", "HS256", "ES256", "PS256")
    },
    "no signature": with_member("signature", ABSENT),
    "signature empty": with_member("signature", ""),
    "signature as object": with_member("signature", {}),
    "signature too long": with_member("signature", b64_encode(bytes(1025))),
    "card missing": with_member("card", ABSENT),
    "card with more": with_member("card", {"interface": "contact", "atr": "3B00", "pin": "1"}),
    "card of no interface": with_member("card", {"interface": "both", "atr": "3B00"}),
    "ATR not hexadecimal": with_member("card", {"interface": "contact", "atr": "XY"}),
    "ATR too long": with_member("card", {"interface": "contact", "atr": "3B" * 34}),
    "version with a line break": with_member("agent_version", "0.1.0\n"),
    "version endless": with_member("agent_version", "0" * 65),
}
"""What names its login: that login is over."""


NO_CERTIFICATE: Mapping[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "noise": lambda: bytes(range(256)),
    "truncated": lambda: pki.der(pki.leaf())[:-1],
    "trailing byte": lambda: pki.der(pki.leaf()) + b"0",
    "two": lambda: pki.der(pki.leaf()) * 2,
    "PEM": lambda: pki.pem(pki.leaf()),
    "a revocation list": lambda: pki.der(pki.crl()),
}


@pytest.fixture
def right(line: Line) -> Signed:
    """Return a login that was claimed, with all its right values."""
    return rogue.claimed_login(line, line.browser().open("/_cps/login").rid)


def require_clean(page: Page) -> None:
    """Check that a refusal is code and incident as JSON, and nothing of our insides."""
    assert page.json.keys() == {"error", "ref"}
    assert page.one("Content-Type") == "application/json"
    assert page.one("Cache-Control") == "no-store"
    assert page.all("Set-Cookie") == []
    page.require_no_insides()


def require_works(line: Line) -> None:
    """Check that a new login is let in."""
    assert rogue.claimed_login(line, line.browser().open("/_cps/login").rid).hand_in().status == 200


def members_of(right: Signed) -> dict[str, object]:
    members = json.loads(right.token().to_json())
    assert isinstance(members, dict)
    return members


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_is_no_token_at_all_is_refused(line: Line, right: Signed, case: str) -> None:
    with line.nobody_gets_in():
        page = rogue.hand_in(line, UNREADABLE[case](members_of(right)))
    assert page.error == ErrorCode.TOKEN_MALFORMED
    assert page.status == 400
    require_clean(page)
    assert right.hand_in().status == 200, "nobody knows which login it was, so none is over"


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_token_is_refused_and_ends_its_login(
    line: Line, right: Signed, case: str
) -> None:
    with line.nobody_gets_in():
        page = rogue.hand_in(line, MALFORMED[case](members_of(right)))
        assert page.error == ErrorCode.TOKEN_MALFORMED
        require_clean(page)
        line.require_dead(right.rid)
        assert right.hand_in().error == ErrorCode.RID_USED
    require_works(line)


@pytest.mark.parametrize("case", NO_CERTIFICATE)
def test_a_token_without_one_certificate_is_refused(line: Line, right: Signed, case: str) -> None:
    with line.nobody_gets_in():
        page = replace(right, sent_certificate=NO_CERTIFICATE[case]()).hand_in()
        assert page.error == ErrorCode.CERT_MALFORMED
        require_clean(page)
        line.require_dead(right.rid)
    require_works(line)


@pytest.mark.parametrize("rid", ["", "A" * 21, "A" * 23, "é" * 22, "A" * 21 + "B", 7, None])
def test_a_token_of_no_login_is_refused(line: Line, right: Signed, rid: object) -> None:
    page = rogue.hand_in(line, with_member("rid", rid)(members_of(right)))
    assert page.error == ErrorCode.TOKEN_MALFORMED
    require_clean(page)
    assert right.hand_in().status == 200


def padded(body: bytes, size: int) -> bytes:
    """Return *body* with white space up to *size* bytes: the same JSON."""
    return body + b" " * (size - len(body))


def test_the_largest_token_is_taken_and_a_larger_one_is_not_read(line: Line, right: Signed) -> None:
    body = right.token().to_json()
    page = rogue.hand_in(line, padded(body, MAX_TOKEN_BYTES + 1))
    assert (page.status, page.error) == (413, ErrorCode.REQUEST_TOO_LARGE)
    require_clean(page)
    assert line.state(right.rid) is ChallengeState.CLAIMED
    assert rogue.hand_in(line, padded(body, MAX_TOKEN_BYTES)).status == 200


@pytest.mark.parametrize("path", [CLAIM, TOKEN], ids=["claim", "token"])
@pytest.mark.parametrize("size", [70_000, 3_000_000], ids=["70 kB", "3 MB"])
def test_a_huge_body_is_refused(line: Line, path: str, size: int) -> None:
    page = line.post(path, b"{" + b" " * size)
    assert (page.status, page.error) == (413, ErrorCode.REQUEST_TOO_LARGE)
    page.require_no_insides()
    require_works(line)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/json; charset=utf-16",
        "application/jsonp",
        "",
    ],
)
def test_another_content_type_is_refused_unread(
    line: Line, right: Signed, content_type: str
) -> None:
    page = line.post(TOKEN, right.token().to_json(), content_type=content_type)
    assert (page.status, page.error) == (400, ErrorCode.REQUEST_MALFORMED)
    require_clean(page)
    assert right.hand_in().status == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("v", 2, id="another version"),
        pytest.param("v", True, id="true for 1"),
        pytest.param("rid", "A", id="short request id"),
        pytest.param("rid", None, id="no request id"),
        pytest.param("jwk", {"kty": "EC"}, id="half a key"),
        pytest.param("jwk", {**AGENT_KEY, "d": "AA"}, id="a private key"),
        pytest.param("jwk", {**AGENT_KEY, "y": AGENT_KEY["x"]}, id="not on the curve"),
        pytest.param("agent", {"name": "cps"}, id="agent without version"),
        pytest.param("agent", {"name": "cps", "version": "1", "os": "x"}, id="short version"),
        pytest.param("nonce", "A", id="unknown member"),
    ],
)
def test_a_malformed_claim_is_refused_and_claims_nothing(
    line: Line, name: str, value: object
) -> None:
    rid = line.browser().open("/_cps/login").rid
    page = rogue.claim(line, rid, changes={name: value})
    assert (page.status, page.error) == (400, ErrorCode.REQUEST_MALFORMED)
    require_clean(page)
    assert rogue.claim(line, rid).status == 200


def test_a_claim_that_is_too_large_claims_nothing(line: Line) -> None:
    rid = line.browser().open("/_cps/login").rid
    page = rogue.claim(line, rid, changes={"padding": "x" * MAX_CLAIM_BYTES})
    assert (page.status, page.error) == (413, ErrorCode.REQUEST_TOO_LARGE)
    assert rogue.claim(line, rid).status == 200


def test_a_web_page_cannot_speak_for_an_agent(line: Line, right: Signed) -> None:
    for fields in ({"Origin": line.origin}, {"Sec-Fetch-Site": "same-origin"}):
        page = line.post(TOKEN, right.token().to_json(), fields=fields)
        assert (page.status, page.error) == (403, ErrorCode.REQUEST_FORBIDDEN)
    assert right.hand_in().status == 200
