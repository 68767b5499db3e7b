"""The agent's pages: static, without script, form, frame or anything from elsewhere."""

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from html import escape
from string import Template

from aiohttp import web

from cps.agent.checks import STATUS, Refusal, RefusedRequestError
from cps.agent.texts import Words, words
from cps.authtoken.catalogue import text
from cps.authtoken.codes import ErrorCode

REFRESH_SECONDS = 1
_STYLE = """
:root { color-scheme: light dark; font: 1.125rem/1.5 system-ui, sans-serif; }
body { max-width: 36rem; margin: 12vh auto 0; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; line-height: 1.25; }
.who, .code { opacity: 0.75; font-size: 0.9rem; }
.banner { background: #b00020; color: #fff; padding: 0.5rem 1rem; font-weight: 600; }
"""
_PAGE = Template(
    """<!DOCTYPE html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
$refresh<title>$title</title>
<style>$style</style>
</head>
<body>
$banners<p class="who">$who</p>
<h1>$title</h1>
<p>$sentence</p>
$more</body>
</html>
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How a sign-in failed, as far as the person is told."""

    code: ErrorCode
    incident: str | None
    """The gateway's number for it."""


class Pages:
    """The pages of one agent.

    :param banners: keys of the texts that every page shows at its top.
    """

    def __init__(self, banners: tuple[str, ...] = ()) -> None:
        self._banners = banners

    def waiting(self, stage: str, language: str) -> web.Response:
        """Return the page that says what is waited for, and asks again after a second."""
        return self._page(200, words("agent", stage, language), language, refresh=True)

    def failed(self, failure: Failure, origin: str, language: str) -> web.Response:
        """Return the page that says why a sign-in failed, with the way back to the portal."""
        more = [_paragraph(text("agent_page.code", language, code=failure.code.value))]
        if failure.incident is not None:
            more.append(
                _paragraph(text("agent_page.incident", language, incident=failure.incident))
            )
        link = escape(text("agent_page.to_portal", language))
        more.append(f'<p><a href="{escape(origin)}/" rel="noreferrer">{link}</a></p>\n')
        said = words("error", failure.code, language)
        return self._page(200, said, language, more="".join(more))

    def refused(self, error: RefusedRequestError, language: str) -> web.Response:
        """Return the page for a request that was refused."""
        if error.refusal is Refusal.PAUSED:
            said = words("agent", error.refusal, language)
        else:
            said = words("error", error.code, language)
        more = _paragraph(text("agent_page.code", language, code=error.refusal.value))
        response = self._page(STATUS[error.refusal], said, language, more=more)
        if error.refusal is Refusal.METHOD:
            response.headers["Allow"] = "GET"
        return response

    def broken(self, language: str) -> web.Response:
        """Return the page for a request that the agent could not answer."""
        return self._page(500, words("error", ErrorCode.INTERNAL, language), language)

    def redirect(self, address: str) -> web.Response:
        """Return the answer that sends the browser on."""
        return _guarded(web.Response(status=303, headers={"Location": address}))

    def _page(
        self, status: int, said: Words, language: str, *, refresh: bool = False, more: str = ""
    ) -> web.Response:
        html = _PAGE.substitute(
            language=language,
            refresh=f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">\n' if refresh else "",
            style=_STYLE,
            title=escape(said.title),
            sentence=escape(said.sentence),
            banners="".join(
                f'<p class="banner">{escape(text(key, language))}</p>\n' for key in self._banners
            ),
            who=escape(text("agent_page.name", language)),
            more=more,
        )
        return _guarded(web.Response(status=status, text=html, content_type="text/html"))


def _paragraph(words: str) -> str:
    return f'<p class="code">{escape(words)}</p>\n'


def _guarded(response: web.Response) -> web.Response:
    """Return *response* with the headers that every answer carries, and the connection's end."""
    response.headers["Content-Security-Policy"] = _content_security_policy()
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Server"] = "cps"
    response.force_close()
    return response


@cache
def _content_security_policy() -> str:
    digest = b64encode(hashlib.sha256(_STYLE.encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
