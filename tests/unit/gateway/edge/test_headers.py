import dataclasses
import re
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edge.headers import (
    RawFields,
    content_length,
    control_plane_fields,
    passed_request_fields,
    passed_response_fields,
    portal_fields,
    text_of,
    values_of,
    withheld_pattern,
    without_handshake,
)
from gateway.errors import UpstreamError
from gateway.identity import VerifiedIdentity
from gateway.session.model import Session
from tests.support.relay import PERSON, new_agent_key

COOKIE = b"__Host-cps-session=" + b"A" * 43


def _session(identity: VerifiedIdentity = PERSON) -> Session:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    return Session(
        key=b"k" * 32, identity=identity, agent_key=new_agent_key(), created_at=now, seen_at=now
    )


def _to_portal(fields: list[tuple[bytes, bytes]], peer: str = "192.0.2.7") -> dict[str, list[str]]:
    passed: dict[str, list[str]] = {}
    for name, value in portal_fields(
        fields, _session(), assertion="signed", host="portal.example", scheme="https", peer=peer
    ):
        passed.setdefault(name.lower(), []).append(value)
    return passed


def test_ordinary_fields_pass_with_their_repetitions() -> None:
    fields = [(b"Accept", b"a"), (b"X-Custom", b"1"), (b"x-custom", b"2"), (b"Range", b"bytes=0-")]
    assert passed_request_fields(fields) == [
        ("Accept", "a"),
        ("X-Custom", "1"),
        ("x-custom", "2"),
        ("Range", "bytes=0-"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Proxy-Connection",
    ],
)
def test_fields_of_one_connection_do_not_pass(name: str) -> None:
    assert passed_request_fields([(name.encode(), b"x")]) == []
    assert passed_response_fields([(name.encode(), b"x")], own_cookies=True) == []


def test_fields_named_by_connection_do_not_pass() -> None:
    fields = [(b"Connection", b"close, X-Hop"), (b"x-hop", b"1"), (b"X-Stay", b"2")]
    assert passed_request_fields(fields) == [("X-Stay", "2")]
    assert passed_response_fields(fields, own_cookies=False) == [("X-Stay", "2")]


@pytest.mark.parametrize(
    "value",
    [
        b"NTLM YQ==",
        b"negotiate YQ==",
        b"Negotiate",
        b"\tNegotiate YQ==",
        b"NTLM\tYQ==",
        b"Basic YQ==,NTLM YQ==",
    ],
    ids=repr,
)
def test_what_logs_a_shared_connection_in_does_not_pass(value: bytes) -> None:
    assert passed_request_fields([(b"authorization", value)]) == []


@pytest.mark.parametrize("value", [b"Basic YQ==", b"Bearer NTLM", b"Negotiate-2 x"], ids=repr)
def test_what_logs_one_request_in_passes(value: bytes) -> None:
    fields = [("Authorization", value.decode())]
    assert passed_request_fields([(b"Authorization", value)]) == fields


CLAIMS = [
    "x-cps-subject",
    "x-forwarded-for",
    "forwarded",
    "client-cert",
    "remote-user",
    "x-ssl-cert",
]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(CLAIMS), st.data())
def test_no_spelling_of_a_claim_passes(claim: str, data: st.DataObject) -> None:
    spelt = "".join(
        data.draw(st.sampled_from("-_.~!" if c == "-" else c.lower() + c.upper())) for c in claim
    )
    assert passed_request_fields([(spelt.encode(), b"evil")]) == []


def test_the_portal_learns_who_is_in() -> None:
    passed = _to_portal([])
    assert passed["x-cps-subject"] == ["899900000013"]
    assert passed["x-cps-name"] == ["CAMILLE%20%C3%89XEMPLE"]
    assert unquote(passed["x-cps-name"][0]) == "CAMILLE ÉXEMPLE"
    assert passed["x-cps-profession"] == ["10"]
    assert passed["x-cps-card-type"] == ["CPS"]
    assert passed["x-cps-assertion"] == ["signed"]


def test_a_card_without_profession_leaves_no_field_for_one() -> None:
    session = _session(dataclasses.replace(PERSON, profession=None))
    fields = portal_fields(
        [(b"X-CPS-Profession", b"10")],
        session,
        assertion="signed",
        host="h",
        scheme="https",
        peer="::1",
    )
    assert "x-cps-profession" not in [name.lower() for name, _ in fields]


@pytest.mark.parametrize(
    ("peer", "node"), [("192.0.2.7", "192.0.2.7"), ("2001:db8::1", '"[2001:db8::1]"')]
)
def test_the_portal_learns_how_the_request_came(peer: str, node: str) -> None:
    passed = _to_portal([], peer)
    assert passed["host"] == ["portal.example"]
    assert passed["forwarded"] == [f'for={node};host="portal.example";proto=https']
    assert passed["x-forwarded-for"] == [peer]
    assert passed["x-forwarded-host"] == ["portal.example"]
    assert passed["x-forwarded-proto"] == ["https"]


def test_the_portals_cookies_pass_without_ours() -> None:
    passed = _to_portal([(b"Cookie", b"a=1; " + COOKIE), (b"cookie", b"b=2"), (b"Cookie", COOKIE)])
    assert passed["cookie"] == ["a=1; b=2"]


def test_the_control_plane_gets_our_cookies_and_the_clients_address() -> None:
    fields = [(b"Cookie", COOKIE), (b"X-CPS-Client", b"6.6.6.6"), (b"Forwarded", b"for=6.6.6.6")]
    assert control_plane_fields(fields, host="portal.example", peer="192.0.2.7") == [
        ("Host", "portal.example"),
        ("Cookie", COOKIE.decode()),
        ("X-CPS-Client", "192.0.2.7"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        "__Host-cps-session=x; Path=/; Secure",
        "__HOST-CPS-SESSION=x",
        "  __Host-cps-login=x",
        "\u2000__Host-cps-session=x",
        "=__Host-cps-session=x",
        "= __Host-cps-session=x",
    ],
    ids=ascii,
)
def test_the_portal_cannot_set_our_cookies(value: str) -> None:
    fields = [(b"Set-Cookie", value.encode()), (b"Set-Cookie", b"own=1")]
    assert passed_response_fields(fields, own_cookies=False) == [("Set-Cookie", "own=1")]


def test_the_control_plane_sets_our_cookies() -> None:
    fields = [(b"Set-Cookie", COOKIE)]
    assert passed_response_fields(fields, own_cookies=True) == [("Set-Cookie", COOKIE.decode())]


@pytest.mark.parametrize("value", [b"a\rb", b"a\nb", b"a\x00b", b"a\x7fb", b"a\x0b"], ids=repr)
def test_an_answer_with_control_characters_is_no_answer(value: bytes) -> None:
    with pytest.raises(UpstreamError):
        passed_response_fields([(b"X-A", value)], own_cookies=False)


def test_an_answer_with_a_broken_name_is_no_answer() -> None:
    with pytest.raises(UpstreamError):
        passed_response_fields([(b"X A", b"1")], own_cookies=False)


def test_latin_1_becomes_readable_and_utf_8_stays() -> None:
    assert text_of("Relevé.pdf".encode("latin-1")) == "Relevé.pdf"
    assert text_of("Relevé.pdf".encode()) == "Relevé.pdf"


def test_values_are_found_whatever_the_case_of_the_name() -> None:
    fields: RawFields = [(b"Host", b"a"), (b"HOST", b"b"), (b"X-Host", b"c")]
    assert values_of(b"host", fields) == ("a", "b")


@pytest.mark.parametrize(
    ("values", "length"), [([], None), ([b"5"], "5"), ([b"5", b"5"], "5")], ids=str
)
def test_a_certain_length_is_kept(values: list[bytes], length: str | None) -> None:
    assert content_length([(b"content-length", v) for v in values]) == length


@pytest.mark.parametrize(
    "values", [[b"5", b"6"], [b"+5"], [b"5, 5"], [b""], ["٥".encode()]], ids=repr
)
def test_an_uncertain_length_is_no_answer(values: list[bytes]) -> None:
    with pytest.raises(UpstreamError):
        content_length([(b"Content-Length", v) for v in values])


def test_a_handshake_is_made_anew_on_each_side() -> None:
    fields = [("Sec-WebSocket-Key", "x"), ("Origin", "o"), ("sec-websocket-extensions", "y")]
    assert without_handshake(fields) == [("Origin", "o")]


@pytest.mark.parametrize(
    "name",
    ["x_cps_subject", "x.cps.subject", "x-cps-subject", "x~cps~subject", "forwarded", "x-real-ip",
     "x-forwarded-user", "remote-user", "remote_user", "proxy-authorization", "ssl-client-cert"],
)  # fmt: skip
def test_the_pattern_for_proxies_matches_what_never_passes(name: str) -> None:
    assert re.fullmatch(withheld_pattern(), name)


@pytest.mark.parametrize(
    "name", ["accept", "x-request-id", "x-csrf-token", "authorization", "host", "cookie", "remote"]
)
def test_the_pattern_for_proxies_leaves_the_usual_alone(name: str) -> None:
    assert not re.fullmatch(withheld_pattern(), name)
