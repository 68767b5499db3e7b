"""What differs between the systems that an agent runs on: where its files are."""

import os
import sys
from pathlib import Path


def policy_file() -> Path:
    """Return where the administrator's file is, which users cannot write."""
    if sys.platform == "win32":
        return Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData"), "cps-agent", "policy.toml")
    if sys.platform == "darwin":
        return Path("/Library/Application Support/cps-agent/policy.toml")
    return Path("/etc/cps-agent/policy.toml")


def confirmed_file() -> Path:
    """Return where the portals are kept to which this user said yes."""
    return Path.home() / ".config" / "cps" / "confirmed.toml"
