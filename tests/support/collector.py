"""A collector of OpenTelemetry: takes spans over HTTP and keeps them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATIENCE = 20


class Collector:
    """What came, as bytes and as spans."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.endpoint = ""

    @property
    def spans(self) -> list[Span]:
        """All spans so far, in the order in which they came."""
        return [
            span
            for body in self.bodies
            for process in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in process.scope_spans
            for span in scope.spans
        ]

    def wait_for(self, *names: str) -> list[Span]:
        """Return all spans once there is one of each of these names."""
        deadline = time.monotonic() + PATIENCE
        while missing := set(names) - {span.name for span in self.spans}:
            assert time.monotonic() < deadline, missing
            time.sleep(0.02)
        return self.spans


def attributes(span: Span) -> dict[str, str | int]:
    """Return what a span says besides its name and times."""
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


@contextmanager
def running_collector() -> Iterator[Collector]:
    """Take spans on a port of this machine until the block ends."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.endpoint = f"http://127.0.0.1:{server.server_port}/v1/traces"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
