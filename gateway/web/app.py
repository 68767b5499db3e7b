"""The control plane: every page and every request below /_cps/, as one Flask application."""

from collections.abc import Callable
from functools import partial

from flask import Flask

from gateway.clock import Clock
from gateway.guard.store import GuardStore
from gateway.login.challenge import ChallengeStore
from gateway.notify.notice import LoginNotice
from gateway.rates import MakeCounters
from gateway.session.model import SessionStore
from gateway.settings import Settings
from gateway.tracing import Tracing
from gateway.web.admin import admin
from gateway.web.agent_api import agent_api
from gateway.web.diagnostics import diagnostics
from gateway.web.failures import answer_failures
from gateway.web.headers import protect
from gateway.web.internal import internal, key_set
from gateway.web.login_pages import login_pages
from gateway.web.measure import Counts, measure
from gateway.web.pages import teach_templates
from gateway.web.parts import Audit, Parts, Signer, Verifier
from gateway.web.rate import RatedVerifier, Rates, limit_rates
from gateway.web.session_pages import session_pages
from gateway.web.start_pages import start_pages
from gateway.web.trace import trace

MAX_BODY_BYTES = 16_384
"""Largest body of any request whose view sets no limit of its own."""


def create_app(
    *,
    settings: Settings,
    clock: Clock,
    challenges: ChallengeStore,
    sessions: SessionStore,
    verifier: Verifier,
    audit: Audit,
    signer: Signer,
    make_counters: MakeCounters | None = None,
    counts: Counts | None = None,
    tracing: Tracing | None = None,
    tell_login: Callable[[LoginNotice], None] | None = None,
    guard: GuardStore | None = None,
) -> Flask:
    """Return the control plane; it keeps nothing itself, so that several processes can run it.

    :param clock: the one source of time of every view.
    :param make_counters: what rates are counted with; default: in this process alone.
    :param counts: where answers are counted; default: nowhere.
    :param tracing: what traces requests; default: nothing does.
    :param tell_login: takes the notice of each login at once; default: nobody is told.
    :param guard: who is kept out; default: no route is sensitive, and nobody is.
    """
    rates = Rates(settings.rate, clock=clock, audit=audit, make_counters=make_counters)
    parts = Parts(
        settings=settings,
        clock=clock,
        challenges=challenges,
        sessions=sessions,
        verifier=RatedVerifier(verifier, rates),
        audit=audit,
        signer=signer,
        tell_login=tell_login or _tell_nobody,
        guard=guard,
    )
    app = Flask(__name__, static_url_path="/_cps/static")
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, PROVIDE_AUTOMATIC_OPTIONS=False)
    # One spelling of each path: a redirect for "//" would be built from the Host header.
    app.url_map.merge_slashes = False
    if tracing is not None:
        trace(app, tracing)
    if counts is not None:
        measure(app, counts)
    limit_rates(app, rates)
    blueprints = (agent_api, login_pages, session_pages, admin, diagnostics, key_set)
    for blueprint in (*blueprints, start_pages):
        app.register_blueprint(blueprint(parts))
    app.register_blueprint(internal(parts, rates))
    teach_templates(app, parts)
    answer_failures(app, parts)
    app.after_request(partial(protect, https=settings.portal.origin.startswith("https:")))
    return app


def _tell_nobody(notice: LoginNotice) -> None:
    """Do nothing with the notice of a login."""
