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


class OneLineFormatter(logging.Formatter):
    """Keeps an event in its line, so that nothing from outside can begin another one."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Return the event's one line."""
        line = super().format(record)
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def configure_logs() -> None:
    """Have this process log to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLineFormatter(_FORMAT, "%Y-%m-%dT%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Its lines may quote what a browser sent, cookies and one-time codes among it.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
