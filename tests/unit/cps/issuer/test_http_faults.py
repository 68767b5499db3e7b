import http.client
import socket
import zlib
from collections.abc import Iterator
from datetime import timedelta
from time import monotonic

import pytest
from pytest_mock import MockerFixture

from cps.issuer import http_faults
from cps.issuer.http_faults import ELSEWHERE, HTTPFault
from cps.issuer.server import AuthorityServer, Document
from tests.support import pki

PATH = "/CRL/x.crl"
CONTENT = b"0123456789" * 4


class Shelf:
    def document(self, path: str) -> Document | None:
        if path != PATH:
            return None
        return Document(
            content=CONTENT,
            media_type="application/pkix-crl",
            modified=pki.NOW - timedelta(hours=1),
        )

    def answer(self, request: bytes) -> bytes:
        raise AssertionError(request)


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorityServer]:
    with AuthorityServer(Shelf()) as running:
        yield running


def raw_reply(server: AuthorityServer, fault: HTTPFault | None, *, limit: int = 1 << 30) -> bytes:
    """Return all bytes that come, or the first *limit* of them."""
    server.faults = {} if fault is None else {PATH: fault}
    reply = b""
    with ask(server) as connection:
        while len(reply) < limit and (chunk := connection.recv(65536)):
            reply += chunk
    return reply


def ask(server: AuthorityServer) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=5)
    connection.sendall(f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return connection


def reply_to(server: AuthorityServer, fault: HTTPFault) -> tuple[http.client.HTTPResponse, bytes]:
    server.faults = {PATH: fault}
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=5)
    connection.request("GET", PATH)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


@pytest.mark.parametrize(
    ("fault", "status", "header"),
    [
        pytest.param(HTTPFault.NOT_FOUND, 404, None, id="not found"),
        pytest.param(HTTPFault.SERVER_ERROR, 500, None, id="server error"),
        pytest.param(HTTPFault.UNAVAILABLE, 503, ("Retry-After", "3600"), id="unavailable"),
        pytest.param(HTTPFault.REDIRECT, 302, ("Location", ELSEWHERE), id="redirect"),
        pytest.param(HTTPFault.REDIRECT_LOOP, 302, ("Location", PATH), id="loop"),
        pytest.param(HTTPFault.NOT_MODIFIED, 304, None, id="nothing new"),
    ],
)
def test_status_is_not_the_expected_one(
    server: AuthorityServer, fault: HTTPFault, status: int, header: tuple[str, str] | None
) -> None:
    response, body = reply_to(server, fault)
    assert (response.status, body) == (status, b"")
    if header is not None:
        assert response.headers[header[0]] == header[1]


@pytest.mark.parametrize(
    ("fault", "media_type", "body"),
    [
        pytest.param(HTTPFault.WRONG_TYPE, "text/html", CONTENT, id="wrong type"),
        pytest.param(HTTPFault.EMPTY, "application/pkix-crl", b"", id="empty"),
    ],
)
def test_status_is_right_but_the_rest_is_not(
    server: AuthorityServer, fault: HTTPFault, media_type: str, body: bytes
) -> None:
    response, received = reply_to(server, fault)
    assert response.status == 200
    assert response.headers["Content-Type"] == media_type
    assert received == body


def test_captive_portal_sends_a_page_with_status_200(server: AuthorityServer) -> None:
    response, body = reply_to(server, HTTPFault.CAPTIVE_PORTAL)
    assert response.status == 200
    assert body.startswith(b"<!doctype html>")


def test_connection_is_closed_without_a_byte(server: AuthorityServer) -> None:
    assert raw_reply(server, HTTPFault.NO_REPLY) == b""


def test_reply_is_not_http(server: AuthorityServer) -> None:
    assert raw_reply(server, HTTPFault.GARBAGE).startswith(b"220 ")


def test_header_is_longer_than_anybody_should_read(server: AuthorityServer) -> None:
    head = raw_reply(server, HTTPFault.LONG_HEADER).partition(b"\r\n\r\n")[0]
    assert len(head) > 1024 * 1024


def test_half_of_the_body_is_missing(server: AuthorityServer) -> None:
    reply = raw_reply(server, HTTPFault.TRUNCATED)
    assert b"Content-Length: 40" in reply
    assert reply.endswith(b"\r\n\r\n" + CONTENT[:20])


def test_slow_body_comes_byte_by_byte(server: AuthorityServer, mocker: MockerFixture) -> None:
    mocker.patch.object(http_faults, "PAUSE_SECONDS", 0.004)
    start = monotonic()
    reply = raw_reply(server, HTTPFault.SLOW_BODY)
    assert monotonic() - start > 0.004 * len(CONTENT)
    assert reply.endswith(b"\r\n\r\n" + CONTENT)


def test_silence_ends_when_its_time_is_over(server: AuthorityServer, mocker: MockerFixture) -> None:
    mocker.patch.object(http_faults, "SILENT_SECONDS", 0.1)
    start = monotonic()
    assert raw_reply(server, HTTPFault.SILENT) == b""
    assert monotonic() - start > 0.1


@pytest.mark.parametrize(
    "fault",
    [HTTPFault.SILENT, HTTPFault.SLOW_BODY, HTTPFault.OVERSIZE_LENGTH],
    ids=lambda f: f.name,
)
def test_server_stops_at_once_in_the_middle_of_a_fault(fault: HTTPFault) -> None:
    with AuthorityServer(Shelf()) as server:
        server.faults[PATH] = fault
        connection = ask(server)
        while not server.requests:
            pass
        start = monotonic()
    connection.close()
    assert monotonic() - start < 1


def test_endless_body_says_no_length_and_goes_on(server: AuthorityServer) -> None:
    reply = raw_reply(server, HTTPFault.OVERSIZE, limit=4 << 20)
    assert len(reply) >= 4 << 20
    assert b"Content-Length" not in reply.partition(b"\r\n\r\n")[0]


def test_length_is_said_to_be_enormous(server: AuthorityServer, mocker: MockerFixture) -> None:
    mocker.patch.object(http_faults, "SILENT_SECONDS", 0.05)
    reply = raw_reply(server, HTTPFault.OVERSIZE_LENGTH)
    assert f"Content-Length: {256 << 20}\r\n".encode() in reply
    assert reply.endswith(CONTENT)


def test_small_body_grows_a_thousandfold(server: AuthorityServer, mocker: MockerFixture) -> None:
    mocker.patch.object(http_faults, "OVERSIZE_BYTES", 4 << 20)
    head, _, body = raw_reply(server, HTTPFault.COMPRESSED).partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    assert len(zlib.decompress(body, wbits=31)) == 4 << 20
    assert len(body) < 10_000


def test_every_fault_has_its_manner(server: AuthorityServer, mocker: MockerFixture) -> None:
    mocker.patch.object(http_faults, "SILENT_SECONDS", 0.01)
    mocker.patch.object(http_faults, "PAUSE_SECONDS", 0.0001)
    mocker.patch.object(http_faults, "OVERSIZE_BYTES", 1 << 20)
    good = without_date(raw_reply(server, None))
    replies = {fault: without_date(raw_reply(server, fault)) for fault in HTTPFault}
    # A slow reply has the same bytes as a good one.
    assert {fault for fault, reply in replies.items() if reply == good} == {HTTPFault.SLOW_BODY}


def without_date(reply: bytes) -> bytes:
    return b"\r\n".join(line for line in reply.split(b"\r\n") if not line.startswith(b"Date:"))
