from datetime import timedelta
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from gateway.refresh.memory import AnswerTable
from gateway.trust.revocation_journal import SourceJournal
from gateway.trust.revocation_memory import KeptAnswer, owner_of
from gateway.trust.revocation_places import responder_name
from gateway.trust.revocation_report import (
    ALARM_AT,
    MAX_SILENCE,
    AuthorityReport,
    grace_problems,
    is_weak,
    overdue_problems,
    refresher_problems,
    report,
)
from tests.support import pki
from tests.support.revocation import ListOptions, entry, list_der, make_list, scope
from tests.support.revocation_folder import (
    AUTHORITIES,
    CARDS,
    CARDS_DELTA,
    RESPONDER,
    RevocationFolder,
)

HOUR = timedelta(hours=1)
LIFE = ListOptions(this_update=pki.NOW - 60 * HOUR, next_update=pki.NOW + 40 * HOUR)
"""A list of which 60 % of its life are over now."""
OVERDUE = pki.NOW + 16 * HOUR


@pytest.fixture
def folder(tmp_path: Path) -> RevocationFolder:
    folder = RevocationFolder(tmp_path)
    folder.put(AUTHORITIES, make_list(issuer=pki.hierarchy().root))
    folder.put(CARDS, make_list(entry(1), entry(2), number=10))
    folder.put(CARDS_DELTA, make_list(number=11, base_number=10))
    folder.beat()
    return folder


def cards(folder: RevocationFolder) -> AuthorityReport:
    _, ours = report(folder.settings, folder.store, pki.NOW)
    return ours


def note(folder: RevocationFolder, label: str, journal: SourceJournal) -> None:
    journal.save(folder.places.journal(folder.slot(label).name))


def test_each_authority_has_its_lists_and_responders(folder: RevocationFolder) -> None:
    root, ours = report(folder.settings, folder.store, pki.NOW)
    assert root.authority == pki.hierarchy().root.certificate
    assert [each.label for each in root.lists] == [AUTHORITIES]
    assert root.responders == ()
    assert ours.authority == pki.hierarchy().intermediate.certificate
    assert [each.label for each in ours.lists] == [CARDS, CARDS_DELTA]
    assert [each.address for each in ours.responders] == [RESPONDER]
    assert root.in_force
    assert ours.in_force


def test_a_list_is_told_with_its_numbers(folder: RevocationFolder) -> None:
    later = pki.NOW + HOUR
    fresh = make_list(number=10)
    note(
        folder,
        CARDS,
        SourceJournal().taken(fresh, now=pki.NOW, address=CARDS).failed("no", now=later),
    )
    complete, delta = cards(folder).lists
    assert complete.found is not None
    assert (complete.found.number, len(complete.found)) == (10, 2)
    path = folder.places.table(folder.slot(CARDS).name)
    assert (complete.bytes, complete.generation) == (path.stat().st_size, 1)
    assert (complete.taken_at, complete.looked_at) == (pki.NOW, later)
    assert (complete.address, complete.error) == (CARDS, "no")
    assert delta.found is not None
    assert delta.found.base_number == 10


@pytest.mark.parametrize("contents", [None, b"junk"], ids=["missing", "damaged"])
def test_a_table_that_cannot_be_read_is_told(
    folder: RevocationFolder, contents: bytes | None
) -> None:
    path = folder.places.table(folder.slot(CARDS).name)
    path.unlink()
    if contents is not None:
        path.write_bytes(contents)
    ours = cards(folder)
    assert not ours.in_force
    assert ours.lists[0].found is None
    assert ours.lists[0].error
    note(folder, CARDS, SourceJournal().failed("status 503", now=pki.NOW))
    assert cards(folder).lists[0].error == "status 503"


def test_where_no_refresher_runs_the_files_themselves_are_read(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    file = tmp_path / "cards.crl"
    raw = list_der(entry(1), entry(2), number=10)
    file.write_bytes(raw)
    folder = RevocationFolder(tmp_path, cards=(), delta=(), authorities=(), ocsp=(), files=(file,))
    (found,) = cards(folder).lists
    assert found.found is not None
    assert (len(found.found), found.bytes, found.error) == (2, len(raw), None)
    mocker.patch("gateway.trust.revocation_report.read_bounded", side_effect=OSError(5, "no disk"))
    *_, nobodys = report(folder.settings, folder.store, pki.NOW)
    assert nobodys.authority is None
    assert [each.error for each in nobodys.lists] == ["cannot be read: no disk"]


def test_answers_are_counted_as_long_as_they_count(folder: RevocationFolder) -> None:
    assert cards(folder).answers is None
    answers = AnswerTable(folder.places.answers)
    owner = owner_of(pki.hierarchy().intermediate.certificate)
    for serial, held, end in ((1, False, HOUR), (2, False, 2 * HOUR), (3, True, 3 * HOUR)):
        answers.keep(
            owner,
            serial,
            KeptAnswer(held=held, this_update=pki.NOW - serial * HOUR, expires=pki.NOW + end),
        )
    answers.write(pki.NOW)
    found = cards(folder).answers
    assert found is not None
    assert (found.count, found.newest, found.first_end) == (3, pki.NOW - HOUR, pki.NOW + HOUR)
    _, later = report(folder.settings, folder.store, pki.NOW + 2 * HOUR)
    assert later.answers is not None
    assert later.answers.count == 2
    folder.places.answers.write_bytes(b"damaged")
    assert cards(folder).answers is None


def test_a_delta_list_alone_is_not_in_force(folder: RevocationFolder) -> None:
    folder.places.table(folder.slot(CARDS).name).unlink()
    assert not cards(folder).in_force


def test_a_responder_is_told_with_its_last_answer(folder: RevocationFolder) -> None:
    journal = SourceJournal(taken_at=pki.NOW - HOUR).failed("status 500", now=pki.NOW)
    journal.save(folder.places.journal(responder_name(RESPONDER)))
    (responder,) = cards(folder).responders
    assert (responder.taken_at, responder.looked_at) == (pki.NOW - HOUR, pki.NOW)
    assert responder.error == "status 500"


def test_addresses_that_are_not_fetched_are_told(tmp_path: Path) -> None:
    ldap = "ldap://lists.example/cn=cards"
    folder = RevocationFolder(tmp_path, delta=[ldap])
    assert cards(folder).not_fetched == (ldap,)
    problems = refresher_problems(folder.settings, folder.store, pki.NOW)
    assert f"{ldap} is not fetched: only http and https are" in problems


def test_a_file_with_no_list_of_ours_is_told_apart(tmp_path: Path) -> None:
    stray = tmp_path / "stray.crl"
    folder = RevocationFolder(tmp_path, files=[stray])
    *_, last = report(folder.settings, folder.store, pki.NOW)
    assert last.authority is None
    assert [each.label for each in last.lists] == [str(stray)]
    folder.put(str(stray), make_list())
    assert all(each.authority for each in report(folder.settings, folder.store, pki.NOW))


def test_where_all_is_well_nothing_is_a_problem(folder: RevocationFolder) -> None:
    assert refresher_problems(folder.settings, folder.store, pki.NOW) == []


@pytest.mark.parametrize("label", [CARDS, RESPONDER])
def test_what_cannot_be_fetched_is_a_problem(folder: RevocationFolder, label: str) -> None:
    name = responder_name(label) if label == RESPONDER else folder.slot(label).name
    SourceJournal().failed("status 503", now=pki.NOW).save(folder.places.journal(name))
    (problem,) = refresher_problems(folder.settings, folder.store, pki.NOW)
    assert problem == f"{label}: status 503"


def test_a_refresher_that_is_silent_is_a_problem(folder: RevocationFolder) -> None:
    silent = pki.NOW + MAX_SILENCE + timedelta(seconds=1)
    assert refresher_problems(folder.settings, folder.store, pki.NOW + MAX_SILENCE) == []
    (problem,) = refresher_problems(folder.settings, folder.store, silent)
    assert "does not run" in problem
    folder.places.pulse.unlink()
    assert refresher_problems(folder.settings, folder.store, pki.NOW) == [problem]


def test_a_grace_is_a_problem_as_long_as_it_stands_in_the_settings() -> None:
    assert grace_problems(None, pki.NOW) == []
    until = pki.NOW + HOUR
    (problem,) = grace_problems(until, until)
    assert problem.endswith("counts")
    (problem,) = grace_problems(until, until + timedelta(seconds=1))
    assert "is over" in problem


def test_a_list_is_overdue_after_three_quarters_of_its_life() -> None:
    assert ALARM_AT == 0.75
    authority = pki.hierarchy().intermediate.certificate
    crl = make_list(**LIFE)
    alarm = pki.NOW + 15 * HOUR
    assert overdue_problems(authority, [crl], alarm) == []
    assert not is_weak([crl], alarm)
    (problem,) = overdue_problems(authority, [crl], alarm + timedelta(seconds=1))
    assert "none followed it" in problem
    assert is_weak([crl], alarm + timedelta(seconds=1))


def test_of_two_lists_of_one_series_the_younger_one_tells() -> None:
    authority = pki.hierarchy().intermediate.certificate
    old, young = make_list(**LIFE), make_list(next_update=pki.NOW + 90 * HOUR)
    assert overdue_problems(authority, [old, young], OVERDUE) == []
    other = make_list(next_update=pki.NOW + 90 * HOUR, scope=scope(only_users=True))
    assert len(overdue_problems(authority, [old, other], OVERDUE)) == 1


def test_without_a_complete_list_in_force_an_authority_is_a_problem() -> None:
    authority = pki.hierarchy().intermediate.certificate
    for lists in ([], [make_list(base_number=1, number=2)], [make_list(**LIFE)]):
        problems = overdue_problems(authority, lists, pki.NOW + 90 * HOUR)
        assert problems[0].startswith("no revocation list in force for")
        assert is_weak(lists, pki.NOW + 90 * HOUR)


def test_a_delta_list_that_ended_is_a_problem() -> None:
    authority = pki.hierarchy().intermediate.certificate
    ended = make_list(number=11, base_number=10, next_update=pki.NOW - HOUR)
    (problem,) = overdue_problems(authority, [make_list(number=10), ended], pki.NOW)
    assert problem.startswith("the delta list of")
