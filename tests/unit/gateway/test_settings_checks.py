import os
from pathlib import Path

import pytest

from tests.support.settings_files import MINIMAL, faults, settings_folder, with_line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settings_folder(tmp_path)


@pytest.mark.parametrize(
    ("table", "line", "key", "reason"),
    [
        pytest.param(
            "", 'environment = "tset"', "environment", "'production' or 'test'", id="choice"
        ),
        pytest.param("session", 'idle_seconds = "60"', "session.idle_seconds", "whole", id="text"),
        pytest.param("session", "idle_seconds = 60.0", "session.idle_seconds", "whole", id="float"),
        pytest.param("session", "idle_seconds = true", "session.idle_seconds", "whole", id="bool"),
        pytest.param("portal", "label = 3", "portal.label", "text", id="number for text"),
        pytest.param("", "state_dir = 3", "state_dir", "path", id="number for a path"),
        pytest.param("", 'state_dir = ""', "state_dir", "path", id="empty path"),
        pytest.param("trust", "anchors = [3]", "trust.anchors[0]", "path", id="path in a list"),
        pytest.param("trust", "anchors = []", "trust.anchors", "at least one", id="no anchor"),
        pytest.param(
            "trust", "intermediates = []", "trust.intermediates", "at least one", id="no authority"
        ),
        pytest.param("trust", "crls = []", "trust.crls", "is missing", id="no revocation list"),
        pytest.param(
            "trust", 'crls = "root.crl"', "trust.crls", "a list is wanted", id="text for a list"
        ),
        pytest.param(
            "trust", 'crls = ["no.crl"]', "trust.crls[0]", "no.crl is not a file", id="no file"
        ),
        pytest.param("trust", 'crls = ["."]', "trust.crls[0]", "is not a file", id="a folder"),
        pytest.param(
            "trust",
            'policies = ["1.2.x"]',
            "trust.policies[0]",
            "not an object identifier",
            id="policy",
        ),
        pytest.param(
            "trust",
            'policies = ["2.5.29.32.0"]',
            "trust.policies[0]",
            "anyPolicy demands nothing",
            id="any policy",
        ),
        pytest.param(
            "login", 'card_types = ["XXX"]', "login.card_types[0]", "'CPS', 'CPF'", id="card type"
        ),
        pytest.param(
            "login", "card_types = []", "login.card_types", "at least one", id="no card type"
        ),
        pytest.param(
            "login", "allow = [{}]", "login.allow[0]", "describes nobody", id="allow nobody"
        ),
        pytest.param(
            "login",
            "deny = [{people = []}]",
            "login.deny[0]",
            "describes nobody",
            id="deny nobody",
        ),
        pytest.param(
            "login",
            'deny = [{people = ["8 999"]}]',
            "login.deny[0].people[0]",
            "pattern",
            id="number with a space",
        ),
        pytest.param(
            "login",
            "allow = [{profession = [10]}]",
            "login.allow[0].profession",
            "is not a setting",
            id="unknown list",
        ),
        pytest.param("login", 'min_agent = "1.2"', "login.min_agent", "version", id="version"),
        pytest.param(
            "listen", 'address = "localhost"', "listen.address", "IP address", id="host name"
        ),
        pytest.param("portal", 'label = ""', "portal.label", "at least 1", id="empty label"),
        pytest.param(
            "portal", f'label = "{"x" * 65}"', "portal.label", "at most 64", id="long label"
        ),
        pytest.param(
            "portal", 'label = "a\\nb"', "portal.label", "printable", id="line end in the label"
        ),
        pytest.param(
            "portal", 'label = "a\\u202eb"', "portal.label", "printable", id="turned label"
        ),
        pytest.param(
            "portal", 'audience = "a b"', "portal.audience", "without space", id="audience"
        ),
        pytest.param("audit", 'file = "."', "audit.file", "is a folder", id="audit to a folder"),
        pytest.param(
            "audit", 'file = "no/a"', "audit.file", "does not exist", id="audit to nowhere"
        ),
        pytest.param("", 'state_dir = "no/a"', "state_dir", "does not exist", id="state nowhere"),
        pytest.param("", 'state_dir = "tls.pem"', "state_dir", "is not a folder", id="state file"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_its_reason(
    folder: Path, table: str, line: str, key: str, reason: str
) -> None:
    found = faults(folder, with_line(table, line))
    assert set(found) == {key}
    assert reason in found[key]


@pytest.mark.parametrize(
    "origin",
    [
        "portal.example",
        "https://portal.example/",
        "https://portal.example:443",
        "https://Portal.example",
        "https://été.example",
        "https://a@portal.example",
        "https://portal.example?x",
        "ftp://portal.example",
        "",
    ],
)
def test_the_origin_has_one_spelling(folder: Path, origin: str) -> None:
    assert set(faults(folder, with_line("portal", f'origin = "{origin}"'))) == {"portal.origin"}


@pytest.mark.parametrize(
    "upstream",
    [
        "127.0.0.1:8000",
        "http://127.0.0.1:8000/",
        "http://127.0.0.1:8000/app",
        "http://127.0.0.1:8000?x=1",
        "http://127.0.0.1:8000#x",
        "http://user:secret@127.0.0.1",
        "http://",
        "http://:8000",
        "http://a b",
        "http://a:b",
        "http://a:0",
        "http://[::1",
        "HTTP://a",
        "unix:/run/a",
        "",
    ],
)
def test_the_upstream_is_an_address_without_a_path(folder: Path, upstream: str) -> None:
    found = faults(folder, with_line("portal", f'upstream = "{upstream}"'))
    assert set(found) == {"portal.upstream"}


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601], ids=oct)
def test_a_tls_key_that_every_user_can_open_is_refused(folder: Path, mode: int) -> None:
    (folder / "tls.key").chmod(mode)
    text = with_line("listen", 'tls_certificate = "tls.pem"\ntls_key = "tls.key"')
    assert "chmod" in faults(folder, text)["listen.tls_key"]


@pytest.mark.parametrize("key", ["state_dir", "runtime_dir"])
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777], ids=oct)
def test_a_folder_that_others_can_write_is_refused(folder: Path, key: str, mode: int) -> None:
    (folder / "shared").mkdir()
    (folder / "shared").chmod(mode)
    assert "chmod" in faults(folder, with_line("", f'{key} = "shared"'))[key]


def test_a_folder_of_another_user_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "state").mkdir(mode=0o700)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert "another user" in faults(folder, MINIMAL)["state_dir"]
