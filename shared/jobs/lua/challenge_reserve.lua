-- Reserve a challenge for the job that checks a code for it.
-- KEYS: challenge. ARGV: JSON with job_id, client ('' for none), reserve_for (ms).
-- Returns {'missing'} (also for another client's) | {'busy', ms left} | {'reserved', what is sealed}.
local args = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local challenge = KEYS[1]
local pending, job, reserved_until, client = unpack(redis.call(
    'HMGET', challenge, 'pending', 'job', 'reserved_until', 'client'))
if not pending or (client or '') ~= args.client then
    return {'missing'}
end
local left = (tonumber(reserved_until) or 0) - now
if job and job ~= args.job_id and left > 0 then
    return {'busy', left}
end
redis.call('HSET', challenge, 'job', args.job_id, 'reserved_until', now + args.reserve_for)
return {'reserved', pending}
