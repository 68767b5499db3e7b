"""The settings file: what it may say, and whose it must be."""

from pathlib import Path

import pytest

from cps.agent.errors import ConfigurationError
from cps.agent.settings import MAX_SETTINGS_BYTES, AfterSignature, AgentSettings


def written(folder: Path, content: str, mode: int = 0o600) -> Path:
    file = folder / "agent.toml"
    file.write_text(content, encoding="utf-8")
    file.chmod(mode)
    return file


def test_a_file_that_is_absent_says_nothing(tmp_path: Path) -> None:
    settings = AgentSettings.load(tmp_path / "absent.toml")
    assert settings == AgentSettings(portals=(), after_signature=AfterSignature.RESET)


def test_portals_are_taken_as_they_are_written(tmp_path: Path) -> None:
    file = written(tmp_path, 'portals = ["https://b.example", "https://c.example:8443"]')
    assert AgentSettings.load(file).portals == ("https://b.example", "https://c.example:8443")


@pytest.mark.parametrize("policy", list(AfterSignature))
def test_what_becomes_of_the_card_is_chosen(tmp_path: Path, policy: AfterSignature) -> None:
    file = written(tmp_path, f'after_signature = "{policy}"')
    assert AgentSettings.load(file).after_signature is policy


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("portals = [", "not TOML", id="syntax"),
        pytest.param("\x00", "not TOML", id="no text"),
        pytest.param("portal = []", "portal: not a setting; those are portals", id="unknown key"),
        pytest.param('portals = "https://a.example"', "portals: a list", id="text"),
        pytest.param("portals = [1]", "portals: a list", id="numbers"),
        pytest.param('after_signature = "keep"', "after_signature: reset or leave", id="policy"),
        pytest.param("after_signature = []", "after_signature: reset or leave", id="list"),
        pytest.param("after_signature = true", "after_signature: reset or leave", id="truth"),
        pytest.param("#" * (MAX_SETTINGS_BYTES + 1), "more than", id="too long"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_reason(
    tmp_path: Path, content: str, reason: str
) -> None:
    file = written(tmp_path, content)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        AgentSettings.load(file)
    assert caught.value.where == str(file)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigurationError, match="lets others in"):
        AgentSettings.load(written(tmp_path, 'portals = ["https://a.example"]', mode))


def test_a_file_that_others_can_read_serves(tmp_path: Path) -> None:
    file = written(tmp_path, 'portals = ["https://a.example"]', 0o644)
    assert AgentSettings.load(file).portals == ("https://a.example",)
