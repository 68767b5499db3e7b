from pathlib import Path

import pytest

from gateway.edge.nginx.site import Behind
from tests.support.nginx import behind, site
from tests.support.relay import relay_settings


def named(folder: Path, name: str | None, origin: str = "https://portal.example") -> Behind:
    settings = relay_settings(folder, upstream="http://127.0.0.1:9")
    portal = settings.portal.model_copy(update={"name": name, "origin": origin})
    return behind(settings.model_copy(update={"portal": portal}), folder)


@pytest.mark.parametrize(
    ("origin", "scheme", "host", "name"),
    [
        ("https://portal.example", "https", "portal.example", "portal.example"),
        ("http://localhost:8443", "http", "localhost:8443", "localhost"),
        ("http://[::1]:8443", "http", "[::1]:8443", "[::1]"),
    ],
)
def test_a_portal_is_called_as_browsers_call_it(
    tmp_path: Path, origin: str, scheme: str, host: str, name: str
) -> None:
    found = named(tmp_path, None, origin)
    assert (found.scheme, found.host, found.host_name) == (scheme, host, name)


def test_names_in_the_configuration_are_a_portals_own(tmp_path: Path) -> None:
    assert [named(tmp_path, each).of for each in (None, "one", "a-b")] == ["", "_of_one", "_of_a_b"]


def test_what_is_tried_elsewhere_writes_nothing_where_it_will_run(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    moved = site(here, named(here, "one"), named(here, "two")).in_folder(there)
    assert moved.folder == there
    kept = [each.verdicts for each in moved.portals]
    assert {each.parent for each in kept} == {there}
    assert len(set(kept)) == 2
