import asyncio
import logging
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from pytest_mock import MockerFixture

from cps.issuer.http_faults import HTTPFault
from cps.issuer.ocsp_answer import revoked
from gateway.errors import ConfigurationError, LoginRejectedError
from gateway.refresh import refresher as module
from gateway.refresh.refresher import Refresher
from gateway.trust.crl import RevocationLists
from gateway.trust.path import PathVerifier, ValidChain
from gateway.trust.revocation_journal import SourceJournal
from gateway.trust.table_file import TableFile
from tests.support import pki
from tests.support.published import PublishedAuthority
from tests.support.revocation import STOLEN, ListOptions, entry, list_der
from tests.support.revocation_folder import RevocationFolder
from tests.support.trust import trust_store

HOUR = timedelta(hours=1)


@cache
def card() -> x509.Certificate:
    return pki.leaf(serial=0x1234)


@cache
def chain() -> ValidChain:
    return PathVerifier(trust_store()).require_chain(card(), pki.NOW)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(module, "LOOK_AT_FILES", timedelta(seconds=0.02))
    monkeypatch.setattr("gateway.refresh.timing.FIRST_RETRY", timedelta(seconds=0.02))
    monkeypatch.setattr("gateway.refresh.timing.SHORTEST", timedelta(seconds=0.02))


@pytest.fixture
def folder(tmp_path: Path, authority: PublishedAuthority) -> RevocationFolder:
    return RevocationFolder(
        tmp_path,
        cards=[authority.url(authority.list_path)],
        delta=[authority.url(authority.delta_path)],
        authorities=[authority.url(authority.root_list_path)],
        ocsp=[authority.ocsp_url],
    )


@asynccontextmanager
async def running(folder: RevocationFolder) -> AsyncIterator[Refresher]:
    refresher = Refresher(folder.settings, clock=lambda: pki.NOW)
    await refresher.start()
    work = asyncio.create_task(refresher.run())
    try:
        yield refresher
    finally:
        await refresher.stop()
        await asyncio.gather(work, return_exceptions=True)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with asyncio.timeout(10):
            await test()

    asyncio.run(inside())


async def until(happened: Callable[[], bool]) -> None:
    while not happened():
        await asyncio.sleep(0.005)


def verdict(folder: RevocationFolder) -> str:
    lists = RevocationLists.follow(folder.settings, folder.store, pki.NOW)
    try:
        return lists.require_good(chain(), pki.NOW)
    except LoginRejectedError as exc:
        return exc.reason.value


def test_after_the_start_logins_have_what_they_need(folder: RevocationFolder) -> None:
    async def test() -> None:
        async with running(folder) as refresher:
            assert refresher.address == str(folder.places.socket)
            assert stat.S_IMODE(folder.places.socket.stat().st_mode) == 0o600
            assert verdict(folder) == "list"
            await until(folder.places.pulse.exists)
            await until(lambda: folder.follow().problems(pki.NOW) == ())
        assert not folder.places.socket.exists()

    run(test)


def test_a_new_list_is_taken_while_it_runs(
    folder: RevocationFolder, authority: PublishedAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refresher, "_pause", lambda *_: timedelta(seconds=0.02))

    async def test() -> None:
        async with running(folder):
            assert verdict(folder) == "list"
            authority.publish(authority.list_path, list_der(entry(card(), STOLEN), number=2))
            await until(lambda: verdict(folder) == "cert_revoked")

    run(test)


def test_a_login_that_finds_nothing_has_the_responder_asked(
    folder: RevocationFolder, authority: PublishedAuthority
) -> None:
    authority.server.faults[authority.list_path] = HTTPFault.UNAVAILABLE

    async def test() -> None:
        async with running(folder):
            assert verdict(folder) == "revocation_unavailable"
            await until(lambda: verdict(folder) == "ocsp")

    run(test)


def test_a_revoked_authority_is_found_by_its_responder_alone(
    tmp_path: Path, authority: PublishedAuthority
) -> None:
    ours = pki.hierarchy()
    authority.statuses[ours.intermediate.certificate.serial_number] = revoked(pki.NOW - HOUR)
    folder = RevocationFolder(
        tmp_path,
        cards=[authority.url(authority.list_path)],
        delta=[],
        authorities=[authority.url(authority.root_list_path)],
        root_ocsp=[authority.ocsp_url],
        ocsp=[],
    )

    async def test() -> None:
        async with running(folder):
            await until(lambda: verdict(folder) == "cert_revoked")

    run(test)


def test_a_table_that_is_damaged_while_it_runs_is_made_anew(folder: RevocationFolder) -> None:
    async def test() -> None:
        async with running(folder):
            (path, *_) = folder.places.folder.glob("complete-*.table")
            path.with_name("x").write_bytes(b"junk")
            path.with_name("x").replace(path)
            await until(lambda: path.stat().st_size > 100)
            TableFile.map(path)

    run(test)


def test_where_no_source_answers_the_start_goes_on_after_a_while(
    folder: RevocationFolder, authority: PublishedAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READY_SECONDS", 0.05)
    authority.server.faults[authority.list_path] = HTTPFault.SILENT

    async def test() -> None:
        async with running(folder):
            assert verdict(folder) == "revocation_unavailable"

    run(test)


def test_a_source_that_fails_is_asked_again(
    folder: RevocationFolder, authority: PublishedAuthority
) -> None:
    authority.server.faults[authority.list_path] = HTTPFault.UNAVAILABLE

    async def test() -> None:
        async with running(folder):
            authority.server.faults.clear()
            await until(lambda: verdict(folder) == "list")

    run(test)


def test_two_refreshers_do_not_write_in_one_folder(folder: RevocationFolder) -> None:
    async def test() -> None:
        async with running(folder):
            with pytest.raises(ConfigurationError, match="another refresher"):
                await Refresher(folder.settings, clock=lambda: pki.NOW).start()
        async with running(folder):
            assert verdict(folder) == "list"

    run(test)


def test_a_socket_left_over_is_no_hindrance(folder: RevocationFolder) -> None:
    folder.places.socket.touch()

    async def test() -> None:
        async with running(folder):
            assert stat.S_ISSOCK(folder.places.socket.stat().st_mode)

    run(test)


def test_a_full_disk_is_told_and_waited_for(
    folder: RevocationFolder, mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        fsync = mocker.patch.object(os, "fsync", side_effect=OSError("disk full"))
        with caplog.at_level(logging.ERROR):
            async with running(folder):
                await until(lambda: "disk full" in caplog.text)
                assert verdict(folder) == "revocation_unavailable"
                mocker.stop(fsync)
                await until(lambda: verdict(folder) == "list")

    run(test)


def test_a_list_that_none_follows_raises_an_alarm_once_and_its_successor_ends_it(
    folder: RevocationFolder,
    authority: PublishedAuthority,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(Refresher, "_pause", lambda *_: timedelta(seconds=0.02))
    old = ListOptions(this_update=pki.NOW - 8 * HOUR, next_update=pki.NOW + 2 * HOUR, number=10)
    authority.publish(authority.list_path, list_der(**old))

    def count(begin: str) -> int:
        return sum(each.getMessage().startswith(begin) for each in caplog.records)

    async def test() -> None:
        with caplog.at_level(logging.INFO):
            async with running(folder):
                await until(lambda: count("alarm: the revocation list of ") == 1)
                assert verdict(folder) == "list"
                await asyncio.sleep(0.1)
                assert count("alarm: ") == 1
                authority.publish(authority.list_path, list_der(number=11))
                await until(lambda: count("over: the revocation list of ") == 1)

    run(test)


def test_a_responders_certificate_that_cannot_be_read_stops_the_start(
    tmp_path: Path, authority: PublishedAuthority
) -> None:
    folder = RevocationFolder(tmp_path, designated=[card()])
    (tmp_path / "responder-0.pem").write_text("nothing")
    with pytest.raises(ConfigurationError) as caught:
        Refresher(folder.settings, clock=lambda: pki.NOW)
    assert caught.value.key == "trust.revocation.ocsp_responders"


def test_what_the_delta_list_no_longer_tells_is_kept_only_where_no_complete_list_does(
    folder: RevocationFolder, authority: PublishedAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refresher, "_pause", lambda *_: timedelta(seconds=0.02))
    other = pki.leaf(serial=0x5678)
    delta = list_der(entry(card(), STOLEN), entry(other, STOLEN), number=11, base_number=10)
    authority.publish(authority.list_path, list_der(number=10))
    authority.publish(authority.delta_path, delta)

    async def test() -> None:
        async with running(folder):
            assert verdict(folder) == "cert_revoked"
            complete = list_der(entry(other, STOLEN), number=12, this_update=pki.NOW - HOUR)
            authority.publish(authority.list_path, complete)
            slot = folder.slot(authority.url(authority.list_path))
            journal = folder.places.journal(slot.name)
            await until(lambda: SourceJournal.load(journal).number == 12)
            authority.publish(authority.delta_path, list_der(number=13, base_number=12))
            await until(folder.places.revoked.exists)
            (kept,) = TableFile.map(folder.places.revoked).tables.values()
            assert kept.find(0x1234)
            assert not kept.find(0x5678)

    run(test)
