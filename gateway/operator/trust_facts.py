"""What ``cps-gateway trust status`` shows, for programs: plain values, made for JSON.

Times are ISO 8601 with their zone; ages are seconds. Members are added, never renamed.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

from cryptography import x509

from gateway.operator.trust_status import TrustLook
from gateway.trust.national import fingerprint, national_authority
from gateway.trust.revocation_list import RevocationList
from gateway.trust.revocation_report import (
    AnswersReport,
    AuthorityReport,
    ListReport,
    ResponderReport,
)

Facts: TypeAlias = Mapping[str, object]


def trust_facts(look: TrustLook, now: datetime) -> Facts:
    """Return all of *look*.

    :param now: aware UTC.
    """
    return {
        "time": now.isoformat(),
        "environment": look.settings.environment,
        "policies": sorted(look.settings.trust.policies),
        "anchors": [_authority(each) for each in look.store.anchors],
        "intermediates": [_authority(each) for each in look.store.intermediates],
        "revocation": [_revocation(each, now) for each in look.reports],
        "problems": list(look.problems),
    }


def _authority(certificate: x509.Certificate) -> Facts:
    known = national_authority(certificate)
    return {
        "subject": certificate.subject.rfc4514_string(),
        "sha256": fingerprint(certificate),
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
        "national": None if known is None else known.name,
    }


def _revocation(about: AuthorityReport, now: datetime) -> Facts:
    return {
        "authority": None if about.authority is None else fingerprint(about.authority),
        "in_force": about.in_force,
        "lists": [_list(each, now) for each in about.lists],
        "responders": [_responder(each) for each in about.responders],
        "answers": None if about.answers is None else _answers(about.answers, now),
        "not_fetched": list(about.not_fetched),
    }


def _list(each: ListReport, now: datetime) -> Facts:
    facts = {} if each.found is None else _contents(each.found, now)
    return {
        "source": each.label,
        "address": each.address,
        "bytes": each.bytes,
        "looked_at": _time(each.looked_at),
        "taken_at": _time(each.taken_at),
        "error": each.error,
        "in_use": each.found is not None,
        **facts,
    }


def _contents(found: RevocationList, now: datetime) -> Facts:
    age, life = now - found.this_update, found.next_update - found.this_update
    return {
        "delta": found.base_number is not None,
        "number": found.number,
        "entries": len(found),
        "this_update": found.this_update.isoformat(),
        "next_update": found.next_update.isoformat(),
        "age_seconds": age.total_seconds(),
        "life_used": age / life if life else 1.0,
    }


def _responder(each: ResponderReport) -> Facts:
    return {
        "address": each.address,
        "looked_at": _time(each.looked_at),
        "taken_at": _time(each.taken_at),
        "error": each.error,
    }


def _answers(answers: AnswersReport, now: datetime) -> Facts:
    return {
        "count": answers.count,
        "age_seconds": (now - answers.newest).total_seconds(),
        "first_end": answers.first_end.isoformat(),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
