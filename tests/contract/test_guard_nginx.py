"""With nginx in front, what is sensitive reaches the portal through the relay alone."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.settings_guard import GuardSettings
from tests.support.engines import for_nginx, running_nginx
from tests.support.relay import (
    RawServer,
    RunningRelay,
    echo,
    fake_control_plane,
    raw_request,
    relay_settings,
)

ROUTES = [
    {"name": "rights", "path": "/rights/{record}"},
    {"name": "search", "path": "/a.b/*/search", "record": "query:nir"},
    {"name": "start", "path": "/"},
    {"name": "all", "path": "/records/**"},
]
ODD_FIELD = "X-Passed-By-The-Relay-Alone"
"""nginx itself passes only the fields that it knows."""


@pytest.fixture(scope="module")
def edge() -> Iterator[RunningRelay]:
    control = RawServer(fake_control_plane)
    with (
        tempfile.TemporaryDirectory(prefix="cps-") as folder,
        RawServer(echo).on_port() as upstream,
        control.on_socket(Path(folder) / "control.sock") as control_socket,
    ):
        settings = for_nginx(relay_settings(Path(folder), upstream=upstream))
        guard = GuardSettings.model_validate({"routes": ROUTES})
        settings = settings.model_copy(update={"guard": guard})
        with running_nginx(settings, Path(folder), control_socket) as running:
            yield running


def came_through_the_relay(edge: RunningRelay, target: str) -> bool:
    answer = edge.ask(raw_request(target, f"{ODD_FIELD}: 1", cookie=edge.log_in()))
    assert answer.status == 200
    names = {name.lower() for name, _ in json.loads(answer.body)["fields"]}
    return ODD_FIELD.lower() in names


@pytest.mark.parametrize(
    "target",
    ["/", "/?nir=7", "/rights/7", "/rights/7/", "/RIGHTS/7", "/r%69ghts/%37", "/rights/a%20b?x=1",
     "/a.b/x/search?nir=7", "/records", "/records/", "/records/a/b", "/RECORDS/%C3%A9"],
)  # fmt: skip
def test_no_spelling_of_a_sensitive_path_passes_by_the_guard(
    edge: RunningRelay, target: str
) -> None:
    assert came_through_the_relay(edge, target)


@pytest.mark.parametrize("target", ["/x", "/rights", "/rights/7/8", "/axb/x/search", "/recordsx"])
def test_other_requests_stay_with_nginx(edge: RunningRelay, target: str) -> None:
    assert not came_through_the_relay(edge, target)
