"""Choices that are allowed and dangerous: why, and what to write instead."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.loopback import is_loopback
from gateway.settings import Settings

LONG_SESSION_SECONDS = 12 * 3600
"""A session that lasts longer than a working day warns."""


def warnings(settings: Settings) -> Iterator[tuple[str, str]]:
    """Name each setting with which the gateway runs, and is worth less than it could be."""
    upstream = urlsplit(settings.portal.upstream)
    if settings.environment == "test":
        yield "environment", "test lets test cards in; write production where people's data is"
    if upstream.scheme == "http" and not is_loopback(upstream.hostname or ""):
        yield (
            "portal.upstream",
            f"http to {upstream.hostname}: who is in and what is shown can be read and changed on"
            " the way; write https, or put the gateway on the portal's machine",
        )
    if settings.trust.grace_until is not None:
        yield "trust.grace_until", "lists count that are over; take it away once new ones are there"
    for number, table in enumerate(settings.trust.revocation):
        if table.ocsp and table.ocsp_nonce != "required":
            key = f"trust.revocation[{number}].ocsp_nonce"
            yield key, "an old answer can be given again; write required if the responder can"
    if settings.presence.mode == "off":
        yield "presence.mode", "off: a session outlives its card in the reader; write required"
    if settings.session.absolute_seconds > LONG_SESSION_SECONDS:
        yield "session.absolute_seconds", "longer than a working day; write 43200 or less"
    if settings.edge.verdict_cache_seconds:
        yield (
            "edge.verdict_cache_seconds",
            "a session may be let in that ended this long ago where its verdict cannot be removed;"
            " write 0 unless measured too slow",
        )
    alarm = urlsplit(settings.guard.alarm_url or "")
    if alarm.scheme == "http" and not is_loopback(alarm.hostname or ""):
        yield (
            "guard.alarm_url",
            f"http to {alarm.hostname}: alarms name people, and anyone on the way reads them;"
            " write https",
        )
    if settings.journal.records == "plain":
        yield "journal.records", "whoever reads the journal reads whose records; write hashed"
    if settings.journal.unwritable == "alarm":
        yield "journal.unwritable", "records may be seen with no trace of it; write refuse"
    yield from _of_operation(settings)


def _of_operation(settings: Settings) -> Iterator[tuple[str, str]]:
    audit, monitor = settings.audit, settings.monitor
    if not (audit.journal or audit.file or audit.syslog):
        yield (
            "audit",
            "the log goes to standard output and is kept only there; write journal = true",
        )
    elif not audit.journal:
        yield "audit", "lines can be changed unseen; write journal = true"
    if monitor.port is not None and not is_loopback(monitor.address):
        yield (
            "monitor.address",
            f"whoever reaches {monitor.address} sees the numbers; write 127.0.0.1, or close the"
            " port to all but your monitoring",
        )
