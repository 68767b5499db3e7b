import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from gateway.trust import table_file
from gateway.trust.serial_table import SerialTable, encode_serial
from gateway.trust.table_file import TableFile, write_whole

ALLOW_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def table(*serials: int, value: bytes = b"\x01") -> SerialTable:
    return SerialTable.of([encode_serial(each) + value for each in serials], value_bytes=len(value))


def sample() -> TableFile:
    return TableFile(
        about={"generation": 3, "list": "00ff"},
        tables={"": table(5, 9, 1), "other": table(9, value=b"abc"), "none": table()},
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.table"
    assert sample().write(path) == path.stat().st_size
    return path


def test_what_was_written_is_found_in_the_file(file: Path) -> None:
    found = TableFile.map(file)
    assert found.about == {"generation": 3, "list": "00ff"}
    assert found.tables[""].find(5) == (b"\x01",)
    assert found.tables[""].find(2) == ()
    assert found.tables["other"].find(9) == (b"abc",)
    assert found.tables["other"].find(5) == ()
    assert found.tables["none"].find(5) == ()


def test_a_file_of_nobody_is_written_and_read(tmp_path: Path) -> None:
    TableFile(about={}, tables={}).write(tmp_path / "empty")
    assert TableFile.map(tmp_path / "empty").tables == {}


def test_a_mapped_file_stays_as_it_was_when_another_takes_its_place(file: Path) -> None:
    before = TableFile.map(file)
    TableFile(about={}, tables={"": table(7)}).write(file)
    assert before.tables[""].find(5)
    assert TableFile.map(file).tables[""].find(5) == ()


def test_only_its_owner_can_open_the_file(file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@ALLOW_FOLDER
@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_no_byte_can_change_unseen(file: Path, at: int, flip: int) -> None:
    raw = bytearray(file.read_bytes())
    raw[at % len(raw)] ^= flip
    damaged = file.with_name("damaged")
    damaged.write_bytes(raw)
    with pytest.raises(ValueError, match=r"."):
        TableFile.map(damaged)


@ALLOW_FOLDER
@given(size=st.integers(0, 10_000))
def test_a_half_written_file_is_refused(file: Path, size: int) -> None:
    raw = file.read_bytes()
    damaged = file.with_name("damaged")
    damaged.write_bytes(raw[: size % len(raw)])
    with pytest.raises(ValueError, match=r"."):
        TableFile.map(damaged)


@ALLOW_FOLDER
@given(raw=st.binary(max_size=200))
def test_random_bytes_are_refused(file: Path, raw: bytes) -> None:
    file.with_name("random").write_bytes(raw)
    with pytest.raises(ValueError, match=r"."):
        TableFile.map(file.with_name("random"))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        pytest.param({"about": {}}, "names no owners", id="no owners"),
        pytest.param({"about": {}, "owners": 3}, "names no owners", id="owners no list"),
        pytest.param({"about": {}, "owners": [["a", 1]]}, "another way", id="short owner"),
        pytest.param({"about": {}, "owners": [["a", -1, 0]]}, "another way", id="negative size"),
        pytest.param({"about": {}, "owners": [["a", 1, -1]]}, "another way", id="negative count"),
        pytest.param({"about": {}, "owners": [["a", 1, 9]]}, "does not fit", id="too many"),
        pytest.param({"about": {}, "owners": []}, "does not fit", id="too few"),
        pytest.param({"owners": [["", 1, 1]]}, "does not fit", id="about nothing"),
    ],
)
def test_a_header_that_contradicts_the_records_is_refused(
    tmp_path: Path, header: dict[str, object], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps(header)
    monkeypatch.setattr(json, "dumps", lambda _: text)
    TableFile(about={}, tables={"": table(1)}).write(tmp_path / "a")
    with pytest.raises(ValueError, match=reason):
        TableFile.map(tmp_path / "a")


def test_another_version_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_file, "_MAGIC", b"CPSGWTB2")
    with pytest.raises(ValueError, match="version"):
        TableFile.map(file)


def test_a_file_over_the_limit_is_not_mapped(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_file, "MAX_TABLE_BYTES", file.stat().st_size)
    TableFile.map(file)
    monkeypatch.setattr(table_file, "MAX_TABLE_BYTES", file.stat().st_size - 1)
    with pytest.raises(ValueError, match="bytes are no table"):
        TableFile.map(file)


def test_a_header_over_the_limit_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_file, "MAX_HEADER_BYTES", 40)
    with pytest.raises(ValueError, match="a header of"):
        sample().write(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_what_was_there(file: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(os, "fsync", side_effect=OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        TableFile(about={}, tables={}).write(file)
    assert TableFile.map(file).tables[""].find(5)
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_what_a_crash_left_half_written_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".a.unfinished").write_bytes(b"x" * 1000)
    write_whole(tmp_path / "a", b"new", b"er")
    assert (tmp_path / "a").read_bytes() == b"newer"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
