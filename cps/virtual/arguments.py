"""The values of the options of ``cps virtual``, each within its limits."""

import argparse
from datetime import UTC, datetime

from cps.simulator.faults import Fault
from cps.simulator.timing import BIT_RATES, MAX_KEY_SECONDS

MAX_PORT = 65535


def day(words: str) -> datetime:
    """Return the beginning of a day in UTC."""
    try:
        return datetime.strptime(words, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{words!r} is no day, such as 2026-11-23") from None


def fault(words: str) -> Fault:
    """Return what goes wrong, and when."""
    try:
        return Fault.parse(words)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None


def port(words: str) -> int:
    """Return a TCP port, 1 to 65535."""
    return _number(words, range(1, MAX_PORT + 1), "port")


def bit_rate(words: str) -> int:
    """Return the bits a second of a line, one of :data:`cps.simulator.timing.BIT_RATES`."""
    return _number(words, BIT_RATES, "bit rate")


def key_seconds(words: str) -> float:
    """Return how long a use of a private key takes."""
    try:
        seconds = float(words)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_KEY_SECONDS:
        raise argparse.ArgumentTypeError(f"{words!r}: 0 to {MAX_KEY_SECONDS:g} seconds are wanted")
    return seconds


def _number(words: str, allowed: range, name: str) -> int:
    if not words.isascii() or not words.isdigit() or int(words) not in allowed:
        raise argparse.ArgumentTypeError(
            f"{words!r} is no {name}: {allowed.start} to {allowed.stop - 1}"
        )
    return int(words)
