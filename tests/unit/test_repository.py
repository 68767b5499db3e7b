"""What may and what must not be in the repository."""

import ast
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("cps", "gateway")

PROTOCOL = "a protocol: the contract suites run on what implements it"
VALUES = "values alone: tested where they are used"
PROCESS = "a process: tests/flow/test_serve.py runs it"
DEMO = "the demonstration: tests/e2e/test_login.py runs it"
WITHOUT_MIRROR: Mapping[str, str] = {
    "cps/authtoken/codes.py": "tests/unit/test_every_code.py",
    "cps/card/applet.py": PROTOCOL,
    "cps/card/card.py": PROTOCOL,
    "cps/demo/commands.py": DEMO,
    "cps/demo/login.py": DEMO,
    "cps/demo/run.py": DEMO,
    "cps/issuer/oids.py": VALUES,
    "cps/pytest_plugin.py": "fixtures: tests/contract/test_pytest_plugin.py runs an example",
    "cps/simulator/card.py": PROTOCOL,
    "cps/transport/connection.py": PROTOCOL,
    "cps/virtual/errors.py": VALUES,
    "gateway/notify/notice.py": VALUES,
    "gateway/clock.py": "one line: the system's time",
    "gateway/edge/engine.py": PROTOCOL,
    "gateway/edge/notices.py": VALUES,
    "gateway/errors.py": "tests/unit/test_every_code.py",
    "gateway/guard/redis.py": "tests/contract/test_guard_stores.py",
    "gateway/guard/sqlite.py": "tests/contract/test_guard_stores.py",
    "gateway/guard/store.py": PROTOCOL,
    "gateway/login/challenge.py": PROTOCOL,
    "gateway/serve/child.py": PROCESS,
    "gateway/serve/edge.py": PROCESS,
    "gateway/serve/monitor.py": "a process: tests/flow/test_serve_monitor.py runs it",
    "gateway/serve/places.py": VALUES,
    "gateway/serve/refresh.py": "a process: tests/flow/test_serve_refresher.py runs it",
    "gateway/serve/process.py": PROCESS,
    "gateway/serve/verdict.py": PROCESS,
    "gateway/serve/watch.py": "puts parts together: tests/unit/gateway/edge/test_watch.py uses it",
    "gateway/session/model.py": PROTOCOL,
    "gateway/version.py": "one line: the installed version",
    "gateway/web/parts.py": PROTOCOL,
}
"""Modules without a test file of their own, each with the reason."""

# Put together from pieces, so that this file does not contain what it forbids.
MACHINE_PATH = re.compile(
    rb"(?<![\w}.~-])/(?:"
    + b"|".join((b"work", b"root", rb"home/\w+", rb"Users/\w+"))
    + rb")(?!\w|\.)"
)
INDEX_HOSTS = re.compile(
    b"|".join((rb"py" + rb"pi\.", rb"python" + rb"hosted\.", rb"--(?:extra-)?" + rb"index-url"))
)
PRIVATE_KEY = re.compile(
    rb"-----BEGIN [A-Z ]*" + rb"PRIVATE KEY-----|MII[\w+/]{3}IBADANBgkqhkiG9w0BAQEF" + rb"AASC"
)
KEY_SUFFIXES = frozenset({".key", ".p12", ".pfx", ".jks", ".p8"})


@cache
def tracked() -> tuple[Path, ...]:
    """Return the files of the repository, relative to its root."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so nobody knows what belongs to the repository")
    listed = subprocess.run(
        [git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    names = (Path(name) for name in listed.split("\0") if name)
    # A file that somebody deletes right now is tracked until the commit.
    return tuple(name for name in names if (ROOT / name).is_file())


def files_with(pattern: re.Pattern[bytes]) -> list[str]:
    """Return where *pattern* stands in a tracked file, for people."""
    return [
        f"{name}: {match[0]!r}"
        for name in tracked()
        for match in pattern.finditer((ROOT / name).read_bytes())
    ]


def package_modules() -> list[Path]:
    """Return the tracked modules of the packages."""
    return [name for name in tracked() if name.suffix == ".py" and name.parts[0] in PACKAGES]


def test_no_path_of_somebodys_machine() -> None:
    assert files_with(MACHINE_PATH) == []


def test_no_host_of_a_package_index() -> None:
    assert files_with(INDEX_HOSTS) == []


def test_no_private_key() -> None:
    assert files_with(PRIVATE_KEY) == []
    assert [str(name) for name in tracked() if name.suffix in KEY_SUFFIXES] == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        pytest.param(MACHINE_PATH, b"see /" + b"home/someone/x", id="home"),
        pytest.param(MACHINE_PATH, b"path = '/" + b"root/x'", id="of the administrator"),
        pytest.param(INDEX_HOSTS, b"https://py" + b"pi.org/simple", id="index"),
        pytest.param(PRIVATE_KEY, b"-----BEGIN RSA " + b"PRIVATE KEY-----", id="PEM"),
        pytest.param(
            PRIVATE_KEY,
            b"MIIEvgIBADANBgkqhkiG9w0BAQEF" + b"AASCBKgw",
            id="base64 of PKCS 8",
        ),
    ],
)
def test_what_is_forbidden_would_be_found(pattern: re.Pattern[bytes], text: bytes) -> None:
    assert pattern.search(text)


def test_every_module_of_a_package_has_a_docstring() -> None:
    without = [
        str(name)
        for name in package_modules()
        if not ast.get_docstring(ast.parse((ROOT / name).read_text(encoding="utf-8")))
    ]
    assert without == []


def mirror(module: Path) -> Path:
    """Return where the unit tests of *module* lie."""
    return Path("tests", "unit") / module.with_name(f"test_{module.name}")


def test_every_module_has_its_tests_where_one_looks_for_them() -> None:
    files = set(tracked())
    bare = {
        str(name)
        for name in package_modules()
        if name.name != "__init__.py" and mirror(name) not in files
    }
    assert bare - WITHOUT_MIRROR.keys() == set(), "write tests, or give a reason"
    assert WITHOUT_MIRROR.keys() - bare == set(), "not without tests any more, or gone"


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {
        name.parent for name in tracked() if name.suffix == ".py" and name.parts[0] == "tests"
    }
    assert [str(each) for each in folders if each / "__init__.py" not in tracked()] == []


def lines_in(*folders: str) -> int:
    """Return how many lines the tracked modules below the folders have, empty ones left out."""
    return sum(
        bool(line.strip())
        for name in tracked()
        if name.suffix == ".py" and str(name).startswith(folders)
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
    )


def test_the_workstations_package_has_a_line_of_tests_for_each_line() -> None:
    assert lines_in("tests/unit/cps/") >= lines_in("cps/")
