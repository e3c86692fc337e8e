-- Reserves a challenge for the job that checks a code for it.
-- KEYS: challenge. ARGV: job id, now in ms, reservation ends in ms, client id or ''.
-- Returns {'missing'} (also for another client's) | {'busy', ms left}
--       | {'ok', sealed pending sign-in, attempts left, origin}.
local c = redis.call(
    'HMGET', KEYS[1], 'pending', 'attempts_left', 'job', 'reserved_until', 'client', 'origin')
if not c[1] or (c[5] or '') ~= ARGV[4] then
    return {'missing'}
end
local left = (tonumber(c[4]) or 0) - tonumber(ARGV[2])
if c[3] and c[3] ~= ARGV[1] and left > 0 then
    return {'busy', left}
end
redis.call('HSET', KEYS[1], 'job', ARGV[1], 'reserved_until', ARGV[3])
return {'ok', c[1], c[2], c[6] or '{}'}
