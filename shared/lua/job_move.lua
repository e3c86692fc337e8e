-- Moves a job, if the caller was the last to claim it and its status allows the step.
-- KEYS: job, lease, input, tally of ended jobs, events.
-- ARGV: owner, allowed statuses ('|a|b|'), new status, '1' if that ends the job,
--       least time to live in ms ('0': leave it), channel, job id,
--       name in the tally, seconds to keep it, event, most events, seconds to keep them,
--       field, value, field, value...
-- Returns 1, or 0 if the job is no longer this worker's to move.
local job = redis.call('HMGET', KEYS[1], 'owner', 'status')
local status = job[2]
if job[1] ~= ARGV[1] or not status or not string.find(ARGV[2], '|' .. status .. '|', 1, true) then
    return 0
end
redis.call('HSET', KEYS[1], 'status', ARGV[3])
for i = 13, #ARGV, 2 do
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
local names = redis.call('HMGET', KEYS[1], 'account', 'idempotency')
if ARGV[4] == '1' then
    redis.call('HDEL', KEYS[1], 'progress')
    redis.call('DEL', KEYS[2], KEYS[3])
    if names[1] and redis.call('GET', names[1]) == ARGV[7] then
        redis.call('DEL', names[1])
    end
    redis.call('HINCRBY', KEYS[4], ARGV[8], 1)
    redis.call('EXPIRE', KEYS[4], ARGV[9])
    redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[11], '*', 'event', ARGV[10])
    redis.call('EXPIRE', KEYS[5], ARGV[12])
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[5]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
    if names[1] and redis.call('GET', names[1]) == ARGV[7] then
        redis.call('PEXPIRE', names[1], ARGV[5])
    end
    if names[2] and redis.call('HGET', names[2], 'job') == ARGV[7] then
        redis.call('PEXPIRE', names[2], ARGV[5])
    end
end
redis.call('PUBLISH', ARGV[6], ARGV[7])
return 1
