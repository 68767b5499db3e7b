"""The command ``cps-gateway``: serve, check."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gateway.clock import system_clock
from gateway.errors import ConfigurationError
from gateway.serve import serve
from gateway.serve.check import describe

EXIT_PROBLEMS = 1
"""Exit code of ``check`` where people would be kept out."""
EXIT_CONFIGURATION = 2
"""Exit code where the settings stop the start; also of a wrong command line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    :param argv: the arguments; default: those of the process.
    """
    options = _parser().parse_args(argv)
    try:
        if options.command == "serve":
            return serve(options.config)
        return _check(options.config)
    except ConfigurationError as exc:
        print(exc, file=sys.stderr)
        return EXIT_CONFIGURATION
    except KeyboardInterrupt:
        # Before the supervisor took over; nothing was started yet.
        return EXIT_PROBLEMS


def _check(settings_path: Path) -> int:
    lines, problems = describe(settings_path, system_clock())
    for line in lines:
        print(line)
    for problem in problems:
        print(f"problem: {problem}", file=sys.stderr)
    return EXIT_PROBLEMS if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cps-gateway", description="A login by CPS card in front of a web portal."
    )
    parser.add_argument("--version", action="version", version=f"cps-gateway {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("serve", "run the gateway until SIGTERM or Ctrl-C"),
        ("check", "say what a settings file leads to and what is wrong with it"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--config", type=Path, required=True, metavar="FILE", help="the settings, TOML"
        )
    return parser


def _version() -> str:
    try:
        return version("cps-gateway")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
