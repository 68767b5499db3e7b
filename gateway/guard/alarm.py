"""Alarms: posted to the address in the settings as they come, beside audit log and log."""

import asyncio
import logging
from http import HTTPStatus

import aiohttp

from gateway.journal.line import FieldValue

MAX_WAITING = 100
"""Alarms that wait to be sent; further ones stand in the audit log alone."""
TRIES = 3
TRY_SECONDS = 5.0
"""Time for one try."""
PAUSE_SECONDS = 1.0
"""Pause before the next."""

_log = logging.getLogger("gateway.guard")


class AlarmSender:
    """Takes alarms from any thread, and posts them from the event loop."""

    def __init__(self, url: str | None, *, portal: str) -> None:
        """Take where to; needs a running event loop.

        :param url: ``None`` where alarms are only logged.
        :param portal: the portal's origin, named in each alarm.
        """
        self._url = url
        self._portal = portal
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[dict[str, FieldValue]] = asyncio.Queue(MAX_WAITING)

    def send(self, facts: dict[str, FieldValue]) -> None:
        """Log an alarm and have it posted, without waiting."""
        _log.warning("alarm: %s", " ".join(f"{name}={value}" for name, value in facts.items()))
        if self._url is not None:
            self._loop.call_soon_threadsafe(self._queue, {"portal": self._portal, **facts})

    async def run(self) -> None:
        """Post alarms until cancelled."""
        if self._url is None:
            await asyncio.Event().wait()
            return
        timeout = aiohttp.ClientTimeout(total=TRY_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as client:
            while True:
                await self._post(client, self._url, await self._waiting.get())

    def _queue(self, alarm: dict[str, FieldValue]) -> None:
        try:
            self._waiting.put_nowait(alarm)
        except asyncio.QueueFull:
            _log.error("an alarm is not posted: too many wait")

    async def _post(
        self, client: aiohttp.ClientSession, url: str, alarm: dict[str, FieldValue]
    ) -> None:
        for number in range(1, TRIES + 1):
            try:
                async with client.post(url, json=alarm, allow_redirects=False) as answer:
                    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                        return
                    reason = f"answer {answer.status}"
            except (aiohttp.ClientError, OSError, ValueError) as exc:
                reason = type(exc).__name__
            _log.error("an alarm was not taken at try %d of %d: %s", number, TRIES, reason)
            if number < TRIES:
                await asyncio.sleep(PAUSE_SECONDS)
