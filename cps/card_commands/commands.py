"""`cps card`: the command line."""

import argparse
import json
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from cps.agent.texts import code_for, words
from cps.authtoken.catalogue import text
from cps.card.contact import ContactCard
from cps.card.contents import read_contents
from cps.card.recognise import open_card
from cps.card_commands.doctor import Finding, Mark, examine
from cps.card_commands.find import choose_reader, kind_of
from cps.card_commands.pins import PINDialogue
from cps.card_commands.reading import description_of, lines_of
from cps.card_commands.surroundings import Surroundings, ToolError, real_surroundings
from cps.errors import CardError
from cps.transport.connection import CardConnection, ReaderState
from cps.transport.ghosts import is_ghost
from cps.transport.trace import TracedConnection

WELL, UNWELL = 0, 1
"""Exit codes; a wrong call ends with 2."""
TRIAL = b"CPS-CARD-TRACE\x00"
"""What a trial signature begins with: no login and no protocol signs such bytes."""
TRIAL_RANDOM_BYTES = 32

Work = Callable[[argparse.Namespace, Surroundings], int]


def add_agent_doctor(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    surroundings: Callable[[], Surroundings] = real_surroundings,
) -> None:
    """Add ``doctor`` to what ``cps agent`` can do.

    :param surroundings: returns what the command finds around it.
    """
    description = "find out why a login does not work; the report can be sent to the help desk"
    parser = actions.add_parser("doctor", help=description, description=description)
    parser.set_defaults(run=lambda arguments: _run(_agent_doctor, arguments, surroundings))


def add_commands(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    surroundings: Callable[[], Surroundings] = real_surroundings,
) -> None:
    """Add ``card`` and its commands; each sets ``run``, which takes the arguments.

    :param surroundings: returns what a command finds around it.
    """
    card = subparsers.add_parser("card", help="look at the card in the reader, change its PIN")
    commands = card.add_subparsers(required=True, metavar="COMMAND")

    def add(
        group: "argparse._SubParsersAction[argparse.ArgumentParser]",
        name: str,
        description: str,
        work: Work,
    ) -> argparse.ArgumentParser:
        parser = group.add_parser(name, help=description, description=description)
        parser.set_defaults(run=lambda arguments: _run(work, arguments, surroundings))
        return parser

    def with_reader(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
        parser.add_argument(
            "--reader", metavar="NAME", help="the reader, or a part of its name, if there are more"
        )
        return parser

    add(commands, "readers", "list the readers and what is in them", _readers)
    read = with_reader(add(commands, "read", "show everything that the card shows anybody", _read))
    read.add_argument("--json", action="store_true", help="as JSON, for programs")
    with_reader(add(commands, "doctor", "find out why a login does not work", _doctor))
    trace = with_reader(
        add(commands, "trace", "show every exchange of a login with the card, PIN masked", _trace)
    )
    trace.add_argument("--sign", action="store_true", help="ask for the PIN and sign a trial, too")
    pin = commands.add_parser("pin", help="change or unblock the PIN, asked for on the terminal")
    pins = pin.add_subparsers(required=True, metavar="COMMAND")
    with_reader(add(pins, "change", "change the PIN", _change_pin))
    with_reader(add(pins, "unblock", "set a new PIN with the unblocking code (PUK)", _unblock_pin))


def _run(
    work: Work, arguments: argparse.Namespace, surroundings: Callable[[], Surroundings]
) -> int:
    around = surroundings()
    try:
        return work(arguments, around)
    except ToolError as exc:
        _complain(exc.sentence(around.language))
    except CardError as exc:
        code = code_for(exc)
        said = words("error", code, around.language)
        _complain(f"{said.title}. {said.sentence}")
        _complain(f"{text('agent_page.code', around.language, code=code)} ({exc})")
    return UNWELL


def _readers(arguments: argparse.Namespace, around: Surroundings) -> int:
    language = around.language
    readers = around.terminal(lambda reader: False).readers()
    for state in readers:
        name = "ignored" if is_ghost(state.name) else "card" if state.present else "empty"
        kind = text(f"card_kind.{kind_of(state)}", language)
        print(text(f"card_readers.{name}", language, reader=state.name, kind=kind))
    if all(is_ghost(state.name) for state in readers):
        print(text("card_readers.none", language))
        return UNWELL
    return WELL


def _read(arguments: argparse.Namespace, around: Surroundings) -> int:
    with _connected(arguments, around) as (reader, connection):
        contents = read_contents(connection)
        description = description_of(contents, reader, t0=connection.t0)
    if arguments.json:
        print(json.dumps(description, indent=2))
    else:
        for line in lines_of(description, around.language):
            print(line)
    return UNWELL if contents.faults else WELL


def _doctor(arguments: argparse.Namespace, around: Surroundings) -> int:
    return _report(examine(around, arguments.reader), around.language)


def _agent_doctor(arguments: argparse.Namespace, around: Surroundings) -> int:
    try:
        # Only here: what the agent needs may be missing.
        from cps.card_commands.agent_doctor import examine_agent, this_workstation
    except ModuleNotFoundError as exc:
        raise ToolError("card_command.no_agent", module=exc.name) from exc
    return _report(examine_agent(around, this_workstation()), around.language)


def _report(findings: Iterable[Finding], language: str) -> int:
    well = True
    for finding in findings:
        for line in finding.lines():
            print(line, flush=True)
        well = well and finding.mark is not Mark.BAD
    print(text("card_doctor.well" if well else "card_doctor.unwell", language))
    return WELL if well else UNWELL


def _change_pin(arguments: argparse.Namespace, around: Surroundings) -> int:
    with around.console() as console, _opened(arguments, around) as card:
        PINDialogue(card, console, around.language).change()
    return WELL


def _unblock_pin(arguments: argparse.Namespace, around: Surroundings) -> int:
    with around.console() as console, _opened(arguments, around) as card:
        PINDialogue(card, console, around.language).unblock()
    return WELL


def _trace(arguments: argparse.Namespace, around: Surroundings) -> int:
    print(f"# {text('card_trace.personal', around.language)}")
    with _connected(arguments, around) as (reader, connection):
        print(f"# {reader.name}: {connection.atr.hex(' ').upper()}")
        card = open_card(TracedConnection(connection, _show))
        card.authentication_certificate()
        if arguments.sign:
            with around.console() as console:
                dialogue = PINDialogue(card, console, around.language)
                dialogue.sign(TRIAL + secrets.token_bytes(TRIAL_RANDOM_BYTES))
            print(f"# {text('card_trace.signed', around.language)}")
        else:
            card.tries_left()
    return WELL


def _show(line: str) -> None:
    print(line, flush=True)


@contextmanager
def _connected(
    arguments: argparse.Namespace, around: Surroundings
) -> Iterator[tuple[ReaderState, CardConnection]]:
    terminal = around.terminal(is_ghost)
    reader = choose_reader(terminal.readers(), arguments.reader)
    connection = terminal.connect(reader.name)
    try:
        yield reader, connection
    finally:
        connection.close()


@contextmanager
def _opened(arguments: argparse.Namespace, around: Surroundings) -> Iterator[ContactCard]:
    """Yield the card; nothing of it is taken from a cache."""
    with _connected(arguments, around) as (_, connection):
        yield open_card(connection)


def _complain(words: str) -> None:
    print(f"cps card: {words}", file=sys.stderr)
