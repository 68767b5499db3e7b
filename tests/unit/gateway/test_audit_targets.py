import io
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.audit_targets import (
    MAX_SYSLOG_BYTES,
    SHORT_ITEMS,
    SHORT_TEXT_CHARS,
    FileTarget,
    Line,
    StreamTarget,
    SyslogTarget,
    json_line,
)


def events(text: str) -> list[object]:
    return [json.loads(line)["event"] for line in text.splitlines()]


def test_a_file_is_made_for_its_owner_alone_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    FileTarget(path).write({"event": "one"})
    FileTarget(path).write({"event": "two"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert events(path.read_text()) == ["one", "two"]


def test_a_file_may_be_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    target = FileTarget(path)
    target.write({"event": "one"})
    path.rename(tmp_path / "audit.jsonl.1")
    target.write({"event": "two"})
    assert events(path.read_text()) == ["two"]


@pytest.mark.parametrize("to_file", [True, False], ids=["file", "stream"])
def test_lines_of_many_threads_stay_whole(tmp_path: Path, to_file: bool) -> None:
    path, stream = tmp_path / "audit.jsonl", io.StringIO()
    target = FileTarget(path) if to_file else StreamTarget(stream)

    def write(name: str) -> None:
        for _ in range(50):
            target.write({"event": name * 300})

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = path.read_text() if to_file else stream.getvalue()
    assert sorted(str(event)[0] for event in events(text)) == sorted("abcd" * 50)


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        FileTarget(tmp_path / "nowhere" / "audit.jsonl").write({"event": "x"})


def test_a_stream_that_was_closed_is_an_error() -> None:
    stream = io.StringIO()
    stream.close()
    with pytest.raises(ValueError, match="closed"):
        StreamTarget(stream).write({"event": "x"})


def test_a_full_disk_is_an_error() -> None:
    with pytest.raises(OSError, match="space"):
        FileTarget(Path("/dev/full")).write({"event": "x"})


def test_a_part_of_a_line_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, line: whole(descriptor, line[:5]))
    with pytest.raises(OSError, match="part"):
        FileTarget(tmp_path / "audit.jsonl").write({"event": "x"})


@pytest.mark.parametrize("rest", ["{", '{"event": "torn', '{"event": "torn"}'])
def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "audit.jsonl"
    FileTarget(path).write({"event": "one"})
    with path.open("a") as file:
        file.write(rest)
    FileTarget(path).write({"event": "two"})
    FileTarget(path).write({"event": "three"})
    first, torn, *others = path.read_text().splitlines()
    assert torn == rest
    assert events("\n".join([first, *others])) == ["one", "two", "three"]


def test_a_file_that_may_only_be_written_to_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.jsonl"
    FileTarget(path).write({"event": "one"})

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    FileTarget(path).write({"event": "two"})
    monkeypatch.undo()
    assert events(path.read_text()) == ["one", "two"]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as waiting:
        waiting.bind(str(tmp_path / "log"))
        waiting.settimeout(5)
        yield waiting


def test_the_systems_log_gets_each_line_as_one_message(
    tmp_path: Path, daemon: socket.socket
) -> None:
    target = SyslogTarget(tmp_path / "log")
    target.write({"event": "one", "who": "a\nb\u2028\x1b[2J"})
    message = daemon.recv(100_000).decode("ascii")
    assert message.startswith(f"<85>cps-gateway[{os.getpid()}]: ")
    assert "\n" not in message
    assert json.loads(message.partition(": ")[2])["who"] == "a\nb\u2028\x1b[2J"


def test_a_line_too_long_for_the_systems_log_stays_json(
    tmp_path: Path, daemon: socket.socket
) -> None:
    huge: Line = {"event": "x", "who": "é" * 500, "ids": ["ü" * 500] * 20, "n": 3}
    assert len(json_line(huge)) > MAX_SYSLOG_BYTES
    SyslogTarget(tmp_path / "log").write(huge)
    message = daemon.recv(100_000).decode("ascii")
    assert len(message) < MAX_SYSLOG_BYTES
    assert json.loads(message.partition(": ")[2]) == {
        "event": "x",
        "who": "é" * SHORT_TEXT_CHARS,
        "ids": ["ü" * SHORT_TEXT_CHARS] * SHORT_ITEMS,
        "n": 3,
    }


def test_a_systems_log_that_is_away_is_an_error_and_found_again(tmp_path: Path) -> None:
    target = SyslogTarget(tmp_path / "log")
    with pytest.raises(OSError, match="No such file"):
        target.write({"event": "one"})
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as daemon:
        daemon.bind(str(tmp_path / "log"))
        target.write({"event": "two"})
        assert b"two" in daemon.recv(1000)
    with pytest.raises(OSError, match="refused"):
        target.write({"event": "three"})


def test_a_systems_log_that_takes_nothing_is_an_error(
    tmp_path: Path, daemon: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.audit_targets.SYSLOG_SECONDS", 0.1)
    with pytest.raises(TimeoutError):
        _write_many(SyslogTarget(tmp_path / "log"))


def _write_many(target: SyslogTarget) -> None:
    for _ in range(10_000):
        target.write({"event": "x" * 500})
