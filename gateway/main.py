"""The command ``cps-gateway``: serve, check, render, keys, trust."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cps.authtoken.closed_pipe import quiet_when_unread
from gateway.clock import system_clock
from gateway.errors import ConfigurationError, StoreUnavailableError
from gateway.operator.audit_commands import add_audit_command, run_audit
from gateway.operator.check_command import run_check
from gateway.operator.guard_commands import add_guard_command, run_guard
from gateway.operator.health_command import run_health
from gateway.operator.init_command import add_init_command, run_init
from gateway.operator.key_commands import list_keys, rotate_keys
from gateway.operator.portal_option import add_config
from gateway.operator.render_command import add_render_command, run_render
from gateway.operator.session_commands import add_sessions_command, run_sessions
from gateway.operator.trust_commands import add_trust_command, run_trust
from gateway.serve import serve
from gateway.version import gateway_version

EXIT_PROBLEMS = 1
"""Exit code of ``check`` where people would be kept out."""
EXIT_CONFIGURATION = 2
"""Exit code where the settings stop the start; also of a wrong command line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    :param argv: the arguments; default: those of the process.
    """
    with quiet_when_unread():
        options = build_parser().parse_args(argv)
    if options.command == "serve":
        # A gateway outlives whoever reads what it says.
        return _run(options)
    with quiet_when_unread():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        if options.command == "serve":
            return serve(options.config)
        if options.command == "health":
            return run_health(options.config, options.portal)
        if options.command == "init":
            return run_init(options)
        if options.command == "sessions":
            return run_sessions(options, system_clock)
        if options.command == "keys":
            return _keys(options)
        if options.command == "audit":
            return run_audit(options, system_clock)
        if options.command == "guard":
            return run_guard(options, system_clock)
        if options.command == "trust":
            return run_trust(options, system_clock())
        if options.command == "render":
            return run_render(options)
        return run_check(options.config, system_clock(), online=options.online)
    except ConfigurationError as exc:
        print(exc, file=sys.stderr)
        return EXIT_CONFIGURATION
    except StoreUnavailableError as exc:
        print(exc, file=sys.stderr)
        return EXIT_PROBLEMS
    except KeyboardInterrupt:
        # Before the supervisor took over; nothing was started yet.
        return EXIT_PROBLEMS


def _keys(options: argparse.Namespace) -> int:
    if options.action == "rotate":
        lines = rotate_keys(
            options.config, system_clock, at_once=options.at_once, portal=options.portal
        )
    else:
        lines = list_keys(options.config, system_clock(), portal=options.portal)
    for line in lines:
        print(line)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(
        prog="cps-gateway", description="A login by CPS card in front of a web portal."
    )
    parser.add_argument("--version", action="version", version=f"cps-gateway {gateway_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("serve", "run the gateway until SIGTERM or Ctrl-C"),
        ("health", "ask the running gateway whether people can log in"),
        ("check", "say what a settings file leads to and what is wrong with it"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--config", type=Path, required=True, metavar="FILE", help="the settings, TOML"
        )
        if name == "health":
            command.add_argument("--portal", metavar="NAME", help="one of several; default: all")
        if name == "check":
            command.add_argument(
                "--online", action="store_true", help="ask portal, store and addresses too"
            )
    add_render_command(
        commands.add_parser("render", help="write the configuration of the site's own proxy")
    )
    add_init_command(commands.add_parser("init", help="write a settings file, with comments"))
    _add_keys(commands.add_parser("keys", help="the keys that sign assertions to the portal"))
    add_sessions_command(commands.add_parser("sessions", help="who is in, and their end"))
    add_audit_command(commands.add_parser("audit", help="the journal: check it, ask it"))
    add_guard_command(commands.add_parser("guard", help="whom the guard keeps out"))
    add_trust_command(commands.add_parser("trust", help="the authorities and revocation data"))
    return parser


def _add_keys(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add_config(actions.add_parser("list", help="show the keys that are published"))
    rotate = actions.add_parser(
        "rotate", help="make a new key, publish it, and sign with it a few minutes later"
    )
    add_config(rotate)
    rotate.add_argument(
        "--at-once",
        action="store_true",
        help="sign with it now and withdraw all others, which got into wrong hands",
    )


if __name__ == "__main__":
    sys.exit(main())
