from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from tests.support import pki
from tests.support.published import PublishedAuthority
from tests.support.refreshing import Refreshing
from tests.support.responder import faulty_responder


@dataclass
class SetClock:
    """The time of the authority, at which tests may turn."""

    now: datetime = pki.NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="session")
def authority_clock() -> SetClock:
    return SetClock()


@pytest.fixture(scope="session")
def running_authority(authority_clock: SetClock) -> Iterator[PublishedAuthority]:
    with PublishedAuthority(clock=authority_clock) as running:
        yield running


@pytest.fixture
def authority(
    running_authority: PublishedAuthority, authority_clock: SetClock
) -> Iterator[PublishedAuthority]:
    """The same server for all tests, with nothing left of the test before."""
    running, documents = running_authority, dict(running_authority.documents)
    yield running
    authority_clock.now = pki.NOW
    running.documents = documents
    running.statuses.clear()
    running.responder = faulty_responder(running.statuses, clock=authority_clock)
    running.server.faults.clear()
    running.server.requests.clear()


@pytest.fixture
def refreshing(tmp_path: Path, authority: PublishedAuthority) -> Iterator[Refreshing]:
    with Refreshing(tmp_path, authority) as steps:
        yield steps
