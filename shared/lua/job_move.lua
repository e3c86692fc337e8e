-- Moves a job, if the caller was the last to claim it and its status allows the step.
-- KEYS: job, lease, input, tally of ended jobs.
-- ARGV: owner, allowed statuses ('|a|b|'), new status, '1' if that ends the job,
--       least time to live in ms ('0': leave it), longest one of an ended job, channel, job id,
--       name in the tally, seconds to keep it, field, value, field, value...
-- Returns 1, or 0 if the job is no longer this worker's to move.
local job = redis.call('HMGET', KEYS[1], 'owner', 'status')
local status = job[2]
if job[1] ~= ARGV[1] or not status or not string.find(ARGV[2], '|' .. status .. '|', 1, true) then
    return 0
end
redis.call('HSET', KEYS[1], 'status', ARGV[3])
for i = 11, #ARGV, 2 do
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
if ARGV[4] == '1' then
    redis.call('HDEL', KEYS[1], 'progress')
    redis.call('DEL', KEYS[2], KEYS[3])
    redis.call('HINCRBY', KEYS[4], ARGV[9], 1)
    redis.call('EXPIRE', KEYS[4], ARGV[10])
end
local left = redis.call('PTTL', KEYS[1])
if left < tonumber(ARGV[5]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
elseif ARGV[4] == '1' and left > tonumber(ARGV[6]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[6])
end
redis.call('PUBLISH', ARGV[7], ARGV[8])
return 1
