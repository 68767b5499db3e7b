from pathlib import Path

import pytest

from cps.virtual.places import data_folder, default_home


def test_the_folder_follows_the_desktops_custom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")

    assert data_folder() == Path("/data/cps")
    assert default_home() == Path("/data/cps/cards")


@pytest.mark.parametrize("value", [None, "", "relative/folder"], ids=["none", "empty", "relative"])
def test_without_a_usable_wish_it_is_in_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is None:
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_DATA_HOME", value)
    monkeypatch.setenv("HOME", "/somewhere/somebody")

    assert data_folder() == Path("/somewhere/somebody/.local/share/cps")
