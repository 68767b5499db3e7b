"""A portal for the compose file: says who is in. It trusts the network, a real one the assertion.

Real portals check X-CPS-Assertion: docs/how-to/protect-a-portal.md.
"""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Portal(BaseHTTPRequestHandler):
    """Answers every page with the gateway's headers."""

    def do_GET(self) -> None:
        """Say who is in."""
        lines = [f"{name}: {value}" for name, value in self.headers.items() if name[:4] == "X-CP"]
        body = "\n".join(lines).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 8000), Portal).serve_forever()  # noqa: S104 - a container's own
