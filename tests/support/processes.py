"""Run the same work in two processes at once, to see who wins."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import TypeVar

T = TypeVar("T")
_SECONDS = 60


def in_two_processes(work: Callable[..., T], *arguments: object) -> tuple[T, T]:
    """Return what ``work(*arguments, together)`` gives in each of two new processes.

    :param work: a function of a module; *together* is a barrier that both can wait at.
    """
    # Spawned, not forked: an open database does not survive a fork.
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2)
    ends = [context.Pipe(duplex=False) for _ in range(2)]
    processes = [
        context.Process(target=_run, args=(send, work, arguments, together)) for _, send in ends
    ]
    for process in processes:
        process.start()
    try:
        results = []
        for (receive, _), process in zip(ends, processes, strict=True):
            if not receive.poll(_SECONDS):
                raise AssertionError(f"process {process.pid} did not answer")
            results.append(receive.recv())
    finally:
        for process in processes:
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()
        for receive, send in ends:
            receive.close()
            send.close()
    first, second = results
    return first, second


def _run(
    send: Connection, work: Callable[..., object], arguments: tuple[object, ...], together: Barrier
) -> None:
    send.send(work(*arguments, together))
