"""``cps-gateway guard``: whom the guard keeps out, and how they come in again."""

import argparse
import sys
from contextlib import closing

from gateway.clock import Clock
from gateway.operator.acts import record_act
from gateway.operator.portal_option import add_config, chosen_portal
from gateway.stores import open_stores

EXIT_PROBLEMS = 1

_SECOND = "%Y-%m-%d %H:%M:%S UTC"


def add_guard_command(parser: argparse.ArgumentParser) -> None:
    """Add what ``guard`` can do to its *parser*."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add_config(actions.add_parser("blocked", help="show who is kept out, since when and why"))
    clear = actions.add_parser("clear", help="let somebody in again, with counts from zero")
    add_config(clear)
    clear.add_argument("--identity", required=True, metavar="NUMBER", help="such as 8…")


def run_guard(options: argparse.Namespace, clock: Clock) -> int:
    """Run one of the actions and return its exit code.

    :param options: as parsed by what :func:`add_guard_command` added.
    :raises ConfigurationError: for settings that cannot be used.
    :raises StoreUnavailableError: where the store does not answer, or the act cannot be recorded.
    """
    settings = chosen_portal(options)
    stores = open_stores(settings)
    with closing(stores):
        guard = stores.open_guard()
        if options.action == "blocked":
            for block in guard.blocks():
                print(f"{block.identity}  {block.at:{_SECOND}}  {block.rule}")
            return 0
        if not guard.is_blocked(options.identity):
            print(f"{options.identity} is not blocked", file=sys.stderr)
            return EXIT_PROBLEMS
        record_act(settings, clock, "guard_cleared", national_id=options.identity)
        guard.clear(options.identity)
        print(f"{options.identity} may log in again")
        return 0
