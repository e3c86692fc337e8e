-- Add an event for each window that is over, with the count as its outcome.
-- KEYS: windows, events. ARGV: JSON with windows (what comes before a window's name), limit,
--   event_limit, event_ttl (seconds). Returns how many were added.
local args = cjson.decode(ARGV[1])
local windows, events = unpack(KEYS)
local clock = redis.call('TIME')
local ended = redis.call('ZRANGEBYSCORE', windows, '-inf', clock[1], 'LIMIT', 0, args.limit)
for _, name in ipairs(ended) do
    local window = args.windows .. name
    local state = redis.call('HMGET', window, 'event', 'count')
    if state[1] then
        local event = cjson.decode(state[1])
        event.outcome = state[2]
        redis.call('XADD', events, 'MAXLEN', '~', args.event_limit, '*',
            'event', cjson.encode(event))
        redis.call('EXPIRE', events, args.event_ttl)
    end
    redis.call('DEL', window)
    redis.call('ZREM', windows, name)
end
return #ended
