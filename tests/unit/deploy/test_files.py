"""The files that install the gateway: hardened, and true to what the gateway takes."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway import main as command
from gateway.settings_environment import PREFIX, key_of
from tests.unit.gateway.test_settings import keys

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "cps-gateway.service"
DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (DEPLOY / "docker" / "compose.yaml").read_text(encoding="utf-8")
WORST_EXPOSURE = 2.0


def test_the_unit_is_as_closed_as_the_page_says() -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze here")
    said = subprocess.run(
        [program, "security", "--offline=true", "--no-pager", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"exposure level for \S+: ([0-9.]+)", said.stdout)
    if found is None:
        pytest.skip(f"systemd-analyze cannot do it here: {said.stderr[:100]}")
    assert float(found[1]) <= WORST_EXPOSURE


@pytest.mark.parametrize("text", [DOCKERFILE, COMPOSE], ids=["image", "compose"])
def test_every_variable_is_a_setting(text: str) -> None:
    names = set(re.findall(rf"{PREFIX}[A-Z_]+", text))
    assert names
    assert {key_of(name) for name in names} - set(keys()) == set()


@pytest.mark.parametrize("text", [DOCKERFILE, UNIT.read_text("utf-8")], ids=["image", "unit"])
def test_the_commands_exist(text: str) -> None:
    words = set(re.findall(r"cps-gateway[\" ,]+(serve|health|check)\b", text)) | set(
        re.findall(r'CMD \["(serve)"', text)
    )
    assert "serve" in words
    for word in words:
        command.build_parser().parse_args([word, "--config", "x"])


def test_the_image_runs_as_nobody_in_particular() -> None:
    assert "groupadd --gid 10001 " in DOCKERFILE
    assert "useradd --uid 10001 --gid 10001 " in DOCKERFILE
    assert "USER 10001:10001" in DOCKERFILE
    assert "HEALTHCHECK" in DOCKERFILE


def test_what_is_built_from_is_what_is_copied_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    wanted = {line[1:] for line in lines if line.startswith("!")}
    copied = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", DOCKERFILE)
    assert wanted == {name for names in copied for name in names.split()}
    assert "*" in lines[: lines.index("!pyproject.toml")]


def test_no_container_may_write_or_gain_rights() -> None:
    services = COMPOSE.partition("services:")[2].partition("\nnetworks:")[0]
    count = len(re.findall(r"(?m)^  [a-z]+:$", services))
    assert count == 3
    for line in ("read_only: true", "cap_drop: [ALL]", 'security_opt: ["no-new-privileges:true"]'):
        assert services.count(line) == count
    assert "inside: {internal: true}" in COMPOSE
