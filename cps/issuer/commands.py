"""``cps issuer``: a test authority on the command line, for developers and operators."""

import argparse
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from cps.issuer.folder import LIST_FILES, AuthorityFolder, FolderError
from cps.issuer.hierarchy import AuthorityNames, Gamme, Population
from cps.issuer.index import IssuedCertificate
from cps.issuer.publication import FolderPublication
from cps.issuer.responder import Clock
from cps.issuer.server import OCSP_PATH, AuthorityServer

MAX_PORT = 65535

_REASONS = [
    reason
    for reason in x509.ReasonFlags
    # The first is said by giving no reason, the second by lifting a hold.
    if reason not in (x509.ReasonFlags.unspecified, x509.ReasonFlags.remove_from_crl)
]


def system_clock() -> datetime:
    """Return the system's time, aware, UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the one place where the issuer reads the clock


def add_commands(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    *,
    clock: Clock = system_clock,
) -> None:
    """Add ``issuer`` and its commands; each sets ``run``, which takes the arguments."""
    issuer = subparsers.add_parser("issuer", help="run a test authority that issues cards")
    commands = issuer.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, description: str, work: Callable[[argparse.Namespace, Clock], None]
    ) -> argparse.ArgumentParser:
        parser = commands.add_parser(name, help=description, description=description)
        parser.add_argument("folder", type=Path, metavar="DIR", help="the authority's folder")
        parser.set_defaults(run=lambda arguments: _run(work, arguments, clock))
        return parser

    new = add("new", "make a new authority in a new folder", _new)
    _add_choice(new, "--gamme", Gamme, Gamme.FORT, "the family, as the IGC-Santé calls it")
    _add_choice(new, "--population", Population, Population.PERSONNES, "whom it certifies")
    crl = add("crl", "write new revocation lists", _crl)
    add("show", "show the authority and what it issued", _show)
    revoke = add("revoke", "revoke a certificate and write new lists", _revoke)
    revoke.add_argument(
        "--reason",
        choices=[reason.value for reason in _REASONS],
        help="why; certificateHold can be taken back; default: not said",
    )
    unhold = add("unhold", "lift the hold of a certificate and write new lists", _unhold)
    serve = add("serve", "publish lists, certificates and OCSP over HTTP on this machine", _serve)
    serve.add_argument(
        "--port", type=_port, default=0, help="TCP port on 127.0.0.1; default: any that is free"
    )
    for parser in (revoke, unhold):
        parser.add_argument(
            "serial", type=_serial, metavar="SERIAL", help="its serial number, hexadecimal"
        )
    for parser in (crl, revoke, unhold):
        parser.add_argument(
            "--delta", action="store_true", help="write only a delta list, no complete ones"
        )


def _add_choice(
    parser: argparse.ArgumentParser, name: str, kind: type[Enum], default: Enum, text: str
) -> None:
    parser.add_argument(
        name,
        choices=[member.name for member in kind],
        default=default.name,
        help=f"{text}; default {default.name}",
    )


def _run(
    work: Callable[[argparse.Namespace, Clock], None],
    arguments: argparse.Namespace,
    clock: Clock,
) -> int:
    try:
        work(arguments, clock)
    except (FolderError, OSError) as exc:
        print(f"cps issuer: {exc}", file=sys.stderr)
        return 1
    return 0


def _new(arguments: argparse.Namespace, clock: Clock) -> None:
    names = AuthorityNames(
        gamme=Gamme[arguments.gamme], population=Population[arguments.population]
    )
    folder = AuthorityFolder.create(arguments.folder, now=clock(), names=names)
    print(f"{folder.path}: new test authority")
    _print_certificates(folder)


def _crl(arguments: argparse.Namespace, clock: Clock) -> None:
    folder = AuthorityFolder.open(arguments.folder)
    folder.write_lists(now=clock(), delta_only=arguments.delta)
    _print_lists(folder)


def _revoke(arguments: argparse.Namespace, clock: Clock) -> None:
    folder = AuthorityFolder.open(arguments.folder)
    reason = None if arguments.reason is None else x509.ReasonFlags(arguments.reason)
    folder.revoke(arguments.serial, now=clock(), reason=reason, delta_only=arguments.delta)
    print(f"{arguments.serial:X} is revoked")
    _print_lists(folder)


def _unhold(arguments: argparse.Namespace, clock: Clock) -> None:
    folder = AuthorityFolder.open(arguments.folder)
    folder.release(arguments.serial, now=clock(), delta_only=arguments.delta)
    print(f"{arguments.serial:X} is good again")
    _print_lists(folder)


def _serve(arguments: argparse.Namespace, clock: Clock) -> None:
    publication = FolderPublication(AuthorityFolder.open(arguments.folder), clock=clock)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with AuthorityServer(publication, port=arguments.port) as server:
        for path in publication.paths():
            print(f"{server.url}{quote(path)}")
        print(f"{server.url}{OCSP_PATH}")
        print(f"ready {server.url}", flush=True)
        stopped.wait()


def _show(arguments: argparse.Namespace, clock: Clock) -> None:
    folder = AuthorityFolder.open(arguments.folder)
    _print_certificates(folder)
    _print_lists(folder)
    now = clock()
    for entry in folder.issued():
        print(
            f"{entry.serial:X}  {entry.national_id}  card {entry.card_number}"
            f"  {entry.purpose.value}  {_state(entry, now)}"
        )


def _state(entry: IssuedCertificate, now: datetime) -> str:
    if entry.revoked_at is not None:
        why = "" if entry.reason is None else f" {entry.reason.value}"
        return f"revoked {entry.revoked_at:%Y-%m-%d}{why}"
    if entry.not_after < now:
        return f"expired {entry.not_after:%Y-%m-%d}"
    return f"good until {entry.not_after:%Y-%m-%d}"


def _print_certificates(folder: AuthorityFolder) -> None:
    for authority in (folder.hierarchy.root, folder.hierarchy.intermediate):
        certificate = authority.certificate
        print(certificate.subject.rfc4514_string())
        print(f"  SHA-256 {certificate.fingerprint(hashes.SHA256()).hex().upper()}")
        print(f"  good until {certificate.not_valid_after_utc:%Y-%m-%d}")


def _print_lists(folder: AuthorityFolder) -> None:
    for name in LIST_FILES:
        crl = folder.read_list(name)
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        print(
            f"{name}: number {number}, {len(crl)} entries,"
            f" good until {crl.next_update_utc:%Y-%m-%d %H:%M} UTC"
        )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= MAX_PORT):
        raise argparse.ArgumentTypeError(f"a number from 0 to {MAX_PORT} is expected")
    return int(text)


def _serial(text: str) -> int:
    try:
        return int(text.replace(":", ""), 16)
    except ValueError:
        raise argparse.ArgumentTypeError("a hexadecimal number is expected") from None
