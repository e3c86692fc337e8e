-- Count a refusal: the account rests, and perhaps everybody. Many workers may report at once.
-- KEYS: rest, known, probe, refused, accounts, account, refusals.
-- ARGV: JSON with scope, counter; account (nil: unknown); wait (ms that Garmin asked for, 0: none);
--       token (nil: it did not probe); counts (whether it is one of the accounts refused lately);
--       accounts (how many of them are a rest for everybody), window (ms);
--       first, account_first, longest, memory, counter_ttl (ms).
-- Returns {ms that the account has to wait, ms of the rest for everybody that began or 0, its why}.
local args = cjson.decode(ARGV[1])
local rest, known, probe, refused, accounts, account, counters = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function whole(number)
    return string.format('%.0f', number)
end

local function number_in(key, field)
    return tonumber(redis.call('HGET', key, field) or nil) or 0
end

local function set_end(key, ends)
    redis.call('HSET', key, 'until', whole(ends))
    redis.call('PEXPIRE', key, whole(ends - now + args.memory))
    return ends
end

local function begin(key, first, grows, why)
    local level, wait = number_in(key, 'level'), args.wait
    if grows or level == 0 then
        level = level + 1
    end
    if wait <= 0 then
        wait = first * 2 ^ math.min(level - 1, 10)
    end
    redis.call('HSET', key, 'since', whole(now), 'level', whole(level), 'why', why)
    return set_end(key, now + math.floor(math.min(wait, args.longest)))
end

local function prolong(key, ends)
    return math.max(ends, set_end(key, math.max(ends, now + math.min(args.wait, args.longest))))
end

redis.call('HINCRBY', counters, args.counter, 1)
redis.call('PEXPIRE', counters, args.counter_ttl)
local probed = args.token and redis.call('GET', probe) == args.token
if probed then
    redis.call('DEL', probe)
end
local account_ends, ends = 0, number_in(rest, 'until')
local seen, why = false, nil
if args.account then
    seen = redis.call('SISMEMBER', known, args.account) == 1
    account_ends = number_in(account, 'until')
    if account_ends <= now then
        local first = args.scope == 'client' and args.first or args.account_first
        account_ends = begin(account, first, true, args.scope)
    else
        account_ends = prolong(account, account_ends)
    end
    redis.call('ZADD', accounts, whole(account_ends), args.account)
    redis.call('ZREMRANGEBYSCORE', accounts, '-inf', whole(now - args.memory))
    redis.call('PEXPIRE', accounts, whole(args.longest + args.memory))
end
if args.scope == 'client' then
    why = 'client'
elseif args.account and args.counts then
    redis.call('ZADD', refused, whole(now), args.account)
    redis.call('ZREMRANGEBYSCORE', refused, '-inf', whole(now - args.window))
    redis.call('PEXPIRE', refused, args.window)
    if probed and not seen then
        why = 'probe'
    elseif redis.call('ZCARD', refused) >= args.accounts then
        why = 'accounts'
    end
end
local began = 0
if why and ends <= now then
    -- Longer than the last one only if somebody else was refused: not through one account alone.
    ends = begin(rest, args.first, not seen, why)
    began = ends - now
    for _, name in ipairs(redis.call('ZRANGE', refused, 0, -1)) do
        redis.call('SADD', known, name)
    end
    redis.call('DEL', probe, refused)
elseif why then
    ends = prolong(rest, ends)
end
if args.account and ends > now then
    redis.call('SADD', known, args.account)
end
redis.call('PEXPIRE', known, redis.call('PTTL', rest))
return {math.max(0, account_ends - now, ends - now), began, why or ''}
