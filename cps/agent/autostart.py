"""The agent started with the session, on Linux: a systemd user unit, or an XDG autostart file.

With it comes the scheme by which login pages hand a login over; see :mod:`cps.agent.handoff`.

Source: systemd.service(5), systemd.special(7); Desktop Application Autostart Specification 0.5;
Desktop Entry Specification 1.5, "The Exec key".
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cps.agent.errors import AgentError

UNIT = Path(".config", "systemd", "user", "cps-agent.service")
AUTOSTART = Path(".config", "autostart", "cps-agent.desktop")
SCHEME = Path(".local", "share", "applications", "cps-login.desktop")
_SYSTEMCTL_SECONDS = 20

_UNIT_TEXT = """[Unit]
Description=CPS agent: logs in to portals with the card in the reader
After=graphical-session.target
PartOf=graphical-session.target

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=2
UMask=0077
NoNewPrivileges=yes

[Install]
WantedBy=graphical-session.target
"""
_AUTOSTART_TEXT = """[Desktop Entry]
Type=Application
Name=Agent CPS
Comment=Ouvre les portails avec la carte CPS du lecteur
Exec={command}
Terminal=false
X-GNOME-Autostart-enabled=true
"""
_SCHEME_TEXT = """[Desktop Entry]
Type=Application
Name=Agent CPS
Exec={command} open %u
Terminal=false
NoDisplay=true
MimeType=x-scheme-handler/cps-login;
"""


def install(home: Path, arguments: Sequence[str] = (), *, environment: Mapping[str, str]) -> Path:
    """Have the agent start with this user's sessions, and return the file that does it.

    :param arguments: of the agent, such as ``--portal ORIGIN``.
    :param environment: tells whether systemd runs the session.
    :raises AgentError: on another system, or where systemd refuses.
    :raises OSError: where the file cannot be written.
    """
    _require_linux()
    agent = [sys.executable, "-I", "-m", "cps.main", "agent"]
    _write(home / SCHEME, _SCHEME_TEXT.format(command=" ".join(map(_desktop_word, agent))))
    _tell_desktop(home)
    command = [*agent, *arguments]
    if _has_systemd(environment):
        (home / AUTOSTART).unlink(missing_ok=True)
        file = home / UNIT
        _write(file, _UNIT_TEXT.format(command=" ".join(map(_unit_word, command))))
        _systemctl("daemon-reload")
        _systemctl("enable", "--now", UNIT.name)
    else:
        file = home / AUTOSTART
        _write(file, _AUTOSTART_TEXT.format(command=" ".join(map(_desktop_word, command))))
    return file


def uninstall(home: Path, *, environment: Mapping[str, str]) -> list[Path]:
    """Undo :func:`install`, and return the files that are gone.

    :raises AgentError: on another system.
    """
    _require_linux()
    files = (home / UNIT, home / AUTOSTART, home / SCHEME)
    gone = [file for file in files if file.exists()]
    if home / UNIT in gone and _has_systemd(environment):
        _systemctl("disable", "--now", UNIT.name)
    for file in gone:
        file.unlink()
    _tell_desktop(home)
    return gone


def _require_linux() -> None:
    if sys.platform != "linux":
        raise AgentError("this system starts programs its own way: see docs/how-to/agent.md")


def _has_systemd(environment: Mapping[str, str]) -> bool:
    runtime = environment.get("XDG_RUNTIME_DIR")
    return bool(
        runtime and Path(runtime, "systemd").is_dir() and shutil.which("systemctl") is not None
    )


def _tell_desktop(home: Path) -> None:
    """Have the desktop look anew at who opens what; one without that program looks by itself."""
    program = shutil.which("update-desktop-database")
    folder = (home / SCHEME).parent
    if program is not None and folder.is_dir():
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(  # noqa: S603 - a program of the system's, with our own words
                [program, str(folder)], capture_output=True, check=False, timeout=_SYSTEMCTL_SECONDS
            )


def _systemctl(*words: str) -> None:
    program = shutil.which("systemctl")
    try:
        done = subprocess.run(  # noqa: S603 - a program of the system's, with our own words
            [str(program), "--user", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SYSTEMCTL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise AgentError(f"systemctl --user {words[0]}: {exc}") from exc
    if done.returncode != 0:
        raise AgentError(f"systemctl --user {words[0]}: {done.stderr.strip()[:300]}")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # What starts with the session must be this user's to write alone.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as opened:  # noqa: PTH123 - a descriptor
        os.fchmod(descriptor, 0o600)
        opened.write(text)


def _unit_word(word: str) -> str:
    quoted = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{quoted}"'


def _desktop_word(word: str) -> str:
    for letter in '\\"`$':
        word = word.replace(letter, f"\\{letter}")
    # The file's own rule for texts comes on top of that of the command line.
    return '"' + word.replace("\\", "\\\\").replace("%", "%%") + '"'
