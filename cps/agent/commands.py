"""`cps agent`: the command line of the workstation agent."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from cps.agent.errors import AgentError, ConfigurationError
from cps.agent.platform import policy_file
from cps.errors import CardError

ENDED, FAILED, MISUSED = 0, 1, 2
"""Exit codes."""


def add_commands(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    """Add ``cps agent``.

    :returns: where its actions are added.
    """
    parser = subparsers.add_parser(
        "agent", help="answer portals' login pages on this computer with the card in its reader"
    )
    parser.add_argument(
        "--portal",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a portal to sign in to, such as https://portal.example; may be repeated, and adds "
        "to ~/.config/cps/agent.toml",
    )
    parser.add_argument(
        "--development",
        action="store_true",
        help="accept portals of this computer over plain http, and show that on each page",
    )
    pin = parser.add_mutually_exclusive_group()
    pin.add_argument(
        "--pin-file",
        type=Path,
        metavar="FILE",
        help="take the PIN from a file of mode 0600 instead of a person (tests, demonstrations)",
    )
    pin.add_argument(
        "--pin-fd",
        type=int,
        metavar="N",
        help="take the PIN, once, from an open file descriptor instead of a person",
    )
    parser.add_argument(
        "--virtual-card",
        type=Path,
        metavar="FILE",
        help="use a card made by `cps virtual` instead of a reader",
    )
    parser.add_argument(
        "--port",
        type=_port,
        metavar="N",
        help="listen on this port alone, instead of the first free of 24951 to 24953; 0: any",
    )
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(metavar="ACTION")
    opener = actions.add_parser(
        "open", help="take over a login that a page opened as cps-login:…; the system calls this"
    )
    opener.add_argument("link", metavar="LINK")
    opener.set_defaults(run=run_open)
    login = actions.add_parser(
        "login",
        help="begin a login here, for browsers that do not find the agent; ends with the session",
    )
    login.add_argument("origin", metavar="ORIGIN")
    login.set_defaults(run=run_login)
    starter = actions.add_parser(
        "install", help="start the agent with each session of this user (Linux), and now"
    )
    starter.add_argument("--portal", action="append", default=[], metavar="ORIGIN")
    starter.set_defaults(run=run_install)
    remover = actions.add_parser("uninstall", help="undo `install`, and stop the agent")
    remover.set_defaults(run=run_uninstall)
    return actions


def run(options: argparse.Namespace) -> int:
    """Run the agent until it is told to end.

    :returns: 0 after SIGINT or SIGTERM, 1 where it cannot run, 2 where it was called wrongly.
    """
    return _run_agent(options, port=options.port, begin=None)


def run_login(options: argparse.Namespace) -> int:
    """Log in to a portal, and watch the card while the session lives.

    :returns: 0 after the session, 1 where nobody was logged in, 2 where it was called wrongly.
    """
    # Pages do not look for this one, so the usual ports are left to the agent that they find.
    return _run_agent(options, port=options.port or 0, begin=options.origin)


def _run_agent(options: argparse.Namespace, *, port: int | None, begin: str | None) -> int:
    try:
        # Only here: `cps issuer` and `cps virtual` work without what the agent needs.
        from cps.agent.program import run_agent
    except ModuleNotFoundError as exc:
        _say(f"{exc.name} is not installed: pip install 'cps-gateway[workstation]'")
        return FAILED
    try:
        run_agent(
            portals=options.portal,
            development=options.development,
            pin_file=options.pin_file,
            pin_descriptor=options.pin_fd,
            virtual_card=options.virtual_card,
            port=port,
            begin=begin,
        )
    except ConfigurationError as exc:
        _say(str(exc))
        return MISUSED
    except (AgentError, CardError, OSError) as exc:
        _say(str(exc))
        return FAILED
    return ENDED


def run_open(options: argparse.Namespace) -> int:
    """Hand a login over to this user's agent.

    :returns: 0 once the browser was told, 1 where there is nothing to hand it to.
    """
    try:
        # Only here: what the agent needs may be missing.
        from cps.agent.handoff import open_link
        from cps.agent.policy import Policy
    except ModuleNotFoundError as exc:
        _say(f"{exc.name} is not installed: pip install 'cps-gateway[workstation]'")
        return FAILED
    try:
        open_link(options.link, ports=Policy.load(policy_file()).ports)
    except (AgentError, OSError) as exc:
        _say(str(exc))
        return FAILED
    return ENDED


def run_install(options: argparse.Namespace) -> int:
    """Have the agent start with the session.

    :returns: 0, or 1 where that cannot be had.
    """
    arguments = [word for origin in options.portal for word in ("--portal", origin)]
    return _change_start(
        lambda autostart: [autostart.install(Path.home(), arguments, environment=os.environ)]
    )


def run_uninstall(options: argparse.Namespace) -> int:
    """Have it start no more.

    :returns: 0, or 1 where that cannot be had.
    """
    return _change_start(lambda autostart: autostart.uninstall(Path.home(), environment=os.environ))


def _change_start(change: Callable[[ModuleType], list[Path]]) -> int:
    # Only here: it is for Linux.
    from cps.agent import autostart

    try:
        for file in change(autostart):
            print(file)
    except (AgentError, OSError) as exc:
        _say(str(exc))
        return FAILED
    return ENDED


def _say(words: str) -> None:
    print(f"cps agent: {words}", file=sys.stderr)


def _port(words: str) -> int:
    if not words.isascii() or not words.isdigit() or int(words) > 65535:
        raise argparse.ArgumentTypeError(f"{words!r} is no port")
    return int(words)
