"""``cps virtual``: software cards on the command line, and one of them in the virtual reader."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from cps.errors import CardError
from cps.issuer.folder import AuthorityFolder, FolderError
from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from cps.simulator.vpcd import PORT, VPCDReader
from cps.virtual.store import TEST_PIN, VirtualCardError, VirtualCards

MAX_PIN_FILE_BYTES = 16
OTHERS = 0o077


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``virtual`` and its commands; each sets ``run``, which takes the arguments."""
    virtual = subparsers.add_parser("virtual", help="make software cards and insert them")
    commands = virtual.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, description: str, work: Callable[[argparse.Namespace], None]
    ) -> argparse.ArgumentParser:
        parser = commands.add_parser(name, help=description, description=description)
        parser.add_argument(
            "--home", type=Path, required=True, metavar="DIR", help="the folder of cards"
        )
        parser.set_defaults(run=lambda arguments: _run(work, arguments))
        return parser

    new = add("new", "make a CPS3 card with certificates of a test authority", _new)
    new.add_argument(
        "--authority", type=Path, required=True, metavar="DIR", help="made by: cps issuer new DIR"
    )
    new.add_argument("--family-name", required=True)
    new.add_argument("--given-name", required=True)
    new.add_argument(
        "--profession", type=int, required=True, metavar="CODE", help="table G15: 10 physician"
    )
    new.add_argument("--rpps", help="11 digits; an unused number where absent")
    new.add_argument(
        "--pin-file",
        type=Path,
        metavar="FILE",
        help=f"file, mode 0600, with the PIN's 4 digits; the test PIN {TEST_PIN} where absent",
    )
    add("list", "show the cards", _list)
    insert = add("insert", "hold a card in the virtual reader until Ctrl-C", _insert)
    insert.add_argument("name", metavar="NAME")
    insert.add_argument("--port", type=int, default=PORT, help="the virtual reader's TCP port")


def _run(work: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> int:
    try:
        work(arguments)
    except (CardError, FolderError, VirtualCardError) as exc:
        print(f"cps virtual: {exc}", file=sys.stderr)
        return 1
    return 0


def _new(arguments: argparse.Namespace) -> None:
    pin = TEST_PIN if arguments.pin_file is None else _read_pin(arguments.pin_file)
    path = VirtualCards(arguments.home).new(
        AuthorityFolder.open(arguments.authority),
        family_name=arguments.family_name,
        given_name=arguments.given_name,
        profession=arguments.profession,
        rpps=arguments.rpps,
        pin=pin,
    )
    print(f"{path.stem}: new CPS3 card")


def _list(arguments: argparse.Namespace) -> None:
    for card in VirtualCards(arguments.home).cards():
        print(
            f"{card.name}  {card.national_id}  card {card.card_number}"
            f"  PIN tries left: {card.tries_left}"
        )


def _insert(arguments: argparse.Namespace) -> None:
    path = VirtualCards(arguments.home).path(arguments.name)
    with CardImage.open(path) as image:
        reader = VPCDReader(SoftwareCard(image), port=arguments.port)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: reader.stop())
        reader.run(lambda: print(f"inserted {arguments.name}", flush=True))
    print(f"removed {arguments.name}", flush=True)


def _read_pin(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & OTHERS:
                raise VirtualCardError(f"{path}: others can read it; its mode must be 0600")
            content = file.read(MAX_PIN_FILE_BYTES)
    except OSError as exc:
        raise VirtualCardError(f"{path}: {exc.strerror}") from exc
    return content.decode("ascii", "replace").strip()
