from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.errors import ConfigurationError
from gateway.operator import check_command
from gateway.operator.check_command import run_check
from gateway.operator.online_check import Answer
from tests.support.serving import write_settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_settings(tmp_path, upstream="http://10.0.0.2", port=8443)


def test_dangerous_choices_are_warned_of_and_stop_nothing(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_check(file, system_clock(), online=False) == 0
    said = capsys.readouterr().err
    assert "warning: portal.upstream: http to 10.0.0.2" in said
    assert "warning: environment: test" in said
    assert "problem" not in said


def test_what_does_not_answer_is_a_problem_only_when_it_is_asked(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        Answer(what="store sqlite", said="0 sessions, 1 ms", fault=False),
        Answer(what="portal.upstream http://10.0.0.2", said="refused", fault=True),
    ]
    monkeypatch.setattr(check_command, "ask_all", lambda settings, now: answers)
    assert run_check(file, system_clock(), online=True) == 1
    said = capsys.readouterr()
    assert "store sqlite: 0 sessions, 1 ms" in said.out
    assert "problem: portal.upstream http://10.0.0.2: refused" in said.err


def test_all_that_stops_a_start_is_told_at_once(tmp_path: Path) -> None:
    file = write_settings(tmp_path, upstream="http://127.0.0.1:9", port=8443)
    text = file.read_text().replace("http://localhost", "https://localhost")
    tls = 'tls_certificate = "bad.pem"\ntls_key = "bad.key"\n'
    file.write_text(text.replace("[listen]\n", f"[listen]\n{tls}"))
    (tmp_path / "bad.pem").write_text("no certificate")
    (tmp_path / "bad.key").touch(mode=0o600)
    (tmp_path / "root.pem").write_bytes(b"broken")
    with pytest.raises(ConfigurationError) as caught:
        run_check(file, system_clock(), online=False)
    keys = [caught.value.key, *(other.key for other in caught.value.others)]
    assert keys == ["listen.tls_certificate", "trust.anchors"]
