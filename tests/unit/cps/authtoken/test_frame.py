"""The signed bytes: fixed lengths, one spelling of an origin, and no likeness to other frames."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cps.authtoken.frame import LOGIN_CONTEXT, login_message, require_origin

ORIGIN = "https://portal.example"
RID = "AAECAwQFBgcICQoLDA0ODw"
FIELDS = {
    "origin": ORIGIN,
    "nonce": bytes(range(32)),
    "rid": RID,
    "jwk_thumbprint": bytes(range(32, 64)),
    "certificate": b"certificate",
}


def message(**changes: object) -> bytes:
    return login_message(**{**FIELDS, **changes})  # type: ignore[arg-type]  # fields of one test


def test_the_message_is_the_frame_of_the_protocol() -> None:
    assert message() == (
        b"CPS-GATEWAY-LOGIN-V1\x00"
        + hashlib.sha256(b"https://portal.example").digest()
        + hashlib.sha256(bytes(range(32))).digest()
        + hashlib.sha256(b"AAECAwQFBgcICQoLDA0ODw").digest()
        + bytes(range(32, 64))
        + hashlib.sha256(b"certificate").digest()
    )


def test_the_message_has_a_fixed_length() -> None:
    longer = message(origin="https://a-much-longer.portal.example:8443", certificate=bytes(2000))
    assert len(message()) == len(longer) == 181


@pytest.mark.parametrize(
    ("field", "other"),
    [
        pytest.param("origin", "https://portal.example:8443", id="origin"),
        pytest.param("nonce", bytes(32), id="nonce"),
        pytest.param("rid", "AAECAwQFBgcICQoLDA0ODg", id="request id"),
        pytest.param("jwk_thumbprint", bytes(32), id="agent key"),
        pytest.param("certificate", b"another", id="certificate"),
    ],
)
def test_each_field_changes_the_message(field: str, other: object) -> None:
    assert message(**{field: other}) != message()


@pytest.mark.parametrize(
    ("field", "other"),
    [
        pytest.param("origin", "https://portal.example/", id="origin in another spelling"),
        pytest.param("nonce", bytes(31), id="short nonce"),
        pytest.param("nonce", bytes(33), id="long nonce"),
        pytest.param("rid", RID[:-1], id="short request id"),
        pytest.param("rid", RID + "A", id="long request id"),
        pytest.param("rid", "é" * 22, id="request id that is not ASCII"),
        pytest.param("jwk_thumbprint", bytes(20), id="thumbprint of another hash"),
    ],
)
def test_a_field_of_another_form_is_refused(field: str, other: object) -> None:
    with pytest.raises(ValueError, match=r"wanted|ascii"):
        message(**{field: other})


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(b"\x20" * 64, id="TLS 1.3 CertificateVerify"),
        pytest.param(b"\x01", id="TLS 1.2 handshake"),
        pytest.param(b"\x30", id="CMS, signed data"),
        pytest.param(b"\x31", id="CMS, signed attributes"),
        pytest.param(b"CPS-GATEWAY-LEASE-V1\x00", id="the lease"),
    ],
)
def test_no_other_signed_frame_begins_like_ours(foreign: bytes) -> None:
    shorter = min(len(foreign), len(LOGIN_CONTEXT))
    assert foreign[:shorter] != LOGIN_CONTEXT[:shorter]


@pytest.mark.parametrize(
    "origin",
    [
        "https://portal.example",
        "https://portal.example:8443",
        "http://127.0.0.1:8443",
        "http://localhost:1",
        "https://[::1]:8443",
        "https://[2001:db8::1]",
        "https://xn--sant-epa.example",
        "https://a",
        "https://10.0.0.1",
        "https://1a.example",
        "https://portal.example:65535",
    ],
)
def test_the_canonical_spelling_is_returned_unchanged(origin: str) -> None:
    assert require_origin(origin) == origin


@pytest.mark.parametrize(
    "origin",
    [
        pytest.param("", id="nothing"),
        pytest.param("portal.example", id="no scheme"),
        pytest.param("https://", id="no host"),
        pytest.param("https:portal.example", id="no slashes"),
        pytest.param("//portal.example", id="scheme left out"),
        pytest.param("ftp://portal.example", id="another scheme"),
        pytest.param("HTTPS://portal.example", id="scheme in capitals"),
        pytest.param("https://Portal.example", id="host in capitals"),
        pytest.param("https://portal.example/", id="trailing slash"),
        pytest.param("https://portal.example/x", id="a path"),
        pytest.param("https://portal.example?", id="an empty query"),
        pytest.param("https://portal.example#", id="an empty fragment"),
        pytest.param("https://portal.example:443", id="default port of https"),
        pytest.param("http://portal.example:80", id="default port of http"),
        pytest.param("https://portal.example:", id="empty port"),
        pytest.param("https://portal.example:08443", id="port with a leading zero"),
        pytest.param("https://portal.example:0", id="port zero"),
        pytest.param("https://portal.example:65536", id="port too large"),
        pytest.param("https://portal.example:-1", id="negative port"),
        pytest.param("https://portal.example:٨٤٤٣", id="port in digits of another script"),
        pytest.param("https://user@portal.example", id="a user"),
        pytest.param("https://portal.example@evil.example", id="another host behind a user"),
        pytest.param("https://portal.example.", id="trailing dot"),
        pytest.param("https://.portal.example", id="leading dot"),
        pytest.param("https://portal..example", id="empty label"),
        pytest.param("https://-portal.example", id="leading hyphen"),
        pytest.param("https://portal_x.example", id="underscore"),
        pytest.param("https://santé.example", id="not ASCII"),
        pytest.param("https://portal.example\n", id="line end"),
        pytest.param("https://port\tal.example", id="tab in the middle"),
        pytest.param(" https://portal.example", id="leading space"),
        pytest.param("https://portal.example\\x", id="backslash"),
        pytest.param("https://portal%2eexample", id="percent-encoded"),
        pytest.param("https://" + "a" * 254, id="host too long"),
        pytest.param("https://127.1", id="short IPv4"),
        pytest.param("https://2130706433", id="IPv4 as one number"),
        pytest.param("https://0x7f.0.0.1", id="IPv4 with a hexadecimal part"),
        pytest.param("https://127.0.0.0x1", id="IPv4 that ends in hexadecimal"),
        pytest.param("https://127.0.0.01", id="IPv4 with a leading zero"),
        pytest.param("https://256.0.0.1", id="IPv4 part too large"),
        pytest.param("https://[0:0:0:0:0:0:0:1]", id="long IPv6"),
        pytest.param("https://[::0001]", id="IPv6 with leading zeros"),
        pytest.param("https://[::G]", id="no IPv6"),
        pytest.param("https://[::1", id="bracket not closed"),
        pytest.param("https://[fe80::1%25eth0]", id="IPv6 with a zone"),
        pytest.param("https://::1", id="IPv6 without brackets"),
        pytest.param("null", id="the opaque origin"),
    ],
)
def test_every_other_spelling_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        require_origin(origin)


@given(st.text(max_size=40))
def test_any_text_is_canonical_or_refused(text: str) -> None:
    for origin in (text, f"https://{text}"):
        try:
            assert require_origin(origin) == origin
        except ValueError as exc:
            assert "origin" in str(exc)  # noqa: PT017 - either outcome is right
