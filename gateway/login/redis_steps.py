"""What a Redis server does for each step of a login attempt: one script, so one step for all."""

from gateway.redis_server import Script

KEYS = ("attempt:", "code:", "browser:", "attempts")
"""What every step takes but the last one; all but the last are beginnings of keys."""
TARGET_KEYS = ("target:", "targets")
"""What it takes to keep a page to return to."""

# Times are microseconds since 1970.
_BEGIN = """#!lua
local ATTEMPT, CODE, BROWSER, ATTEMPTS = unpack(KEYS)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')

local function read(rid, ...)
    return redis.call('HMGET', ATTEMPT .. rid, ...)
end

-- Move the attempt from one state to the next, or return the answer that says why not.
local function step(rid, from, to, now, latest_beginning)
    local row = read(rid, 'run', 'state', 'expires_at', 'created_at')
    if row[1] ~= run then
        return {0}
    end
    local is_in_time = tonumber(row[3]) > tonumber(now)
        and tonumber(row[4]) <= tonumber(latest_beginning)
    if row[2] ~= from or not is_in_time then
        return {0, row[2]}
    end
    redis.call('HSET', ATTEMPT .. rid, 'state', to)
end

-- Nothing follows this state: forget what only a further step would need.
local function finish(rid, state, failure)
    local row = read(rid, 'pre_hash', 'code_hash')
    redis.call('HSET', ATTEMPT .. rid, 'state', state)
    if failure and failure ~= '' then
        redis.call('HSET', ATTEMPT .. rid, 'failure', failure)
    end
    redis.call('HDEL', ATTEMPT .. rid, 'nonce', 'agent_key', 'identity', 'code_hash', 'lease')
    if row[1] then
        redis.call('ZREM', BROWSER .. row[1], rid)
    end
    if row[2] then
        redis.call('DEL', CODE .. row[2])
    end
end

-- From now on the attempt is in this browser, which is known until the attempt or its code ends.
local function bind(rid, pre_hash, now, ends, keep)
    redis.call('HSET', ATTEMPT .. rid, 'pre_hash', pre_hash)
    redis.call('ZREMRANGEBYSCORE', BROWSER .. pre_hash, '-inf', now)
    redis.call('ZADD', BROWSER .. pre_hash, ends, rid)
    redis.call('EXPIRE', BROWSER .. pre_hash, keep)
end
"""

CREATE = Script(f"""{_BEGIN}
local rid, pre_hash, now, expires_at, keep, limit = unpack(ARGV, 1, 6)
redis.call('HSET', ATTEMPT .. rid, 'run', run, 'created_at', now, 'expires_at', expires_at,
    unpack(ARGV, 7))
redis.call('EXPIRE', ATTEMPT .. rid, keep)
if pre_hash ~= '' then
    bind(rid, pre_hash, now, expires_at, keep)
end
redis.call('LPUSH', ATTEMPTS, rid)
redis.call('EXPIRE', ATTEMPTS, keep)
for _ = 1, math.min(redis.call('LLEN', ATTEMPTS) - limit, 100) do
    local oldest = redis.call('RPOP', ATTEMPTS)
    if redis.call('EXISTS', ATTEMPT .. oldest) == 1 then
        finish(oldest, 'failed')
        redis.call('DEL', ATTEMPT .. oldest)
    end
end
""")

CLAIM = Script(f"""{_BEGIN}
local rid, now, latest_beginning, agent_key = unpack(ARGV)
local refusal = step(rid, 'new', 'claimed', now, latest_beginning)
if refusal then
    return refusal
end
redis.call('HSET', ATTEMPT .. rid, 'agent_key', agent_key)
return {{1, unpack(read(rid, 'nonce', 'target', 'agent_key', 'expires_at'))}}
""")

TAKE = Script(f"""{_BEGIN}
local rid, now, latest_beginning = unpack(ARGV)
local refusal = step(rid, 'claimed', 'taken', now, latest_beginning)
if refusal then
    return refusal
end
local row = read(rid, 'nonce', 'target', 'agent_key', 'expires_at')
redis.call('HDEL', ATTEMPT .. rid, 'nonce')
return {{1, unpack(row)}}
""")

COMPLETE = Script(f"""{_BEGIN}
local rid, now, latest_beginning, identity, code_hash, agents_end, browsers_end, keep, lease
    = unpack(ARGV)
local refusal = step(rid, 'taken', 'verified', now, latest_beginning)
if refusal then
    return refusal
end
local pre_hash = read(rid, 'pre_hash')[1]
local code_expires_at = pre_hash and browsers_end or agents_end
redis.call('HSET', ATTEMPT .. rid, 'identity', identity, 'code_hash', code_hash,
    'code_expires_at', code_expires_at, 'lease', lease)
redis.call('SET', CODE .. code_hash, rid, 'EX', keep)
if pre_hash then
    redis.call('ZADD', BROWSER .. pre_hash, 'XX', 'GT', code_expires_at, rid)
end
return {{1}}
""")

FAIL = Script(f"""{_BEGIN}
local rid, failure = unpack(ARGV)
local state = read(rid, 'state')[1]
if state and state ~= 'used' and state ~= 'failed' then
    finish(rid, 'failed', failure)
end
""")

CLAIMANT = Script(f"""{_BEGIN}
local row = read(ARGV[1], 'run', 'state', 'agent_key')
return row[1] == run and row[2] == 'claimed' and {{row[3]}} or {{}}
""")

ABORT = Script(f"""{_BEGIN}
local rid, now, latest_beginning, agent_key, failure = unpack(ARGV)
local row = read(rid, 'state', 'agent_key')
if row[1] == 'claimed' and row[2] ~= agent_key then
    return {{0, row[1]}}
end
local refusal = step(rid, 'claimed', 'failed', now, latest_beginning)
if refusal then
    return refusal
end
finish(rid, 'failed', failure)
return {{1}}
""")

FAILURE = Script(f"""{_BEGIN}
local row = read(ARGV[1], 'run', 'failure')
return row[1] == run and row[2] and {{row[2]}} or {{}}
""")

_BY_CODE = f"""{_BEGIN}
-- Return the attempt that a code is good for now, and which browser it is in.
local function held(code_hash, state, now, latest_beginning)
    local rid = redis.call('GET', CODE .. code_hash)
    if not rid then
        return nil
    end
    local row = read(rid, 'run', 'state', 'code_expires_at', 'created_at', 'pre_hash')
    if row[1] == run and row[2] == state and tonumber(row[3]) > tonumber(now)
        and tonumber(row[4]) <= tonumber(latest_beginning) then
        return rid, row[5]
    end
end
"""

USE = Script(f"""{_BY_CODE}
local code_hash, pre_hash, now, latest_beginning, state = unpack(ARGV)
local rid, browser = held(code_hash, state, now, latest_beginning)
if not rid then
    return {{0}}
end
if browser ~= pre_hash then
    finish(rid, 'failed')
    return {{0, rid}}
end
local row = read(rid, 'identity', 'agent_key', 'target', 'lease')
finish(rid, 'used')
return {{1, unpack(row)}}
""")

OFFER = Script(f"""{_BY_CODE}
local code_hash, pre_hash, now, latest_beginning, answer_hash, ends, keep = unpack(ARGV)
local rid, browser = held(code_hash, 'verified', now, latest_beginning)
if not rid then
    return {{0}}
end
if browser then
    finish(rid, 'failed')
    return {{0, rid}}
end
redis.call('DEL', CODE .. code_hash)
redis.call('SET', CODE .. answer_hash, rid, 'EX', keep)
redis.call('HSET', ATTEMPT .. rid, 'state', 'offered', 'code_hash', answer_hash,
    'code_expires_at', ends)
bind(rid, pre_hash, now, ends, keep)
return {{1, rid, read(rid, 'identity')[1]}}
""")

STATE = Script(f"""{_BEGIN}
local row = read(ARGV[1], 'run', 'pre_hash', 'state', 'expires_at', 'code_expires_at')
if row[1] ~= run then
    return {{0}}
end
return {{1, unpack(row, 2)}}
""")

KEEP_TARGET = Script("""#!lua
local TARGET, TARGETS = unpack(KEYS)
local name, target, keep, limit = unpack(ARGV)
redis.call('SET', TARGET .. name, target, 'EX', keep)
redis.call('LPUSH', TARGETS, name)
redis.call('EXPIRE', TARGETS, keep)
for _ = 1, math.min(redis.call('LLEN', TARGETS) - limit, 100) do
    redis.call('DEL', TARGET .. redis.call('RPOP', TARGETS))
end
""")
