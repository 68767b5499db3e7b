"""The portals of this agent: those that were named, and those to which the person said yes."""

import json
import logging
import os
import tempfile
import threading
import tomllib
from pathlib import Path

from cps.agent.errors import ConfigurationError
from cps.agent.origins import MAX_PORTALS, AllowList
from cps.agent.owned_file import read_owned
from cps.authtoken.frame import require_origin

MAX_CONFIRMED_BYTES = 65_536
_LOG = logging.getLogger(__name__)
_HEADER = "# Portals to which you said yes in the window of the CPS agent, one a line.\n"


class Portals:
    """The portals with which the agent may exchange anything, and those it may ask about.

    :param listed: named by the administrator, the settings or the command line.
    :param confirmed: the file with the user's own list; ``None`` where users may not add to it.
    :raises ConfigurationError: where that file is wrong, or others can write it.
    """

    def __init__(self, listed: AllowList, confirmed: Path | None = None) -> None:
        self._listed = listed
        self._file = confirmed
        self._lock = threading.Lock()
        self._confirmed: tuple[str, ...] = () if confirmed is None else _read(confirmed)

    def origins(self) -> tuple[str, ...]:
        """Return every portal that is allowed now: those named, then those confirmed."""
        return tuple(dict.fromkeys((*self._listed.origins.values(), *self._confirmed)))

    def origin_of(self, host: str) -> str | None:
        """Return the origin of a portal that is allowed, or that the person may be asked about.

        :param host: as in the origin: lower case, with the port where it is not the default one.
        :returns: ``None`` for what no person is to be asked about. A portal that is asked about is
            always one of https.
        """
        listed = self._listed.origin_of(host)
        if listed is not None or self._file is None:
            return listed
        try:
            return require_origin(f"https://{host}")
        except ValueError:
            return None

    def allows(self, origin: str) -> bool:
        """Return whether nobody needs to be asked about *origin*."""
        return origin in self.origins()

    def confirm(self, origin: str) -> None:
        """Allow *origin* from now on; where the file cannot be written, until the agent ends."""
        with self._lock:
            if self._file is None or origin in self._confirmed:
                return
            self._confirmed = (*self._confirmed, origin)[-MAX_PORTALS:]
            try:
                _write(self._file, self._confirmed)
            except OSError as exc:
                _LOG.warning("%s cannot be written: %s", self._file, exc.strerror)


def _read(file: Path) -> tuple[str, ...]:
    if not file.exists():
        return ()
    raw = read_owned(file, forbidden_mode=0o022, max_bytes=MAX_CONFIRMED_BYTES)
    try:
        origins = tomllib.loads(raw.decode("utf-8")).get("portals", [])
        if not isinstance(origins, list) or len(origins) > MAX_PORTALS:
            raise ConfigurationError(str(file), f"portals: at most {MAX_PORTALS} are wanted")
        for origin in origins:
            if not str(origin).startswith("https://"):
                raise ConfigurationError(str(file), "portals: https is wanted")
        return tuple(require_origin(str(origin)) for origin in origins)
    except ValueError as exc:
        raise ConfigurationError(str(file), str(exc)) from exc


def _write(file: Path, origins: tuple[str, ...]) -> None:
    """Put the whole list in the place of the old one, whatever happens meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f"    {json.dumps(origin)}" for origin in origins)
    # Made for this user alone, whatever the umask.
    descriptor, name = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as temporary:
        temporary.write(f"{_HEADER}portals = [\n{lines},\n]\n")
    Path(name).replace(file)
