"""What is counted, by name; the only import of the Prometheus library's metrics."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Names, in a child's environment, the folder in which processes count; the library reads it."""
ACCEPTED = "accepted"
"""The result of a login that opens; the others are codes of refusals."""
SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of the buckets that durations are counted in."""
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Bounds of the buckets for how near a count is to its limit."""


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
        self._sensitive = Counter(
            "cps_sensitive_requests",
            "Requests on sensitive routes, by what the guard did: none, an effect, or a refusal.",
            ["effect"],
            registry=self.registry,
        )
        self._record_share = Histogram(
            "cps_guard_record_share",
            "Distinct records of an identity or session, as a share of the nearest limit.",
            buckets=SHARES,
            registry=self.registry,
        )
        self._journal_lines = Counter(
            "cps_journal_lines",
            "Lines for the access journal, by result: written or failed.",
            ["result"],
            registry=self.registry,
        )
        self._journal_waiting = Gauge(
            "cps_journal_waiting",
            "Lines that wait for the disk.",
            registry=self.registry,
            # Of a process that died nothing waits any more.
            multiprocess_mode="livesum",
        )
        self._waiting, self._waiting_lock = 0, Lock()
        self._verdicts = Counter(
            "cps_verdicts",
            "Answers to nginx about a request, by result.",
            ["result"],
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

    def sensitive_request(self, effect: str | None) -> None:
        """Count a request on a sensitive route.

        :param effect: what the guard did, ``None`` for nothing.
        """
        self._sensitive.labels(effect or "none").inc()

    def record_share(self, share: float) -> None:
        """Note how near to a limit somebody's count of records is.

        :param share: 1 at the limit.
        """
        self._record_share.observe(share)

    def journal_waits(self) -> None:
        """Note that a line for the journal waits; from any thread."""
        self._wait(1)

    def journal_done(self, *, written: bool) -> None:
        """Note what became of a line that waited; from any thread."""
        self._journal_lines.labels("written" if written else "failed").inc()
        self._wait(-1)

    def verdicts(self, result: str, count: int) -> None:
        """Count answers to nginx.

        :param result: one of the few names that :mod:`gateway.edge.verdict` gives them.
        """
        self._verdicts.labels(result).inc(count)

    def _wait(self, change: int) -> None:
        with self._waiting_lock:
            self._waiting += change
            self._journal_waiting.set(self._waiting)

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
