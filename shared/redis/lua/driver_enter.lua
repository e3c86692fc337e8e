-- Let a sign-in use a driver, unless it rests for its account or for everybody. After a rest for
-- everybody, one sign-in at a time probes.
-- KEYS: rest, probe, account.
-- ARGV: JSON with token (nil: only look), probe_ttl (ms), probe_wait (ms to wait for a probe's end).
-- Returns {ms to wait, 1 if it probes, else 0}.
local args = cjson.decode(ARGV[1])
local rest, probe, account = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = tonumber(redis.call('HGET', rest, 'until') or nil)
local account_ends = tonumber(redis.call('HGET', account, 'until') or nil) or 0
local wait = math.max(account_ends, ends or 0) - now
if wait > 0 then
    return {wait, 0}
end
if not ends then
    return {0, 0}
end
if args.token and redis.call('SET', probe, args.token, 'NX', 'PX', args.probe_ttl) then
    return {0, 1}
end
return {math.max(0, math.min(redis.call('PTTL', probe), args.probe_wait)), 0}
