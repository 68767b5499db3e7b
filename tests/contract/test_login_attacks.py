"""Attacks on the login and its session, through each engine of the whole gateway.

The rows L (sessions), O (redirects), J (assertions) and T (TLS) of the table in
docs/reference/engines.md begin the names of their tests.
"""

import base64
import hmac
import http.client
import json
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.jwk import ECKey

from cps.authtoken.encoding import b64url_encode
from cps.portal.assertion import AssertionVerifier
from cps.portal.errors import AssertionRefusedError
from cps.portal.keys import KeySource
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE
from tests.support.engines import ENGINES, EngineName
from tests.support.nginx import nginx_program
from tests.support.quick_login import CLAIM, PAGE, TOKEN, QuickLogin
from tests.support.relay import RawServer, Wire, raw_request
from tests.support.server_certificate import ServerFiles, write_server_files
from tests.support.serving import free_port, served_gateway, write_settings

FEED_SECONDS = 5
"""Ten times what may pass before a process at the edge knows of an end."""
JSON = {"Content-Type": "application/json"}
NAVIGATION = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
OWN_FORM = {**NAVIGATION, "Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def cookie(self, name: str) -> str | None:
        """Return the value that was set, if one was."""
        for line in self.headers.get_all("Set-Cookie", []):
            if line.startswith(f"{name}="):
                return str(line.removeprefix(f"{name}=").partition(";")[0])
        return None


class Gateway:
    """The whole gateway, and what its portal got."""

    def __init__(self, port: int, portal: RawServer, tls: ssl.SSLContext | None) -> None:
        self.port = port
        self.portal = portal
        self._tls = tls
        self.origin = f"{'https' if tls else 'http'}://localhost:{port}"

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        cookies: Mapping[str, str | None] | None = None,
        fields: Mapping[str, str] = MappingProxyType({}),
    ) -> Answer:
        sent = "; ".join(f"{name}={value}" for name, value in (cookies or {}).items() if value)
        headers = {**fields, "Cookie": sent} if sent else dict(fields)
        connection = (
            http.client.HTTPSConnection("localhost", self.port, timeout=10, context=self._tls)
            if self._tls
            else http.client.HTTPConnection("localhost", self.port, timeout=10)
        )
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            return Answer(status=response.status, headers=response.headers, body=response.read())
        finally:
            connection.close()

    def begin(self, target: str = PAGE, browser: str | None = None) -> tuple[QuickLogin, str]:
        """Open the login page, go as far as the code, and return the browser's cookie with it."""
        login = QuickLogin()
        page = self.ask("GET", target, cookies={LOGIN_COOKIE: browser})
        login.read_page(page.body.decode())
        cookie = page.cookie(LOGIN_COOKIE)
        assert cookie is not None
        login.read_claimed(self.ask("POST", CLAIM, login.claim(), fields=JSON).body)
        token = login.token(self.origin)
        login.read_accepted(self.ask("POST", TOKEN, token, fields=JSON).body)
        return login, cookie

    def back(
        self, login: QuickLogin, *, browser: str | None = None, session: str | None = None
    ) -> Answer:
        """Come back with the code, as a browser with these cookies."""
        cookies = {LOGIN_COOKIE: browser, SESSION_COOKIE: session}
        return self.ask("GET", login.callback, cookies=cookies, fields=NAVIGATION)

    def log_in(self) -> str:
        """Log in and return the session cookie's value."""
        login, browser = self.begin()
        cookie = self.back(login, browser=browser).cookie(SESSION_COOKIE)
        assert cookie is not None
        return cookie

    def is_in(self, session: str) -> bool:
        """Return whether the session opens the portal; the portal must agree."""
        self.portal.forget()
        answer = self.ask("GET", "/x", cookies={SESSION_COOKIE: session})
        assert answer.status in (200, 401), answer
        assert (answer.status == 200) == bool(self.portal.all_received)
        return answer.status == 200

    def is_soon_out(self, session: str) -> bool:
        """Return whether the session opens nothing, as soon as every process must know."""
        deadline = time.monotonic() + FEED_SECONDS
        while time.monotonic() < deadline:
            if not self.is_in(session):
                return True
            time.sleep(0.02)
        return False


@contextmanager
def running(engine: EngineName, *, with_tls: bool = False) -> Iterator[Gateway]:
    if engine == "nginx":
        nginx_program()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cps-")))
        portal, port = RawServer(_portal), free_port()
        file = write_settings(
            folder,
            upstream=stack.enter_context(portal.on_port()),
            port=port,
            more=f'[edge]\nengine = "{engine}"\n[rate]\nidentity_per_minute = 1000\n',
        )
        tls = None
        if with_tls:
            files = write_server_files(folder, "localhost")
            tls = ssl.create_default_context(cafile=files.certificate)
            text = file.read_text().replace("http://localhost", "https://localhost")
            own = f'[listen]\ntls_certificate = "{files.certificate}"\ntls_key = "{files.key}"'
            file.write_text(text.replace("[listen]", own))
        scheme = "https" if with_tls else "http"
        stack.enter_context(served_gateway(file, port, scheme=scheme))
        yield Gateway(port, portal, tls)


def _portal(wire: Wire) -> None:
    """Echo each request; what asks for events gets them without end."""
    while True:
        request = wire.request()
        if request.target == "/events":
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
            wire.rest()
            return
        content = json.dumps({"fields": request.fields}).encode()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content))


@pytest.fixture(scope="module", params=ENGINES)
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with running(request.param) as gateway:
        yield gateway


def test_l1_a_session_cookie_from_before_the_login_is_not_taken_over(gateway: Gateway) -> None:
    planted = b64url_encode(b"p" * 32)
    login, browser = gateway.begin()
    cookie = gateway.back(login, browser=browser, session=planted).cookie(SESSION_COOKIE)
    assert cookie not in (None, planted)
    assert not gateway.is_in(planted)


def test_l1_each_login_has_a_session_of_its_own_and_ends_the_browsers_last(
    gateway: Gateway,
) -> None:
    first = gateway.log_in()
    login, browser = gateway.begin()
    second = gateway.back(login, browser=browser, session=first).cookie(SESSION_COOKIE)
    assert second not in (None, first)
    assert gateway.is_soon_out(first)
    assert second is not None
    assert gateway.is_in(second)


def test_l1_who_logged_out_is_out_and_open_streams_are_cut(gateway: Gateway) -> None:
    session = gateway.log_in()
    with Wire.open(f"127.0.0.1:{gateway.port}") as stream:
        stream.send(
            raw_request(
                "/events",
                "Accept: text/event-stream",
                f"Cookie: {SESSION_COOKIE}={session}",
                host=f"localhost:{gateway.port}",
            )
        )
        stream.until(b"data: x\n\n\r\n")
        out = gateway.ask(
            "POST", "/_cps/logout", cookies={SESSION_COOKIE: session}, fields=OWN_FORM
        )
        assert out.status == 200
        assert gateway.is_soon_out(session)
        # Reads to the end: what is not cut fails by its time limit.
        assert stream.rest() == b""


def test_l1_a_code_opens_one_session(gateway: Gateway) -> None:
    login, browser = gateway.begin()
    assert gateway.back(login, browser=browser).cookie(SESSION_COOKIE)
    again = gateway.back(login, browser=browser)
    assert again.status >= 400
    assert again.cookie(SESSION_COOKIE) is None


@pytest.mark.parametrize(("other", "status"), [("nobody", 400), ("another browser", 403)])
def test_l2_a_code_in_another_browser_logs_nobody_in_and_is_dead(
    gateway: Gateway, other: str, status: int
) -> None:
    login, browser = gateway.begin()
    _, victim = gateway.begin()
    stolen = gateway.back(login, browser=victim) if other != "nobody" else gateway.back(login)
    assert stolen.status == status
    assert stolen.cookie(SESSION_COOKIE) is None
    late = gateway.back(login, browser=browser)
    assert late.status >= 400
    assert late.cookie(SESSION_COOKIE) is None


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", NAVIGATION, 200),
        ("HEAD", NAVIGATION, 200),
        ("POST", {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", {**NAVIGATION, "Sec-Fetch-Site": "same-site"}, 403),
        ("POST", {"Origin": "https://evil.example"}, 403),
        ("POST", {}, 403),
    ],
    ids=["a link", "HEAD", "another site", "a sibling site", "another origin", "no origin"],
)
def test_l2_nobody_else_logs_a_person_out(
    gateway: Gateway, method: str, headers: dict[str, str], status: int
) -> None:
    session = gateway.log_in()
    answer = gateway.ask(method, "/_cps/logout", cookies={SESSION_COOKIE: session}, fields=headers)
    assert answer.status == status
    assert gateway.is_in(session)


def test_l2_ten_tabs_of_one_browser_log_in_at_once(gateway: Gateway) -> None:
    first, browser = gateway.begin()
    logins = [first, *(gateway.begin(browser=browser)[0] for _ in range(9))]
    session = None
    for login in logins:
        answer = gateway.back(login, browser=browser, session=session)
        assert answer.status == 303
        session = answer.cookie(SESSION_COOKIE)
        assert session is not None
    assert session is not None
    assert gateway.is_in(session)


def test_l2_a_form_that_met_no_session_says_that_it_was_not_sent(gateway: Gateway) -> None:
    gateway.portal.forget()
    answer = gateway.ask("POST", "/order", b"a=1", fields=OWN_FORM)
    assert answer.status == 401
    assert "le formulaire n’a pas été transmis" in answer.body.decode()
    assert gateway.portal.all_received == b""


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/%5Cevil.example",
        "/%09/evil.example",
        "https:evil.example",
        "///evil.example",
        "/..//evil.example",
        "@evil.example",
        "%0d%0aLocation:%20https://evil.example",
        "javascript:alert(1)",
        "//xn--vil-dma.example",
        "/" + "a" * 8192,
    ],
    ids=lambda target: target[:30],
)
def test_o1_no_query_says_where_a_login_leads(gateway: Gateway, target: str) -> None:
    login, browser = gateway.begin(f"{PAGE}?t={target}")
    answer = gateway.back(login, browser=browser)
    assert (answer.status, answer.headers["Location"]) == (303, f"{gateway.origin}/")


@pytest.mark.parametrize("target", ["/a?next=//evil.example", "/a?b=https://evil.example/%0d%0a"])
def test_o1_a_login_leads_back_to_the_page_of_this_site(gateway: Gateway, target: str) -> None:
    door = gateway.ask("GET", target, fields=NAVIGATION)
    assert door.status == 303
    assert door.headers["Location"].startswith(f"{PAGE}?t=")
    login, browser = gateway.begin(door.headers["Location"])
    answer = gateway.back(login, browser=browser)
    assert (answer.status, answer.headers["Location"]) == (303, gateway.origin + target)


def _assertion(gateway: Gateway, fields: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the one that the portal got."""
    answer = gateway.ask("GET", "/x", cookies={SESSION_COOKIE: gateway.log_in()}, fields=fields)
    arrived = [
        value for name, value in json.loads(answer.body)["fields"] if name == "X-CPS-Assertion"
    ]
    assert len(arrived) == 1
    return str(arrived[0])


def _none(gateway: Gateway, head: dict[str, object], claims: bytes) -> str:
    return f"{_part({**head, 'alg': 'none'})}.{claims.decode()}."


def _with_our_public_key(gateway: Gateway, head: dict[str, object], claims: bytes) -> str:
    keys = json.loads(gateway.ask("GET", "/_cps/.well-known/jwks.json").body)["keys"]
    public = ECKey.import_key(keys[0]).public_key
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{_part({**head, 'alg': 'HS256'})}.{claims.decode()}"
    return f"{signed}.{b64url_encode(hmac.digest(secret, signed.encode(), 'sha256'))}"


def _part(value: dict[str, object]) -> str:
    return b64url_encode(json.dumps(value).encode())


def _another_key(gateway: Gateway, head: dict[str, object], claims: bytes) -> str:
    plain = base64.urlsafe_b64decode(claims + b"==")
    return jws.serialize_compact(head, plain, ECKey.generate_key("P-256"), algorithms=["ES256"])


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(_none, id="alg none"),
        pytest.param(_with_our_public_key, id="HS256 with our public key"),
        pytest.param(_another_key, id="another key under our name"),
        pytest.param(
            lambda g, head, claims: _another_key(g, {**head, "kid": "../../etc/passwd"}, claims),
            id="kid of a path",
        ),
        pytest.param(
            lambda g, head, claims: _another_key(g, {**head, "jku": "http://evil"}, claims),
            id="keys of one's own",
        ),
    ],
)
def test_j1_a_forged_assertion_is_replaced_at_the_edge_and_refused_by_the_portal(
    gateway: Gateway, forge: Callable[[Gateway, dict[str, object], bytes], str]
) -> None:
    verifier = AssertionVerifier(gateway.origin, gateway.origin)
    head, claims, _ = _assertion(gateway).split(".")
    forged = forge(gateway, json.loads(base64.urlsafe_b64decode(head + "==")), claims.encode())
    with pytest.raises(AssertionRefusedError):
        verifier.require_professional(forged)
    arrived = _assertion(gateway, {"X-CPS-Assertion": forged})
    assert arrived != forged
    assert verifier.require_professional(arrived).family_name


def test_j1_an_assertion_is_good_for_its_portal_alone(gateway: Gateway) -> None:
    other = AssertionVerifier(
        gateway.origin,
        "https://other.example",
        keys=KeySource(lambda: gateway.ask("GET", "/_cps/.well-known/jwks.json").body),
    )
    with pytest.raises(AssertionRefusedError, match="aud"):
        other.require_professional(_assertion(gateway))


@pytest.fixture(scope="module", params=ENGINES)
def secure(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with running(request.param, with_tls=True) as gateway:
        yield gateway


class _Client:
    """A client of TLS that believes any server; its connections may resume each other's."""

    def __init__(self, certificate: ServerFiles | None = None) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        if certificate is not None:
            self.context.load_cert_chain(certificate.certificate, certificate.key)
        self.session: ssl.SSLSession | None = None

    def ask(self, gateway: Gateway, name: str, *fields: str, host: str | None = None) -> int:
        """Return the status of a request on a new connection that names this server."""
        raw = raw_request("/x", *fields, host=host or f"localhost:{gateway.port}")
        with (
            socket.create_connection(("127.0.0.1", gateway.port), 10) as plain,
            self.context.wrap_socket(
                plain, server_hostname=name, session=self.session
            ) as connection,
        ):
            connection.sendall(raw)
            status = int(connection.recv(65536).split(b" ")[1])
            self.session = connection.session
            return status


def test_t1_the_name_in_tls_opens_nothing_that_the_host_does_not(secure: Gateway) -> None:
    cookie = f"Cookie: {SESSION_COOKIE}={secure.log_in()}"
    for name in ("localhost", "evil.example"):
        assert _Client().ask(secure, name, cookie) == 200
        assert _Client().ask(secure, name, cookie, host="evil.example") == 421
        assert _Client().ask(secure, name) == 401


def test_t1_resuming_tls_resumes_no_login(secure: Gateway) -> None:
    client = _Client()
    cookie = f"Cookie: {SESSION_COOKIE}={secure.log_in()}"
    assert client.ask(secure, "localhost", cookie) == 200
    assert client.session is not None
    for name in ("localhost", "evil.example"):
        assert client.ask(secure, name) == 401


def test_t1_a_certificate_of_the_client_is_nobody(secure: Gateway, tmp_path: Path) -> None:
    files = write_server_files(tmp_path, "evil.example")
    assert _Client(files).ask(secure, "localhost") == 401
