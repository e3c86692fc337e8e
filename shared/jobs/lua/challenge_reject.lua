-- Count a wrong code, once a job, and end the job's reservation.
-- KEYS: challenge. ARGV: JSON with job_id, pending (sealed; absent: the sign-in's state stays).
-- Returns the attempts left (0: the challenge is gone now); -1 if it is no longer this job's.
local args = cjson.decode(ARGV[1])
local challenge = KEYS[1]
local job, attempts, rejected = unpack(redis.call(
    'HMGET', challenge, 'job', 'attempts_left', 'rejected'))
if job ~= args.job_id then
    return -1
end
local left = tonumber(attempts)
if rejected == args.job_id then
    return left
end
left = left - 1
if left <= 0 then
    redis.call('DEL', challenge)
    return 0
end
redis.call('HSET', challenge, 'attempts_left', left, 'rejected', args.job_id)
redis.call('HDEL', challenge, 'reserved_until')
if args.pending then
    redis.call('HSET', challenge, 'pending', args.pending)
end
return left
