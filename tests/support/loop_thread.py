"""An event loop in a thread, for servers that tests talk to from outside."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import uvloop

START_SECONDS = 20

_T = TypeVar("_T")


@contextmanager
def loop_thread(
    run: Callable[[Callable[[_T], Awaitable[None]]], Coroutine[Any, Any, None]],
) -> Iterator[tuple[_T, Callable[[], object]]]:
    """Run *run* on a loop of its own until the block ends.

    :param run: starts what is needed, waits for the function that it is given, and stops it all;
        what it hands to that function is what the test gets.
    :returns: that, and a function that stops it before the block ends.
    :raises Exception: whatever *run* raised before it had started.
    """
    started: Future[tuple[_T, Callable[[], object]]] = Future()

    async def until_stopped(value: _T) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        started.set_result((value, partial(loop.call_soon_threadsafe, stop.set)))
        await stop.wait()

    def main() -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(run(until_stopped))
        except BaseException as exc:
            if started.done():
                raise
            started.set_exception(exc)

    thread = threading.Thread(target=main)
    thread.start()
    try:
        value, stop = started.result(START_SECONDS)
        try:
            yield value, stop
        finally:
            with suppress(RuntimeError):  # It was stopped already.
                stop()
    finally:
        thread.join()
