"""The dashboard and the alerts ask for nothing that the gateway does not tell."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from gateway.metrics.model import Metrics
from gateway.monitor.standing import Standing, StandingCollector
from gateway.session.memory import MemorySessionStore
from gateway.settings import SessionSettings
from gateway.trust.crl import RevocationLists
from tests.support.gateway_fakes import FakeClock
from tests.support.trust import trust_store

ROOT = Path(__file__).parents[3]
DASHBOARD = ROOT / "deploy" / "grafana" / "cps-gateway.json"
RULES = ROOT / "deploy" / "prometheus" / "cps-gateway.rules.yml"
PAGE = ROOT / "docs" / "how-to" / "monitor.md"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def told() -> dict[str, str]:
    """Return the name of every sample that the gateway can tell, with its metric's name."""
    standing = Standing(
        sessions=MemorySessionStore(SessionSettings()),
        revocation=RevocationLists((), trust_store(), grace_until=None),
        sockets=(),
        clock=FakeClock(),
    )
    own = CollectorRegistry()
    own.register(StandingCollector(standing, version="1", environment="test"))
    metrics = [*Metrics().registry.collect(), *own.collect()]
    return {each.name + suffix: each.name for each in metrics for suffix in SUFFIXES[each.type]}


def named(text: str) -> set[str]:
    return set(re.findall(r"\bcps_[a-z_]+", text))


def expressions() -> str:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return "\n".join(target["expr"] for panel in panels for target in panel["targets"])


@pytest.mark.parametrize(
    "text", [expressions(), RULES.read_text("utf-8")], ids=["dashboard", "alerts"]
)
def test_every_metric_that_is_asked_for_exists(text: str) -> None:
    assert named(text) - told().keys() == set()
    assert len(named(text)) > 5


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {told()[name] for name in named(expressions())}
    assert set(told().values()) - shown == set()


def test_every_metric_is_explained_and_no_other() -> None:
    rows = re.findall(r"(?m)^\| `(cps_[a-z_]+)` \|", PAGE.read_text(encoding="utf-8"))
    names = told()
    assert {names.get(row, row) for row in rows} == set(names.values())


def test_every_alert_says_what_to_do() -> None:
    text = RULES.read_text(encoding="utf-8")
    count = text.count("- alert:")
    assert count >= 8
    assert text.count("summary:") == text.count("action:") == text.count("severity:") == count
