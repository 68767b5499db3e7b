"""Where spans go, what goes with them, and what the log says of spans that are lost."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from gateway.tracing_sender import SpanSender
from tests.support.relay import RawServer, Wire


@pytest.fixture
def span() -> ReadableSpan:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("portal request")
    span.end()
    assert isinstance(span, ReadableSpan)
    return span


@contextmanager
def _answering(answer: bytes) -> Iterator[tuple[RawServer, str]]:
    def talk(wire: Wire) -> None:
        wire.until(b"\r\n\r\n")
        wire.send(answer)
        wire.rest()

    server = RawServer(talk)
    with server.on_port() as address:
        yield server, address


def _answer(status: str, fields: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{fields}Connection: close\r\nContent-Length: 0\r\n\r\n".encode()


def test_no_proxy_of_the_environment_is_asked(
    monkeypatch: pytest.MonkeyPatch, span: ReadableSpan
) -> None:
    with _answering(_answer("200 OK")) as (proxy, address):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, address)
        assert SpanSender("http://collector.invalid/v1/traces").export([span]) is (
            SpanExportResult.FAILURE
        )
        assert proxy.all_received == b""


def test_no_password_of_the_machine_is_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, span: ReadableSpan
) -> None:
    passwords = tmp_path / "netrc"
    passwords.write_text("machine 127.0.0.1 login somebody password secret\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("NETRC", str(passwords))
    with _answering(_answer("200 OK")) as (collector, address):
        assert SpanSender(f"{address}/v1/traces").export([span]) is SpanExportResult.SUCCESS
        assert b"POST /v1/traces" in collector.all_received
        assert b"uthorization" not in collector.all_received


def test_spans_are_not_led_elsewhere_and_count_as_lost(
    caplog: pytest.LogCaptureFixture, span: ReadableSpan
) -> None:
    with _answering(_answer("200 OK")) as (other, elsewhere):
        moved = _answer("307 Temporary Redirect", f"Location: {elsewhere}/v1/traces\r\n")
        with _answering(moved) as (_, address):
            result = SpanSender(f"{address}/v1/traces").export([span])
        assert result is SpanExportResult.FAILURE
        assert other.all_received == b""
    assert "spans are lost until they are taken: TooManyRedirects" in caplog.messages


def test_an_answer_without_end_is_not_read(span: ReadableSpan) -> None:
    endless = (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1000000000000\r\n\r\n"
        + bytes(100_000)
    )
    with _answering(endless) as (_, address):
        assert SpanSender(f"{address}/v1/traces").export([span]) is SpanExportResult.SUCCESS


def test_the_log_says_once_that_spans_are_lost_and_once_that_they_are_taken(
    caplog: pytest.LogCaptureFixture, span: ReadableSpan
) -> None:
    caplog.set_level(logging.INFO, "gateway.tracing")
    answers = [_answer("401 No"), _answer("401 No"), _answer("200 OK"), _answer("200 OK")]

    def talk(wire: Wire) -> None:
        wire.until(b"\r\n\r\n")
        wire.send(answers.pop(0))
        wire.rest()

    with RawServer(talk).on_port() as address:
        sender = SpanSender(f"{address}/v1/traces")
        for _ in range(4):
            sender.export([span])
    ours = [each.getMessage() for each in caplog.records if each.name == "gateway.tracing"]
    assert ours == ["spans are lost until they are taken: answer 401", "spans are taken again"]
