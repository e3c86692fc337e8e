-- Counts a wrong code, once a job, and ends the job's reservation.
-- KEYS: challenge. ARGV: job id, new sealed pending sign-in or ''.
-- Returns the attempts left (0: the challenge is gone now); -1 if it is no longer this job's.
local c = redis.call('HMGET', KEYS[1], 'job', 'attempts_left', 'rejected')
if c[1] ~= ARGV[1] then
    return -1
end
local left = tonumber(c[2])
if c[3] == ARGV[1] then
    return left
end
left = left - 1
if left <= 0 then
    redis.call('DEL', KEYS[1])
    return 0
end
redis.call('HSET', KEYS[1], 'attempts_left', left, 'rejected', ARGV[1])
redis.call('HDEL', KEYS[1], 'reserved_until')
if ARGV[2] ~= '' then
    redis.call('HSET', KEYS[1], 'pending', ARGV[2])
end
return left
