import io
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cps.authtoken.codes import ErrorCode
from gateway.audit import MAX_ITEMS, MAX_TEXT_CHARS, AuditLog, AuditValue
from gateway.errors import StoreUnavailableError


def clock() -> datetime:
    return datetime(2026, 11, 23, 9, 30, 0, 123456, tzinfo=UTC)


def test_a_decision_is_one_json_line_with_its_time() -> None:
    stream = io.StringIO()
    AuditLog(stream, clock).record(
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
    AuditLog(stream, clock).record("login", who=text)
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
    AuditLog(stream, clock).record("login", who=text)
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().isascii()
    assert json.loads(stream.getvalue()) == {
        "time": "2026-11-23T09:30:00.123Z",
        "event": "login",
        "who": text,
    }


def test_long_values_are_cut() -> None:
    stream = io.StringIO()
    AuditLog(stream, clock).record(
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
        AuditLog(stream, clock).record("login", field=cast(AuditValue, value))
    assert "secret" not in str(caught.value)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("name", ["time", "event"])
def test_the_logs_own_fields_cannot_be_overwritten(name: str) -> None:
    with pytest.raises(TypeError):
        AuditLog(io.StringIO(), clock).record("login", **{name: "x"})


def test_a_file_is_made_for_its_owner_alone_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    AuditLog(path, clock).record("one")
    AuditLog(path, clock).record("two")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["one", "two"]


def test_a_file_may_be_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path, clock)
    log.record("one")
    path.rename(tmp_path / "audit.jsonl.1")
    log.record("two")
    assert json.loads(path.read_text())["event"] == "two"


@pytest.mark.parametrize("to_file", [True, False], ids=["file", "stream"])
def test_lines_of_many_threads_stay_whole(tmp_path: Path, to_file: bool) -> None:
    path, stream = tmp_path / "audit.jsonl", io.StringIO()
    log = AuditLog(path if to_file else stream, clock)

    def write(name: str) -> None:
        for _ in range(50):
            log.record("login", who=name * 300)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (path.read_text() if to_file else stream.getvalue()).splitlines()
    assert sorted(json.loads(line)["who"][0] for line in lines) == sorted("abcd" * 50)


def test_a_decision_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError):
        AuditLog(tmp_path / "nowhere" / "audit.jsonl", clock).record("login")
    stream = io.StringIO()
    stream.close()
    with pytest.raises(StoreUnavailableError):
        AuditLog(stream, clock).record("login")


def test_a_full_disk_is_refused() -> None:
    with pytest.raises(StoreUnavailableError, match="space"):
        AuditLog(Path("/dev/full"), clock).record("login")


def test_a_part_of_a_line_is_not_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, line: whole(descriptor, line[:5]))
    with pytest.raises(StoreUnavailableError, match="part"):
        AuditLog(tmp_path / "audit.jsonl", clock).record("login")


def test_every_line_of_a_test_environment_says_so() -> None:
    stream = io.StringIO()
    AuditLog(stream, clock, is_test=True).record("login")
    AuditLog(stream, clock).record("login")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["environment"] == "test"
    assert "environment" not in second
