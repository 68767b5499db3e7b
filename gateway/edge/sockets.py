"""Who may open the Unix sockets on which proxies ask."""

import grp
import os
from pathlib import Path

from gateway.errors import ConfigurationError

ALONE_MODE = 0o600
GROUP_MODE = 0o660
FOLDER_MODE = 0o710


def protect_socket(socket: Path, group: str | None) -> None:
    """Let the gateway's own user open *socket*, and the members of *group* where there is one.

    :raises ConfigurationError: for a group that does not exist, or that the user is not in.
    """
    if group is None:
        socket.chmod(ALONE_MODE)
        return
    _hand_over(socket, group)
    socket.chmod(GROUP_MODE)


def open_folder(folder: Path, group: str) -> None:
    """Let the members of *group* reach the sockets in *folder*, of which they see no list.

    :raises ConfigurationError: for a group that does not exist, or that the user is not in.
    """
    _hand_over(folder, group)
    folder.chmod(FOLDER_MODE)


def require_group(group: str) -> int:
    """Return the number of a group.

    :raises ConfigurationError: where there is none of that name.
    """
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as exc:
        reason = f"there is no group {group}"
        raise ConfigurationError("settings", "edge.proxy_group", reason) from exc


def _hand_over(path: Path, group: str) -> None:
    number = require_group(group)
    try:
        os.chown(path, -1, number)
    except PermissionError as exc:
        reason = f"the user that runs the gateway is not in the group {group}"
        raise ConfigurationError("settings", "edge.proxy_group", reason) from exc
