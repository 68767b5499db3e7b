"""What the trust of a gateway rests on now, for the operator to read."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from cryptography import x509

from gateway.coded_tables import coded_tables
from gateway.settings import Settings
from gateway.settings_portals import Portals
from gateway.trust.crl import RevocationLists
from gateway.trust.national import fingerprint, national_authority
from gateway.trust.revocation_report import (
    AnswersReport,
    AuthorityReport,
    ListReport,
    ResponderReport,
    report,
)
from gateway.trust.store import TrustStore

_DAY = "%Y-%m-%d"
_MINUTE = "%Y-%m-%d %H:%M UTC"
_INDENT = " " * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustLook:
    """All that the trust of one gateway rests on at one instant."""

    settings: Settings
    store: TrustStore
    reports: tuple[AuthorityReport, ...]
    problems: tuple[str, ...]
    """What would keep people out, or soon will; one sentence each."""

    @classmethod
    def take(cls, settings_path: Path, now: datetime) -> Self:
        """Look now.

        :param now: aware UTC.
        :raises ConfigurationError: where the gateway would not start.
        """
        settings = Portals.load(settings_path).common
        store = TrustStore.load(settings.trust, settings.environment, now)
        return cls(
            settings=settings,
            store=store,
            reports=report(settings, store, now),
            problems=RevocationLists.of(settings, store, now).problems(now),
        )


def status_lines(look: TrustLook, now: datetime) -> Iterator[str]:
    """Yield anchors, policies and revocation data, a line each.

    :param now: aware UTC.
    """
    policies = ", ".join(sorted(look.settings.trust.policies)) or "none demanded"
    yield f"environment: {look.settings.environment}"
    yield f"certificate policies: {policies}"
    yield f"names of codes: dictionary {coded_tables().version}"
    for anchor in look.store.anchors:
        yield from authority_lines("anchor", anchor, now)
    for intermediate in look.store.intermediates:
        yield from authority_lines("intermediate", intermediate, now)
    for each in look.reports:
        yield from _revocation(each, now)


def authority_lines(kind: str, certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    """Describe one authority: name, dates, fingerprint, and whether it is a national one.

    :param kind: what it is to the gateway.
    :param now: aware UTC.
    """
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    known = national_authority(certificate)
    yield f"{kind}: {_shown(certificate.subject)}"
    yield f"{_INDENT}issued by {_shown(certificate.issuer)}"
    yield f"{_INDENT}{begin:{_DAY}} to {end:{_DAY}}, {(end - now).days} days left"
    yield f"{_INDENT}SHA-256 {fingerprint(certificate)}"
    yield _INDENT + (f"national authority {known.name}" if known else "no national authority")


def _shown(name: x509.Name) -> str:
    """Return *name* so that a terminal shows all of it and obeys none of it."""
    text = name.rfc4514_string()
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _revocation(about: AuthorityReport, now: datetime) -> Iterator[str]:
    if about.authority is None:
        yield "lists of none of these authorities"
    else:
        state = "list in force" if about.in_force else "NO LIST IN FORCE"
        yield f"revocation, {_shown(about.authority.subject)}: {state}"
    for each in about.lists:
        yield from _list(each, now)
    for responder in about.responders:
        yield from _responder(responder)
    if about.answers is not None:
        yield from _answers(about.answers, now)
    for address in about.not_fetched:
        yield f"{_INDENT}{address}: not fetched, only http and https are"


def _list(each: ListReport, now: datetime) -> Iterator[str]:
    yield f"{_INDENT}list {each.label}"
    found = each.found
    if found is None:
        yield f"{_INDENT * 2}none in use"
    else:
        hours = (now - found.this_update).total_seconds() / 3600
        kind = "complete" if found.base_number is None else f"delta on {found.base_number}"
        number = "without number" if found.number is None else f"number {found.number}"
        yield f"{_INDENT * 2}{kind}, {number}, {len(found)} entries, {each.bytes} bytes"
        yield f"{_INDENT * 2}{hours:.1f} h old, next update {found.next_update:{_MINUTE}}"
    if each.taken_at is not None:
        yield f"{_INDENT * 2}taken {each.taken_at:{_MINUTE}} from {each.address or each.label}"
    if each.error is not None:
        yield f"{_INDENT * 2}last error: {each.error}"


def _answers(answers: AnswersReport, now: datetime) -> Iterator[str]:
    minutes = (now - answers.newest).total_seconds() / 60
    yield f"{_INDENT}answers about {answers.count} certificates"
    yield (
        f"{_INDENT * 2}the newest {minutes:.0f} min old, "
        f"the first ends {answers.first_end:{_MINUTE}}"
    )


def _responder(each: ResponderReport) -> Iterator[str]:
    yield f"{_INDENT}responder {each.address}"
    if each.taken_at is not None:
        yield f"{_INDENT * 2}last good answer {each.taken_at:{_MINUTE}}"
    if each.error is not None:
        yield f"{_INDENT * 2}last error: {each.error}"
