import asyncio
import json
import logging
import threading

import pytest
from aiohttp import web

from gateway.guard import alarm
from gateway.guard.alarm import AlarmSender
from gateway.journal.line import FieldValue


class Receiver:
    """A server that takes alarms, or does not."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.taken: list[dict[str, FieldValue]] = []
        self.has_taken = asyncio.Event()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.taken.append(json.loads(await request.read()))
            self.has_taken.set()
        return web.Response(status=status, headers={"Location": "/elsewhere"})


async def sent(receiver: Receiver, facts: dict[str, FieldValue]) -> None:
    """Send one alarm from another thread, to a receiver that takes it in the end."""
    server = web.Server(receiver)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    sender = AlarmSender(f"http://{host}:{port}/alarms", portal="https://portal.example")
    work = asyncio.create_task(sender.run())
    threading.Thread(target=sender.send, args=(facts,)).start()
    async with asyncio.timeout(5):
        await receiver.has_taken.wait()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await runner.cleanup()


@pytest.mark.parametrize(
    "refusals", [(), (500,), (302, 404)], ids=["at once", "second try", "third try"]
)
def test_an_alarm_arrives(refusals: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarm, "PAUSE_SECONDS", 0.01)

    async def work() -> Receiver:
        receiver = Receiver(*refusals)
        await sent(receiver, {"effect": "block", "count": 200})
        return receiver

    assert asyncio.run(work()).taken == [
        {"portal": "https://portal.example", "effect": "block", "count": 200}
    ]


def test_without_an_address_an_alarm_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        AlarmSender(None, portal="https://portal.example").send({"effect": "block"})

    with caplog.at_level(logging.WARNING):
        asyncio.run(work())
    assert "alarm: effect=block" in caplog.text


def test_an_address_that_is_down_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(alarm, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(alarm, "MAX_WAITING", 1)

    async def work() -> None:
        sender = AlarmSender("http://127.0.0.1:1", portal="https://portal.example")
        for _ in range(3):
            sender.send({"effect": "block"})
        await asyncio.sleep(0)
        task = asyncio.create_task(sender.run())
        await asyncio.sleep(0.2)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(work())
    assert "too many wait" in caplog.text
    assert "was not taken at try 3 of 3" in caplog.text
