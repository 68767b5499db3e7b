"""Traces for OpenTelemetry: a span for each request, of which it says as little as helps.

What a span may hold are the arguments of the functions here, and nothing else: no path, query,
address, cookie, code, name or number of a person, session or record.

The library is an extra, and is loaded only where the settings name an address.
"""

import threading
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from gateway.errors import ConfigurationError, UpstreamError
from gateway.version import gateway_version

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

FLUSH_SECONDS = 2.0
"""Longest time that the end of a process waits for the last spans."""
SEND_EVERY_MILLISECONDS = 1000
"""Spans are sent together so often."""
MAX_WAITING = 2048
"""Spans that wait to be sent; with more, the oldest are lost."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""What is named in a span; anybody could make up others."""
NO_ROUTE = "none"
"""The name for what fits no route."""
PORTAL_REQUEST = "portal request"
"""The name of every span of a request to the portal."""
TRACE_FIELDS = frozenset({"traceparent", "tracestate"})
"""Header fields of a trace, in lower case. Source: W3C Trace Context."""

_MAX_BATCH = 512
_MAX_ATTRIBUTES = 16
_MAX_TEXT_CHARS = 256
_PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_KEY = "tracing.endpoint"


class Traced:
    """A request under way; ends once, by an answer or a failure."""

    def __init__(self, span: "Span") -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        """The field by which others add to this trace. Source: W3C Trace Context §3.2."""
        context = self._span.get_span_context()
        # The last number says that the trace is kept, as all are.
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"

    def answered(self, status: int, error: str | None = None) -> None:
        """End with an answer.

        :param status: of HTTP.
        :param error: the code of a refusal.
        """
        self._span.set_attribute("http.response.status_code", status)
        self._end(error)

    def passed_back(self, status: int) -> None:
        """End with an answer of the portal, of which the class alone is kept."""
        self._span.set_attribute("http.response.status_class", f"{status // 100}xx")
        self._end(None)

    def failed(self, error: BaseException) -> None:
        """End without an answer; the text of *error*, which may quote the request, is left out."""
        self._end(error.reason.value if isinstance(error, UpstreamError) else type(error).__name__)

    def _end(self, error: str | None) -> None:
        if error is not None:
            self._span.set_attribute("error.type", error)
        self._span.end()


class Tracing:
    """Makes the spans of one process, and sends them from a thread of its own."""

    def __init__(self, provider: "TracerProvider", new_root: Callable[[str], "Span"]) -> None:
        """Take what :func:`open_tracing` made.

        :param new_root: begins a span of a given name, in a trace of its own.
        """
        self._provider = provider
        self._new_root = new_root

    def control_request(self, method: str, route: str | None) -> Traced:
        """Begin the span of a request to the control plane.

        :param route: the rule of its route, never what was asked for; ``None`` where none fits.
        """
        return self._begin(route or NO_ROUTE, method, route=route or NO_ROUTE)

    def portal_request(self, method: str) -> Traced:
        """Begin the span of a request that is passed to the portal."""
        return self._begin(PORTAL_REQUEST, method)

    def close(self) -> None:
        """Send what waits, in a bounded time; may be called again."""
        # The library's own end waits for half a minute.
        closing = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        closing.start()
        closing.join(FLUSH_SECONDS)

    def _begin(self, name: str, method: str, *, route: str | None = None) -> Traced:
        span = self._new_root(name)
        span.set_attribute("http.request.method", method if method in METHODS else "_OTHER")
        if route is not None:
            span.set_attribute("http.route", route)
        return Traced(span)


def require_installed(endpoint: str | None) -> None:
    """Refuse an address for traces where the library that would send them is missing.

    :raises ConfigurationError: saying what to install.
    """
    if endpoint is not None and not all(map(_is_there, _PACKAGES)):
        reason = "wants OpenTelemetry, which is not installed: pip install 'cps-gateway[otel]'"
        raise ConfigurationError("settings", _KEY, reason)


def open_tracing(endpoint: str | None, process: str) -> Tracing | None:
    """Return what traces requests of this process, ``None`` where nothing is to be traced.

    Nothing is either where the environment switches the library off (``OTEL_SDK_DISABLED``).

    Called in the process that answers, since its thread does not survive a fork.

    :param endpoint: where spans are sent.
    :param process: says which part of the gateway a span is of.
    :raises ConfigurationError: where the library is missing.
    """
    if endpoint is None:
        return None
    require_installed(endpoint)
    # Here, because without an address nothing of it may be loaded.
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON
    from opentelemetry.trace import NoOpTracer

    from gateway.tracing_sender import SpanSender

    # Stated, not detected: the library would add the command line and the machine.
    resource = Resource(
        {
            "service.name": "cps-gateway",
            "service.version": gateway_version(),
            "cps.process": process,
        }
    )
    # Stated too: with a limit that is no number in its environment the library does not start.
    limits = SpanLimits(
        max_attributes=_MAX_ATTRIBUTES,
        max_events=0,
        max_links=0,
        max_span_attributes=_MAX_ATTRIBUTES,
        max_event_attributes=0,
        max_link_attributes=0,
        max_attribute_length=_MAX_TEXT_CHARS,
        max_span_attribute_length=_MAX_TEXT_CHARS,
    )
    provider = TracerProvider(
        sampler=ALWAYS_ON, resource=resource, span_limits=limits, shutdown_on_exit=False
    )
    tracer = provider.get_tracer("gateway")
    if isinstance(tracer, NoOpTracer):
        # Its spans have no number that the portal could be told.
        return None
    provider.add_span_processor(
        BatchSpanProcessor(
            SpanSender(endpoint),
            max_queue_size=MAX_WAITING,
            schedule_delay_millis=SEND_EVERY_MILLISECONDS,
            max_export_batch_size=_MAX_BATCH,
        )
    )
    return Tracing(provider, lambda name: tracer.start_span(name, context=Context()))


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False
