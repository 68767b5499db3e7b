"""``cps issuer``: a test authority on the command line, for developers and operators."""

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from cps.issuer.folder import AuthorityFolder, FolderError
from cps.issuer.index import IssuedCertificate

Clock = Callable[[], datetime]


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

    add("new", "make a new authority in a new folder", _new)
    add("crl", "write new revocation lists", _crl)
    add("show", "show the authority and what it issued", _show)
    revoke = add("revoke", "revoke a certificate and write new lists", _revoke)
    revoke.add_argument(
        "serial", type=_serial, metavar="SERIAL", help="its serial number, hexadecimal"
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
    folder = AuthorityFolder.create(arguments.folder, now=clock())
    print(f"{folder.path}: new test authority")
    _print_certificates(folder)


def _crl(arguments: argparse.Namespace, clock: Clock) -> None:
    folder = AuthorityFolder.open(arguments.folder)
    folder.write_lists(now=clock())
    _print_lists(folder)


def _revoke(arguments: argparse.Namespace, clock: Clock) -> None:
    folder = AuthorityFolder.open(arguments.folder)
    folder.revoke(arguments.serial, now=clock())
    print(f"{arguments.serial:X} is revoked")
    _print_lists(folder)


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
        return f"revoked {entry.revoked_at:%Y-%m-%d}"
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
    for name in ("root.crl", "intermediate.crl"):
        try:
            crl = x509.load_der_x509_crl((folder.path / name).read_bytes())
        except ValueError as exc:
            raise FolderError(folder.path, f"{name} is damaged; run cps issuer crl") from exc
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        print(
            f"{name}: number {number}, {len(crl)} revoked,"
            f" good until {crl.next_update_utc:%Y-%m-%d %H:%M} UTC"
        )


def _serial(text: str) -> int:
    try:
        return int(text.replace(":", ""), 16)
    except ValueError:
        raise argparse.ArgumentTypeError("a hexadecimal number is expected") from None
