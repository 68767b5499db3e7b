"""What ``cps-gateway keys`` does: show the keys that sign assertions, and change them."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from gateway.assertion_keys import RETIRE_SECONDS, KeyRing, load_or_create, rotate
from gateway.clock import Clock
from gateway.operator.acts import record_act
from gateway.serve.places import Places
from gateway.settings import Settings
from gateway.settings_portals import Portals


def list_keys(settings_path: Path, now: datetime, *, portal: str | None = None) -> list[str]:
    """Return a line for each key that is published.

    :param portal: whose; its name, ``None`` where there is one portal.
    :raises ConfigurationError: for settings or a key file that cannot be used.
    """
    return _lines(load_or_create(_key_file(_load(settings_path, portal))), now)


def rotate_keys(
    settings_path: Path, clock: Clock, *, at_once: bool, portal: str | None = None
) -> list[str]:
    """Make a new key, which running processes take up by themselves, and return the keys' lines.

    :param portal: whose; its name, ``None`` where there is one portal.
    :param at_once: all other keys end now, for one that got into wrong hands.
    :raises ConfigurationError: for settings or a key file that cannot be used.
    :raises StoreUnavailableError: where it cannot be recorded; then nothing is changed.
    """
    settings = _load(settings_path, portal)
    # What is refused is not recorded.
    record = partial(record_act, settings, clock, "keys_rotated", at_once=at_once)
    now = clock()
    return _lines(rotate(_key_file(settings), now, at_once=at_once, before=record), now)


def _load(settings_path: Path, portal: str | None) -> Settings:
    portals = Portals.load(settings_path)
    settings = portals.choose(portal, file=settings_path)
    portals.create_directories(file=settings_path)
    return settings


def _key_file(settings: Settings) -> Path:
    return Places.of(settings).assertion_key


def _lines(ring: KeyRing, now: datetime) -> list[str]:
    lines = []
    signing = ring.signing(now)
    for key in ring.published(now):
        # What another key takes over from, it takes over at its own beginning.
        following = [other for other in ring.keys if other.signs_from > key.signs_from]
        if key is signing:
            state = "signs"
        else:
            state = "will sign" if key.signs_from > signing.signs_from else "signs no more"
        times = [f"from {_time(key.signs_from)}"] if key.signs_from else []
        if following:
            times += [f"published until {_time(following[0].signs_from + RETIRE_SECONDS)}"]
        lines.append("  ".join([key.kid, state, *times]))
    return lines


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
