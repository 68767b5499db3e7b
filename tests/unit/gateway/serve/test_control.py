import os

import pytest

from gateway.serve.control import default_processes


@pytest.mark.parametrize(
    ("cores", "processes"),
    [(1, 1), (2, 1), (4, 2), (8, 4), (64, 4)],
    ids=lambda number: str(number),
)
def test_there_is_a_process_for_each_two_cores_up_to_four(
    monkeypatch: pytest.MonkeyPatch, cores: int, processes: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert default_processes() == processes
