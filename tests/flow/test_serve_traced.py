"""Traces of a served gateway: what a collector sees of a login and of a request to the portal."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE
from tests.support.collector import Collector, attributes, running_collector
from tests.support.quick_login import CLAIM, PAGE, TOKEN, QuickLogin
from tests.support.relay import RawServer, echo
from tests.support.serving import ServedGateway, free_port, served_gateway, write_settings

PATIENCE = 30
RECORD = "/records/271828182845?name=EXEMPLE"
FORGED = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"


class Portal:
    """The gateway, as a browser and an agent see it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.origin = f"http://localhost:{port}"

    def ask(
        self, target: str, body: bytes | None = None, fields: Mapping[str, str] | None = None
    ) -> tuple[http.client.HTTPMessage, bytes]:
        kind = {"Content-Type": "application/json"} if body else {}
        with closing(
            http.client.HTTPConnection("localhost", self.port, timeout=PATIENCE)
        ) as connection:
            method = "POST" if body else "GET"
            connection.request(method, target, body, {**kind, **(fields or {})})
            answer = connection.getresponse()
            return answer.headers, answer.read()

    def log_in(self) -> tuple[QuickLogin, str]:
        """Return a login and the cookie of its session."""
        login = QuickLogin()
        headers, page = self.ask(PAGE, fields={"traceparent": FORGED})
        login.read_page(page.decode())
        login.read_claimed(self.ask(CLAIM, login.claim())[1])
        login.read_accepted(self.ask(TOKEN, login.token(self.origin))[1])
        back, _ = self.ask(login.callback, fields={"Cookie": _cookie(headers, LOGIN_COOKIE)})
        return login, _cookie(back, SESSION_COOKIE)


def _cookie(headers: http.client.HTTPMessage, name: str) -> str:
    (found,) = (
        value.partition(";")[0]
        for value in headers.get_all("Set-Cookie", [])
        if value.startswith(f"{name}=") and "Max-Age=0" not in value
    )
    return found


def test_a_collector_sees_login_and_portal_request_and_nothing_of_whose_they_are(
    tmp_path: Path,
) -> None:
    port = free_port()
    with running_collector() as collector, RawServer(echo).on_port() as upstream:
        more = f'[tracing]\nendpoint = "{collector.endpoint}"'
        file = write_settings(tmp_path, upstream=upstream, port=port, more=more)
        with served_gateway(file, port) as served:
            portal = Portal(port)
            login, cookie = portal.log_in()
            portal.ask("/_cps/made-up")
            forged = {"Cookie": cookie, "TraceParent": FORGED, "tracestate": "x=forged"}
            seen = json.loads(portal.ask(RECORD, fields=forged)[1])["fields"]
            spans = {
                span.name: span
                for span in collector.wait_for(
                    PAGE, CLAIM, TOKEN, "/_cps/callback", "portal request", "none"
                )
            }
            assert attributes(spans[TOKEN]) == {
                "http.request.method": "POST",
                "http.route": TOKEN,
                "http.response.status_code": 200,
            }
            assert attributes(spans["none"]) == {
                "http.request.method": "GET",
                "http.route": "none",
                "http.response.status_code": 404,
                "error.type": "request_forbidden",
            }
            asked = spans["portal request"]
            assert attributes(asked) == {
                "http.request.method": "GET",
                "http.response.status_class": "2xx",
            }
            assert asked.end_time_unix_nano > asked.start_time_unix_nano
            ours = f"00-{asked.trace_id.hex()}-{asked.span_id.hex()}-01"
            traced = [(k.lower(), v) for k, v in seen if k.lower().startswith("trace")]
            assert traced == [("traceparent", ours)], "a browser's own trace is replaced"
            assert all(not span.parent_span_id for span in spans.values())
            assert len({span.trace_id for span in spans.values()}) == len(spans)
            _assert_nothing_told(collector, login, cookie)
            _stop_after_requests(portal, collector, served, cookie)


def _assert_nothing_told(collector: Collector, login: QuickLogin, cookie: str) -> None:
    sent = b"\n".join(collector.bodies)
    for secret in (
        cookie.partition("=")[2],
        login.code,
        login.rid,
        "271828182845",
        "EXEMPLE",
        "EXAMPLE",
        "made-up",
        "8997000",
        "127.0.0.1",
        "localhost",
        FORGED[3:35],
    ):
        assert secret.encode() not in sent, secret
    assert login.nonce not in sent
    assert bytes.fromhex(FORGED[3:35]) not in sent


def _stop_after_requests(
    portal: Portal, collector: Collector, served: ServedGateway, cookie: str
) -> None:
    def sent() -> Counter[str]:
        return Counter(span.name for span in collector.spans)

    before = sent()
    portal.ask("/_cps/session")
    portal.ask(RECORD, fields={"Cookie": cookie})
    assert served.stop() == 0
    assert sent() - before == {"/_cps/session": 1, "portal request": 1}, "sent before the end"


def test_a_collector_that_is_away_slows_nothing(tmp_path: Path) -> None:
    port = free_port()
    # Takes connections and never answers.
    with (
        RawServer(lambda wire: wire.rest()).on_port() as silent,
        RawServer(echo).on_port() as upstream,
    ):
        more = f'[tracing]\nendpoint = "{silent}/v1/traces"'
        file = write_settings(tmp_path, upstream=upstream, port=port, more=more)
        with served_gateway(file, port) as served:
            portal = Portal(port)
            _, cookie = portal.log_in()
            started = time.monotonic()
            for _ in range(20):
                portal.ask(RECORD, fields={"Cookie": cookie})
            assert time.monotonic() - started < 10
            assert served.stop() == 0
