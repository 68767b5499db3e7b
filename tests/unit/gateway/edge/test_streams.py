from contextlib import suppress

import pytest

from gateway.edge.streams import OpenStreams


class Connection:
    """A connection that remembers whether it was cut."""

    def __init__(self) -> None:
        self.is_cut = False

    def abort(self) -> None:
        self.is_cut = True


def test_the_end_of_a_session_cuts_its_connections_and_no_others() -> None:
    open_streams = OpenStreams()
    one, two, other = Connection(), Connection(), Connection()
    with (
        open_streams.held(b"a", one),
        open_streams.held(b"a", two),
        open_streams.held(b"b", other),
    ):
        assert len(open_streams) == 3
        assert open_streams.cut(b"a") == 2
        assert (one.is_cut, two.is_cut, other.is_cut) == (True, True, False)
    assert len(open_streams) == 0


def test_an_answer_that_ended_is_not_cut() -> None:
    open_streams, connection = OpenStreams(), Connection()
    with open_streams.held(b"a", connection):
        pass
    assert open_streams.cut(b"a") == 0
    assert not connection.is_cut


def test_an_answer_that_failed_is_forgotten() -> None:
    open_streams = OpenStreams()
    with suppress(ConnectionError), open_streams.held(b"a", Connection()):
        raise ConnectionError
    assert len(open_streams) == 0


def test_an_answer_that_was_cut_does_not_forget_a_later_one() -> None:
    open_streams, later = OpenStreams(), Connection()
    with open_streams.held(b"a", Connection()):
        open_streams.cut(b"a")
        held = open_streams.held(b"a", later)
        held.__enter__()
    assert open_streams.cut(b"a") == 1
    assert later.is_cut


def test_the_news_of_an_end_cuts_its_connections() -> None:
    open_streams, connection, other = OpenStreams(), Connection(), Connection()
    with open_streams.held(b"a", connection), open_streams.held(b"b", other):
        open_streams.ended([b"a", b"unknown"])
    assert (connection.is_cut, other.is_cut) == (True, False)


def test_the_end_of_all_sessions_cuts_everything() -> None:
    open_streams, one, two = OpenStreams(), Connection(), Connection()
    with open_streams.held(b"a", one), open_streams.held(b"b", two):
        open_streams.all_ended()
    assert (one.is_cut, two.is_cut) == (True, True)


@pytest.mark.parametrize(("seconds", "is_cut"), [(4.9, False), (5.0, True)])
def test_a_silent_store_has_everything_cut(seconds: float, is_cut: bool) -> None:
    open_streams, connection = OpenStreams(), Connection()
    with open_streams.held(b"a", connection):
        open_streams.silent(seconds)
    assert connection.is_cut == is_cut
