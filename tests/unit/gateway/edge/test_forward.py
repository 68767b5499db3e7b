"""How requests and answers pass: streamed, unchanged, and never whole when they are not."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.edge import forward
from gateway.edge.forward import upstream_error
from gateway.session.model import EndReason
from tests.support.relay import (
    Message,
    RawServer,
    RunningRelay,
    Wire,
    echo,
    portal_and_relay,
    raw_request,
    session_key,
)

NAVIGATION = ("Sec-Fetch-Mode: navigate",)


@contextmanager
def _portal(
    folder: Path, handler: Callable[[Wire], object], **limits: float
) -> Iterator[tuple[RunningRelay, RawServer]]:
    portal = RawServer(handler)
    with portal_and_relay(folder, portal, **limits) as relay:
        yield relay, portal


def _answering(raw: bytes) -> Callable[[Wire], None]:
    def answer(wire: Wire) -> None:
        wire.request()
        wire.send(raw)

    return answer


def _ask(folder: Path, raw_answer: bytes, *, method: str = "GET", **more: str) -> Message:
    with _portal(folder, _answering(raw_answer)) as (relay, _):
        raw = raw_request("/", *more.values(), method=method, cookie=relay.log_in())
        return relay.ask(raw, to=method)


def test_an_answer_passes_unchanged(tmp_path: Path) -> None:
    answer = _ask(
        tmp_path,
        b"HTTP/1.1 418 I am a teapot\r\nServer: old\r\nContent-Type: text/plain\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: 3\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        b"Date: Mon, 23 Nov 2026 12:00:00 GMT\r\n\r\nabc",
    )
    assert answer.first == "HTTP/1.1 418 I am a teapot"
    assert answer.body == b"abc"
    assert answer.all("Set-Cookie") == ["a=1", "b=2"]
    assert answer.one("Content-Encoding") == "gzip"
    assert answer.one("Content-Length") == "3"
    assert answer.one("Server") == "old"
    assert answer.one("Date") == "Mon, 23 Nov 2026 12:00:00 GMT"


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    answer = _ask(
        tmp_path, b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n"
    )
    assert (answer.status, answer.one("Location")) == (302, "http://elsewhere/")


def test_nothing_is_decompressed_nor_asked_compressed(tmp_path: Path) -> None:
    with _portal(tmp_path, echo) as (relay, _):
        raw = raw_request("/", "Content-Encoding: gzip", method="POST", cookie=relay.log_in())
        raw = raw.replace(b"\r\n\r\n", b"\r\nContent-Length: 4\r\n\r\nzip?")
        echoed = json.loads(relay.ask(raw).body)
    assert echoed["body"] == "zip?"
    names = [name.lower() for name, _ in echoed["fields"]]
    assert "content-encoding" in names
    assert not {"accept-encoding", "accept", "user-agent", "content-type"} & set(names)


def test_the_answer_to_head_keeps_its_length_and_has_no_body(tmp_path: Path) -> None:
    with (
        _portal(tmp_path, _answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")) as (
            relay,
            _,
        ),
        relay.wire() as wire,
    ):
        wire.send(raw_request("/", "Connection: close", method="HEAD", cookie=relay.log_in()))
        answer = wire.response(to="HEAD")
        assert wire.rest() == b""
    assert answer.one("Content-Length") == "99"


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_ends_with_its_head(tmp_path: Path, status: int) -> None:
    answer = _ask(tmp_path, b"HTTP/1.1 %d X\r\nETag: x\r\n\r\n" % status)
    assert (answer.status, answer.body, answer.one("Transfer-Encoding")) == (status, b"", None)


def test_a_range_passes_both_ways(tmp_path: Path) -> None:
    with _portal(
        tmp_path,
        _answering(
            b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1-2/9\r\n"
            b"Content-Length: 2\r\n\r\nbc"
        ),
    ) as (relay, portal):
        answer = relay.ask(raw_request("/", "Range: bytes=1-2", cookie=relay.log_in()))
        assert b"Range: bytes=1-2\r\n" in portal.all_received
    assert (answer.status, answer.one("Content-Range"), answer.body) == (206, "bytes 1-2/9", b"bc")


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_passes_with_its_framing(tmp_path: Path, framing: str) -> None:
    with _portal(tmp_path, echo) as (relay, _):
        cookie = relay.log_in()
        if framing == "length":
            raw = raw_request("/", method="POST", cookie=cookie, body=b"abcdef")
        else:
            raw = raw_request("/", "Transfer-Encoding: chunked", method="POST", cookie=cookie)
            raw += b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
        echoed = json.loads(relay.ask(raw).body)
    fields = {name.lower(): value for name, value in echoed["fields"]}
    assert echoed["body"] == "abcdef"
    assert ("content-length" in fields) == (framing == "length")
    assert (fields.get("transfer-encoding") == "chunked") == (framing == "chunks")


def test_a_form_without_body_has_the_length_nought(tmp_path: Path) -> None:
    with _portal(tmp_path, echo) as (relay, _):
        echoed = json.loads(relay.ask(raw_request("/", method="POST", cookie=relay.log_in())).body)
    assert ["Content-Length", "0"] in echoed["fields"]


def test_an_answer_streams_piece_by_piece(tmp_path: Path) -> None:
    """Each event arrives before the portal makes the next one: nothing is held back."""
    seen = threading.Event()

    def events(wire: Wire) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for number in range(3):
            wire.send(b"data: %d\n\n" % number)
            assert seen.wait(2)
            seen.clear()

    with _portal(tmp_path, events) as (relay, _), relay.wire() as wire:
        wire.send(raw_request("/events", cookie=relay.log_in()))
        assert b"text/event-stream" in wire.until(b"\r\n\r\n")
        for number in range(3):
            wire.until(b"data: %d\n\n" % number)
            seen.set()


def test_a_request_streams_piece_by_piece(tmp_path: Path) -> None:
    arrived = threading.Event()

    def slow_reader(wire: Wire) -> None:
        wire.until(b"first")
        arrived.set()
        wire.until(b"second")
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with _portal(tmp_path, slow_reader) as (relay, _), relay.wire() as wire:
        head = raw_request("/", "Content-Length: 11", method="POST", cookie=relay.log_in())
        wire.send(head + b"first")
        assert arrived.wait(2)
        wire.send(b"second")
        assert wire.response().status == 200


def test_a_large_answer_waits_for_who_takes_it(tmp_path: Path) -> None:
    """A browser that stops reading stops the portal from sending: memory stays small."""
    sent = 0
    piece = b"x" * 65536

    def endless(wire: Wire) -> None:
        nonlocal sent
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\n")
        while True:
            wire.send(piece)
            sent += len(piece)

    with _portal(tmp_path, endless) as (relay, _), relay.wire() as wire:
        wire.send(raw_request("/", cookie=relay.log_in()))
        wire.until(b"\r\n\r\n")
        before = -1
        while sent != before:
            before = sent
            time.sleep(0.05)
        held = sent
        # The rest is in the system's buffers, of both connections.
        assert held < 32 * 1024**2
        wire.exactly(held)
        time.sleep(0.05)
        assert sent > held


@pytest.mark.parametrize(
    "raw_answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n",
        b"",
    ],
    ids=["nonsense", "999", "101", "two lengths", "control", "huge head", "nothing"],
)
def test_a_portal_that_answers_nonsense_is_unavailable(tmp_path: Path, raw_answer: bytes) -> None:
    answer = _ask(tmp_path, raw_answer)
    assert answer.status == 502
    assert json.loads(answer.body)["error"] == "upstream_unavailable"


def test_a_portal_that_is_down_has_a_page_that_says_so(tmp_path: Path) -> None:
    with _portal(tmp_path, lambda wire: wire.reset()) as (relay, _):
        raw = raw_request("/", *NAVIGATION, cookie=relay.log_in())
        answer = relay.ask(raw)
    assert answer.status == 502
    assert "le portail ne répond pas" in answer.body.decode()
    assert answer.one("Cache-Control") == "no-store"


def test_the_log_warns_of_what_the_operator_must_mend(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.DEBUG, "gateway.edge"),
        _portal(tmp_path, lambda wire: wire.reset()) as (relay, _),
    ):
        for target in ("/", "//"):
            relay.ask(raw_request(target, cookie=relay.log_in()))
    levels = {record.getMessage()[:3]: record.levelno for record in caplog.records}
    assert levels == {"502": logging.WARNING, "400": logging.INFO}


def test_a_portal_that_is_silent_has_a_page_that_says_so(tmp_path: Path) -> None:
    def silent(wire: Wire) -> None:
        wire.request()
        wire.rest()

    with _portal(tmp_path, silent, upstream_read_seconds=0.1) as (relay, _):
        answer = relay.ask(raw_request("/", *NAVIGATION, cookie=relay.log_in()))
    assert answer.status == 504
    assert "vérifiez d’abord que votre dernière action" in answer.body.decode()


def test_an_event_stream_may_be_silent(tmp_path: Path) -> None:
    def quiet(wire: Wire) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        time.sleep(0.3)
        wire.send(b"data: late\n\n")

    with _portal(tmp_path, quiet, upstream_read_seconds=0.1) as (relay, _), relay.wire() as wire:
        wire.send(raw_request("/", cookie=relay.log_in()))
        wire.until(b"data: late\n\n")


@pytest.mark.parametrize(
    "raw_answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n",
    ],
    ids=["length", "chunks", "broken chunk"],
)
def test_half_an_answer_does_not_look_whole(tmp_path: Path, raw_answer: bytes) -> None:
    with _portal(tmp_path, _answering(raw_answer)) as (relay, _), relay.wire() as wire:
        wire.send(raw_request("/", cookie=relay.log_in()))
        try:
            answer = wire.response()
        except (EOFError, ConnectionError):
            return
        # The end came together with the head, so that nothing was passed on yet.
        assert answer.status == 502


def test_half_a_request_does_not_look_whole(tmp_path: Path) -> None:
    arrived, ended = threading.Event(), threading.Event()

    def reader(wire: Wire) -> None:
        wire.until(b"abc")
        arrived.set()
        wire.rest()
        ended.set()

    with _portal(tmp_path, reader) as (relay, portal):
        with relay.wire() as wire:
            raw = raw_request(
                "/", "Transfer-Encoding: chunked", method="POST", cookie=relay.log_in()
            )
            wire.send(raw + b"3\r\nabc\r\n")
            assert arrived.wait(2)
        assert ended.wait(2)
        assert not portal.all_received.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "bad", [b"zz\r\n", b"-1\r\n", b"3\r\nabcdef\r\n"], ids=["no size", "negative", "too long"]
)
def test_a_broken_chunk_of_a_request_does_not_look_whole(tmp_path: Path, bad: bytes) -> None:
    with _portal(tmp_path, echo) as (relay, portal), relay.wire() as wire:
        raw = raw_request("/", "Transfer-Encoding: chunked", method="POST", cookie=relay.log_in())
        wire.send(raw + b"3\r\nabc\r\n")
        wire.send(bad)
        time.sleep(0.1)
        assert not portal.all_received.endswith(b"0\r\n\r\n")


def test_a_browser_that_goes_away_frees_the_portal(tmp_path: Path) -> None:
    ended = threading.Event()

    def endless(wire: Wire) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nx")
        wire.rest()
        ended.set()

    with _portal(tmp_path, endless) as (relay, _):
        with relay.wire() as wire:
            wire.send(raw_request("/", cookie=relay.log_in()))
            wire.until(b"\r\n\r\n")
        assert ended.wait(2)


def test_logout_cuts_an_endless_answer(tmp_path: Path) -> None:
    ended = threading.Event()

    def endless(wire: Wire) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
        wire.rest()
        ended.set()

    with _portal(tmp_path, endless) as (relay, _), relay.wire() as wire:
        cookie = relay.log_in()
        wire.send(raw_request("/events", cookie=cookie))
        wire.until(b"data: x\n\n")
        relay.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
        began = time.monotonic()
        # No chunk of length nought: the browser sees that the stream was cut.
        assert wire.rest() in (b"", b"\r\n")
        assert ended.wait(2)
        assert time.monotonic() - began < 1


def test_logout_cuts_an_upload(tmp_path: Path) -> None:
    arrived, ended = threading.Event(), threading.Event()

    def reader(wire: Wire) -> None:
        wire.until(b"abc")
        arrived.set()
        wire.rest()
        ended.set()

    with _portal(tmp_path, reader) as (relay, _), relay.wire() as wire:
        cookie = relay.log_in()
        wire.send(raw_request("/", "Content-Length: 99", method="POST", cookie=cookie) + b"abc")
        assert arrived.wait(2)
        relay.sessions.end(session_key(cookie), EndReason.LOGOUT, now=system_clock())
        assert wire.rest() == b""
        assert ended.wait(2)


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_past_the_limit_is_refused(tmp_path: Path, framing: str) -> None:
    limit = 1024**2
    with _portal(tmp_path, Wire.rest, body_bytes=limit) as (relay, portal):
        cookie = relay.log_in()
        with relay.wire() as wire:
            if framing == "length":
                line, body = f"Content-Length: {limit + 1}", b""
            else:
                line, body = "Transfer-Encoding: chunked", b"%x\r\n" % (limit + 1)
                body += b"x" * (limit + 1)
            wire.send(raw_request("/", line, method="POST", cookie=cookie) + body)
            assert wire.response().status == 413
        assert not portal.all_received.endswith(b"0\r\n\r\n")


def test_a_browser_that_takes_nothing_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "STALL_SECONDS", 0.1)
    ended = threading.Event()

    def endless(wire: Wire) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\n")
        try:
            while True:
                wire.send(b"x" * 65536)
        finally:
            ended.set()

    with _portal(tmp_path, endless) as (relay, _), relay.wire() as wire:
        wire.send(raw_request("/", cookie=relay.log_in()))
        assert ended.wait(3)


def test_connections_to_the_portal_are_kept(tmp_path: Path) -> None:
    with _portal(tmp_path, echo) as (relay, portal):
        cookie = relay.log_in()
        for _ in range(5):
            assert relay.ask(raw_request("/", cookie=cookie)).status == 200
        assert len(portal.received) == 1


def test_each_failure_of_the_client_has_its_meaning() -> None:
    assert upstream_error(TimeoutError()).reason == "upstream_timeout"
    assert upstream_error(OSError()).reason == "upstream_unavailable"
