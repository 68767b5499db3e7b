"""``[audit]`` and ``[monitor]``: what the operator learns of the running gateway."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gateway.settings_checks import ListenAddress, OutputFile, SystemSocket


class _Table(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


class AuditSettings(_Table):
    """``[audit]``: the record of every decision; without any of these on standard output."""

    journal: bool = False
    """Whether it is a chain of files in the journal's folder; ``false`` by default."""
    file: OutputFile | None = None
    """File that gets one JSON line per decision, and is left to others to rotate. Default: none."""
    syslog: SystemSocket | None = None
    """Socket of the system's log, such as ``/dev/log``. Default: none."""


class MonitorSettings(_Table):
    """``[monitor]``: health and metrics, apart from what browsers reach."""

    address: ListenAddress = "127.0.0.1"
    """IP address for it, default 127.0.0.1; whoever reaches another sees the numbers."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """TCP port, 1 to 65535; default: none, then only a socket in runtime_dir."""


def operation_contradictions(
    audit: AuditSettings, monitor: MonitorSettings, *, listens_on: tuple[str, int]
) -> Iterator[tuple[str, str]]:
    """Name each setting, good alone, that does not fit the others.

    :param listens_on: address and port of the public side.
    """
    given = [name for name in AuditSettings.model_fields if getattr(audit, name)]
    for name in given[1:]:
        yield f"audit.{name}", f"the log goes to one place, and audit.{given[0]} is set too"
    if (monitor.address, monitor.port) == listens_on:
        yield "monitor.port", "is listen.port: what browsers reach must not show the numbers"
