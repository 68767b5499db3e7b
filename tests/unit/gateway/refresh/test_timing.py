from datetime import timedelta

import pytest

from gateway.refresh.timing import (
    FIRST_RETRY,
    SHORTEST,
    pause_after_failure,
    pause_after_success,
)
from tests.support import pki
from tests.support.revocation import make_list

HOUR = timedelta(hours=1)


def close_to(pause: timedelta, expected: timedelta) -> bool:
    return 0.9 * expected <= pause <= expected


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param(48 * HOUR, HOUR, id="long life: the interval"),
        pytest.param(HOUR, HOUR / 2, id="short life: half of what is left"),
        pytest.param(timedelta(seconds=20), SHORTEST, id="nearly over"),
        pytest.param(-HOUR, SHORTEST, id="over"),
    ],
)
def test_the_next_look_comes_in_time(left: timedelta, expected: timedelta) -> None:
    crl = make_list(this_update=pki.NOW - 9 * HOUR, next_update=pki.NOW + left)
    for _ in range(20):
        assert close_to(pause_after_success(crl, every=HOUR, now=pki.NOW), expected)


def test_gateways_do_not_come_all_at_once() -> None:
    crl = make_list()
    pauses = {pause_after_success(crl, every=HOUR, now=pki.NOW) for _ in range(20)}
    assert len(pauses) > 10


def test_after_failures_the_pause_doubles_up_to_the_interval() -> None:
    for failures, expected in ((1, FIRST_RETRY), (2, 2 * FIRST_RETRY), (5, 16 * FIRST_RETRY)):
        assert close_to(pause_after_failure(failures, every=HOUR), expected)
    for failures in (9, 100, 100_000):
        assert close_to(pause_after_failure(failures, every=HOUR), HOUR)
