-- Move a job, if the caller was the last to claim it and its status allows the step.
-- A job that its submitter has cancelled takes no other step than its end, and keeps no outcome.
-- KEYS: job, lease, input, counters of ended jobs, events, open jobs, and the challenge that the
--   outcome names, if it does.
-- ARGV: JSON with job_id, owner, allowed (set of statuses), status (the new one), fields, channel,
--   ends (absent: it goes on), min_ttl (ms, 0: leave it), max_ttl (ms, of an ended job);
--   and where it ends: counter, cancelled_counter (if it is cancelled), counter_ttl (seconds), event (absent: none), event_limit,
--   event_ttl (seconds).
-- Returns 1 | 0 if the job is no longer this worker's to move | 2 if it is cancelled.
local args = cjson.decode(ARGV[1])
local job, lease, input, counters, events, open, challenge = unpack(KEYS)
local state = redis.call('HMGET', job, 'owner', 'status', 'account', 'idempotency', 'cancelled')
local owner, status, account, record, cancelled = unpack(state)
if owner ~= args.owner or not status or not args.allowed[status] then
    return 0
end
if cancelled then
    if not args.ends then
        return 2
    end
    args.status, args.fields, args.counter = 'failed', {}, args.cancelled_counter
    if challenge then
        redis.call('DEL', challenge)
    end
end
if account and redis.call('GET', account) ~= args.job_id then
    account = nil
end
if record and redis.call('HGET', record, 'job') ~= args.job_id then
    record = nil
end
redis.call('HSET', job, 'status', args.status)
for name, value in pairs(args.fields) do
    redis.call('HSET', job, name, value)
end
if args.ends then
    redis.call('HDEL', job, 'progress')
    redis.call('DEL', lease, input)
    redis.call('ZREM', open, args.job_id)
    if account then
        redis.call('DEL', account)
    end
    redis.call('HINCRBY', counters, args.counter, 1)
    redis.call('EXPIRE', counters, args.counter_ttl)
    if args.event then
        redis.call('XADD', events, 'MAXLEN', '~', args.event_limit, '*', 'event', args.event)
        redis.call('EXPIRE', events, args.event_ttl)
    end
end
local left = redis.call('PTTL', job)
local ttl = math.max(left, args.min_ttl)
if args.ends then
    ttl = math.max(math.min(left, args.max_ttl), args.min_ttl)
end
if ttl ~= left then
    redis.call('PEXPIRE', job, ttl)
    if account and not args.ends then
        redis.call('PEXPIRE', account, ttl)
    end
    if record then
        redis.call('PEXPIRE', record, ttl)
    end
end
redis.call('PUBLISH', args.channel, args.job_id)
return cancelled and 2 or 1
