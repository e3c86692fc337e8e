-- Let a driver cool down, once, however many workers report the same refusal.
-- KEYS: cooldown, level. ARGV: JSON with wait (ms that Garmin asked for, 0: none), first, longest.
local args = cjson.decode(ARGV[1])
local cooldown, level_key = KEYS[1], KEYS[2]
local left = redis.call('PTTL', cooldown)
if left > 0 then
    return left
end
local level = redis.call('INCR', level_key)
redis.call('PEXPIRE', level_key, args.longest * 2)
local wait = args.wait
if wait <= 0 then
    wait = args.first * 2 ^ math.min(level - 1, 10)
end
wait = math.floor(math.min(wait, args.longest))
redis.call('SET', cooldown, level, 'PX', wait)
return wait
