"""How long a piece of work takes: the median of a few rounds on one core."""

import statistics
from collections.abc import Callable
from time import perf_counter

ROUNDS = 5


def median_seconds(work: Callable[[], object], times: int) -> float:
    """Return the median time of one *work*, over rounds of *times* each, after one not counted."""
    work()
    rounds = []
    for _ in range(ROUNDS):
        started = perf_counter()
        for _ in range(times):
            work()
        rounds.append((perf_counter() - started) / times)
    return statistics.median(rounds)
