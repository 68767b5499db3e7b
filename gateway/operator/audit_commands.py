"""``cps-gateway audit``: check the journal's chains, and answer whose records were seen by whom."""

import argparse
import heapq
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from gateway.clock import Clock
from gateway.errors import ConfigurationError
from gateway.journal.access import RecordNames
from gateway.journal.key import JournalVerifier
from gateway.journal.line import Fields, FieldValue
from gateway.journal.places import ACCESS, chains_in, journal_folder, journal_keys
from gateway.journal.ring import decode_public, encode_public
from gateway.journal.search import find, index_full_files
from gateway.journal.verify import Verification, verify
from gateway.operator.journal_key_command import add_rotate_key, rotate_key
from gateway.operator.portal_option import add_config, chosen_portal
from gateway.settings import Settings

EXIT_PROBLEMS = 1
MAX_NAMES_BYTES = 1_000_000_000
"""Largest file of names that hashes are compared with."""


def add_audit_command(parser: argparse.ArgumentParser) -> None:
    """Add what ``audit`` can do to its *parser*."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("verify", help="find lines that were edited, removed or moved")
    _add_source(check)
    check.add_argument(
        "--noted",
        action="append",
        default=[],
        metavar="CHAIN:NUMBER:HASH",
        help="the end of a chain as it was noted elsewhere; may be repeated",
    )
    touched = actions.add_parser("touched", help="whose records an identity or a card has seen")
    add_config(touched)
    whom = touched.add_mutually_exclusive_group(required=True)
    whom.add_argument("--identity", metavar="NUMBER", help="national number, such as 8…")
    whom.add_argument("--card", metavar="NUMBER", help="the card's number, ten digits")
    touched.add_argument(
        "--names",
        type=Path,
        metavar="FILE",
        help="the portal's names of records, one a line: those that were seen are shown by them",
    )
    _add_view(touched)
    who = actions.add_parser("who", help="who has seen a record")
    add_config(who)
    who.add_argument("--record", required=True, metavar="NAME", help="as the portal names it")
    _add_view(who)
    index = actions.add_parser("index", help="make indexes that are missing, ahead of questions")
    add_config(index)
    key = actions.add_parser("key", help="show the public keys, for checks on another machine")
    add_config(key)
    add_rotate_key(actions.add_parser("rotate-key", help="change the key that signs the journal"))


def run_audit(options: argparse.Namespace, clock: Clock) -> int:
    """Run one of the actions and return its exit code.

    :param options: as parsed by what :func:`add_audit_command` added.
    :raises ConfigurationError: where settings, key or files cannot be used.
    :raises StoreUnavailableError: where a change of keys cannot be recorded.
    """
    try:
        if options.action == "verify":
            return _verify(options)
        settings = chosen_portal(options)
        if options.action == "touched":
            return _touched(options, settings)
        if options.action == "who":
            return _who(options, settings)
        if options.action == "index":
            print(f"{index_full_files(journal_folder(settings) / ACCESS, ACCESS)} indexes made")
        elif options.action == "rotate-key":
            rotate_key(options, settings, clock)
        else:
            print(encode_public(journal_keys(settings).current().verifiers).decode(), end="")
    except OSError as exc:
        file = str(exc.filename or "journal")
        raise ConfigurationError(file, "(file)", f"cannot be read: {exc.strerror}") from exc
    return 0


@dataclass(slots=True)
class Group:
    """Lines that are shown as one: of a record, or of a person with a card."""

    first: str
    last: str
    given: int = 0
    refused: int = 0
    places: set[str] = field(default_factory=set)
    """Routes, or addresses."""

    def add(self, line: Fields, place: str) -> None:
        """Count *line*."""
        self.last = str(line.get("at"))
        self.places.add(str(line.get(place)))
        if was_given(line):
            self.given += 1
        else:
            self.refused += 1


def was_given(line: Fields) -> bool:
    """Return whether an access was answered with what it asked for."""
    status = line.get("status")
    return isinstance(status, int) and status < HTTPStatus.BAD_REQUEST


def _verify(options: argparse.Namespace) -> int:
    if (options.config is None) == (options.folder is None):
        raise ConfigurationError("audit", "--config", "or --folder with --key is wanted")
    if options.config is not None:
        settings = chosen_portal(options)
        folder, keys = journal_folder(settings), journal_keys(settings).current().verifiers
    else:
        folder, keys = options.folder, _public_keys(options.key)
    noted = [_note(text) for text in options.noted]
    names = chains_in(folder)
    for chain in sorted({name for name, _, _ in noted} - set(names)):
        print(f"problem: {chain}: is missing", file=sys.stderr)
    problems = len({name for name, _, _ in noted} - set(names))
    for name in names:
        found = verify(
            folder / name, name, keys, wanted={n for chain, n, _ in noted if chain == name}
        )
        print(_summary(name, found))
        faults = [f"{fault.where}: {fault.what}" for fault in found.faults]
        faults += [
            f"line {n} is not the one that was noted"
            for chain, n, digest in noted
            if chain == name and found.digests.get(n) != digest
        ]
        for fault in faults:
            print(f"problem: {name}: {fault}", file=sys.stderr)
        problems += len(faults)
    return EXIT_PROBLEMS if problems else 0


def _summary(name: str, found: Verification) -> str:
    if found.last is None:
        return f"{name}: empty"
    unsigned = f", {found.unsigned} not signed yet" if found.unsigned else ""
    return (
        f"{name}: lines {found.first} to {found.last.n} in {found.files} files, "
        f"{found.checkpoints} checkpoints{unsigned}; "
        f"end {name}:{found.last.n}:{found.last.digest}"
    )


def _touched(options: argparse.Namespace, settings: Settings) -> int:
    name, value = ("who", options.identity) if options.identity else ("card", options.card)
    lines = find(
        journal_folder(settings) / ACCESS, ACCESS, name, value, since=_since(options.since)
    )
    if options.json:
        return _print_json(lines)
    plain = _plain_names(options.names, RecordNames(journal_keys(settings).current, "hashed"))
    # A record may have a name from each key that was in use.
    groups = _grouped(
        lines, lambda line: plain.get(str(line.get("record")), line.get("record")), place="route"
    )
    shown = {record: group for record, group in groups.items() if group.given}
    for record, group in shown.items():
        print(_row(record, group))
    refused = sum(group.refused for group in groups.values())
    given = sum(group.given for group in groups.values())
    count = len([record for record in shown if record is not None])
    print(f"{count} records in {given} answers; {refused} requests refused")
    return 0


def _who(options: argparse.Namespace, settings: Settings) -> int:
    keys, since = journal_keys(settings).current, _since(options.since)
    names = RecordNames(keys, settings.journal.records).all_names(options.record)
    lines = heapq.merge(
        *(
            find(journal_folder(settings) / ACCESS, ACCESS, "record", name, since=since)
            for name in names
        ),
        key=lambda line: str(line.get("at")),
    )
    if options.json:
        return _print_json(lines)
    groups = _grouped(lines, lambda line: f"{line.get('who')} card {line.get('card')}", "client")
    for person, group in groups.items():
        if group.given:
            print(_row(person, group))
    given = sum(1 for group in groups.values() if group.given)
    print(f"{given} cards; {sum(group.refused for group in groups.values())} requests refused")
    return 0


def _grouped(
    lines: Iterable[Fields], key: Callable[[Fields], FieldValue], place: str
) -> dict[FieldValue, Group]:
    groups: dict[FieldValue, Group] = {}
    for line in lines:
        at = str(line.get("at"))
        groups.setdefault(key(line), Group(first=at, last=at)).add(line, place)
    return groups


def _row(name: FieldValue, group: Group) -> str:
    shown = "(no record named)" if name is None else str(name).removeprefix("p:")
    times = f"{group.given} times" if group.given > 1 else "once"
    places = ", ".join(sorted(group.places))
    return f"{printable(shown)}  {group.first}  {group.last}  {times}  {printable(places)}"


def printable(text: str) -> str:
    """Return *text*, which may come from a browser, so that a terminal only shows it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _print_json(lines: Iterable[Fields]) -> int:
    for line in lines:
        print(json.dumps(line, sort_keys=True))
    return 0


def _plain_names(file: Path | None, names: RecordNames) -> Mapping[str, str]:
    if file is None:
        return {}
    return {hashed: name for name in _names_in(file) for hashed in names.all_hashed(name)}


def _names_in(file: Path) -> Iterator[str]:
    if file.stat().st_size > MAX_NAMES_BYTES:
        raise ConfigurationError(str(file), "--names", f"is larger than {MAX_NAMES_BYTES} bytes")
    with file.open(encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            yield line.rstrip("\r\n")


def _since(text: str | None) -> datetime | None:
    """Return the time that ``--since`` names: a date, or a date and time, UTC if it has no zone."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise ConfigurationError("audit", "--since", f"{text!r} is not a date and time") from exc
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _note(text: str) -> tuple[str, int, str]:
    chain, _, rest = text.partition(":")
    number, _, digest = rest.partition(":")
    if not number.isdecimal() or not digest:
        raise ConfigurationError("audit", "--noted", f"{text!r} is not CHAIN:NUMBER:HASH")
    return chain, int(number), digest


def _public_keys(file: Path | None) -> tuple[JournalVerifier, ...]:
    if file is None:
        raise ConfigurationError("audit", "--key", "is wanted with --folder")
    try:
        return decode_public(file.read_bytes())
    except ValueError as exc:
        raise ConfigurationError(str(file), "--key", str(exc)) from exc


def _add_source(parser: argparse.ArgumentParser) -> None:
    add_config(parser, required=False)
    parser.add_argument("--folder", type=Path, metavar="DIR", help="or: a copy of the journal")
    parser.add_argument("--key", type=Path, metavar="FILE", help="with its public key")


def _add_view(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since", metavar="TIME", help="from this date, or date and time (UTC), on"
    )
    parser.add_argument("--json", action="store_true", help="show every line as it was written")
