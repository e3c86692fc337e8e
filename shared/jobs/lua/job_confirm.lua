-- Note that a job's message was sent: the job can't be discarded any more, and the sweep checks it.
-- KEYS: job, open jobs. ARGV: JSON with job_id, look_after and open_ttl (ms).
-- Returns 1, or 0 if the job was discarded already.
local args = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local job, open = KEYS[1], KEYS[2]
local status = redis.call('HGET', job, 'status')
if not status then
    return 0
end
redis.call('HSET', job, 'sent', 1)
if status == 'queued' then
    -- No job lives that long after it was due: the sweep does this, but needs a worker.
    redis.call('ZREMRANGEBYSCORE', open, '-inf', now - args.open_ttl)
    redis.call('ZADD', open, now + args.look_after, args.job_id)
    redis.call('PEXPIRE', open, args.open_ttl)
end
return 1
