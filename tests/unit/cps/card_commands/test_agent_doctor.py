"""The report of `cps agent doctor`: each thing good and bad, and nothing secret in it."""

import re
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cps.agent.errors import SignInError
from cps.agent.policy import Policy
from cps.authtoken.codes import ErrorCode
from cps.card_commands.agent_doctor import MAX_SKEW_SECONDS, Workstation, examine_agent
from cps.card_commands.browser_rules import browser_rules
from cps.card_commands.surroundings import Surroundings, real_surroundings
from cps.errors import NoServiceError
from tests.support import pki
from tests.unit.cps.card_commands.around import Readers

ORIGIN = "https://portal.example"


@pytest.fixture
def surroundings() -> Surroundings:
    readers = Readers()
    readers.fails = NoServiceError("stopped")
    return replace(
        real_surroundings(), terminal=readers.without, clock=lambda: pki.NOW, language="fr"
    )


@pytest.fixture
def station(tmp_path: Path) -> Workstation:
    settings = tmp_path / "agent.toml"
    settings.touch(mode=0o600)
    settings.write_text(f'portals = ["{ORIGIN}"]', encoding="utf-8")
    return Workstation(
        policy=tmp_path / "policy.toml",
        settings=settings,
        confirmed=tmp_path / "confirmed.toml",
        server_time=lambda policy: lambda origin: pki.NOW,
        screen_unseen=lambda: None,
        browsers=tuple,
    )


@pytest.fixture
def report(surroundings: Surroundings, station: Workstation) -> Callable[..., str]:
    def make(**changes: object) -> str:
        changed = replace(station, **changes)  # type: ignore[arg-type] # any of its fields
        found = examine_agent(surroundings, changed)
        return "\n".join(line for finding in found for line in finding.lines())

    return make


def at(seconds: int) -> Callable[[Policy], Callable[[str], datetime]]:
    return lambda policy: lambda origin: pki.NOW - timedelta(seconds=seconds)


def test_a_workstation_that_is_well_says_so(report: Callable[..., str]) -> None:
    said = report()
    assert re.search(r"\[ OK \] Agent CPS \d+\.\d+\.\d+", said)
    assert f"{ORIGIN} : joint ; l’horloge diffère de +0 s" in said
    assert "l’utilisateur choisit ses portails" in said


def test_the_card_comes_last(report: Callable[..., str]) -> None:
    assert "[ X  ]" in report().splitlines()[-2], "the service does not run"


@pytest.mark.parametrize(
    ("seconds", "mark"), [(MAX_SKEW_SECONDS, " OK "), (MAX_SKEW_SECONDS + 1, " X  "), (-61, " X  ")]
)
def test_a_clock_that_differs_is_told(report: Callable[..., str], seconds: int, mark: str) -> None:
    assert re.search(
        rf"\[{mark}\] {ORIGIN} .*{re.escape(f'{seconds:+d}')} s", report(server_time=at(seconds))
    )


@pytest.mark.parametrize(
    "code", [ErrorCode.TLS_ERROR, ErrorCode.PROXY_ERROR, ErrorCode.GATEWAY_UNREACHABLE]
)
def test_a_portal_that_is_not_reached_says_what_to_do(
    report: Callable[..., str], code: ErrorCode
) -> None:
    def away(origin: str) -> datetime:
        raise SignInError(code, "detail")

    said = report(server_time=lambda policy: away)
    assert f"[ X  ] {ORIGIN}" in said
    assert "→" in said
    assert "detail" not in said


def test_a_proxy_is_named_without_its_password(
    report: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://user:s3cret@proxy.example:3128")
    said = report()
    assert "proxy.example:3128" in said
    assert "s3cret" not in said
    assert "user" not in said


def test_settings_that_are_refused_are_told_with_the_reason(
    report: Callable[..., str], station: Workstation
) -> None:
    station.settings.chmod(0o666)
    assert re.search(r"\[ X  \] Réglages refusés.*lets others in", report())


def test_who_holds_a_port_is_told(
    report: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        policy = Policy(ports=(port,))
        monkeypatch.setattr(Policy, "load", lambda *_, **__: policy)
        said = report()
    assert re.search(rf"Port {port} : pris par \S+", said)
    assert "Plus aucun port libre" in said
    assert "n’est pas lancé" in report()


@pytest.mark.parametrize(
    ("lock_ends", "unseen", "said"),
    [
        pytest.param(False, None, "[ OK ] Écran verrouillé : l’agent le dit", id="told"),
        pytest.param(True, None, "[ OK ] Écran verrouillé : les sessions", id="ends sessions"),
        pytest.param(False, "no bus", "[ !  ] L’agent ne voit pas", id="not seen"),
    ],
)
def test_what_a_locked_screen_does_is_told(
    report: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    lock_ends: bool,
    unseen: str | None,
    said: str,
) -> None:
    monkeypatch.setattr(Policy, "load", lambda *_, **__: Policy(lock_ends=lock_ends))
    shown = report(screen_unseen=lambda: unseen)
    assert said in shown
    assert (unseen is None) or unseen in shown


def test_rules_for_browsers_are_told_and_what_cannot_be_known(
    report: Callable[..., str], tmp_path: Path
) -> None:
    folder = tmp_path / "etc/chromium/policies/managed"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text(f'{{"LoopbackNetworkBlockedForUrls": ["{ORIGIN}"]}}')
    (folder / "b.json").write_text("{")
    said = report(browsers=lambda: browser_rules(tmp_path))
    assert re.search(rf"Chromium : {ORIGIN} ne peut pas .*LoopbackNetworkBlockedForUrls", said)
    assert f"règles illisibles, {folder}/b.json" in said
    assert "/_cps/diag" in said
    (folder / "a.json").write_text('{"LoopbackNetworkAllowedForUrls": ["*"]}')
    said = report(browsers=lambda: browser_rules(tmp_path))
    assert f"[ OK ] Chromium : {ORIGIN} peut joindre" in said


def test_an_agent_without_portals_is_told(report: Callable[..., str], station: Workstation) -> None:
    station.settings.write_text("", encoding="utf-8")
    assert "Aucun portail nommé" in report()
