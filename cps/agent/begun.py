"""A login that begins here, for a browser whose pages do not find the agent.

Only the person begins one: by the icon's menu, or by a command. No request to the agent does.
"""

import asyncio
import webbrowser
from collections.abc import Callable

from cps.agent.checks import RefusedRequestError
from cps.agent.handover import Handover
from cps.agent.pages import Failure
from cps.agent.progress import Stage
from cps.agent.signin import LoginRequest
from cps.agent.texts import Tell, Words, words
from cps.agent.workflow import Workflow
from cps.authtoken.catalogue import text
from cps.authtoken.codes import ErrorCode


class BegunLogins:
    """Runs logins that begin here, one at a time with all others.

    For the event loop in which the object was made.

    :param workflow: where sign-ins run.
    :param handover: gives the way on to the browser that comes for it.
    :param own_address: of the agent's server, such as ``http://127.0.0.1:24951``.
    :param language: ``fr`` or ``en``.
    :param browse: opens an address in the default browser; may block; ``False`` says that there
        is none.
    """

    def __init__(
        self,
        *,
        workflow: Workflow,
        handover: Handover,
        own_address: str,
        language: str,
        browse: Callable[[str], object] = webbrowser.open,
    ) -> None:
        self._workflow = workflow
        self._handover = handover
        self._own_address = own_address
        self._language = language
        self._browse = browse
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[bool]] = set()

    def begin_soon(self, origin: str, tell: Tell) -> None:
        """Begin a login; for other threads, and does not wait for its end."""
        self._loop.call_soon_threadsafe(self._begin_now, origin, tell)

    async def begin(self, origin: str, tell: Tell) -> bool:
        """Log in, as far as the browser, and return whether it came to that.

        :param origin: the portal's; whether it is one is asked as at every sign-in.
        :param tell: shows the person what to do, or why it ended.
        """
        # Nobody but the person asks here, which is as good as a click.
        request = LoginRequest(rid=None, origin=origin, language=self._language, clicked=True)
        shown = Stage.WORKING
        try:
            self._workflow.require_idle()
            while isinstance(news := await self._workflow.news(request), Stage):
                if news not in (Stage.WORKING, shown):
                    tell(words("agent", news, self._language))
                shown = news
        except RefusedRequestError as exc:
            tell(words("error", exc.code, self._language))
            return False
        if isinstance(news, Failure):
            tell(self._reason(news, origin))
            return False
        address = f"{self._own_address}{self._handover.keep(news.redirect)}"
        if await asyncio.to_thread(self._browse, address) is False:
            tell(words("agent", "no_browser", self._language))
            return False
        return True

    def _begin_now(self, origin: str, tell: Tell) -> None:
        task = self._loop.create_task(self.begin(origin, tell))
        # The loop itself would let go of it.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _reason(self, failure: Failure, origin: str) -> Words:
        if failure.code is ErrorCode.REQUEST_FORBIDDEN:
            # What a gateway says whose operator wants no such logins, or one that is too old.
            return Words(
                title=text("agent_title.not_offered", self._language),
                sentence=text("agent.not_offered", self._language, origin=origin),
            )
        return words("error", failure.code, self._language)
