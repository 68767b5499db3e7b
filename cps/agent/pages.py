"""The agent's pages: static, without script, form, frame or anything from elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from cps.agent.checks import STATUS, Refusal, RefusedRequestError
from cps.agent.texts import Words, words
from cps.authtoken.catalogue import text
from cps.authtoken.codes import ErrorCode
from cps.authtoken.look import PlainPage, plain_page_policy

REFRESH_SECONDS = 1


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
        return self._page(
            200, words("agent", stage, language), language, refresh_seconds=REFRESH_SECONDS
        )

    def failed(self, failure: Failure, origin: str, language: str) -> web.Response:
        """Return the page that says why a sign-in failed, with the way back to the portal."""
        small = [text("agent_page.code", language, code=failure.code.value)]
        if failure.incident is not None:
            small.append(text("agent_page.incident", language, incident=failure.incident))
        return self._page(
            200,
            words("error", failure.code, language),
            language,
            link=(f"{origin}/", text("agent_page.to_portal", language)),
            small=small,
        )

    def refused(self, error: RefusedRequestError, language: str) -> web.Response:
        """Return the page for a request that was refused."""
        if error.refusal is Refusal.PAUSED:
            said = words("agent", error.refusal, language)
        else:
            said = words("error", error.code, language)
        small = [text("agent_page.code", language, code=error.refusal.value)]
        response = self._page(STATUS[error.refusal], said, language, small=small)
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
        self,
        status: int,
        said: Words,
        language: str,
        *,
        refresh_seconds: int | None = None,
        link: tuple[str, str] | None = None,
        small: Sequence[str] = (),
    ) -> web.Response:
        page = PlainPage(
            language=language,
            label=text("agent_page.name", language),
            title=said.title,
            sentence=said.sentence,
            banners=[text(key, language) for key in self._banners],
            link=link,
            small=small,
            refresh_seconds=refresh_seconds,
        )
        return _guarded(web.Response(status=status, text=page.html(), content_type="text/html"))


def _guarded(response: web.Response) -> web.Response:
    """Return *response* with the headers that every answer carries, and the connection's end."""
    response.headers["Content-Security-Policy"] = plain_page_policy()
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Server"] = "cps"
    response.force_close()
    return response
