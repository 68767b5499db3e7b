"""`cps-gateway serve` with addresses of lists: the refresher brings them before logins begin."""

import os
import re
import signal
from datetime import timedelta
from pathlib import Path

from gateway.clock import system_clock
from gateway.errors import LoginRejectedError
from gateway.serve.refresh import NICENESS
from gateway.settings import Settings
from gateway.trust.crl import RevocationLists
from gateway.trust.path import ValidChain, require_chain
from gateway.trust.store import TrustStore
from tests.support import pki
from tests.support.published import PublishedAuthority
from tests.support.serving import free_port, served_gateway, wait_until_gone, write_settings


def test_lists_at_addresses_are_fetched_before_logins_begin(tmp_path: Path) -> None:
    ours, now, port = pki.hierarchy(), system_clock(), free_port()
    good = pki.leaf(serial=11, not_before=now - timedelta(days=1))
    revoked = pki.leaf(serial=12, not_before=now - timedelta(days=1))
    with PublishedAuthority(clock=system_clock) as authority:
        begin, end = now - timedelta(hours=1), now + timedelta(days=1)
        persons = pki.crl(revoked, this_update=begin, next_update=end)
        root = pki.crl(issuer=ours.root, this_update=begin, next_update=end)
        authority.publish("/leaf.crl", pki.der(persons))
        authority.publish("/root.crl", pki.der(root))
        file = write_settings(tmp_path, upstream="http://127.0.0.1:9", port=port)
        file.write_text(
            re.sub(r"crls = .*", "", file.read_text())
            + f"""
[[trust.revocation]]
authority = "middle.pem"
crl = ["{authority.url("/leaf.crl")}"]

[[trust.revocation]]
authority = "root.pem"
crl = ["{authority.url("/root.crl")}"]
"""
        )
        with served_gateway(file, port) as gateway:
            refresher = gateway.child("refresher")
            ours_is = os.getpriority(os.PRIO_PROCESS, 0)
            assert os.getpriority(os.PRIO_PROCESS, refresher) == min(ours_is + NICENESS, 19)
            settings = Settings.load(file)
            store = TrustStore.load(settings.trust, settings.environment, now)
            lists = RevocationLists.of(settings, store, now)
            assert lists.problems(now) == ()
            lists.require_good(require_chain(good, store, now), now)
            assert _is_refused(lists, require_chain(revoked, store, now))
            assert gateway.stop(signal.SIGTERM) == 0
        wait_until_gone([refresher])


def _is_refused(lists: RevocationLists, chain: ValidChain) -> bool:
    try:
        lists.require_good(chain, system_clock())
    except LoginRejectedError as exc:
        return exc.reason == "cert_revoked"
    return False
