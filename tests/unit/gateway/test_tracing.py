"""What a span says, what it never says, and what tracing costs where it is off or in trouble."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cps.authtoken.codes import ErrorCode
from gateway import tracing as tracing_module
from gateway.errors import ConfigurationError, UpstreamError
from gateway.tracing import (
    FLUSH_SECONDS,
    MAX_WAITING,
    Tracing,
    open_tracing,
    require_installed,
)
from gateway.tracing_sender import EXPORT_SECONDS
from tests.support.relay import RawServer

LAST_THREADS = ("last spans", "OtelBatchSpanRecordProcessor")
ENDPOINT = "http://127.0.0.1:9/v1/traces"


@pytest.fixture
def sent() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(sent: InMemorySpanExporter) -> Iterator[Tracing]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(sent))
    tracer = provider.get_tracer("test")
    yield Tracing(provider, lambda name: tracer.start_span(name, context=Context()))
    provider.shutdown()


def _the_one(sent: InMemorySpanExporter) -> ReadableSpan:
    (span,) = sent.get_finished_spans()
    return span


def test_a_request_to_the_control_plane_is_named_by_its_route(
    tracing: Tracing, sent: InMemorySpanExporter
) -> None:
    tracing.control_request("POST", "/_cps/agent/token").answered(401, "sig_invalid")
    span = _the_one(sent)
    assert span.name == "/_cps/agent/token"
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/_cps/agent/token",
        "http.response.status_code": 401,
        "error.type": "sig_invalid",
    }


def test_of_an_answer_of_the_portal_only_the_class_is_told(
    tracing: Tracing, sent: InMemorySpanExporter
) -> None:
    tracing.portal_request("GET").passed_back(404)
    span = _the_one(sent)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_class": "4xx",
    }


def test_a_method_that_anybody_made_up_is_not_told(
    tracing: Tracing, sent: InMemorySpanExporter
) -> None:
    tracing.control_request("SECRET", None).answered(405)
    span = _the_one(sent)
    assert span.name == "none"
    assert span.attributes is not None
    assert span.attributes["http.request.method"] == "_OTHER"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        pytest.param(
            UpstreamError(ErrorCode.UPSTREAM_TIMEOUT, "secret"), "upstream_timeout", id="portal"
        ),
        pytest.param(ValueError("secret"), "ValueError", id="defect"),
    ],
)
def test_the_text_of_an_error_is_not_told(
    tracing: Tracing, sent: InMemorySpanExporter, error: Exception, told: str
) -> None:
    tracing.portal_request("GET").failed(error)
    span = _the_one(sent)
    assert span.attributes == {"http.request.method": "GET", "error.type": told}
    assert "secret" not in span.to_json()


def test_what_is_handed_on_names_trace_and_span(
    tracing: Tracing, sent: InMemorySpanExporter
) -> None:
    traced = tracing.portal_request("GET")
    traced.passed_back(200)
    context = _the_one(sent).get_span_context()
    assert context is not None
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", traced.traceparent)
    assert traced.traceparent[3:35] == f"{context.trace_id:032x}"
    assert traced.traceparent[36:52] == f"{context.span_id:016x}"


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        pytest.param("gateway.tracing", "opentelemetry", id="alone"),
        # The client of Redis loads the library for metrics by itself, where it is installed.
        pytest.param(
            "gateway.serve.control, gateway.serve.edge", "opentelemetry.exporter", id="processes"
        ),
    ],
)
def test_nothing_is_loaded_where_tracing_is_off(modules: str, unwanted: str) -> None:
    script = (
        f"import sys, gateway.tracing, {modules}\n"
        "assert gateway.tracing.open_tracing(None, 'edge') is None\n"
        f"sys.exit(any(name.startswith({unwanted!r}) for name in sys.modules))\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing_module, "_PACKAGES", ("opentelemetry_missing.sdk",))
    require_installed(None)
    with pytest.raises(ConfigurationError, match=r"pip install 'cps-gateway\[otel\]'") as caught:
        open_tracing(ENDPOINT, "edge")
    assert caught.value.key == "tracing.endpoint"


def test_a_collector_that_never_answers_holds_up_neither_requests_nor_the_end() -> None:
    with RawServer(lambda wire: wire.rest()).on_port() as silent:
        tracing = open_tracing(f"{silent}/v1/traces", "edge")
        assert tracing is not None
        started = time.monotonic()
        for _ in range(MAX_WAITING + 100):
            tracing.portal_request("GET").passed_back(200)
        assert time.monotonic() - started < 2, "a full queue drops, and does not wait"
        started = time.monotonic()
        tracing.close()
        assert time.monotonic() - started < FLUSH_SECONDS + 1
        tracing.close()
        tracing.portal_request("GET").passed_back(200)
    # What it still logs belongs to this test, not to one that reads its own log.
    for thread in threading.enumerate():
        if thread.name in LAST_THREADS:
            thread.join(10 * EXPORT_SECONDS)
            assert not thread.is_alive()


def test_the_environment_can_switch_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert open_tracing(ENDPOINT, "edge") is None


@pytest.mark.parametrize(
    "name",
    [
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_SPAN_EVENT_COUNT_LIMIT",
        "OTEL_SPAN_LINK_COUNT_LIMIT",
        "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_TRACES_SAMPLER",
    ],
)
def test_nonsense_in_the_environment_stops_no_process(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "nonsense")
    tracing = open_tracing(ENDPOINT, "edge")
    assert tracing is not None
    tracing.close()
