-- Count a post of a job's password, unless it would be one too many.
-- KEYS: posts. ARGV: JSON with driver, driver_limit, limit, ttl (ms). Returns 1 if it may be posted.
local args = cjson.decode(ARGV[1])
local total = 0
for _, count in ipairs(redis.call('HVALS', KEYS[1])) do
    total = total + tonumber(count)
end
local by_driver = tonumber(redis.call('HGET', KEYS[1], args.driver) or nil) or 0
if total >= args.limit or by_driver >= args.driver_limit then
    return 0
end
redis.call('HINCRBY', KEYS[1], args.driver, 1)
redis.call('PEXPIRE', KEYS[1], args.ttl)
return 1
