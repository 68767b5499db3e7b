"""Sessions in a Redis server: seen by every process on every machine of the gateway at once.

A session lives while the index by age has it. Everything that was ever changed has a number, and a
reader's cursor is the last one it saw. A server can lose changes: emptied, exchanged for another,
or started again from an old copy, in which sessions that were ended live again. So a cursor also
names the *era* and the *term* that it was read in:

* An era is the time, in microseconds, at which a store without a past began. Its end ends all.
* A term is one run of the server inside an era, with a random name. At the first change of the
  next run the number that the last one had reached in the data is noted. A reader that saw more
  has seen changes that were lost: that ends the era, whatever was in it.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime

from cps.authtoken.jwk import AgentKey
from gateway.database import from_micros, to_micros
from gateway.errors import SessionRequiredError, StoreReplacedError, StoreUnavailableError
from gateway.identity import VerifiedIdentity
from gateway.redis_server import RedisServer, Reply, Script
from gateway.session.cookie import COOKIE_BYTES, cookie_hash
from gateway.session.limits import CLOCK_STEP, SessionLimits
from gateway.session.model import EndReason, Session
from gateway.session.record import (
    agent_key_from_text,
    agent_key_to_text,
    identity_from_text,
    identity_to_text,
)
from gateway.settings import SessionSettings

FEED_COUNT = 1000
"""Sessions ended or told in one step of the server, which answers nobody else meanwhile."""

_TERM_BYTES = 8
_BITS = 64
_MASK = 2**_BITS - 1
_KEYS = ("state", "terms", "sessions", "by-age", "by-use", "ended")

# Before each change: which era and term it is in. Times are microseconds since 1970, which the
# server's numbers hold exactly until the year 2255.
_BEGIN = """
local STATE, TERMS, SESSIONS, BY_AGE, BY_USE, ENDED = unpack(KEYS)
local now, new_term, keep, forget_before = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local era, term, changes

local function begin_era(micros)
    era, term, changes = micros, new_term, 0
    redis.call('UNLINK', TERMS, SESSIONS, BY_AGE, BY_USE, ENDED)
    redis.call('HSET', STATE, 'era', era, 'term', term, 'run', run, 'changes', changes)
end

local known = redis.call('HMGET', STATE, 'era', 'term', 'run', 'changes')
if not known[1] then
    begin_era(tonumber(now))
else
    era, term, changes = tonumber(known[1]), known[2], tonumber(known[4])
    if known[3] ~= run then
        redis.call('HSET', TERMS, term, changes)
        term = new_term
        redis.call('HSET', STATE, 'term', term, 'run', run)
    end
end

local function count_change()
    changes = redis.call('HINCRBY', STATE, 'changes', 1)
end

local function end_session(key, reason)
    if redis.call('ZREM', BY_AGE, key) == 0 then
        return 0
    end
    redis.call('ZREM', BY_USE, key)
    redis.call('HDEL', SESSIONS, key)
    count_change()
    redis.call('XADD', ENDED, changes .. '-0', 'key', key, 'reason', reason, 'at', now)
    redis.call('EXPIRE', ENDED, keep)
    for _, entry in ipairs(redis.call('XRANGE', ENDED, '-', '+', 'COUNT', 2)) do
        if tonumber(entry[2][6]) >= forget_before then
            break
        end
        redis.call('XDEL', ENDED, entry[1])
    end
    return 1
end
"""

# What ends sessions, and what looks at them, works on a server that is out of memory too. None of
# the scripts claims to be free of writes, so that a replica refuses them all.
_CREATE = Script(f"""#!lua
{_BEGIN}
local key, record = ARGV[5], ARGV[6]
redis.call('HSET', SESSIONS, key, record)
redis.call('ZADD', BY_AGE, now, key)
redis.call('ZADD', BY_USE, now, key)
for _, name in ipairs({{SESSIONS, BY_AGE, BY_USE}}) do
    redis.call('EXPIRE', name, keep)
end
count_change()
""")

_END = Script(f"""#!lua flags=allow-oom
{_BEGIN}
return end_session(ARGV[5], ARGV[6])
""")

# With a time the session's use is noted: never one that has ended, never an earlier time.
_READ = Script("""#!lua flags=allow-oom
local SESSIONS, BY_AGE, BY_USE = unpack(KEYS)
local key, seen_at = ARGV[1], ARGV[2]
if seen_at then
    redis.call('ZADD', BY_USE, 'XX', 'GT', seen_at, key)
end
return {
    redis.call('HGET', SESSIONS, key),
    redis.call('ZSCORE', BY_AGE, key),
    redis.call('ZSCORE', BY_USE, key),
}
""")

_FEED = Script(f"""#!lua flags=allow-oom
{_BEGIN}
local seen_era, seen_term, seen = tonumber(ARGV[5]), ARGV[6], ARGV[7]
local past_absolute, past_idle, future, count = ARGV[8], ARGV[9], ARGV[10], tonumber(ARGV[11])

if seen_era > 0 then
    local reached = changes
    if seen_term ~= term then
        reached = tonumber(redis.call('HGET', TERMS, seen_term) or -1)
    end
    if seen_era < era then
        -- What the reader knew ended with its era; who is in here came later.
        return {{1, era, term, changes}}
    end
    if tonumber(seen) > reached then
        -- The reader saw what is lost here: whoever is in here may have been ended.
        begin_era(math.max(tonumber(now), seen_era + 1, era + 1))
        return {{1, era, term, changes}}
    end
end

local function end_between(index, from, to, reason)
    local keys = redis.call('ZRANGE', index, from, to, 'BYSCORE', 'LIMIT', 0, count)
    for _, key in ipairs(keys) do
        end_session(key, reason)
    end
end
end_between(BY_AGE, '-inf', past_absolute, 'absolute')
end_between(BY_USE, '-inf', past_idle, 'idle')
end_between(BY_AGE, '(' .. future, '+inf', 'absolute')

local keys, number, more = {{}}, changes, 0
local entries = redis.call('XRANGE', ENDED, '(' .. seen .. '-0', '+', 'COUNT', count)
for index, entry in ipairs(entries) do
    keys[index] = entry[2][2]
end
if #entries == count then
    more = 1
    number = tonumber(string.match(entries[count][1], '%d+'))
end
return {{0, era, term, number, more, keys}}
""")


class RedisSessionStore:
    """A :class:`gateway.session.model.SessionStore` on a Redis server."""

    def __init__(self, server: RedisServer, settings: SessionSettings) -> None:
        self._server = server
        self._limits = SessionLimits.of(settings)
        self._keys = [server.key(name) for name in _KEYS]
        # Past it nobody can hold a session any more, however the machines' clocks stand.
        self._keep_seconds = settings.absolute_seconds + 3 * int(CLOCK_STEP.total_seconds())

    def create(self, identity: VerifiedIdentity, agent_key: AgentKey, *, now: datetime) -> bytes:
        cookie = secrets.token_bytes(COOKIE_BYTES)
        record = f"{identity_to_text(identity)}\n{agent_key_to_text(agent_key)}"
        self._change(_CREATE, now, cookie_hash(cookie), record)
        return cookie

    def get(self, key: bytes, *, now: datetime) -> Session:
        session = self._read(key)
        reason = self._limits.end_reason(
            created_at=session.created_at, seen_at=session.seen_at, now=now
        )
        if reason is not None:
            self.end(key, reason, now=now)
            raise SessionRequiredError(reason)
        if self._limits.is_touch_due(seen_at=session.seen_at, now=now):
            return self._read(key, to_micros(now))
        return session

    def end(self, key: bytes, reason: EndReason, *, now: datetime) -> bool:
        return bool(self._change(_END, now, key, reason))

    def ended_since(self, cursor: int, *, now: datetime) -> tuple[int, Sequence[bytes]]:
        ended: list[bytes] = []
        more = True
        while more:
            is_replaced, era, term, number, *rest = self._change(
                _FEED,
                now,
                *_from_cursor(cursor),
                to_micros(now - self._limits.absolute),
                to_micros(now - self._limits.idle),
                to_micros(now + CLOCK_STEP),
                FEED_COUNT,
            )
            cursor = _to_cursor(era, term, number)
            if is_replaced:
                raise StoreReplacedError(cursor)
            more, keys = rest
            ended += keys
        return cursor, ended

    def _change(self, script: Script, now: datetime, *values: bytes | str | int) -> Reply:
        return self._server.run(
            script,
            self._keys,
            (
                to_micros(now),
                secrets.token_hex(_TERM_BYTES),
                self._keep_seconds,
                to_micros(self._limits.forget_before(now)),
                *values,
            ),
        )

    def _read(self, key: bytes, *seen_at: int) -> Session:
        """Return the session, its use having been noted where the time of it is given."""
        record, created, seen = self._server.run(_READ, self._keys[2:5], (key, *seen_at))
        if record is None or created is None or seen is None:
            raise SessionRequiredError("no such session")
        try:
            identity, agent_key = record.decode().split("\n")
            return Session(
                key=key,
                identity=identity_from_text(identity),
                agent_key=agent_key_from_text(agent_key),
                created_at=from_micros(int(created)),
                seen_at=from_micros(int(seen)),
            )
        except ValueError as exc:
            raise StoreUnavailableError("a session in the store cannot be read") from exc


def _to_cursor(era: int, term: bytes, number: int) -> int:
    return (era << 2 * _BITS) | (int(term, 16) << _BITS) | number


def _from_cursor(cursor: int) -> tuple[int, str, int]:
    """Return era, term and number; era 0 where nothing was seen yet."""
    term = (cursor >> _BITS) & _MASK
    return cursor >> 2 * _BITS, f"{term:0{2 * _TERM_BYTES}x}", cursor & _MASK
