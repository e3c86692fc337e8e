-- Moves a job, if the caller was the last to claim it and its status allows the step.
-- KEYS: job, lease, input, tally of ended jobs, events.
-- ARGV: owner, allowed statuses ('|a|b|'), new status, '1' if that ends the job,
--       least time to live in ms ('0': leave it), longest one of an ended job, channel, job id,
--       name in the tally, seconds to keep it, event, most events, seconds to keep them,
--       field, value, field, value...
-- Returns 1, or 0 if the job is no longer this worker's to move.
local job = redis.call('HMGET', KEYS[1], 'owner', 'status', 'account', 'idempotency')
local status, account, record = job[2], job[3], job[4]
if job[1] ~= ARGV[1] or not status or not string.find(ARGV[2], '|' .. status .. '|', 1, true) then
    return 0
end
local ends, job_id = ARGV[4] == '1', ARGV[8]
if account and redis.call('GET', account) ~= job_id then
    account = nil
end
if record and redis.call('HGET', record, 'job') ~= job_id then
    record = nil
end
redis.call('HSET', KEYS[1], 'status', ARGV[3])
for i = 14, #ARGV, 2 do
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
if ends then
    redis.call('HDEL', KEYS[1], 'progress')
    redis.call('DEL', KEYS[2], KEYS[3])
    if account then
        redis.call('DEL', account)
    end
    redis.call('HINCRBY', KEYS[4], ARGV[9], 1)
    redis.call('EXPIRE', KEYS[4], ARGV[10])
    redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[12], '*', 'event', ARGV[11])
    redis.call('EXPIRE', KEYS[5], ARGV[13])
end
local left = redis.call('PTTL', KEYS[1])
local ttl = math.max(left, tonumber(ARGV[5]))
if ends then
    ttl = math.max(math.min(left, tonumber(ARGV[6])), tonumber(ARGV[5]))
end
if ttl ~= left then
    redis.call('PEXPIRE', KEYS[1], ttl)
    if account and not ends then
        redis.call('PEXPIRE', account, ttl)
    end
    if record then
        redis.call('PEXPIRE', record, ttl)
    end
end
redis.call('PUBLISH', ARGV[7], job_id)
return 1
