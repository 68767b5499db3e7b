"""The log of every process: one line an event, on standard error."""

import logging
import time
from collections.abc import Mapping
from types import MappingProxyType

GRANIAN_LOGGING: Mapping[str, object] = MappingProxyType(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {},
        "handlers": {},
        "loggers": {"_granian": {"handlers": [], "propagate": True}},
    }
)
"""Has granian write through our log instead of its own lines on standard output."""
_FORMAT = "%(asctime)sZ %(levelname)s %(name)s: %(message)s"
_TEST_FORMAT = f"TEST {_FORMAT}"
"""Where test cards are let in, no line can be taken for one of a portal with real data."""


class OneLineFormatter(logging.Formatter):
    """Keeps an event in its line, so that nothing from outside can begin another one."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Return the event's one line."""
        line = super().format(record)
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def configure_logs(*, is_test: bool = False) -> None:
    """Have this process log to standard error.

    :param is_test: whether test cards are let in, which every line then says.
    """
    handler = logging.StreamHandler()
    form = _TEST_FORMAT if is_test else _FORMAT
    handler.setFormatter(OneLineFormatter(form, "%Y-%m-%dT%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Its lines may quote what a browser sent, cookies and one-time codes among it.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    # Its lines come with each batch that is lost, and quote the address with what may be a key.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    # It quotes fields for the collector that it cannot read, with the key that is among them.
    logging.getLogger("opentelemetry.util").setLevel(logging.CRITICAL)
