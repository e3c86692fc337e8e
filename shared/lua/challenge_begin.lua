-- Reserves a challenge for the job that checks a code for it.
-- KEYS: challenge. ARGV: job id, now in ms, reservation ends in ms.
-- Returns {'missing'} | {'busy', ms left} | {'ok', sealed pending sign-in, attempts left}.
local c = redis.call('HMGET', KEYS[1], 'pending', 'attempts_left', 'job', 'reserved_until')
if not c[1] then
    return {'missing'}
end
local left = (tonumber(c[4]) or 0) - tonumber(ARGV[2])
if c[3] and c[3] ~= ARGV[1] and left > 0 then
    return {'busy', left}
end
redis.call('HSET', KEYS[1], 'job', ARGV[1], 'reserved_until', ARGV[3])
return {'ok', c[1], c[2]}
