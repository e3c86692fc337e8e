-- Lets a driver rest, once, however many workers report the same refusal.
-- KEYS: rest, level. ARGV: Garmin's own wait in ms or '0', first wait in ms, longest wait in ms.
local left = redis.call('PTTL', KEYS[1])
if left > 0 then
    return left
end
local longest = tonumber(ARGV[3])
local level = redis.call('INCR', KEYS[2])
redis.call('PEXPIRE', KEYS[2], longest * 2)
local wait = tonumber(ARGV[1])
if wait <= 0 then
    wait = tonumber(ARGV[2]) * 2 ^ math.min(level - 1, 10)
end
wait = math.floor(math.min(wait, longest))
redis.call('SET', KEYS[1], level, 'PX', wait)
return wait
