"""The agent put together: readers, PIN entry, portals, server; then until it is told to end."""

import asyncio
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from cps.agent.begun import BegunLogins
from cps.agent.consent import Consent
from cps.agent.desktop import TrayIcon
from cps.agent.errors import AgentError, ConfigurationError
from cps.agent.file import pin_from_descriptor, pin_from_file
from cps.agent.gateway_client import GatewayClient
from cps.agent.handover import Handover
from cps.agent.origins import AllowList
from cps.agent.pages import Pages
from cps.agent.pin_entry import PINEntry
from cps.agent.platform import confirmed_file, desktop_watch, policy_file
from cps.agent.policy import Policy
from cps.agent.portals import Portals
from cps.agent.ports import ADDRESS, listen
from cps.agent.presence import Presence
from cps.agent.server import (
    AgentServer,
    ServerLimits,
    belongs_to_this_user,
    tells_users_apart,
)
from cps.agent.settings import SETTINGS_FILE, AfterSignature, AgentSettings
from cps.agent.signin import SignIn
from cps.agent.texts import Words, words
from cps.agent.window import WindowPINEntry, window_usable
from cps.agent.workflow import Workflow, WorkflowLimits
from cps.authtoken.catalogue import language_of
from cps.card.cache import FolderCache, default_folder
from cps.card.contact import ContactCard
from cps.card.recognise import open_card
from cps.errors import NoServiceError
from cps.transport.connection import CardConnection, CardTerminal
from cps.transport.ghosts import is_ghost

LOOK_SECONDS = 0.5
"""How often an agent that began a login itself looks whether the session is over."""
_LOG = logging.getLogger(__name__)


def run_agent(
    *,
    portals: Sequence[str],
    development: bool,
    pin_file: Path | None,
    pin_descriptor: int | None,
    virtual_card: Path | None,
    port: int | None,
    begin: str | None = None,
) -> None:
    """Run the agent until SIGINT or SIGTERM.

    :param portals: origins, in addition to those of the settings file.
    :param development: accept plain http from loopback origins.
    :param pin_file: where the PIN comes from, instead of a person.
    :param pin_descriptor: likewise, an open file descriptor.
    :param virtual_card: a simulated card's file, instead of the readers.
    :param port: instead of the usual ones.
    :param begin: origin of a portal to log in to at once; the agent then ends with that session.
    :raises AgentError: where it cannot run; ConfigurationError for a wrong option or file.
    :raises cps.errors.CardError: where the virtual card's file cannot be used.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    policy = Policy.load(policy_file())
    settings = AgentSettings.load(Path.home() / SETTINGS_FILE)
    attended = pin_file is None and pin_descriptor is None
    allowed = allowed_portals(policy, settings, portals, development=development, attended=attended)
    if begin is not None:
        require_beginnable(begin, allowed)
    with (
        _terminal(virtual_card, policy) as terminal,
        closing(_pin_entry(pin_file, pin_descriptor)) as entry,
        listen(policy.ports if port is None else (port,)) as listener,
    ):
        tls = ssl.create_default_context()
        # Not every build of Python has this as its default.
        tls.minimum_version = ssl.TLSVersion.TLSv1_2

        def gateway_at(origin: str) -> GatewayClient:
            return GatewayClient(origin, tls=tls, pins=policy.pins.get(origin, ()))

        presence = Presence(terminal=terminal, gateway_at=gateway_at, lock_ends=policy.lock_ends)
        sign_in = SignIn(
            terminal=terminal,
            open_card=card_opener(settings, policy, virtual=virtual_card is not None),
            entry=entry,
            gateway_at=gateway_at,
            watch=presence.watch,
            consent=Consent(allowed, entry),
            keypads=policy.keypads,
        )
        pages = Pages(_banners(development=development, virtual=virtual_card is not None))

        def tray_icon(
            quit_agent: Callable[[], None], begun: BegunLogins
        ) -> AbstractContextManager[object]:
            if begin is not None or not (attended and window_usable()):
                return nullcontext()
            return closing(
                TrayIcon(
                    terminal=terminal,
                    portals=allowed,
                    sessions=lambda: len(presence),
                    begin=begun.begin_soon if tells_users_apart() else None,
                    quit_agent=quit_agent,
                    language=language_of(os.environ),
                )
            )

        with desktop_watch(presence):
            came_on = asyncio.run(
                _serve(sign_in, presence, pages, allowed, listener, tray_icon, begin)
            )
    if not came_on:
        raise AgentError("nobody was logged in")


def require_beginnable(origin: str, portals: Portals) -> None:
    """Check that a login to *origin* may begin here.

    :raises AgentError: where other users of the machine could take the way to the browser.
    :raises ConfigurationError: for a portal that nobody may be asked about.
    """
    if not tells_users_apart():
        raise AgentError("on this system a login begins in the browser: see docs/how-to/agent.md")
    if portals.origin_of(urlsplit(origin).netloc) != origin:
        raise ConfigurationError("login", f"{origin} is no portal of this agent, such as --portal")


def allowed_portals(
    policy: Policy,
    settings: AgentSettings,
    options: Sequence[str],
    *,
    development: bool,
    attended: bool,
) -> Portals:
    """Return the portals that policy, settings and options name together.

    :param options: origins from the command line.
    :param development: accept plain http from loopback origins.
    :param attended: whether a person is there who can be asked about others.
    :raises ConfigurationError: for a wrong origin, for none at all, and where a user names one and
        the policy leaves that to the administrator.
    """
    if not policy.users_may_add and (options or settings.portals):
        raise ConfigurationError(
            "--portal" if options else str(SETTINGS_FILE),
            f"the portals of this machine are those of {policy_file()}; ask its administrator",
        )
    listed = AllowList.of(
        options,
        settings.portals,
        policy=policy.origins,
        development=development,
        may_be_empty=policy.users_may_add and attended,
    )
    return Portals(listed, confirmed_file() if policy.users_may_add and attended else None)


def card_opener(
    settings: AgentSettings, policy: Policy, *, virtual: bool
) -> Callable[[CardConnection, str | None], ContactCard]:
    """Return how cards are opened: what becomes of them, and where they are remembered.

    :param virtual: simulated cards come and go under the same number; they are not remembered.
    """
    return partial(
        open_card,
        reset=(policy.after_signature or settings.after_signature) is AfterSignature.RESET,
        cache=None if virtual else FolderCache(default_folder()),
    )


async def _serve(
    sign_in: SignIn,
    presence: Presence,
    pages: Pages,
    portals: Portals,
    listener: socket.socket,
    tray_icon: Callable[[Callable[[], None], BegunLogins], AbstractContextManager[object]],
    begin: str | None,
) -> bool:
    """Answer until told to end, or until the login to *begin* is over; return how that came on."""
    workflow, handover = Workflow(sign_in.run, WorkflowLimits()), Handover()
    server = AgentServer(
        portals=portals,
        workflow=workflow,
        handover=handover,
        pages=pages,
        belongs_to_user=belongs_to_this_user,
        limits=ServerLimits(),
    )
    with _end_signals() as ended:
        address = f"http://{ADDRESS}:{listener.getsockname()[1]}"
        await server.start(listener)
        loop = asyncio.get_running_loop()
        begun = BegunLogins(
            workflow=workflow,
            handover=handover,
            own_address=address,
            language=language_of(os.environ),
        )

        def quit_agent() -> None:
            loop.call_soon_threadsafe(ended.set)

        came_on = True
        if begin is None:
            print(f"ready {address}", flush=True)
            with tray_icon(quit_agent, begun):
                await ended.wait()
        elif came_on := await _log_in(begun, begin, ended):
            while (handover.waits() or len(presence)) and not ended.is_set():
                await _soon_or(ended)
        # At the same time: neither may use up the other's share of the moment that is left.
        await asyncio.gather(server.close(), asyncio.to_thread(presence.close))
    return came_on


async def _log_in(begun: BegunLogins, origin: str, ended: asyncio.Event) -> bool:
    """Return whether the login came as far as the browser before the agent was told to end."""
    login = asyncio.ensure_future(begun.begin(origin, _say))
    stop = asyncio.ensure_future(ended.wait())
    await asyncio.wait((login, stop), return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not login.done():
        login.cancel()
        return False
    if login.result():
        _say(words("agent", "handed_over", language_of(os.environ)))
    return login.result()


async def _soon_or(ended: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), LOOK_SECONDS)


def _say(said: Words) -> None:
    print(f"{said.title}. {said.sentence}", file=sys.stderr, flush=True)


@contextmanager
def _end_signals() -> Iterator[asyncio.Event]:
    """Yield the event that SIGINT and SIGTERM set, on every system."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def end(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(ended.set)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _terminal(virtual_card: Path | None, policy: Policy) -> Iterator[CardTerminal]:
    if virtual_card is not None:
        # Only here: a workstation with a reader needs no simulator.
        from cps.simulator.chip import SoftwareCard
        from cps.simulator.image import CardImage
        from cps.simulator.terminal import SoftwareTerminal

        _LOG.warning("VIRTUAL CARD %s: no reader is used, no real card can sign in", virtual_card)
        with CardImage.open(virtual_card) as image:
            yield SoftwareTerminal(SoftwareCard(image))
        return
    try:
        from cps.transport.pcsc import PCSCTerminal
    except ModuleNotFoundError as exc:
        raise AgentError(
            "pyscard is not installed: apt-get install libpcsclite-dev gcc, then "
            "pip install 'cps-gateway[workstation]'; or use --virtual-card"
        ) from exc
    terminal = PCSCTerminal(lambda reader: is_ghost(reader) or policy.denies(reader))
    try:
        terminal.readers()
    except NoServiceError:
        # It may be started later, and the agent must be there then.
        _LOG.warning("the PC/SC service does not run; start it, such as by: systemctl start pcscd")
    yield terminal


def _pin_entry(pin_file: Path | None, pin_descriptor: int | None) -> PINEntry:
    if pin_file is not None:
        return pin_from_file(pin_file)
    if pin_descriptor is not None:
        return pin_from_descriptor(pin_descriptor)
    if window_usable():
        return WindowPINEntry()
    if os.name != "posix":
        raise ConfigurationError("PIN", "no window: pip install 'cps-gateway[desktop]'")
    # Only here: these modules are for POSIX systems.
    from cps.agent.pinentry import PinentryPINEntry, pinentry_program
    from cps.agent.terminal import TerminalPINEntry

    if (found := pinentry_program()) is not None:
        program, on_terminal = found
        return PinentryPINEntry(program, "/dev/tty" if on_terminal else None)

    entry = TerminalPINEntry()
    if not entry.usable():
        _LOG.warning("no display and no terminal to ask for the PIN: each sign-in will fail")
    return entry


def _banners(*, development: bool, virtual: bool) -> tuple[str, ...]:
    if development:
        _LOG.warning("DEVELOPMENT: portals of this computer may be reached over plain http")
    shown = {"agent_page.development": development, "agent_page.virtual": virtual}
    return tuple(key for key, wanted in shown.items() if wanted)
