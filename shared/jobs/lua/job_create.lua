-- Create a job, unless it repeats another or its account is held by another.
-- KEYS: idempotency record; and, to create: job, input, account, events, queued jobs.
-- ARGV: JSON with jobs (prefix of job keys), body (hash of the body; absent: no idempotency key);
--   and, to create: job_id, fields, input (sealed), poll_token (sealed), ttl,
--   lock (absent: none), unsent_for (how long a job that was never sent holds its account),
--   event (absent: none), event_limit, event_ttl (seconds). Times are in ms.
-- Returns {'new'} | {'created'} | {'busy', id of the job that holds the account} | {'other'}
--   | {'same', job id, sealed poll token, ms left, 1 if its message may not have been sent}.
local args = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local record, job, input, account, events, queued = unpack(KEYS)
if args.body then
    local known = redis.call('HMGET', record, 'body', 'job', 'poll_token')
    local left = known[2] and redis.call('PTTL', args.jobs .. known[2]) or 0
    if left > 0 then
        if known[1] ~= args.body then
            return {'other'}
        end
        local state = redis.call('HMGET', args.jobs .. known[2], 'status', 'sent')
        local unsent = state[1] == 'queued' and not state[2]
        return {'same', known[2], known[3], left, unsent and 1 or 0}
    end
end
if not args.job_id then
    return {'new'}
end
if args.lock then
    local holder = redis.call('GET', account)
    local other = holder and redis.call('HMGET', args.jobs .. holder, 'status', 'sent', 'sent_at')
    local held = other and (other[1] == 'running' or other[1] == 'queued'
        and (other[2] or tonumber(other[3] or '0') + args.unsent_for > now))
    -- The same job: this script is run again where its answer got lost.
    if not held or holder == args.job_id then
        redis.call('SET', account, args.job_id, 'PX', args.ttl)
        redis.call('HSET', job, 'account', account)
    elseif args.lock == 'alone' then
        return {'busy', holder}
    end
end
if args.body then
    redis.call('DEL', record)
    redis.call('HSET', record, 'body', args.body, 'job', args.job_id,
        'poll_token', args.poll_token)
    redis.call('PEXPIRE', record, args.ttl)
    redis.call('HSET', job, 'idempotency', record)
end
for name, value in pairs(args.fields) do
    redis.call('HSET', job, name, value)
end
redis.call('HSET', job, 'queued', queued, 'sent_at', now)
redis.call('PEXPIRE', job, args.ttl)
redis.call('SET', input, args.input, 'PX', args.ttl)
redis.call('ZREMRANGEBYSCORE', queued, '-inf', now)  -- expired before a worker took them
redis.call('ZADD', queued, now + args.ttl, args.job_id)
redis.call('PEXPIRE', queued, args.ttl)
if args.event then
    redis.call('XADD', events, 'MAXLEN', '~', args.event_limit, '*', 'event', args.event)
    redis.call('EXPIRE', events, args.event_ttl)
end
return {'created'}
