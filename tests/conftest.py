"""Fixtures that tests of several folders share."""

import logging
import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.support.pcsc import pcscd
from tests.support.quick import Quick
from tests.support.redis_servers import redis_server, shared_redis
from tests.support.store_places import store_place

__all__ = ["pcscd", "redis_server", "shared_redis", "store_place"]

# How long one example takes says more of what else the machine does than of the code.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="leave out what always took long here")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Quick(config))


@pytest.fixture(autouse=True)
def process_as_found() -> Iterator[None]:
    """Undo what a program that runs inside a test sets for its whole process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    mask = os.umask(0)
    os.umask(mask)
    yield
    # The runner's own handlers come and go around each test; a program's would stay behind.
    for handler in [added for added in root.handlers if added not in handlers]:
        if type(handler) is logging.StreamHandler:
            root.removeHandler(handler)
    root.setLevel(level)
    os.umask(mask)
