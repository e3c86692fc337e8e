-- Note that Garmin let an account in: its rest ends, and the one for everybody if it is over.
-- KEYS: rest, known, probe, refused, accounts, account. ARGV: JSON with account (nil: unknown).
local args = cjson.decode(ARGV[1])
local rest, known, probe, refused, accounts, account = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('DEL', refused, account)
if args.account then
    redis.call('ZREM', accounts, args.account)
end
local ends = tonumber(redis.call('HGET', rest, 'until') or nil) or 0
if ends <= now then
    redis.call('DEL', rest, known, probe)
end
