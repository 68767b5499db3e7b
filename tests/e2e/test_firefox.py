"""The same login in Firefox, as Debian has it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cps.authtoken.catalogue import text
from cps.demo.login import AGENT_LINK
from cps.demo.run import Demo
from tests.e2e.test_begun import login_begun
from tests.support.firefox import Firefox, firefox_path, running_firefox

pytestmark = [pytest.mark.pcscd, pytest.mark.browser]

AGENT = AGENT_LINK.partition(" ")[0]
LANGUAGE = {"intl.accept_languages": "fr-FR, fr"}
LOCAL_NETWORK_ACCESS = {
    "network.lna.enabled": True,
    "network.lna.blocking": True,
    "network.lna.local-network-to-localhost.skip-checks": False,
}
"""As it is being introduced; the test makes the portal's address one of the internet."""
PUBLIC = "network.lna.address_space.public.override"


@pytest.fixture
def program() -> str:
    """Where Firefox is."""
    path = firefox_path()
    if path is None:
        pytest.skip("no Firefox is installed")
    return path


@asynccontextmanager
async def firefox_at_login(
    program: str, profile: Path, demo: Demo, preferences: dict[str, bool | int | str]
) -> AsyncIterator[tuple[Firefox, str]]:
    profile.mkdir()
    public = {PUBLIC: urlsplit(demo.origin).netloc.replace("localhost", "127.0.0.1")}
    async with running_firefox(program, profile, {**LANGUAGE, **public, **preferences}) as firefox:
        (tab,) = await firefox.tabs()
        await firefox.open(tab, f"{demo.origin}/?numero=7")
        assert "/_cps/login" in (await firefox.tabs())[tab]
        yield firefox, tab


async def portal_tab(firefox: Firefox, address: str, seconds: float = 30.0) -> str:
    """Wait for the portal, in whichever tab, and return that."""
    async with asyncio.timeout(seconds):
        while True:
            for tab, shown in (await firefox.tabs()).items():
                if shown == address:
                    return tab
            await asyncio.sleep(0.1)


def run(step: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(step())


@pytest.mark.parametrize(
    "preferences",
    [
        pytest.param({}, id="as installed"),
        pytest.param(LOCAL_NETWORK_ACCESS, id="local network access"),
        pytest.param({"javascript.enabled": False}, id="without script"),
        pytest.param({"dom.security.https_only_mode": True}, id="https only"),
    ],
)
def test_a_card_opens_the_portal(
    demo: Demo, program: str, tmp_path: Path, preferences: dict[str, bool | int | str]
) -> None:
    async def log_in() -> None:
        async with firefox_at_login(program, tmp_path / "profile", demo, preferences) as (
            firefox, tab,
        ):  # fmt: skip
            await firefox.click(tab, AGENT)
            portal = await portal_tab(firefox, f"{demo.origin}/?numero=7")
            if preferences.get("javascript.enabled", True):
                shown = await firefox.read(portal, "document.body.textContent")
                assert demo.holder.split()[1] in shown.upper()
                # One tab is left, the one where the login began.
                assert list(await firefox.tabs()) == [tab]

    run(log_in)


def test_blocked_cookies_are_explained(demo: Demo, program: str, tmp_path: Path) -> None:
    async def try_to_log_in() -> None:
        blocked: dict[str, bool | int | str] = {"network.cookie.cookieBehavior": 2}
        async with firefox_at_login(program, tmp_path / "profile", demo, blocked) as (firefox, tab):
            async with asyncio.timeout(20):
                while "cookies pour ce site" not in await firefox.read(
                    tab, "document.querySelector('main').innerText"
                ):
                    await asyncio.sleep(0.2)

    run(try_to_log_in)


async def at_the_question(firefox: Firefox, tab: str, demo: Demo) -> None:
    """Wait until the script sent the code on, and the question stands there."""
    question = text("start_page.question", "fr", name=demo.holder).casefold()
    async with asyncio.timeout(20):
        while (
            question
            not in (await firefox.read(tab, "document.querySelector('h1')?.textContent")).casefold()
        ):
            await asyncio.sleep(0.1)
    # No code is left in the address, and Enter would say no.
    assert (await firefox.tabs())[tab] == f"{demo.origin}/_cps/start"
    assert await firefox.read(tab, "document.activeElement.value") == "no"


@pytest.mark.parametrize(
    ("preferences", "answer"),
    [
        pytest.param({}, "yes", id="as installed"),
        pytest.param({}, "no", id="a no"),
        pytest.param(LOCAL_NETWORK_ACCESS, "yes", id="local network access"),
        pytest.param({"dom.security.https_only_mode": True}, "yes", id="https only"),
    ],
)
def test_a_login_that_begins_in_the_agent_asks_first(
    demo: Demo, program: str, tmp_path: Path, preferences: dict[str, bool | int | str], answer: str
) -> None:
    async def log_in() -> None:
        async with firefox_at_login(program, tmp_path / "profile", demo, preferences) as (
            firefox, tab,
        ):  # fmt: skip
            # As the agent has it: the address is told to the browser, by no page.
            with login_begun(demo, tmp_path) as address:
                await firefox.open(tab, address)
                await at_the_question(firefox, tab, demo)
                await firefox.click(tab, f"button[value={answer}]")
                if answer == "yes":
                    await firefox.wait_for(tab, f"{demo.origin}/")
                    shown = await firefox.read(tab, "document.body.textContent")
                    assert demo.holder.split()[1] in shown.upper()
                else:
                    await firefox.wait_for(tab, f"{demo.origin}/_cps/start/answer")
                    await firefox.open(tab, f"{demo.origin}/")
                    assert "/_cps/login" in (await firefox.tabs())[tab]

    run(log_in)


def test_no_page_opens_the_address_of_a_login_that_began_in_the_agent(
    demo: Demo, program: str, tmp_path: Path
) -> None:
    """A link to it is no person's doing: refused, and the address is still good afterwards."""

    async def try_to_log_in() -> None:
        async with firefox_at_login(program, tmp_path / "profile", demo, {}) as (firefox, tab):
            with login_begun(demo, tmp_path) as address:
                await firefox.read(tab, f"location.href = {address!r}")
                async with asyncio.timeout(20):
                    while "127.0.0.1" not in (await firefox.tabs())[tab]:
                        await asyncio.sleep(0.1)
                assert "/_cps/start" not in (await firefox.tabs())[tab]
                await firefox.open(tab, address)
                await at_the_question(firefox, tab, demo)

    run(try_to_log_in)
