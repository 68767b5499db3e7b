"""What sends spans: OpenTelemetry's own client, kept to the one address that the settings name.

Loads the library; only :mod:`gateway.tracing` imports it, and only where there is an address.
"""

import logging
from collections.abc import Sequence

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

EXPORT_SECONDS = 1.0
"""Longest wait for the collector with one batch, repetitions included; then the batch is lost."""

_log = logging.getLogger("gateway.tracing")


class SpanSender(OTLPSpanExporter):
    """Sends spans, and logs once that they are lost and once that they are not any more."""

    def __init__(self, endpoint: str) -> None:
        """Take where to; nothing is sent yet."""
        self._connections = _Connections()
        super().__init__(
            endpoint=endpoint,
            timeout=EXPORT_SECONDS,
            compression=Compression.NoCompression,
            session=self._connections,
        )
        self._is_losing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send *spans*, or lose them."""
        result = super().export(spans)
        is_lost = result is not SpanExportResult.SUCCESS
        if is_lost and not self._is_losing:
            _log.warning("spans are lost until they are taken: %s", self._connections.outcome)
        elif self._is_losing and not is_lost:
            _log.info("spans are taken again")
        self._is_losing = is_lost
        return result


class _Connections(requests.Session):
    """Asks no proxy, hands over no password of the machine, follows nothing and reads no body."""

    def __init__(self) -> None:
        super().__init__()
        # Proxies and ~/.netrc.
        self.trust_env = False
        # The body of an answer has no limit, and nobody wants it.
        self.stream = True
        self.outcome = "nothing was sent"

    def send(self, request: requests.PreparedRequest, **kwargs: object) -> requests.Response:
        """Send *request* and note how it went.

        :raises requests.RequestException: without an answer, and for one that leads elsewhere,
            which the library takes for a success.
        """
        try:
            answer = super().send(request, **kwargs)
            answer.close()
            if answer.is_redirect:
                raise requests.TooManyRedirects
        except requests.RequestException as exc:
            self.outcome = type(exc).__name__
            raise
        self.outcome = f"answer {answer.status_code}"
        return answer
