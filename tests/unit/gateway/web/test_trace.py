import pytest
from flask import Flask, Response, abort, g
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.tracing import Tracing
from gateway.web.trace import trace

FORGED = {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}


@pytest.fixture
def sent() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def app(sent: InMemorySpanExporter) -> Flask:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(sent))
    made = Flask(__name__)
    trace(made, Tracing(provider, provider.get_tracer("test").start_span))

    @made.get("/x/<name>")
    def x(name: str) -> Response:
        return Response(name)

    @made.get("/refused/<name>")
    def refused(name: str) -> Response:
        g.error_code = "sig_invalid"
        abort(403)

    return made


def _asked(app: Flask, sent: InMemorySpanExporter, target: str) -> ReadableSpan:
    app.test_client().get(target, headers=FORGED)
    (span,) = sent.get_finished_spans()
    assert "secret" not in span.to_json()
    return span


def test_a_span_has_the_rule_for_its_name_and_not_what_was_asked_for(
    app: Flask, sent: InMemorySpanExporter
) -> None:
    assert _asked(app, sent, "/x/secret?code=secret").name == "/x/<name>"


def test_a_refusal_is_told_by_its_code(app: Flask, sent: InMemorySpanExporter) -> None:
    assert _asked(app, sent, "/refused/secret").attributes == {
        "http.request.method": "GET",
        "http.route": "/refused/<name>",
        "http.response.status_code": 403,
        "error.type": "sig_invalid",
    }


def test_paths_that_nobody_answers_share_one_name(app: Flask, sent: InMemorySpanExporter) -> None:
    assert _asked(app, sent, "/secret").name == "none"


def test_a_browser_adds_to_no_trace_of_its_own(app: Flask, sent: InMemorySpanExporter) -> None:
    span = _asked(app, sent, "/x/secret")
    assert span.parent is None
    assert "a" * 32 not in span.to_json()
