"""Where virtual cards and their authorities are, unless one says otherwise."""

import os
from pathlib import Path


def data_folder() -> Path:
    """Return this person's folder for what the programs of this project keep.

    Source: XDG Base Directory Specification 0.8: a relative path is ignored.
    """
    wanted = os.environ.get("XDG_DATA_HOME", "")
    base = Path(wanted) if Path(wanted).is_absolute() else Path.home() / ".local" / "share"
    return base / "cps"


def default_home() -> Path:
    """Return the folder of cards."""
    return data_folder() / "cards"
