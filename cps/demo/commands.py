"""`cps demo`: the whole line on this machine, for a person or for a headless browser."""

import argparse
import sys
from pathlib import Path

from cps.demo.processes import DemoError, Stopped, stopped_by_signals
from cps.demo.run import run_until_interrupted, running_demo


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``cps demo``."""
    parser = subparsers.add_parser("demo", help="portal, gateway, agent and virtual card, here")
    parser.add_argument(
        "--login", action="store_true", help="log in with headless Chromium, then stop"
    )
    parser.add_argument(
        "--screenshots",
        type=Path,
        default=Path("screenshots"),
        help="folder for --login's pictures",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the demo; return 0, or 1 with the reason on the standard error."""
    try:
        with stopped_by_signals():
            _run(options)
    except DemoError as exc:
        print(f"demo: {exc}", file=sys.stderr)
        return 1
    except Stopped:
        _say("  stopped; nothing is left behind")
        # A login that was broken off has not shown that it works.
        return 1 if options.login else 0
    return 0


def _run(options: argparse.Namespace) -> None:
    if not options.login:
        run_until_interrupted(_say)
        return
    # Only here, so that the demo needs no browser driver.
    from cps.demo.login import run_login

    with running_demo(say=_say, unattended=True) as demo:
        run_login(
            demo.origin,
            demo.holder,
            pull_card=None if demo.card is None else demo.card.pull,
            screenshots=options.screenshots,
            say=_say,
        )
    _say("  the login works, end to end")


def _say(text: str) -> None:
    print(text, flush=True)
