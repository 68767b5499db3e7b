"""What `cps agent doctor` looks at: the agent and what it rests on; then the card, as elsewhere.

The report holds no secret: it can be sent to a help desk as it is.
"""

import platform
import socket
import ssl
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cps.agent import VERSION
from cps.agent.errors import ConfigurationError, SignInError
from cps.agent.gateway_client import GatewayClient, proxy_for
from cps.agent.origins import AllowList
from cps.agent.peer import port_holder
from cps.agent.platform import confirmed_file, desktop_unseen, policy_file
from cps.agent.policy import Policy
from cps.agent.portals import Portals
from cps.agent.ports import ADDRESS
from cps.agent.settings import SETTINGS_FILE, AgentSettings
from cps.agent.texts import words
from cps.agent.window import window_usable
from cps.authtoken.catalogue import text
from cps.card_commands.browser_rules import BrowserRules, UnreadableRules, Verdict, browser_rules
from cps.card_commands.doctor import Finding, Mark, examine
from cps.card_commands.surroundings import Surroundings

MAX_SKEW_SECONDS = 60
"""Past that a certificate's dates, and a login's time, may be misjudged on one side."""
CONNECT_SECONDS = 0.5

ServerTime = Callable[[str], datetime]
"""Returns the present at a portal's gateway; raises SignInError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workstation:
    """Where the agent's files are, and how gateways are reached; tests put others in place."""

    policy: Path
    settings: Path
    confirmed: Path
    server_time: Callable[[Policy], ServerTime]
    screen_unseen: Callable[[], str | None]
    """Returns why a locked screen is not seen, ``None`` where it is."""
    browsers: Callable[[], Iterable[BrowserRules | UnreadableRules]]
    """Returns the administrator's rules for browsers."""


def this_workstation() -> Workstation:
    """Return what an agent that is started here would use."""
    return Workstation(
        policy=policy_file(),
        settings=Path.home() / SETTINGS_FILE,
        confirmed=confirmed_file(),
        server_time=_by_https,
        screen_unseen=desktop_unseen,
        browsers=browser_rules,
    )


def examine_agent(surroundings: Surroundings, station: Workstation) -> Iterator[Finding]:
    """Yield what is found of the agent, its portals, and then the reader and its card."""
    yield from _AgentExamination(surroundings, station).run()
    yield from examine(surroundings, None)


class _AgentExamination:
    def __init__(self, surroundings: Surroundings, station: Workstation) -> None:
        self._surroundings = surroundings
        self._station = station

    def run(self) -> Iterator[Finding]:
        yield self._found(
            Mark.GOOD,
            "version",
            version=VERSION,
            python=platform.python_version(),
            system=f"{platform.system()} {platform.release()}",
        )
        way = "window" if window_usable() else "no_window"
        yield self._found(Mark.GOOD if way == "window" else Mark.ODD, way)
        try:
            policy = Policy.load(self._station.policy)
            settings = AgentSettings.load(self._station.settings)
            listed = AllowList.of(
                (), settings.portals, policy=policy.origins, development=True, may_be_empty=True
            )
            portals = Portals(listed, self._station.confirmed if policy.users_may_add else None)
        except ConfigurationError as exc:
            yield self._found(Mark.BAD, "settings_wrong", reason=str(exc))
            return
        said = "policy" if self._station.policy.exists() else "no_policy"
        yield self._found(Mark.GOOD, said, file=self._station.policy)
        yield self._screen(policy)
        yield from self._ports(policy)
        if not portals.origins():
            yield self._found(Mark.ODD, "no_portal")
        server_time = self._station.server_time(policy)
        for origin in portals.origins():
            yield from self._portal(origin, server_time)
        yield from self._browsers(portals.origins())

    def _screen(self, policy: Policy) -> Finding:
        unseen = self._station.screen_unseen()
        if unseen is None:
            return self._found(Mark.GOOD, "lock_ends" if policy.lock_ends else "lock_told")
        return self._found(Mark.ODD, "lock_unseen", advice="lock_unseen_advice", reason=unseen)

    def _browsers(self, origins: Iterable[str]) -> Iterator[Finding]:
        for rules in self._station.browsers():
            if isinstance(rules, UnreadableRules):
                yield self._found(
                    Mark.ODD, "browser_unreadable", browser=rules.browser, file=rules.file
                )
                continue
            for origin in origins:
                verdict, rule = rules.judge(origin)
                if verdict is not Verdict.SILENT:
                    name = f"browser_{verdict.name.lower()}"
                    mark = Mark.GOOD if verdict is Verdict.ALLOWED else Mark.ODD
                    yield self._found(mark, name, browser=rules.browser, origin=origin, rule=rule)
        yield self._found(Mark.GOOD, "browser_unknown")

    def _ports(self, policy: Policy) -> Iterator[Finding]:
        free = []
        for port in policy.ports:
            if _is_taken(port):
                holder = port_holder(port) if sys.platform == "linux" else "?"
                yield self._found(Mark.GOOD, "port_taken", port=port, holder=holder)
            else:
                free.append(port)
        if len(free) == len(policy.ports):
            yield self._found(Mark.ODD, "not_running", advice="not_running_advice")
        elif not free:
            yield self._found(Mark.ODD, "no_port_free")

    def _portal(self, origin: str, server_time: ServerTime) -> Iterator[Finding]:
        proxy = proxy_for(origin)
        if proxy is not None:
            # Its credentials, where it has any, are nobody's business.
            host = proxy.rpartition("@")[2].removeprefix("http://")
            yield self._found(Mark.GOOD, "proxy", origin=origin, proxy=host)
        try:
            theirs = server_time(origin)
        except SignInError as exc:
            said = words("error", exc.code, self._surroundings.language)
            yield Finding(mark=Mark.BAD, words=f"{origin} : {said.title}.", advice=said.sentence)
            return
        skew = round((self._surroundings.clock() - theirs).total_seconds())
        if abs(skew) > MAX_SKEW_SECONDS:
            yield self._found(
                Mark.BAD, "skewed", advice="skewed_advice", origin=origin, seconds=f"{skew:+d}"
            )
        else:
            yield self._found(Mark.GOOD, "reached", origin=origin, seconds=f"{skew:+d}")

    def _found(
        self, mark: Mark, name: str, *, advice: str | None = None, **values: object
    ) -> Finding:
        language = self._surroundings.language
        return Finding(
            mark=mark,
            words=text(f"agent_doctor.{name}", language, **values),
            advice=None if advice is None else text(f"agent_doctor.{advice}", language),
        )


def _by_https(policy: Policy) -> ServerTime:
    tls = ssl.create_default_context()

    def server_time(origin: str) -> datetime:
        return GatewayClient(origin, tls=tls, pins=policy.pins.get(origin, ())).server_time()

    return server_time


def _is_taken(port: int) -> bool:
    with socket.socket() as asked:
        asked.settimeout(CONNECT_SECONDS)
        return asked.connect_ex((ADDRESS, port)) == 0
