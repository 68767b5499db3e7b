"""The `cps` command: agent, cards, virtual cards, test authority, demo."""

import argparse
import sys
from collections.abc import Sequence

import cps.agent.commands
import cps.card_commands.commands
import cps.demo.commands
import cps.issuer.commands
import cps.virtual.commands
from cps.authtoken.closed_pipe import quiet_when_unread


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :param arguments: without the program's name; ``None`` for those of the process.
    :returns: the exit code: 0, 1 for a failure said in one line, 2 for wrong usage.
    :raises SystemExit: for wrong usage, and where nobody reads the output any more.
    """
    with quiet_when_unread():
        options = build_parser().parse_args(arguments)
        code: int = options.run(options)
        return code


def build_parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(prog="cps", description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    actions = cps.agent.commands.add_commands(subparsers)
    cps.card_commands.commands.add_agent_doctor(actions)
    cps.card_commands.commands.add_commands(subparsers)
    cps.virtual.commands.add_commands(subparsers)
    cps.issuer.commands.add_commands(subparsers)
    cps.demo.commands.add_commands(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
