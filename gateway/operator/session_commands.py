"""``cps-gateway sessions``: who is in, and the end of sessions by hand."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta

from gateway.clock import Clock
from gateway.operator.acts import record_act
from gateway.operator.portal_option import add_config, chosen_portal
from gateway.session.model import EndReason, Session, SessionStore
from gateway.session.recorder import session_name
from gateway.session.selection import Selection
from gateway.settings import SessionSettings, Settings
from gateway.stores import open_stores

EXIT_PROBLEMS = 1
SHOWN_BEFORE_ASKING = 20
"""Sessions shown before the question whether they are to be ended; of more only the number."""

_SECOND = "%Y-%m-%d %H:%M:%S"
_HEADER = ("SESSION", "IDENTITY", "NAME", "CARD", "SINCE (UTC)", "LAST USE", "CARD SEEN UNTIL")


def add_sessions_command(parser: argparse.ArgumentParser) -> None:
    """Add what ``sessions`` can do to its *parser*."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="show who is in")
    add_config(listing)
    _add_filter(listing)
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    show = actions.add_parser("show", help="show all about one session")
    add_config(show)
    show.add_argument("session", help="its name, as list and audit log give it")
    end = actions.add_parser(
        "end",
        help="end sessions, everywhere and at once",
        description="End sessions: open answers are cut within a fraction of a second. Asks "
        "before more than one is ended.",
    )
    add_config(end)
    which = end.add_mutually_exclusive_group(required=True)
    which.add_argument("session", nargs="?", help="the name of one session")
    which.add_argument("--identity", metavar="NUMBER", help="all of a person, such as 8…")
    which.add_argument("--card", metavar="NUMBER", help="all that a card opened, ten digits")
    which.add_argument("--all", action="store_true", help="all of this portal")
    end.add_argument("--yes", action="store_true", help="do not ask")


def run_sessions(
    options: argparse.Namespace, clock: Clock, *, ask: Callable[[str], str] = input
) -> int:
    """Run one of the actions and return its exit code.

    :param options: as parsed by what :func:`add_sessions_command` added.
    :param ask: puts a question to the administrator and returns the answer.
    :raises ConfigurationError: for settings that cannot be used.
    :raises StoreUnavailableError: where the store does not answer, or the act cannot be recorded.
    """
    settings = chosen_portal(options)
    stores = open_stores(settings)
    with closing(stores):
        found = list(filter(_selection(options).is_about, stores.sessions.living(now=clock())))
        if options.action == "list":
            return _list(found, as_json=options.json)
        if not found:
            print("no such session", file=sys.stderr)
            return EXIT_PROBLEMS
        if options.action == "show":
            for line in _details(found[0], settings.session):
                print(line)
            return 0
        if not _is_agreed(found, settings, options, ask):
            print("nothing was ended", file=sys.stderr)
            return EXIT_PROBLEMS
        return _end(stores.sessions, found, settings, clock)


def _selection(options: argparse.Namespace) -> Selection:
    return Selection(
        name=getattr(options, "session", None),
        identity=getattr(options, "identity", None),
        card=getattr(options, "card", None),
    )


def _list(found: Sequence[Session], *, as_json: bool) -> int:
    if as_json:
        for each in found:
            print(json.dumps(dict(zip(_FIELDS, _row(each), strict=True))))
        return 0
    rows = [_HEADER, *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0


_FIELDS = ("session", "national_id", "name", "card_number", "since", "seen", "present_until")


def _row(session: Session) -> tuple[str, ...]:
    identity, until = session.identity, session.present_until
    return (
        session_name(session.key),
        identity.national_id,
        _printable(f"{identity.family_name} {identity.given_name}".strip()),
        identity.card_number,
        session.created_at.strftime(_SECOND),
        session.seen_at.strftime(_SECOND),
        until.strftime(_SECOND) if until else "no lease",
    )


def _details(session: Session, limits: SessionSettings) -> list[str]:
    identity = session.identity
    absolute = session.created_at + timedelta(seconds=limits.absolute_seconds)
    idle = session.seen_at + timedelta(seconds=limits.idle_seconds)
    facts = dict(zip(_FIELDS, _row(session), strict=True)) | {
        "card_type": identity.card_type.name,
        "profession": str(identity.profession),
        "organisation": _printable(identity.organisation or "none"),
        "certificate_serial": identity.certificate_serial,
        "certificate_sha256": identity.certificate_sha256,
        "revocation": identity.revocation,
        "ends_by_itself": min(idle, absolute).strftime(_SECOND),
    }
    return [f"{name:20} {value}" for name, value in facts.items()]


def _is_agreed(
    found: Sequence[Session],
    settings: Settings,
    options: argparse.Namespace,
    ask: Callable[[str], str],
) -> bool:
    if options.yes or len(found) == 1:
        return True
    if len(found) <= SHOWN_BEFORE_ASKING:
        _list(found, as_json=False)
    try:
        question = f"End {len(found)} sessions of {settings.portal.origin}? Type yes: "
        return ask(question).strip().lower() == "yes"
    except EOFError:
        return False


def _end(sessions: SessionStore, found: Sequence[Session], settings: Settings, clock: Clock) -> int:
    names = [session_name(each.key) for each in found]
    # Before the first is ended: what cannot be recorded is not done.
    record_act(settings, clock, "sessions_ended_by_operator", count=len(found), sessions=names)
    now: datetime = clock()
    count = sum(sessions.end(each.key, EndReason.ADMINISTRATOR, now=now) for each in found)
    print(f"{count} {'session' if count == 1 else 'sessions'} ended")
    return 0


def _printable(text: str) -> str:
    """Return *text* so that a terminal shows all of it and obeys none of it."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _add_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--identity", metavar="NUMBER", help="only those of a person")
    parser.add_argument("--card", metavar="NUMBER", help="only those that a card opened")
