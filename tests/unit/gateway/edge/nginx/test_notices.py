import json
import re
from http import HTTPStatus

import pytest

from gateway.edge import notices
from gateway.edge.nginx.notices import (
    PERSON_NOTICES,
    PROGRAM_NOTICES,
    notice_locations,
    notice_texts,
    quoted,
)
from gateway.edge.notices import Notice
from gateway.edge.pages import OwnPages

PAGES = OwnPages(label='Portail $host "d\'essai" \\', origin="https://portal.example")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", '"a"'),
        ('a"b', '"a\\"b"'),
        ("a\\b", '"a\\\\b"'),
        ("$host", '"${cps_dollar}host"'),
        ("a; } b", '"a; } b"'),
    ],
)
def test_a_text_stays_a_text(text: str, expected: str) -> None:
    assert quoted(text) == expected


def test_every_notice_of_the_relay_can_be_said() -> None:
    said = {notice.status for notice in (*PERSON_NOTICES.values(), *PROGRAM_NOTICES.values())}
    every = {each.status for each in vars(notices).values() if isinstance(each, Notice)}
    # Only the relay looks at the origin of a WebSocket, and at sensitive requests.
    assert every - said == {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}


def test_pages_hold_the_incident_and_no_other_variable() -> None:
    text = "\n".join(notice_texts(PAGES, of=""))
    assert set(re.findall(r"\$\{?\w+", text)) == {
        "$cps_language", "${cps_incident", "${cps_dollar",
        *(f"$cps_page_{status}" for status in PERSON_NOTICES),
    }  # fmt: skip
    assert text.count("<!doctype html>") == 2 * len(PERSON_NOTICES)


def test_a_form_without_a_session_is_named_to_a_person_alone() -> None:
    assert PERSON_NOTICES[401] is notices.FORM_NOT_SENT
    assert PROGRAM_NOTICES[401] is notices.SESSION_REQUIRED


def test_problems_are_json() -> None:
    text = "\n".join(notice_locations(PAGES, of=""))
    found = re.findall(r'(?m)return (\d+) "(\{.*\})";$', text)
    assert len(found) == len(PROGRAM_NOTICES)
    for status, problem in found:
        members = json.loads(problem.replace('\\"', '"'))
        assert members["status"] == int(status)
        assert members["ref"] == "${cps_incident}"
