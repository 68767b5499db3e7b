import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cps.portal.errors import AssertionRefusedError, KeysUnavailableError
from cps.portal.keys import (
    KEEP_SECONDS,
    MAX_BYTES,
    REFRESH_SECONDS,
    RETRY_SECONDS,
    KeySource,
    fetch_from,
    read_key_set,
)
from tests.support.assertions import Issuer


class FakeGateway:
    """Publishes keys, counts who asks, and is away when told so."""

    def __init__(self) -> None:
        self.issuers = [Issuer()]
        self.asked = 0
        self.now = 1000.0
        self.away = False
        self.fetched = threading.Event()

    def fetch(self) -> bytes:
        self.asked += 1
        self.fetched.set()
        if self.away:
            raise KeysUnavailableError("away")
        return json.dumps({"keys": [issuer.public() for issuer in self.issuers]}).encode()

    def source(self) -> KeySource:
        return KeySource(self.fetch, clock=lambda: self.now)


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


def wait_until_fetched(source: KeySource, gateway: FakeGateway) -> None:
    assert gateway.fetched.wait(5)
    # The thread that fetches holds the lock until the keys are in place.
    with source._fetching:
        gateway.fetched.clear()


def test_keys_are_fetched_once_and_kept(gateway: FakeGateway) -> None:
    source, kid = gateway.source(), gateway.issuers[0].kid
    assert gateway.asked == 0
    for _ in range(3):
        assert source.key(kid).thumbprint() == kid
        gateway.now += REFRESH_SECONDS / 4
    assert gateway.asked == 1


def test_a_new_key_is_fetched_when_it_is_met(gateway: FakeGateway) -> None:
    source = gateway.source()
    source.key(gateway.issuers[0].kid)
    gateway.issuers.append(Issuer())
    gateway.now += RETRY_SECONDS
    source.key(gateway.issuers[1].kid)
    assert gateway.asked == 2


def test_names_made_up_do_not_make_the_portal_ask_and_ask(gateway: FakeGateway) -> None:
    source = gateway.source()
    source.key(gateway.issuers[0].kid)
    gateway.now += RETRY_SECONDS
    for number in range(50):
        with pytest.raises(AssertionRefusedError, match="does not publish"):
            source.key(f"made up {number}")
    assert gateway.asked == 2
    source.key(gateway.issuers[0].kid)


def test_a_key_withdrawn_is_gone_with_the_next_look(gateway: FakeGateway) -> None:
    source, old = gateway.source(), gateway.issuers[0].kid
    source.key(old)
    gateway.issuers = [Issuer()]
    gateway.now += RETRY_SECONDS
    source.key(gateway.issuers[0].kid)
    with pytest.raises(AssertionRefusedError):
        source.key(old)


def test_old_keys_are_renewed_beside_the_request(gateway: FakeGateway) -> None:
    source, kid = gateway.source(), gateway.issuers[0].kid
    source.key(kid)
    gateway.fetched.clear()
    gateway.now += REFRESH_SECONDS + 1
    source.key(kid)
    wait_until_fetched(source, gateway)
    assert gateway.asked == 2
    gateway.now += RETRY_SECONDS
    source.key(kid)
    assert gateway.asked == 2


def test_a_gateway_away_is_bridged_for_a_while_and_not_longer(gateway: FakeGateway) -> None:
    source, kid = gateway.source(), gateway.issuers[0].kid
    source.key(kid)
    gateway.fetched.clear()
    gateway.away = True
    gateway.now += KEEP_SECONDS
    source.key(kid)
    wait_until_fetched(source, gateway)
    gateway.now += RETRY_SECONDS
    with pytest.raises(KeysUnavailableError):
        source.key(kid)
    gateway.away = False
    gateway.now += RETRY_SECONDS
    source.key(kid)


def test_a_gateway_away_is_not_asked_by_every_request(gateway: FakeGateway) -> None:
    source = gateway.source()
    gateway.away = True
    for _ in range(20):
        with pytest.raises(KeysUnavailableError):
            source.key("any")
    assert gateway.asked == 1


def test_requests_at_a_time_share_one_fetch(gateway: FakeGateway) -> None:
    source, kid = gateway.source(), gateway.issuers[0].kid
    threads = [threading.Thread(target=source.key, args=(kid,)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert gateway.asked == 1


def test_a_broken_set_leaves_the_keys_known(gateway: FakeGateway) -> None:
    source, kid = gateway.source(), gateway.issuers[0].kid
    source.key(kid)
    gateway.issuers = []
    gateway.now += RETRY_SECONDS
    with pytest.raises(AssertionRefusedError):
        source.key("new")
    source.key(kid)


def _set(**changes: object) -> bytes:
    return json.dumps({"keys": [{**Issuer().public(), **changes}]}).encode()


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"keys": {}}', id="keys no list"),
        pytest.param(b'{"keys": []}', id="no key"),
        pytest.param(b'{"keys": [1]}', id="a number"),
        pytest.param(_set(x="AAAA"), id="no point"),
        pytest.param(_set(x="A" * 43), id="off the curve"),
        pytest.param(_set(d="A" * 43), id="private"),
        pytest.param(_set(alg="HS256"), id="another algorithm"),
        pytest.param(_set(use="enc"), id="another use"),
        pytest.param(_set(kid=5), id="no name"),
        pytest.param(_set(junk="x" * MAX_BYTES), id="too large"),
        pytest.param(b'{"keys": [], "keys": []}', id="twice"),
    ],
)
def test_another_set_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_key_set(raw)


@pytest.mark.parametrize(
    "address",
    ["http://portal.example/keys", "ftp://portal.example/keys", "file:///etc/keys", "keys.json"],
)
def test_keys_come_by_https_or_from_this_machine(address: str) -> None:
    with pytest.raises(ValueError, match="https is wanted"):
        fetch_from(address)


class Answers(BaseHTTPRequestHandler):
    """What a gateway may answer, by path."""

    key_set = b""

    def do_GET(self) -> None:
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
            return
        body = self.key_set if self.path == "/good" else b"x" * (10 * MAX_BYTES)
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
        """Keep the test's output clean."""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    Answers.key_set = Issuer().key_set()
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_set_is_fetched(origin: str) -> None:
    fetch = fetch_from(f"{origin}/good")
    assert len(read_key_set(fetch())) == 1
    assert len(read_key_set(fetch())) == 1


@pytest.mark.parametrize("path", ["redirect", "broken"])
def test_another_answer_is_no_set(origin: str, path: str) -> None:
    with pytest.raises(KeysUnavailableError, match="status"):
        fetch_from(f"{origin}/{path}")()


def test_of_an_endless_answer_only_so_much_is_read(origin: str) -> None:
    assert len(fetch_from(f"{origin}/large")()) == MAX_BYTES + 1
