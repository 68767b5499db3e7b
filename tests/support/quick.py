"""``--quick``: leaves out the tests that always took long here.

A mark in each file would be wrong on the next machine, and after the next change.
"""

import pytest

LONG_SECONDS = 0.01
"""A test that took longer is left out."""

_TIMES = "quick/seconds"


class Quick:
    """Keeps in pytest's cache how long each test took, and chooses by it."""

    def __init__(self, config: pytest.Config) -> None:
        self._cache = config.cache
        self._chosen = config.getoption("quick")
        self._seconds: dict[str, float] = {}

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        if not self._chosen or self._cache is None:
            return
        last = self._cache.get(_TIMES, {})
        long = [item for item in items if last.get(item.nodeid, 0.0) > LONG_SECONDS]
        config.hook.pytest_deselected(items=long)
        left_out = set(long)
        items[:] = [item for item in items if item not in left_out]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        if self._cache is None or not self._seconds:
            return
        known = self._cache.get(_TIMES, {})
        # The shortest of its times says more of a test than what else the machine did.
        shortest = {each: min(took, known.get(each, took)) for each, took in self._seconds.items()}
        self._cache.set(_TIMES, known | shortest)
