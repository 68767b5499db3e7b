import socket
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.operator.online_check import Answer, ask_all
from gateway.settings import Settings
from tests.support.relay import RawServer, Wire, echo
from tests.support.serving import free_port, write_settings


def settings_for(folder: Path, upstream: str, lists: str, responder: str) -> Settings:
    more = (
        f'[[trust.revocation]]\nauthority = "middle.pem"\ncrl = ["{lists}/middle.crl"]\n'
        f'ocsp = ["{responder}"]\n'
    )
    settings = Settings.load(write_settings(folder, upstream=upstream, port=8443, more=more), {})
    settings.state_dir.mkdir(mode=0o700)
    return settings


def by_key(answers: list[Answer]) -> dict[str, Answer]:
    return {answer.what.split()[0]: answer for answer in answers}


def test_what_answers_says_what_it_is(tmp_path: Path) -> None:
    def give(wire: Wire) -> None:
        wire.request()
        body = (tmp_path / "middle.crl").read_bytes()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with (
        RawServer(echo).on_port() as upstream,
        RawServer(give).on_port() as lists,
        socket.create_server(("127.0.0.1", 0)) as responder,
    ):
        address = f"http://127.0.0.1:{responder.getsockname()[1]}"
        found = by_key(ask_all(settings_for(tmp_path, upstream, lists, address), system_clock()))
    assert [each.said for each in found.values() if each.fault] == []
    assert "answers with 200" in found["portal.upstream"].said
    assert "0 sessions" in found["store"].said
    assert "0 entries" in found["trust.revocation.crl"].said
    assert "takes connections" in found["trust.revocation.ocsp"].said


def test_what_does_not_answer_is_a_fault(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    found = by_key(ask_all(settings_for(tmp_path, nowhere, nowhere, nowhere), system_clock()))
    assert {key for key, each in found.items() if each.fault} == {
        "portal.upstream",
        "trust.revocation.crl",
        "trust.revocation.ocsp",
    }


@pytest.mark.parametrize("body", [b"", b"<html>"], ids=["nothing", "a page"])
def test_an_address_that_gives_no_list_is_a_fault(tmp_path: Path, body: bytes) -> None:
    def give(wire: Wire) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with RawServer(give).on_port() as lists:
        found = by_key(ask_all(settings_for(tmp_path, lists, lists, lists), system_clock()))
    assert found["trust.revocation.crl"].fault
