import asyncio
from time import monotonic

import pytest

from gateway.guard.slow import MAX_WAITING, SlowLane, TooManySlowedError


def test_requests_of_a_session_pass_one_by_one_and_others_beside_them() -> None:
    async def work() -> tuple[float, float]:
        lane, begun = SlowLane(0.05), monotonic()

        async def pass_one(session: bytes) -> float:
            await lane.wait(session)
            return monotonic() - begun

        *one, other = await asyncio.gather(*map(pass_one, [b"a", b"a", b"a", b"b"]))
        return max(one), other

    last, other = asyncio.run(work())
    assert last >= 0.15
    assert other < last


def test_too_many_are_refused_and_nothing_is_kept() -> None:
    async def work() -> None:
        lane = SlowLane(10)
        waiting = [asyncio.create_task(lane.wait(b"a")) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(TooManySlowedError):
            await lane.wait(b"a")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert lane._lanes == {}

    asyncio.run(work())
