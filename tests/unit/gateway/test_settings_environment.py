from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.settings import Settings
from gateway.settings_environment import MAX_VALUE_CHARS, key_of, with_environment
from tests.support.settings_files import MINIMAL, settings_folder, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settings_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        pytest.param("LISTEN__PORT", "9443", {"listen": {"port": 9443}}, id="number"),
        pytest.param("AUDIT__JOURNAL", "true", {"audit": {"journal": True}}, id="truth"),
        pytest.param("STATE_DIR", "/var/lib/x", {"state_dir": "/var/lib/x"}, id="path"),
        pytest.param(
            "LOGIN__CARD_TYPES", '["CPS", "CPE"]', {"login": {"card_types": ["CPS", "CPE"]}},
            id="list",
        ),
        pytest.param("PORTAL__LABEL", '"7"', {"portal": {"label": "7"}}, id="quoted"),
        pytest.param("PORTAL__LABEL", "Soins d'été", {"portal": {"label": "Soins d'été"}},
                     id="text"),
        pytest.param("PORTAL__LABEL", "1\nstate_dir = 2", {"portal": {"label": "1\nstate_dir = 2"}},
                     id="a second line is no second setting"),
        pytest.param("PORTAL__LABEL", "", {"portal": {"label": ""}}, id="empty"),
    ],
)  # fmt: skip
def test_a_variable_is_a_setting(name: str, text: str, expected: dict[str, object]) -> None:
    assert with_environment({}, {f"CPS_GATEWAY__{name}": text, "PATH": "x"}) == expected


def test_a_variable_comes_before_the_file_and_leaves_the_rest(folder: Path) -> None:
    file = write(folder, MINIMAL)
    environ = {"CPS_GATEWAY__PORTAL__LABEL": "Autre", "CPS_GATEWAY__LISTEN__PORT": "9443"}
    settings = Settings.load(file, environ)
    assert (settings.portal.label, settings.listen.port) == ("Autre", 9443)
    assert settings.portal.upstream == "http://127.0.0.1:8000"


def test_the_processs_own_environment_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPS_GATEWAY__LISTEN__PORT", "9443")
    assert Settings.load(write(folder, MINIMAL)).listen.port == 9443


def test_what_was_read_is_not_changed() -> None:
    read = {"listen": {"port": 1}}
    with_environment(read, {"CPS_GATEWAY__LISTEN__PORT": "2"})
    assert read == {"listen": {"port": 1}}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        pytest.param("", "1", "is not a setting", id="no name"),
        pytest.param("LISTEN__", "1", "is not a setting", id="no key"),
        pytest.param("STATE_DIR__X", "1", "state_dir is no table", id="a key as a table"),
        pytest.param("PORTAL__LABEL", "x" * (MAX_VALUE_CHARS + 1), "at most", id="huge"),
    ],
)
def test_what_can_be_no_setting_is_refused(name: str, text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        with_environment({"state_dir": "x"}, {f"CPS_GATEWAY__{name}": text})
    assert caught.value.file == "environment"


def test_a_wrong_value_names_its_variable_as_a_fault_of_the_file_names_its_key(
    folder: Path,
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(write(folder, MINIMAL), {"CPS_GATEWAY__LISTEN__PORT": "0"})
    assert caught.value.file == "environment"
    assert caught.value.key == "CPS_GATEWAY__LISTEN__PORT"
    assert "below the smallest" in caught.value.reason


def test_an_unknown_key_is_refused_with_a_hint(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean listen\.port"):
        Settings.load(write(folder, MINIMAL), {"CPS_GATEWAY__LISTEN__PROT": "1"})


def test_a_password_cannot_be_given(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a setting"):
        Settings.load(write(folder, MINIMAL), {"CPS_GATEWAY__STORE__REDIS_PASSWORD": "x"})


def test_a_variables_key_is_told() -> None:
    assert key_of("CPS_GATEWAY__LISTEN__PORT") == "listen.port"
