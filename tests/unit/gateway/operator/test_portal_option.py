import argparse
from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.operator.portal_option import add_config, chosen_portal
from tests.support.settings_files import MINIMAL, SEVERAL, settings_folder, write


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_config(parser)
    return parser.parse_args(arguments)


def test_the_only_portal_needs_no_name(tmp_path: Path) -> None:
    file = write(settings_folder(tmp_path), MINIMAL)
    assert chosen_portal(options("--config", str(file))).portal.label == "Portail"


def test_one_of_several_is_named(tmp_path: Path) -> None:
    file = write(settings_folder(tmp_path), SEVERAL)
    assert chosen_portal(options("--config", str(file), "--portal", "two")).portal.label == "Deux"


@pytest.mark.parametrize(
    ("text", "more", "reason"),
    [
        pytest.param(SEVERAL, (), "is wanted, of: one, two", id="no name"),
        pytest.param(SEVERAL, ("--portal", "x"), "x is no portal; one, two", id="unknown name"),
        pytest.param(MINIMAL, ("--portal", "x"), "x is no portal", id="name where there is none"),
    ],
)
def test_none_is_guessed(tmp_path: Path, text: str, more: tuple[str, ...], reason: str) -> None:
    file = write(settings_folder(tmp_path), text)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        chosen_portal(options("--config", str(file), *more))
    assert caught.value.key == "--portal"


def test_a_command_may_do_without_settings() -> None:
    parser = argparse.ArgumentParser()
    add_config(parser, required=False)
    assert parser.parse_args([]).config is None
