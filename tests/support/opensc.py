"""OpenSC's programs and OpenSSL, run on the card that is in the virtual reader."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from cps.simulator.image import CardImage
from tests.support import cards
from tests.support.card_readers import ChangingCard

PROGRAMS = ("opensc-tool", "pkcs15-tool", "pkcs11-tool", "openssl")
LIBRARY_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
SECONDS = 30
# OpenSC keeps certificates by serial number in the home folder, also when the card is another.
NO_CACHE = "framework pkcs15 { use_file_caching = no; }"


@dataclass(slots=True, kw_only=True)
class Tools:
    """The programs, and the card they find in the reader."""

    image: CardImage
    card: ChangingCard
    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str, pin: bytes = cards.PIN) -> subprocess.CompletedProcess[str]:
        """Run one program; the PIN is in its environment, as ``env:TEST_PIN`` for the program."""
        return subprocess.run(
            arguments,
            cwd=self.folder,
            env=self.environment | {"TEST_PIN": pin.decode()},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def output(self, *arguments: str) -> str:
        """Return what a program that succeeds says."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pkcs11(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``pkcs11-tool`` on OpenSC's module."""
        return self.run("pkcs11-tool", "--module", module(), *arguments)

    def logged_in(
        self, *arguments: str, pin: bytes = cards.PIN
    ) -> subprocess.CompletedProcess[str]:
        """Run ``pkcs11-tool`` on OpenSC's module, logged in with *pin*."""
        login = ("--login", "--pin", "env:TEST_PIN")
        return self.run("pkcs11-tool", "--module", module(), *login, *arguments, pin=pin)


def tools_for(card: ChangingCard, folder: Path, *, settings: str = "") -> Tools:
    """Make *card* a new card and return the programs; skip the test where one is missing.

    :param settings: more of OpenSC's configuration.
    """
    for program in PROGRAMS:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    image = cards.image()
    card.become(image)
    configuration = folder / "opensc.conf"
    configuration.write_text(f"app default {{ {settings} {NO_CACHE} }}\n")
    environment = os.environ | {
        "OPENSC_CONF": str(configuration),
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder),
        "LC_ALL": "C.UTF-8",
    }
    return Tools(image=image, card=card, folder=folder, environment=environment)


def module() -> str:
    """Return the file of OpenSC's PKCS#11 module; skip the test where there is none."""
    for folder in LIBRARY_FOLDERS:
        for file in sorted(Path(folder).glob("**/opensc-pkcs11.so")):
            return str(file)
    pytest.skip("opensc-pkcs11.so is not installed")
