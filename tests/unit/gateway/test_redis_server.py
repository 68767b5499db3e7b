import logging
import os
import re
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.clock import system_clock
from gateway.errors import ConfigurationError, StoreUnavailableError
from gateway.redis_address import RedisAddress
from gateway.redis_server import RedisServer, RedisTLS, Script
from tests.support.redis_servers import RedisProcess, redis_process

SET = Script("#!lua\nreturn redis.call('SET', KEYS[1], ARGV[1])")
PASSWORD = "a-made-up-password"
DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def client(
    url: str, tls: RedisTLS | None = None, password: str | None = None
) -> Iterator[RedisServer]:
    server = RedisServer(
        RedisAddress.parse(url), namespace="test", password=password, tls=tls, wait_seconds=5
    )
    yield server
    server.close()


def refusal(server: RedisServer) -> str:
    with pytest.raises(StoreUnavailableError) as caught:
        server.ask("PING")
    return str(caught.value)


def test_a_script_runs_whether_or_not_the_server_knows_it(redis_server: RedisServer) -> None:
    key = redis_server.key("a")
    for value in (b"1", b"2"):
        assert redis_server.run(SET, [key], [value]) == b"OK"
        assert redis_server.ask("GET", key) == value
        redis_server.ask("SCRIPT", "FLUSH")


def test_gateways_with_other_names_have_other_keys(shared_redis: RedisProcess) -> None:
    one, two = (shared_redis.server(name) for name in ("cps:https://a.example", "cps:https://b.c"))
    one.run(SET, [one.key("x")], ["1"])
    assert two.ask("GET", two.key("x")) is None
    assert one.key("x") == b"cps:https://a.example:x"
    for server in (one, two):
        server.close()


def test_many_threads_get_their_own_answers(redis_server: RedisServer) -> None:
    wrong: list[bytes] = []

    def ask(name: str) -> None:
        key = redis_server.key(name)
        for number in range(50):
            value = f"{name} {number}".encode()
            redis_server.run(SET, [key], [value])
            if redis_server.ask("GET", key) != value:
                wrong.append(value)

    threads = [threading.Thread(target=ask, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_refused_command_leaves_the_connection_usable(redis_server: RedisServer) -> None:
    with pytest.raises(StoreUnavailableError, match="wrong number"):
        redis_server.ask("GET")
    first = redis_server.ask("CLIENT", "ID")
    with pytest.raises(StoreUnavailableError):
        redis_server.run(Script("#!lua\nreturn redis.call('GET')"), [], [])
    assert redis_server.ask("CLIENT", "ID") == first


def test_a_server_that_goes_and_comes_back(shared_redis: RedisProcess) -> None:
    with redis_process("--appendonly", "yes") as process:
        server = process.server(wait_seconds=1)
        server.run(SET, [b"x"], ["1"])
        process.kill()
        for _ in range(3):
            with pytest.raises(StoreUnavailableError):
                server.ask("GET", b"x")
        process.start()
        assert server.ask("GET", b"x") == b"1"
        assert server.run(SET, [b"x"], ["2"]) == b"OK"
        server.close()


def test_a_gateway_starts_while_the_server_is_away(tmp_path: Path) -> None:
    with client(f"unix://{tmp_path}/none.sock"[:100]) as server:
        assert "No such file" in refusal(server)
    with client(f"redis://127.0.0.1:{free_port()}") as server:
        assert "refused" in refusal(server)


def test_a_server_that_answers_nothing_costs_the_time_allowed() -> None:
    with redis_process() as process:
        known, unknown = (process.server(wait_seconds=0.25) for _ in range(2))
        known.ask("PING")
        with process.paused():
            for server, least in ((known, 0.25), (unknown, 0.05)):
                begin = time.monotonic()
                with pytest.raises(StoreUnavailableError):
                    server.ask("PING")
                assert least <= time.monotonic() - begin < 0.35
        # The answer that comes late is nobody's.
        assert known.ask("ECHO", "mine") == b"mine"
        for server in (known, unknown):
            server.close()


def test_a_server_is_looked_at_again_after_a_fault() -> None:
    with redis_process() as process:
        server = process.server(wait_seconds=0.1)
        server.ask("PING")
        with process.paused():
            refusal(server)
        process.kill()
        process.options = ("--replicaof", "127.0.0.1", "1")
        process.start()
        assert "replica" in refusal(server)
        server.close()


def test_time_that_is_over_is_no_time_to_ask(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_server.ask("PING")
    moments = count(step=100)
    monkeypatch.setattr("gateway.redis_server.time.monotonic", lambda: next(moments))
    assert "no answer in time" in refusal(redis_server)


class FakeServer:
    """Gives one client the answers it was told, each after its time in seconds."""

    def __init__(self, path: Path, answers: list[tuple[float, bytes]]) -> None:
        self._answers = answers
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError), self._socket.accept()[0] as connection:
            for seconds, answer in self._answers:
                if not connection.recv(4096):
                    return
                time.sleep(seconds)
                connection.sendall(answer)
            connection.recv(4096)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


@contextmanager
def fake_server(*answers: tuple[float, bytes]) -> Iterator[RedisServer]:
    """Return a client of a server that answers so; it signs in and chooses a database first."""
    with tempfile.TemporaryDirectory(prefix="cps-redis-") as folder:
        path = Path(folder, "redis.sock")
        fake = FakeServer(path, list(answers))
        server = RedisServer(
            RedisAddress.parse(f"unix://{path}?db=1"),
            namespace="test",
            password=PASSWORD,
            wait_seconds=0.3,
        )
        yield server
        server.close()
        fake.close()


def info(**facts: str) -> bytes:
    """Return the answer to INFO of a good server, but for *facts*."""
    good = {"redis_version": "7.0.15", "role": "master", "maxmemory": "0"}
    lines = [f"{name}:{value}" for name, value in {**good, **facts}.items() if value]
    text = "\r\n".join(["# Server", *lines]).encode()
    return b"$%d\r\n%s\r\n" % (len(text), text)


OK = (0.0, b"+OK\r\n")


@pytest.mark.parametrize(
    "times",
    [
        pytest.param((0.09, 0, 0, 0), id="password"),
        pytest.param((0, 0.09, 0, 0), id="database"),
        pytest.param((0.05, 0.05, 0.23, 0), id="information"),
        pytest.param((0.05, 0.05, 0.05, 0.19), id="question"),
    ],
)
def test_all_steps_share_the_time_allowed(times: tuple[float, ...]) -> None:
    answers = zip(times, (b"+OK\r\n", b"+OK\r\n", info(), b"+PONG\r\n"), strict=True)
    with fake_server(*answers) as server:
        begin = time.monotonic()
        assert "Timeout" in refusal(server)
        assert time.monotonic() - begin < 0.4


def test_a_server_that_takes_its_time_is_in_order() -> None:
    with fake_server(OK, OK, (0.05, info()), (0.05, b"+PONG\r\n")) as server:
        assert server.ask("PING") == b"PONG"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(info(redis_version="6.2.14"), "Redis 7 or newer", id="old"),
        pytest.param(info(redis_version=""), "Redis 7 or newer", id="no version"),
        pytest.param(info(redis_version="next"), "Redis 7 or newer", id="unknown version"),
        pytest.param(info(role="slave"), "replica", id="replica"),
        pytest.param(info(role=""), "replica", id="unknown role"),
        pytest.param(
            info(maxmemory="1", maxmemory_policy="allkeys-lru"), "noeviction", id="evicts"
        ),
        pytest.param(info(maxmemory=""), "noeviction", id="unknown memory"),
        pytest.param(b"-NOPERM no permissions to run the 'info' command\r\n", "info", id="hidden"),
        pytest.param(b"$1\r\n\xff\r\n", "Redis 7 or newer", id="garbage"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", "Protocol Error", id="no Redis"),
    ],
)
def test_a_server_that_could_lose_sessions_unseen_is_refused(answer: bytes, reason: str) -> None:
    with fake_server(OK, OK, (0.0, answer)) as server:
        assert reason in refusal(server)


def test_a_real_server_that_throws_keys_away_is_refused() -> None:
    options = ("--maxmemory", "50mb", "--maxmemory-policy", "volatile-lru")
    with redis_process(*options) as process, client(f"unix://{process.socket}") as server:
        assert "noeviction" in refusal(server)


def test_a_real_replica_is_refused(shared_redis: RedisProcess) -> None:
    options = ("--replicaof", "127.0.0.1", "1")
    with redis_process(*options) as process, client(f"unix://{process.socket}") as server:
        assert "replica" in refusal(server)


def test_scripts_are_refused_by_a_server_that_became_a_replica() -> None:
    with redis_process() as process, client(f"unix://{process.socket}") as server:
        read = Script("#!lua\nreturn redis.call('GET', 'x')")
        assert server.run(read, [], []) is None
        server.ask("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreUnavailableError, match="replica"):
            server.run(read, [], [])


def test_an_error_shows_neither_password_nor_values() -> None:
    quoted = f"-ERR unknown command 'AUTH', with args beginning with: '{PASSWORD}'\r\n"
    with fake_server((0.0, quoted.encode())) as server:
        assert PASSWORD not in refusal(server)
    with redis_process("--requirepass", PASSWORD) as process:
        for password in (None, "another-password"):
            with client(f"unix://{process.socket}", password=password) as server:
                text = refusal(server)
                assert PASSWORD not in text
                assert "another-password" not in text


def test_a_server_behind_a_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with redis_process("--requirepass", PASSWORD) as process:
        with client(f"unix://{process.socket}", password=PASSWORD) as server:
            assert server.ask("PING") == b"PONG"
            assert PASSWORD not in repr(server)
        with client(f"unix://{process.socket}") as server:
            assert "Authentication required" in refusal(server)
        with client(f"unix://{process.socket}", password="wrong") as server:
            assert "invalid username-password" in refusal(server)
    assert PASSWORD not in caplog.text


def test_a_user_of_the_access_list_with_the_rights_of_the_reference() -> None:
    rights = re.search(r"user gateway on \S+ (.+)", DOCUMENT.read_text(encoding="utf-8"))
    assert rights is not None
    rules = rights[1].replace("cps:https://portal.example", "test").split()
    with redis_process("--user", "gateway", "on", f">{PASSWORD}", *rules) as process:
        url = f"unix://gateway@{process.socket}"
        with client(url, password=PASSWORD) as server:
            assert server.run(SET, [server.key("x")], ["1"]) == b"OK"
            for forbidden in (("GET", "other"), ("FLUSHALL",), ("CONFIG", "GET", "*")):
                with pytest.raises(StoreUnavailableError, match="permissions"):
                    server.ask(*forbidden)


def test_a_closed_server_answers_nothing(shared_redis: RedisProcess) -> None:
    server = shared_redis.server()
    server.ask("PING")
    server.close()
    assert "closed" in refusal(server)


def test_a_connection_does_not_cross_a_fork(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_server.ask("PING")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert "fork" in refusal(redis_server)


# TLS


@dataclass(frozen=True)
class Files:
    """The files of one authority, and what it issued."""

    ca: Path
    certificate: Path
    key: Path


def issue_all(folder: Path, name: str) -> Files:
    """Return a new authority's certificate, and one for *name* with its key."""
    now = system_clock()
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])

    def certificate(subject: str, public_key: ec.EllipticCurvePublicKey, *, ca: bool) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(authority)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
        )
        signed = builder.sign(authority_key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    folder.mkdir()
    files = Files(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    files.ca.write_bytes(certificate("Test authority", authority_key.public_key(), ca=True))
    files.certificate.write_bytes(certificate(name, key.public_key(), ca=False))
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


@pytest.fixture(scope="module")
def localhost(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return issue_all(tmp_path_factory.mktemp("tls") / "localhost", "localhost")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return issue_all(tmp_path_factory.mktemp("tls") / "stranger", "localhost")


@contextmanager
def tls_port(files: Files, *options: str) -> Iterator[int]:
    port = free_port()
    tls = (
        *("--tls-port", str(port), "--bind", "127.0.0.1"),
        *("--tls-cert-file", str(files.certificate), "--tls-key-file", str(files.key)),
        *("--tls-ca-cert-file", str(files.ca)),
    )
    with redis_process(*tls, *options):
        yield port


def test_a_server_proves_itself_and_the_gateway_too(localhost: Files, stranger: Files) -> None:
    with tls_port(localhost, "--tls-auth-clients", "yes", "--requirepass", PASSWORD) as port:
        url = f"rediss://localhost:{port}"
        known = RedisTLS.load(localhost.ca, localhost.certificate, localhost.key)
        with client(url, known, password=PASSWORD) as server:
            assert server.run(SET, [b"x"], ["1"]) == b"OK"
            assert server.ask("GET", b"x") == b"1"
        with client(url, known, password="wrong") as server:
            assert "invalid username-password" in refusal(server)
        for tls in (
            RedisTLS.load(localhost.ca, None, None),
            RedisTLS.load(localhost.ca, stranger.certificate, stranger.key),
        ):
            with client(url, tls, password=PASSWORD) as server:
                refusal(server)
        with client(f"redis://localhost:{port}", password=PASSWORD) as server:
            refusal(server)


def test_a_server_of_another_authority_is_refused(
    localhost: Files, stranger: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The system trusts the server's authority; the settings name another one, which is what counts.
    monkeypatch.setenv("SSL_CERT_FILE", str(localhost.ca))
    with tls_port(localhost, "--tls-auth-clients", "no") as port:
        url = f"rediss://localhost:{port}"
        with client(url, RedisTLS.load(stranger.ca, None, None)) as server:
            assert "CERTIFICATE_VERIFY_FAILED" in refusal(server)
        with client(url, RedisTLS.load(None, None, None)) as server:
            assert server.ask("PING") == b"PONG"


def test_a_certificate_of_another_name_is_refused(localhost: Files) -> None:
    with tls_port(localhost, "--tls-auth-clients", "no") as port:
        tls = RedisTLS.load(localhost.ca, None, None)
        with client(f"rediss://127.0.0.1:{port}", tls) as server:
            assert "CERTIFICATE_VERIFY_FAILED" in refusal(server)


def test_tls_before_1_2_is_not_spoken(localhost: Files) -> None:
    assert RedisTLS.load(localhost.ca, None, None).context.minimum_version is (
        ssl.TLSVersion.TLSv1_2
    )


@pytest.mark.parametrize(
    ("authority", "certificate", "key"),
    [
        pytest.param("key", None, "redis_tls_ca", id="no authority"),
        pytest.param("ca", "ca", "redis_tls_certificate", id="no pair"),
        pytest.param("ca", "key", "redis_tls_certificate", id="no certificate"),
    ],
)
def test_tls_files_of_another_kind_stop_the_start(
    localhost: Files, authority: str, certificate: str | None, key: str
) -> None:
    chosen = None if certificate is None else getattr(localhost, certificate)
    with pytest.raises(ConfigurationError) as caught:
        RedisTLS.load(getattr(localhost, authority), chosen, localhost.key)
    assert caught.value.key == f"store.{key}"


def test_tls_and_the_address_go_together(localhost: Files) -> None:
    with pytest.raises(ValueError, match="TLS"):
        RedisServer(RedisAddress.parse("rediss://localhost"), namespace="test")
    with pytest.raises(ValueError, match="TLS"):
        RedisServer(
            RedisAddress.parse("redis://localhost"),
            namespace="test",
            tls=RedisTLS.load(localhost.ca, None, None),
        )
