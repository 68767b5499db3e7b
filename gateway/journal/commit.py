"""Group commit: lines that come together are written together, with one wait for the disk."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from gateway.errors import StoreUnavailableError
from gateway.journal.line import Fields, require_writable

MAX_BATCH = 500
"""Most lines in one write."""
MAX_WAITING = 20_000
"""Most lines that wait for the disk; a further one is refused."""

Write = Callable[[Sequence[Fields]], None]


class GroupCommit:
    """Hands lines to a writer in a thread of its own; begun with the first line."""

    def __init__(self, write: Write, *, name: str) -> None:
        """Take what writes, such as :meth:`gateway.journal.chain.Chain.append`.

        :param name: of the thread.
        """
        self._write = write
        self._name = name
        self._waiting: deque[tuple[Fields, Future[None]]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, fields: Fields) -> Future[None]:
        """Return at once what is done when the line is on the disk.

        Whoever stops waiting for it does not stop the line. It fails with
        :class:`StoreUnavailableError` where the line cannot be written.

        :raises TypeError: for a field that no line can hold: it must not fail other lines.
        """
        require_writable(fields)
        done: Future[None] = Future()
        # Cancelling it could keep a line out of the record of what was seen.
        done.set_running_or_notify_cancel()
        with self._changed:
            if self._closed or len(self._waiting) >= MAX_WAITING:
                reason = "closed" if self._closed else "too many lines wait for the disk"
                done.set_exception(StoreUnavailableError(f"{self._name}: {reason}"))
                return done
            self._waiting.append((fields, done))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()
        return done

    def close(self) -> None:
        """Write what waits, then take nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                self._write([fields for fields, _ in batch])
            except Exception as exc:  # noqa: BLE001 - whoever waits must learn of any failure
                for _, done in batch:
                    done.set_exception(exc)
            else:
                for _, done in batch:
                    done.set_result(None)

    def _next_batch(self) -> list[tuple[Fields, Future[None]]]:
        """Wait for lines and return them; none when there will be no more."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            count = min(len(self._waiting), MAX_BATCH)
            return [self._waiting.popleft() for _ in range(count)]
