"""Settings files for tests: the smallest good one, and others made from it."""

import re
from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.settings import Settings

MINIMAL = """
state_dir = "state"
[portal]
origin = "https://portal.example"
upstream = "http://127.0.0.1:8000"
label = "Portail"
[trust]
anchors = ["root.pem"]
intermediates = ["intermediate.pem"]
crls = ["root.crl", "intermediate.crl"]
"""

SEVERAL = """
state_dir = "state"
[[portals]]
name = "one"
origin = "https://one.example"
upstream = "http://127.0.0.1:8001"
label = "Un"
[[portals]]
name = "two"
origin = "https://two.example"
upstream = "http://127.0.0.1:8002"
label = "Deux"
[trust]
anchors = ["root.pem"]
intermediates = ["intermediate.pem"]
crls = ["root.crl", "intermediate.crl"]
"""


def settings_folder(folder: Path) -> Path:
    """Return *folder*, having made the files there that :data:`MINIMAL` and its variants name."""
    for name in ("root.pem", "intermediate.pem", "root.crl", "intermediate.crl", "tls.pem"):
        (folder / name).touch()
    (folder / "redis-ca.pem").touch()
    for name in ("tls.key", "redis.password"):
        (folder / name).touch(mode=0o600)
    (folder / "open.password").touch(mode=0o644)
    return folder


def write(folder: Path, text: str) -> Path:
    """Return the settings file in *folder* with *text* in it."""
    file = folder / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    return file


def with_line(table: str, line: str, text: str = MINIMAL) -> str:
    """Return settings whose *table* has one more, or another, *line*."""
    name = line.partition(" ")[0]
    text = re.sub(rf"(?m)^{re.escape(name)} =.*\n", "", text)
    if not table:
        return f"{line}\n{text}"
    if f"[{table}]" not in text:
        return f"{text}\n[{table}]\n{line}\n"
    return text.replace(f"[{table}]", f"[{table}]\n{line}")


def faults(folder: Path, text: str) -> dict[str, str]:
    """Return the keys and reasons for which *text* is refused."""
    file = write(folder, text)
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(file)
    error = caught.value
    found = [error, *error.others]
    assert {fault.file for fault in found} == {str(file)}
    assert str(error).splitlines() == [f"{f.file}: {f.key}: {f.reason}" for f in found]
    return {fault.key: fault.reason for fault in found}
