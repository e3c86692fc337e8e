-- Keeps a new job, unless it repeats another, or a sign-in for its account is running.
-- KEYS: idempotency record, job, input, account's sign-in, events. The first alone: only looks
--       whether it repeats another.
-- ARGV: hash of the body or '' (no idempotency key), prefix of job keys, job id,
--       time to live in ms, sealed input, sealed poll token or '',
--       '' | 'alone' (refuse while a sign-in runs) | 'mark' (take the account if it is free),
--       event, most events, seconds to keep them, now in ms, ms after which a job whose message
--       nobody has said to be sent holds its account no more, field, value, field, value...
-- Returns {'new'} | {'created'} | {'busy'} | {'other'}
--       | {'same', job id, sealed poll token, ms left, 1 if its message may not have been sent}.
local body, jobs, job_id, ttl, lock = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[7]
if body ~= '' then
    local known = redis.call('HMGET', KEYS[1], 'body', 'job', 'poll_token')
    local left = known[2] and redis.call('PTTL', jobs .. known[2]) or 0
    if left > 0 then
        if known[1] ~= body then
            return {'other'}
        end
        local job = redis.call('HMGET', jobs .. known[2], 'status', 'sent')
        return {'same', known[2], known[3], left, job[1] == 'queued' and not job[2] and 1 or 0}
    end
end
if #KEYS == 1 then
    return {'new'}
end
if lock ~= '' then
    local running = redis.call('GET', KEYS[4])
    local known = running and redis.call('HMGET', jobs .. running, 'status', 'sent', 'sent_at')
    local holds = known and (known[1] == 'running' or known[1] == 'queued'
        and (known[2] or tonumber(known[3] or '0') + tonumber(ARGV[12]) > tonumber(ARGV[11])))
    -- The same job: this script is run again where its answer got lost.
    if not holds or running == job_id then
        redis.call('SET', KEYS[4], job_id, 'PX', ttl)
        redis.call('HSET', KEYS[2], 'account', KEYS[4])
    elseif lock == 'alone' then
        return {'busy'}
    end
end
if body ~= '' then
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'body', body, 'job', job_id, 'poll_token', ARGV[6])
    redis.call('PEXPIRE', KEYS[1], ttl)
    redis.call('HSET', KEYS[2], 'idempotency', KEYS[1])
end
for i = 13, #ARGV, 2 do
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
redis.call('PEXPIRE', KEYS[2], ttl)
redis.call('SET', KEYS[3], ARGV[5], 'PX', ttl)
redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[9], '*', 'event', ARGV[8])
redis.call('EXPIRE', KEYS[5], ARGV[10])
return {'created'}
