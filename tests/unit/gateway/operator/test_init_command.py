import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.operator.init_command import add_init_command, run_init
from gateway.settings import Settings
from gateway.settings_warnings import warnings
from tests.support.settings_files import settings_folder

GIVEN = (
    *("--origin", "https://portal.example", "--upstream", "http://127.0.0.1:9000"),
    *("--label", 'Portail "été"', "--state-dir", "state"),
    *("--anchor", "root.pem", "--intermediate", "intermediate.pem"),
    *("--crl", "root.pem", "http://lists.example/root.crl"),
    *("--crl", "intermediate.pem", "http://lists.example/persons.crl"),
)


def run(file: Path, *arguments: str, answers: Iterator[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    add_init_command(parser)

    def ask(question: str) -> str:
        answer = next(answers or iter(()), None)
        if answer is None:
            raise EOFError
        return answer

    return run_init(parser.parse_args([str(file), *arguments]), ask=ask)


def test_what_is_written_is_a_careful_settings_file(tmp_path: Path) -> None:
    file = settings_folder(tmp_path) / "gateway.toml"
    assert run(file, *GIVEN) == 0
    settings = Settings.load(file, {})
    assert settings.portal.label == 'Portail "été"'
    assert [table.crl for table in settings.trust.revocation] == [
        ("http://lists.example/root.crl",),
        ("http://lists.example/persons.crl",),
    ]
    assert settings.audit.journal
    assert list(warnings(settings)) == []
    assert file.read_text().count("#") > 8


def test_tls_and_sockets_are_written_where_they_are_given(tmp_path: Path) -> None:
    file = settings_folder(tmp_path) / "gateway.toml"
    tls = ("--tls-certificate", "tls.pem", "--tls-key", "tls.key", "--address", "0.0.0.0")  # noqa: S104 - what is tested
    assert run(file, *GIVEN, *tls, "--runtime-dir", "run", "--port", "443") == 0
    settings = Settings.load(file, {})
    assert (settings.listen.address, settings.listen.port) == ("0.0.0.0", 443)  # noqa: S104
    assert settings.runtime_dir == tmp_path / "run"


def test_what_only_the_operator_knows_is_asked_until_it_is_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = settings_folder(tmp_path) / "gateway.toml"
    answers = iter(["Portal.example", "https://portal.example", "", " Portail "])
    assert run(file, *GIVEN[6:], answers=answers) == 0
    assert "wanted scheme://host" in capsys.readouterr().err
    settings = Settings.load(file, {})
    assert settings.portal.upstream == "http://127.0.0.1:8000"
    assert settings.portal.label == "Portail"


def test_a_wrong_value_given_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gateway.toml"
    assert run(file, "--origin", "http://x y", *GIVEN[2:]) == 1
    assert "--origin" in capsys.readouterr().err
    assert not file.exists()


def test_no_answer_writes_nothing(tmp_path: Path) -> None:
    assert run(tmp_path / "gateway.toml") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("mine")
    assert run(file, *GIVEN) == 1
    assert "exists" in capsys.readouterr().err
    assert file.read_text() == "mine"
