"""A gateway over real HTTP on loopback: it checks what the agent sends, or misbehaves."""

import json
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from cps.authtoken.abort import AbortMessage
from cps.authtoken.encoding import b64url_encode
from cps.authtoken.frame import login_message
from cps.authtoken.jwk import AgentKey
from cps.authtoken.lease import LeaseEvent, LeaseMessage
from cps.authtoken.token import AuthToken

CLAIM = "/_cps/agent/claim"
BEGIN = "/_cps/agent/begin"
TOKEN = "/_cps/agent/token"
LEASE = "/_cps/agent/lease"
ABORT = "/_cps/agent/abort"
BEGUN_RID = "ICEiIyQlJicoKSorLC0uLw"
"""The request id that a beginning gets."""
TERMS = {"id": "AAECAwQFBgcICQoLDA0ODw", "heartbeat": 20, "grace": 60}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the stub says instead of what a gateway would."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, members: object, *, status: int = 200) -> "Answer":
        return cls(status=status, body=json.dumps(members).encode())


class GatewayStub:
    """Answers as a gateway does, unless told to say something else.

    :ivar instead: path to what is answered there instead of the right thing.
    :ivar change: members that replace those of a right claim answer.
    :ivar lease: the lease that comes with the code.
    :ivar heard: each message about the lease, its signature checked.
    :ivar aborted: each login given up, its signature checked.
    :ivar requests: path, headers and body of each request seen.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.nonce = secrets.token_bytes(32)
        self.code = b64url_encode(secrets.token_bytes(32))
        self.instead: dict[str, Answer | Callable[[], Answer]] = {}
        self.change: dict[str, object] = {}
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.lease: dict[str, object] | None = None
        self.heard: list[LeaseMessage] = []
        self.aborted: list[AbortMessage] = []
        self._key: AgentKey | None = None

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.requests]

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.requests.append((path, headers, body))
        instead = self.instead.get(path)
        if instead is not None:
            return instead() if callable(instead) else instead
        return {
            CLAIM: self._claim,
            BEGIN: self._begin,
            TOKEN: self._token,
            LEASE: self._hear,
            ABORT: self._abort,
        }[path](body)

    def _claim(self, body: bytes) -> Answer:
        members = json.loads(body)
        assert set(members) == {"v", "rid", "jwk", "agent"}
        return Answer.of(self._introduced(members))

    def _begin(self, body: bytes) -> Answer:
        members = json.loads(body)
        assert set(members) == {"v", "jwk", "agent"}
        return Answer.of({"rid": BEGUN_RID} | self._introduced(members))

    def _introduced(self, members: dict[str, Any]) -> dict[str, object]:
        assert set(members["agent"]) == {"name", "version", "os"}
        self._key = AgentKey.from_json(members["jwk"])
        right: dict[str, object] = {
            "v": 1,
            "nonce": b64url_encode(self.nonce),
            "origin": self.origin,
            "label": "Portail d’essai",
            "alg": ["RS256"],
            "expires_in": 170,
            "min_agent": "0.1.0",
        }
        return right | self.change

    def _abort(self, body: bytes) -> Answer:
        message = AbortMessage.parse(body)
        assert self._key is not None
        message.require_signed_by(self._key, origin=self.origin)
        self.aborted.append(message)
        return Answer.of({"ended": True})

    def _token(self, body: bytes) -> Answer:
        token = AuthToken.parse(body)
        assert self._key is not None
        message = login_message(
            origin=self.origin,
            nonce=self.nonce,
            rid=token.rid,
            jwk_thumbprint=self._key.thumbprint(),
            certificate=token.unverified_certificate,
        )
        key = x509.load_der_x509_certificate(token.unverified_certificate).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        key.verify(token.signature, message, padding.PKCS1v15(), hashes.SHA256())
        return Answer.of({"code": self.code, "lease": self.lease})

    def _hear(self, body: bytes) -> Answer:
        message = LeaseMessage.parse(body)
        assert self._key is not None
        message.require_signed_by(self._key, origin=self.origin)
        assert message.counter > max([0, *(earlier.counter for earlier in self.heard)])
        self.heard.append(message)
        return Answer.of({"alive": message.event is LeaseEvent.PRESENT})


@contextmanager
def running_gateway(tls: ssl.SSLContext | None = None) -> Iterator[GatewayStub]:
    """Yield a stub that listens on a free loopback port, over TLS where a context is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = stub.answer(self.path, dict(self.headers), body)
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that breaks off is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    stub = GatewayStub(f"{scheme}://localhost:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
