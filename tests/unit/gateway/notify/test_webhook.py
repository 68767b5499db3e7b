import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gateway.notify import webhook
from gateway.notify.notice import NotSentError
from gateway.notify.webhook import SIGNATURE_HEADER, Webhook
from tests.support.gateway_fakes import CLIENT, ORIGIN, TEST_PERSON
from tests.unit.gateway.notify.notices import NOTICE, tls_pair

SECRET = "not-a-real-secret-but-long-enough"


class Receiver(HTTPServer):
    """Answers each request with one status, and keeps the last."""

    status = 204
    path = ""
    signature: str | None = None
    body = b""
    requests = 0


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        server = self.server
        server.requests += 1
        server.path = self.path
        server.signature = self.headers[SIGNATURE_HEADER]
        server.body = self.rfile.read(int(self.headers["Content-Length"]))
        if server.status:
            self.send_response(server.status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
        else:
            time.sleep(0.3)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture
def contexts(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return tls_pair(tmp_path)


@pytest.fixture
def receiver(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[Receiver]:
    server = Receiver(("127.0.0.1", 0), Handler)
    server.socket = contexts[0].wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def hook(receiver: Receiver, context: ssl.SSLContext) -> Webhook:
    url = f"https://localhost:{receiver.server_port}/cps?a=b"
    return Webhook(url, SECRET, context, portal=ORIGIN)


def test_a_notice_arrives_signed(
    receiver: Receiver, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    hook(receiver, contexts[1]).send(NOTICE)
    assert receiver.path == "/cps?a=b"
    expected = hmac.new(SECRET.encode(), receiver.body, hashlib.sha256).hexdigest()
    assert receiver.signature == f"sha256={expected}"
    assert json.loads(receiver.body) == {
        "event": "login",
        "id": NOTICE.id,
        "time": "2026-11-23T12:00:00.000Z",
        "portal": ORIGIN,
        "national_id": TEST_PERSON.national_id,
        "family_name": "EXEMPLE",
        "given_name": "CAMILLE",
        "card_number": TEST_PERSON.card_number,
        "session": NOTICE.session,
        "client": CLIENT,
    }


@pytest.mark.parametrize("status", [302, 404, 500])
def test_another_answer_is_a_failure_and_no_redirect_is_followed(
    receiver: Receiver, contexts: tuple[ssl.SSLContext, ssl.SSLContext], status: int
) -> None:
    receiver.status = status
    with pytest.raises(NotSentError, match=str(status)):
        hook(receiver, contexts[1]).send(NOTICE)
    assert receiver.requests == 1


def test_a_server_that_nobody_vouches_for_learns_nothing(receiver: Receiver) -> None:
    with pytest.raises(NotSentError, match="SSL"):
        hook(receiver, ssl.create_default_context()).send(NOTICE)
    assert receiver.requests == 0


def test_a_server_that_does_not_answer_is_given_up(
    receiver: Receiver,
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook, "WAIT_SECONDS", 0.1)
    receiver.status = 0
    with pytest.raises(NotSentError, match="Timeout"):
        hook(receiver, contexts[1]).send(NOTICE)


def test_a_server_that_is_away_is_a_failure(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    way = Webhook("https://localhost:1", SECRET, contexts[1], portal=ORIGIN)
    assert way.reaches(NOTICE)
    with pytest.raises(NotSentError, match="Refused"):
        way.send(NOTICE)
