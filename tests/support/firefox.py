"""Firefox as Debian has it, driven by its own WebDriver BiDi: no driver program stands between.

geckodriver is in no registry as a Linux binary, and Playwright asks for a command that this release
does not know; the few commands that a login needs are quickly said.

Source: W3C WebDriver BiDi, Editor's Draft, §7 (modules).
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from shutil import which
from typing import Any, Self

import aiohttp

PROGRAMS = ("firefox-esr", "firefox")
START_SECONDS = 60.0
ANSWER_SECONDS = 30.0
LOOK_SECONDS = 0.1
_LISTENS = re.compile(r"WebDriver BiDi listening on (ws://\S+)")


def firefox_path() -> str | None:
    """Return the installed Firefox, if there is one."""
    return next((path for name in PROGRAMS if (path := which(name))), None)


class Firefox:
    """One running Firefox; a tab is named by the id of its browsing context."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = count(1)

    async def send(self, method: str, **parameters: object) -> dict[str, Any]:
        """Give one command and return its result; events are passed over."""
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            answer = await self._socket.receive_json(timeout=ANSWER_SECONDS)
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                result: dict[str, Any] = answer["result"]
                return result

    async def tabs(self) -> dict[str, str]:
        """Return the open tabs, id to address."""
        tree = await self.send("browsingContext.getTree", maxDepth=0)
        return {tab["context"]: tab["url"] for tab in tree["contexts"]}

    async def open(self, tab: str, address: str) -> None:
        """Open *address* in a tab, to the end of its loading."""
        await self.send("browsingContext.navigate", context=tab, url=address, wait="complete")

    async def read(self, tab: str, expression: str) -> str:
        """Return the text that a script's expression gives in a tab."""
        answer = await self.send(
            "script.evaluate",
            expression=f"String({expression})",
            target={"context": tab},
            awaitPromise=True,
        )
        return str(answer["result"]["value"])

    async def click(self, tab: str, selector: str) -> None:
        """Click the first element of *selector* as a mouse does."""
        found = await self.send(
            "browsingContext.locateNodes",
            context=tab,
            locator={"type": "css", "value": selector},
            maxNodeCount=1,
        )
        (node,) = found["nodes"]
        origin = {"type": "element", "element": {"sharedId": node["sharedId"]}}
        await self._act(
            tab,
            [
                {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
                {"type": "pointerDown", "button": 0},
                {"type": "pointerUp", "button": 0},
            ],
        )

    async def wait_for(self, tab: str, address: str, seconds: float = ANSWER_SECONDS) -> None:
        """Wait until a tab shows *address*."""
        async with asyncio.timeout(seconds):
            while (await self.tabs()).get(tab) != address:
                await asyncio.sleep(LOOK_SECONDS)

    async def _act(self, tab: str, actions: Sequence[Mapping[str, object]]) -> None:
        mouse = {"type": "pointer", "id": "mouse", "actions": actions}
        await self.send("input.performActions", context=tab, actions=[mouse])

    @classmethod
    async def connected(cls, socket: aiohttp.ClientWebSocketResponse) -> Self:
        """Return the browser behind *socket*, with a session."""
        firefox = cls(socket)
        await firefox.send("session.new", capabilities={})
        return firefox


@asynccontextmanager
async def running_firefox(
    program: str, profile: Path, preferences: Mapping[str, bool | int | str]
) -> AsyncIterator[Firefox]:
    """Yield a headless Firefox with a profile of its own; it ends with the block.

    :param profile: an empty folder.
    """
    lines = [
        f"user_pref({name!r}, {str(value).lower() if isinstance(value, bool) else repr(value)});"
        for name, value in preferences.items()
    ]
    (profile / "user.js").write_text("\n".join(lines).replace("'", '"'), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        program, "--headless", "--no-remote", "--remote-debugging-port=0", "--profile", profile,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "HOME": str(profile)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(START_SECONDS):
            address = await _address(process)
        drained = asyncio.create_task(_drain(process))
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(f"{address}/session", max_msg_size=0) as socket,
        ):
            yield await Firefox.connected(socket)
        drained.cancel()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    while line := await process.stderr.readline():
        if found := _LISTENS.search(line.decode("utf-8", "replace")):
            return found[1]
    raise AssertionError("Firefox ended before it listened")


async def _drain(process: asyncio.subprocess.Process) -> None:
    assert process.stderr is not None
    while await process.stderr.readline():
        pass
