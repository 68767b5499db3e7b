"""The number of a failure."""

import re

from gateway.incident import new_incident


def test_incidents_are_random_and_easy_to_read_out() -> None:
    incidents = {new_incident() for _ in range(200)}
    assert len(incidents) == 200
    assert all(re.fullmatch(r"[0-9a-f]{4}-[0-9a-f]{4}", incident) for incident in incidents)
