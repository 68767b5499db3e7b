"""A robot with somebody's session, and a server that takes alarms, each with its times."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep

from tests.support.relay import RawServer, Wire, raw_request

RATE = 50
"""Requests a second."""
CONNECTIONS = 32
"""Connections at a time; a request that waits holds one."""


@dataclass
class AlarmBox:
    """Takes alarms, and the times at which they came."""

    alarms: list[tuple[float, dict[str, object]]] = field(default_factory=list)

    def take(self, wire: Wire) -> None:
        """Answer one post after another."""
        while True:
            message = wire.request()
            self.alarms.append((monotonic(), json.loads(message.body)))
            wire.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Take alarms at the address that is given."""
        with RawServer(self.take).on_port() as address:
            yield address

    def first(self, effect: str) -> float:
        """Wait for the first alarm of an effect, and return when it came."""
        deadline = monotonic() + 10
        while monotonic() < deadline:
            for at, alarm in list(self.alarms):
                if alarm["effect"] == effect:
                    return at
            sleep(0.005)
        raise AssertionError(f"no alarm of {effect} in {self.alarms}")


@dataclass
class Haul:
    """What a robot got."""

    given: list[str] = field(default_factory=list)
    """Records that it was given."""
    statuses: list[int] = field(default_factory=list)
    first_stop: float = float("inf")
    """When it was first told that it is out."""


def walk(
    addresses: Sequence[str], cookie: bytes, records: Sequence[str], until: Callable[[], bool]
) -> Haul:
    """Ask for one record after another, ``RATE`` a second, in turns at each address.

    :param until: says that enough was seen; asked before each request.
    """
    haul, lock, slots = Haul(), threading.Lock(), threading.Semaphore(CONNECTIONS)

    def ask(address: str, record: str) -> None:
        try:
            with Wire.open(address) as wire:
                wire.send(raw_request(f"/rights/{record}", "Connection: close", cookie=cookie))
                status = wire.response().status
        except (EOFError, OSError):
            # Cut, as what a session has open is when it ends.
            status = 0
        with lock:
            haul.statuses.append(status)
            if status == 200:
                haul.given.append(record)
            if status in (401, 403):
                haul.first_stop = min(haul.first_stop, monotonic())
        slots.release()

    threads, begun = [], monotonic()
    for number, record in enumerate(records):
        if until():
            break
        sleep(max(0.0, begun + number / RATE - monotonic()))
        slots.acquire()
        thread = threading.Thread(target=ask, args=(addresses[number % len(addresses)], record))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    return haul
