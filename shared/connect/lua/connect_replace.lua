-- Replace what is sealed in a session, if nobody was faster, and write an audit event with it.
-- KEYS: session, events. ARGV: JSON with sealed, expected (what was sealed until now; absent: a new
--   session), ttl (ms), event (absent: none), event_limit, event_ttl (seconds).
-- Returns 1, or 0 if it holds something else.
local args = cjson.decode(ARGV[1])
local session, events = KEYS[1], KEYS[2]
if (redis.call('GET', session) or nil) ~= args.expected then
    return 0
end
redis.call('SET', session, args.sealed, 'PX', args.ttl)
if args.event then
    redis.call('XADD', events, 'MAXLEN', '~', args.event_limit, '*', 'event', args.event)
    redis.call('EXPIRE', events, args.event_ttl)
end
return 1
