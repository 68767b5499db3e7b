from datetime import timedelta
from pathlib import Path

import pytest

from gateway import tracing
from gateway.clock import system_clock
from gateway.errors import ConfigurationError
from gateway.serve.check import describe
from tests.support.nginx import nginx_program
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
        "engine         embedded",
        "audit log      " + str(settings_file.with_name("audit.log")),
        "0 entries, 2 h old, good until ",
        "CN=TEST AC RACINE",
    ):
        assert expected in text, text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("", "X-Forwarded-For names the browser", id="field"),
        pytest.param("proxy_protocol = true", "the PROXY protocol names", id="protocol"),
    ],
)
def test_proxies_that_are_believed_are_named(settings_file: Path, line: str, expected: str) -> None:
    text = settings_file.read_text(encoding="utf-8")
    proxies = f'[listen]\ntrusted_proxies = ["10.0.0.1", "10.1.0.0/16"]\n{line}\n'
    settings_file.write_text(text.replace("[listen]\n", proxies), encoding="utf-8")
    lines, _ = describe(settings_file, system_clock())
    assert f"proxies        10.0.0.1, 10.1.0.0/16; {expected}" in "\n".join(lines)


def test_administrators_are_named_where_there_are_some(settings_file: Path) -> None:
    lines, _ = describe(settings_file, system_clock())
    assert not any(line.startswith("administrators") for line in lines)
    with settings_file.open("a") as stream:
        stream.write('[admin]\nidentities = ["899900000013", "899900000021"]\n')
    lines, _ = describe(settings_file, system_clock())
    assert "administrators 899900000013, 899900000021; signed in at most 5m ago" in lines


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


def test_the_nginx_engine_is_tried_out(tmp_path: Path) -> None:
    program = nginx_program()
    more = '[edge]\nengine = "nginx"'
    file = write_settings(tmp_path, upstream="http://127.0.0.1:9000", port=8443, more=more)
    before = sorted(tmp_path.rglob("*"))
    lines, problems = describe(file, system_clock())
    assert f"engine         nginx, {program}" in lines
    assert problems == []
    assert sorted(tmp_path.rglob("*")) == before


def test_an_upstream_that_nginx_cannot_find_stops(tmp_path: Path) -> None:
    nginx_program()
    more = '[edge]\nengine = "nginx"'
    file = write_settings(tmp_path, upstream="http://no.invalid", port=8443, more=more)
    with pytest.raises(ConfigurationError, match="host not found"):
        describe(file, system_clock())


def test_an_nginx_that_must_not_be_used_stops(tmp_path: Path) -> None:
    more = '[edge]\nengine = "nginx"\nnginx_program = "root.pem"'
    file = write_settings(tmp_path, upstream="http://127.0.0.1:9000", port=8443, more=more)
    with pytest.raises(ConfigurationError) as caught:
        describe(file, system_clock())
    assert caught.value.key == "edge.nginx_program"


def test_files_of_notices_that_cannot_be_used_stop(settings_file: Path) -> None:
    secret = settings_file.with_name("webhook.secret")
    secret.touch(mode=0o600)
    with settings_file.open("a") as stream:
        stream.write('[notify]\nwebhook_url = "https://h.example"\n')
        stream.write('webhook_secret_file = "webhook.secret"\n')
    with pytest.raises(ConfigurationError) as caught:
        describe(settings_file, system_clock())
    assert caught.value.key == "notify.webhook_secret_file"


def test_traces_without_what_sends_them_stop(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with settings_file.open("a") as stream:
        stream.write('[tracing]\nendpoint = "http://127.0.0.1:4318/v1/traces"\n')
    describe(settings_file, system_clock())
    monkeypatch.setattr(tracing, "_PACKAGES", ("opentelemetry_missing.sdk",))
    with pytest.raises(ConfigurationError, match="pip install") as caught:
        describe(settings_file, system_clock())
    assert caught.value.key == "tracing.endpoint"
