"""The user's own list of portals: asked once, kept, and open to nobody else."""

import os
from pathlib import Path

import pytest

from cps.agent.errors import ConfigurationError
from cps.agent.origins import AllowList
from cps.agent.portals import MAX_CONFIRMED_BYTES, Portals

LISTED = AllowList.of(["https://portal.example"], (), development=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cps" / "confirmed.toml"


def test_where_users_may_not_add_nobody_is_asked() -> None:
    portals = Portals(LISTED)
    assert portals.origin_of("portal.example") == "https://portal.example"
    assert portals.origin_of("new.example") is None
    portals.confirm("https://new.example")
    assert not portals.allows("https://new.example")


def test_a_new_portal_is_one_of_https_that_is_not_allowed_yet(file: Path) -> None:
    portals = Portals(LISTED, file)
    assert portals.origin_of("new.example:8443") == "https://new.example:8443"
    assert not portals.allows("https://new.example:8443")
    assert portals.origin_of("new.example:443") is None
    assert portals.origin_of("-") is None


def test_a_confirmed_portal_is_kept_for_the_next_time(file: Path) -> None:
    Portals(LISTED, file).confirm("https://new.example")
    Portals(LISTED, file).confirm("https://newer.example")
    portals = Portals(LISTED, file)
    assert portals.allows("https://new.example")
    assert portals.origins() == (
        "https://portal.example",
        "https://new.example",
        "https://newer.example",
    )
    if os.name == "posix":
        assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_a_confirmed_portal_that_cannot_be_kept_is_good_until_the_end(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    portals = Portals(LISTED, blocked / "confirmed.toml")
    portals.confirm("https://new.example")
    assert portals.allows("https://new.example")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("portals = [", "confirmed", id="no TOML"),
        pytest.param('portals = "https://a.example"', "at most", id="a text"),
        pytest.param('portals = ["http://127.0.0.1:8080"]', "https", id="plain http"),
        pytest.param('portals = ["https://a.example/"]', "origin", id="a path"),
        pytest.param(f"portals = {['https://a.example'] * 201}", "at most", id="too many"),
        pytest.param("#" * (MAX_CONFIRMED_BYTES + 1), "more than", id="without end"),
    ],
)
def test_a_list_with_a_fault_is_refused_by_name(file: Path, text: str, named: str) -> None:
    file.parent.mkdir()
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=named):
        Portals(LISTED, file)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_list_that_others_can_write_is_refused(file: Path) -> None:
    file.parent.mkdir()
    file.touch()
    file.chmod(0o622)
    with pytest.raises(ConfigurationError, match="lets others in"):
        Portals(LISTED, file)
