"""The journal's key changes: what was signed stays good, and nobody can write it anew."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.journal.chain import Chain
from gateway.journal.checkpoint import checkpoint, handover
from gateway.journal.head import Head, read_head, write_head
from gateway.journal.key import JournalKey
from gateway.journal.line import START, Fields, Link, decode, encode
from gateway.journal.recovery import find_end
from gateway.journal.ring import JournalRing
from gateway.journal.verify import verify
from tests.support.chains import NAME, ChainPlace


@pytest.fixture
def place(tmp_path: Path) -> ChainPlace:
    """Return a chain of three lines under a first key and two under a second; one key is left."""
    place = ChainPlace(tmp_path / "chain")
    write(place, 1, 2, 3)
    place.now += timedelta(days=30)
    change(place)
    write(place, 4, 5)
    return place


def change(place: ChainPlace) -> None:
    place.ring = place.ring.rotated(place.now)
    place.chain().hand_over()
    place.ring = place.ring.finished()


def write(place: ChainPlace, *numbers: int, chain: Chain | None = None) -> None:
    at = place.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for number in numbers:
        (chain or place.chain()).append([{"at": at, "number": number}])


def test_every_line_stays_checkable(place: ChainPlace) -> None:
    old, new = (key.kid for key in place.ring.verifiers)
    assert place.faults() == []
    signed = [
        (line.fields["event"], line.fields["key"]) for line in place.lines() if "key" in line.fields
    ]
    assert signed == [("checkpoint", old)] * 2 + [("key_changed", old), ("checkpoint", new)]
    assert place.values("number") == [1, 2, 3, 4, 5]


def test_processes_that_run_go_on_with_the_new_key_at_one_line(tmp_path: Path) -> None:
    place = ChainPlace(tmp_path / "chain")
    chains = [place.chain(), place.chain()]
    for number in range(8):
        if number == 4:
            place.ring = place.ring.rotated(place.now)
        write(place, number, chain=chains[number % 2])
    assert place.values("event").count("key_changed") == 1
    assert place.values("number") == list(range(8))
    assert place.faults() == []


def test_a_handover_is_written_once(place: ChainPlace) -> None:
    before = place.paths()[-1].read_bytes()
    place.chain().hand_over()
    assert place.paths()[-1].read_bytes() == before


def test_a_chain_without_lines_needs_no_handover(tmp_path: Path) -> None:
    place = ChainPlace(tmp_path / "chain")
    change(place)
    assert place.paths() == []
    write(place, 1)
    assert place.faults() == []


def test_a_change_twice_over_leaves_all_lines_checkable(place: ChainPlace) -> None:
    place.file_bytes = 100
    change(place)
    write(place, 6, 7)
    assert len(place.ring.verifiers) == 3
    assert place.faults() == []


def test_a_crash_behind_the_handover_repeats_nothing(place: ChainPlace) -> None:
    before = read_head(place.folder)
    change(place)
    assert before is not None
    write_head(place.folder, before)
    write(place, 6)
    assert place.values("event").count("key_changed") == 2
    assert place.faults() == []


def test_without_a_head_the_key_is_known_by_the_lines(place: ChainPlace) -> None:
    (place.folder / "head").unlink()
    end = find_end(place.folder, NAME, None, place.ring.verifiers)
    assert end.kid == place.key.kid
    write(place, 6)
    assert place.faults() == []


def test_a_key_that_came_without_the_old_ones_signature_shows_for_ever(tmp_path: Path) -> None:
    place = ChainPlace(tmp_path / "chain")
    write(place, 1)
    place.ring = place.ring.rotated(place.now).finished()
    write(place, 2)
    write(place, 3)
    assert place.values("number") == [1, 2, 3]
    assert place.faults() == [f"signed by key {place.key.kid}, to which no other handed over"]


Lines = Sequence[Fields]


def forge(place: ChainPlace, lines: Lines, key: JournalKey) -> None:
    """Write the chain anew with one key, as its thief would: each link is right."""
    contents, link = [], START
    for fields in lines:
        if fields.get("event") == "checkpoint":
            content, link = checkpoint(link, chain=NAME, at=str(fields["at"]), key=key)
        else:
            content, link = encode(fields, link)
        contents.append(content)
    for path in place.paths():
        path.unlink()
    sign_end(place, contents, link, key)


def sign_end(place: ChainPlace, contents: Sequence[bytes], link: Link, key: JournalKey) -> None:
    path = place.folder / f"{NAME}-000000000001-20261123.jsonl"
    path.write_bytes(b"".join(contents))
    size = path.stat().st_size
    end = Head(chain=NAME, link=link, file=path.name, size=size, since=0, kid=key.kid)
    write_head(place.folder, end.encode(key))


def edited(lines: Lines) -> list[dict[str, object]]:
    return [{**line, **({"number": 99} if line.get("number") == 2 else {})} for line in lines]


def without_handover(lines: Lines) -> list[Fields]:
    return [line for line in lines if line.get("event") != "key_changed"]


@pytest.mark.parametrize(
    ("change_of_lines", "told"),
    [
        pytest.param(lambda lines: lines, "a handover that the key in use did not sign", id="kept"),
        pytest.param(without_handover, "from before key", id="without the handover"),
    ],
)
def test_the_thief_of_the_new_key_cannot_write_the_past(
    place: ChainPlace, change_of_lines: Callable[[Lines], Lines], told: str
) -> None:
    lines = [line.fields for line in place.lines()]
    forge(place, change_of_lines([dict(line) for line in lines]), place.key)
    assert any(fault.startswith(told) for fault in place.faults()), place.faults()


def test_a_past_that_is_edited_but_for_its_signed_lines_shows(place: ChainPlace) -> None:
    contents, link = [], START
    for line in place.lines():
        fields = {**line.fields, **({"number": 99} if line.fields.get("number") == 2 else {})}
        if fields.get("key") == place.key.kid:
            content, link = checkpoint(link, chain=NAME, at=str(fields["at"]), key=place.key)
        else:
            content, link = encode(fields, link)
        contents.append(content)
    for path in place.paths():
        path.unlink()
    sign_end(place, contents, link, place.key)
    assert "a handover that the key in use did not sign" in place.faults()


@pytest.fixture
def leaked(tmp_path: Path) -> tuple[ChainPlace, JournalKey]:
    """Return a chain whose key changed because it leaked, and that key."""
    place = ChainPlace(tmp_path / "chain")
    key = place.key
    write(place, 1, 2)
    place.now += timedelta(days=1)
    change(place)
    write(place, 3)
    return place, key


def old_lines(place: ChainPlace) -> tuple[list[bytes], Link]:
    """Return what stands before the handover."""
    contents = place.paths()[0].read_bytes().splitlines(keepends=True)
    return contents, decode(contents[-1][:-1]).link


def test_the_thief_of_the_old_key_cannot_go_on_with_it(
    leaked: tuple[ChainPlace, JournalKey],
) -> None:
    place, key = leaked
    contents, link = old_lines(place)
    line, link = encode({"number": 99}, link)
    for path in place.paths():
        path.unlink()
    sign_end(place, [*contents, line], link, key)
    (fault,) = place.faults()
    assert fault.startswith(f"under key {key.kid}, though {place.key.kid} follows it")


def test_the_thief_of_the_old_key_cannot_hand_over_to_one_of_his_own(
    leaked: tuple[ChainPlace, JournalKey], tmp_path: Path
) -> None:
    place, key = leaked
    own = ChainPlace(tmp_path / "own").key
    contents, link = old_lines(place)
    at = "2026-11-24T09:30:00.000Z"
    line, link = handover(link, chain=NAME, at=at, key=key, to=own.verifier)
    after, link = checkpoint(link, chain=NAME, at=at, key=own)
    for path in place.paths():
        path.unlink()
    sign_end(place, [*contents, line, after], link, own)
    told = place.faults()
    assert f"handed over to key {own.kid}, which is none of the keys given" in told
    assert "the chain's end is not signed by this journal's key" in told


def test_the_thief_of_the_old_key_cannot_write_the_past_of_the_new_one(
    leaked: tuple[ChainPlace, JournalKey],
) -> None:
    place, key = leaked
    contents = place.paths()[0].read_bytes().splitlines(keepends=True)
    (place.paths()[0]).write_bytes(b"".join(contents).replace(b'"number":2', b'"number":7'))
    assert place.faults() == ["line 3 is not as it was when line 4 was written"]
    assert key.kid != place.key.kid


def test_a_head_that_the_old_key_signed_shows(leaked: tuple[ChainPlace, JournalKey]) -> None:
    place, key = leaked
    head = Head.decode(read_head(place.folder), place.ring.verifiers, chain=NAME)
    write_head(place.folder, replace(head, kid=key.kid).encode(key))
    assert place.faults() == [f"signed by key {key.kid}, which was not in use there"]


def test_a_handover_of_another_chain_is_none(leaked: tuple[ChainPlace, JournalKey]) -> None:
    place, key = leaked
    contents, link = old_lines(place)
    at = "2026-11-24T09:30:00.000Z"
    line, link = handover(link, chain="audit", at=at, key=key, to=place.key.verifier)
    after, link = checkpoint(link, chain=NAME, at=at, key=place.key)
    for path in place.paths():
        path.unlink()
    sign_end(place, [*contents, line, after], link, place.key)
    assert "a handover that the key in use did not sign" in place.faults()


def test_keys_of_the_time_before_check_a_copy_of_that_time_and_no_other(tmp_path: Path) -> None:
    place = ChainPlace(tmp_path / "chain")
    write(place, 1)
    before = place.ring
    assert verify(place.folder, NAME, before.verifiers).faults == []
    change(place)
    told = [fault.what for fault in verify(place.folder, NAME, before.verifiers).faults]
    assert f"handed over to key {place.key.kid}, which is none of the keys given" in told


def test_the_lines_of_a_handover_are_json_of_one_line_each(place: ChainPlace) -> None:
    for path in place.paths():
        for line in path.read_bytes().splitlines():
            json.loads(line)


def test_a_ring_knows_no_signer_by_another_name(place: ChainPlace) -> None:
    ring: JournalRing = place.ring
    assert ring.signer("0" * 16) is None
