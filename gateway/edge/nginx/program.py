"""The nginx program of this machine: where it is, and whether it may stand in front of a portal."""

import gzip
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from gateway.errors import ConfigurationError

MIN_VERSION = (1, 22, 1)
"""Oldest nginx: from 1.21.1 on it refuses a request with both Content-Length and Transfer-Encoding,
and white space around header names."""
FIXED_VERSIONS = ((1, 30, 4), (1, 31, 3))
"""From these on, stable and mainline, a `map` with regular expressions, in which each request is
looked at here, cannot be made to write past its memory. Source: CVE-2026-42533."""
FIXED_PACKAGE = "1.22.1-9+deb12u10"
"""Debian's package of :data:`MIN_VERSION` from which on it has that fix too."""
FIX = b"CVE-2026-42533"
MODULES = ("http_auth_request_module", "http_ssl_module", "http_v2_module")

_USUAL_PLACES = "/usr/sbin:/usr/local/sbin:/usr/local/nginx/sbin"
_SECONDS = 10
_VERSION = re.compile(r"nginx version: [^/\n]+/(\d+)\.(\d+)\.(\d+)")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_KEY = "edge.nginx_program"


def find_program(setting: Path | None) -> Path:
    """Return the nginx to be used.

    :param setting: ``edge.nginx_program``.
    :raises ConfigurationError: where there is none, or one that must not be used, with the reason.
    """
    name = setting or shutil.which("nginx") or shutil.which("nginx", path=_USUAL_PLACES)
    if name is None:
        raise ConfigurationError("settings", _KEY, "no nginx on this machine; install one")
    program = Path(name)
    facts = _output(program, "-V")
    found = _VERSION.search(facts)
    if found is None:
        raise ConfigurationError("settings", _KEY, f"{program} is not nginx")
    version = (int(found[1]), int(found[2]), int(found[3]))
    require_version(version, is_patched=lambda: _is_patched_package(program, version))
    for module in MODULES:
        if f"--with-{module}" not in facts:
            raise ConfigurationError("settings", _KEY, f"{program} was built without {module}")
    return program


def require_version(version: tuple[int, int, int], *, is_patched: Callable[[], bool]) -> None:
    """Refuse an nginx with a defect that this configuration would lay bare.

    :param is_patched: tells whether a distribution mended the program without a new version.
    :raises ConfigurationError: with the defect's name.
    """
    text = ".".join(map(str, version))
    if version < MIN_VERSION:
        wanted = ".".join(map(str, MIN_VERSION))
        reason = f"nginx {text} lets smuggled requests through; {wanted} is wanted at least"
        raise ConfigurationError("settings", _KEY, reason)
    stable, mainline = FIXED_VERSIONS
    is_fixed = version >= mainline or stable <= version < (1, 31, 0)
    if not is_fixed and not is_patched():
        reason = (
            f"nginx {text} may have {FIX.decode()} (a request can write past its memory): wanted is"
            " 1.30.4, 1.31.3, or a Debian package whose changelog names that fix"
        )
        raise ConfigurationError("settings", _KEY, reason)


def _is_patched_package(program: Path, version: tuple[int, int, int]) -> bool:
    """Return whether *program* is of a Debian package that has the fix."""
    package = _output("dpkg-query", "--search", str(program.resolve())).partition(":")[0]
    if not package or not _PACKAGE.fullmatch(package):
        return False
    if version == MIN_VERSION:
        found = _output("dpkg-query", "--show", "--showformat=${Version}", package)
        return _succeeds("dpkg", "--compare-versions", found, "ge", FIXED_PACKAGE)
    changelog = Path("/usr/share/doc", package, "changelog.Debian.gz")
    try:
        with gzip.open(changelog) as lines:
            return any(FIX in line for line in lines)
    except OSError:
        return False


def _output(program: Path | str, *arguments: str) -> str:
    """Return what a program says, the empty text where it cannot be run or fails."""
    done = _run(program, *arguments)
    return "" if done is None or done.returncode else done.stdout.decode("utf-8", "replace")


def _succeeds(program: str, *arguments: str) -> bool:
    done = _run(program, *arguments)
    return done is not None and done.returncode == 0


def _run(program: Path | str, *arguments: str) -> subprocess.CompletedProcess[bytes] | None:
    try:
        return subprocess.run(  # noqa: S603 - the operator's own program, or dpkg; no shell
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
