"""The administrator's file: what it says, and that nobody else may say it."""

import base64
import os
from pathlib import Path

import pytest

from cps.agent.errors import ConfigurationError
from cps.agent.policy import MAX_POLICY_BYTES, Policy
from cps.agent.ports import PORTS
from cps.agent.settings import AfterSignature

ORIGIN = "https://portal.example"
PIN = "sha256/" + base64.b64encode(bytes(range(32))).decode()
WHOLE = f"""
origins = ["{ORIGIN}", "https://second.example:8443"]
users_may_add = true
ports = [24951, 25000]
pinpad = "never"
after_signature = "leave"
on_lock = "end"
denied_readers = ["Windows Hello", "old reader"]
[pins]
"{ORIGIN}" = ["{PIN}"]
"""

posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "cps-agent"
    folder.mkdir(mode=0o755)
    file = folder / "policy.toml"
    file.touch(mode=0o644)
    return file


def load(file: Path, text: str = "") -> Policy:
    if text:
        file.write_text(text, encoding="utf-8")
    return Policy.load(file, owner=os.getuid())


def test_without_a_file_the_user_decides(tmp_path: Path) -> None:
    policy = Policy.load(tmp_path / "absent.toml")
    assert policy.users_may_add
    assert (policy.origins, policy.ports, policy.keypads) == ((), PORTS, True)
    assert policy.after_signature is None
    assert not policy.lock_ends, "each portal decides"


def test_a_file_says_everything(file: Path) -> None:
    policy = load(file, WHOLE)
    assert policy.origins == (ORIGIN, "https://second.example:8443")
    assert policy.users_may_add
    assert policy.ports == (24951, 25000)
    assert not policy.keypads
    assert policy.after_signature is AfterSignature.LEAVE
    assert policy.lock_ends
    assert policy.pins == {ORIGIN: frozenset({bytes(range(32))})}


def test_a_file_that_does_not_say_so_lets_no_user_add_a_portal(file: Path) -> None:
    assert not load(file, f'origins = ["{ORIGIN}"]').users_may_add


def test_readers_are_denied_by_how_their_names_begin(file: Path) -> None:
    policy = load(file, WHOLE)
    assert policy.denies("OLD READER 00 00")
    assert policy.denies("Windows Hello for Business 1")
    assert not policy.denies("New Reader (old reader) 00")


@posix
@pytest.mark.parametrize("mode", [0o664, 0o646], ids=["group", "others"])
def test_a_file_that_others_can_write_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(ConfigurationError, match="lets others in") as caught:
        load(file)
    assert caught.value.where == str(file)


@posix
def test_a_folder_in_which_others_can_exchange_the_file_is_refused(file: Path) -> None:
    file.parent.chmod(0o777)
    with pytest.raises(ConfigurationError, match="lets others in") as caught:
        load(file)
    assert caught.value.where == str(file.parent)


@posix
def test_a_file_of_somebody_else_is_refused(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="belongs to user"):
        Policy.load(file, owner=os.getuid() + 1)


@posix
def test_without_being_told_otherwise_root_must_own_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = os.stat_result((0o40755, 1, 1, 1, 1000, 1000, 0, 0, 0, 0))
    monkeypatch.setattr(Path, "stat", lambda *_, **__: facts)
    with pytest.raises(ConfigurationError, match="belongs to user 1000, not to user 0"):
        Policy.load(file)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("origins = [", "not TOML", id="no TOML"),
        pytest.param("origin = []", "origin: not a rule", id="unknown rule"),
        pytest.param('origins = "https://a.example"', "origins", id="origins a text"),
        pytest.param('origins = ["https://a.example/"]', "origins", id="origin with a path"),
        pytest.param('users_may_add = "no"', "users_may_add", id="a truth in words"),
        pytest.param("ports = []", "ports", id="no port"),
        pytest.param("ports = [80]", "ports", id="a port of the system"),
        pytest.param("ports = [true]", "ports", id="a port that is none"),
        pytest.param("ports = [24951, 24951]", "ports", id="the same port twice"),
        pytest.param('pinpad = "maybe"', "pinpad", id="pinpad"),
        pytest.param('after_signature = ["reset"]', "after_signature", id="after the signature"),
        pytest.param('on_lock = "keep"', "portal or end", id="a lock that no portal may heed"),
        pytest.param(f"denied_readers = {['r'] * 65}", "denied_readers", id="too many readers"),
        pytest.param('denied_readers = [""]', "denied_readers", id="every reader"),
        pytest.param("pins = []", "pins", id="pins a list"),
        pytest.param(f'[pins]\n"{ORIGIN}" = ["{PIN}"]', "not among", id="pins of no portal"),
        pytest.param(f'origins = ["{ORIGIN}"]\n[pins]\n"{ORIGIN}" = []', "pins", id="no key fits"),
        pytest.param(
            f'origins = ["{ORIGIN}"]\n[pins]\n"{ORIGIN}" = ["sha256/AAAA"]',
            "32 bytes",
            id="short pin",
        ),
        pytest.param(
            f'origins = ["{ORIGIN}"]\n[pins]\n"{ORIGIN}" = ["{PIN[7:]}"]', "sha256/", id="bare pin"
        ),
    ],
)
def test_a_fault_is_named_with_the_file(file: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        load(file, text)
    assert caught.value.where == str(file)


def test_a_file_without_end_is_refused(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="more than"):
        load(file, "#" * (MAX_POLICY_BYTES + 1))
