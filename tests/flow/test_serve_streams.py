"""What is large goes through either engine as it comes: no process grows with it."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.settings import Settings
from gateway.stores import open_stores
from tests.support.engines import ENGINES
from tests.support.logins import DOCTOR, agent_key
from tests.support.nginx import nginx_program
from tests.support.relay import cookie_field
from tests.support.serving import (
    free_port,
    group_members,
    resident_megabytes,
    served_gateway,
    write_settings,
)

MEGABYTE = 1024**2
SIZE = 1024 * MEGABYTE
MAX_GROWTH = 48
"""Megabytes that all processes together may grow by: buffers, and what Python did not give back."""


class _Portal(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send a large file."""
        self.send_response(200)
        self.send_header("Content-Length", str(SIZE))
        self.end_headers()
        for _ in range(SIZE // MEGABYTE):
            self.wfile.write(bytes(MEGABYTE))

    def do_PUT(self) -> None:
        """Take a large file and answer how large it was."""
        count = 0
        while count < int(self.headers["Content-Length"]):
            count += len(self.rfile.read(MEGABYTE))
        answer = str(count).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@contextmanager
def _portal() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Portal) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("relayed", ["", 'relayed_paths = ["/file"]\n'], ids=["", "relayed"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_large_file_passes_both_ways_at_flat_memory(
    tmp_path: Path, engine: str, relayed: str
) -> None:
    if engine == "nginx":
        nginx_program()
    elif relayed:
        pytest.skip("there the relay carries everything")
    with ExitStack() as stack:
        port, more = free_port(), f'[edge]\nengine = "{engine}"\n{relayed}'
        file = write_settings(
            tmp_path, upstream=stack.enter_context(_portal()), port=port, more=more
        )
        served = stack.enter_context(served_gateway(file, port))
        stores = open_stores(Settings.load(file))
        stack.callback(stores.close)
        cookie = cookie_field(stores.sessions.create(DOCTOR, agent_key(), now=system_clock()))
        processes = [pid for name in served.children for pid in group_members(served.child(name))]
        before = sum(map(resident_megabytes, processes))
        connection = http.client.HTTPConnection("localhost", port, timeout=60)
        stack.callback(connection.close)

        connection.request("GET", "/file", headers={"Cookie": cookie})
        response, count = connection.getresponse(), 0
        while piece := response.read(MEGABYTE):
            count += len(piece)
        assert (response.status, count) == (200, SIZE)

        pieces = (bytes(MEGABYTE) for _ in range(SIZE // MEGABYTE))
        headers = {"Cookie": cookie, "Content-Length": str(SIZE)}
        connection.request("PUT", "/file", body=pieces, headers=headers)
        assert connection.getresponse().read() == str(SIZE).encode()

        assert sum(map(resident_megabytes, processes)) - before < MAX_GROWTH
