-- Replace what is sealed in a challenge, and end the job's reservation.
-- KEYS: challenge. ARGV: JSON with job_id, expected (what was sealed until now), pending (absent:
--   the challenge ends). Returns 1, or 0 if it is no longer this job's or holds something else.
local args = cjson.decode(ARGV[1])
local job, pending = unpack(redis.call('HMGET', KEYS[1], 'job', 'pending'))
if job ~= args.job_id or pending ~= args.expected then
    return 0
end
if args.pending then
    redis.call('HSET', KEYS[1], 'pending', args.pending)
    redis.call('HDEL', KEYS[1], 'reserved_until')
else
    redis.call('DEL', KEYS[1])
end
return 1
