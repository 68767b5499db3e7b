"""The values of options: taken to the last one allowed, refused from the next one on."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from cps.simulator.faults import Fault, FaultKind
from cps.virtual.arguments import bit_rate, day, fault, key_seconds, port


@pytest.mark.parametrize(
    ("read", "words", "value"),
    [
        pytest.param(day, "2026-11-23", datetime(2026, 11, 23, tzinfo=UTC), id="day"),
        pytest.param(fault, "mute@3", Fault(kind=FaultKind.MUTE, at=3), id="fault"),
        pytest.param(port, "1", 1, id="first port"),
        pytest.param(port, "65535", 65535, id="last port"),
        pytest.param(bit_rate, "1000", 1000, id="slowest line"),
        pytest.param(bit_rate, "1000000", 1_000_000, id="fastest line"),
        pytest.param(key_seconds, "0", 0.0, id="no time"),
        pytest.param(key_seconds, "0.35", 0.35, id="some time"),
        pytest.param(key_seconds, "60", 60.0, id="longest time"),
    ],
)
def test_what_is_allowed_is_read(read: Callable[[str], object], words: str, value: object) -> None:
    assert read(words) == value


@pytest.mark.parametrize(
    ("read", "words"),
    [
        pytest.param(read, words, id=f"{read.__name__} {words}")
        for read, several in (
            (day, ("2026-13-01", "tomorrow", "")),
            (fault, ("melted", "mute@0", "mute@")),
            (port, ("0", "65536", "x", "-1", "\u0663", "")),
            (bit_rate, ("999", "1000001", "fast", "")),
            (key_seconds, ("-0.1", "60.1", "nan", "inf", "long", "")),
        )
        for words in several
    ],
)
def test_what_is_not_allowed_is_refused(read: Callable[[str], object], words: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=words or "''"):
        read(words)
