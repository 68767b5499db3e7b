"""From the card's leaving a PC/SC reader to the last cut, and the same where the network is cut.

Card in a virtual reader behind pcscd, agent and gateway as programs of their own, an event stream,
a WebSocket and a download open at each time.
"""

import signal
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from cps.simulator.chip import SoftwareCard
from cps.virtual.reader import ReaderUnavailableError, VirtualReader, virtual_reader
from tests.support import cards
from tests.support.streams import CUT_SECONDS, OpenStream, open_all
from tests.support.whole import Whole, whole

ROUNDS = 50
CUT_ROUNDS = 3
GRACE_SECONDS = 60
"""The default, which the bench leaves as it is."""

ROOMY_RATE = "[rate]\nidentity_per_minute = 600\n"
"""One person logs in more often here than any other."""


def main() -> None:
    """Print median and worst of both."""
    print("A session's end at the last of three open answers, all parts as programs of their own")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cps-")))
        try:
            reader = stack.enter_context(virtual_reader(folder / "pcscd.log"))
        except ReaderUnavailableError as exc:
            print(f"  skipped: {exc}")
            return
        line = stack.enter_context(whole(folder, more=ROOMY_RATE))
        stack.enter_context(line.gateway())
        _print("card out", [_card_out(line, reader) for _ in range(ROUNDS)])
        _print("network cut", _network_cut(line, reader))


def _print(name: str, times: list[float]) -> None:
    median, worst = statistics.median(times), max(times)
    print(f"  {name:12} {len(times):3} times   median {median:6.2f} s   worst {worst:6.2f} s")
    sys.stdout.flush()


def _card_out(line: Whole, reader: VirtualReader) -> float:
    with ExitStack() as card:
        card.enter_context(reader.holding(SoftwareCard(cards.image())))
        streams = open_all(line, line.log_in())
        began = time.monotonic()
        pulling = threading.Thread(target=card.close)
        pulling.start()
        seconds = _last_cut(streams) - began
        pulling.join()
    return seconds


def _network_cut(line: Whole, reader: VirtualReader) -> list[float]:
    """Stop the agent by a signal: nothing of it arrives any more, not even an end."""
    with reader.holding(SoftwareCard(cards.image())):
        # All at once: each waits for the whole grace.
        opened = [open_all(line, line.log_in()) for _ in range(CUT_ROUNDS)]
        line.agent.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        time.sleep(GRACE_SECONDS - CUT_SECONDS / 2)
        return [_last_cut(streams) - began for streams in opened]


def _last_cut(streams: list[OpenStream]) -> float:
    last = max(stream.cut_at() for stream in streams)
    for stream in streams:
        stream.close()
    return last


if __name__ == "__main__":
    main()
