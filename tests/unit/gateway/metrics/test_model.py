import pytest

from gateway.metrics.model import Metrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_logins_are_counted_by_result(metrics: Metrics) -> None:
    metrics.decision("login_accepted", {})
    metrics.decision("login_refused", {"reason": "cert_revoked"})
    metrics.decision("login_refused", {"reason": "cert_revoked"})
    assert value(metrics, "cps_logins_total", result="accepted") == 1
    assert value(metrics, "cps_logins_total", result="cert_revoked") == 2


def test_every_line_of_the_audit_log_is_counted(metrics: Metrics) -> None:
    metrics.decision("configuration_loaded", {})
    assert value(metrics, "cps_decisions_total", event="configuration_loaded") == 1


def test_sessions_are_counted_at_both_ends(metrics: Metrics) -> None:
    metrics.decision("session_started", {})
    metrics.decision("session_ended", {"reason": "card_removed"})
    assert value(metrics, "cps_sessions_started_total") == 1
    assert value(metrics, "cps_sessions_ended_total", reason="card_removed") == 1


def test_what_the_guard_did_is_counted(metrics: Metrics) -> None:
    metrics.decision("guard", {"effect": "end_session"})
    assert value(metrics, "cps_guard_effects_total", effect="end_session") == 1


def test_answers_are_counted_by_view_and_class(metrics: Metrics) -> None:
    metrics.answered("agent.token", 403, 0.02)
    labels = {"view": "agent.token", "status": "4xx"}
    assert value(metrics, "cps_control_seconds_count", **labels) == 1
    assert value(metrics, "cps_control_seconds_bucket", le="0.025", **labels) == 1
    assert value(metrics, "cps_control_seconds_bucket", le="0.01", **labels) == 0


def test_a_request_to_the_portal_has_the_result_that_was_noted(metrics: Metrics) -> None:
    with metrics.portal_request() as request:
        request.result = "2xx"
    assert value(metrics, "cps_portal_seconds_count", result="2xx") == 1


def test_a_request_to_the_portal_that_breaks_off_is_counted_too(metrics: Metrics) -> None:
    with pytest.raises(ConnectionError), metrics.portal_request():
        raise ConnectionError
    assert value(metrics, "cps_portal_seconds_count", result="broken_off") == 1


def test_notices_are_counted_by_way_and_result(metrics: Metrics) -> None:
    metrics.notice("mail", "dropped")
    assert value(metrics, "cps_notices_total", way="mail", result="dropped") == 1


def test_requests_on_sensitive_routes_are_counted_by_what_was_done(metrics: Metrics) -> None:
    for effect in (None, None, "blocked"):
        metrics.sensitive_request(effect)
    assert value(metrics, "cps_sensitive_requests_total", effect="none") == 2
    assert value(metrics, "cps_sensitive_requests_total", effect="blocked") == 1


def test_the_share_of_a_limit_is_counted(metrics: Metrics) -> None:
    metrics.record_share(0.6)
    assert value(metrics, "cps_guard_record_share_bucket", le="0.75") == 1
    assert value(metrics, "cps_guard_record_share_bucket", le="0.5") == 0


def test_lines_wait_until_something_became_of_them(metrics: Metrics) -> None:
    metrics.journal_waits()
    metrics.journal_waits()
    metrics.journal_done(written=True)
    assert value(metrics, "cps_journal_waiting") == 1
    metrics.journal_done(written=False)
    assert value(metrics, "cps_journal_waiting") == 0
    assert value(metrics, "cps_journal_lines_total", result="written") == 1
    assert value(metrics, "cps_journal_lines_total", result="failed") == 1


def test_answers_to_nginx_are_counted_together(metrics: Metrics) -> None:
    metrics.verdicts("let_in", 20_000)
    assert value(metrics, "cps_verdicts_total", result="let_in") == 20_000
