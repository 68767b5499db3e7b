"""The language of the person, and what is missing on this computer."""

import sys

import pytest

from cps.authtoken.catalogue import language_of
from cps.card_commands.surroundings import ToolError, real_surroundings


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        pytest.param({}, "fr", id="nothing said"),
        pytest.param({"LANG": "C"}, "fr", id="no language"),
        pytest.param({"LANG": "fr_FR.UTF-8"}, "fr", id="French"),
        pytest.param({"LANG": "en_GB.UTF-8"}, "en", id="English"),
        pytest.param({"LANG": "de_DE.UTF-8"}, "fr", id="a language that we lack"),
        pytest.param({"LC_ALL": "en_US", "LANG": "fr_FR"}, "en", id="LC_ALL before LANG"),
        pytest.param({"LC_MESSAGES": "fr_FR", "LANG": "en_US"}, "fr", id="messages before LANG"),
        pytest.param({"LC_ALL": "", "LANG": "en_US"}, "en", id="an empty one does not count"),
    ],
)
def test_the_language_is_that_of_the_locale(environment: dict[str, str], language: str) -> None:
    assert language_of(environment) == language


def test_without_pyscard_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cps.transport.pcsc", None)
    with pytest.raises(ToolError) as caught:
        real_surroundings().terminal(lambda reader: False)
    assert "pyscard" in caught.value.sentence("fr")


def test_without_a_terminal_no_code_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cps.agent.console", None)
    with pytest.raises(ToolError) as caught:
        real_surroundings().console()
    assert "terminal" in caught.value.sentence("fr")


def test_the_clock_knows_its_zone() -> None:
    assert real_surroundings().clock().utcoffset() is not None
