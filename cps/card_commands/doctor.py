"""What `cps card doctor` looks at, from the service to the clock, and what it says of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique

from cryptography import x509

from cps.agent.holder import read_holder
from cps.agent.texts import code_for, words
from cps.atr import CardType, recognise
from cps.authtoken.catalogue import text
from cps.card.certificate import reading
from cps.card.contact import ContactCard
from cps.card.recognise import open_card
from cps.card_commands.find import choose_reader, cps_readers, kind_of
from cps.card_commands.reading import protocol_name
from cps.card_commands.surroundings import Surroundings, ToolError
from cps.errors import CardDataError, CardError
from cps.transport.connection import CardConnection, ReaderState
from cps.transport.ghosts import is_ghost

ENDING_DAYS = 45
"""So long before its end a certificate is said to end."""
FEW_TRIES = 2


@unique
class Mark(StrEnum):
    """How a thing stands."""

    GOOD = "OK"
    ODD = "!"
    """A login is possible, and yet somebody should do something."""
    BAD = "X"
    """No login is possible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    mark: Mark
    words: str
    advice: str | None = None
    """What to do, where not everything is good."""

    def lines(self) -> Iterator[str]:
        """Yield what was found, and the advice under it."""
        yield f"[{self.mark:^4}] {self.words}"
        if self.advice is not None:
            yield f"       → {self.advice}"


def examine(surroundings: Surroundings, wanted: str | None) -> Iterator[Finding]:
    """Yield what is found, in the order in which things depend on each other.

    What cannot be looked at, because of something before it, is left out. Nothing is spent, and
    what was read before does not count.

    :param wanted: the reader to look at, or a part of its name.
    """
    try:
        yield from _Examination(surroundings, wanted).run()
    except ToolError as exc:
        yield Finding(mark=Mark.BAD, words=exc.sentence(surroundings.language))
    except CardError as exc:
        said = words("error", code_for(exc), surroundings.language)
        yield Finding(mark=Mark.BAD, words=f"{said.title}.", advice=said.sentence)


class _Examination:
    def __init__(self, surroundings: Surroundings, wanted: str | None) -> None:
        self._surroundings = surroundings
        self._wanted = wanted

    def run(self) -> Iterator[Finding]:
        terminal = self._surroundings.terminal(lambda reader: False)
        every = terminal.readers()
        yield self._found(Mark.GOOD, "service")
        readers = [state for state in every if not is_ghost(state.name)]
        if len(readers) < len(every):
            ignored = [state for state in every if is_ghost(state.name)]
            yield self._found(Mark.GOOD, "ignored", readers=_names(ignored))
        if readers:
            yield self._found(Mark.GOOD, "readers", readers=_names(readers))
        candidates = cps_readers(readers)
        wanted = self._wanted
        if wanted is None and len(candidates) > 1:
            wanted = candidates[0].name
            yield self._found(
                Mark.ODD,
                "several",
                advice="several_advice",
                count=len(candidates),
                reader=candidates[0].name,
            )
        reader = choose_reader(readers, wanted)
        kind = text(f"card_kind.{kind_of(reader)}", self._surroundings.language)
        yield self._found(Mark.GOOD, "card", kind=kind, reader=reader.name)
        connection = terminal.connect(reader.name)
        try:
            yield self._protocol(connection)
            card = open_card(connection)
            yield self._found(Mark.GOOD, "serial", serial=card.serial)
            yield from self._credential(card)
        finally:
            connection.close()

    def _protocol(self, connection: CardConnection) -> Finding:
        name = protocol_name(t0=connection.t0)
        if recognise(connection.atr) is CardType.CPS3 and not connection.t0:
            return self._found(Mark.ODD, "protocol_odd", advice="protocol_advice", protocol=name)
        return self._found(Mark.GOOD, "protocol", protocol=name)

    def _credential(self, card: ContactCard) -> Iterator[Finding]:
        der = card.authentication_certificate()
        holder = read_holder(der)
        try:
            with reading():
                certificate = x509.load_der_x509_certificate(der)
                begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        except ValueError as exc:
            raise CardDataError(f"certificate: {exc}") from exc
        now = self._surroundings.clock()
        yield self._found(Mark.GOOD, "holder", holder=holder)
        yield self._validity(begin, end, now)
        yield self._tries(card.tries_left())
        if now < begin:
            yield self._found(
                Mark.BAD, "clock_behind", advice="clock_advice", now=_moment(now), begin=_day(begin)
            )
        else:
            yield self._found(Mark.GOOD, "clock", now=_moment(now))

    def _validity(self, begin: datetime, end: datetime, now: datetime) -> Finding:
        days = (end - now).days
        if now < begin:
            return self._found(Mark.BAD, "not_yet", advice="not_yet_advice", begin=_day(begin))
        if now > end:
            return self._found(Mark.BAD, "ended", advice="ended_advice", end=_day(end))
        if days < ENDING_DAYS:
            return self._found(Mark.ODD, "ending", advice="ending_advice", end=_day(end), days=days)
        return self._found(Mark.GOOD, "valid", begin=_day(begin), end=_day(end))

    def _tries(self, left: int) -> Finding:
        if left == 0:
            return self._found(Mark.BAD, "blocked", advice="blocked_advice")
        if left <= FEW_TRIES:
            return self._found(Mark.ODD, "few_tries", advice="few_tries_advice", tries=left)
        return self._found(Mark.GOOD, "tries", tries=left)

    def _found(
        self, mark: Mark, name: str, *, advice: str | None = None, **values: object
    ) -> Finding:
        language = self._surroundings.language
        return Finding(
            mark=mark,
            words=text(f"card_doctor.{name}", language, **values),
            advice=None if advice is None else text(f"card_doctor.{advice}", language),
        )


def _names(readers: Sequence[ReaderState]) -> str:
    return ", ".join(state.name for state in readers)


def _day(moment: datetime) -> str:
    return moment.date().isoformat()


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
