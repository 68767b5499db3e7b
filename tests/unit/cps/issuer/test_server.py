import base64
import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from time import monotonic
from urllib.parse import quote

import pytest
from cryptography.x509 import ocsp
from cryptography.x509.ocsp import OCSPCertStatus
from pytest_mock import MockerFixture

from cps.issuer import server as server_module
from cps.issuer.http_faults import HTTPFault
from cps.issuer.ocsp_answer import revoked
from cps.issuer.ocsp_request import MAX_REQUEST_BYTES, parse_request
from cps.issuer.server import OCSP_PATH, AuthorityServer, Document, PublicationError
from tests.support import pki
from tests.support.responder import question, responder

LIST = "/CRL/ÅCI.crl"
WRITTEN = datetime(2026, 11, 23, 7, 0, 30, 999_999, tzinfo=UTC)
OCSP_REQUEST = {"Content-Type": "application/ocsp-request"}


class Shelf:
    """A publication of one document."""

    def __init__(self) -> None:
        self.content = b"the list"
        self.broken = False
        self.responder = responder({0x4711: revoked(pki.NOW)})

    def document(self, path: str) -> Document | None:
        if self.broken:
            raise PublicationError("the disk is gone")
        if path != LIST:
            return None
        return Document(content=self.content, media_type="application/pkix-crl", modified=WRITTEN)

    def answer(self, request: bytes) -> bytes:
        return self.responder.respond(parse_request(request))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def server(shelf: Shelf) -> Iterator[AuthorityServer]:
    with AuthorityServer(shelf) as running:
        yield running


class Client:
    """Sends one request a connection, as the server wants it."""

    def __init__(self, server: AuthorityServer) -> None:
        self.address = server.url.removeprefix("http://")

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=5)
        try:
            connection.request(method, quote(path), body, dict(headers or {}))
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def get(self, path: str = LIST, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("GET", path, headers=named)


@pytest.fixture
def client(server: AuthorityServer) -> Client:
    return Client(server)


def test_document_comes_with_type_tag_and_date(client: Client) -> None:
    response, body = client.get()
    assert (response.status, body) == (HTTPStatus.OK, b"the list")
    assert response.headers["Content-Type"] == "application/pkix-crl"
    assert response.headers["Last-Modified"] == "Mon, 23 Nov 2026 07:00:30 GMT"
    assert response.headers["ETag"].startswith('"')
    assert response.headers["Content-Length"] == "8"


def test_head_has_all_but_the_body(client: Client) -> None:
    response, body = client.send("HEAD", LIST)
    assert (response.status, body) == (HTTPStatus.OK, b"")
    assert response.headers["Content-Length"] == "8"


def test_tag_changes_with_the_content(client: Client, shelf: Shelf) -> None:
    before = client.get()[0].headers["ETag"]
    assert client.get()[0].headers["ETag"] == before
    shelf.content = b"the next list"
    assert client.get()[0].headers["ETag"] != before
    assert client.get(If_None_Match=before)[1] == b"the next list"


@pytest.mark.parametrize("pattern", ["{}", "W/{}", '"other", {}', "*"])
def test_client_that_has_the_document_is_told_so(client: Client, pattern: str) -> None:
    tag = client.get()[0].headers["ETag"]
    response, body = client.get(If_None_Match=pattern.format(tag))
    assert (response.status, body) == (HTTPStatus.NOT_MODIFIED, b"")
    assert response.headers["ETag"] == tag


@pytest.mark.parametrize(
    ("since", "status"),
    [
        pytest.param("Mon, 23 Nov 2026 07:00:30 GMT", 304, id="same second"),
        pytest.param("Mon, 23 Nov 2026 07:00:29 GMT", 200, id="second before"),
        pytest.param("yesterday", 200, id="no date"),
        pytest.param("Mon, 23 Nov 2026 09:00:00", 200, id="no time zone"),
    ],
)
def test_document_that_is_not_newer_is_not_sent(client: Client, since: str, status: int) -> None:
    assert client.get(If_Modified_Since=since)[0].status == status


def test_tag_counts_more_than_the_date(client: Client) -> None:
    late = "Mon, 30 Nov 2026 07:00:30 GMT"
    assert client.get(If_None_Match='"other"', If_Modified_Since=late)[0].status == HTTPStatus.OK


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        pytest.param("GET", "/nothing", {}, None, 404, id="no document and no request"),
        pytest.param("GET", "/", {}, None, 404, id="root"),
        pytest.param("GET", "/CRL/../index.json", {}, None, 404, id="outside"),
        pytest.param("POST", LIST, OCSP_REQUEST, b"x", 405, id="post to a document"),
        pytest.param("POST", "/elsewhere", OCSP_REQUEST, b"x", 404, id="post elsewhere"),
        pytest.param("POST", OCSP_PATH, {"Content-Type": "text/plain"}, b"x", 415, id="other type"),
        pytest.param("POST", OCSP_PATH, {}, b"x", 415, id="no type"),
        pytest.param(
            "POST",
            OCSP_PATH,
            {**OCSP_REQUEST, "Content-Length": "x"},
            None,
            411,
            id="length a word",
        ),
        pytest.param(
            "POST",
            OCSP_PATH,
            {**OCSP_REQUEST, "Content-Length": str(MAX_REQUEST_BYTES + 1)},
            None,
            413,
            id="too long",
        ),
        pytest.param(
            "POST",
            OCSP_PATH,
            {**OCSP_REQUEST, "Content-Length": "9" * 5000},
            None,
            413,
            id="absurd",
        ),
        pytest.param("PUT", LIST, {}, b"x", 501, id="other method"),
    ],
)
def test_what_is_not_offered_is_refused(
    client: Client,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | None,
    status: int,
) -> None:
    assert client.send(method, path, body, headers)[0].status == status


@pytest.mark.parametrize("path", [OCSP_PATH, "/"])
def test_ocsp_answers_what_was_posted(client: Client, path: str) -> None:
    request = question(pki.leaf(serial=0x4711))
    response, body = client.send("POST", path, request, OCSP_REQUEST)
    assert response.status == HTTPStatus.OK
    assert response.headers["Content-Type"] == "application/ocsp-response"
    assert ocsp.load_der_ocsp_response(body).certificate_status is OCSPCertStatus.REVOKED


@pytest.mark.parametrize("prefix", ["/ocsp/", "/"])
@pytest.mark.parametrize("safe", ["", "/+="], ids=["all escaped", "nothing escaped"])
def test_ocsp_answers_what_is_in_the_path(client: Client, prefix: str, safe: str) -> None:
    # The nonce makes base64 with both special characters.
    request = question(pki.leaf(serial=0x4711), nonce=b"\xff\xef\xbe\xfb\xff" * 6)
    encoded = base64.b64encode(request).decode()
    assert "/" in encoded
    assert "+" in encoded
    connection = http.client.HTTPConnection(client.address, timeout=5)
    connection.request("GET", prefix + quote(encoded, safe=safe))
    body = connection.getresponse().read()
    connection.close()
    assert ocsp.load_der_ocsp_response(body).certificate_status is OCSPCertStatus.REVOKED


def test_requests_are_remembered(client: Client, server: AuthorityServer) -> None:
    client.get(User_Agent="a test")
    client.send("POST", OCSP_PATH, question(pki.leaf()), OCSP_REQUEST)
    first, second = server.requests
    assert (first.method, first.path, first.headers["user-agent"]) == ("GET", LIST, "a test")
    assert (second.method, second.path) == ("POST", OCSP_PATH)


def test_publication_that_cannot_be_read_is_the_servers_fault(client: Client, shelf: Shelf) -> None:
    shelf.broken = True
    assert client.get()[0].status == HTTPStatus.INTERNAL_SERVER_ERROR


def test_fault_of_one_path_spares_the_others(client: Client, server: AuthorityServer) -> None:
    server.faults[OCSP_PATH] = HTTPFault.SERVER_ERROR
    request = question(pki.leaf())
    assert client.send("POST", "/", request, OCSP_REQUEST)[0].status == 500
    assert client.get()[0].status == HTTPStatus.OK
    del server.faults[OCSP_PATH]
    assert client.send("POST", "/", request, OCSP_REQUEST)[0].status == HTTPStatus.OK


def test_several_are_served_at_once(client: Client, server: AuthorityServer) -> None:
    silent = [connect(server) for _ in range(8)]
    assert client.get()[0].status == HTTPStatus.OK
    for connection in silent:
        connection.close()


def test_no_more_than_the_limit_are_served_at_once(shelf: Shelf, mocker: MockerFixture) -> None:
    mocker.patch.object(server_module, "MAX_CONNECTIONS", 2)
    mocker.patch.object(server_module, "IDLE_SECONDS", 0.1)
    with AuthorityServer(shelf) as server:
        before = threading.active_count()
        silent = [connect(server) for _ in range(2)]
        late = connect(server)
        assert late.recv(1) == b""
        assert threading.active_count() - before <= 2
        for connection in (*silent, late):
            connection.close()


def test_silent_client_is_dropped(shelf: Shelf, mocker: MockerFixture) -> None:
    mocker.patch("cps.issuer.server._Handler.timeout", 0.1)
    with AuthorityServer(shelf) as server, connect(server) as connection:
        assert connection.recv(1) == b""


def test_stop_does_not_wait_for_a_silent_client(shelf: Shelf) -> None:
    with AuthorityServer(shelf) as server:
        silent = connect(server)
        Client(server).get()  # when it is served, the connection before it was accepted
        address = server.url
        start = monotonic()
    assert monotonic() - start < 1
    with silent:
        assert silent.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        connect_to(address)


def test_port_in_use_is_an_error(server: AuthorityServer, shelf: Shelf) -> None:
    with pytest.raises(OSError, match="in use"):
        AuthorityServer(shelf, port=int(server.url.rpartition(":")[2]))


def connect(server: AuthorityServer) -> socket.socket:
    return connect_to(server.url)


def connect_to(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=5)
