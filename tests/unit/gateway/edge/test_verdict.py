import asyncio
import stat
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cps.authtoken.encoding import b64url_encode
from gateway.clock import system_clock
from gateway.edge import book as book_module
from gateway.edge import feed, verdict
from gateway.edge.book import SessionBook
from gateway.edge.headers import identity_fields
from gateway.edge.verdict import (
    IDENTITY_FIELDS,
    MAX_QUESTION_BYTES,
    Verdicts,
    VerdictServer,
)
from gateway.edge.verdict_cache import VerdictCache
from gateway.errors import StoreUnavailableError
from gateway.metrics.model import Metrics
from gateway.session.limits import SessionLimits
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason, Session
from gateway.settings import SessionSettings
from tests.support.relay import PERSON, FakeSigner, new_agent_key, session_key

AGENT_KEY = new_agent_key()


class Store(MemorySessionStore):
    """A store that may be away, or fail as no store should."""

    fault: Exception | None = None

    def get(self, key: bytes, *, now: datetime) -> Session:
        if self.fault is not None:
            raise self.fault
        return super().get(key, now=now)

    def ended_since(self, cursor: int, *, now: datetime) -> tuple[int, list[bytes]]:
        if self.fault is not None:
            raise StoreUnavailableError("away")
        number, keys = super().ended_since(cursor, now=now)
        return number, list(keys)


class CountingSigner(FakeSigner):
    count = 0
    is_defect = False

    def assertion(self, session: Session, now: datetime) -> str:
        if self.is_defect:
            raise RuntimeError("no key any more")
        self.count += 1
        return f"assertion-{self.count}"


class Court:
    """The verdict process, asked as nginx asks it."""

    def __init__(self, folder: Path, *, is_cached: bool = False) -> None:
        self.now = system_clock()
        self.store = Store(SessionSettings())
        self.signer = CountingSigner()
        self.counts = Metrics()
        self.cache = VerdictCache(folder, host="h", seconds=2) if is_cached else None
        self.book = SessionBook(self.store, lambda: self.now, SessionLimits.of(SessionSettings()))
        self.verdicts = Verdicts(self.book, self.signer, lambda: self.now, self.cache, self.counts)
        self.socket = folder / "verdict.sock"
        self.server = VerdictServer(self.book, self.verdicts, self.socket)

    def log_in(self) -> tuple[bytes, str]:
        """Return a session's key and the text of its cookie."""
        cookie = self.store.create(PERSON, AGENT_KEY, now=self.now)
        return session_key(cookie), b64url_encode(cookie)

    async def send(self, raw: bytes) -> bytes:
        """Send raw bytes and return the first answer, empty where the connection ends without."""
        reader, writer = await asyncio.open_unix_connection(self.socket)
        writer.write(raw)
        try:
            return await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        finally:
            writer.close()

    async def status(self, cookie: str, door: str = "program") -> int:
        return int((await self.send(question(cookie, door=door))).split(b" ")[1])


def question(
    cookie: str, target: str = "/portal", *, door: str = "program", more: str = ""
) -> bytes:
    fields = f"Host: verdict\r\nx-cps-session: {cookie}\r\nX-CPS-Door: {door}\r\n{more}"
    return f"GET {target} HTTP/1.1\r\n{fields}\r\n".encode()


def in_court(
    folder: Path, act: Callable[[Court], Awaitable[None]], *, is_cached: bool = False
) -> None:
    async def main() -> None:
        court = Court(folder, is_cached=is_cached)
        await court.server.start()
        work = asyncio.create_task(court.server.run())
        await asyncio.sleep(0.02)
        try:
            async with asyncio.timeout(5):
                await act(court)
        finally:
            await court.server.stop()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    asyncio.run(main())


@pytest.fixture(autouse=True)
def _haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "POLL_SECONDS", 0.01)


def test_a_session_is_let_in_with_its_identity(tmp_path: Path) -> None:
    async def act(court: Court) -> None:
        _, cookie = court.log_in()
        for _ in range(2):  # By the store, then from memory.
            answer = (await court.send(question(cookie))).decode()
            head = answer.split("\r\n")
            assert head[0] == "HTTP/1.1 200 OK"
            assert "X-CPS-Verdict: let-in" in head
            assert "X-CPS-Subject: 899900000013" in head
            assert "X-CPS-Name: CAMILLE%20%C3%89XEMPLE" in head
            assert "X-CPS-Assertion: assertion-1" in head
            assert "Content-Length: 0" in head

    in_court(tmp_path, act)


def test_every_identity_field_is_one_that_nginx_passes(tmp_path: Path) -> None:
    async def act(court: Court) -> None:
        key, _ = court.log_in()
        session = court.store.get(key, now=court.now)
        assert {name for name, _ in identity_fields(session, "x")} == set(IDENTITY_FIELDS)

    in_court(tmp_path, act)


@pytest.mark.parametrize(
    "cookie", ["", "A" * 43, "A" * 42, "A" * 44, "!" * 43, "A" * 42 + "B"], ids=len
)
def test_whoever_has_no_session_is_not_let_in(tmp_path: Path, cookie: str) -> None:
    async def act(court: Court) -> None:
        court.log_in()
        assert await court.status(cookie) == 401
        # A person can be led to the login page.
        assert await court.status(cookie, "page") == 403

    in_court(tmp_path, act)


def test_a_session_that_ended_is_refused_at_once(tmp_path: Path) -> None:
    async def act(court: Court) -> None:
        key, cookie = court.log_in()
        assert await court.status(cookie) == 200
        court.store.end(key, EndReason.LOGOUT, now=court.now)
        while await court.status(cookie) == 200:
            await asyncio.sleep(0.005)
        assert await court.status(cookie) == 401

    in_court(tmp_path, act)


def test_a_store_that_is_away_lets_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_module, "MAX_SILENCE_SECONDS", 0.05)

    async def act(court: Court) -> None:
        _, known = court.log_in()
        _, unknown = court.log_in()
        assert await court.status(known) == 200
        court.store.fault = StoreUnavailableError("away")
        assert await court.status(unknown) == 503
        await asyncio.sleep(0.1)
        assert await court.status(known) == 503
        court.store.fault = None
        while await court.status(known) != 200:
            await asyncio.sleep(0.005)

    in_court(tmp_path, act)


def test_a_defect_of_the_store_lets_nobody_in(tmp_path: Path) -> None:
    async def act(court: Court) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        _, cookie = court.log_in()
        court.store.fault = RuntimeError("a defect")
        assert await court.status(cookie) == 500

    in_court(tmp_path, act)


def test_a_defect_in_an_answer_lets_nobody_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def act(court: Court) -> None:
        _, cookie = court.log_in()
        assert await court.status(cookie) == 200
        court.now += timedelta(seconds=2)
        court.signer.is_defect = True
        assert await court.status(cookie) == 500
        assert cookie not in caplog.text

    in_court(tmp_path, act)
    assert "a defect" in caplog.text


def test_the_assertion_is_asked_for_again_after_a_second(tmp_path: Path) -> None:
    async def act(court: Court) -> None:
        _, cookie = court.log_in()
        for _ in range(5):
            await court.status(cookie)
        assert court.signer.count == 1
        court.now += timedelta(seconds=1)
        assert b"assertion-2" in await court.send(question(cookie))
        # A clock that went back tells nothing of an answer's age.
        court.now -= timedelta(seconds=30)
        assert b"assertion-3" in await court.send(question(cookie))

    in_court(tmp_path, act)


def test_answers_in_memory_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "MAX_KNOWN", 2)

    async def act(court: Court) -> None:
        for _ in range(5):
            assert await court.status(court.log_in()[1]) == 200
        assert len(court.verdicts._answers) == 2

    in_court(tmp_path, act)


def test_one_connection_carries_many_questions(tmp_path: Path) -> None:
    async def act(court: Court) -> None:
        _, cookie = court.log_in()
        reader, writer = await asyncio.open_unix_connection(court.socket)
        for asked, status in ((cookie, b"200"), ("A" * 43, b"401"), (cookie, b"200")) * 20:
            writer.write(question(asked))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.split(b" ")[1] == status
        writer.close()

    in_court(tmp_path, act)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"nonsense\r\n\r\n", id="not HTTP"),
        pytest.param(question("a").replace(b"GET", b"POST"), id="method"),
        pytest.param(b"GET /portal HTTP/1.1\r\nX-CPS-Door: page\r\n\r\n", id="no cookie"),
        pytest.param(b"GET /portal HTTP/1.1\r\nX-CPS-Session: a\r\n\r\n", id="no door"),
        pytest.param(question("a", door="other"), id="unknown door"),
        pytest.param(question("a", more="X-CPS-Door: page\r\n"), id="two doors"),
        pytest.param(question("a", "/other"), id="unknown rule"),
        pytest.param(question("a", "/portal?x"), id="query"),
        pytest.param(question("a", "/portal/"), id="another spelling"),
        pytest.param(question("a", more="X-CPS-Session: b\r\n"), id="two cookies"),
        pytest.param(question("a", more="Upgrade: x\r\nConnection: upgrade\r\n"), id="upgrade"),
        pytest.param(question("é"), id="not ASCII"),
        pytest.param(question("a" * MAX_QUESTION_BYTES), id="too large"),
        pytest.param(b"GET /" + b"a" * 100_000, id="endless target"),
    ],
)
def test_what_nginx_would_not_ask_is_not_answered_with_a_permission(
    tmp_path: Path, raw: bytes
) -> None:
    async def act(court: Court) -> None:
        answer = await court.send(raw)
        assert b" 200 " not in answer
        assert b"let-in" not in answer

    in_court(tmp_path, act)


def test_a_question_before_the_answer_is_refused(tmp_path: Path) -> None:
    async def act(court: Court) -> None:
        _, cookie = court.log_in()
        answer = await court.send(question(cookie) * 2)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"let-in" not in answer

    in_court(tmp_path, act)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.binary(max_size=200), max_size=5), st.binary(max_size=80))
def test_no_bytes_make_a_permission_without_a_session(
    tmp_path: Path, pieces: list[bytes], cookie: bytes
) -> None:
    async def act(court: Court) -> None:
        court.log_in()
        parser = verdict._Questions(court.verdicts)
        transport = RecordingTransport()
        parser.connection_made(transport)
        for piece in (*pieces, b"GET /portal HTTP/1.1\r\nx-cps-session: " + cookie):
            if not transport.is_closing():
                parser.data_received(piece)
        parser.connection_lost(None)
        assert b" 200 " not in transport.written
        assert b"let-in" not in transport.written

    async def main() -> None:
        await act(Court(tmp_path))

    asyncio.run(main())


class RecordingTransport(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self._closing = True

    def is_closing(self) -> bool:
        return self._closing


def test_only_the_gateways_user_can_ask(tmp_path: Path) -> None:
    async def act(court: Court) -> None:
        assert stat.S_IMODE(court.socket.stat().st_mode) == 0o600

    in_court(tmp_path, act)


def test_what_nginx_keeps_goes_when_the_session_ends(tmp_path: Path) -> None:
    async def act(court: Court) -> None:
        key, cookie = court.log_in()
        assert await court.status(cookie) == 200
        assert court.cache is not None
        (file,) = court.cache._files[key].values()
        file.parent.mkdir(parents=True)
        file.touch()
        court.store.end(key, EndReason.LOGOUT, now=court.now)
        while file.exists():
            await asyncio.sleep(0.005)

    in_court(tmp_path, act, is_cached=True)


@pytest.mark.parametrize("news", ["silence", "replaced"])
def test_what_nginx_keeps_goes_when_nobody_can_say_who_is_in(tmp_path: Path, news: str) -> None:
    async def act(court: Court) -> None:
        key, cookie = court.log_in()
        await court.status(cookie)
        assert court.cache is not None
        (file,) = court.cache._files[key].values()
        file.parent.mkdir(parents=True)
        file.touch()
        if news == "silence":
            court.book.silent(1.9)
            assert file.exists()
            court.book.silent(2.1)
        else:
            court.book.all_ended()
        assert not file.exists()

    in_court(tmp_path, act, is_cached=True)


def test_answers_are_counted_by_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "COUNT_SECONDS", 0.01)

    async def act(court: Court) -> None:
        _, cookie = court.log_in()
        for _ in range(3):
            await court.status(cookie)
        await court.status("nobody")
        await court.status("nobody", door="page")
        await court.send(b"nonsense\r\n\r\n")
        await asyncio.sleep(0.05)
        told = {
            result: court.counts.registry.get_sample_value("cps_verdicts_total", {"result": result})
            for result in ("let_in", "no_session", "malformed")
        }
        assert told == {"let_in": 3, "no_session": 2, "malformed": 1}

    in_court(tmp_path, act)
