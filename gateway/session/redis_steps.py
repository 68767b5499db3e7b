"""The steps of a session's life in a Redis server; no other client gets in between.

Everything that was ever changed has a number, and a reader's cursor is the last one it saw. A
server can lose changes: emptied, exchanged for another, or started again from an old copy, in which
sessions that were ended live again. So a cursor also names the *era* and the *term* that it was
read in:

* An era is the time, in microseconds, at which a store without a past began. Its end ends all.
* A term is one run of the server inside an era, with a random name. At the first change of the
  next run the number that the last one had reached in the data is noted. A reader that saw more
  has seen changes that were lost: that ends the era, whatever was in it.
"""

from gateway.redis_server import Script

KEYS = (
    *("state", "terms", "sessions", "by-age", "by-use", "ended", "reasons"),
    *("owned", "leases", "by-presence", "unrecorded"),
)
"""What every step takes but those below."""
READ_KEYS = ("sessions", "by-age", "by-use", "owned", "by-presence")
RENEW_KEYS = ("leases", "by-presence")
TAKE_KEYS = ("ended", "unrecorded")
LIST_KEYS = ("sessions", "by-age", "by-use", "owned", "by-presence")

# Before each change: which era and term it is in. Times are microseconds since 1970, which the
# server's numbers hold exactly until the year 2255.
_BEGIN = """
local STATE, TERMS, SESSIONS, BY_AGE, BY_USE, ENDED, REASONS = unpack(KEYS, 1, 7)
local OWNED, LEASES, BY_PRESENCE, UNRECORDED = unpack(KEYS, 8)
local now, new_term, keep, forget_before = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local era, term, changes

local function begin_era(micros)
    era, term, changes = micros, new_term, 0
    redis.call('UNLINK', unpack(KEYS, 2))
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

local function forget_lease(lease)
    local owner = redis.call('HGET', LEASES, lease .. ' session')
    if owner then
        redis.call('HDEL', OWNED, owner)
    end
    redis.call('HDEL', LEASES, lease .. ' key', lease .. ' counter', lease .. ' grace',
        lease .. ' session')
    redis.call('ZREM', BY_PRESENCE, lease)
    return owner
end

local function end_session(key, reason, client)
    if redis.call('ZREM', BY_AGE, key) == 0 then
        return 0
    end
    local lease = redis.call('HGET', OWNED, key)
    if lease then
        forget_lease(lease)
    end
    redis.call('ZREM', BY_USE, key)
    local record = redis.call('HGET', SESSIONS, key)
    redis.call('HDEL', SESSIONS, key)
    count_change()
    redis.call('XADD', ENDED, changes .. '-0', 'key', key, 'reason', reason, 'at', now,
        'national_id', string.match(record or '', '"national_id": "([^"]*)"') or '',
        'client', client or '')
    redis.call('ZADD', UNRECORDED, 0, changes)
    redis.call('EXPIRE', ENDED, keep)
    redis.call('EXPIRE', UNRECORDED, keep)
    redis.call('HSET', REASONS, key, reason)
    redis.call('EXPIRE', REASONS, keep)
    for _, entry in ipairs(redis.call('XRANGE', ENDED, '-', '+', 'COUNT', 2)) do
        if tonumber(entry[2][6]) >= forget_before
            or redis.call('ZSCORE', UNRECORDED, string.match(entry[1], '%d+')) then
            break
        end
        redis.call('XDEL', ENDED, entry[1])
        redis.call('HDEL', REASONS, entry[2][2])
    end
    return 1
end
"""

# What ends sessions, and what looks at them, works on a server that is out of memory too. None of
# the scripts claims to be free of writes, so that a replica refuses them all.
CREATE = Script(f"""#!lua
{_BEGIN}
local key, record, lease = ARGV[5], ARGV[6], ARGV[7]
if lease then
    local ends = redis.call('ZSCORE', BY_PRESENCE, lease)
    if not ends or tonumber(ends) <= tonumber(now)
        or redis.call('HSETNX', LEASES, lease .. ' session', key) == 0 then
        return 0
    end
    redis.call('HSET', OWNED, key, lease)
    redis.call('ZADD', BY_PRESENCE, now + redis.call('HGET', LEASES, lease .. ' grace'), lease)
end
redis.call('HSET', SESSIONS, key, record)
redis.call('ZADD', BY_AGE, now, key)
redis.call('ZADD', BY_USE, now, key)
for _, name in ipairs({{SESSIONS, BY_AGE, BY_USE, OWNED, LEASES, BY_PRESENCE}}) do
    redis.call('EXPIRE', name, keep)
end
count_change()
return 1
""")

OPEN_LEASE = Script(f"""#!lua
{_BEGIN}
local lease, agent_key, grace = ARGV[5], ARGV[6], ARGV[7]
redis.call('HSET', LEASES, lease .. ' key', agent_key, lease .. ' counter', 0,
    lease .. ' grace', grace)
redis.call('ZADD', BY_PRESENCE, now + grace, lease)
redis.call('EXPIRE', LEASES, keep)
redis.call('EXPIRE', BY_PRESENCE, keep)
""")

# One that waits for its session is not prolonged, and none gets an earlier end.
RENEW_LEASE = Script("""#!lua flags=allow-oom
local LEASES, BY_PRESENCE = unpack(KEYS)
local lease, counter, now = unpack(ARGV)
local ends = redis.call('ZSCORE', BY_PRESENCE, lease)
if not ends or tonumber(ends) <= tonumber(now) then
    return 0
end
local last, grace, owner = unpack(redis.call('HMGET', LEASES, lease .. ' counter',
    lease .. ' grace', lease .. ' session'))
if tonumber(counter) <= tonumber(last) then
    return -1
end
redis.call('HSET', LEASES, lease .. ' counter', counter)
if owner then
    redis.call('ZADD', BY_PRESENCE, 'XX', 'GT', now + grace, lease)
end
return 1
""")

END_LEASE = Script(f"""#!lua flags=allow-oom
{_BEGIN}
local lease, counter, reason, client = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local last = redis.call('HGET', LEASES, lease .. ' counter')
if not last then
    return {{0}}
end
if tonumber(counter) <= tonumber(last) then
    return {{-1}}
end
local owner = forget_lease(lease)
if owner then
    end_session(owner, reason, client)
end
return {{1, owner}}
""")

END = Script(f"""#!lua flags=allow-oom
{_BEGIN}
return end_session(ARGV[5], ARGV[6], ARGV[7])
""")

# Each is kept from others for a while; one that is not recorded by then is taken again.
TAKE_ENDS = Script("""#!lua flags=allow-oom
local ENDED, UNRECORDED = unpack(KEYS)
local now, taken_until, count = unpack(ARGV)
local taken = {}
for _, number in ipairs(redis.call('ZRANGE', UNRECORDED, '-inf', now, 'BYSCORE',
    'LIMIT', 0, count)) do
    local entry = redis.call('XRANGE', ENDED, number .. '-0', number .. '-0')[1]
    if entry then
        redis.call('ZADD', UNRECORDED, taken_until, number)
        taken[#taken + 1] = {number, unpack(entry[2])}
    else
        redis.call('ZREM', UNRECORDED, number)
    end
end
return taken
""")

# A page of the sessions, in the order of their age.
LIST = Script("""#!lua flags=allow-oom
local SESSIONS, BY_AGE, BY_USE, OWNED, BY_PRESENCE = unpack(KEYS)
local first, count = tonumber(ARGV[1]), tonumber(ARGV[2])
local found = {}
for index, key in ipairs(redis.call('ZRANGE', BY_AGE, first, first + count - 1)) do
    local lease = redis.call('HGET', OWNED, key)
    found[index] = {
        key,
        redis.call('HGET', SESSIONS, key) or '',
        redis.call('ZSCORE', BY_AGE, key),
        redis.call('ZSCORE', BY_USE, key) or '',
        lease or '',
        lease and redis.call('ZSCORE', BY_PRESENCE, lease) or '',
    }
end
return found
""")

# With a time the session's use is noted: never one that has ended, never an earlier time.
READ = Script("""#!lua flags=allow-oom
local SESSIONS, BY_AGE, BY_USE, OWNED, BY_PRESENCE = unpack(KEYS)
local key, seen_at = ARGV[1], ARGV[2]
if seen_at then
    redis.call('ZADD', BY_USE, 'XX', 'GT', seen_at, key)
end
local lease = redis.call('HGET', OWNED, key)
return {
    redis.call('HGET', SESSIONS, key),
    redis.call('ZSCORE', BY_AGE, key),
    redis.call('ZSCORE', BY_USE, key),
    lease,
    lease and redis.call('ZSCORE', BY_PRESENCE, lease),
}
""")

FEED = Script(f"""#!lua flags=allow-oom
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

local function between(index, from, to)
    return ipairs(redis.call('ZRANGE', index, from, to, 'BYSCORE', 'LIMIT', 0, count))
end
local function end_between(index, from, to, reason)
    for _, key in between(index, from, to) do
        end_session(key, reason)
    end
end
for _, lease in between(BY_PRESENCE, '-inf', now) do
    local owner = forget_lease(lease)
    if owner then
        end_session(owner, 'presence_lost')
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
