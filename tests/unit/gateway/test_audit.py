import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cps.authtoken.codes import ErrorCode
from gateway.audit import AuditLog, open_audit
from gateway.audit_targets import Line, StreamTarget
from gateway.errors import StoreUnavailableError
from gateway.journal.line import MAX_ITEMS, MAX_TEXT_CHARS, FieldValue
from gateway.settings import Settings
from tests.support.settings_files import MINIMAL, settings_folder, with_line, write


def clock() -> datetime:
    return datetime(2026, 11, 23, 9, 30, 0, 123456, tzinfo=UTC)


def test_a_decision_is_one_json_line_with_its_time() -> None:
    stream = io.StringIO()
    AuditLog(StreamTarget(stream), clock).record(
        "login_refused", reason=ErrorCode.CERT_REVOKED, number=3, ok=False, who=None, ids=["a", "é"]
    )
    assert stream.getvalue().endswith("\n")
    assert json.loads(stream.getvalue()) == {
        "time": "2026-11-23T09:30:00.123Z",
        "event": "login_refused",
        "reason": "cert_revoked",
        "number": 3,
        "ok": False,
        "who": None,
        "ids": ["a", "é"],
    }


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_no_text_can_break_a_line(text: str) -> None:
    stream = io.StringIO()
    AuditLog(StreamTarget(stream), clock).record("login", who=text)
    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    assert json.loads(line)["who"] == text


@pytest.mark.parametrize(
    "text",
    ["a\nb", "a\r\nb", "a\x1b[2Jb", "a\u2028b", "a\x85b", "a\u202eb", 'a","event":"x', "a\ud800b"],
    ids=["lf", "crlf", "escape", "u2028", "nel", "rlo", "quote", "surrogate"],
)
def test_a_forged_line_stays_a_value(text: str) -> None:
    stream = io.StringIO()
    AuditLog(StreamTarget(stream), clock).record("login", who=text)
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().isascii()
    assert json.loads(stream.getvalue()) == {
        "time": "2026-11-23T09:30:00.123Z",
        "event": "login",
        "who": text,
    }


def test_long_values_are_cut() -> None:
    stream = io.StringIO()
    AuditLog(StreamTarget(stream), clock).record(
        "login", who="x" * (MAX_TEXT_CHARS + 1), ids=["y" * 2 * MAX_TEXT_CHARS] * 2 * MAX_ITEMS
    )
    line = json.loads(stream.getvalue())
    assert line["who"] == "x" * MAX_TEXT_CHARS
    assert line["ids"] == ["y" * MAX_TEXT_CHARS] * MAX_ITEMS


@pytest.mark.parametrize(
    "value",
    [b"secret", 1.5, {"a": 1}, [1], [b"x"], ("a",), object()],
    ids=["bytes", "float", "dict", "numbers", "list of bytes", "tuple", "object"],
)
def test_other_types_are_refused_and_not_shown(value: object) -> None:
    stream = io.StringIO()
    with pytest.raises(TypeError) as caught:
        AuditLog(StreamTarget(stream), clock).record("login", field=cast(FieldValue, value))
    assert "secret" not in str(caught.value)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("name", ["time", "event"])
def test_the_logs_own_fields_cannot_be_overwritten(name: str) -> None:
    with pytest.raises(TypeError):
        AuditLog(StreamTarget(io.StringIO()), clock).record("login", **{name: "x"})


class FailingTarget:
    """Takes nothing, like a full disk."""

    def write(self, line: Line) -> None:
        raise OSError("No space left on device")


def test_a_decision_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(StoreUnavailableError, match="No space"):
        AuditLog(FailingTarget(), clock).record("login")


def test_every_line_of_a_test_environment_says_so() -> None:
    stream = io.StringIO()
    AuditLog(StreamTarget(stream), clock, is_test=True).record("login")
    AuditLog(StreamTarget(stream), clock).record("login")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["environment"] == "test"
    assert "environment" not in second


def settings_with(folder: Path, line: str) -> Settings:
    text = with_line("audit", line) if line else MINIMAL
    settings = Settings.load(write(settings_folder(folder), text))
    settings.state_dir.mkdir(mode=0o700)
    return settings


def test_the_log_is_where_the_settings_say(tmp_path: Path) -> None:
    log = open_audit(settings_with(tmp_path, 'file = "audit.jsonl"'), clock)
    log.record("login")
    (line,) = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert json.loads(line)["event"] == "login"


def test_without_a_place_the_log_is_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_audit(settings_with(tmp_path, ""), clock).record("login")
    assert json.loads(capsys.readouterr().out)["event"] == "login"


def test_the_journal_gets_one_chain_of_all_processes(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "journal = true")
    for name in ("one", "two"):
        open_audit(settings, clock).record(name)
    (file,) = (settings.state_dir / "journal" / "audit").glob("audit-*.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["event"] for line in lines if line["event"] in ("one", "two")] == ["one", "two"]
    assert [line["n"] for line in lines] == list(range(1, len(lines) + 1))
    assert len({line["prev"] for line in lines}) == len(lines)
