"""A login that begins here: what the person sees of it, and what the browser is told."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from cps.agent.begun import BegunLogins
from cps.agent.errors import SignInError
from cps.agent.handover import Handover
from cps.agent.progress import Progress, Stage
from cps.agent.signin import CompletedSignIn, LoginRequest
from cps.agent.texts import Words
from cps.agent.workflow import Workflow, WorkflowLimits
from cps.authtoken.catalogue import text
from cps.authtoken.codes import ErrorCode
from cps.errors import CardRemovedError, PINCancelledError

PORTAL = "https://portal.example"
OWN = "http://127.0.0.1:24951"
SignIn = Callable[[LoginRequest, Progress], CompletedSignIn]


class Desk:
    """What the person sees and what the browser is told, of logins that begin here."""

    def __init__(self) -> None:
        self.told: list[Words] = []
        self.opened: list[str] = []
        self.seen: list[LoginRequest] = []
        self.handover = Handover()

    def done(self, request: LoginRequest, progress: Progress) -> CompletedSignIn:
        self.seen.append(request)
        return CompletedSignIn(redirect=f"{request.origin}/_cps/start#CODE")

    def logins(self, workflow: Workflow) -> BegunLogins:
        return BegunLogins(
            workflow=workflow,
            handover=self.handover,
            own_address=OWN,
            language="fr",
            browse=self.opened.append,
        )

    def begin(self, sign_in: SignIn, times: int = 1) -> list[bool]:
        async def run() -> list[bool]:
            logins = self.logins(Workflow(sign_in, WorkflowLimits()))
            return [await logins.begin(PORTAL, self.told.append) for _ in range(times)]

        return asyncio.run(run())

    def titles(self) -> list[str]:
        return [words.title for words in self.told]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def title(table: str, name: str) -> str:
    return text(f"{table}_title.{name}", "fr")


def test_the_browser_is_told_an_address_of_ours_and_no_code(desk: Desk) -> None:
    assert desk.begin(desk.done) == [True]
    (address,) = desk.opened
    assert address.startswith(f"{OWN}/v1/start?k=")
    assert "CODE" not in address
    assert desk.handover.take(address.rpartition("=")[2]) == f"{PORTAL}/_cps/start#CODE"
    assert desk.told == []


def test_it_is_a_login_of_the_person_without_a_request_id(desk: Desk) -> None:
    desk.begin(desk.done)
    (request,) = desk.seen
    assert (request.rid, request.origin, request.clicked) == (None, PORTAL, True)


def test_a_second_login_to_one_portal_is_a_new_one(desk: Desk) -> None:
    assert desk.begin(desk.done, times=2) == [True, True]
    assert len(desk.seen) == 2
    assert len(set(desk.opened)) == 2
    assert desk.handover.take(desk.opened[1].rpartition("=")[2]).endswith("#CODE")


def test_what_is_waited_for_is_told_once(desk: Desk) -> None:
    seen = threading.Event()

    def tell(words: Words) -> None:
        desk.told.append(words)
        seen.set()

    def sign_in(request: LoginRequest, progress: Progress) -> CompletedSignIn:
        for _ in range(3):
            progress.show(Stage.CARD)
            assert seen.wait(5)
        return desk.done(request, progress)

    async def run() -> bool:
        return await desk.logins(Workflow(sign_in, WorkflowLimits())).begin(PORTAL, tell)

    assert asyncio.run(run())
    assert desk.titles() == [title("agent", "card")]


@pytest.mark.parametrize(
    ("failure", "shown"),
    [
        pytest.param(PINCancelledError("no"), title("error", "pin_cancelled"), id="cancelled"),
        pytest.param(CardRemovedError("out"), title("error", "card_removed"), id="removed"),
        pytest.param(
            SignInError(ErrorCode.CERT_REVOKED, "no"), title("error", "cert_revoked"), id="refused"
        ),
        pytest.param(
            SignInError(ErrorCode.REQUEST_FORBIDDEN, "404"),
            title("agent", "not_offered"),
            id="switched off",
        ),
        pytest.param(OSError("odd"), title("error", "internal"), id="unforeseen"),
    ],
)
def test_a_failure_is_told_and_opens_no_browser(desk: Desk, failure: Exception, shown: str) -> None:
    def sign_in(request: LoginRequest, progress: Progress) -> CompletedSignIn:
        raise failure

    assert desk.begin(sign_in) == [False]
    assert desk.titles() == [shown]
    assert desk.opened == []
    assert not desk.handover.waits()


def test_without_a_browser_the_person_is_told(desk: Desk) -> None:
    async def run() -> bool:
        logins = BegunLogins(
            workflow=Workflow(desk.done, WorkflowLimits()),
            handover=desk.handover,
            own_address=OWN,
            language="fr",
            browse=lambda address: False,
        )
        return await logins.begin(PORTAL, desk.told.append)

    assert not asyncio.run(run())
    assert desk.titles() == [title("agent", "no_browser")]


def test_cancelling_what_one_began_never_pauses_the_agent(desk: Desk) -> None:
    def cancelled(request: LoginRequest, progress: Progress) -> CompletedSignIn:
        raise PINCancelledError("no")

    async def run() -> None:
        workflow = Workflow(cancelled, WorkflowLimits())
        for _ in range(4):
            await desk.logins(workflow).begin(PORTAL, desk.told.append)
        workflow.require_room("AAECAwQFBgcICQoLDA0ODw")

    asyncio.run(run())
    assert len(desk.told) == 4


def test_one_login_at_a_time_from_wherever_it_comes(desk: Desk) -> None:
    leave = threading.Event()

    def slow(request: LoginRequest, progress: Progress) -> CompletedSignIn:
        assert leave.wait(5)
        return desk.done(request, progress)

    async def run() -> list[bool]:
        logins = desk.logins(Workflow(slow, WorkflowLimits()))
        first = asyncio.ensure_future(logins.begin(PORTAL, desk.told.append))
        await asyncio.sleep(0)
        second = await logins.begin(PORTAL, desk.told.append)
        leave.set()
        return [await first, second]

    assert asyncio.run(run()) == [True, False]
    assert desk.titles() == [title("error", "busy")]
    assert len(desk.opened) == 1


def test_the_icon_begins_one_from_its_own_thread(desk: Desk) -> None:
    opened = threading.Event()

    async def run() -> None:
        logins = desk.logins(Workflow(desk.done, WorkflowLimits()))
        threading.Thread(target=logins.begin_soon, args=(PORTAL, desk.told.append)).start()
        while not desk.opened:
            await asyncio.sleep(0.01)
        opened.set()

    asyncio.run(asyncio.wait_for(run(), 5))
    assert opened.is_set()
