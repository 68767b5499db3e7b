"""An ordinary day of a busy pharmacy, made up from a seed: who asks for whose rights, and when."""

import random  # noqa: TID251 - not for secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

OPENS, CLOSES = (
    datetime(2026, 11, 23, 7, 30, tzinfo=UTC),
    datetime(2026, 11, 23, 18, 30, tzinfo=UTC),
)
"""Half past eight to half past seven in Paris."""
PEAKS = (timedelta(hours=3), timedelta(hours=9.5))
"""Before noon and after work, counted from the opening."""
VISITS = 450
"""Three to four times the usual number."""
SHARES = (5, 3, 2, 1)
"""How the visits fall to the four cards of the pharmacy; the first stays at the counter all day."""
SESSION_TIME = timedelta(hours=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A look-up of somebody's rights."""

    at: datetime
    card: int
    session: int
    record: str


def working_day(seed: int, kind: str) -> Iterator[Request]:
    """Yield the requests of a day, in their order.

    :param kind: ``social security numbers``, or ``file numbers`` of a small portal.
    """
    generator = random.Random(seed)  # noqa: S311 - the same day each time
    requests = [
        request
        for _ in range(VISITS)
        for request in _visit(generator, is_small=kind == "file numbers")
    ]
    yield from sorted(requests, key=lambda request: request.at)


def _visit(generator: random.Random, *, is_small: bool) -> Iterator[Request]:
    """Yield what one visit asks for: a patient, now and then a family, some of them twice."""
    at = _moment(generator)
    (card,) = generator.choices(range(len(SHARES)), SHARES)
    for _ in range(generator.choices((1, 2, 3, 4), (80, 10, 6, 4))[0]):
        record = str(generator.randrange(1, 5000)) if is_small else _number(generator)
        # A page that is loaded again, or fetched by two parts of the screen.
        for _ in range(generator.choices((1, 2, 3), (60, 30, 10))[0]):
            session = int((at - OPENS) / SESSION_TIME)
            yield Request(at=at, card=card, session=session, record=record)
            at += timedelta(seconds=generator.uniform(0.2, 25))


def _moment(generator: random.Random) -> datetime:
    if generator.random() < 0.5:
        after = generator.choice(PEAKS) + timedelta(minutes=generator.gauss(0, 35))
    else:
        after = (CLOSES - OPENS) * generator.random()
    return min(max(OPENS + after, OPENS), CLOSES)


def _number(generator: random.Random) -> str:
    """Return a social security number as people have them."""
    sex, year, month = generator.choice("12"), generator.randrange(100), generator.randrange(1, 13)
    place, order = (
        generator.randrange(1, 96) * 1000 + generator.randrange(1, 400),
        generator.randrange(1, 600),
    )
    return f"{sex}{year:02d}{month:02d}{place:05d}{order:03d}"
