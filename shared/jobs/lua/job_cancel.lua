-- Cancel a job for its submitter, and close the challenge that it is about.
-- KEYS: job, input, challenge (one that does not exist: none is known), counters of ended jobs,
--   events, open jobs.
-- ARGV: JSON with job_id, status (as it was read), jobs (prefix of job keys), outcome (sealed),
--   channel, min_ttl (ms), counter, counter_ttl (seconds), event (absent: none), event_limit,
--   event_ttl (seconds).
-- Returns 'cancelled' | 'changed' (read it again) | 'late' (what Garmin gave is being stored).
local args = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local job, input, challenge, counters, events, open = unpack(KEYS)
local status, stage, account, queued = unpack(redis.call(
    'HMGET', job, 'status', 'stage', 'account', 'queued'))
if status ~= args.status then
    return 'changed'
end
local checker, reserved_until = unpack(redis.call('HMGET', challenge, 'job', 'reserved_until'))
local checking = checker and checker ~= args.job_id and (tonumber(reserved_until) or 0) > now
if checking then
    local of_checker = redis.call('HMGET', args.jobs .. checker, 'status', 'stage')
    checking = of_checker[1] == 'queued' or of_checker[1] == 'running'
    if checking and of_checker[2] == 'storing' then
        return 'late'
    end
end
if status == 'running' then
    if stage == 'storing' then
        return 'late'
    end
    -- Its worker ends it, and keeps the account until then.
    redis.call('HSET', job, 'cancelled', 1)
else
    redis.call('HSET', job, 'status', 'failed', 'outcome', args.outcome)
    redis.call('DEL', input)
    redis.call('ZREM', open, args.job_id)
    if queued then
        redis.call('ZREM', queued, args.job_id)
    end
    if account and redis.call('GET', account) == args.job_id then
        redis.call('DEL', account)
    end
    if status == 'queued' then
        redis.call('HINCRBY', counters, args.counter, 1)
        redis.call('EXPIRE', counters, args.counter_ttl)
    end
    if redis.call('PTTL', job) < args.min_ttl then
        redis.call('PEXPIRE', job, args.min_ttl)
    end
end
if checking then
    redis.call('HSET', args.jobs .. checker, 'cancelled', 1)
    redis.call('PUBLISH', args.channel, checker)
end
redis.call('DEL', challenge)
if args.event then
    redis.call('XADD', events, 'MAXLEN', '~', args.event_limit, '*', 'event', args.event)
    redis.call('EXPIRE', events, args.event_ttl)
end
redis.call('PUBLISH', args.channel, args.job_id)
return 'cancelled'
