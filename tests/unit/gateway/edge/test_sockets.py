import grp
import os
import stat
from pathlib import Path

import pytest

from gateway.edge.sockets import open_folder, protect_socket, require_group
from gateway.errors import ConfigurationError

OWN_GROUP = grp.getgrgid(os.getegid()).gr_name


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_socket_is_the_gateways_alone(tmp_path: Path) -> None:
    socket = tmp_path / "socket"
    socket.touch(mode=0o666)
    protect_socket(socket, None)
    assert mode_of(socket) == 0o600


def test_a_socket_is_opened_to_one_group(tmp_path: Path) -> None:
    socket = tmp_path / "socket"
    socket.touch(mode=0o666)
    protect_socket(socket, OWN_GROUP)
    assert mode_of(socket) == 0o660
    assert socket.stat().st_gid == os.getegid()


def test_a_folder_can_be_entered_and_not_listed(tmp_path: Path) -> None:
    open_folder(tmp_path, OWN_GROUP)
    assert mode_of(tmp_path) == 0o710


def test_a_group_that_does_not_exist_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no group") as caught:
        protect_socket(tmp_path, "cps-nobody-here")
    assert caught.value.key == "edge.proxy_group"
    assert require_group(OWN_GROUP) == os.getegid()


def test_a_group_of_others_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(ConfigurationError, match="not in the group"):
        open_folder(tmp_path, OWN_GROUP)
