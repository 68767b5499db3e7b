"""``cps virtual``: software cards on the command line, and one of them in the virtual reader."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cryptography import x509

from cps.atr import CardType
from cps.errors import CardError
from cps.issuer.commands import system_clock
from cps.issuer.folder import AuthorityFolder, FolderError
from cps.issuer.hierarchy import AuthorityNames, Gamme
from cps.issuer.index import IssuedCertificate
from cps.simulator.card import Card
from cps.simulator.chip import SoftwareCard
from cps.simulator.faults import FaultKind, faulty_card
from cps.simulator.image import CardImage
from cps.simulator.timing import TimedCard, realistic
from cps.simulator.vpcd import PORT
from cps.virtual.arguments import bit_rate, day, fault, key_seconds, port
from cps.virtual.control import ask
from cps.virtual.description import VirtualCard
from cps.virtual.errors import VirtualCardError
from cps.virtual.holders import CardKind
from cps.virtual.insertion import REMOVE, STATUS, SWAP, Insertion
from cps.virtual.places import data_folder, default_home
from cps.virtual.store import TEST_PIN, VirtualCards

Clock = Callable[[], datetime]
Work = Callable[[argparse.Namespace, Clock], None]

MAX_PIN_FILE_BYTES = 16
OTHERS = 0o077
GENERATIONS = {"cps3": CardType.CPS3, "cps4": CardType.CPS4}
AUTHORITY_NAMES = {Gamme.FORT: "authority", Gamme.STANDARD: "authority-standard"}
"""The default authorities: cards of professionals and of employees have different ones."""
REASONS = {
    reason.value: reason
    for reason in x509.ReasonFlags
    # The first is said by giving no reason, the second by lifting a hold.
    if reason not in (x509.ReasonFlags.unspecified, x509.ReasonFlags.remove_from_crl)
}


def add_commands(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    *,
    clock: Clock = system_clock,
) -> None:
    """Add ``virtual`` and its commands; each sets ``run``, which takes the arguments."""
    virtual = subparsers.add_parser("virtual", help="make software cards and insert them")
    commands = virtual.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, description: str, work: Work) -> argparse.ArgumentParser:
        parser = commands.add_parser(name, help=description, description=description)
        parser.add_argument(
            "--home",
            type=Path,
            metavar="DIR",
            help="the folder of cards; default: cps/cards in XDG_DATA_HOME, or in ~/.local/share",
        )
        parser.set_defaults(run=lambda arguments: _run(work, arguments, clock))
        return parser

    _describe_new(add("new", "make a card with certificates of a test authority", _new))
    _add_authority(add("list", "show the cards, one a line", _list))
    show = add("show", "show all of one card", _show)
    _add_name(show)
    _add_authority(show)
    _describe_insert(add("insert", "hold a card in the virtual reader until Ctrl-C", _insert))
    remove = add("remove", "take the card out of the virtual reader", _remove)
    remove.add_argument(
        "name", nargs="?", metavar="NAME", help="only if it is this one; default: whichever"
    )
    swap = add("swap", "put a card in the place of the one in the virtual reader", _swap)
    _add_name(swap)
    reset = add("reset", "reset the card in the virtual reader, as another program may", _reset)
    _add_name(add("block", "take every try of a card's PIN", _block))
    _add_name(add("unblock", "give every try of a card's PIN and PUK back", _unblock))
    revoke = add("revoke", "revoke a card's certificates and write new lists", _revoke)
    _add_name(revoke)
    _add_authority(revoke)
    revoke.add_argument(
        "--reason",
        choices=REASONS,
        help="why; certificateHold can be taken back; default: not said",
    )
    _add_name(add("delete", "delete a card for good", _delete))
    for parser in (remove, swap, reset):
        _add_port(parser)


def _describe_new(parser: argparse.ArgumentParser) -> None:
    _add_authority(parser)
    parser.add_argument("--family-name", required=True)
    parser.add_argument("--given-name", required=True)
    parser.add_argument(
        "--type",
        type=CardKind,
        choices=list(CardKind),
        default=CardKind.CPS,
        help="professional, one in training, employee, other employee; default: %(default)s",
    )
    parser.add_argument(
        "--profession",
        type=int,
        metavar="CODE",
        help="table G15: 10 physician; for a CPF the one it trains for; for an employee none",
    )
    parser.add_argument("--rpps", help="11 digits; an unused number where absent")
    parser.add_argument(
        "--generation", choices=GENERATIONS, default="cps3", help="default: %(default)s"
    )
    parser.add_argument(
        "--valid-from", type=day, metavar="YYYY-MM-DD", help="default: now; from 0 h UTC"
    )
    parser.add_argument(
        "--valid-to", type=day, metavar="YYYY-MM-DD", help="default: three years later; to 0 h UTC"
    )
    parser.add_argument(
        "--pin-file",
        type=Path,
        metavar="FILE",
        help=f"file, mode 0600, with the PIN's 4 digits; the test PIN {TEST_PIN} where absent",
    )


def _describe_insert(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    _add_port(parser)
    interface = parser.add_mutually_exclusive_group()
    interface.add_argument(
        "--contactless", action="store_true", help="a CPS3 on a radio reader, where it has no PIN"
    )
    interface.add_argument(
        "--t0", action="store_true", help="a CPS4 of those that speak T=0 alone, instead of T=1"
    )
    parser.add_argument(
        "--timing",
        choices=["realistic"],
        help="take as long as a real card, as far as that is known; default: as fast as it can",
    )
    parser.add_argument(
        "--bit-rate",
        type=bit_rate,
        metavar="BITS",
        help="realistic, on a line of so many bits a second instead of the card's own",
    )
    parser.add_argument(
        "--key-seconds",
        type=key_seconds,
        metavar="SECONDS",
        help="realistic, with a use of a private key that takes so long",
    )
    parser.add_argument(
        "--fault",
        dest="faults",
        action="append",
        default=[],
        type=fault,
        metavar="KIND[@AT]",
        help="what goes wrong at the command AT, the first where absent: "
        f"{', '.join(FaultKind)}; slow@AT=SECONDS; may be repeated",
    )


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")


def _add_port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        type=port,
        default=PORT,
        help="the virtual reader's TCP port; default: %(default)s, the next one is its second slot",
    )


def _add_authority(parser: argparse.ArgumentParser) -> None:
    names = " or ".join(AUTHORITY_NAMES.values())
    parser.add_argument(
        "--authority",
        type=Path,
        metavar="DIR",
        help=f"made by: cps issuer new DIR; default: {names} beside the default folder of cards",
    )


def _run(work: Work, arguments: argparse.Namespace, clock: Clock) -> int:
    if arguments.home is None:
        arguments.home = default_home()
    try:
        work(arguments, clock)
    except (CardError, FolderError, VirtualCardError, OSError) as exc:
        print(f"cps virtual: {exc}", file=sys.stderr)
        return 1
    return 0


def _new(arguments: argparse.Namespace, clock: Clock) -> None:
    pin = TEST_PIN if arguments.pin_file is None else _read_pin(arguments.pin_file)
    kind: CardKind = arguments.type
    path = VirtualCards(arguments.home, clock=clock).new(
        _authority(arguments.authority, kind, clock),
        family_name=arguments.family_name,
        given_name=arguments.given_name,
        profession=arguments.profession,
        rpps=arguments.rpps,
        pin=pin,
        kind=kind,
        generation=GENERATIONS[arguments.generation],
        not_before=arguments.valid_from,
        not_after=arguments.valid_to,
    )
    print(f"{path.stem}: new {arguments.generation.upper()} card")


def _list(arguments: argparse.Namespace, clock: Clock) -> None:
    inserted = _inserted(arguments.home)
    revoked = _revocations(arguments.authority)
    for card in VirtualCards(arguments.home).cards():
        print(
            f"{card.name}  {card.generation.upper()} {card.kind}  {card.national_id}"
            f"  card {card.card_number}  {_validity(card, clock())}{_revoked(card, revoked)}"
            f"  PIN tries left: {card.tries_left}{'  in the reader' * (card.name == inserted)}"
        )


def _show(arguments: argparse.Namespace, clock: Clock) -> None:
    cards = VirtualCards(arguments.home)
    card = cards.card(arguments.name)
    serials = (f"{name} {serial:X}" for name, serial in card.certificate_serials.items())
    revoked = _revocations(arguments.authority)
    lines = {
        "file": cards.path(card.name),
        "card": f"{card.generation.upper()} {card.kind} {card.card_number}, chip {card.serial}",
        "holder": f"{card.given_name} {card.family_name}, {card.title}",
        "national id": card.national_id,
        "validity": _validity(card, clock()) + _revoked(card, revoked),
        "PIN tries left": card.tries_left,
        "PUK tries left": card.puk_tries_left,
        "certificates": ", ".join(serials),
        "in the reader": "yes" if _inserted(arguments.home) == card.name else "no",
    }
    for title, value in lines.items():
        print(f"{title:<15} {value}")


def _insert(arguments: argparse.Namespace, clock: Clock) -> None:
    def make(image: CardImage) -> Card:
        return _timed(faulty_card(image, arguments.faults, make=bare), arguments)

    def bare(image: CardImage) -> Card:
        return SoftwareCard(image, contactless=arguments.contactless, t0=arguments.t0)

    insertion = Insertion(
        VirtualCards(arguments.home),
        port=arguments.port,
        make=make,
        say=lambda words: print(words, flush=True),
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: insertion.stop())
    insertion.run(arguments.name)


def _timed(card: Card, arguments: argparse.Namespace) -> Card:
    """Return the card, as slow as the arguments want it."""
    named = {"bit_rate": arguments.bit_rate, "key_operation": arguments.key_seconds}
    chosen = {name: value for name, value in named.items() if value is not None}
    if arguments.timing is None and not chosen:
        return card
    return TimedCard(card, replace(realistic(card), **chosen))


def _remove(arguments: argparse.Namespace, clock: Clock) -> None:
    name = arguments.name
    inserted = _require_inserted(arguments)
    if name is not None and name != inserted:
        raise VirtualCardError(f"not {name} but {inserted} is in the virtual reader")
    # It may have left by itself meanwhile.
    print(f"removed {ask(arguments.home, arguments.port, REMOVE) or inserted}")


def _swap(arguments: argparse.Namespace, clock: Clock) -> None:
    _require_inserted(arguments)
    VirtualCards(arguments.home).path(arguments.name)
    removed = ask(arguments.home, arguments.port, SWAP, arguments.name)
    if removed is None:
        raise VirtualCardError("the card left the reader by itself, just now")
    print(f"removed {removed}")
    print(f"inserted {arguments.name}")


def _reset(arguments: argparse.Namespace, clock: Clock) -> None:
    name = _require_inserted(arguments)
    try:
        # Only here: without pyscard everything else works.
        from cps.virtual.rival import reset_card
    except ModuleNotFoundError as exc:
        raise VirtualCardError(
            f"{exc.name} is not installed: pip install 'cps-gateway[workstation]'"
        ) from exc
    reset_card(arguments.port - PORT)
    print(f"reset {name}")


def _block(arguments: argparse.Namespace, clock: Clock) -> None:
    VirtualCards(arguments.home).block(arguments.name)
    print(f"blocked {arguments.name}")


def _unblock(arguments: argparse.Namespace, clock: Clock) -> None:
    VirtualCards(arguments.home).unblock(arguments.name)
    print(f"unblocked {arguments.name}")


def _revoke(arguments: argparse.Namespace, clock: Clock) -> None:
    cards = VirtualCards(arguments.home, clock=clock)
    path = arguments.authority or _default_authority(cards.card(arguments.name).kind)
    reason = REASONS.get(arguments.reason)
    count = cards.revoke(arguments.name, AuthorityFolder.open(path), reason)
    print(f"revoked {arguments.name}: {count} certificates; new lists in {path}")


def _delete(arguments: argparse.Namespace, clock: Clock) -> None:
    VirtualCards(arguments.home).delete(arguments.name)
    print(f"deleted {arguments.name}")


def _authority(path: Path | None, kind: CardKind, clock: Clock) -> AuthorityFolder:
    """Return the authority in *path*, else the default one, which is made when it is missing."""
    if path is not None:
        return AuthorityFolder.open(path)
    path = _default_authority(kind)
    if path.exists():
        return AuthorityFolder.open(path)
    folder = AuthorityFolder.create(path, now=clock(), names=AuthorityNames(gamme=kind.gamme))
    print(f"{path}: new test authority")
    return folder


def _default_authority(kind: CardKind) -> Path:
    return data_folder() / AUTHORITY_NAMES[kind.gamme]


def _inserted(home: Path, port: int = PORT) -> str | None:
    """Return the name of the card of *home* that is in the reader, if one is."""
    return ask(home, port, STATUS)


def _require_inserted(arguments: argparse.Namespace) -> str:
    name = _inserted(arguments.home, arguments.port)
    if name is None:
        raise VirtualCardError(f"no card of {arguments.home} is in the virtual reader")
    return name


def _validity(card: VirtualCard, now: datetime) -> str:
    words = f"valid {card.not_before:%Y-%m-%d} to {card.not_after:%Y-%m-%d}"
    if now < card.not_before:
        return words + " (not yet)"
    return words + (" (expired)" if now > card.not_after else "")


def _revocations(path: Path | None) -> dict[int, IssuedCertificate]:
    """Return what was revoked by the authority in *path*, else by the default ones, by serial."""
    paths = (
        [path] if path is not None else [data_folder() / each for each in AUTHORITY_NAMES.values()]
    )
    return {
        entry.serial: entry
        for each in paths
        if path is not None or each.exists()
        for entry in AuthorityFolder.open(each).issued()
        if entry.revoked_at is not None
    }


def _revoked(card: VirtualCard, revoked: dict[int, IssuedCertificate]) -> str:
    """Return the words for a card whose certificate for logins was revoked, or put on hold."""
    entry = revoked.get(card.certificate_serials["authentication"])
    if entry is None:
        return ""
    return f" (revoked {entry.revoked_at:%Y-%m-%d}{', on hold' * entry.is_on_hold})"


def _read_pin(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & OTHERS:
                raise VirtualCardError(f"{path}: others can read it; its mode must be 0600")
            content = file.read(MAX_PIN_FILE_BYTES)
    except OSError as exc:
        raise VirtualCardError(f"{path}: {exc.strerror}") from exc
    return content.decode("ascii", "replace").strip()
