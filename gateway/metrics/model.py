"""What is counted, by name; the only import of the Prometheus library's metrics."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Names, in a child's environment, the folder in which processes count; the library reads it."""
ACCEPTED = "accepted"
"""The result of a login that opens; the others are codes of refusals."""
SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of the buckets that durations are counted in."""


class Metrics:
    """The numbers of one process, added to those of the others where the folder is named.

    Made once in a process, before it answers anything: two would count in the same places.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._logins = Counter(
            "cps_logins",
            "Logins decided, by result: accepted, or the code of the refusal.",
            ["result"],
            registry=self.registry,
        )
        self._decisions = Counter(
            "cps_decisions",
            "Lines of the audit log, by event.",
            ["event"],
            registry=self.registry,
        )
        self._guard_effects = Counter(
            "cps_guard_effects",
            "What the guard did to sessions, by effect.",
            ["effect"],
            registry=self.registry,
        )
        self._sessions_started = Counter(
            "cps_sessions_started", "Sessions begun.", registry=self.registry
        )
        self._sessions_ended = Counter(
            "cps_sessions_ended", "Sessions ended, by reason.", ["reason"], registry=self.registry
        )
        self._notices = Counter(
            "cps_notices",
            "Notices of logins, by way (webhook, mail) and result.",
            ["way", "result"],
            registry=self.registry,
        )
        self._control_seconds = Histogram(
            "cps_control_seconds",
            "Time in which the control plane answered, by view and class of the status.",
            ["view", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._portal_seconds = Histogram(
            "cps_portal_seconds",
            "Time from a request to the end of its answer where the relay passes it on, by result.",
            ["result"],
            buckets=SECONDS,
            registry=self.registry,
        )

    def decision(self, event: str, fields: Mapping[str, object]) -> None:
        """Count a line of the audit log.

        :param event: the decision's name.
        :param fields: of the line.
        """
        self._decisions.labels(event).inc()
        reason = str(fields.get("reason", ""))
        if event == "login_accepted":
            self._logins.labels(ACCEPTED).inc()
        elif event == "login_refused":
            self._logins.labels(reason).inc()
        elif event == "session_started":
            self._sessions_started.inc()
        elif event == "session_ended":
            self._sessions_ended.labels(reason).inc()
        if "effect" in fields:
            self._guard_effects.labels(str(fields["effect"])).inc()

    def answered(self, view: str, status: int, seconds: float) -> None:
        """Count an answer of the control plane.

        :param view: one of the few names of views, never what a browser sent.
        """
        self._control_seconds.labels(view, f"{status // 100}xx").observe(seconds)

    def notice(self, way: str, result: str) -> None:
        """Count a notice of a login.

        :param result: ``sent``, ``failed`` or ``dropped``.
        """
        self._notices.labels(way, result).inc()

    @contextmanager
    def portal_request(self) -> Iterator["PortalRequest"]:
        """Time a request that is passed on to the portal; what the block notes is its result."""
        request, began = PortalRequest(), perf_counter()
        try:
            yield request
        finally:
            self._portal_seconds.labels(request.result).observe(perf_counter() - began)


class PortalRequest:
    """A request under way to the portal."""

    result = "broken_off"
    """A class of status such as ``2xx``, ``unavailable`` or ``timeout``; what has none by its end
    was broken off."""
