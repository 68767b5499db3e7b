"""One gateway for all flow tests: building one takes longer than a login."""

from collections.abc import Iterator

import pytest

from tests.support import pki
from tests.support.line import Line, running_line


@pytest.fixture(scope="package")
def shared_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with running_line(tmp_path_factory.mktemp("line")) as line:
        yield line


@pytest.fixture(scope="session")
def shared_line_without_presence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with running_line(tmp_path_factory.mktemp("absent"), presence={"mode": "off"}) as line:
        yield line


@pytest.fixture
def line_without_presence(shared_line_without_presence: Line) -> Line:
    """Return a gateway whose sessions do without the card, so that hours may pass in silence."""
    shared_line_without_presence.clock.now = pki.NOW
    return shared_line_without_presence


@pytest.fixture
def line(shared_line: Line) -> Line:
    """Return the shared gateway with its clock set back; each test has browsers of its own."""
    shared_line.clock.now = pki.NOW
    return shared_line
