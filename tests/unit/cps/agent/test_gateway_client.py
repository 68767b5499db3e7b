"""The requests to a gateway, against a real HTTP server that may misbehave."""

import hashlib
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from cps.agent import VERSION
from cps.agent.errors import SignInError
from cps.agent.gateway_client import (
    MAX_ANSWER_BYTES,
    GatewayClient,
    LeaseTerms,
    Patience,
    proxy_for,
)
from cps.atr import CPS3_CONTACT_ATR
from cps.authtoken.abort import AbortMessage
from cps.authtoken.codes import ErrorCode
from cps.authtoken.frame import login_message
from cps.authtoken.jwk import AgentKey
from cps.authtoken.lease import LeaseEvent, LeaseMessage
from cps.authtoken.token import AuthToken, CardDescription
from tests.support import pki
from tests.support.gateway_stub import (
    ABORT,
    BEGIN,
    BEGUN_RID,
    CLAIM,
    LEASE,
    TERMS,
    TOKEN,
    Answer,
    GatewayStub,
    running_gateway,
)
from tests.unit.cps.agent.fakes import RID

PRIVATE_KEY = ec.generate_private_key(ec.SECP256R1())
KEY = AgentKey.of(PRIVATE_KEY.public_key())
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_system_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def running() -> Iterator[GatewayStub]:
    with running_gateway() as stub:
        yield stub


@pytest.fixture
def gateway(running: GatewayStub) -> GatewayStub:
    """Return the module's stub as if it had just begun."""
    running.instead.clear()
    running.requests.clear()
    running.change = {}
    running.lease = None
    running.heard.clear()
    running.aborted.clear()
    return running


@pytest.fixture
def client(gateway: GatewayStub) -> GatewayClient:
    return GatewayClient(gateway.origin, tls=trusting_nobody())


def trusting_nobody() -> ssl.SSLContext:
    """Return a client's context without any authority: made in no time."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def token(gateway: GatewayStub, rid: str = RID) -> AuthToken:
    certificate = pki.der(pki.leaf(serial=5))
    message = login_message(
        origin=gateway.origin,
        nonce=gateway.nonce,
        rid=rid,
        jwk_thumbprint=KEY.thumbprint(),
        certificate=certificate,
    )
    return AuthToken(
        rid=rid,
        unverified_certificate=certificate,
        algorithm="RS256",
        signature=pki.key("leaf").sign(message, padding.PKCS1v15(), hashes.SHA256()),
        card=CardDescription(interface="contact", atr=CPS3_CONTACT_ATR),
        agent_version=VERSION,
    )


def refused(call: Callable[[], object]) -> SignInError:
    with pytest.raises(SignInError) as caught:
        call()
    return caught.value


def test_claim_and_token_are_exchanged(gateway: GatewayStub, client: GatewayClient) -> None:
    claim = client.claim(RID, KEY)
    assert claim.nonce == gateway.nonce
    assert (claim.label, claim.expires_in) == ("Portail d’essai", 170)
    accepted = client.hand_in(token(gateway))
    assert (accepted.code, accepted.lease) == (gateway.code, None)
    assert gateway.paths() == [CLAIM, TOKEN]


def test_a_lease_comes_with_the_code(gateway: GatewayStub, client: GatewayClient) -> None:
    client.claim(RID, KEY)
    gateway.lease = {**TERMS, "later": "version"}
    lease = client.hand_in(token(gateway)).lease
    assert lease == LeaseTerms(id=str(TERMS["id"]), heartbeat=20, grace=60)
    assert str(TERMS["id"]) not in repr(lease)


def test_the_claim_holds_what_the_protocol_says_and_no_more(
    gateway: GatewayStub, client: GatewayClient
) -> None:
    client.claim(RID, KEY)
    (_, headers, body) = gateway.requests[0]
    members = json.loads(body)
    assert members["v"] == 1
    assert members["rid"] == RID
    assert members["jwk"] == KEY.to_json()
    assert members["agent"]["version"] == VERSION
    assert headers["Content-Type"] == "application/json"
    assert not {"Cookie", "Origin", "Authorization"} & set(headers)


def test_repr_of_a_claim_hides_the_nonce(gateway: GatewayStub, client: GatewayClient) -> None:
    assert "nonce" not in repr(client.claim(RID, KEY))


def test_a_gateway_that_names_another_origin_is_left(
    gateway: GatewayStub, client: GatewayClient
) -> None:
    gateway.change = {"origin": "https://evil.example"}
    assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.ORIGIN_DENIED


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"origin": "http://localhost"}, id="other-port"),
        pytest.param({"origin": None}, id="none"),
        pytest.param({"origin": 1}, id="number"),
    ],
)
def test_any_other_spelling_of_the_origin_is_another_origin(
    gateway: GatewayStub, client: GatewayClient, change: dict[str, object]
) -> None:
    gateway.change = change
    assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.ORIGIN_DENIED


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"v": 2}, id="version"),
        pytest.param({"v": True}, id="version-bool"),
        pytest.param({"v": "1"}, id="version-text"),
        pytest.param({"nonce": "AAAA"}, id="nonce-short"),
        pytest.param({"nonce": 5}, id="nonce-number"),
        pytest.param({"nonce": "=" * 43}, id="nonce-no-base64"),
        pytest.param({"label": ""}, id="label-empty"),
        pytest.param({"label": "x" * 65}, id="label-long"),
        pytest.param({"label": "\x1b[2Jevil"}, id="label-escape-sequence"),
        pytest.param({"label": "a\nb"}, id="label-lines"),
        pytest.param({"label": "\u202eevil"}, id="label-right-to-left"),
        pytest.param({"label": ["x"]}, id="label-list"),
        pytest.param({"expires_in": -1}, id="expires-negative"),
        pytest.param({"expires_in": 601}, id="expires-long"),
        pytest.param({"expires_in": 1.5}, id="expires-fraction"),
        pytest.param({"expires_in": True}, id="expires-bool"),
        pytest.param({"min_agent": "newest"}, id="min-agent-text"),
        pytest.param({"min_agent": 1}, id="min-agent-number"),
        pytest.param({"alg": "RS256"}, id="alg-text"),
    ],
)
def test_a_malformed_claim_answer_is_refused(
    gateway: GatewayStub, client: GatewayClient, change: dict[str, object]
) -> None:
    gateway.change = change
    assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.GATEWAY_UNREACHABLE


@pytest.mark.parametrize("member", ["v", "nonce", "label", "alg", "expires_in", "min_agent"])
def test_a_missing_member_is_refused(
    gateway: GatewayStub, client: GatewayClient, member: str
) -> None:
    members: dict[str, object] = {
        "v": 1,
        "nonce": "A" * 43,
        "origin": gateway.origin,
        "label": "x",
        "alg": ["RS256"],
        "expires_in": 1,
        "min_agent": "0.1.0",
    }
    del members[member]
    gateway.instead[CLAIM] = Answer.of(members)
    assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.GATEWAY_UNREACHABLE


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"min_agent": "99.0.0"}, id="newer"),
        pytest.param({"alg": ["ES384"]}, id="other-algorithm"),
        pytest.param({"alg": []}, id="no-algorithm"),
    ],
)
def test_a_gateway_that_wants_a_newer_agent_is_told_apart(
    gateway: GatewayStub, client: GatewayClient, change: dict[str, object]
) -> None:
    gateway.change = change
    assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.AGENT_TOO_OLD


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    gateway: GatewayStub, client: GatewayClient, status: int
) -> None:
    with running_gateway() as elsewhere:
        gateway.instead[CLAIM] = Answer(
            status=status, body=b"{}", headers={"Location": elsewhere.origin + CLAIM}
        )
        assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.GATEWAY_UNREACHABLE
        assert elsewhere.requests == []
    assert gateway.paths() == [CLAIM], "and not tried again"


@pytest.mark.parametrize("code", [ErrorCode.RID_EXPIRED, ErrorCode.CERT_REVOKED])
def test_the_gateways_own_code_and_incident_are_passed_on(
    gateway: GatewayStub, client: GatewayClient, code: ErrorCode
) -> None:
    gateway.instead[CLAIM] = Answer.of({"error": code, "ref": "ABCD2345"}, status=403)
    error = refused(lambda: client.claim(RID, KEY))
    assert (error.code, error.incident) == (code, "ABCD2345")


@pytest.mark.parametrize(
    ("members", "status"),
    [
        pytest.param({"error": "made_up", "ref": "A"}, 403, id="unknown-code"),
        pytest.param({"error": 5}, 403, id="number"),
        pytest.param({"error": ["rid_used"]}, 403, id="list"),
        pytest.param({}, 502, id="empty"),
        pytest.param({"error": "pin_blocked"}, 403, id="what-only-the-card-knows"),
        pytest.param({"error": "rid_used"}, 302, id="not-an-error-status"),
    ],
)
def test_words_that_are_not_a_gateways_are_not_repeated(
    gateway: GatewayStub, client: GatewayClient, members: object, status: int
) -> None:
    gateway.instead[CLAIM] = Answer.of(members, status=status)
    assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.GATEWAY_UNREACHABLE


@pytest.mark.parametrize("ref", ["<script>", "a" * 40, 5, None])
def test_an_odd_incident_is_left_out(
    gateway: GatewayStub, client: GatewayClient, ref: object
) -> None:
    gateway.instead[CLAIM] = Answer.of({"error": "rid_used", "ref": ref}, status=409)
    assert refused(lambda: client.claim(RID, KEY)).incident is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>502</html>", id="html"),
        pytest.param(b"[]", id="array"),
        pytest.param(b'{"code":"a","code":"b"}', id="repeated"),
        pytest.param(b'{"code":NaN}', id="nan"),
        pytest.param(b"\xff\xfe", id="utf-16"),
        pytest.param(b'{"code":null}', id="null"),
        pytest.param(b'{"code":"abc","lease":null}', id="short"),
        pytest.param(b'{"code":"' + b"A" * 42 + b'\\n","lease":null}', id="line-feed"),
        pytest.param(b'{"code":"' + b"A" * 43 + b'"}', id="no word of a lease"),
        pytest.param(b'{"pad":"' + b"A" * MAX_ANSWER_BYTES + b'"}', id="large"),
    ],
)
def test_a_malformed_token_answer_is_refused(
    gateway: GatewayStub, client: GatewayClient, body: bytes
) -> None:
    gateway.instead[TOKEN] = Answer(body=body)
    assert refused(lambda: client.hand_in(token(gateway))).code is ErrorCode.GATEWAY_UNREACHABLE


def test_members_of_a_later_version_do_not_disturb(
    gateway: GatewayStub, client: GatewayClient
) -> None:
    gateway.instead[TOKEN] = Answer.of({"code": gateway.code, "lease": None, "more": {"id": "x"}})
    assert client.hand_in(token(gateway)).code == gateway.code


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"id": "short"}, id="id of another form"),
        pytest.param({"id": 1}, id="id no text"),
        pytest.param({"heartbeat": 0}, id="no pause"),
        pytest.param({"heartbeat": 20.0}, id="no whole number"),
        pytest.param({"heartbeat": True}, id="truth"),
        pytest.param({"heartbeat": 61}, id="slower than the grace"),
        pytest.param({"grace": 3601}, id="long grace"),
        pytest.param({"grace": None}, id="no grace"),
    ],
)
def test_a_lease_on_other_terms_is_refused(
    gateway: GatewayStub, client: GatewayClient, change: dict[str, object]
) -> None:
    gateway.instead[TOKEN] = Answer.of({"code": gateway.code, "lease": {**TERMS, **change}})
    assert refused(lambda: client.hand_in(token(gateway))).code is ErrorCode.GATEWAY_UNREACHABLE


@pytest.mark.parametrize("lease", [[], "x", {}, True], ids=["list", "text", "empty", "truth"])
def test_a_lease_of_another_kind_is_refused(
    gateway: GatewayStub, client: GatewayClient, lease: object
) -> None:
    gateway.instead[TOKEN] = Answer.of({"code": gateway.code, "lease": lease})
    assert refused(lambda: client.hand_in(token(gateway))).code is ErrorCode.GATEWAY_UNREACHABLE


def lease_message(gateway: GatewayStub, event: LeaseEvent, counter: int = 1) -> LeaseMessage:
    return LeaseMessage.signed(
        PRIVATE_KEY, origin=gateway.origin, lease=str(TERMS["id"]), counter=counter, event=event
    )


def test_a_message_about_the_card_is_answered_with_the_life_of_the_session(
    gateway: GatewayStub, client: GatewayClient
) -> None:
    client.claim(RID, KEY)
    sent = [
        lease_message(gateway, event, counter)
        for counter, event in enumerate((LeaseEvent.PRESENT, LeaseEvent.REMOVED), 1)
    ]
    assert [client.tell(message) for message in sent] == [True, False]
    assert gateway.heard == sent
    assert gateway.paths() == [CLAIM, LEASE, LEASE]


@pytest.mark.parametrize("alive", [None, 1, "true", []], ids=["null", "number", "text", "list"])
def test_an_answer_that_is_neither_yes_nor_no_is_none(
    gateway: GatewayStub, client: GatewayClient, alive: object
) -> None:
    gateway.instead[LEASE] = Answer.of({"alive": alive})
    message = lease_message(gateway, LeaseEvent.PRESENT)
    assert refused(lambda: client.tell(message)).code is ErrorCode.GATEWAY_UNREACHABLE


def test_a_refused_message_has_the_gateways_code(
    gateway: GatewayStub, client: GatewayClient
) -> None:
    gateway.instead[LEASE] = Answer.of({"error": "sig_invalid", "ref": "ABCD2345"}, status=403)
    message = lease_message(gateway, LeaseEvent.PRESENT)
    assert refused(lambda: client.tell(message)).code is ErrorCode.SIG_INVALID


def test_a_login_given_up_is_told_with_its_reason(
    gateway: GatewayStub, client: GatewayClient
) -> None:
    client.claim(RID, KEY)
    sent = AbortMessage.signed(
        PRIVATE_KEY, origin=gateway.origin, rid=RID, code=ErrorCode.PIN_BLOCKED
    )
    client.give_up(sent)
    assert gateway.aborted == [sent]
    assert gateway.paths() == [CLAIM, ABORT]


def test_the_servers_clock_is_told_by_any_answer(gateway: GatewayStub) -> None:
    told = GatewayClient(gateway.origin, tls=trusting_nobody()).server_time()
    assert abs((told - datetime.now(UTC)).total_seconds()) < 60  # noqa: TID251 - the stub's own
    assert told.tzinfo is not None


def test_a_gateway_that_is_not_there_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{unused.getsockname()[1]}"
        client = GatewayClient(origin, tls=trusting_nobody())
        assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.GATEWAY_UNREACHABLE


def test_a_gateway_that_says_nothing_is_given_up() -> None:
    short = Patience(connect=1, read=0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        origin = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = GatewayClient(origin, tls=trusting_nobody(), login=short)
        assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.GATEWAY_UNREACHABLE


def test_a_gateway_that_says_nothing_of_the_card_is_given_up_sooner(
    gateway: GatewayStub,
) -> None:
    message = lease_message(gateway, LeaseEvent.REMOVED)
    short = Patience(connect=1, read=0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        origin = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = GatewayClient(origin, tls=trusting_nobody(), lease=short)
        assert refused(lambda: client.tell(message)).code is ErrorCode.GATEWAY_UNREACHABLE


@pytest.mark.parametrize(
    ("pause", "chunk"),
    [
        pytest.param(0.02, b"1\r\nx\r\n", id="drips"),
        pytest.param(0, b"400\r\n" + b"x" * 1024 + b"\r\n", id="pours"),
    ],
)
def test_an_answer_without_end_is_given_up(pause: float, chunk: bytes) -> None:
    patience = Patience(connect=1, read=0.15 if pause else 20)
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                try:
                    while not ended.wait(pause):
                        connection.sendall(chunk)
                except OSError:
                    pass

        thread = threading.Thread(target=drip)
        thread.start()
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = GatewayClient(origin, tls=trusting_nobody(), login=patience)
        try:
            assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.GATEWAY_UNREACHABLE
        finally:
            ended.set()
            thread.join()
    assert time.monotonic() - started < 5


# TLS and proxies.


@pytest.fixture
def server_tls(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's context and the file with its own certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    # OpenSSL looks at the real date, so the certificate must be good on any day.
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(pki.NOW - timedelta(days=3650))
        .not_valid_after(pki.NOW + timedelta(days=36500))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    file.write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, file


def test_a_trusted_gateway_is_reached_over_tls(server_tls: tuple[ssl.SSLContext, Path]) -> None:
    context, file = server_tls
    with running_gateway(context) as gateway:
        client = GatewayClient(gateway.origin, tls=ssl.create_default_context(cafile=file))
        assert client.claim(RID, KEY).nonce == gateway.nonce


def test_an_untrusted_gateway_gets_no_request(server_tls: tuple[ssl.SSLContext, Path]) -> None:
    with running_gateway(server_tls[0]) as gateway:
        client = GatewayClient(gateway.origin, tls=trusting_nobody())
        assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.TLS_ERROR
        assert gateway.requests == []


def key_digest(file: Path) -> bytes:
    key = x509.load_pem_x509_certificate(file.read_bytes()).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


def test_a_gateway_with_a_pinned_key_is_reached(server_tls: tuple[ssl.SSLContext, Path]) -> None:
    context, file = server_tls
    with running_gateway(context) as gateway:
        tls = ssl.create_default_context(cafile=file)
        client = GatewayClient(gateway.origin, tls=tls, pins={bytes(32), key_digest(file)})
        assert client.claim(RID, KEY).nonce == gateway.nonce


def test_a_trusted_gateway_with_another_key_gets_no_request(
    server_tls: tuple[ssl.SSLContext, Path],
) -> None:
    context, file = server_tls
    with running_gateway(context) as gateway:
        tls = ssl.create_default_context(cafile=file)
        client = GatewayClient(gateway.origin, tls=tls, pins={bytes(32)})
        assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.TLS_ERROR
        assert gateway.requests == []


def test_a_pinned_key_does_not_make_up_for_trust(
    server_tls: tuple[ssl.SSLContext, Path],
) -> None:
    context, file = server_tls
    with running_gateway(context) as gateway:
        client = GatewayClient(gateway.origin, tls=trusting_nobody(), pins={key_digest(file)})
        assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.TLS_ERROR
        assert gateway.requests == []


def test_a_gateway_that_speaks_no_tls_is_a_tls_error(gateway: GatewayStub) -> None:
    client = GatewayClient(
        gateway.origin.replace("http:", "https:"), tls=ssl.create_default_context()
    )
    assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.TLS_ERROR


class Proxy:
    """A proxy that answers CONNECT with one line and remembers what it was asked."""

    def __init__(self, answer: bytes) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.answer = answer
        self.asked = b""
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def _serve(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            while b"\r\n\r\n" not in self.asked:
                self.asked += connection.recv(4096)
            connection.sendall(self.answer)


def test_the_systems_proxy_is_asked_with_its_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("https_proxy", f"http://user:word@{proxy.address}")
    client = GatewayClient("https://portal.example", tls=trusting_nobody())
    error = refused(lambda: client.claim(RID, KEY))
    proxy.thread.join(5)
    proxy.listener.close()
    assert error.code is ErrorCode.PROXY_ERROR
    assert "word" not in str(error)
    assert proxy.asked.startswith(b"CONNECT portal.example:443 ")
    assert b"Basic dXNlcjp3b3Jk" in proxy.asked
    assert RID.encode() not in proxy.asked


def test_a_proxy_that_is_not_there_is_a_proxy_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{unused.getsockname()[1]}")
        client = GatewayClient("https://portal.example", tls=trusting_nobody())
        assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.PROXY_ERROR


def test_a_kind_of_proxy_that_is_not_spoken_is_a_proxy_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:9")
    client = GatewayClient("https://portal.example", tls=trusting_nobody())
    assert refused(lambda: client.claim(RID, KEY)).code is ErrorCode.PROXY_ERROR


@pytest.mark.parametrize(
    ("origin", "variables", "expected"),
    [
        pytest.param("https://a.example", {}, None, id="none"),
        pytest.param("https://a.example", {"https_proxy": "http://p:1"}, "http://p:1", id="https"),
        pytest.param("https://a.example", {"https_proxy": "p:1"}, "http://p:1", id="bare"),
        pytest.param("https://a.example", {"all_proxy": "http://p:1"}, "http://p:1", id="all"),
        pytest.param("https://a.example", {"http_proxy": "http://p:1"}, None, id="http-only"),
        pytest.param(
            "https://a.example",
            {"https_proxy": "http://p:1", "no_proxy": ".example"},
            None,
            id="excepted",
        ),
        pytest.param("http://localhost:1", {"http_proxy": "http://p:1"}, None, id="localhost"),
        pytest.param("http://127.0.0.1:1", {"http_proxy": "http://p:1"}, None, id="ipv4"),
        pytest.param("https://[::1]:1", {"https_proxy": "http://p:1"}, None, id="ipv6"),
    ],
)
def test_the_systems_proxy_is_honoured_but_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
    origin: str,
    variables: dict[str, str],
    expected: str | None,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(origin) == expected


def test_a_beginning_is_a_claim_without_a_request_id_that_brings_one(
    client: GatewayClient, gateway: GatewayStub
) -> None:
    rid, claim = client.begin(KEY)
    assert (rid, claim.nonce, claim.expires_in) == (BEGUN_RID, gateway.nonce, 170)
    assert gateway.paths() == [BEGIN]
    members = json.loads(gateway.requests[0][2])
    assert (members["v"], members["jwk"]) == (1, KEY.to_json())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"origin": "https://evil.example"}, ErrorCode.ORIGIN_DENIED, id="origin"),
        pytest.param({"rid": "short"}, ErrorCode.GATEWAY_UNREACHABLE, id="rid"),
        pytest.param({"rid": None}, ErrorCode.GATEWAY_UNREACHABLE, id="no rid"),
        pytest.param({"nonce": "AA"}, ErrorCode.GATEWAY_UNREACHABLE, id="nonce"),
        pytest.param({"min_agent": "99.0.0"}, ErrorCode.AGENT_TOO_OLD, id="too old"),
    ],
)
def test_a_beginning_answered_wrongly_is_no_login(
    client: GatewayClient, gateway: GatewayStub, change: dict[str, object], code: ErrorCode
) -> None:
    gateway.change = change
    with pytest.raises(SignInError) as caught:
        client.begin(KEY)
    assert caught.value.code is code


def test_a_gateway_without_such_logins_says_so(client: GatewayClient, gateway: GatewayStub) -> None:
    gateway.instead[BEGIN] = Answer.of({"error": "request_forbidden", "ref": "a-1"}, status=404)
    with pytest.raises(SignInError) as caught:
        client.begin(KEY)
    assert caught.value.code is ErrorCode.REQUEST_FORBIDDEN
