"""The web server of a test authority: lists, certificates and OCSP, over real sockets."""

import base64
import binascii
import logging
import socket
import socketserver
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, Self
from urllib.parse import unquote, urlsplit

from cps.issuer.http_faults import HTTPFault, Reply, send_wrongly
from cps.issuer.ocsp_request import MAX_REQUEST_BYTES

OCSP_PATH = "/ocsp"
MAX_CONNECTIONS = 32
"""Connections served at once; others wait."""
IDLE_SECONDS = 10.0
"""How long a client may be silent."""
KEPT_REQUESTS = 1000
"""How many requests the server remembers."""
_LENGTH_DIGITS = 9
_LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.02
"""How often the server looks whether it is to stop."""
_OCSP_REQUEST = "application/ocsp-request"
_OCSP_RESPONSE = "application/ocsp-response"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file that the authority publishes."""

    content: bytes
    media_type: str
    modified: datetime
    """Aware."""


class PublicationError(Exception):
    """What should be published cannot be read."""


class Publication(Protocol):
    """What an authority has to say; called from several threads at once."""

    def document(self, path: str) -> Document | None:
        """Return what is published under *path*, which begins with a slash and is decoded.

        :raises PublicationError: where there is something, but it cannot be read.
        """
        ...

    def answer(self, request: bytes) -> bytes:
        """Return the response to an OCSP request.

        :raises PublicationError: where the status of certificates cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRequest:
    """A request that came."""

    method: str
    path: str
    """Decoded."""
    headers: Mapping[str, str]
    """By their names in lower case."""


class AuthorityServer:
    """A server on the loopback interface, which runs between ``with`` and the end of the block."""

    def __init__(self, publication: Publication, *, port: int = 0) -> None:
        """Bind the port.

        :param port: 0 for any that is free.
        :raises OSError: where the port is in use.
        """
        self.faults: dict[str, HTTPFault] = {}
        """What goes wrong, by path; all OCSP requests have :data:`OCSP_PATH`."""
        self.requests: deque[ServedRequest] = deque(maxlen=KEPT_REQUESTS)
        """What was asked for, oldest first."""
        self.publication = publication
        self._server = _Server(self, port)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": _POLL_SECONDS},
            name="authority server",
        )

    @property
    def url(self) -> str:
        """Return the address, ``http://127.0.0.1:PORT``, without a slash at its end."""
        return f"http://{_LOOPBACK}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Twice: first to make room for a connection that waits, then for what came meanwhile.
        self._server.drop_connections()
        self._server.shutdown()
        self._thread.join()
        self._server.drop_connections()
        self._server.server_close()


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Accepts connections, each with a thread of its own, and not too many at once."""

    allow_reuse_address = True
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, authority: AuthorityServer, port: int) -> None:
        self.authority = authority
        self.stopping = threading.Event()
        self._free = threading.Semaphore(MAX_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__((_LOOPBACK, port), _Handler)

    def drop_connections(self) -> None:
        """Wake every thread up, whatever it waits for, so that it ends."""
        self.stopping.set()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # the client was faster
                    connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - theirs
        if not self._free.acquire(timeout=IDLE_SECONDS):
            self.shutdown_request(request)
            return
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        _log.exception("a request could not be served")


class _Handler(BaseHTTPRequestHandler):
    """One connection, one request."""

    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "cps-issuer"
    sys_version = ""
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        self.close_connection = True
        path = unquote(urlsplit(self.path).path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        authority = self.server.authority
        authority.requests.append(
            ServedRequest(method=self.command, path=path, headers=MappingProxyType(headers))
        )
        try:
            reply, faulty_path = self._reply(path)
            fault = authority.faults.get(faulty_path)
            if fault is None:
                self.send(reply)
            else:
                send_wrongly(reply, fault, path, self)
        except OSError as exc:
            _log.debug("the client went away: %s", exc)

    def _reply(self, path: str) -> tuple[Reply, str]:
        """Return the right reply, and under which path a fault of it is kept."""
        publication = self.server.authority.publication
        try:
            document = publication.document(path)
            if document is not None:
                return self._document(document), path
            return self._ocsp(path), OCSP_PATH
        except PublicationError as exc:
            _log.warning("%s cannot be served: %s", path, exc)
            return Reply(status=HTTPStatus.INTERNAL_SERVER_ERROR), path

    def _document(self, document: Document) -> Reply:
        if self.command == "POST":
            return Reply(status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"})
        tag = f'"{sha256(document.content).hexdigest()[:32]}"'
        modified = document.modified.astimezone(UTC).replace(microsecond=0)
        headers = {
            "ETag": tag,
            "Last-Modified": format_datetime(modified, usegmt=True),
            "Content-Type": document.media_type,
        }
        if self._has_it(tag, modified):
            return Reply(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Reply(status=HTTPStatus.OK, headers=headers, body=document.content)

    def _has_it(self, tag: str, modified: datetime) -> bool:
        """Return whether the client has the document already.

        Source: RFC 9110 §13.1.2, §13.1.3: a tag counts more than a date.
        """
        tags = self.headers.get("If-None-Match")
        if tags is not None:
            known = {each.strip().removeprefix("W/") for each in tags.split(",")}
            return not known.isdisjoint((tag, "*"))
        since = self.headers.get("If-Modified-Since")
        if since is None:
            return False
        try:
            return modified <= parsedate_to_datetime(since)
        except (ValueError, TypeError):
            # Not a date, or one without a time zone: no condition.
            return False

    def _ocsp(self, path: str) -> Reply:
        """Return the response to an OCSP request, which any path can carry that is no document's.

        Source: RFC 6960 appendix A.1.
        """
        request = self._posted(path) if self.command == "POST" else _decoded(path)
        if isinstance(request, HTTPStatus):
            return Reply(status=request)
        return Reply(
            status=HTTPStatus.OK,
            headers={"Content-Type": _OCSP_RESPONSE, "Cache-Control": "no-store"},
            body=self.server.authority.publication.answer(request),
        )

    def _posted(self, path: str) -> bytes | HTTPStatus:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            return HTTPStatus.LENGTH_REQUIRED
        if len(length) > _LENGTH_DIGITS or int(length) > MAX_REQUEST_BYTES:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        # Read even if it is not wanted: to close on unread bytes would take the reply away.
        body = self.rfile.read(int(length))
        if path not in (OCSP_PATH, "/"):
            return HTTPStatus.NOT_FOUND
        if self.headers.get_content_type() != _OCSP_REQUEST:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        return body

    def send(self, reply: Reply) -> None:
        headers = dict(reply.headers)
        if reply.status is not HTTPStatus.NOT_MODIFIED:
            headers["Content-Length"] = str(len(reply.body))
        self.send_head(reply.status, headers)
        if self.command != "HEAD":
            self.send_bytes(reply.body)

    def send_head(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def send_bytes(self, data: bytes) -> None:
        self.wfile.write(data)

    def wait(self, seconds: float) -> bool:
        return self.server.stopping.wait(seconds)

    def log_message(self, format: str, *values: object) -> None:  # noqa: A002 - the library's name
        _log.debug(format, *values)


def _decoded(path: str) -> bytes | HTTPStatus:
    """Return the request in *path*: base64 behind ``/ocsp/``, or behind the first slash."""
    encoded = path.removeprefix(OCSP_PATH).removeprefix("/")
    try:
        request = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return HTTPStatus.NOT_FOUND
    return request or HTTPStatus.NOT_FOUND
