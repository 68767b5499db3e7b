"""A portal behind the gateway that speaks TLS: who it is gets checked, and who the gateway is."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.engines import ENGINES, OWN_PROXIES, FrontName, running_front
from tests.support.relay import (
    RawServer,
    RunningRelay,
    Wire,
    fake_control_plane,
    raw_request,
    relay_settings,
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


PATIENCE_SECONDS = 4
"""Longer than the second that is set, and shorter than any default."""
FRONTS: tuple[FrontName, ...] = (*ENGINES, *OWN_PROXIES)
UNAVAILABLE = (500, 502, 503, 504)
"""What proxies say where they do not get through to the portal; the engines of ours say 502."""


@contextmanager
def engine(
    name: FrontName, folder: Path, upstream: str, **files: Path | None
) -> Iterator[RunningRelay]:
    settings = relay_settings(folder, upstream=upstream)
    chosen = settings.portal.model_copy(update=files)
    settings = settings.model_copy(update={"portal": chosen})
    with (
        RawServer(fake_control_plane).on_socket(folder / "control.sock") as control,
        running_front(name, settings, folder, control) as relay,
    ):
        yield relay


def files_of(folder: Path, name: str, host: str = "localhost") -> ServerFiles:
    (folder / name).mkdir()
    return write_server_files(folder / name, host)


@pytest.mark.parametrize("name", FRONTS)
@pytest.mark.parametrize(
    ("trusted", "statuses"),
    [("own", (200,)), ("stranger", UNAVAILABLE), (None, UNAVAILABLE)],
    ids=["its authority", "another authority", "the system's authorities"],
)
def test_a_portal_is_believed_for_the_authority_that_is_named(
    tmp_path: Path, name: FrontName, trusted: str | None, statuses: tuple[int, ...]
) -> None:
    files = {each: files_of(tmp_path, each) for each in ("own", "stranger")}
    authority = None if trusted is None else files[trusted].certificate
    with (
        portal(files["own"], None) as upstream,
        engine(name, tmp_path, upstream, upstream_ca=authority) as relay,
    ):
        assert relay.ask(raw_request("/", cookie=relay.log_in())).status in statuses


@pytest.mark.parametrize("name", FRONTS)
def test_a_portal_with_another_name_is_not_believed(tmp_path: Path, name: FrontName) -> None:
    other = files_of(tmp_path, "other", "other.example")
    with (
        portal(other, None) as upstream,
        engine(name, tmp_path, upstream, upstream_ca=other.certificate) as relay,
    ):
        assert relay.ask(raw_request("/", cookie=relay.log_in())).status in UNAVAILABLE


@pytest.mark.parametrize("name", FRONTS)
def test_the_gateway_shows_its_certificate_to_the_portal(tmp_path: Path, name: FrontName) -> None:
    own, ours = files_of(tmp_path, "own"), files_of(tmp_path, "ours", "gateway.example")
    # The one form that all take.
    both = tmp_path / "ours" / "both.pem"
    both.write_bytes(ours.certificate.read_bytes() + ours.key.read_bytes())
    pair = {"upstream_certificate": both, "upstream_key": both}
    with (
        portal(own, ours) as upstream,
        engine(name, tmp_path, upstream, upstream_ca=own.certificate, **pair) as relay,
    ):
        answer = relay.ask(raw_request("/", cookie=relay.log_in()))
        assert answer.status == 200
        assert b"gateway.example" in answer.body


@pytest.mark.parametrize("name", FRONTS)
def test_a_portal_that_wants_a_certificate_and_gets_none_is_unavailable(
    tmp_path: Path, name: FrontName
) -> None:
    own, ours = files_of(tmp_path, "own"), files_of(tmp_path, "ours", "gateway.example")
    with (
        portal(own, ours) as upstream,
        engine(name, tmp_path, upstream, upstream_ca=own.certificate) as relay,
    ):
        assert relay.ask(raw_request("/", cookie=relay.log_in())).status in UNAVAILABLE


@pytest.mark.parametrize("name", FRONTS)
def test_certificate_and_key_may_stand_apart(tmp_path: Path, name: FrontName) -> None:
    if name == "own haproxy":
        pytest.skip("HAProxy takes one file; rendering is refused")
    own, ours = files_of(tmp_path, "own"), files_of(tmp_path, "ours", "gateway.example")
    pair = {"upstream_certificate": ours.certificate, "upstream_key": ours.key}
    with (
        portal(own, ours) as upstream,
        engine(name, tmp_path, upstream, upstream_ca=own.certificate, **pair) as relay,
    ):
        assert relay.ask(raw_request("/", cookie=relay.log_in())).status == 200


@pytest.mark.parametrize("name", FRONTS)
def test_a_silent_portal_is_given_up_after_the_time_that_is_set(
    tmp_path: Path, name: FrontName
) -> None:
    with RawServer(Wire.rest).on_port() as upstream:
        settings = relay_settings(tmp_path, upstream=upstream, upstream_read_seconds=1)
        with (
            RawServer(fake_control_plane).on_socket(tmp_path / "control.sock") as control,
            running_front(name, settings, tmp_path, control) as relay,
        ):
            began = time.monotonic()
            answer = relay.ask(raw_request("/", cookie=relay.log_in()))
            assert answer.status == 504
            assert 0.9 < time.monotonic() - began < PATIENCE_SECONDS
