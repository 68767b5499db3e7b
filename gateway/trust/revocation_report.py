"""What an operator should know of the revocation data: numbers, and what is wrong with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from gateway.settings import Settings
from gateway.settings_revocation import RevocationSettings, is_fetched
from gateway.trust.revocation_journal import SourceJournal
from gateway.trust.revocation_list import RevocationList
from gateway.trust.revocation_memory import KeptAnswer, owner_of
from gateway.trust.revocation_places import (
    ListSlot,
    RevocationPlaces,
    authority_of,
    list_slots,
    responder_name,
)
from gateway.trust.signed_list import read_bounded
from gateway.trust.store import TrustStore
from gateway.trust.table_file import TableFile

ALARM_AT = 0.75
"""Part of a list's life after which a newer one should have come."""
MAX_SILENCE = timedelta(minutes=5)
"""Longest time between two signs of life of a refresher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListReport:
    """One list that is followed."""

    label: str
    """Its file, or the first address."""
    address: str | None
    """Where the list in use was fetched."""
    found: RevocationList | None
    """The list in use."""
    bytes: int
    """Of its table, which all processes share; of the list where no refresher runs."""
    generation: int
    """How many lists were taken from there."""
    looked_at: datetime | None
    taken_at: datetime | None
    error: str | None
    """The last one, where nothing went well since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponderReport:
    """One OCSP responder."""

    address: str
    looked_at: datetime | None
    taken_at: datetime | None
    """When it last gave an answer that could be believed."""
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersReport:
    """What responders said last of an authority's certificates, as far as it can be relied on."""

    count: int
    newest: datetime
    """When the last one of them was true."""
    first_end: datetime
    """Until when the first one of them counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityReport:
    """All that there is about the certificates of one authority."""

    authority: x509.Certificate | None
    """``None`` for files that hold no list of ours."""
    in_force: bool
    """Whether a complete list is in force."""
    lists: tuple[ListReport, ...]
    responders: tuple[ResponderReport, ...]
    answers: AnswersReport | None
    """``None`` where there are none."""
    not_fetched: tuple[str, ...]
    """Addresses of kinds that are known, but not fetched from."""


def report(settings: Settings, store: TrustStore, now: datetime) -> tuple[AuthorityReport, ...]:
    """Return what there is about each authority, anchors first.

    Where the settings name no address there is no refresher, and the files themselves are read.

    :param store: loaded from the same settings.
    :param now: aware UTC.
    """
    places = RevocationPlaces.of(settings)
    slots = list_slots(settings.trust, store)
    found = [
        _table_report(slot, places, store)
        if slot.file is None or settings.trust.revocation
        else _file_report(slot.file, store)
        for slot in slots
    ]
    lists = [(_signer(slot, each), each) for slot, each in zip(slots, found, strict=True)]
    strays = tuple(each for signer, each in lists if signer is None)
    reports = [
        _authority_report(
            authority,
            tuple(each for signer, each in lists if signer == authority),
            settings,
            store,
            now,
        )
        for authority in store.authorities()
    ]
    if strays:
        reports.append(
            AuthorityReport(
                authority=None,
                in_force=False,
                lists=strays,
                responders=(),
                answers=None,
                not_fetched=(),
            )
        )
    return tuple(reports)


def overdue_problems(
    authority: x509.Certificate, lists: Sequence[RevocationList], now: datetime
) -> list[str]:
    """Return what is wrong with the ends of the lists of one authority, one sentence each.

    :param lists: those in use.
    :param now: aware UTC.
    """
    name = authority.subject.rfc4514_string()
    complete = [each for each in lists if each.base_number is None and each.is_in_force(now)]
    if not complete:
        return [f"no revocation list in force for {name}"]
    young = [each for each in complete if not _is_overdue(each, now)]
    problems = [
        f"the revocation list of {name} ends at {each.next_update.isoformat()} and none followed it"
        for each in complete
        if each not in young and not any(other.continues(each) for other in young)
    ]
    problems += [
        f"the delta list of {name} ended at {each.next_update.isoformat()}"
        for each in lists
        if each.base_number is not None and not each.is_in_force(now)
    ]
    return problems


def grace_problems(until: datetime | None, now: datetime) -> list[str]:
    """Return that there is a grace, as long as it stands in the settings.

    :param until: ``trust.grace_until``.
    :param now: aware UTC.
    """
    if until is None:
        return []
    state = "counts" if now <= until else "is over, take it away"
    return [f"trust.grace_until {until.isoformat()} {state}"]


def refresher_problems(settings: Settings, store: TrustStore, now: datetime) -> list[str]:
    """Return what is wrong with how lists and answers are fetched, one sentence each.

    :param store: loaded from the same settings.
    :param now: aware UTC.
    """
    trust, places = settings.trust, RevocationPlaces.of(settings)
    problems = []
    if not _lives(places, now):
        problems.append("the refresher does not run: revocation data grows old")
    sources = [(slot.label, places.journal(slot.name)) for slot in list_slots(trust, store)]
    for table in trust.revocation:
        sources += [(address, places.journal(responder_name(address))) for address in table.ocsp]
        for address in _not_fetched(table):
            problems.append(f"{address} is not fetched: only http and https are")
    for label, journal in sources:
        error = SourceJournal.load(journal).error
        if error is not None:
            problems.append(f"{label}: {error}")
    return problems


def is_weak(lists: Sequence[RevocationList], now: datetime) -> bool:
    """Return whether no complete list among *lists* will do for a while.

    :param lists: those of one authority.
    :param now: aware UTC.
    """
    return not any(
        each.base_number is None and each.is_in_force(now) and not _is_overdue(each, now)
        for each in lists
    )


def _is_overdue(each: RevocationList, now: datetime) -> bool:
    return now > each.this_update + ALARM_AT * (each.next_update - each.this_update)


def _lives(places: RevocationPlaces, now: datetime) -> bool:
    try:
        touched = datetime.fromtimestamp(places.pulse.stat().st_mtime, tz=UTC)
    except OSError:
        return False
    return now - touched <= MAX_SILENCE


def _table_report(slot: ListSlot, places: RevocationPlaces, store: TrustStore) -> ListReport:
    """Return what the refresher made of a list."""
    journal = SourceJournal.load(places.journal(slot.name))
    found, generation, size, error = None, 0, 0, journal.error
    try:
        file = TableFile.map(places.table(slot.name))
        found = RevocationList.from_file(file, store.authorities())
        generation, size = _generation(file), places.table(slot.name).stat().st_size
    except FileNotFoundError:
        error = error or "nothing was taken yet"
    except (OSError, ValueError) as exc:
        error = error or str(exc)
    return ListReport(
        label=slot.label,
        address=journal.address,
        found=found,
        bytes=size,
        generation=generation,
        looked_at=journal.looked_at,
        taken_at=journal.taken_at,
        error=error,
    )


def _file_report(file: Path, store: TrustStore) -> ListReport:
    """Return what a file says that logins read themselves."""
    found, size, error = None, 0, None
    try:
        raw = read_bounded(file)
        found, size = RevocationList.parse(raw, store.authorities()), len(raw)
    except OSError as exc:
        error = f"cannot be read: {exc.strerror}"
    except ValueError as exc:
        error = str(exc)
    return ListReport(
        label=str(file),
        address=None,
        found=found,
        bytes=size,
        generation=0,
        looked_at=None,
        taken_at=None,
        error=error,
    )


def _generation(file: TableFile) -> int:
    generation = file.about.get("generation")
    return generation if isinstance(generation, int) else 0


def _signer(slot: ListSlot, each: ListReport) -> x509.Certificate | None:
    return slot.authority if each.found is None else each.found.authority


def _authority_report(
    authority: x509.Certificate,
    lists: tuple[ListReport, ...],
    settings: Settings,
    store: TrustStore,
    now: datetime,
) -> AuthorityReport:
    trust, places = settings.trust, RevocationPlaces.of(settings)
    tables = [
        table
        for table in trust.revocation
        if authority_of(table.authority, trust, store) == authority
    ]
    return AuthorityReport(
        authority=authority,
        in_force=any(
            each.found.base_number is None and each.found.is_in_force(now)
            for each in lists
            if each.found is not None
        ),
        lists=lists,
        responders=tuple(
            _responder_report(address, places) for table in tables for address in table.ocsp
        ),
        answers=_answers_report(authority, places, now) if tables else None,
        not_fetched=tuple(address for table in tables for address in _not_fetched(table)),
    )


def _answers_report(
    authority: x509.Certificate, places: RevocationPlaces, now: datetime
) -> AnswersReport | None:
    try:
        table = TableFile.map(places.answers).tables.get(owner_of(authority))
    except (OSError, ValueError):
        return None
    records = () if table is None else table.records()
    answers = [KeptAnswer.decode(record[-KeptAnswer.VALUE_BYTES :]) for record in records]
    living = [each for each in answers if each.held or now <= each.expires]
    if not living:
        return None
    return AnswersReport(
        count=len(living),
        newest=max(each.this_update for each in living),
        first_end=min(each.expires for each in living),
    )


def _responder_report(address: str, places: RevocationPlaces) -> ResponderReport:
    journal = SourceJournal.load(places.journal(responder_name(address)))
    return ResponderReport(
        address=address,
        looked_at=journal.looked_at,
        taken_at=journal.taken_at,
        error=journal.error,
    )


def _not_fetched(table: RevocationSettings) -> Iterator[str]:
    return (address for address in (*table.crl, *table.delta) if not is_fetched(address))
