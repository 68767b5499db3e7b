import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.trust.ask import MESSAGE_BYTES, Ask
from gateway.trust.revocation_memory import owner_of
from tests.support import pki

OWNERS = st.binary(min_size=32, max_size=32).map(bytes.hex)
SERIALS = st.integers(-(1 << 167), (1 << 167) - 1)


@given(owner=OWNERS, serial=SERIALS, urgent=st.booleans())
def test_a_message_comes_back_as_it_went(owner: str, serial: int, urgent: bool) -> None:
    ask = Ask(owner=owner, serial=serial, urgent=urgent)
    message = ask.encode()
    assert len(message) == MESSAGE_BYTES
    assert Ask.decode(message) == ask


@given(st.binary(max_size=100).filter(lambda raw: len(raw) != MESSAGE_BYTES))
def test_a_message_of_another_length_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="bytes where 54 are expected"):
        Ask.decode(raw)


@given(st.binary(min_size=MESSAGE_BYTES, max_size=MESSAGE_BYTES))
def test_any_message_of_that_length_is_read(raw: bytes) -> None:
    Ask.decode(raw)


@pytest.fixture
def ask() -> Ask:
    owner = owner_of(pki.hierarchy().intermediate.certificate)
    return Ask(owner=owner, serial=5, urgent=True)


def test_it_arrives_at_the_socket(tmp_path: Path, ask: Ask) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as refresher:
        refresher.bind(str(tmp_path / "s"))
        ask.send(tmp_path / "s")
        assert Ask.decode(refresher.recv(1000)) == ask


def test_nobody_waits_where_no_refresher_is(tmp_path: Path, ask: Ask) -> None:
    ask.send(tmp_path / "nowhere")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gone:
        gone.bind(str(tmp_path / "gone"))
    ask.send(tmp_path / "gone")


def test_nobody_waits_for_a_refresher_that_reads_nothing(tmp_path: Path, ask: Ask) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as busy:
        busy.bind(str(tmp_path / "busy"))
        for _ in range(5000):
            ask.send(tmp_path / "busy")


def test_a_serial_number_that_fits_no_table_is_not_sent(tmp_path: Path, ask: Ask) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as refresher:
        refresher.bind(str(tmp_path / "s"))
        refresher.setblocking(False)
        Ask(owner=ask.owner, serial=1 << 200, urgent=True).send(tmp_path / "s")
        with pytest.raises(BlockingIOError):
            refresher.recv(1000)
