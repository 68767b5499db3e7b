"""What nginx itself says to a browser: the relay's own pages, written into the configuration."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from cps.authtoken.catalogue import LANGUAGES
from gateway.edge import notices
from gateway.edge.notices import Notice
from gateway.edge.pages import OwnPages

PERSON_NOTICES: Mapping[int, Notice] = MappingProxyType(
    {
        notice.status.value: notice
        for notice in (
            notices.MALFORMED,
            notices.FORM_NOT_SENT,
            notices.NOT_FOUND,
            notices.METHOD_NOT_ALLOWED,
            notices.BODY_TOO_SLOW,
            notices.BODY_TOO_LARGE,
            notices.EXPECTATION_FAILED,
            notices.WRONG_HOST,
            notices.HEAD_TOO_LARGE,
            notices.INTERNAL,
            notices.PORTAL_UNAVAILABLE,
            notices.LOGIN_UNAVAILABLE,
            notices.PORTAL_TIMEOUT,
            notices.OLD_VERSION,
        )
    }
)
"""What a person is told with each status. Without a session only forms get here: a person who opens
a page is led to the login page."""
PROGRAM_NOTICES: Mapping[int, Notice] = MappingProxyType(
    {**PERSON_NOTICES, notices.SESSION_REQUIRED.status.value: notices.SESSION_REQUIRED}
)
"""What a program is told with each status."""

_INCIDENT = "${cps_incident}"
_DOLLAR = "${cps_dollar}"
# Stands for the variable while a text is made ready for nginx's quotes.
_MARK = "@@incident@@"


def quoted(text: str) -> str:
    """Return *text* as a string of nginx's configuration, in which it has no variables."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", _DOLLAR)
    return f'"{escaped}"'


def notice_texts(pages: OwnPages, *, of: str) -> Iterator[str]:
    """Return the maps from a language to the page of each status.

    :param of: what makes names the portal's own.
    """
    for status, notice in PERSON_NOTICES.items():
        yield f"    map $cps_language $cps_page_{status}{of} {{"
        for language in LANGUAGES:
            page = quoted(pages.page(notice, language, incident=_MARK)).replace(_MARK, _INCIDENT)
            yield f"        {'default' if language == LANGUAGES[0] else language} {page};"
        yield "    }"


def notice_locations(pages: OwnPages, *, of: str) -> Iterator[str]:
    """Return the locations that say what was refused, of each status and for who asks.

    :param of: what makes names the portal's own.
    """
    for status in PERSON_NOTICES:
        yield from _location(
            f"person/{status}", '"text/html; charset=utf-8"', status, f"$cps_page_{status}{of}"
        )
    for status, notice in PROGRAM_NOTICES.items():
        problem = quoted(pages.problem(notice, incident=_MARK)).replace(_MARK, _INCIDENT)
        yield from _location(
            f"program/{status}", '"application/problem+json; charset=utf-8"', status, problem
        )


def _location(name: str, content_type: str, status: int, text: str) -> Iterator[str]:
    yield f"            location = /_cps/internal/notice/{name} {{"
    yield "                internal;"
    if status == notices.SESSION_REQUIRED.status:
        yield "                keepalive_timeout 75s;"
    yield f"                default_type {content_type};"
    yield f"                return {status} {text};"
    yield "            }"
