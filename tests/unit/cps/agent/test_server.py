"""The loopback server attacked with raw sockets: each check of "Browser to agent"."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cps.agent.handover import Handover
from cps.agent.progress import Progress
from cps.agent.server import ServerLimits, belongs_to_this_user
from cps.agent.signin import CompletedSignIn, LoginRequest
from tests.unit.cps.agent.fakes import OTHER_RID, RID
from tests.unit.cps.agent.loopback import (
    HOST,
    PORTAL,
    Browser,
    Recorder,
    Response,
    completed,
    parse,
    read_all,
    running_agent,
)

TARGET = f"/v1/login?r={RID}&o={HOST}"
NAVIGATION = (
    ("Sec-Fetch-Site", "cross-site"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-User", "?1"),
    ("Sec-Fetch-Dest", "document"),
)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Browser, Recorder]]:
    done = Recorder()
    with running_agent(done) as browser:
        yield browser, done


@pytest.fixture
def done(running: tuple[Browser, Recorder]) -> Recorder:
    """Return what the module's agent did since the test began."""
    running[1].seen.clear()
    return running[1]


@pytest.fixture
def browser(running: tuple[Browser, Recorder], done: Recorder) -> Browser:
    return running[0]


def test_a_browser_is_sent_back_to_the_portal(browser: Browser, done: Recorder) -> None:
    response = browser.request(headers=NAVIGATION)
    assert response.status == 303
    assert response.headers["Location"] == f"{PORTAL}/_cps/callback?code=CODE"
    assert [(request.rid, request.origin) for request in done.seen] == [(RID, PORTAL)]


def test_a_browser_without_fetch_metadata_is_served(browser: Browser) -> None:
    assert browser.request().status == 303


def test_the_order_of_the_parameters_is_free(browser: Browser) -> None:
    assert browser.request(target=f"/v1/login?o={HOST}&r={RID}").status == 303


def test_the_other_loopback_literal_is_a_good_host(browser: Browser) -> None:
    assert browser.request(host=f"[::1]:{browser.port}").status == 303


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("localhost:{port}", id="localhost"),
        pytest.param("evil.example:{port}", id="rebound-name"),
        pytest.param("evil.example", id="rebound-name-without-port"),
        pytest.param("127.0.0.1", id="without-port"),
        pytest.param("127.0.0.1:1", id="other-port"),
        pytest.param("127.0.0.1:{port}.", id="trailing-dot"),
        pytest.param("127.1:{port}", id="short-ipv4"),
        pytest.param("2130706433:{port}", id="number"),
        pytest.param("0.0.0.0:{port}", id="any-address"),
        pytest.param("[::ffff:127.0.0.1]:{port}", id="mapped-ipv6"),
        pytest.param("[0:0:0:0:0:0:0:1]:{port}", id="long-ipv6"),
        pytest.param("::1:{port}", id="ipv6-without-brackets"),
        pytest.param("127.0.0.1:{port}@evil.example", id="userinfo"),
        pytest.param("127.0.0.1:{port}, evil.example", id="list"),
    ],
)
def test_another_host_is_refused(browser: Browser, done: Recorder, host: str) -> None:
    assert browser.request(host=host.format(port=browser.port)).status in (400, 403)
    assert done.seen == []


def test_a_repeated_host_is_refused(browser: Browser, done: Recorder) -> None:
    again = (("Host", f"127.0.0.1:{browser.port}"),)
    assert browser.request(headers=again).status in (400, 403)
    assert done.seen == []


def test_a_missing_host_is_refused(browser: Browser, done: Recorder) -> None:
    raw = browser.send(f"GET {TARGET} HTTP/1.0\r\n\r\n".encode())
    assert parse(raw).status == 403
    assert done.seen == []


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE"])
def test_another_method_is_refused(browser: Browser, done: Recorder, method: str) -> None:
    response = browser.request(method=method)
    assert response.status == 405
    assert response.headers["Allow"] == "GET"
    assert done.seen == []


def test_a_preflight_gets_no_cross_origin_permission(browser: Browser) -> None:
    response = browser.request(
        method="OPTIONS",
        headers=(
            ("Origin", PORTAL),
            ("Access-Control-Request-Method", "GET"),
            ("Access-Control-Request-Private-Network", "true"),
        ),
    )
    assert response.status == 405
    assert not [name for name in response.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(f"/v1/login/?r={RID}&o={HOST}", id="slash"),
        pytest.param(f"/v1/Login?r={RID}&o={HOST}", id="case"),
        pytest.param(f"/v1/./login?r={RID}&o={HOST}", id="dots"),
        pytest.param(f"/v1/%6Cogin?r={RID}&o={HOST}", id="escaped-path"),
        pytest.param("/", id="root"),
        pytest.param("/favicon.ico", id="favicon"),
        pytest.param(f"http://127.0.0.1{TARGET}", id="absolute-form"),
        pytest.param("/v1/login", id="no-query"),
        pytest.param(f"/v1/login?r={RID}", id="no-portal"),
        pytest.param(f"/v1/login?o={HOST}", id="no-rid"),
        pytest.param(f"{TARGET}&x=1", id="extra"),
        pytest.param(f"{TARGET}&", id="empty-extra"),
        pytest.param(f"{TARGET}&r={RID}", id="rid-twice"),
        pytest.param(f"{TARGET}&o=evil.example", id="portal-twice"),
        pytest.param(f"/v1/login?R={RID}&o={HOST}", id="name-case"),
        pytest.param(f"/v1/login?%72={RID}&o={HOST}", id="escaped-name"),
        pytest.param(f"/v1/login?r={RID}A&o={HOST}", id="rid-long"),
        pytest.param(f"/v1/login?r={RID[:-1]}&o={HOST}", id="rid-short"),
        pytest.param(f"/v1/login?r={RID[:-1]}%41&o={HOST}", id="rid-escaped"),
        pytest.param(f"/v1/login?r={RID}&o={HOST}%2F", id="portal-escaped"),
        pytest.param(f"/v1/login?r={RID}&o={HOST.upper()}", id="portal-case"),
        pytest.param(f"/v1/login?r={RID}&o={PORTAL}", id="portal-with-scheme"),
        pytest.param(f"/v1/login?r={RID}&o=", id="portal-empty"),
        pytest.param(f"/v1/login?r={RID}&o={'a' * 480}", id="long"),
        pytest.param(f"/v1/login?r={RID}&o={HOST}#x", id="fragment"),
    ],
)
def test_another_target_is_refused(browser: Browser, done: Recorder, target: str) -> None:
    assert browser.request(target=target).status == 400
    assert done.seen == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(((("Content-Length", "2"),), b"{}"), id="length"),
        pytest.param(((("Content-Length", "0"),), b""), id="length-zero"),
        pytest.param(((("Transfer-Encoding", "chunked"),), b"0\r\n\r\n"), id="chunked"),
    ],
)
def test_a_request_with_a_body_is_refused(
    browser: Browser, done: Recorder, body: tuple[tuple[tuple[str, str], ...], bytes]
) -> None:
    headers, content = body
    assert browser.request(headers=headers, body=content).status == 400
    assert done.seen == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("Sec-Fetch-Mode", "cors", id="fetch"),
        pytest.param("Sec-Fetch-Mode", "no-cors", id="image"),
        pytest.param("Sec-Fetch-Mode", "websocket", id="websocket"),
        pytest.param("Sec-Fetch-Mode", "", id="empty"),
        pytest.param("Sec-Fetch-Dest", "iframe", id="iframe"),
        pytest.param("Sec-Fetch-Dest", "image", id="image-dest"),
        pytest.param("Sec-Fetch-Dest", "empty", id="empty-dest"),
        pytest.param("sec-fetch-dest", "object", id="lower-case"),
        pytest.param("Origin", "https://evil.example", id="origin"),
        pytest.param("Origin", PORTAL, id="origin-of-the-portal"),
        pytest.param("Origin", "null", id="origin-null"),
        pytest.param("Origin", "", id="origin-empty"),
    ],
)
def test_what_is_no_navigation_is_refused(
    browser: Browser, done: Recorder, name: str, value: str
) -> None:
    assert browser.request(headers=((name, value),)).status == 403
    assert done.seen == []


def test_a_good_header_does_not_hide_a_bad_one_of_the_same_name(
    browser: Browser, done: Recorder
) -> None:
    both = (("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Dest", "iframe"))
    assert browser.request(headers=both).status == 403
    assert done.seen == []


@pytest.mark.parametrize(
    "portal",
    [
        pytest.param("evil.example", id="other"),
        pytest.param("portal.example.evil.example", id="longer"),
        pytest.param("portal.example:443", id="default-port"),
        pytest.param("portal.example:8443", id="other-port"),
        pytest.param("portal.example.", id="dot"),
    ],
)
def test_a_portal_that_is_not_on_the_list_starts_nothing(done: Recorder, portal: str) -> None:
    with running_agent(done) as browser:
        assert browser.request(target=f"/v1/login?r={RID}&o={portal}").status == 403
    assert done.seen == []


def test_the_checks_come_in_the_stated_order(done: Recorder) -> None:
    peer_is_ours = [False]
    frame = (("Sec-Fetch-Dest", "iframe"), ("Origin", "null"))
    elsewhere = f"/v1/login?r={RID}&o=evil.example"
    with running_agent(done, belongs_to_user=lambda client, server: peer_is_ours[0]) as browser:
        # Each request has all the faults of the ones after it.
        answers = [browser.request(method="POST", target="/x", host="evil", headers=frame)]
        peer_is_ours[0] = True
        answers += [
            browser.request(method="POST", target="/x", host="evil", headers=frame),
            browser.request(method="POST", target="/x", headers=frame),
            browser.request(target="/x", headers=frame),
            browser.request(target=elsewhere, headers=frame),
            browser.request(target=elsewhere, headers=frame[1:]),
            browser.request(target=elsewhere),
        ]
    assert [refusal(answer) for answer in answers] == [
        "peer",
        "host",
        "method",
        "target",
        "fetch",
        "origin_header",
        "portal",
    ]
    assert done.seen == []


def refusal(response: Response) -> str:
    return response.body.split("pour le support")[1].split("</p>")[0].strip(" :\u00a0")


def test_a_connection_of_another_user_is_refused(done: Recorder) -> None:
    with running_agent(done, belongs_to_user=lambda client, server: False) as browser:
        assert browser.request().status == 403
    assert done.seen == []


def test_our_own_connection_is_known_by_its_user(browser: Browser) -> None:
    with browser.connect() as connection:
        client, server = connection.getsockname(), connection.getpeername()
        assert belongs_to_this_user(client, server)
    assert not belongs_to_this_user(client, server), "a closed connection is nobody's"


def test_the_agent_listens_on_one_loopback_address_alone(browser: Browser) -> None:
    for address in ("127.0.0.2", "::1"):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as other:
            other.settimeout(1)
            assert other.connect_ex((address, browser.port)) != 0


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", id="tls"),
        pytest.param(b"GARBAGE\r\n\r\n", id="garbage"),
        pytest.param(b"GET " + b"/" * 9000 + b" HTTP/1.1\r\n\r\n", id="long-line"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20000 + b"\r\n\r\n", id="long-field"
        ),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100 + b"\r\n", id="many-fields"),
    ],
)
def test_what_is_no_http_or_too_large_gets_our_page(browser: Browser, raw: bytes) -> None:
    response = parse(browser.send(raw))
    assert response.status == 400
    assert "Content-Security-Policy" in response.headers
    assert "aaaa" not in response.body


def test_every_answer_carries_the_guarding_headers(browser: Browser) -> None:
    for response in (browser.request(), browser.request(method="POST"), browser.request()):
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Connection"] == "close"
        assert "aiohttp" not in response.headers["Server"].lower()


def test_a_refusal_is_in_the_language_of_the_browser(browser: Browser) -> None:
    french = browser.request(method="POST").body
    english = browser.request(method="POST", headers=(("Accept-Language", "en-GB"),)).body
    assert 'lang="fr"' in french
    assert 'lang="en"' in english


def test_a_client_that_sends_its_request_slowly_is_cut_off(done: Recorder) -> None:
    with running_agent(done, limits=ServerLimits(header_seconds=0.1)) as browser:
        with browser.connect() as slow:
            slow.sendall(browser.head()[:40])
            started = time.monotonic()
            assert read_all(slow) == b""
            assert time.monotonic() - started < 2
        assert browser.request().status == 303


def test_a_client_that_drips_is_cut_off_all_the_same(done: Recorder) -> None:
    with (
        running_agent(done, limits=ServerLimits(header_seconds=0.15)) as browser,
        browser.connect() as slow,
    ):
        slow.settimeout(0.01)
        for letter in browser.head()[:60]:
            slow.sendall(bytes([letter]))
            try:
                assert slow.recv(1) == b"", "closed without an answer"
                break
            except TimeoutError:
                continue
        else:
            pytest.fail("a client that drips is never cut off")
    assert done.seen == []


def test_a_flood_of_connections_blocks_no_other_login(done: Recorder) -> None:
    with running_agent(done, limits=ServerLimits(connections=3)) as browser:
        flood = [browser.connect() for _ in range(6)]
        assert browser.request().status == 303
        for oldest in flood[:3]:
            oldest.settimeout(2)
            assert gone(oldest), "gave its place to a later one"
        for connection in flood:
            connection.close()


def gone(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_garbage_slow_clients_and_a_flood_leave_a_login_under_way_alone() -> None:
    asked, leave = threading.Event(), threading.Event()

    def typing(request: LoginRequest, progress: Progress) -> CompletedSignIn:
        asked.set()
        while not leave.wait(0.01):
            assert progress.wanted(), "the person is still typing"
        return completed(request)

    limits = ServerLimits(connections=4)
    with running_agent(typing, limits=limits) as browser, browser.connect() as waiting:
        waiting.sendall(browser.head())
        assert asked.wait(5)
        flood = []
        for number in range(40):
            connection = browser.connect()
            # Nothing, half a request, and no HTTP at all, in turn.
            connection.sendall(
                (b"", browser.head()[:30], b"\x16\x03\x01\x00garbage\r\n\r\n")[number % 3]
            )
            flood.append(connection)
        assert browser.request(target=f"/v1/login?r={OTHER_RID}&o={HOST}").status == 409
        leave.set()
        assert parse(read_all(waiting)).status == 303
        for connection in flood:
            connection.close()


def test_where_every_connection_waits_for_a_login_a_further_one_is_closed_at_once() -> None:
    leave = threading.Event()

    def typing(request: LoginRequest, progress: Progress) -> CompletedSignIn:
        leave.wait(5)
        return completed(request)

    with running_agent(typing, limits=ServerLimits(connections=2)) as browser:
        waiting = [browser.connect() for _ in range(2)]
        for connection in waiting:
            connection.sendall(browser.head())
        time.sleep(0.3)  # Until both requests were read.
        with browser.connect() as further:
            further.settimeout(2)
            assert gone(further)
        leave.set()
        for connection in waiting:
            assert parse(read_all(connection)).status == 303
            connection.close()


def test_a_failing_sign_in_shows_no_trace_and_no_request_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(request: LoginRequest, progress: Progress) -> CompletedSignIn:
        raise RuntimeError("a defect")

    with running_agent(broken) as browser:
        response = browser.request()
    assert response.status == 200
    assert "Traceback" not in response.body
    assert RID not in response.body + caplog.text


def test_another_login_does_not_join_the_one_under_way() -> None:
    entered, leave = threading.Event(), threading.Event()

    def waiting(request: LoginRequest, progress: Progress) -> CompletedSignIn:
        entered.set()
        leave.wait(5)
        return completed(request)

    with running_agent(waiting) as browser, browser.connect() as first:
        first.sendall(browser.head())
        assert entered.wait(5)
        assert browser.request(target=f"/v1/login?r={OTHER_RID}&o={HOST}").status == 409
        leave.set()
        assert parse(read_all(first)).status == 303


# --- a login that began here ---------------------------------------------------------------------

OPENED = (("Sec-Fetch-Site", "none"), *NAVIGATION[1:])
WAY_ON = f"{PORTAL}/_cps/start#CODE"
Begun = tuple[Browser, str, Handover]


@pytest.fixture
def begun() -> Iterator[Begun]:
    """Yield a browser, and where a login that began here waits for it."""
    handover = Handover()
    path = handover.keep(WAY_ON)
    with running_agent(Recorder(), handover=handover) as browser:
        yield browser, path, handover


def test_the_browser_that_was_opened_is_sent_on_once(begun: Begun) -> None:
    browser, path, _ = begun
    response = browser.request(target=path, headers=OPENED)
    assert (response.status, response.headers["Location"]) == (303, WAY_ON)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    again = browser.request(target=path, headers=OPENED)
    assert again.status == 403
    assert "Location" not in again.headers
    assert "CODE" not in again.body


def test_a_browser_without_fetch_metadata_is_sent_on(begun: Begun) -> None:
    browser, path, _ = begun
    assert browser.request(target=path).status == 303


@pytest.mark.parametrize(
    ("change", "status"),
    [
        pytest.param({"host": "evil.example"}, 403, id="rebound name"),
        pytest.param({"method": "POST"}, 405, id="POST"),
        pytest.param({"method": "HEAD"}, 405, id="HEAD"),
        pytest.param({"body": b"x", "headers": (("Content-Length", "1"),)}, 400, id="body"),
        pytest.param({"headers": (("Origin", "null"),)}, 403, id="origin"),
        pytest.param({"headers": (("Sec-Fetch-Site", "cross-site"),)}, 403, id="a page's link"),
        pytest.param({"headers": (("Sec-Fetch-Site", "same-origin"),)}, 403, id="a page of ours"),
        pytest.param({"headers": (("Sec-Fetch-Mode", "no-cors"),)}, 403, id="a subresource"),
        pytest.param({"headers": (("Sec-Fetch-Dest", "iframe"),)}, 403, id="a frame"),
        pytest.param({"headers": (("Sec-Purpose", "prefetch"),)}, 403, id="prefetch"),
    ],
)
def test_what_is_not_the_browser_opened_gets_nothing_and_uses_nothing_up(
    begun: Begun, change: dict[str, Any], status: int
) -> None:
    browser, path, handover = begun
    response = browser.request(target=path, **change)
    assert response.status == status
    assert "Location" not in response.headers
    assert handover.waits()
    assert browser.request(target=path, headers=OPENED).status == 303


def test_another_users_process_that_read_the_command_line_gets_nothing() -> None:
    handover = Handover()
    path = handover.keep(WAY_ON)
    with running_agent(
        Recorder(), handover=handover, belongs_to_user=lambda client, server: False
    ) as browser:
        response = browser.request(target=path, headers=OPENED)
    assert response.status == 403
    assert "Location" not in response.headers
    assert handover.waits(), "the right browser still has its way on"


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("/v1/start", id="no key"),
        pytest.param("/v1/start?k=", id="empty key"),
        pytest.param("/v1/start?k=" + "A" * 42, id="short key"),
        pytest.param("/v1/start?k=" + "A" * 44, id="long key"),
        pytest.param("/v1/start?k=" + "A" * 43 + "&x=1", id="unknown parameter"),
        pytest.param("/v1/start/?k=" + "A" * 43, id="another path"),
        pytest.param("/v1/begin?o=" + HOST, id="no page begins a login"),
    ],
)
def test_another_form_of_the_address_is_refused(begun: Begun, target: str) -> None:
    browser, _, handover = begun
    assert browser.request(target=target, headers=OPENED).status == 400
    assert handover.waits()


def test_a_wrong_key_is_refused(begun: Begun) -> None:
    browser, _, handover = begun
    assert browser.request(target="/v1/start?k=" + "A" * 43, headers=OPENED).status == 403
    assert handover.waits()
