"""A portal behind the gateway that speaks TLS: who it is gets checked, and who the gateway is."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.engines import ENGINES, EngineName, for_nginx, running_nginx
from tests.support.relay import (
    RawServer,
    RunningRelay,
    fake_control_plane,
    raw_request,
    relay_settings,
    running_relay,
)
from tests.support.server_certificate import ServerFiles, write_server_files


class _Portal(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the name in the certificate that the gateway showed, if it did."""
        assert isinstance(self.connection, ssl.SSLSocket)
        shown = self.connection.getpeercert() or {}
        name = str(shown.get("subject", "nobody"))
        self.send_response(200)
        self.send_header("Content-Length", str(len(name)))
        self.end_headers()
        self.wfile.write(name.encode())

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@contextmanager
def portal(own: ServerFiles, wanted: ServerFiles | None) -> Iterator[str]:
    """Serve over TLS and give the address.

    :param wanted: the certificate without which nobody gets an answer.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    if wanted is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(wanted.certificate)

    class Server(ThreadingHTTPServer):
        def handle_error(self, *args: object) -> None:
            """Refused handshakes are what is tested here."""

    with Server(("127.0.0.1", 0), _Portal) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"https://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def engine(
    name: EngineName, folder: Path, upstream: str, **files: Path | None
) -> Iterator[RunningRelay]:
    settings = relay_settings(folder, upstream=upstream)
    chosen = settings.portal.model_copy(update=files)
    settings = settings.model_copy(update={"portal": chosen})
    with RawServer(fake_control_plane).on_socket(folder / "control.sock") as control:
        running = (
            running_relay(settings, control)
            if name == "embedded"
            else running_nginx(for_nginx(settings), folder, control)
        )
        with running as relay:
            yield relay


def files_of(folder: Path, name: str, host: str = "localhost") -> ServerFiles:
    (folder / name).mkdir()
    return write_server_files(folder / name, host)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("trusted", "status"),
    [("own", 200), ("stranger", 502), (None, 502)],
    ids=["its authority", "another authority", "the system's authorities"],
)
def test_a_portal_is_believed_for_the_authority_that_is_named(
    tmp_path: Path, name: EngineName, trusted: str | None, status: int
) -> None:
    files = {each: files_of(tmp_path, each) for each in ("own", "stranger")}
    authority = None if trusted is None else files[trusted].certificate
    with (
        portal(files["own"], None) as upstream,
        engine(name, tmp_path, upstream, upstream_ca=authority) as relay,
    ):
        assert relay.ask(raw_request("/", cookie=relay.log_in())).status == status


@pytest.mark.parametrize("name", ENGINES)
def test_a_portal_with_another_name_is_not_believed(tmp_path: Path, name: EngineName) -> None:
    other = files_of(tmp_path, "other", "other.example")
    with (
        portal(other, None) as upstream,
        engine(name, tmp_path, upstream, upstream_ca=other.certificate) as relay,
    ):
        assert relay.ask(raw_request("/", cookie=relay.log_in())).status == 502


@pytest.mark.parametrize("name", ENGINES)
def test_the_gateway_shows_its_certificate_to_the_portal(tmp_path: Path, name: EngineName) -> None:
    own, ours = files_of(tmp_path, "own"), files_of(tmp_path, "ours", "gateway.example")
    with (
        portal(own, ours) as upstream,
        engine(
            name,
            tmp_path,
            upstream,
            upstream_ca=own.certificate,
            upstream_certificate=ours.certificate,
            upstream_key=ours.key,
        ) as relay,
    ):
        answer = relay.ask(raw_request("/", cookie=relay.log_in()))
        assert answer.status == 200
        assert b"gateway.example" in answer.body


@pytest.mark.parametrize("name", ENGINES)
def test_a_portal_that_wants_a_certificate_and_gets_none_is_unavailable(
    tmp_path: Path, name: EngineName
) -> None:
    own, ours = files_of(tmp_path, "own"), files_of(tmp_path, "ours", "gateway.example")
    with (
        portal(own, ours) as upstream,
        engine(name, tmp_path, upstream, upstream_ca=own.certificate) as relay,
    ):
        assert relay.ask(raw_request("/", cookie=relay.log_in())).status == 502
