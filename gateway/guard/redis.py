"""The guard's memory in a Redis server: seen by every process on every machine."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from gateway.database import from_micros, to_micros
from gateway.errors import StoreUnavailableError
from gateway.guard.store import (
    MAX_NETWORKS,
    MAX_NUMBERS,
    MAX_STEP,
    NETWORK_TIME,
    NUMBER_MODULUS,
    Block,
    Observation,
    Observed,
)
from gateway.redis_server import RedisServer, Script

_MICROSECOND = timedelta(microseconds=1)
_MILLISECOND = timedelta(milliseconds=1)
# Besides the lists of keys: all keys of the identity, networks, what was said, blocks.
_SHARED_KEYS = 4

# Times are microseconds, life times of keys milliseconds. Every key that clearing must find is put
# into a set; that set lives as long as the longest of them.
_OBSERVE = Script(f"""#!lua
local OWN, NETWORKS, SAID, BLOCKS = unpack(KEYS, 1, {_SHARED_KEYS})
local next_key, next_value = {_SHARED_KEYS}, 0
local function key()
    next_key = next_key + 1
    return KEYS[next_key]
end
local function value()
    next_value = next_value + 1
    return ARGV[next_value]
end
local function keep(name, life)
    redis.call('PEXPIRE', name, life)
    redis.call('SADD', OWN, name)
    redis.call('PEXPIRE', OWN, life, 'NX')
    redis.call('PEXPIRE', OWN, life, 'GT')
end

local function forget(numbers, times, near, gone)
    for _, text in ipairs(gone) do
        redis.call('ZREM', numbers, text)
        redis.call('ZREM', times, text)
        redis.call('SREM', near, text)
    end
end

local identity, now = value(), tonumber(value())
local requests, records, runs = {{}}, {{}}, {{}}
for index = 1, tonumber(value()) do
    local name = key()
    requests[index] = redis.call('INCR', name)
    keep(name, value())
end
for index = 1, tonumber(value()) do
    local name, member, limit, span, life = key(), value(), tonumber(value()), value(), value()
    redis.call('ZADD', name, now, member)
    redis.call('ZREMRANGEBYSCORE', name, '-inf', string.format('%.0f', now - span))
    redis.call('ZREMRANGEBYRANK', name, 0, -limit - 1)
    keep(name, life)
    records[index] = redis.call('ZCARD', name)
end
for index = 1, tonumber(value()) do
    local name, numbers, times, near = key(), key(), key(), key()
    local number, apart, span, life = tonumber(value()), value(), value(), value()
    local last, length = unpack(redis.call('HMGET', name, 'number', 'length'))
    local reached = 1
    if last then
        local up, down = (number - last) % {NUMBER_MODULUS}, (last - number) % {NUMBER_MODULUS}
        local step = math.min(up, down)
        if step <= {MAX_STEP} then
            reached = length + (step > 0 and 1 or 0)
        end
    end
    local text = string.format('%.0f', number)
    redis.call('HSET', name, 'number', text, 'length', reached)
    keep(name, life)
    forget(numbers, times, near,
        redis.call('ZRANGEBYSCORE', times, '-inf', string.format('%.0f', now - span)))
    if not redis.call('ZSCORE', numbers, text) then
        local from = string.format('%.0f', number - apart)
        local to = string.format('%.0f', number + apart)
        if redis.call('ZCOUNT', numbers, from, to) > 0 then
            redis.call('SADD', near, text)
            keep(near, life)
        end
        redis.call('ZADD', numbers, text, text)
    end
    redis.call('ZADD', times, now, text)
    keep(numbers, life)
    keep(times, life)
    forget(numbers, times, near, redis.call('ZRANGE', times, 0, -{MAX_NUMBERS} - 1))
    runs[index] = reached
    if redis.call('SISMEMBER', near, text) == 1 then
        runs[index] = math.max(reached, redis.call('SCARD', near) + 1)
    end
end
local is_new, network, life = 0, value(), value()
if network ~= '' then
    redis.call('ZREMRANGEBYSCORE', NETWORKS, '-inf', string.format('%.0f', now - value()))
    if redis.call('EXISTS', NETWORKS) == 1 and not redis.call('ZSCORE', NETWORKS, network) then
        is_new = 1
    end
    redis.call('ZADD', NETWORKS, now, network)
    redis.call('ZREMRANGEBYRANK', NETWORKS, 0, -{MAX_NETWORKS} - 1)
    redis.call('PEXPIRE', NETWORKS, life)
end
return {{requests, records, runs, is_new, redis.call('HEXISTS', BLOCKS, identity),
    redis.call('GET', SAID) or ''}}
""")

_SAY = Script("""#!lua
if ARGV[3] == 'first' then
    if not redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then
        return 0
    end
else
    redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
end
redis.call('SADD', KEYS[1], KEYS[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2], 'NX')
redis.call('PEXPIRE', KEYS[1], ARGV[2], 'GT')
return 1
""")

_CLEAR = Script("""#!lua
local own = redis.call('SMEMBERS', KEYS[1])
for _, name in ipairs(own) do
    redis.call('DEL', name)
end
redis.call('DEL', KEYS[1], KEYS[2])
return redis.call('HDEL', KEYS[3], ARGV[1])
""")


class RedisGuardStore:
    """A :class:`gateway.guard.store.GuardStore` on a Redis server."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._blocks = server.key("guard:blocks")

    def observe(self, observation: Observation, *, now: datetime) -> Observed:
        moment, identity = to_micros(now), observation.identity
        keys = [self._own(identity), self._key(identity, "networks"), self._asked(identity)]
        keys += [self._blocks]
        values: list[bytes | str | int] = [identity, moment, len(observation.requests)]
        for requests in observation.requests:
            # The number of the span is in the key: the next one counts from the beginning.
            number = moment // (requests.span // _MICROSECOND)
            name = f"requests:{requests.key}:{requests.span // _MILLISECOND}:{number}"
            keys.append(self._key(identity, name))
            values.append(requests.span // _MILLISECOND)
        values.append(len(observation.records))
        for records in observation.records:
            keys.append(self._key(identity, f"records:{records.key}"))
            values += [records.member, records.limit]
            values += [records.span // _MICROSECOND, records.span // _MILLISECOND]
        values.append(len(observation.runs))
        for run in observation.runs:
            for kind in ("run", "numbers", "times", "neighbours"):
                keys.append(self._key(identity, f"{kind}:{run.key}"))
            values += [run.number, run.near]
            values += [run.keep // _MICROSECOND, run.keep // _MILLISECOND]
        values += [observation.network or "", NETWORK_TIME // _MILLISECOND]
        values.append(NETWORK_TIME // _MICROSECOND)
        reply = self._server.run(_OBSERVE, keys, values)
        requests_, records_, runs_, is_new, is_blocked, asked = reply
        return Observed(
            requests=tuple(requests_),
            records=tuple(records_),
            runs=tuple(runs_),
            is_new_network=bool(is_new),
            is_blocked=bool(is_blocked),
            asked_at=from_micros(int(asked)) if asked else None,
        )

    def is_first(self, identity: str, what: str, *, keep: timedelta, now: datetime) -> bool:
        return self._say(identity, what, keep, now, "first")

    def say(self, identity: str, what: str, *, keep: timedelta, now: datetime) -> None:
        self._say(identity, what, keep, now, "again")

    def ask_for_card(self, identity: str, *, keep: timedelta, now: datetime) -> None:
        self._server.ask("SET", self._asked(identity), to_micros(now), "PX", keep // _MILLISECOND)

    def block(self, block: Block) -> bool:
        value = f"{to_micros(block.at)} {block.rule}"
        return bool(self._server.ask("HSETNX", self._blocks, block.identity, value))

    def is_blocked(self, identity: str) -> bool:
        return bool(self._server.ask("HEXISTS", self._blocks, identity))

    def blocks(self) -> Sequence[Block]:
        reply = self._server.ask("HGETALL", self._blocks)
        pairs = zip(reply[::2], reply[1::2], strict=True)
        found = [_block(identity, value) for identity, value in pairs]
        return sorted(found, key=lambda block: (block.at, block.identity))

    def clear(self, identity: str) -> bool:
        keys = (self._own(identity), self._asked(identity), self._blocks)
        return bool(self._server.run(_CLEAR, keys, (identity,)))

    def _say(self, identity: str, what: str, keep: timedelta, now: datetime, how: str) -> bool:
        keys = (self._own(identity), self._key(identity, f"said:{what}"))
        values = (to_micros(now), keep // _MILLISECOND, how)
        return bool(self._server.run(_SAY, keys, values))

    def _own(self, identity: str) -> bytes:
        return self._key(identity, "keys")

    def _asked(self, identity: str) -> bytes:
        return self._key(identity, "asked")

    def _key(self, identity: str, name: str) -> bytes:
        return self._server.key(f"guard:{identity}:{name}")


def _block(identity: bytes, value: bytes) -> Block:
    at, _, rule = value.decode().partition(" ")
    try:
        return Block(identity=identity.decode(), rule=rule, at=from_micros(int(at)))
    except ValueError as exc:
        raise StoreUnavailableError("a block in the store cannot be read") from exc
