from datetime import timedelta
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.errors import ConfigurationError
from gateway.serve.check import describe
from tests.support.serving import write_settings


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    return write_settings(tmp_path, upstream="http://127.0.0.1:9000", port=8443)


def test_a_good_file_is_described_without_problems(settings_file: Path) -> None:
    lines, problems = describe(settings_file, system_clock())
    text = "\n".join(lines)
    assert problems == []
    for expected in (
        "environment    test",
        "origin         http://localhost:8443",
        "upstream       http://127.0.0.1:9000",
        "listens on     127.0.0.1 port 8443, no TLS",
        "let in         cards CPS; professions any",
        "audit log      " + str(settings_file.with_name("audit.log")),
        "0 entries, 2 h old, good until ",
        "CN=TEST AC RACINE",
    ):
        assert expected in text, text


def test_nothing_is_written(settings_file: Path) -> None:
    before = sorted(settings_file.parent.rglob("*"))
    describe(settings_file, system_clock())
    assert sorted(settings_file.parent.rglob("*")) == before


def test_a_list_out_of_date_is_a_problem(settings_file: Path) -> None:
    lines, problems = describe(settings_file, system_clock() + timedelta(days=3))
    assert len(problems) == 2
    assert all("no revocation list in force" in problem for problem in problems)
    assert "74 h old" in "\n".join(lines)


def test_a_broken_list_is_a_problem(settings_file: Path) -> None:
    settings_file.with_name("middle.crl").write_bytes(b"broken")
    lines, problems = describe(settings_file, system_clock())
    assert "not usable" in "\n".join(lines)
    assert any("middle.crl" in problem for problem in problems)


def test_an_authority_that_cannot_be_used_stops(settings_file: Path) -> None:
    settings_file.with_name("root.pem").write_bytes(b"broken")
    with pytest.raises(ConfigurationError) as caught:
        describe(settings_file, system_clock())
    assert caught.value.key == "trust.anchors"
