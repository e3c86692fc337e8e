-- Give a lease back, if it is still the caller's. Its message comes back, or is sent again.
-- KEYS: lease, open jobs. ARGV: JSON with job_id, owner, look_after (ms). Returns 1 or 0.
local args = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lease, open = KEYS[1], KEYS[2]
if redis.call('GET', lease) ~= args.owner then
    return 0
end
redis.call('DEL', lease)  -- first: a full Redis refuses a script that begins with ZADD
redis.call('ZADD', open, 'XX', now + args.look_after, args.job_id)
return 1
