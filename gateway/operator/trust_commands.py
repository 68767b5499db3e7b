"""``cps-gateway trust``: import authorities, show what the trust rests on."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from gateway.operator.trust_facts import trust_facts
from gateway.operator.trust_import import (
    Candidate,
    ImportRefusedError,
    parse_fingerprint,
    read_candidates,
    require_acceptable,
    write_authorities,
)
from gateway.operator.trust_status import TrustLook, authority_lines, status_lines

EXIT_PROBLEMS = 1


def add_trust_command(parser: argparse.ArgumentParser) -> None:
    """Add what ``trust`` can do to its *parser*."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    take = actions.add_parser(
        "import",
        help="take authorities' certificates from files",
        description="Take authorities' certificates from files in DER or PEM, or folders of such. "
        "The national ones are known by their fingerprints; any other must be named. Nothing is "
        "written unless all can be taken.",
    )
    take.add_argument("files", nargs="+", type=Path, metavar="FILE", help="file or folder")
    take.add_argument(
        "--into", type=Path, required=True, metavar="DIR", help="folder to write them to"
    )
    take.add_argument(
        "--accept-unknown",
        type=_fingerprint,
        action="append",
        default=[],
        metavar="SHA256",
        help="fingerprint of another authority, compared with its publisher's; may be repeated",
    )
    take.add_argument(
        "--environment",
        choices=("production", "test"),
        default="production",
        help="what the gateway is for; only test takes TEST authorities",
    )
    status = actions.add_parser(
        "status", help="show anchors, policies, revocation lists and responders"
    )
    status.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the settings, TOML"
    )
    status.add_argument("--json", action="store_true", help="print it as JSON, for programs")


def run_trust(options: argparse.Namespace, now: datetime) -> int:
    """Run one of the actions and return its exit code.

    :param options: as parsed by what :func:`add_trust_command` added.
    :param now: aware UTC.
    :raises ConfigurationError: where the settings stop the start.
    """
    if options.action == "status":
        return _status(options.config, now, as_json=options.json)
    try:
        return _import(options, now)
    except ImportRefusedError as exc:
        print(exc, file=sys.stderr)
        print("nothing was imported", file=sys.stderr)
        return EXIT_PROBLEMS


def _status(settings_path: Path, now: datetime, *, as_json: bool) -> int:
    look = TrustLook.take(settings_path, now)
    if as_json:
        print(json.dumps(trust_facts(look, now), indent=2))
    else:
        for line in status_lines(look, now):
            print(line)
        for problem in look.problems:
            print(f"problem: {problem}", file=sys.stderr)
    return EXIT_PROBLEMS if look.problems else 0


def _import(options: argparse.Namespace, now: datetime) -> int:
    candidates = read_candidates(options.files)
    for each in candidates:
        for line in authority_lines(
            "root" if each.is_root else "intermediate", each.certificate, now
        ):
            print(line)
    require_acceptable(
        candidates, accepted=options.accept_unknown, environment=options.environment, now=now
    )
    files = write_authorities(candidates, options.into)
    for line in _settings_lines(candidates, files):
        print(line)
    return 0


def _settings_lines(candidates: Sequence[Candidate], files: Sequence[Path]) -> Iterator[str]:
    """Return what the settings say to trust what was imported."""
    anchors: list[Path] = []
    intermediates: list[Path] = []
    others: list[Path] = []
    for each, file in zip(candidates, files, strict=True):
        if each.known is not None and not each.known.leads_to_cards:
            others.append(file)
        else:
            (anchors if each.is_root else intermediates).append(file)
    yield ""
    yield "[trust]"
    yield f"anchors = {_toml(anchors)}"
    yield f"intermediates = {_toml(intermediates)}"
    for file in others:
        yield f"# {file}: no card comes from it"


def _toml(files: Sequence[Path]) -> str:
    # A list of texts is written the same way in JSON.
    return json.dumps([str(file) for file in files], ensure_ascii=False)


def _fingerprint(text: str) -> str:
    try:
        return parse_fingerprint(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc
