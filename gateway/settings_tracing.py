"""``[tracing]``: where traces of requests are sent."""

from pydantic import BaseModel, ConfigDict

from gateway.settings_revocation import ResponderAddress


class TracingSettings(BaseModel):
    """``[tracing]``: OpenTelemetry; without an address nothing is traced."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    endpoint: ResponderAddress | None = None
    """Where spans are posted as OTLP over HTTP, ``http://…`` or ``https://…`` with the whole path.
    Default: nowhere."""
