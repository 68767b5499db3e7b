"""``cps-gateway check``: what the settings lead to, what is dangerous, what is wrong."""

import sys
from datetime import datetime
from pathlib import Path

from gateway.operator.online_check import ask_all
from gateway.serve.check import describe
from gateway.settings_portals import Portals
from gateway.settings_warnings import warnings

EXIT_PROBLEMS = 1


def run_check(settings_path: Path, now: datetime, *, online: bool) -> int:
    """Print what was found, and return the exit code: 1 where people would be kept out.

    :param now: aware UTC.
    :param online: whether what the settings name is asked too.
    :raises ConfigurationError: with every fault for which the gateway would not start.
    """
    lines, problems = describe(settings_path, now)
    for line in lines:
        print(line)
    portals = Portals.load(settings_path)
    for settings in portals.portals:
        whose = f"portal {settings.portal.name}: " if portals.are_several else ""
        for key, reason in warnings(settings):
            print(f"warning: {whose}{key}: {reason}", file=sys.stderr)
    if online:
        # What portals share is said once.
        answers = {
            each.what: each for settings in portals.portals for each in ask_all(settings, now)
        }
        for answer in answers.values():
            if answer.fault:
                problems.append(f"{answer.what}: {answer.said}")
            else:
                print(f"{answer.what}: {answer.said}")
    for problem in problems:
        print(f"problem: {problem}", file=sys.stderr)
    return EXIT_PROBLEMS if problems else 0
