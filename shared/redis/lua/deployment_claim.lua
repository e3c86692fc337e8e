-- Set or renew the mark of a deployment, unless it is another's.
-- KEYS: mark. ARGV: JSON with database (its id), ttl (ms). Returns the id that the mark holds now.
local args = cjson.decode(ARGV[1])
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= args.database then
    return holder
end
redis.call('SET', KEYS[1], args.database, 'PX', args.ttl)
return args.database
