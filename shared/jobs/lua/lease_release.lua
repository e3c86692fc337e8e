-- Give a job back, if the caller was the last to claim it. Its message comes back, or is sent again.
-- A renewal that is under way finds another owner, and does not take the lease up again.
-- KEYS: lease, open jobs, job. ARGV: JSON with job_id, owner, look_after (ms). Returns 1 or 0.
local args = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lease, open, job = unpack(KEYS)
if redis.call('HGET', job, 'owner') ~= args.owner then
    return 0
end
redis.call('HDEL', job, 'owner')  -- first: a full Redis refuses a script that begins with ZADD
if redis.call('GET', lease) == args.owner then
    redis.call('DEL', lease)
end
redis.call('ZADD', open, 'XX', now + args.look_after, args.job_id)
return 1
