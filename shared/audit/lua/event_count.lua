-- Count one more event of a name; the first one opens a window, at whose end they become one event.
-- KEYS: windows (by when they end), window. ARGV: JSON with name, event (JSON), seconds, ttl.
local args = cjson.decode(ARGV[1])
local windows, window = unpack(KEYS)
local clock = redis.call('TIME')
if redis.call('HINCRBY', window, 'count', 1) == 1 then
    redis.call('HSET', window, 'event', args.event)
    redis.call('ZADD', windows, tonumber(clock[1]) + args.seconds, args.name)
end
redis.call('EXPIRE', window, args.ttl)
redis.call('EXPIRE', windows, args.ttl)
