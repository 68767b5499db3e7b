"""The relay's own answers: a page for a person, a problem document for a program."""

import json
from http import HTTPStatus

from aiohttp import hdrs, web

from cps.authtoken.catalogue import best_language, text
from cps.authtoken.look import PlainPage, plain_page_policy
from gateway.edge.notices import Notice

LOGIN_PATH = "/_cps/login"
"""Where a person without a session logs in."""
SERVER_NAME = "cps-gateway"
"""What the Server field says; no version, which would help only an attacker."""
STRICT_TRANSPORT_SECURITY = "max-age=31536000"
CHALLENGE = "CPS"
"""The standard asks for a challenge with 401; no browser knows this one, so none opens a dialog."""


def is_navigation(request: web.BaseRequest) -> bool:
    """Return whether a person opens a page, so that the answer is one to look at.

    Browsers since 2023 say so themselves; of others a page is what they accept as HTML.

    Source: W3C Fetch Metadata §2.2 (Sec-Fetch-Mode).
    """
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    return "text/html" in request.headers.get(hdrs.ACCEPT, "")


class OwnPages:
    """Makes the relay's own answers for one portal."""

    def __init__(self, *, label: str, origin: str, is_test: bool = False) -> None:
        """Take what every page shows.

        :param label: the portal's name.
        :param origin: the portal's address; over https browsers are told to stay there.
        :param is_test: whether test cards are let in, which every page then says.
        """
        self._is_test = is_test
        self._label = label
        self._origin = origin
        self._is_https = origin.startswith("https:")

    def answer(self, request: web.BaseRequest, notice: Notice, *, incident: str) -> web.Response:
        """Return *notice* in the form that suits who asks; the connection ends after it.

        :param incident: the number under which the log has the details.
        """
        if is_navigation(request):
            language = best_language(request.headers.get(hdrs.ACCEPT_LANGUAGE))
            response = web.Response(
                status=notice.status,
                text=self.page(notice, language, incident=incident),
                content_type="text/html",
                headers={hdrs.CONTENT_LANGUAGE: language},
            )
        else:
            response = web.Response(
                status=notice.status,
                text=self.problem(notice, incident=incident),
                content_type="application/problem+json",
            )
        self.protect(response)
        if notice.status == HTTPStatus.UNAUTHORIZED:
            response.headers[hdrs.WWW_AUTHENTICATE] = CHALLENGE
        else:
            # What remains of a request that was not understood must not be read as the next one.
            response.force_close()
        return response

    def to_login(self, location: str) -> web.Response:
        """Return the redirect to the login page.

        :param location: path and query, made by the control plane.
        """
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={hdrs.LOCATION: location})
        self.protect(response)
        return response

    def protect(self, response: web.StreamResponse) -> None:
        """Give an answer of our own the headers that no browser should do without."""
        response.headers.update({**self.protecting_fields(), hdrs.SERVER: SERVER_NAME})

    def protecting_fields(self) -> dict[str, str]:
        """Return the headers that no browser should do without."""
        fields = {
            hdrs.CACHE_CONTROL: "no-store",
            "Content-Security-Policy": plain_page_policy(),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
        if self._is_https:
            fields["Strict-Transport-Security"] = STRICT_TRANSPORT_SECURITY
        return fields

    def page(self, notice: Notice, language: str, *, incident: str) -> str:
        """Return *notice* as a page for a person.

        :param language: one of the catalogue's.
        """
        link = _link_of(notice)
        link_key = "edge_page.log_in" if link == LOGIN_PATH else "edge_page.to_portal"
        return PlainPage(
            language=language,
            label=self._label,
            title=text(notice.title, language),
            sentence=text(notice.text, language, origin=self._origin),
            banners=[text("gateway_page.test", language)] if self._is_test else [],
            link=(link, text(link_key, language)),
            small=[text("edge_page.incident", language, incident=incident)],
        ).html()

    def problem(self, notice: Notice, *, incident: str) -> str:
        """Return *notice* as a problem document. Source: RFC 9457 §3."""
        problem: dict[str, object] = {
            "title": notice.status.phrase,
            "status": int(notice.status),
            "error": notice.code,
            "ref": incident,
        }
        if _link_of(notice) == LOGIN_PATH:
            problem["login"] = LOGIN_PATH
        return json.dumps(problem)


def _link_of(notice: Notice) -> str:
    """Return where somebody goes on from *notice*."""
    return LOGIN_PATH if notice.status == HTTPStatus.UNAUTHORIZED else "/"
